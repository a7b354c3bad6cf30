"""Fates that are drawn, in the GPU backend's program on the host: the same moves of the same cells as on the CPU."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tests import fate_studies, handmade, tolerances, touching_studies
from tests.emulation.machine import HostMachine
from tests.emulation.test_whole_runs import (
    QUANTITIES,
    TOLERANCE,
    FixedReference,
    compare,
    fixed,  # noqa: F401 - a fixture
    largest_defect,
    make_machine,
)

import payloadfield
from payloadfield.mechanism import load_mechanism
from payloadfield.solver import BatchSimulation, Simulation
from payloadfield.solver.device import engine
from payloadfield.solver.device import simulation as device_simulation
from payloadfield.solver.device.fates import MEMORY, DeviceFates
from payloadfield.solver.device.simulation import DeviceBatch, simulate_on_device
from payloadfield.solver.fates import make_fates

STUDY = Path(__file__).parents[1] / "cli" / "small.toml"
SHAPE, HOURS = (3, 4, 3), 96.0
WATCHED = "\n[exposures.secreting]\nrate = 'inside * senescent'\nunit = 'molecules*s'\n"


@pytest.fixture(autouse=True)
def no_fallback(monkeypatch):
    """Solves that leave too much are no matter here."""
    monkeypatch.setattr(engine, "RESIDUAL_LIMIT", np.inf)


@cache
def watching_mechanism(folder):
    """With an exposure that jumps where a cell moves."""
    path = folder / "watched.toml"
    path.write_text('fate = "sampled"\n' + (handmade.MECHANISMS / "fates.toml").read_text() + WATCHED)
    return load_mechanism(path)


def make_study(seed=1, n_cells=12, hours=HOURS, **options):
    """Cells close together that die, become senescent, or tolerate the drug for a while."""
    given = {"n_cells": n_cells, "hours": hours, "edge": fate_studies.SMALL, "shape": SHAPE, "drug": 2000.0}
    return fate_studies.make_study("sampled", seed=seed, **(given | options))


def same_fates(found, expected):
    """When each transition came to each cell, and the thresholds of what leads on."""
    for name, times in expected.commitments().items():
        np.testing.assert_allclose(found.commitments()[name], times, rtol=1e-8, err_msg=name)
    ours, theirs = found.checkpoint(), expected.checkpoint()
    np.testing.assert_array_equal(ours["fate_draws"], theirs["fate_draws"])
    np.testing.assert_allclose(ours["fate_thresholds"], theirs["fate_thresholds"], rtol=1e-9)


# --- whole runs ------------------------------------------------------------------------------------------


def test_drawn_fates_are_those_of_the_reference(fixed):  # noqa: F811
    study = make_study()
    sim = simulate_on_device(study, make_machine)
    records = sim.run()
    expected, twins = fixed(study)
    assert [record.moves for record in records] == [twin.moves for twin in twins]
    assert len({name for record in records for name in record.moves}) == 5
    assert sum(count for record in records for count in record.moves.values()) > 20
    compare(sim, expected, TOLERANCE["float64"])
    same_fates(sim, expected)
    assert largest_defect(records) < tolerances.BALANCE  # what the dead give back too
    assert set(sim.checkpoint()) - {"device_effort"} == set(expected.checkpoint())


def test_peaks_of_what_jumps_with_a_fate_are_those_of_the_reference(fixed, tmp_path):  # noqa: F811
    study = make_study(mechanism=watching_mechanism(tmp_path))
    output = replace(study.output, peaks=("exposure", "secreting"), thresholds={"secreting": 1e5})
    study = replace(study, output=output)
    sim = simulate_on_device(study, make_machine)
    sim.run()
    expected, _ = fixed(study)
    found, twin = sim.peaks(), expected.peaks()
    assert twin["secreting_peak"][0].max() > 1e5  # a senescent cell
    for name, (values, _) in twin.items():
        np.testing.assert_allclose(found[name][0], values, rtol=1e-7, err_msg=name)


def test_a_peak_that_begins_with_the_last_step_is_not_missed(tmp_path, monkeypatch):
    """Without a look at the state after the moves it would come with the next step, which a finished run has not."""
    study = make_study(mechanism=watching_mechanism(tmp_path))
    study = replace(study, output=replace(study.output, peaks=("secreting",)))
    monkeypatch.setattr(device_simulation, "_attempts", lambda first, target, seconds: 1)  # not ahead of the record
    sim = simulate_on_device(study, make_machine)
    record = next(record for record in sim.steps() if "senescence" in record.moves)
    values, when = (sim.peaks()[f"secreting_peak{end}"][0] for end in ("", "_time"))
    is_senescent = sim.cell_state("senescent") > 0.0
    assert is_senescent.any() and (values[is_senescent] > 0.0).all()
    assert (when[is_senescent] == record.time).all() and (values[~is_senescent] == 0.0).all()


def test_designs_of_a_batch_draw_for_themselves():
    """Two seeds and one of them again, at another dose: each as the same batch on the reference."""
    studies = [make_study(1), make_study(2), make_study(1, drug=200.0)]
    batch, expected = DeviceBatch(studies, make_machine), BatchSimulation(studies, "numpy")
    for design in expected.designs:
        design.backend.__class__ = FixedReference
    records, twins = batch.run(until=24 * 3600.0), expected.run(until=24 * 3600.0)
    moves = [[r.moves for r in record.records] for record in records]
    assert moves == [[t.moves for t in twin.records] for twin in twins]
    for design, twin in zip(batch.designs, expected.designs, strict=True):
        assert np.isfinite(design.checkpoint()["fate_times"]).any()
        compare(design, twin, 1e-6)  # the reference stops its solves where they are good enough
        same_fates_to(1e-4, design, twin)
    first, other = (design.checkpoint()["fate_thresholds"] for design in batch.designs[:2])
    assert not np.array_equal(first, other)


def same_fates_to(tolerance, found, expected):
    """The same transitions of the same cells; when, to a tolerance."""
    for name, times in expected.commitments().items():
        np.testing.assert_allclose(found.commitments()[name], times, rtol=tolerance, err_msg=name)


def test_a_design_has_the_fates_that_it_has_alone():
    """To the tolerance: the batch takes the steps of the design that needs the shortest ones."""
    studies = [make_study(1), make_study(2, drug=20.0)]
    batch = DeviceBatch(studies, make_machine)
    batch.run(until=12 * 3600.0)
    for design, study in zip(batch.designs, studies, strict=True):
        alone = Simulation(study, "numpy")
        alone.run(until=12 * 3600.0)
        found, expected = design.checkpoint(), alone.checkpoint()
        np.testing.assert_array_equal(found["fate_draws"], expected["fate_draws"])
        assert np.isfinite(expected["fate_times"]).any()
        same_fates_to(1e-2, design, alone)


def make_printed():
    """With all that the built-in modules know of fates, in a medium and on a scaffold, over a wash."""
    wanted = {"fate": '"sampled"', "growth": "true", "sasp": "true", "senolytic": "false"}
    settings = [f"modules.{name}={value}" for name, value in wanted.items()]
    return payloadfield.load_study(STUDY, [*settings, "solver.precision=float64", "duration='60 h'"])


def make_touching():
    """Cells that exchange with others, of which some die: what the dead still give, and whose it is."""
    return replace(touching_studies.make_everything("sampled"), duration=48 * 3600.0)


@pytest.mark.validate
@pytest.mark.parametrize("make", [make_printed, make_touching])
def test_fates_beside_all_else_are_those_of_the_reference(make, fixed):  # noqa: F811
    sim = simulate_on_device(make(), make_machine)
    records = sim.run()
    expected, twins = fixed(sim.study)
    assert [record.moves for record in records] == [twin.moves for twin in twins]
    assert sum(count for record in records for count in record.moves.values()) > 1
    compare(sim, expected, TOLERANCE["float64"])
    same_fates(sim, expected)
    assert largest_defect(records) < tolerances.BALANCE


def test_drawn_fates_continue_to_the_bit_and_on_another_backend(fixed):  # noqa: F811
    study = make_study()
    first, again = (simulate_on_device(study, make_machine) for _ in range(2))
    first.run(until=30 * 3600.0)
    kept = first.checkpoint()
    assert np.isfinite(kept["fate_times"]).any()
    again.restore(kept)
    first.run()
    again.run()
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(getattr(again.state, quantity), getattr(first.state, quantity))
    for name in MEMORY.values():
        np.testing.assert_array_equal(again.checkpoint()[name], first.checkpoint()[name])
    elsewhere, _ = fixed(study, until=0.0)
    elsewhere.restore(kept)
    elsewhere.run()
    compare(first, elsewhere, TOLERANCE["float64"])
    same_fates(first, elsewhere)
    again.restore(elsewhere.checkpoint())
    for name in MEMORY.values():
        np.testing.assert_array_equal(again.checkpoint()[name], elsewhere.checkpoint()[name])


def test_how_often_the_host_looks_changes_no_fate(monkeypatch):
    study, found = make_study(hours=12.0), []
    for attempts in (1, 7):
        monkeypatch.setattr(device_simulation, "_attempts", lambda first, target, seconds, n=attempts: n)
        sim = simulate_on_device(study, make_machine)
        found.append((sim, [record.moves for record in sim.run()]))
    assert found[0][1] == found[1][1] and any(found[0][1])
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(*(getattr(sim.state, quantity) for sim, _ in found))


@pytest.mark.parametrize("without", ["a seed of its own", "moves"])
def test_a_run_without_is_another(without, monkeypatch):
    """Controls: other thresholds, or cells that stay in their fates."""
    usual = simulate_on_device(make_study(), make_machine)
    usual.run(until=30 * 3600.0)
    if without == "moves":
        monkeypatch.setattr(DeviceFates, "follow", lambda self, do, a: None)
    other = simulate_on_device(make_study(seed=1 if without == "moves" else 3), make_machine)
    other.run(until=30 * 3600.0)
    times = [sim.checkpoint()["fate_times"] for sim in (usual, other)]
    assert np.isfinite(times[0]).any() and not np.array_equal(*times, equal_nan=True)
    assert without != "moves" or np.isnan(times[1]).all()


# --- the kernels -----------------------------------------------------------------------------------------


def test_moves_within_one_step_are_those_of_the_twin():
    """Hazards so large that a cell moves several times, in two designs; threads upwards and downwards."""
    studies = [make_study(2**63 + 5, 70), make_study(-3, 70)]

    def make_twice(mechanism, precision, n_designs):
        machine = HostMachine(mechanism, precision, n_designs, once=False)
        return machine, machine.code.module

    batch, random = DeviceBatch(studies, make_twice), np.random.default_rng(3)
    a, machine = batch.engine.arrays, batch.engine.machine
    launches = {"move_fates": [], "count_moves": []}
    for launch in batch.engine.program(engine.ITERATIONS)[0].launches:
        launches.get(launch.kernel, []).append(launch)
    a.clock[[0, 1, engine.CLOCK.index("lines")]], a.verdict[0] = (50.0, 10.0, 34.0), 1
    twins = []
    for design, study in enumerate(studies):
        fates = make_fates(study)
        old, new = ({"time": time, "states": Simulation(study, "numpy").state.states} for time in (40.0, 50.0))
        fates.start(SimpleNamespace(**old))
        new["states"] = old["states"].copy()
        rates = {time: np.zeros(old["states"].shape) for time in (40.0, 50.0)}
        old["states"][fates.rows] = random.uniform(0.0, 0.2, fates.times.shape)
        new["states"][fates.rows] = old["states"][fates.rows] + random.uniform(0.0, 3.0, fates.times.shape)
        for of_time in rates.values():
            of_time[fates.rows] = random.uniform(0.1, 0.3, fates.times.shape)
        fates.times[0, :20] = 7.0
        a.states[design], a.cell_rates[design] = new["states"], rates[50.0]
        a.fates.push(design, old["states"][fates.rows], rates[40.0][fates.rows], fates.memory())
        twins.append((fates, SimpleNamespace(**old), SimpleNamespace(**new), rates))
    a.verdict[0] = 0
    before = a.states.copy()
    machine.run(launches["move_fates"] + launches["count_moves"])
    np.testing.assert_array_equal(a.states, before)
    a.verdict[0] = 1
    machine.run(launches["move_fates"] + launches["count_moves"])
    for design, (fates, old, new, rates) in enumerate(twins):
        taken = fates.follow(old, new, lambda state, rates=rates: rates[state.time])
        assert sum(taken.values()) > 70 and fates.draws.max() > 2  # several moves of a cell
        np.testing.assert_array_equal(a.states[design], new.states)
        counts = a.fates.moves[33 % engine.N_LINES, design]
        assert {name: n for name, n in zip(fates.names, counts, strict=True) if n} == taken
        found = a.fates.memory(design)
        np.testing.assert_array_equal(found["fate_draws"], fates.draws)
        np.testing.assert_allclose(found["fate_thresholds"], fates.thresholds, rtol=1e-14)
        np.testing.assert_allclose(found["fate_times"], fates.times, rtol=1e-14)
    assert not np.array_equal(a.fates.arrays["threshold"][0], a.fates.arrays["threshold"][1])

"""Whole runs of the GPU backend's program with fates and with baths that follow curves, against the reference."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tests import fate_studies, tolerances
from tests.emulation.test_whole_runs import (
    QUANTITIES,
    TOLERANCE,
    FixedReference,
    compare,
    fixed,  # noqa: F401 - a fixture
    largest_defect,
    make_case,
    make_machine,
)

from payloadfield.solver import BatchSimulation, Simulation
from payloadfield.solver.device import engine
from payloadfield.solver.device.simulation import DeviceBatch, DeviceSimulation, simulate_on_device
from payloadfield.solver.fates import Fates
from payloadfield.study import Decay, Event, Tabulated

# --- fates -----------------------------------------------------------------------------------------------


def make_fates(n_cells=3):
    """Cells close together that become senescent, die, or tolerate the drug for a while."""
    return fate_studies.make_study(
        "expected", n_cells=n_cells, hours=96.0, edge=fate_studies.SMALL, shape=(3, 4, 3), drug=2000.0
    )


def test_expected_fates_are_those_of_the_reference(fixed, monkeypatch):  # noqa: F811
    monkeypatch.setattr(engine, "RESIDUAL_LIMIT", np.inf)
    study = make_fates()
    sim = simulate_on_device(study, make_machine)
    records = sim.run()
    expected, twins = fixed(study)
    assert len(records) == len(twins) > 10
    assert [r.worst_quantity for r in records] == [r.worst_quantity for r in twins]
    compare(sim, expected, TOLERANCE["float64"])
    assert largest_defect(records) < tolerances.BALANCE
    found, twin = sim.commitments(), expected.commitments()
    assert set(found) == set(twin) and any(np.isfinite(times).all() for times in twin.values())
    assert any(np.isnan(times).any() for times in twin.values())
    for name, times in twin.items():
        np.testing.assert_allclose(found[name], times, rtol=1e-8)


def test_fates_continue_to_the_bit():
    study = make_fates()
    first, again = (simulate_on_device(study, make_machine) for _ in range(2))
    first.run(until=16 * 3600.0)
    again.restore(first.checkpoint())
    first.run()
    again.run()
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(getattr(again.state, quantity), getattr(first.state, quantity))
    for name, times in first.commitments().items():
        np.testing.assert_array_equal(again.commitments()[name], times)


def test_when_a_transition_comes_within_a_step_is_what_the_twin_finds():
    """At random values and rates, where one of the cells has taken it before; and nothing where the step is refused."""
    sim, random = simulate_on_device(make_fates(), make_machine), np.random.default_rng(5)
    a, fates = sim.engine.arrays, Fates(sim.study.mechanism, 3)
    before, after = (random.uniform(low, low + 0.5, a.states.shape[1:]) for low in (0.1, 0.4))
    rates = {40.0: random.uniform(0.0, 0.02, before.shape), 50.0: random.uniform(0.0, 0.02, before.shape)}
    fates.times[0, 1] = 7.0
    old, new = SimpleNamespace(time=40.0, states=before), SimpleNamespace(time=50.0, states=after)
    given = {"value": before[fates.rows], "rate": rates[40.0][fates.rows], "time": fates.times.copy()}
    a.clock[[0, 1]], a.states[0], a.cell_rates[0] = (50.0, 10.0), after, rates[50.0]
    for name, values in given.items():
        a.fates.arrays[name][0] = values
    launches = [
        launch for launch in sim.engine.program(engine.ITERATIONS)[0].launches if launch.kernel == "follow_fates"
    ]
    a.verdict[0] = 0
    sim.engine.machine.run(launches)
    for name, values in given.items():
        np.testing.assert_array_equal(a.fates.arrays[name][0], values)
    a.verdict[0] = 1
    sim.engine.machine.run(launches)
    fates.follow(old, new, lambda state: rates[state.time])
    assert 3 < np.isfinite(fates.times).sum() < fates.times.size and fates.times[0, 1] == 7.0
    np.testing.assert_allclose(a.fates.arrays["time"][0], fates.times, rtol=1e-12)
    np.testing.assert_array_equal(a.fates.arrays["value"][0], after[fates.rows])
    np.testing.assert_array_equal(a.fates.arrays["rate"][0], rates[50.0][fates.rows])


# --- baths that follow curves ----------------------------------------------------------------------------

DECAY = Decay(0.0, np.array([30.0, 20.0]), np.array([0.1, 0.002]))
TIMES, VALUES = np.array([0.0, 7.0, 18.0]), np.array([0.0, 40.0, 10.0])
CURVES = {
    "decay": {0: DECAY},
    "lines": {0: Tabulated(TIMES, VALUES, None)},
    "cubic": {0: Tabulated(TIMES, VALUES, np.array([9.0, 0.0, -1.0])), 1: DECAY},
}


def make_driven(name, case="infinite_bath"):
    """A bath that follows curves until an event sets one of its fields; a dose of another comes in between."""
    events = Event(0.0, {}, curve=CURVES[name]), Event(12.0, {2: 3.0}), Event(24.0, {0: 2.5})
    return replace(make_case(case), schedule=events)


@pytest.mark.parametrize(
    "name", ["cubic", *(pytest.param(name, marks=pytest.mark.validate) for name in ("decay", "lines"))]
)
def test_a_bath_that_follows_a_curve_is_that_of_the_reference(name, fixed):  # noqa: F811
    sim = simulate_on_device(make_driven(name), make_machine)
    records = sim.run(until=20.0)
    expected, twins = fixed(sim.study, until=20.0)
    assert len(records) == len(twins) > 10
    assert [(r.event, r.outputs) for r in records] == [(r.event, r.outputs) for r in twins]
    compare(sim, expected, TOLERANCE["float64"])
    assert sim.state.bath[0] == pytest.approx(CURVES[name][0].value(20.0), rel=1e-12)
    assert largest_defect(records) < tolerances.BALANCE
    sim.run()
    expected.run()
    compare(sim, expected, TOLERANCE["float64"])
    assert sim.state.bath[0] == 2.5


@pytest.mark.parametrize("name", list(CURVES))
def test_the_bath_of_every_stage_is_that_of_the_twin(name):
    study, (time, dt) = make_driven(name), (2.0, 3.0)
    sim, twin = simulate_on_device(study, make_machine), Simulation(study, "numpy").stepper
    a = sim.engine.arrays
    sim.engine.set_curves([sim.curve_pieces()])
    a.clock[[0, 1]], a.small_value[...], twin._value.bath[...] = (time, dt), 0.25, 0.25
    launches = {"bath_curves": [], "bath_curves_end": []}
    for launch in sim.engine.program(engine.ITERATIONS)[0].launches:
        launches.get(launch.kernel, []).append(launch)
    assert len(launches["bath_curves"]) == 4
    for stage, launch in enumerate(launches["bath_curves"]):
        sim.engine.machine.run([launch])
        twin._follow_curves(stage, time, dt)
        np.testing.assert_allclose(a.small_value[0, : a.n_fields], twin._value.bath, rtol=1e-12)
    sim.engine.machine.run(launches["bath_curves_end"])
    after = a.small[0] + np.tensordot(a.m, a.small_terms[:, 0], axes=1)
    for field, curve in CURVES[name].items():
        assert after[field] == pytest.approx(curve.value(time + dt), rel=1e-12)


def test_a_run_whose_bath_stays_is_another(monkeypatch):
    """A control: without the rows of the curves the bath stays."""
    driven, still = (simulate_on_device(make_driven("decay"), make_machine) for _ in range(2))
    driven.run(until=4.0)
    monkeypatch.setattr(DeviceSimulation, "curve_pieces", lambda self: {})
    still.run(until=4.0)
    assert abs(driven.state.fields[0].sum() / still.state.fields[0].sum() - 1.0) > 0.05


@pytest.mark.validate
def test_designs_of_a_batch_follow_curves_of_their_own(fixed):  # noqa: F811
    studies = [make_driven("lines"), make_driven("cubic"), make_case("infinite_bath")]
    batch, expected = DeviceBatch(studies, make_machine), BatchSimulation(studies, "numpy")
    for design in expected.designs:
        design.backend.__class__ = FixedReference
    assert len(batch.run(until=13.0)) == len(expected.run(until=13.0))
    for design, twin in zip(batch.designs, expected.designs, strict=True):
        compare(design, twin, TOLERANCE["float64"])


def test_pieces_of_a_curve_are_the_curve():
    for curve in (DECAY, *CURVES["lines"].values(), *CURVES["cubic"].values()):
        for time in (0.0, 3.0, 7.0, 11.0, 18.0, 30.0):
            piece = curve.piece(time)
            s = time - piece.start
            exponentials = piece.amplitudes * np.exp(-piece.rates * s)
            value = np.polyval(piece.cubic[::-1], s) + exponentials.sum()
            slope = np.polyval(np.polyder(piece.cubic[::-1]), s) - (piece.rates * exponentials).sum()
            assert (value, slope) == pytest.approx((curve.value(time), curve.slope(time)), rel=1e-12, abs=1e-14)

"""Whole runs of the GPU backend's program with cells that touch and drug followed by source, against the reference."""

from dataclasses import replace

import numpy as np
import pytest
from tests import handmade, tolerances
from tests import touching_studies as studies
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
from tests.running import relative_error

from payloadfield.mechanism import codegen, print_cuda
from payloadfield.solver import BatchSimulation, Simulation
from payloadfield.solver.contacts import OF_CONTACTS
from payloadfield.solver.device import engine
from payloadfield.solver.device.contacts import DeviceContacts
from payloadfield.solver.device.limits import reason_against
from payloadfield.solver.device.memory import count_bytes
from payloadfield.solver.device.simulation import DeviceBatch, simulate_on_device

CASES = {
    "bridges": lambda: studies.make_study("bridges"),
    "sources": lambda: studies.make_study("sources"),
    "both": lambda: studies.make_study("both", bath_volume=np.inf),
    "adc": lambda: studies.make_adc(duration=600.0, schedule=studies.DOSED),
    "everything": studies.make_everything,
}
LONG = pytest.param("everything", marks=pytest.mark.validate)


@pytest.mark.parametrize("case", [*(name for name in CASES if name != "everything"), LONG])
def test_a_run_is_that_of_the_reference(case, fixed, monkeypatch):  # noqa: F811
    monkeypatch.setattr(engine, "RESIDUAL_LIMIT", np.inf)
    study = CASES[case]()
    sim = simulate_on_device(study, make_machine)
    records = sim.run()
    expected, twins = fixed(study)
    assert len(records) == len(twins) > 10
    compare(sim, expected, TOLERANCE["float64"])
    assert largest_defect(records) < tolerances.BALANCE
    for ours, twin in zip(records, twins, strict=True):
        assert (ours.rejected, ours.worst_quantity) == (twin.rejected, twin.worst_quantity)
        assert ours.dt == pytest.approx(twin.dt, rel=1e-6)
    if case != "bridges":
        assert studies.worst_sum(sim) < 1e-14


def test_a_state_in_single_precision_is_near_the_reference(fixed):  # noqa: F811
    study = studies.make_study("both")
    single = replace(study, solver=replace(study.solver, precision="float32"))
    sim = simulate_on_device(single, make_machine)
    records = sim.run()
    expected, _ = fixed(study)
    compare(sim, expected, 1e-3)
    assert largest_defect(records) < 2e-4 and studies.worst_sum(sim) < 1e-5


def test_without_the_exchange_the_run_is_another(fixed, monkeypatch):  # noqa: F811
    """A control: what compares runs would see it if nothing passed between cells."""
    monkeypatch.setattr(DeviceContacts, "add_rates", lambda self, do, cells, d_states: None)
    sim = simulate_on_device(studies.make_study("bridges"), make_machine)
    sim.run()
    expected, _ = fixed(studies.make_study("bridges"))
    assert relative_error(sim.cell_state("inside"), expected.cell_state("inside")) > 0.05


def test_what_one_cell_gives_another_gets():
    """Nothing crosses membranes and nothing is made: amounts in all cells together stay to round-off, in every step."""
    parameters = {"k_in": 0.0, "v_pump": 0.0, "k_bridge": 50.0}
    start = {"inside": np.where(np.arange(studies.N_CELLS) % 4 == 0, 1e5, 10.0)}
    nothing = {"making": np.zeros(studies.N_CELLS)}
    given = {"initial_states": start, "of_cells": nothing, "schedule": (), "duration": 300.0}
    sim = simulate_on_device(studies.make_study("bridges", parameters=parameters, **given), make_machine)
    for _ in sim.steps():
        inside = sim.cell_state("inside") + sim.cell_state("bound")
        assert inside.sum() == pytest.approx(start["inside"].sum(), rel=2e-15)
    assert np.count_nonzero(np.abs(inside - start["inside"]) > 1e3) > studies.N_CELLS / 2


def test_a_step_too_long_for_the_exchange_is_rejected(fixed):  # noqa: F811
    """Of several blocks of cells, the one that limits the step is found, and named."""
    solver = handmade.make_solver(1e-2, precision="float64", first_step=20.0)
    study = studies.make_study("bridges", parameters={"k_bridge": 500.0}, duration=15.0, outputs=(), solver=solver)
    sim = simulate_on_device(study, make_machine)
    records = sim.run()
    expected, twins = fixed(study)
    assert [(r.rejected, r.worst_quantity) for r in records] == [(r.rejected, r.worst_quantity) for r in twins]
    assert records[0].rejected > 0 and OF_CONTACTS in {r.worst_quantity for r in records}
    np.testing.assert_allclose([r.dt for r in records], [r.dt for r in twins], rtol=1e-9)
    compare(sim, expected, TOLERANCE["float64"])


@pytest.mark.parametrize("kind", ["bridges", "sources"])
def test_sources_change_no_bit_of_anything_else(kind):
    """Beside the same model without shares, with contacts or without."""
    options = {"duration": 900.0, "outputs": ()}
    if kind == "bridges":
        plain, followed = (studies.make_study(name, **options) for name in ("bridges", "both"))
    else:
        followed = studies.make_study("sources", **options)
        plain = studies.make_study("bridges", of_cells={"bridging": np.zeros(studies.N_CELLS)}, **options)
    without, with_shares = (simulate_on_device(study, make_machine) for study in (plain, followed))
    assert [r.dt for r in with_shares.run()] == [r.dt for r in without.run()]
    n_core = len(without.study.mechanism.states)
    np.testing.assert_array_equal(with_shares.state.states[:n_core], without.state.states)
    for quantity in ("fields", "bath", "accumulators", "inflow"):
        np.testing.assert_array_equal(getattr(with_shares.state, quantity), getattr(without.state, quantity))


def run_negative_share():
    """Shares that begin at 1500 and -500 of 1000, with binding that is not linear."""
    start = {"inside": 1000.0, "inside_from_own": 1500.0, "inside_from_outside": -500.0}
    options = {"parameters": {"k_on": 2e-5}, "initial_states": start, "solver": handmade.make_solver(3e-2, "float64")}
    sim = simulate_on_device(studies.make_study("both", duration=900.0, outputs=(), **options), make_machine)
    sim.run()
    return sim


def test_shares_add_up_even_where_one_is_negative():
    assert studies.worst_sum(run_negative_share()) < 1e-13


def test_clamped_shares_would_not_add_up(monkeypatch):
    """A control of where Jacobians are taken."""
    monkeypatch.setattr(codegen, "_MADE", {})
    printed = print_cuda.print_function
    monkeypatch.setattr(print_cuda, "print_function", lambda function, names, lines, _: printed(function, names, lines))
    assert studies.worst_sum(run_negative_share()) > 1e-8


def test_a_run_continues_to_the_bit():
    study = studies.make_study("both", duration=200.0, outputs=())
    first, again = (simulate_on_device(study, make_machine) for _ in range(2))
    first.run(until=50.0)
    again.restore(first.checkpoint())
    first.run()
    again.run()
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(getattr(again.state, quantity), getattr(first.state, quantity))


def test_a_run_does_not_hang_on_the_order_of_threads():
    """Every launch of a few steps, upwards and downwards."""

    def make_twice(mechanism, precision, n_designs):
        machine = HostMachine(mechanism, precision, n_designs, once=False)
        return machine, machine.code.module

    assert len(simulate_on_device(studies.make_study("both"), make_twice).run(until=5.0)) > 1


@pytest.mark.parametrize("kind", ["bridges", pytest.param("both", marks=pytest.mark.validate)])
def test_a_batch_whose_designs_touch_differently_is_that_of_the_reference(kind, fixed):  # noqa: F811
    designs = studies.make_designs(kind)
    batch = DeviceBatch(designs, make_machine)
    records = batch.run(until=900.0)
    expected = BatchSimulation(designs, "numpy")
    for design in expected.designs:
        design.backend.__class__ = FixedReference
    twins = expected.run(until=900.0)
    assert [r.worst_design for r in records] == [r.worst_design for r in twins]
    for design, twin in zip(batch.designs, expected.designs, strict=True):
        compare(design, twin, TOLERANCE["float64"])
        assert kind == "bridges" or studies.worst_sum(design) < 1e-14
    assert max(largest_defect(record.records) for record in records) < tolerances.BALANCE


def test_rates_of_the_cells_are_those_of_the_reference():
    """What peaks are followed by: with the exchange in them."""
    study = studies.make_study("both")
    sim = simulate_on_device(study, make_machine)
    sim.run(until=900.0)
    found, twin = sim.stepper.rates_of_cells(sim.state), Simulation(study, "numpy").stepper.rates_of_cells(sim.state)
    assert (np.abs(found - twin) <= 1e-12 * np.abs(twin).max(axis=1, keepdims=True)).all()
    gained = found[list(study.mechanism.state_names).index("taken_up_from_bridges")]
    assert np.count_nonzero(gained) > studies.N_CELLS / 2


def test_nothing_of_it_is_refused_any_more():
    for kind in ("bridges", "sources", "both"):
        assert reason_against(studies.make_study(kind)) is None


def test_launches_and_memory_are_counted():
    """Two launches a stage for all contacts, three for the length of the step; memory as `check` tells it."""
    plain, tagged = (simulate_on_device(studies.make_study(kind), make_machine) for kind in ("bridges", "both"))
    for sim in (plain, tagged):
        count = sim.engine.program(engine.ITERATIONS)[0].count()
        assert {name: count[name] for name in ("cell_contacts", "exchange")} == {"cell_contacts": 4, "exchange": 4}
        assert all(count[name] == 1 for name in ("cell_contact_gains", "contact_shares", "contact_haste"))
    counted = count_bytes([tagged.plan], "float64")
    links, n_contacts = len(tagged.plan.contacts[0].touching), 4
    rows = 2 * n_contacts * studies.N_CELLS * 8
    assert 0 < counted["contacts"] - rows - links * (4 + 8) - 8 * (studies.N_CELLS + 1) < 1000
    assert counted["contacts"] == tagged.engine.machine.allocated["contacts"]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # a mean over no cells, of the study made by hand
def test_without_cells_there_is_nothing_to_exchange():
    study = handmade.make_study(
        studies.make_mechanism("both"), handmade.make_box((2, 3, 2), 20.0), duration=60.0, initial={"drug": 5.0}
    )
    sim = simulate_on_device(study, make_machine)
    sim.run()
    assert sim.state.fields[0] == pytest.approx(5.0, rel=1e-12)


def test_what_runs_when_nothing_touches_is_the_program_without_contacts():
    apart = simulate_on_device(studies.make_study("bridges", parameters={"reach": 1e-9}), make_machine)
    count = apart.engine.program(engine.ITERATIONS)[0].count()
    assert not count["exchange"] and not count["cell_contacts"] and not count["contact_haste"]
    apart.run(until=300.0)
    assert apart.cell_state("inside").max() > 0.0

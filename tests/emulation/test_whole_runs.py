"""Whole runs of the GPU backend's program, launch by launch on the host's build of the kernels, against the reference.

The reference takes as many iterations and corrections as the program does, so that the two differ by rounding alone.
"""

from dataclasses import replace

import numpy as np
import pytest
from tests import handmade, scenarios, tolerances
from tests.emulation.host import BLOCK
from tests.emulation.machine import HostMachine
from tests.running import relative_error

from payloadfield.backends import reference
from payloadfield.backends.reference import ReferenceBackend
from payloadfield.errors import SolverError
from payloadfield.solver import BatchSimulation, Simulation, rosenbrock
from payloadfield.solver.device import engine
from payloadfield.solver.device import simulation as device_simulation
from payloadfield.solver.device.program import StepProgram
from payloadfield.solver.device.simulation import DeviceBatch, simulate_on_device

DURATION, SHORT = 30.0, 6.0
ADC = [(0.0, {"adc": 50.0, "payload": 1.0}, 0.0)]
WASHED = [*ADC, (20.0, {}, 0.9)]


def without_protease_diffusion(**options):
    """A field that stays where it is: every voxel is a pocket of its own, and one block holds not all of them."""
    return scenarios.infinite_bath(parameters={"D_protease": 0.0}, **options)


CASES = {
    "gel_under_a_finite_bath": (scenarios.finite_bath, ADC),
    "infinite_bath": (scenarios.infinite_bath, ADC),
    "periodic": (scenarios.periodic_sides, ADC),
    "permeable_surfaces": (scenarios.permeable_surfaces, ADC),
    "closed_pocket": (scenarios.closed_pocket, WASHED),
    "field_that_stays": (without_protease_diffusion, ADC),
    "loop_of_fields": (scenarios.loop_of_fields, [(0.0, {"lactone": 30.0}, 0.0)]),
}
TOLERANCE = {"float64": 1e-9, "mixed": tolerances.BACKENDS["mixed"], "float32": 1e-4}
BALANCE = {"float64": tolerances.BALANCE, "mixed": tolerances.BALANCE, "float32": 2e-4}
QUANTITIES = ("fields", "states", "bath", "accumulators", "inflow")


def make_machine(mechanism, precision, n_designs):
    machine = HostMachine(mechanism, precision, n_designs)
    return machine, machine.code.module


def make_case(name, precision="float64", **options):
    scenario, schedule = CASES[name]
    solver = handmade.make_solver(precision=precision)
    standard = {"duration": DURATION, "schedule": schedule, "outputs": [0.5 * DURATION], "solver": solver}
    return scenario(**(standard | options))


class FixedReference(ReferenceBackend):
    """The reference backend with the program's numbers of iterations."""

    def solve(self, field, rhs, out, enough, *, warm=False):
        """See Backend."""
        reference.MAX_ITERATIONS = 1 if warm else engine.ITERATIONS
        return super().solve(field, rhs, out, 0.0, warm=warm)


@pytest.fixture
def fixed(monkeypatch):
    """From a study to its run by the reference, with as many iterations and corrections as the program takes."""
    monkeypatch.setattr(reference, "MAX_ITERATIONS", engine.ITERATIONS)
    monkeypatch.setattr(rosenbrock, "LOOP_SWEEPS", engine.CORRECTIONS + 1)
    monkeypatch.setattr(rosenbrock.Stepper, "_enough", lambda self, field: 0.0)

    def run(study, until=None):
        sim = Simulation(study, "numpy")
        sim.backend.__class__ = FixedReference
        return sim, sim.run(until)

    return run


def compare(found, expected, tolerance):
    for quantity in QUANTITIES:
        for a, b in zip(getattr(found.state, quantity), getattr(expected.state, quantity), strict=True):
            if np.abs(b).max(initial=0) > 0:
                assert relative_error(a, b) < tolerance, quantity


def largest_defect(records):
    return max(abs(defect) for record in records for defect in record.balance.values())


@pytest.mark.parametrize(
    ("case", "precision"),
    [*((case, "float64") for case in CASES), ("gel_under_a_finite_bath", "mixed"), ("closed_pocket", "float32")],
)
def test_a_run_of_the_program_is_that_of_the_reference(case, precision, fixed):
    study = make_case(case, precision)
    sim = simulate_on_device(study, make_machine)
    records = sim.run()
    of_reference = "float64" if precision == "float32" else precision
    expected, twins = fixed(replace(study, solver=replace(study.solver, precision=of_reference)))
    assert len(records) == len(twins) > 4
    compare(sim, expected, TOLERANCE[precision])
    assert largest_defect(records) < BALANCE[precision]
    for ours, twin in zip(records, twins, strict=True):
        assert (ours.index, ours.outputs, ours.event, ours.rejected) == (
            twin.index, twin.outputs, twin.event, twin.rejected
        )  # fmt: skip
        if precision == "float64":
            assert ours.worst_quantity == twin.worst_quantity
            assert ours.dt == pytest.approx(twin.dt, rel=1e-6)
            for moiety, line in enumerate(sim.ledger):
                assert line.in_fields == pytest.approx(expected.ledger[moiety].in_fields, rel=1e-9)


@pytest.mark.parametrize("scenario", [scenarios.infinite_bath, scenarios.finite_bath])
def test_a_field_that_stays_takes_launches_no_larger_than_one_that_moves(scenario):
    """Every voxel is a pocket of it: one thread each, not one block, nor one block for all of them.

    Pockets that a finite bath goes through are those that have a way to it.
    """
    schedule, largest, walked = {"duration": DURATION, "schedule": ADC}, [], []
    for parameters in ({}, {"D_protease": 0.0}):
        arrays = simulate_on_device(scenario(parameters=parameters, **schedule), make_machine)._engine.arrays
        launches = StepProgram(arrays, iterations=2, corrections=1).launches
        largest.append(max(launch.grid[0] for launch in launches))
        kernels = arrays.machine.kernels
        walked.append({
            launch.kernel
            for launch in launches
            for p, value in zip(kernels[launch.kernel].parameters, launch.arguments, strict=True)
            if p.name == "n_tied" or (p.name in ("n_pockets", "n_chunks") and launch.kernel != "solve_bath")
            if value == arrays.n > launch.grid[0] * BLOCK
        })  # fmt: skip
    assert largest[0] == largest[1]
    assert walked == [set(), set()]


def test_long_steps_of_a_loop_of_fields_are_those_of_the_reference(fixed):
    """Where solves do not converge by themselves: what an earlier attempt left must not be taken for an increment."""
    study = make_case("loop_of_fields", duration=3600.0, outputs=[])
    sim = simulate_on_device(study, make_machine)
    records = sim.run()
    expected, twins = fixed(study)
    assert max(record.dt for record in records) > 100.0 and len(records) == len(twins)
    compare(sim, expected, TOLERANCE["float64"])


@pytest.mark.validate
@pytest.mark.parametrize("case", CASES)
def test_a_run_over_hours_is_that_of_the_reference(case, fixed, monkeypatch):
    """Steps of minutes, where solves and corrections end far from convergence, without the fallback for such."""
    monkeypatch.setattr(engine, "RESIDUAL_LIMIT", np.inf)
    sim = simulate_on_device(make_case(case, duration=7200.0, outputs=[]), make_machine)
    records = sim.run()
    expected, twins = fixed(sim.study)
    assert max(record.dt for record in records) > 100.0 and len(records) == len(twins)
    compare(sim, expected, 1e-11)
    assert largest_defect(records) < tolerances.BALANCE


@pytest.mark.validate
def test_a_single_precision_state_says_what_its_balance_is():
    """Not balanced to rounding in double precision: the figure is reported, not hidden."""
    records = simulate_on_device(make_case("closed_pocket", "float32"), make_machine).run()
    assert 1e-9 < largest_defect(records) < BALANCE["float32"]


def test_a_run_of_the_program_repeats_bit_for_bit():
    study = make_case("loop_of_fields", "mixed", duration=SHORT)
    first, second = (simulate_on_device(study, make_machine) for _ in range(2))
    first.run()
    second.run()
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(getattr(first.state, quantity), getattr(second.state, quantity))


@pytest.mark.validate
def test_a_run_of_the_program_does_not_hang_on_the_order_of_threads():
    """Every launch of a few steps, upwards and downwards."""
    study = make_case("gel_under_a_finite_bath")

    def make_twice(mechanism, precision, n_designs):
        machine = HostMachine(mechanism, precision, n_designs, once=False)
        return machine, machine.code.module

    assert len(simulate_on_device(study, make_twice).run(until=1.0)) > 1


@pytest.mark.parametrize("case", ["loop_of_fields", pytest.param("closed_pocket", marks=pytest.mark.validate)])
def test_how_often_the_host_looks_changes_no_bit(case, monkeypatch):
    """It hangs on wall time: attempts beyond a target are idle, and must leave nothing behind."""
    study, found = make_case(case, "mixed", duration=DURATION if case == "closed_pocket" else SHORT), []
    for attempts in (1, 7):
        monkeypatch.setattr(device_simulation, "_attempts", lambda first, target, seconds, n=attempts: n)
        found.append(simulate_on_device(study, make_machine))
        found[-1].run()
    assert found[0].n_steps == found[1].n_steps
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(*(getattr(sim.state, quantity) for sim in found))


@pytest.mark.parametrize(
    "case", ["loop_of_fields", pytest.param("gel_under_a_finite_bath", marks=pytest.mark.validate)]
)
def test_a_run_of_the_program_continues_to_the_bit(case):
    study = make_case(case, "mixed", duration=SHORT, outputs=[0.5 * SHORT])
    whole, first = (simulate_on_device(study, make_machine) for _ in range(2))
    first.run(until=0.5 * SHORT)
    kept = first.checkpoint()
    first.run()
    again = simulate_on_device(study, make_machine)
    again.restore(kept)
    assert again.time == 0.5 * SHORT
    again.run()
    whole.run()
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(getattr(again.state, quantity), getattr(first.state, quantity))
        np.testing.assert_array_equal(getattr(whole.state, quantity), getattr(first.state, quantity))
    assert again.n_steps == whole.n_steps and again.n_iterations == whole.n_iterations


@pytest.mark.parametrize("case", ["gel_under_a_finite_bath", pytest.param("infinite_bath", marks=pytest.mark.validate)])
def test_peaks_and_times_above_thresholds_are_those_of_the_reference(case, fixed):
    """Over a rise and a fall: a first exposure that is washed out."""
    study = make_case(case, schedule=[(0.0, {"payload": 50.0}, 0.0), (15.0, {}, 0.99)])
    output = replace(study.output, peaks=("payload_exposure",), thresholds={"payload_exposure": 0.2})
    study = replace(study, output=output)
    sim = simulate_on_device(study, make_machine)
    sim.run(until=20.0)
    again = simulate_on_device(study, make_machine)
    again.restore(sim.checkpoint())
    again.run()
    expected = Simulation(study, "numpy")
    expected.backend.__class__ = FixedReference
    expected.run(until=20.0)
    expected.run()
    found, twin = again.peaks(), expected.peaks()
    assert set(found) == set(twin) == {"payload_peak", "payload_peak_time", "payload_time_above"}
    for name, (values, unit) in twin.items():
        np.testing.assert_allclose(found[name][0], values, rtol=1e-7, atol=1e-12)
        assert found[name][1] == unit
    assert found["payload_peak_time"][0].max() > 0.0 and found["payload_time_above"][0].max() > 0.0


# --- batches ---------------------------------------------------------------------------------------------

GEOMETRY = scenarios.make_irregular()
DESIGNS = (
    {"schedule": ADC},
    {"schedule": [(0.0, {"adc": 20.0}, 0.0), (20.0, {}, 0.5)], "parameters": {"DAR": 4.0, "k_dec": 1e-4}},
    {"schedule": [(0.0, {"antibody": 5.0}, 0.0)], "parameters": {"D_adc": 20.0, "D_payload": 300.0}},
)


def make_designs(bath_volume):
    given = {"duration": DURATION, "outputs": [], "solver": handmade.make_solver(precision="float64")}
    return [
        scenarios.make_adc(GEOMETRY, {"z_high": "bath"}, bath_volume=bath_volume, **(given | each)) for each in DESIGNS
    ]


@pytest.mark.parametrize(
    ("bath_volume", "until"),
    [(6e5, 3.0), *(pytest.param(volume, DURATION, marks=pytest.mark.validate) for volume in (6e5, np.inf))],
)
def test_a_batch_on_the_device_is_that_of_the_reference(bath_volume, until, fixed):
    studies = make_designs(bath_volume)
    batch = DeviceBatch(studies, make_machine)
    records = batch.run(until)
    expected = BatchSimulation(studies, "numpy")
    for design in expected.designs:
        design.backend.__class__ = FixedReference
    twins = expected.run(until)
    assert len(records) > 4
    assert [r.worst_design for r in records] == [r.worst_design for r in twins]
    for design, twin in zip(batch.designs, expected.designs, strict=True):
        compare(design, twin, TOLERANCE["float64"])
    assert max(largest_defect(record.records) for record in records) < tolerances.BALANCE


def test_a_design_of_a_batch_is_to_the_bit_what_it_is_beside_others_with_the_same_steps():
    """Twice the same design gives the same bits, whatever stands between."""
    one, other = make_designs(6e5)[:2]
    designs = DeviceBatch([one, other, one], make_machine)
    list(designs.steps(until=0.8))
    for quantity in QUANTITIES:
        first, last = (getattr(designs.designs[d].state, quantity) for d in (0, 2))
        np.testing.assert_array_equal(first, last)
    assert (designs.designs[0].state.fields != designs.designs[1].state.fields).any()


# --- when solves leave too much, and trouble ----------------------------------------------------------------


def test_more_iterations_are_taken_and_told_of_where_solves_leave_too_much(monkeypatch, caplog):
    monkeypatch.setattr(engine, "RESIDUAL_LIMIT", 0.5)
    monkeypatch.setattr(engine, "QUIET_STEPS", 3)
    sim = simulate_on_device(make_case("closed_pocket"), make_machine)
    records = sim.run()
    assert "going on with 4 iterations each instead of 2" in caplog.text
    per_solve = {r.iterations // (4 * sim.plan.n_fields) for r in records}
    assert {engine.ITERATIONS, 2 * engine.ITERATIONS} <= per_solve
    assert all(r.worst_residual <= 0.5 for r in records)


@pytest.mark.validate
def test_how_often_the_host_looks_changes_no_number_of_iterations(monkeypatch):
    monkeypatch.setattr(engine, "RESIDUAL_LIMIT", 0.5)
    monkeypatch.setattr(engine, "QUIET_STEPS", 3)
    usual, often = (simulate_on_device(make_case("closed_pocket"), make_machine) for _ in range(2))
    records = usual.run()
    monkeypatch.setattr(device_simulation, "_attempts", lambda first, target, seconds: 1)
    assert [r.iterations for r in often.run()] == [r.iterations for r in records]


def test_a_rate_that_is_no_number_stops_the_run_and_says_where():
    study = make_case("infinite_bath", initial={"adc": np.nan})
    with pytest.raises(SolverError, match=r"the rate of change of .* is not a finite number"):
        simulate_on_device(study, make_machine).run()

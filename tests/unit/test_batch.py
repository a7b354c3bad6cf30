"""Designs solved together: each as if it were alone, whoever else is in the batch."""

from dataclasses import replace

import numpy as np
import pytest
from tests import handmade, scenarios
from tests.running import relative_error
from tests.unit.test_contacts import make_chain

from payloadfield.backends.plan import Plan
from payloadfield.errors import SolverError, StudyError
from payloadfield.solver import BatchSimulation, Simulation
from payloadfield.solver.accuracy import FLOOR_FRACTION
from payloadfield.solver.discretisation import make_plan
from payloadfield.solver.variants import make_plans
from payloadfield.study import Decay

HOUR = 3600.0
RTOL = 1e-3
STANDARD = {"duration": 2 * HOUR, "outputs": [HOUR], "solver": handmade.make_solver(RTOL)}
GEOMETRY = scenarios.make_irregular()
DESIGNS = {
    "plain": {"schedule": [(0.0, {"adc": 50.0}, 0.0), (HOUR, {}, 0.9)]},
    "low DAR, fast linker": {
        "schedule": [(0.0, {"adc": 20.0, "payload": 1.0}, 0.0)], "parameters": {"DAR": 4.0, "k_dec": 1e-4},
    },
    "slow diffusion, late dose": {
        "schedule": [(0.0, {"antibody": 5.0}, 0.0), (0.5 * HOUR, {"adc": 80.0}, 0.0)],
        "parameters": {"D_adc": 20.0, "D_payload": 300.0}, "outputs": [0.7 * HOUR],
    },
    "drug inside at first": {"schedule": [], "initial": {"payload": 3.0}, "initial_states": {}},
}  # fmt: skip


def make_design(name, **options):
    given = {"bath_volume": 6e5} | STANDARD | DESIGNS[name] | options
    return scenarios.make_adc(GEOMETRY, {"z_high": "bath"}, **given)


@pytest.fixture(scope="module")
def studies():
    return [make_design(name) for name in DESIGNS]


def run_batch(studies, backend="numba"):
    batch = BatchSimulation(studies, backend=backend)
    records = batch.run()
    for record in records:
        for each in record.records:
            assert max(map(abs, each.balance.values())) < 1e-11
    return batch, records


@pytest.fixture(scope="module")
def together(studies):
    return run_batch(studies)


def differences(found, expected):
    """Largest relative difference of fields, states and bath, row by row where there is anything.

    Relative to the row's largest value, or to the size below which the solver's tolerance is absolute if that is more.
    """
    typical = {"fields": expected.study.typical_fields, "states": expected.study.typical_states}
    worst = 0.0
    for name in ("fields", "states", "bath"):
        floors = FLOOR_FRACTION * np.nan_to_num(typical.get(name, typical["fields"]), nan=0.0)
        for a, b, floor in zip(getattr(found.state, name), getattr(expected.state, name), floors, strict=True):
            if np.abs(b).max() > 0:
                worst = max(worst, np.abs(a - b).max() / max(np.abs(b).max(), floor))
    return worst


def test_each_design_is_what_it_is_alone(studies, together):
    batch, records = together
    for design, study in zip(batch.designs, studies, strict=True):
        alone = Simulation(study, backend="numba")
        alone.run()
        assert differences(design, alone) < 10 * RTOL
        np.testing.assert_allclose(
            design.cell_state("payload_exposure"), alone.cell_state("payload_exposure"), rtol=2 * RTOL
        )
    exposures = [design.cell_state("payload_exposure") for design in batch.designs]
    assert relative_error(exposures[0], exposures[1]) > 0.1  # they do differ
    assert records[-1].time == 2 * HOUR


def test_doses_washes_and_outputs_of_every_design_are_landed_on(studies, together):
    _, records = together
    times = {record.time for record in records}
    assert {0.5 * HOUR, 0.7 * HOUR, HOUR, 2 * HOUR} <= times
    events = [[r.records[d].time for r in records if r.records[d].event is not None] for d in range(len(studies))]
    assert events == [[HOUR], [], [0.5 * HOUR], []]
    outputs = [[r.records[d].time for r in records if r.records[d].outputs] for d in range(len(studies))]
    assert outputs == [[HOUR], [HOUR], [0.7 * HOUR], [HOUR]]


def test_with_the_same_steps_a_design_is_that_of_a_run_alone_to_the_bit(studies):
    """Whatever the others left in the shared work arrays."""
    batch, attempts = BatchSimulation(studies[:3], backend="numba"), []
    middle = batch.designs[1]
    attempt, accept = middle.attempt, middle.accept
    middle.attempt = lambda dt: attempts.append([dt, None]) or attempt(dt)
    middle.accept = lambda tried, target, rejected: attempts[-1].__setitem__(1, target) or accept(tried, target, 0)
    batch.run(until=HOUR)
    alone = Simulation(studies[1], backend="numba")
    for dt, target in attempts:
        tried = alone.attempt(dt)
        if target is not None:
            alone.accept(tried, target, 0)
    for name, values in middle.state.arrays().items():
        np.testing.assert_array_equal(values, alone.state.arrays()[name])
    assert len(attempts) > 10


def test_the_order_of_designs_does_not_matter(studies, together):
    backwards, _ = run_batch(studies[::-1])
    for design, other in zip(together[0].designs, backwards.designs[::-1], strict=True):
        for name, values in design.state.arrays().items():
            np.testing.assert_array_equal(values, other.state.arrays()[name])


def test_the_reference_solves_the_same_batch(studies, together):
    batch, _ = run_batch(studies[:2], "numpy")
    for design, other in zip(batch.designs, together[0].designs, strict=False):
        assert differences(design, other) < 10 * RTOL


def test_a_batch_continues_to_the_bit(studies, together):
    first = BatchSimulation(studies, backend="numba")
    first.run(until=0.6 * HOUR)
    kept = first.checkpoint()
    first.run()
    again = BatchSimulation(studies, backend="numba")
    again.restore(kept)
    again.run()
    for design, other in zip(first.designs, again.designs, strict=True):
        for name, values in design.state.arrays().items():
            np.testing.assert_array_equal(values, other.state.arrays()[name])


def count_own_bytes(design, others):
    """Bytes of arrays that a design holds and the others do not."""
    taken = {id(array) for other in others for array in find_arrays(other)}
    return sum(array.nbytes for array in find_arrays(design) if id(array) not in taken)


def find_arrays(thing, seen=None):
    """Arrays within our own objects, dictionaries and lists; a study is not counted."""
    seen = set() if seen is None else seen
    if id(thing) in seen or hasattr(thing, "schedule"):
        return []
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return [thing]
    if isinstance(thing, (list, tuple)):
        inner = thing
    elif isinstance(thing, dict):
        inner = thing.values()
    else:
        inner = vars(thing).values() if type(thing).__module__.startswith("payloadfield") else ()
    return [array for each in inner for array in find_arrays(each, seen)]


def test_another_design_costs_its_state_twice_and_the_answer_to_its_bath(studies):
    batch = BatchSimulation(studies, backend="numba")
    first, *others = batch.designs
    plan = first.plan
    values = plan.n_open * plan.n_fields * 8
    cells = (2 * plan.n_states + len(plan.cell_parameters)) * plan.cells.n_cells * 8
    own = count_own_bytes(others[-1], [first, *others[:-1]])
    assert own < 3 * values + cells + 2 * plan.bath.conductance.nbytes + 20_000
    assert count_own_bytes(first, []) > 8 * values  # which counts something
    for other in others:
        assert other.plan.groups is plan.groups and other.plan.neighbour is plan.neighbour


def test_plans_of_variants_are_those_made_from_nothing(studies):
    for made, study in zip(make_plans(studies), studies, strict=True):
        fresh = Simulation(study, backend="numpy").plan
        for name in (f for f in Plan.__dataclass_fields__ if f not in ("mechanism", "groups", "cells", "bath")):
            np.testing.assert_array_equal(getattr(made, name), getattr(fresh, name), err_msg=name)
        np.testing.assert_array_equal(made.bath.conductance, fresh.bath.conductance)
        for ours, theirs in zip(made.groups, fresh.groups, strict=True):
            np.testing.assert_array_equal(ours.conductance, theirs.conductance)


def other_box():
    return handmade.make_box(scenarios.SHAPE, scenarios.SPACING)


UNLIKE = {
    "geometry": lambda: scenarios.make_adc(other_box(), {"z_high": "bath"}, bath_volume=6e5, **STANDARD),
    r"cells \(entry_start\)": lambda: make_design("plain", seed=9),
    "boundary": lambda: scenarios.make_adc(GEOMETRY, {"x_low": "bath"}, bath_volume=6e5, **STANDARD),
    r"solver\.rtol": lambda: make_design("plain", solver=handmade.make_solver(1e-2)),
    "duration": lambda: make_design("plain", duration=3 * HOUR),
    r"bath\.volume, finite or not": lambda: make_design("plain", bath_volume=np.inf),
    "mechanism": lambda: scenarios.loop_of_fields(solver=STANDARD["solver"]),
    "diffusivity, zero or not": lambda: make_design("plain", parameters={"D_adc": 0.0}),
}


@pytest.mark.parametrize("what", UNLIKE)
def test_studies_that_cannot_be_solved_together_are_refused_by_name(what):
    with pytest.raises(StudyError, match=f"design 2 differs from the first one in {what}"):
        BatchSimulation([make_design("plain"), UNLIKE[what]()])


def test_diffusivities_under_a_skin_are_refused():
    skin = {"adc": 0.02, "default": 0.1}
    geometry = scenarios.make_irregular(gel=handmade.make_gel(0.6, 0.5, skin))
    both = [scenarios.make_adc(geometry, {"z_high": "bath"}, parameters={"D_adc": d}, **STANDARD) for d in (60.0, 30.0)]
    with pytest.raises(StudyError, match="which changes the faces of a material with a permeability"):
        BatchSimulation(both)


def test_no_studies_are_refused():
    with pytest.raises(StudyError, match="got no study"):
        BatchSimulation([])


def test_a_design_that_cannot_go_on_stops_the_batch_with_its_own_message(studies):
    bad = replace(studies[1], initial_fields=np.where(np.arange(len(studies[1].initial_fields)) == 0, np.nan, 0.0))
    with pytest.raises(SolverError, match="is not a finite number"):
        BatchSimulation([studies[0], bad], backend="numba").run()


def test_touching_cells_exchange_by_the_numbers_of_their_own_design():
    studies = [make_chain(of_cells={"bridging": share}) for share in (1.0, 0.25)]
    first, second = make_plans(studies)
    assert first.contacts[0].strength.size and first.groups is second.groups
    np.testing.assert_allclose(second.contacts[0].strength, 0.0625 * first.contacts[0].strength)
    np.testing.assert_array_equal(second.contacts[0].strength, make_plan(studies[1]).contacts[0].strength)


def test_a_bath_may_follow_a_curve_in_one_design_and_not_in_another():
    curve = Decay(0.0, np.array([80.0]), np.array([np.log(2) / (0.5 * HOUR)]))
    plain, curved = (make_design("plain", bath_volume=np.inf, schedule=[(0.0, {"adc": 80.0}, 0.0)]) for _ in range(2))
    curved = replace(curved, schedule=(replace(curved.schedule[0], dose={}, curve={0: curve}),))
    batch, _ = run_batch([plain, curved])
    for design, study in zip(batch.designs, (plain, curved), strict=True):
        alone = Simulation(study, backend="numba")
        alone.run()
        assert differences(design, alone) < 10 * RTOL
    assert batch.designs[1].state.bath[0] < 0.3 * batch.designs[0].state.bath[0]

"""Every kernel that is not generated, run on the host over small irregular plans, against the reference backend.

Two designs at a time, which differ in their diffusivities and in what they exchange with the bath.
"""

import numpy as np
import pytest
from tests.emulation.plan_cases import DESIGNS, FIELD, as_double, find_machine, find_plans, of_designs

from payloadfield.solver.device import program as device_program
from payloadfield.solver.device.arrays import N_STAGES


def test_plans_are_irregular_and_span_several_blocks(name):
    plan, block = find_plans(name)[0], find_machine(name, "float64", 1).build.block
    assert plan.n_open > 3 * block and plan.n_open % block
    assert (plan.neighbour == np.arange(plan.n_open)).any() and plan.bath.voxel.size
    assert plan.group(FIELD).hierarchy.n_levels >= 3
    if name == "closed_pocket":
        assert plan.group(FIELD).n_pockets > 1


# --- vectors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_terms", [0, 1, 3, 4])
def test_combine(case, n_terms):
    base, terms, coefficients = case.vector(case.n), case.vector(4, case.n, low=-1.0), case.vector(4, low=-1.0)
    out, twin = np.full_like(base, np.nan), np.zeros(case.n)
    case.launch("combine", case.n, n_terms, base, terms, coefficients, out)
    case.twins[0].combine(twin, as_double(base), as_double(terms[:n_terms]), as_double(coefficients))
    case.close(out, twin)


def test_clear_and_heal(case):
    spoilt = case.vector()
    spoilt[0, 3], spoilt[1, 5] = np.nan, np.inf
    healed = np.where(np.isfinite(spoilt), spoilt, 0)
    case.launch("heal", case.n, spoilt)
    np.testing.assert_array_equal(spoilt, healed)
    case.launch("clear", case.n, spoilt)
    assert not spoilt.any()


@pytest.mark.parametrize("pairs", [{}, {0: 1}, {2: 0, 3: 2}])
def test_rows_are_coupled_added_and_subtracted(case, pairs):
    """pairs: rows of slopes by the field that each is multiplied with."""
    rows, fields = case.vector(DESIGNS, 3, case.n, low=-1.0), case.vector(DESIGNS, 4, case.n)
    out, increments = np.full((DESIGNS, case.n), np.nan, case.a.real), case.vector(DESIGNS, 4, case.n)
    of = np.array(list(pairs.values()), np.int32), np.array(list(pairs), np.int32)
    total = *case.a.total(DESIGNS, case.n), np.zeros(DESIGNS)
    case.launch("couple_row", case.n, 4, 2, 3, len(pairs), *of, fields, rows, increments, out, *total)
    expected = as_double(fields[:, 2])
    for d, twin in enumerate(case.twins):
        given = as_double(rows[d]), list(pairs.values()), as_double(increments[d]), list(pairs)
        twin.add_products(expected[d], *given)
    case.close(out, expected)
    case.close(total[-1][:, None], (expected**2).sum(axis=1, keepdims=True))
    case.launch("subtract_row", case.n, 3, 0, rows, out)
    case.close(out, expected - rows[:, 0])
    more = as_double(fields)
    case.launch("add_to_row", case.n, 4, 1, out, fields)
    more[:, 1] += out
    case.close(fields, more)


def test_pockets_are_shifted(case):
    tables, out = case.a.tables(FIELD), case.vector(DESIGNS, 3, case.n)
    shift, before, expected = case.vector(DESIGNS, tables.n_pockets), as_double(out), as_double(out)
    for d, twin in enumerate(case.twins):
        twin.shift_pockets(FIELD, as_double(shift[d]), expected[d, 1])
    case.launch("shift_pockets", case.n, 3, 1, tables.n_pockets, tables.pocket, shift, out)
    case.close(out, expected)
    assert tables.pocket.size == (case.n if tables.n_pockets > 1 else 0)
    b, out = np.array([0.5, -2.0]), before.astype(case.a.real)
    case.launch("add_border", case.n, 3, 2, b, shift_of(case), out)
    before[:, 2] += b[:, None] * shift_of(case)
    case.close(out, before)


def shift_of(case):
    """A vector that is the same every time."""
    return np.tile(np.arange(case.n) / case.n, (DESIGNS, 1)).astype(case.a.real)


def test_gather(case):
    a, entries = case.a, case.vector(DESIGNS, 2, case.a.n_entries, low=-1.0)
    out = case.vector(DESIGNS, 3, case.n)
    expected = as_double(out)
    case.launch("gather", a.n_touched, a.n_entries, a.n, 2, 1, 3, 2, 1.5, *a.touched, entries, out)
    for d, twin in enumerate(case.twins):
        twin.gather(as_double(entries[d, 1]), 1.5, expected[d, 2])
    case.close(out, expected)


# --- transport -------------------------------------------------------------------------------------------


def stage_rhs(case, n_terms, value, terms, coefficients, out):
    """Transport and history of the fields of one transport group, some of the plan's."""
    a, tables, stages = case.a, case.a.tables(FIELD), terms.reshape(N_STAGES, -1, case.n)
    members = np.flatnonzero(case.plan.group_of_field == case.plan.group_of_field[FIELD]).astype(np.int32)
    of = case.n, a.n_fields, len(members), n_terms, members, a.D, *tables.around, a.capacity, a.capacity_of
    case.launch("stage_rhs", *of, value, stages, coefficients, out)
    return members


@pytest.mark.parametrize("n_terms", [0, 2, 3])
def test_stage_right_hand_side(case, n_terms):
    a, shape = case.a, (DESIGNS, case.a.n_fields, case.n)
    value, out, terms = case.vector(*shape), case.vector(*shape), case.vector(4, *shape, low=-1.0)
    coefficients, small, expected = case.vector(4, low=-1.0), case.vector(DESIGNS, a.n_small), as_double(out)
    members = stage_rhs(case, n_terms, value, terms, coefficients, out)
    contact = a.n_contact, a.n, a.n_fields, a.n_small, a.contact, a.conductance
    case.launch("bath_flux", *contact, small, value, out)
    for d, twin in enumerate(case.twins):
        for field in members:
            stage = as_double(terms[:n_terms, d, field])
            given = as_double(value[d, field]), float(small[d, field]), stage, as_double(coefficients[:n_terms])
            twin.stage_rhs(field, *given, expected[d, field])
    case.close(out[:, members], expected[:, members])
    assert len(members) > 1


def test_bath_inflow_and_coupling(case):
    a, out = case.a, np.zeros((DESIGNS, case.n), case.a.real)
    values, small = case.vector(DESIGNS, a.n_fields, case.n), case.vector(DESIGNS, a.n_small)
    case.solver.bath_inflow(values, small, a.inflow)
    fields = range(a.n_fields)
    expected = of_designs(
        lambda d: [case.twins[d].bath_inflow(f, as_double(values[d, f]), float(small[d, f])) for f in fields]
    )
    case.close(a.inflow, expected)
    case.solver.bath_dot(FIELD, values, FIELD, a.dot)
    case.close(a.dot, of_designs(lambda d: [-case.twins[d].bath_inflow(FIELD, as_double(values[d, FIELD]), 0.0)]))
    case.solver.couple_bath(FIELD, out, small, 2)
    twin = np.zeros((DESIGNS, case.n))
    for d in range(DESIGNS):
        case.twins[d].bath_coupling(FIELD, twin[d])
    case.close(out, twin * small[:, 2:3])


def test_operator_its_product_and_what_it_leaves_of_a_right_hand_side(case):
    case.set_operator()
    p, rhs = case.vector(low=-1.0).astype(case.a.small_type), case.vector(low=-1.0)
    image, value = np.full_like(rhs, np.nan), p.astype(case.a.real)
    total = *case.a.total(DESIGNS, case.a.n_places), np.zeros(DESIGNS)
    case.launch("apply_dot", case.n, *case.operator(), p, image, *total)
    close_to_the_operator(case, p, image, total[-1])
    left = as_double(rhs)
    case.launch("subtract_image", case.n, 1, 0, *case.operator(), value.reshape(DESIGNS, 1, -1), rhs)
    for d, twin in enumerate(case.twins):
        twin.subtract_image(FIELD, as_double(value[d]), left[d])
    case.close(rhs, left)


def close_to_the_operator(case, p, image, dot):
    """An image and its product with p are those of the reference."""
    expected = of_designs(lambda d: case.twins[d]._apply(FIELD, as_double(p[d])))
    case.close(image, expected)
    case.close(dot[:, None], (as_double(p) * expected).sum(axis=1, keepdims=True))


def test_operator_on_a_direction_made_on_the_way(case):
    """The direction that is kept is to the bit the one that the operator was applied to."""
    case.set_operator()
    t, old = (case.vector(low=-1.0).astype(case.a.small_type) for _ in range(2))
    p, image = np.full_like(t, np.nan), np.full((DESIGNS, case.n), np.nan, case.a.real)
    total = *case.a.total(DESIGNS, case.a.n_places), np.zeros(DESIGNS)
    rr, rr_old, rho, rho_old = (np.array(k) for k in ([4.0, 0.0], [1.0, 1.0], [3.0, 0.0], [2.0, 1.0]))
    given = rr, rr_old, rho, rho_old, t, old, p, image, *total
    case.launch("apply_next", case.n, *case.operator(), *given)
    case.close(p, as_double(t) + np.array([[0.75], [0.0]]) * as_double(old))
    close_to_the_operator(case, p, image, total[-1])


def test_what_leaves_one_voxel_enters_another(case):
    """Without capacity and bath the sum of all fluxes is round-off of single terms."""
    shape = DESIGNS, case.a.n_fields, case.n
    value, out = case.vector(*shape), np.zeros(shape, case.a.real)
    stage_rhs(case, 0, value, case.vector(4, *shape), case.vector(4), out)
    assert np.abs(out[:, FIELD]).max() > 1
    assert abs(as_double(out).sum()) < 20 * np.finfo(case.a.real).eps * np.abs(out).sum()


# --- sums ------------------------------------------------------------------------------------------------


def test_sums_over_voxels_and_pockets(case):
    r, out = case.vector(low=-1.0), np.zeros((DESIGNS, 1))
    case.a.r[...] = r
    case.solver.square(out)
    case.close(out, of_designs(lambda d: [case.twins[d].norm(as_double(r[d])) ** 2]))
    assert not any(done.any() for done in case.a._done)  # the counts of blocks are ready for the next sum
    sums = np.zeros((DESIGNS, case.a.tables(FIELD).n_pockets))
    case.solver.pocket_sums(FIELD, r, sums)
    case.close(sums, of_designs(lambda d: case.twins[d].pocket_sums(FIELD, as_double(r[d]))))


@pytest.mark.parametrize("kind", ["field", "state"])
def test_amounts_largest_values_floors_and_errors(case, kind):
    """Of fields with their volumes and of states with equal weights; some of their sizes are to be found."""
    a, of = case.a, case.a.of[kind]
    rows, n = (a.n_fields, case.n) if kind == "field" else (a.n_states, a.n_cells)
    values, terms = case.vector(DESIGNS, rows, n, low=0.5), case.vector(4, DESIGNS, rows, n)
    of["typical"][...] = np.where(np.arange(rows) % 2, np.nan, 2.0)
    of["seen"][...] = 0.5
    a.clock[[1, 13]] = 3.0, 6.0  # dt and the first step: what has just appeared counts twice
    a.small[...], a.small_terms[...] = 0.1, 0.0
    a.small[1, 1] = 30.0
    weights = (a.capacity, a.capacity_of) if kind == "field" else (a.cell_weight, a.cell_weight_of)
    program = StepProgramPart(case)
    filled = [np.full_like(values, np.nan) for _ in range(2)]
    program._measure(kind, int(kind == "field"), n, rows, *weights, values, terms, *filled)
    after = as_double(values) + np.tensordot(as_double(a.m), as_double(terms), axes=1)
    change = np.tensordot(as_double(a.error), as_double(terms), axes=1)
    of_row = as_double(weights[0])[weights[1]]
    largest = np.abs(after).max(axis=2)
    size = np.where(np.isnan(of["typical"]), np.maximum(0.5, 2 * largest), 2.0)
    if kind == "field":
        size[1, 1] = max(size[1, 1], 30.0)
    relative = change / (0.1 * size[:, :, None] + np.maximum(np.abs(values), np.abs(after)))
    case.close(filled[0], after)
    case.close(filled[1], change)
    case.close(of["largest"], largest)
    case.close(of["floor"], 0.1 * size)
    case.close(of["total"][..., None], (of_row * after).sum(axis=2)[..., None])
    case.close(of["sum"][..., None], (of_row * relative**2).sum(axis=2)[..., None])


class StepProgramPart(device_program.StepProgram):
    """The pieces of a program, run at once."""

    def __init__(self, case):
        self.a, self.do, self._solver = case.a, case.launch, case.solver

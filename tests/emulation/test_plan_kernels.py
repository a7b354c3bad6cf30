"""Every kernel that is not generated, run on the host over small irregular plans, against the reference backend.

Two designs at a time, which differ in their diffusivities and in what they exchange with the bath.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from tests import scenarios
from tests.emulation.host import close
from tests.emulation.machine import HostMachine

from payloadfield.backends import reference
from payloadfield.backends.reference import ReferenceBackend
from payloadfield.mechanism import generate
from payloadfield.solver.device import arrays as device_arrays
from payloadfield.solver.device import program as device_program
from payloadfield.solver.device.arrays import N_STAGES, DeviceArrays
from payloadfield.solver.device.solve import FieldSolver
from payloadfield.solver.discretisation import make_plan
from payloadfield.solver.tableau import make_ros34pw2

SCENARIOS = {
    "gel_under_a_finite_bath": scenarios.finite_bath,
    "periodic": scenarios.periodic_sides,
    "closed_pocket": scenarios.closed_pocket,
}
SG, FIELD, DESIGNS, POCKET_CHUNK = 3e-4, 1, 2, 50


@cache
def find_plans(name):
    """The plan of a scenario, and one with other coefficients."""
    plan = make_plan(SCENARIOS[name]())
    contact = replace(plan.bath, conductance=0.7 * plan.bath.conductance)
    return plan, replace(plan, diffusivity=0.8 * plan.diffusivity, bath=contact)


@cache
def find_machine(name, precision, most_nodes):
    """Every launch runs twice, threads upwards and downwards."""
    return HostMachine(find_plans(name)[0].mechanism, precision, DESIGNS, once=False, most_nodes=most_nodes)


class Case:
    """Two plans, their arrays on the device and their reference backends, with random vectors in the device's types."""

    def __init__(self, name, precision, most_nodes=1):
        self.plans, self.machine = find_plans(name), find_machine(name, precision, most_nodes)
        self.plan, self.n = self.plans[0], self.plans[0].n_open
        self.build, tableau = self.machine.build, make_ros34pw2()
        self.a = DeviceArrays(self.machine, self.plans, self.machine.code.module, tableau)
        code = generate(self.plan.mechanism, "numpy").module
        self.twins = [ReferenceBackend(plan, "float64", code) for plan in self.plans]
        self.solver = FieldSolver(self.a, self.launch)
        self.random = np.random.default_rng(5)

    def launch(self, name, *arguments):
        """Check and run a kernel."""
        launch = self.machine.prepare(name, *arguments)
        if not launch.is_empty:
            self.machine.run([launch])

    def vector(self, *shape, low=0.0):
        """Random numbers from `low` to 1, as they are in the device's memory; of both designs unless said otherwise."""
        return self.random.uniform(low, 1.0, shape or (DESIGNS, self.n)).astype(self.a.real)

    def set_operator(self):
        """A zeroth-order term with something beside capacity and bath, and its diagonals."""
        a, extra = self.a, 10.0 * self.vector()
        a.sg[...] = SG
        zeroth = a.zeroth[FIELD]
        self.launch("set_zeroth", self.n, a.sg, a.capacity[a.capacity_row[FIELD]], zeroth)
        negative = (-extra).reshape(DESIGNS, 1, self.n)
        self.launch("subtract_row", self.n, 1, 0, negative, zeroth)
        self.solver.couple_bath(FIELD, zeroth)
        self.solver.set_diagonals(FIELD)
        for twin, more in zip(self.twins, extra, strict=True):
            twin.set_operator(FIELD, float(a.sg[0]), as_double(more))

    def close(self, got, expected):
        """Row by row, the designs first."""
        got, expected = np.asarray(got), np.asarray(expected)
        close(got.reshape(-1, got.shape[-1]), expected.reshape(-1, expected.shape[-1]), self.build)

    def operator(self):
        """Arguments of the elliptic operator."""
        tables = self.a.tables(FIELD)
        return self.a.D[FIELD], *tables.around, self.a.zeroth[FIELD]


def as_double(values):
    return np.asarray(values, float).copy()


def of_designs(function):
    """The same for every design, stacked."""
    return np.stack([function(d) for d in range(DESIGNS)])


@pytest.fixture(params=list(SCENARIOS))
def name(request):
    return request.param


@pytest.fixture(params=["float64", "float32", "mixed"])
def case(request, name, monkeypatch):
    monkeypatch.setattr(device_arrays, "make_pocket_chunks", cut_small)
    return Case(name, request.param)


def cut_small(group, chunks=device_arrays.make_pocket_chunks):
    """Pockets of several chunks, on a small grid too."""
    return chunks(group, POCKET_CHUNK)


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


# --- multigrid and conjugate gradients -------------------------------------------------------------------


@pytest.mark.parametrize("most_nodes", [1, 60, 10_000])
def test_diagonals_of_all_levels(name, most_nodes):
    case = Case(name, "float64", most_nodes)
    case.set_operator()
    tables = case.a.tables(FIELD)
    for d, twin in enumerate(case.twins):
        offset = twin._levels[FIELD].hierarchy.offset
        expected = np.split(1.0 / twin._levels[FIELD].diagonal, offset[1:-1])
        for k, inverse in enumerate(case.a.inverse[FIELD]):
            case.close(inverse[d], expected[k])
        if tables.n_small_levels > 1:
            case.close(case.a.small_inverse[FIELD][d], np.concatenate(expected[tables.first_small :]))
        case.close(case.a.zeroth[FIELD][d], twin._zeroth[FIELD])


class Pieces:
    """A case with random vectors of the V-cycle, and what the operator of the voxels makes of a vector."""

    def __init__(self, case):
        case.set_operator()
        self.tables, small = case.a.tables(FIELD), case.a.small_type
        self.sizes = case.n, self.tables.sizes[1]
        self.b, self.x, self.coarse = (
            case.random.uniform(size=(DESIGNS, k)).astype(small) for k in (case.n, case.n, self.sizes[1])
        )
        self.inverse, self.coarse_inverse = (case.a.inverse[FIELD][k] for k in (0, 1))
        self.weights, self.parent = as_double(self.inverse), self.tables.parent[0]
        self.table, self.out = (*self.tables.around, self.inverse), np.full_like(self.b, np.nan)
        self.g, self.neighbour = case.plan.group(FIELD).conductance, case.plan.neighbour

    def smoothed(self, weight, b, x):
        """One smoothing step."""
        return x + weight * self.left(b, x) * self.weights

    def left(self, b, x):
        """Residual of x."""
        return b - x / self.weights + (self.g * x[:, self.neighbour]).sum(axis=1)


def test_a_cycle_begins_with_two_smoothing_steps_and_ends_with_one(case):
    pieces, (first, second), rr = Pieces(case), case.a.weights, np.array([2.0, 0.0])
    r, factor = case.vector(low=-1.0), np.array([[1 / np.sqrt(2.0)], [0.0]]) / as_double(case.a.D[FIELD])[:, None]
    given = case.a.D[FIELD], first, second, rr, r, pieces.b, pieces.out
    case.launch("begin_cycle", case.n, *pieces.table, *given)
    b = as_double(r) * factor
    case.close(pieces.b, b)
    case.close(pieces.out, pieces.smoothed(second, b, first * b * pieces.weights))
    case.launch("scale", case.n, case.a.D[FIELD], rr, r, pieces.x)
    np.testing.assert_array_equal(pieces.x, pieces.b)
    b, x, dots = as_double(pieces.b), case.vector(low=-1.0).astype(case.a.small_type), np.zeros((2, DESIGNS))
    rr, total = np.array([2.0, 3.0]), (*case.a.total(DESIGNS, case.a.n_places), dots[0])
    case.launch("end_cycle", case.n, *pieces.table, first, pieces.b, x, case.a.D[FIELD], rr, pieces.out, *total)
    case.close(pieces.out, pieces.smoothed(first, b, as_double(x)))
    total = *case.a.total(DESIGNS, case.n), dots[1]
    case.launch("dot_cycle", case.n, case.a.D[FIELD], rr, pieces.b, pieces.out, *total)
    expected = rr * as_double(case.a.D[FIELD]) * (b * as_double(pieces.out)).sum(axis=1)
    case.close(dots.T, np.stack([expected, expected], axis=1))


def test_residuals_are_restricted_and_corrections_prolonged(case):
    pieces, first = Pieces(case), case.a.weights[0]
    b, x = as_double(pieces.b), as_double(pieces.x)
    given = pieces.b, pieces.x, pieces.parent, pieces.coarse, pieces.out
    case.launch("prolong_finest", *pieces.sizes, *pieces.table, first, *given)
    case.close(pieces.out, pieces.smoothed(first, b, x + as_double(pieces.coarse)[:, pieces.parent]))
    coarse_b, coarse_x = (np.full_like(pieces.coarse, np.nan) for _ in range(2))
    links = pieces.tables.child_start[0], pieces.tables.child[0], pieces.coarse_inverse
    given = pieces.b, pieces.x, *links, first, coarse_b, coarse_x
    case.launch("restrict_finest", *pieces.sizes, *pieces.table, *given)
    left = pieces.left(b, x)
    expected = of_designs(lambda d: np.bincount(pieces.parent, weights=left[d], minlength=pieces.sizes[1]))
    case.close(coarse_b, expected)
    case.close(coarse_x, first * expected * as_double(pieces.coarse_inverse))


def test_each_piece_of_the_cycle_above_the_voxels(case):
    """Smoothing, residual with restriction, prolongation with smoothing, against the same in whole arrays."""
    case.set_operator()
    (first, second), t, small = case.a.weights, case.a.tables(FIELD), case.a.small_type
    n, coarse_n = t.sizes[1:3]
    b, x, coarse = (case.random.uniform(size=(DESIGNS, k)).astype(small) for k in (n, n, coarse_n))
    inverse, coarse_inverse = (case.a.inverse[FIELD][k] for k in (1, 2))
    bd, xd, weights, parent = as_double(b), as_double(x), as_double(inverse), t.parent[1]

    def image(v):
        return v / weights - (t.g[1] * v[:, t.neighbour[1]]).sum(axis=1)

    table, out = (t.neighbour[1].shape[0], t.neighbour[1], t.g[1], inverse), np.full_like(b, np.nan)
    case.launch("smooth", n, *table, second, b, x, out)
    case.close(out, xd + second * (bd - image(xd)) * weights)
    y = xd + as_double(coarse)[:, parent]
    case.launch("prolong_smooth", n, coarse_n, *table, first, b, x, parent, coarse, out)
    case.close(out, y + first * (bd - image(y)) * weights)
    coarse_b, coarse_x = np.full_like(coarse, np.nan), np.full_like(coarse, np.nan)
    links = t.child_start[1], t.child[1], coarse_inverse
    case.launch("residual_restrict", n, coarse_n, *table, b, x, *links, first, coarse_b, coarse_x)
    left = bd - image(xd)
    expected = of_designs(lambda d: np.bincount(parent, weights=left[d], minlength=coarse_n))
    case.close(coarse_b, expected)
    case.close(coarse_x, first * expected * as_double(coarse_inverse))


@pytest.mark.parametrize("most_nodes", [1, 60, 10_000])
def test_cycle_is_that_of_the_reference_wherever_the_small_levels_begin(name, most_nodes):
    case = Case(name, "float64", most_nodes)
    case.set_operator()
    tables, (b, found, other, _) = case.a.tables(FIELD), case.a.cycle_vectors(0, case.n)
    case.a.r[...], rr, rho = case.vector(low=-1.0), np.ones(DESIGNS), np.zeros(DESIGNS)
    case.solver._precondition(FIELD, rr, b, [found, other], rho)
    right = as_double(case.a.r) / as_double(case.a.D[FIELD])[:, None]
    case.close(b, right)
    case.close(found, of_designs(lambda d: case.twins[d]._cycle(FIELD, 0, right[d])))
    case.close(rho[:, None], (as_double(case.a.r) * found).sum(axis=1, keepdims=True))
    begins = {1: case.plan.group(FIELD).hierarchy.n_levels - 1, 60: 1, 10_000: 0}[most_nodes]
    assert tables.first_small == begins


def solve(case, rhs, iterations):
    """(solution, sums over the pockets of what is left, its norm) of both designs."""
    case.a.r[...] = rhs
    x = case.a.terms[0]
    x[...] = np.nan  # begun from zero all the same
    first, last = np.zeros((DESIGNS, 1)), np.zeros((DESIGNS, 1))
    residual = np.full((DESIGNS, case.a.tables(FIELD).n_pockets), np.nan)
    case.solver.square(first)
    case.solver.solve(FIELD, first, last, iterations, x, FIELD, residual)
    return x[:, FIELD].copy(), residual, np.sqrt(last[:, 0])


@pytest.mark.parametrize("most_nodes", [1, 60])
def test_solve_is_that_of_the_reference(name, most_nodes, monkeypatch):
    """One iteration, two, as a step takes, three, and enough to converge."""
    case = Case(name, "float64", most_nodes)
    case.set_operator()
    rhs = case.vector(low=-1.0)
    for iterations, tolerance in ((1, 1e-10), (2, 1e-10), (3, 1e-10), (12, 1e-9)):
        found, residual, size = solve(case, rhs, iterations)
        for d, twin in enumerate(case.twins):
            exact = np.zeros(case.n)
            if iterations < 12:
                monkeypatch.setattr(reference, "MAX_ITERATIONS", iterations)
                assert twin.solve(FIELD, rhs[d].copy(), exact, 0.0).iterations == iterations
            else:
                exact = np.linalg.solve(dense(twin, case.n), rhs[d])
            np.testing.assert_allclose(found[d], exact, rtol=0, atol=tolerance * np.abs(exact).max())
            left, rounding = rhs[d] - twin._apply(FIELD, found[d]), 1e-12 * np.abs(rhs).max()
            np.testing.assert_allclose(residual[d], twin.pocket_sums(FIELD, left), atol=rounding * case.n)
            np.testing.assert_allclose(size[d], np.linalg.norm(left), rtol=1e-12, atol=rounding * np.sqrt(case.n))


def test_solve_with_a_single_precision_cycle_converges_as_well(name):
    case = Case(name, "mixed", 60)
    case.set_operator()
    rhs = case.vector(low=-1.0)
    found, _, _ = solve(case, rhs, 12)
    for d, twin in enumerate(case.twins):
        exact = np.linalg.solve(dense(twin, case.n), rhs[d])
        np.testing.assert_allclose(found[d], exact, rtol=0, atol=1e-9 * np.abs(exact).max())


def test_nothing_to_solve_is_solved(name):
    """A zero right-hand side: no division by the zero products."""
    case = Case(name, "float64", 60)
    case.set_operator()
    found, residual, size = solve(case, np.zeros((DESIGNS, case.n)), 2)
    assert not found.any() and not residual.any() and not size.any()


def dense(twin, n):
    """The operator of the reference backend as a matrix."""
    return np.stack([twin._apply(FIELD, row) for row in np.eye(n)], axis=1)

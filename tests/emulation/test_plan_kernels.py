"""Every kernel that is not generated, run on the host over small irregular plans, against the reference backend."""

from functools import cache

import numpy as np
import pytest
from tests import scenarios
from tests.emulation.device import Device
from tests.emulation.host import HostKernels, close, make_build

from payloadfield.backends.base import smoother_weights
from payloadfield.backends.reference import ReferenceBackend
from payloadfield.mechanism import generate
from payloadfield.solver.discretisation import make_plan

SCENARIOS = {
    "gel_under_a_finite_bath": scenarios.finite_bath,
    "periodic": scenarios.periodic_sides,
    "closed_pocket": scenarios.closed_pocket,
}
SG, FIELD = 3e-4, 1


@cache
def find_plan(name):
    return make_plan(SCENARIOS[name]())


@cache
def find_host(precision):
    return HostKernels(make_build(precision))


class Case:
    """A plan, the device's side of it and the reference backend, with random vectors in the device's types."""

    def __init__(self, name, precision, most_nodes=0):
        self.plan, self.host = find_plan(name), find_host(precision)
        self.build, self.launch, self.n = self.host.build, self.host.launch, self.plan.n_open
        code = generate(self.plan.mechanism, "numpy").module
        self.twin = ReferenceBackend(self.plan, "float64", code)
        self.device = Device(self.plan, self.host, FIELD, most_nodes)
        self.random = np.random.default_rng(5)

    def vector(self, *shape, low=0.0):
        """Random numbers from `low` to 1, as they are in the device's memory."""
        return self.device.as_real(self.random.uniform(low, 1.0, shape or (self.n,)))

    def set_operator(self):
        extra = self.device.as_real(10.0 * self.vector())
        self.device.set_operator(SG, extra)
        self.twin.set_operator(FIELD, float(self.device.real.type(SG)), as_double(extra))

    def close(self, got, expected):
        close(got, expected, self.build)


def as_double(values):
    return np.asarray(values, float).copy()


@pytest.fixture(params=list(SCENARIOS))
def name(request):
    return request.param


@pytest.fixture(params=["float64", "float32", "mixed"])
def case(request, name):
    return Case(name, request.param)


def test_plans_are_irregular_and_span_several_blocks(name):
    plan = find_plan(name)
    assert plan.n_open > 3 * find_host("float64").build.block and plan.n_open % find_host("float64").build.block
    assert (plan.neighbour == np.arange(plan.n_open)).any() and plan.bath.voxel.size
    assert plan.group(FIELD).hierarchy.n_levels >= 3
    if name == "closed_pocket":
        assert plan.group(FIELD).n_pockets > 1


# --- vectors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_terms", [0, 1, 3, 4])
def test_combine(case, n_terms):
    base, terms, coefficients = case.vector(), case.vector(4, case.n, low=-1.0), case.vector(4, low=-1.0)
    out, twin = case.device.empty(base), np.zeros(case.n)
    case.launch("combine", case.n, n_terms, base, terms, coefficients, out)
    case.twin.combine(twin, as_double(base), as_double(terms[:n_terms]), as_double(coefficients))
    case.close(out, twin)
    case.launch("combine_terms", case.n, n_terms, terms, coefficients, out)
    case.twin.combine(twin, None, as_double(terms[:n_terms]), as_double(coefficients))
    case.close(out, twin)


def test_clamp_add_product_and_shift_pockets(case):
    a, b, out = case.vector(low=-1.0), case.vector(), case.vector()
    clamped, twin, product = case.device.empty(a), np.zeros(case.n), as_double(out)
    case.launch("clamp", case.n, a, clamped)
    case.twin.clamp(twin, as_double(a))
    np.testing.assert_array_equal(clamped, twin)
    case.launch("add_product", case.n, 0.75, a, b, out)
    case.twin.add_product(product, as_double(a), as_double(b), 0.75)
    case.close(out, product)
    group = case.plan.group(FIELD)
    shift, shifted = case.vector(group.n_pockets), as_double(out)
    case.launch("shift_pockets", case.n, group.pocket, shift, out)
    case.twin.shift_pockets(FIELD, as_double(shift), shifted)
    case.close(out, shifted)


def test_gather(case):
    cells = case.plan.cells
    entries, out = case.vector(len(cells.entry_voxel), low=-1.0), case.vector()
    twin = as_double(out)
    touched = cells.touched_voxel, cells.touched_start, cells.touched_entry
    case.launch("gather", len(cells.touched_voxel), 1.5, *touched, entries, out)
    case.twin.gather(as_double(entries), 1.5, twin)
    case.close(out, twin)


# --- transport -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_terms", [0, 2, 3])
def test_stage_right_hand_side(case, n_terms):
    plan, device = case.plan, case.device
    value, out, terms = case.vector(), case.vector(), case.vector(4, plan.n_fields, case.n, low=-1.0)
    coefficients, bath, twin = case.vector(4, low=-1.0), case.vector(1), as_double(out)
    case.launch(
        "stage_rhs", case.n, plan.n_fields, FIELD, n_terms, device.D, plan.neighbour, device.g, device.capacity,
        value, terms, coefficients, out,
    )  # fmt: skip
    case.launch("bath_flux", plan.bath.voxel.size, plan.bath.voxel, device.bath, bath, value, out)
    stage = as_double(terms[:n_terms, FIELD])
    case.twin.stage_rhs(FIELD, as_double(value), float(bath[0]), stage, as_double(coefficients[:n_terms]), twin)
    case.close(out, twin)


def test_bath_inflow_and_coupling(case):
    contact, value, bath, out = case.plan.bath, case.vector(), case.vector(1), np.zeros(case.n, case.device.real)
    partial, twin = case.device.partial(contact.voxel.size), np.zeros(case.n)
    case.launch("bath_inflow", contact.voxel.size, contact.voxel, case.device.bath, bath, value, partial)
    case.close(case.device.add_up(partial), [case.twin.bath_inflow(FIELD, as_double(value), float(bath[0]))])
    case.launch("bath_coupling", contact.voxel.size, contact.voxel, case.device.bath, out)
    case.twin.bath_coupling(FIELD, twin)
    case.close(out, twin)


def test_operator_its_product_and_what_it_leaves_of_a_right_hand_side(case):
    case.set_operator()
    device, value, rhs = case.device, case.vector(low=-1.0), case.vector(low=-1.0)
    operator = device.D, case.plan.neighbour, device.g, device.zeroth
    image, partial, left = device.empty(value), device.partial(case.n), as_double(rhs)
    case.launch("apply_dot", case.n, *operator, value, image, partial)
    expected = case.twin._apply(FIELD, as_double(value))
    case.close(image, expected)
    case.close(device.add_up(partial), [as_double(value) @ expected])
    case.launch("subtract_image", case.n, *operator, value, rhs)
    case.twin.subtract_image(FIELD, as_double(value), left)
    case.close(rhs, left)


def test_what_leaves_one_voxel_enters_another(case):
    """Without capacity and bath the sum of all fluxes is round-off of single terms."""
    device, value, out = case.device, case.vector(), np.zeros(case.n, case.device.real)
    terms, coefficients = case.vector(4, case.plan.n_fields, case.n), case.vector(4)
    case.launch(
        "stage_rhs", case.n, case.plan.n_fields, FIELD, 0, device.D, case.plan.neighbour, device.g, device.capacity,
        value, terms, coefficients, out,
    )  # fmt: skip
    assert abs(as_double(out).sum()) < 20 * np.finfo(device.real).eps * np.abs(out).sum()


# --- sums ------------------------------------------------------------------------------------------------


def test_sums_over_voxels_rows_and_pockets(case):
    a, b, rows = case.vector(low=-1.0), case.vector(), case.vector(3, case.n)
    case.close(case.device.dot(a, b), [as_double(a) @ as_double(b)])
    case.close(case.device.dot(a, a), [case.twin.norm(as_double(a)) ** 2])
    case.close(case.device.dot(case.device.capacity, b), [case.twin.amount(FIELD, as_double(b))])
    partial = case.device.partial(case.n, rows=3)
    case.launch("row_sums", case.n, 3, rows, partial)
    case.close(case.device.add_up(partial)[:, None], case.twin.sums(as_double(rows))[:, None])
    case.close(case.device.pocket_sums(b)[:, None], case.twin.pocket_sums(FIELD, as_double(b))[:, None])


def test_error_norms(case):
    device, error, old, new = case.device, case.vector(low=-1.0), case.vector(low=-1.0), case.vector()
    partial = device.partial(case.n)
    case.launch("error_norm", case.n, 0.5, device.capacity, error, old, new, partial)
    found = np.sqrt(device.add_up(partial) / case.plan.field_capacity(FIELD).sum())
    case.close(found, [case.twin.error_norm(FIELD, *map(as_double, (error, old, new)), 0.5)])
    shape = case.plan.n_states, case.plan.cells.n_cells
    error, old, new, floor = (case.vector(*s, low=0.1) for s in (shape, shape, shape, shape[:1]))
    partial = np.full((shape[0], 1), np.nan)
    case.launch("state_error_norms", shape[1], shape[0], floor, error, old, new, partial)
    expected = case.twin.state_error_norms(*map(as_double, (error, old, new, floor)))
    case.close(np.sqrt(device.add_up(partial) / shape[1])[:, None], expected[:, None])


# --- multigrid and conjugate gradients -------------------------------------------------------------------


def test_diagonals_of_all_levels(case):
    case.set_operator()
    levels = case.twin._levels[FIELD]
    expected = np.split(1.0 / levels.diagonal, levels.hierarchy.offset[1:-1])
    for got, twin in zip(case.device.inverse, expected, strict=True):
        case.close(got, twin)
    case.close(case.device.zeroth, case.twin._zeroth[FIELD])


def test_each_piece_of_the_cycle_on_each_level(case):
    """Smoothing, residual with restriction, prolongation with smoothing, against the same in whole arrays."""
    case.set_operator()
    first, second = case.device.weights
    for k, level in enumerate(case.device.levels[:-1]):
        coarse_level = case.device.levels[k + 1]
        b, x = (np.asarray(case.vector(level.n), case.device.small) for _ in range(2))
        coarse = np.asarray(case.vector(coarse_level.n), case.device.small)
        inverse = as_double(case.device.inverse[k])

        def image(v, k=k, inverse=inverse, level=level):
            table = level.g * v[level.neighbour]
            return v / inverse - table.sum(axis=0)

        bd, xd = as_double(b), as_double(x)
        out = case.device.empty(b)
        case.launch("scale", level.n, first, case.device.inverse[k], b, out)
        case.close(out, first * bd * inverse)
        case.launch("smooth", level.n, *case.device.table(k), second, b, x, out)
        case.close(out, xd + second * (bd - image(xd)) * inverse)
        y = xd + as_double(coarse)[level.parent]
        case.launch("prolong_smooth", level.n, *case.device.table(k), first, b, x, level.parent, coarse, out)
        case.close(out, y + first * (bd - image(y)) * inverse)
        coarse_b, coarse_x = case.device.empty(coarse), case.device.empty(coarse)
        links = level.child_start, level.child, case.device.inverse[k + 1]
        case.launch(
            "residual_restrict", level.n, coarse_level.n, *case.device.table(k), b, x, *links, first, coarse_b, coarse_x
        )
        expected = np.bincount(level.parent, weights=bd - image(xd), minlength=coarse_level.n)
        case.close(coarse_b, expected)
        case.close(coarse_x, first * expected * as_double(links[2]))


@pytest.mark.parametrize("most_nodes", [0, 60, 10_000])
def test_cycle_is_that_of_the_reference_wherever_the_small_levels_begin(name, most_nodes):
    case = Case(name, "float64", most_nodes)
    case.set_operator()
    b = case.vector(low=-1.0)
    x = case.device.empty(b)
    case.launch("scale", case.n, smoother_weights()[0], case.device.inverse[0], b, x)
    case.close(case.device.cycle(b, x), case.twin._cycle(FIELD, 0, b))
    begins = {0: len(case.device.levels) - 1, 60: 1, 10_000: 0}[most_nodes]
    assert case.device.first_small == begins


@pytest.mark.parametrize("most_nodes", [0, 60])
def test_solve_is_that_of_the_reference(name, most_nodes):
    """Two iterations, as a step takes, and enough to converge."""
    case = Case(name, "float64", most_nodes)
    case.set_operator()
    rhs = case.vector(low=-1.0)
    for iterations, tolerance in ((2, 1e-10), (12, 1e-9)):
        left, out, twin = rhs.copy(), np.zeros(case.n), np.zeros(case.n)
        _, residual = case.device.solve(left, out, iterations)
        exact = np.linalg.solve(dense(case), rhs) if iterations > 2 else reference_solution(case, rhs, twin)
        np.testing.assert_allclose(out, exact, rtol=0, atol=tolerance * np.abs(exact).max())
        np.testing.assert_allclose(left, rhs - case.twin._apply(FIELD, out), atol=1e-12 * np.abs(rhs).max())
        assert residual == pytest.approx(np.linalg.norm(left), rel=1e-12)


def test_solve_with_a_single_precision_cycle_converges_as_well(name):
    case = Case(name, "mixed", 60)
    case.set_operator()
    rhs, out = case.vector(low=-1.0), np.zeros(case.n)
    case.device.solve(rhs.copy(), out, 12)
    exact = np.linalg.solve(dense(case), rhs)
    np.testing.assert_allclose(out, exact, rtol=0, atol=1e-9 * np.abs(exact).max())


def test_nothing_to_solve_is_solved(name):
    """A zero right-hand side: no division by the zero products."""
    case = Case(name, "float64")
    case.set_operator()
    rhs, out = np.zeros(case.n), np.zeros(case.n)
    assert case.device.solve(rhs, out, 2) == (2, 0.0)
    assert not out.any()


def dense(case):
    """The operator of the reference backend as a matrix."""
    return np.stack([case.twin._apply(FIELD, row) for row in np.eye(case.n)], axis=1)


def reference_solution(case, rhs, out):
    """Two iterations of the reference backend: it stops where a residual is small enough, so ask for what two leave."""
    left, device = rhs.copy(), case.device
    _, enough = device.solve(rhs.copy(), np.zeros(case.n), 2)
    assert case.twin.solve(FIELD, left, out, enough * (1 + 1e-9)).iterations == 2
    return out

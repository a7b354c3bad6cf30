"""Kernels of multigrid and of the conjugate gradients, over small irregular plans, against the reference backend."""

import numpy as np
import pytest
from tests.emulation.plan_cases import DESIGNS, FIELD, Case, as_double, dense, of_designs

from payloadfield.backends import reference


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

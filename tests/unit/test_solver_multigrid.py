"""The preconditioner: a symmetric positive operator, one node per pocket at its end, few iterations on any geometry."""

import numpy as np
import pytest
from scipy import ndimage
from tests import handmade

from payloadfield.backends.registry import make_backend
from payloadfield.geometry import LabelArray, Woodpile
from payloadfield.solver.discretisation import make_plan

BATH_ON_TOP = {"z_high": "bath"}


def plan_of(label, gel=None, boundary=BATH_ON_TOP, diffusivity=60.0):
    """Plan of one solute in the zeros of a label array; ones are solid, or a gel of that relative diffusivity."""
    other = handmade.SOLID if gel is None else handmade.make_gel(gel, 1.0)
    shapes = [LabelArray(label.astype(np.uint8), {0: None, 1: other.name})]
    geometry = handmade.make_box(label.shape, 10.0, shapes=shapes, materials=(handmade.MEDIUM, other))
    return plan_in(geometry, boundary, diffusivity)


def plan_in(geometry, boundary=BATH_ON_TOP, diffusivity=60.0):
    """Plan of one solute in a geometry."""
    options = {"boundary": boundary, "initial": {"solute": 1.0}, "parameters": {"D": diffusivity}}
    return make_plan(handmade.make_study("diffusion", geometry, duration=1.0, **options))


def woodpile(n):
    """A third of the volume in crossed strands."""
    strands = Woodpile("solid", strand_diameter=60.0, strand_spacing=120.0, layer_height=50.0)
    return plan_in(handmade.make_box((n, n, n), 10.0, shapes=[strands]))


def walls(n):
    """Rooms of 7^3 behind walls one voxel thick, with a hole to each neighbour."""
    rng, label = np.random.default_rng(0), np.zeros((n, n, n))
    for axis in range(3):
        view = np.moveaxis(label, axis, 0)
        view[7::8] = 1
    for axis in range(3):
        view = np.moveaxis(label, axis, 0)
        for wall in range(7, n, 8):
            for a in range(0, n, 8):
                for b in range(0, n, 8):
                    view[wall, a + rng.integers(min(7, n - a)), b + rng.integers(min(7, n - b))] = 0
    return plan_of(label)


def channels(n):
    """Channels three voxels wide along all axes."""
    narrow = np.arange(n) % 8 < 3
    across = narrow[:, None, None].astype(int) + narrow[None, :, None] + narrow[None, None, :]
    return plan_of(across < 2)


def random_holes(n):
    """The largest connected part of voxels open at random, two in five."""
    pieces, _ = ndimage.label(np.random.default_rng(0).random((n, n, n)) < 0.4)
    return plan_of(pieces != np.bincount(pieces.ravel())[1:].argmax() + 1)


def strands_of_gel(n):
    """Strands in which everything diffuses a hundred times more slowly."""
    wide = np.arange(n) % 12 < 5
    return plan_of(wide[:, None, None] & wide[None, :, None] & np.ones(n, bool), gel=0.01)


# Iterations to a residual of 1e-8 after a step of 1e4 s, as measured, and a fifth more.
MOST_ITERATIONS = {woodpile: 16, walls: 30, channels: 17, random_holes: 40, strands_of_gel: 16}


@pytest.mark.parametrize("diffusivity", [60.0, 500.0])
@pytest.mark.parametrize("make", MOST_ITERATIONS, ids=lambda f: f.__name__)
def test_iterations_stay_few_on_every_kind_of_geometry(make, diffusivity):
    n = 24
    backend = make_backend("numba", make(n), handmade.make_solver())
    backend.set_operator(0, 1.0 / (0.436 * 1e4), np.zeros(backend.plan.n_open))
    rhs = backend.plan.field_capacity(0) * np.random.default_rng(1).normal(size=backend.plan.n_open)
    report = backend.solve(0, rhs, np.zeros_like(rhs), 1e-8 * np.linalg.norm(rhs))
    assert 3 < report.iterations <= MOST_ITERATIONS[make]


def small():
    """A sponge of 5 x 4 x 6 voxels with several pockets, joined along x."""
    label = (np.random.default_rng(5).random((5, 4, 6)) < 0.55).astype(np.uint8)
    shapes = [LabelArray(label, {0: None, 1: "solid"})]
    geometry = handmade.make_box(label.shape, 10.0, (False, False, True), shapes)
    return plan_in(geometry, BATH_ON_TOP | {"x_low": "periodic", "x_high": "periodic"})


@pytest.mark.parametrize("dt", [1.0, 1e6])
def test_the_cycle_is_a_symmetric_positive_operator(dt):
    backend = make_backend("numpy", small(), handmade.make_solver(precision="float64"))
    n = backend.plan.n_open
    backend.set_operator(0, 1.0 / dt, np.zeros(n))
    matrix = np.array([backend._precondition(0, unit) for unit in np.eye(n)])
    assert np.abs(matrix - matrix.T).max() < 1e-12 * np.abs(matrix).max()
    assert np.linalg.eigvalsh(matrix).min() > 0.0


@pytest.mark.parametrize("dt", [1.0, 1e6])
def test_preconditioned_operator_has_no_eigenvalue_beyond_what_the_over_correction_makes(dt):
    backend = make_backend("numpy", small(), handmade.make_solver(precision="float64"))
    n = backend.plan.n_open
    backend.set_operator(0, 1.0 / dt, np.zeros(n))
    product = np.array([backend._precondition(0, backend._apply(0, unit)) for unit in np.eye(n)]).T
    eigenvalues = np.linalg.eigvals(product).real
    assert eigenvalues.min() > 0.1 and eigenvalues.max() < 2.2


def test_the_last_level_is_one_node_for_each_pocket():
    plan = small()
    group = plan.groups[0]
    h = group.hierarchy
    assert group.n_pockets > 3
    node = np.arange(plan.n_open)
    for level in range(h.n_levels - 1):
        node = h.parent[h.offset[level] :][node]
    assert h.offset[-1] - h.offset[-2] == group.n_pockets
    assert len({*zip(node.tolist(), group.pocket.tolist(), strict=True)}) == group.n_pockets


@pytest.mark.parametrize("sg", [1e-3, 1e-6, 1e-9])
def test_closed_pockets_are_solved_however_long_the_step(sg):
    plan = plan_of(np.random.default_rng(5).random((5, 4, 6)) < 0.55, boundary={})
    backend = make_backend("numba", plan, handmade.make_solver())
    backend.set_operator(0, sg, np.zeros(plan.n_open))
    level = np.arange(1.0, plan.groups[0].n_pockets + 1)[plan.groups[0].pocket]
    rhs, solution = sg * plan.field_capacity(0) * level, np.zeros(plan.n_open)
    report = backend.solve(0, rhs, solution, 1e-6 * np.linalg.norm(rhs))
    assert report.iterations < 15
    np.testing.assert_allclose(solution, level, rtol=1e-4)


def test_coarse_conductances_are_half_the_sums_of_fine_ones():
    plan = small()
    group, h = plan.groups[0], plan.groups[0].hierarchy
    assert h.n_levels > 2
    i, j = (np.broadcast_to(np.arange(plan.n_open), (6, plan.n_open)), plan.neighbour)
    a, b = h.parent[: plan.n_open][i], h.parent[: plan.n_open][j]
    dense = np.zeros((h.offset[2] - h.offset[1],) * 2)
    np.add.at(dense, (a, b), 0.5 * group.conductance.astype(float) * (a != b))
    row = np.repeat(np.arange(len(dense)), np.diff(h.row_start[: len(dense) + 1]))
    found = np.zeros_like(dense)
    found[row, h.column[: len(row)]] = h.conductance[: len(row)]
    np.testing.assert_allclose(found, dense, rtol=1e-6)

"""Layouts: monolayers, gradients, patterns and spheroids are what was asked for, measured on the cells."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import cKDTree

from payloadfield.cells import CellRequest, CellShare, Gradient, Spheroids, place_cells, surface_area
from payloadfield.cells.pattern import random_field
from payloadfield.geometry import (
    MEDIUM,
    Box,
    Cylinder,
    Material,
    Sphere,
    VoxelGrid,
    Woodpile,
    find_pockets,
    make_geometry,
)

SOLID, GEL, GELMA = Material("solid", "impermeable"), Material("gel", "gel"), Material("GelMA", "gel")
MATERIALS = [MEDIUM, SOLID, GEL, GELMA]
# A sound sample falls below this once in a million draws.
IMPROBABLE = 1e-6


def make(shape, h=10.0, shapes=(), periodic=(False, False, False)):
    return make_geometry(VoxelGrid(shape, h, periodic), list(shapes), MATERIALS)


def place(geometry, *requests, seed=7, sides=("z_high",)):
    return place_cells(requests, geometry, find_pockets(geometry, sides), seed)


def nearest(cells):
    """Distance of every cell to the next one."""
    period = np.array(cells.period)
    wraps = np.isfinite(period)
    points = np.where(wraps, np.mod(cells.position, np.where(wraps, period, 1)), cells.position)
    return cKDTree(points, boxsize=np.where(wraps, period, 0)).query(points, k=2)[0][:, 1]


def p_of_counts(counts, expected):
    expected = np.asarray(expected, float)
    return stats.chisquare(counts, expected * np.sum(counts) / expected.sum()).pvalue


# Monolayers


@pytest.fixture(scope="module")
def floor():
    """A flat floor of 400 x 600 um inside voxels."""
    return make((6, 40, 60), shapes=[Box("solid", (-9, -9, -9), (24, 999, 999))], periodic=(False, True, True))


@pytest.mark.parametrize("coverage", [0.2, 0.7, 1.0])
def test_coverage_is_the_share_of_the_surface_under_the_cells(floor, coverage):
    cells = place(floor, CellRequest("a", 8.0, coverage=coverage))
    assert cells.n_cells == round(coverage * 400 * 600 / (math.pi * 64))
    wide = place(floor, CellRequest("a", 8.0, coverage=coverage, spread_area=600.0))
    assert wide.n_cells == round(coverage * 400 * 600 / 600)


def test_density_per_area_counts_cells_on_the_surface(floor):
    cells = place(floor, CellRequest("a", 8.0, area_density=5e4 / 1e8))
    assert cells.n_cells == round(5e4 / 1e8 * 400 * 600)


def test_cells_of_a_monolayer_lie_on_the_wall_and_keep_apart(floor):
    cells = place(floor, CellRequest("a", 8.0, coverage=0.8))
    np.testing.assert_allclose(cells.position[:, 0], 24.0, atol=1e-3)
    hexagonal = math.sqrt(2 / math.sqrt(3) * 400 * 600 / cells.n_cells)
    assert nearest(cells).min() >= 0.65 * hexagonal
    # Without the distance, as cells on a surface lie by default, they come much closer.
    assert nearest(place(floor, CellRequest("a", 8.0, count=cells.n_cells))).min() < 0.3 * hexagonal


def test_a_monolayer_is_even_over_a_curved_wall():
    geometry = make(
        (30, 30, 24), shapes=[Cylinder("solid", "x", (150.3, 149.2, 0), 81.7)], periodic=(False, False, True)
    )
    cells = place(geometry, CellRequest("a", 6.0, coverage=0.9))
    z, y = cells.position[:, 0] - 150.3, cells.position[:, 1] - 149.2
    area = surface_area(geometry).sum()
    assert area == pytest.approx(2 * math.pi * 81.7 * 240, rel=5e-3)
    assert cells.n_cells == round(0.9 * area / (math.pi * 36))
    assert np.abs(np.hypot(z, y) - 81.7).max() < 0.25  # h^2 / 8 R = 0.15 between a chord and its arc
    angle = np.histogram(np.arctan2(z, y), 16, (-math.pi, math.pi))[0]
    assert p_of_counts(angle, np.ones(16)) > IMPROBABLE
    assert angle.std() < 0.5 * math.sqrt(angle.mean())  # evener than chance


def test_a_monolayer_covers_gel_too():
    geometry = make((4, 20, 20), shapes=[Box("gel", (-1, -1, -1), (999, 100, 999))], periodic=(True, False, True))
    cells = place(geometry, CellRequest("a", 4.0, coverage=0.5), sides=())
    np.testing.assert_allclose(cells.position[:, 1], 100.0, atol=1e-3)
    assert cells.n_cells == round(0.5 * 40 * 200 / (math.pi * 16))


def test_monolayers_of_two_tables_share_a_surface(floor):
    cells = place(floor, CellRequest("a", 8.0, coverage=0.6), CellRequest("b", 8.0, coverage=0.6))
    assert cells.n_cells == 2 * round(0.6 * 400 * 600 / (math.pi * 64))


# Gels and gradients


def test_gel_laden_cells_lie_in_one_material_at_its_density():
    shapes = [Box("gel", (-1, -1, -1), (999, 150, 999)), Box("GelMA", (-1, 150, -1), (999, 999, 999))]
    geometry = make((20, 30, 20), shapes=shapes)
    cells = place(geometry, CellRequest("a", 6.0, density=2e-5, place="gel", material="GelMA"), sides=())
    assert cells.n_cells == round(2e-5 * 200 * 150 * 200)
    assert (cells.position[:, 1] > 150).all()
    assert (place(geometry, CellRequest("a", 6.0, density=2e-5, place="gel"), sides=()).position[:, 1] < 150).any()


@pytest.mark.parametrize(("axis", "column"), [("z", 0), ("y", 1), ("x", 2)])
@pytest.mark.parametrize("distance", [0.0, 6.0])
def test_a_gradient_along_an_axis_is_linear(axis, column, distance):
    geometry = make((24, 24, 24), 20.0)
    request = CellRequest(
        "a", 4.0, count=4000, place="medium", gradient=Gradient(axis, 1.0, 0.2), minimum_distance=distance
    )
    cells = place(geometry, request, sides=())
    counts = np.histogram(cells.position[:, column], 8, (0, 480))[0]
    expected = 1.0 - 0.8 * (np.arange(8) + 0.5) / 8
    assert cells.n_cells == 4000
    assert p_of_counts(counts, expected) > IMPROBABLE
    assert p_of_counts(counts, np.ones(8)) < IMPROBABLE  # the test can tell
    for other in {0, 1, 2} - {column}:
        assert p_of_counts(np.histogram(cells.position[:, other], 8, (0, 480))[0], np.ones(8)) > IMPROBABLE


def test_a_gradient_from_the_surface_ends_at_its_length():
    geometry = make((40, 40, 40), shapes=[Box("gel", (-1, -1, -1), (999, 999, 300))])
    gradient = Gradient("surface", 1.0, 0.0, 120.0)
    cells = place(geometry, CellRequest("a", 4.0, count=3000, place="gel", gradient=gradient), sides=("x_high",))
    depth = 300 - cells.position[:, 2]
    assert depth.max() <= 130  # a voxel takes the density at its centre
    middle = np.arange(12) * 10 + 5
    expected = 1 - (middle - 0) / 120
    assert p_of_counts(np.histogram(depth, 12, (0, 120))[0], np.maximum(expected, 0.01)) > IMPROBABLE


# Several types


def test_shares_of_types_are_met_to_the_last_cell():
    geometry = make((20, 20, 20))
    others = (CellShare("b", 5.0, 0.25), CellShare("c", 7.0, 0.151))
    cells = place(geometry, CellRequest("a", 4.0, count=1001, place="medium", shares=others), sides=())
    assert np.bincount(cells.type_index).tolist() == [600, 250, 151]
    assert set(cells.radius[cells.type_index == 1]) == {5.0} and set(cells.radius[cells.type_index == 2]) == {7.0}
    assert cells.type_names == ("a", "b", "c")


def same_type(cells, low, high):
    """Mean product of the signs of two types over pairs of cells at these distances."""
    sign = np.where(cells.type_index == 0, 1.0, -1.0)
    tree = cKDTree(cells.position, boxsize=cells.period)
    pairs = tree.query_pairs(high, output_type="ndarray")
    gap = cells.position[pairs[:, 0]] - cells.position[pairs[:, 1]]
    gap -= np.array(cells.period) * np.round(gap / np.array(cells.period))
    pairs = pairs[np.sqrt((gap**2).sum(axis=1)) > low]
    return float((sign[pairs[:, 0]] * sign[pairs[:, 1]]).mean())


@pytest.mark.parametrize("length", [40.0, 70.0])
def test_patches_have_the_correlation_length_asked_for(length):
    geometry = make((50, 50, 50), 10.0, periodic=(True, True, True))
    request = CellRequest(
        "a", 4.0, count=12000, place="medium", shares=(CellShare("b", 4.0, 0.5),), pattern="patches",
        correlation_length=length,
    )  # fmt: skip
    cells = place(geometry, request, sides=())
    assert np.bincount(cells.type_index).tolist() == [6000, 6000]
    for share in (0.3, 0.6, 1.0, 1.5):
        r = share * length
        expected = 2 / math.pi * math.asin(math.exp(-(share**2)))  # of a Gaussian field cut at its median
        assert same_type(cells, 0.95 * r, 1.05 * r) == pytest.approx(expected, abs=0.08)
    mixed = place(geometry, CellRequest("a", 4.0, count=12000, place="medium", shares=request.shares), sides=())
    assert abs(same_type(mixed, 0.3 * length, 0.6 * length)) < 0.02


def test_patches_of_three_types_are_each_in_one_piece_with_their_like():
    geometry = make((40, 40, 40), 10.0, periodic=(True, True, True))
    others = (CellShare("b", 4.0, 0.3), CellShare("c", 4.0, 0.2))
    request = CellRequest(
        "a", 4.0, count=6000, place="medium", shares=others, pattern="patches", correlation_length=100.0
    )
    cells = place(geometry, request, sides=())
    assert np.bincount(cells.type_index).tolist() == [3000, 1800, 1200]
    next_one = cKDTree(cells.position, boxsize=cells.period).query(cells.position, k=2)[1][:, 1]
    for number in range(3):
        own = cells.type_index == number
        assert (cells.type_index[next_one[own]] == number).mean() > 0.8


def test_the_random_field_is_standard_normal_with_its_correlation():
    rng = np.random.default_rng(5)
    spots = rng.random((2000, 3)) * 1000
    step = rng.normal(size=(2000, 3))
    step *= 30.0 / np.linalg.norm(step, axis=1)[:, None]
    value, moved = np.zeros((2, 20, 2000))
    for i in range(20):
        field = random_field(np.random.default_rng(i), np.concatenate([spots, spots + step]), 50.0, [math.inf] * 3)
        value[i], moved[i] = field[:2000], field[2000:]
    assert value.mean() == pytest.approx(0, abs=0.05) and value.std() == pytest.approx(1, abs=0.05)
    assert (value * moved).mean() == pytest.approx(math.exp(-((30 / 50) ** 2)), abs=0.05)
    assert stats.kurtosis(value.ravel()) == pytest.approx(0, abs=0.3)


def test_the_random_field_continues_through_periodic_sides():
    spots = np.random.default_rng(1).random((50, 3)) * 200
    one, other = (
        random_field(np.random.default_rng(2), at, 60.0, (200, 200, math.inf))
        for at in (spots, spots + np.array([200, -400, 0]))
    )
    np.testing.assert_allclose(one, other, atol=1e-9)


# Spheroids


def ball(radius=150.0, fraction=0.5, centre=(200.0, 200.0, 200.0)):
    return Spheroids(np.array([centre]), np.array([radius]), fraction)


@pytest.fixture(scope="module")
def water():
    return make((40, 40, 40))


@pytest.mark.parametrize(("fraction", "n"), [(0.5, 3296), (0.8, 1318), (0.2, 5273)])
def test_the_interstitial_fraction_gives_the_number_of_cells(water, fraction, n):
    cells = place(water, CellRequest("a", 8.0, spheroids=ball(fraction=fraction)))
    assert cells.n_cells == n == round((1 - fraction) * (150 / 8) ** 3)
    assert 1 - cells.n_cells * 8**3 / 150**3 == pytest.approx(fraction, abs=1e-3)
    distance = np.linalg.norm(cells.position - 200, axis=1)
    assert distance.max() <= 150


@pytest.mark.parametrize(("fraction", "least", "most"), [(0.8, 0.999, 2.0), (0.5, 0.9, 1.15), (0.1, 0.9, 1.15)])
def test_packed_cells_keep_the_distance_of_rigid_ones(water, fraction, least, most):
    cells = place(water, CellRequest("a", 8.0, spheroids=ball(fraction=fraction)))
    expected = 16 * min(1, (0.55 / (1 - fraction)) ** (1 / 3))
    gap = nearest(cells) / expected
    assert gap.min() > least and gap.mean() < most
    # At random the nearest neighbours of so many cells are far closer.
    rng = np.random.default_rng(0)
    at_random = rng.normal(size=(cells.n_cells, 3))
    at_random *= (150 * rng.random(cells.n_cells) ** (1 / 3) / np.linalg.norm(at_random, axis=1))[:, None]
    assert (cKDTree(at_random).query(at_random, k=2)[0][:, 1] / expected).min() < 0.5


def test_a_spheroid_is_as_dense_everywhere_and_in_all_directions(water):
    cells = place(water, CellRequest("a", 6.0, spheroids=ball(fraction=0.4)))
    offset = cells.position - 200
    distance = np.linalg.norm(offset, axis=1)
    within = distance < 130
    shells = np.histogram((distance[within] / 130) ** 3, 6, (0, 1))[0]
    assert np.abs(shells / shells.mean() - 1).max() < 0.08
    octant = ((offset > 0) @ [4, 2, 1]).astype(int)
    counts = np.bincount(octant, minlength=8)
    assert np.abs(counts / counts.mean() - 1).max() < 0.06


def test_a_spheroid_is_no_lattice(water):
    """No two directions between neighbours are commoner than in a random packing."""
    cells = place(water, CellRequest("a", 8.0, spheroids=ball(fraction=0.5)))
    pairs = cKDTree(cells.position).query_pairs(17.0, output_type="ndarray")
    gap = cells.position[pairs[:, 0]] - cells.position[pairs[:, 1]]
    gap /= np.linalg.norm(gap, axis=1)[:, None]
    moment = np.linalg.eigvalsh(gap.T @ gap / len(gap))
    assert np.abs(moment - 1 / 3).max() < 0.02
    fourth = (gap**4).sum(axis=1).mean()  # 3/5 for directions at random in any frame
    assert fourth == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize("pattern", ["core", "shell"])
def test_core_and_shell_are_parted_by_radius(water, pattern):
    request = CellRequest("a", 8.0, spheroids=ball(), shares=(CellShare("b", 8.0, 0.4),), pattern=pattern)
    cells = place(water, request)
    distance = np.linalg.norm(cells.position - 200, axis=1)
    inner, outer = (0, 1) if pattern == "core" else (1, 0)
    share = np.mean(cells.type_index == inner)
    assert share == pytest.approx(0.6 if pattern == "core" else 0.4, abs=1e-3)
    border = 150 * share ** (1 / 3)
    assert np.mean(distance[cells.type_index == inner] < border + 6) > 0.99
    assert np.mean(distance[cells.type_index == outer] > border - 14) > 0.99


def test_several_spheroids_share_their_cells_by_volume():
    geometry = make((30, 30, 60))
    balls = Spheroids(np.array([[150.0, 150.0, 140.0], [150.0, 150.0, 420.0]]), np.array([120.0, 60.0]))
    cells = place(geometry, CellRequest("a", 8.0, count=900, spheroids=balls))
    left = cells.position[:, 2] < 280
    assert int(left.sum()) == 800
    assert np.linalg.norm(cells.position[~left] - [150, 150, 420], axis=1).max() <= 60


def test_a_spheroid_continues_through_periodic_sides():
    geometry = make((20, 20, 20), periodic=(True, True, True))
    cells = place(geometry, CellRequest("a", 8.0, spheroids=ball(60.0, 0.5, (5.0, 100.0, 195.0))), sides=())
    assert cells.n_cells == 211 and (cells.position >= 0).all() and (cells.position < 200).all()
    gap = cells.position - [5, 100, 195]
    assert np.linalg.norm(gap - 200 * np.round(gap / 200), axis=1).max() <= 60


def test_cells_of_unlike_size_are_packed_by_their_own_radii(water):
    request = CellRequest("a", 10.0, spheroids=ball(fraction=0.6), shares=(CellShare("b", 5.0, 0.5),))
    cells = place(water, request)
    pairs = cKDTree(cells.position).query_pairs(20.0, output_type="ndarray")
    gap = np.linalg.norm(cells.position[pairs[:, 0]] - cells.position[pairs[:, 1]], axis=1)
    assert (gap / cells.radius[pairs].sum(axis=1)).min() > 0.97


# All of them


LAYOUTS = {
    "monolayer": CellRequest("a", 6.0, coverage=0.5),
    "gel": CellRequest("a", 6.0, density=2e-5, place="gel"),
    "gradient": CellRequest("a", 6.0, count=150, place="medium", gradient=Gradient("x", 0.0, 1.0)),
    "patches": CellRequest(
        "a", 6.0, count=150, place="gel", shares=(CellShare("b", 6.0, 0.5),), pattern="patches", correlation_length=40.0
    ),
    "distance": CellRequest("a", 6.0, count=150, place="medium", minimum_distance=15.0),
    "spheroid": CellRequest("a", 6.0, spheroids=ball(40.0, 0.5, (60.0, 60.0, 60.0))),
}


@pytest.fixture(scope="module")
def scene():
    return make(
        (24, 24, 24), shapes=[Box("gel", (-1, -1, -1), (120, 999, 999)), Sphere("solid", (180.0, 120.0, 120.0), 35.0)]
    )


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_the_same_for_the_same_seed_and_another_for_another(scene, name):
    one, again, other = (place(scene, LAYOUTS[name], seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.position, again.position)
    np.testing.assert_array_equal(one.type_index, again.type_index)
    assert one.n_cells > 20 and not np.array_equal(one.position, other.position)
    closed = scene.open_fraction.ravel()[one.entry_voxel] == 0
    assert not closed.any()


@pytest.mark.parametrize("name", LAYOUTS)
def test_another_table_at_the_end_moves_no_cell_of_any_layout(scene, name):
    alone = place(scene, LAYOUTS[name])
    both = place(scene, LAYOUTS[name], CellRequest("z", 6.0, count=50, place="anywhere", minimum_distance=10.0))
    np.testing.assert_array_equal(both.position[both.type_index < len(alone.type_names)], alone.position)


def test_strands_of_a_woodpile_carry_a_monolayer_all_around():
    geometry = make((24, 24, 24), shapes=[Woodpile("solid", 80, 120, 60)], periodic=(False, True, True))
    cells = place(geometry, CellRequest("a", 6.0, coverage=0.6))
    reached = surface_area(geometry)[find_pockets(geometry, ("z_high",)).label >= 0].sum()
    assert cells.n_cells == round(0.6 * reached / (math.pi * 36))

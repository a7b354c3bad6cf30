"""Open fractions and apertures: exact for planes, second order for curved walls, consistent everywhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.references import cut

from payloadfield.geometry import MEDIUM, Box, Cylinder, Material, Sphere, VoxelGrid, make_geometry, wall_vectors
from payloadfield.geometry.compiled.cutting import area_share, excess, tetrahedron_share, triangle_share, volume_share
from payloadfield.geometry.plane import plane_offset, share_beyond
from payloadfield.geometry.shares import ACROSS_X, ACROSS_Y, ACROSS_Z, MARGIN, VOXELS, around, open_share

SOLID = Material("solid", "impermeable")


class Waves:
    """Walls of no particular shape, periodic in a box of 6 x 5 x 7."""

    material = "solid"

    def signed_distance(self, points, period=None):
        z, y, x = (2 * np.pi * p / length for p, length in zip(points, (6, 5, 7), strict=True))
        return np.sin(z) * np.cos(y) + np.sin(y) * np.cos(x) + np.sin(x) * np.cos(z) + 0.1


class HalfSpace:
    """The solid side of a plane: n . (x - point) < 0."""

    material = "solid"

    def __init__(self, normal, point):
        self.normal, self.point = np.array(normal) / np.linalg.norm(normal), point

    def signed_distance(self, points, period=None):
        return sum(n * (p - c) for n, p, c in zip(self.normal, points, self.point, strict=True))


def all_apertures_are_consistent(geometry):
    for axis, aperture in enumerate(geometry.apertures):
        faces, fraction = np.moveaxis(aperture, axis, 0), np.moveaxis(geometry.open_fraction, axis, 0)
        assert ((faces >= 0) & (faces <= 1)).all()
        assert not (faces[:-1][fraction == 0]).any() and not (faces[1:][fraction == 0]).any()
        if geometry.grid.periodic[axis]:
            assert (faces[0] == faces[-1]).all()


corner_values = st.lists(st.floats(-1, 1), min_size=8, max_size=8)


@given(corner_values)
def test_open_and_closed_share_of_a_voxel_add_up_to_one(values):
    corners = np.array(values)
    corners[corners == 0] = 0.5
    assert volume_share(corners) + volume_share(-corners) == pytest.approx(1, abs=1e-12)
    assert area_share(corners[:4]) + area_share(-corners[:4]) == pytest.approx(1, abs=1e-12)


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4), st.permutations(range(4)))
def test_share_of_a_simplex_does_not_depend_on_the_order_of_its_corners(values, order):
    corners = np.array(values)
    assert tetrahedron_share(*corners) == tetrahedron_share(*corners[order])
    assert triangle_share(*corners[:3]) == triangle_share(*corners[[2, 0, 1]])


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.floats(0.05, 0.95))
def test_share_of_a_tetrahedron_is_that_of_a_scaled_copy_near_a_corner(others, a):
    values = [a, *(-v for v in others)]
    expected = np.prod([a / (a + v) for v in others])
    assert tetrahedron_share(*values) == pytest.approx(expected, rel=1e-12)


def exact_share(normal, offset):
    """Share of a unit cube around 0 in which normal . x + offset > 0, by inclusion and exclusion of its corners."""
    n = np.abs(normal)
    level = offset + n.sum() / 2
    corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, 8)
    return np.sum((-1.0) ** corners.sum(0) * np.maximum(level - n @ corners, 0) ** 3) / (6 * n.prod())


@pytest.mark.parametrize("normal", [(0.3, 0.5, 0.81), (0.9, -0.4, 0.1), (0.05, 1, 0.02), (-1, -1, -1)])
@pytest.mark.parametrize("offset", [-0.35, 0.0, 0.11])
def test_oblique_planes_cut_a_voxel_exactly(normal, offset):
    normal = np.array(normal) / np.linalg.norm(normal)
    ends = np.array([-0.5, 0.5])
    z, y, x = np.meshgrid(ends, ends, ends, indexing="ij")
    corners = (normal[0] * z + normal[1] * y + normal[2] * x + offset).reshape(8)
    assert volume_share(corners) == pytest.approx(exact_share(normal, offset), abs=1e-11)


@pytest.mark.parametrize("normal", [(0.3, 0.5, 0.81), (0.9, -0.4, 0.1), (0, 1, 0.02)])
def test_oblique_plane_leaves_the_exact_volume_and_wall(normal):
    grid = VoxelGrid((6, 7, 5), 1.0)
    geometry = make_geometry(grid, [HalfSpace(normal, (3.1, 3.4, 2.6))], [MEDIUM, SOLID])
    n = np.array(normal) / np.linalg.norm(normal)
    vectors = wall_vectors(geometry)
    walled = geometry.wall_area > 0
    # Every wall lies along the plane, pointing into the solid.
    np.testing.assert_allclose(vectors[:, walled], -n[:, None] * geometry.wall_area[walled], atol=1e-12)
    # Divergence theorem with F = (x - point) / 3, which is along the wall: V = sum of F . n over the sides.
    volume = 0.0
    for axis, aperture in enumerate(geometry.apertures):
        outer = np.moveaxis(aperture, axis, 0)
        volume += outer[-1].sum() * (grid.size[axis] - (3.1, 3.4, 2.6)[axis]) + outer[0].sum() * (3.1, 3.4, 2.6)[axis]
    assert geometry.open_volume == pytest.approx(volume / 3, rel=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("place", [2.0, 2.25, 2.999999])
def test_walls_along_the_voxels_are_exact(axis, place):
    grid = VoxelGrid((4, 5, 6), 1.0)
    high = [9.0, 9.0, 9.0]
    high[axis] = place
    geometry = make_geometry(grid, [Box("solid", (-9, -9, -9), tuple(high))], [MEDIUM, SOLID])
    expected = np.clip(np.arange(1, grid.shape[axis] + 1) - place, 0, 1)
    profile = np.moveaxis(geometry.open_fraction, axis, 0)
    np.testing.assert_allclose(profile, expected[:, None, None] * np.ones(profile.shape), atol=1e-12)
    section = grid.n_voxels / grid.shape[axis]
    assert geometry.wall_area.sum() == pytest.approx(section, rel=1e-12)
    across = np.moveaxis(geometry.apertures[axis], axis, 0)
    np.testing.assert_array_equal(across[1:-1, 1, 1], expected[:-1] > 0)
    along = np.moveaxis(geometry.apertures[(axis + 1) % 3], axis, 0)
    np.testing.assert_allclose(along, expected[:, None, None] * np.ones(along.shape), atol=1e-12)


def test_neighbours_agree_and_closed_voxels_have_no_open_face():
    geometry = make_geometry(VoxelGrid((12, 10, 14), 0.5, (True, True, True)), [Waves()], [MEDIUM, SOLID])
    all_apertures_are_consistent(geometry)
    assert 0.2 < geometry.open_fraction.mean() < 0.8


def test_slabs_of_one_plane_give_the_same_geometry(monkeypatch):
    grid = VoxelGrid((12, 10, 14), 0.5, (True, False, True))
    whole = make_geometry(grid, [Waves()], [MEDIUM, SOLID])
    monkeypatch.setattr("payloadfield.geometry.grid.SLAB_CORNERS", 1)
    monkeypatch.setattr("payloadfield.geometry.grid.LEAST_PLANES", 1)
    sliced = make_geometry(grid, [Waves()], [MEDIUM, SOLID])
    for name in ("label", "open_fraction", "aperture_z", "aperture_y", "aperture_x", "wall_area", "surface_distance"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(sliced, name), err_msg=name)


def test_walls_of_a_closed_body_add_up_to_nothing():
    grid = VoxelGrid((20, 22, 24), 0.1)
    geometry = make_geometry(grid, [Sphere("solid", (0.97, 1.1, 1.23), 0.71)], [MEDIUM, SOLID])
    total = wall_vectors(geometry).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(total, 0, atol=1e-12)


def test_walls_of_a_periodic_structure_add_up_to_nothing():
    geometry = make_geometry(VoxelGrid((12, 10, 14), 0.5, (True, True, True)), [Waves()], [MEDIUM, SOLID])
    np.testing.assert_allclose(wall_vectors(geometry).sum(axis=(1, 2, 3)), 0, atol=1e-12)


def test_compiled_shares_are_those_of_array_operations():
    """Distances of no particular shape, with flat places, and places that are not known."""
    rng = np.random.default_rng(3)
    distance = rng.normal(0.1, 1, (9, 10, 11))
    distance[:, :, :5] = (np.arange(5) - 3.4) * 0.7
    distance[6:, :5] = 1e3
    inner = distance[(slice(MARGIN, -MARGIN),) * 3]
    for axes, share_of_cut in ((VOXELS, cut.open_volume), (ACROSS_Z, cut.open_area), (ACROSS_Y, cut.open_area),
                               (ACROSS_X, cut.open_area)):  # fmt: skip
        found = open_share(distance, axes, lambda index: np.ones(len(index[0]), bool), 100.0)
        corners = np.stack(around(inner, axes))
        too_high = sum(at_corners(distance, axis, axes) for axis in axes)
        is_cut = (corners > 0).any(axis=0) & (corners < 0).any(axis=0)
        expected = (corners > 0).all(axis=0).astype(float)
        expected[is_cut] = share_of_cut(corners[:, is_cut] - too_high[:, is_cut])
        np.testing.assert_allclose(found, expected, atol=1e-13)
        assert is_cut.mean() > 0.2 and np.abs(too_high).max() > 0.1


def at_corners(distance, axis, axes):
    """What linear pieces lie too high in the step along an axis from each corner of voxels or faces."""
    n = distance.shape[axis] - 5
    rows = np.stack([np.take(distance, range(k, n + k), axis) for k in range(6)])
    found = cut.excess(rows.reshape(6, -1), 100.0).reshape(rows.shape[1:])
    for other in set(range(3)) - {axis}:
        found = np.take(found, range(MARGIN, found.shape[other] - MARGIN), other)
    # Both corners of a step have it: as if it were known at corners, the same at both.
    corners = around(np.repeat(found, 2, axis), axes)
    return np.stack([np.take(each, range(0, 2 * n, 2), axis) for each in corners])


def row_of(function, at=0.0):
    """Values of a function at six places around the step from 0 to 1, shifted."""
    return [float(function(x + at)) for x in range(-2, 4)]


@pytest.mark.parametrize("sign", [1, -1])
def test_what_linear_pieces_lie_too_high_is_exact_for_parabolas_and_for_kinks(sign):
    parabola = excess(*row_of(lambda x: sign * (0.1 * x**2 + 0.7 * x)), 1e3)
    assert parabola == pytest.approx(sign * 0.2 / 12, rel=1e-12)
    for share in (0.1, 0.5, 0.8):  # where in the step the slope jumps from 0.4 to 1.1
        kink = excess(*row_of(lambda x: sign * (0.4 if x < 0 else 1.1) * x, -share), 1e3)
        assert kink == pytest.approx(sign * 0.7 * share * (1 - share) / 2, rel=1e-12)
    assert excess(*row_of(lambda x: 0.6 * x), 1e3) == pytest.approx(0, abs=1e-15)
    assert excess(*row_of(lambda x: sign * abs(x), 1.3), 1e3) == 0  # the kink is in another step


@pytest.mark.parametrize("radius", [1.8, 2.5, 6.0])
def test_a_round_wall_is_no_kink(radius):
    """Along a tangent the distance is sqrt(r^2 + x^2) - r, whose second derivative is the larger the nearer it is."""
    for at in np.linspace(-1, 1, 9):
        row = row_of(lambda x: np.hypot(x, radius) - radius, at)
        exact = np.mean([np.hypot(x + at, radius) for x in (np.arange(1000) + 0.5) / 1000]) - radius
        too_high = (row[2] + row[3]) / 2 - exact
        assert 0.6 * too_high < excess(*row, 1e3) < 1.06 * too_high


def test_distances_that_are_not_known_bend_nothing():
    assert excess(500.0, 500.0, 0.3, -0.7, -1.7, -500.0, 100.0) == 0
    assert excess(np.inf, np.inf, 0.3, -0.7, -1.7, -2.7, 100.0) == 0


@pytest.mark.parametrize(
    "shape", [Sphere("solid", (13.1, 12.9, 13.2), 10.0), Cylinder("solid", "x", (13.1, 12.9, 0), 10.0)]
)
def test_a_ball_and_a_rod_of_twenty_voxels_have_their_volume_to_a_thousandth(shape):
    grid = VoxelGrid((26, 26, 26), 1.0)
    exact = 4 / 3 * np.pi * 1000 if isinstance(shape, Sphere) else np.pi * 100 * 26
    solid = grid.n_voxels - make_geometry(grid, [shape], [MEDIUM, SOLID]).open_volume
    assert solid == pytest.approx(exact, rel=1e-3)
    distance = shape.signed_distance(np.ix_(*(grid.corners(axis) for axis in range(3)))) + np.zeros((27, 27, 27))
    corners = np.stack(around(distance, VOXELS))
    linear = grid.n_voxels - cut.open_volume(corners.reshape(8, -1)).sum()
    assert linear < 0.999 * exact  # what linear pieces alone leave


def measured(shape, n):
    geometry = make_geometry(VoxelGrid((n, n, n), 2 / n), [shape], [MEDIUM, SOLID])
    return 8 - geometry.open_volume, geometry.wall_area.sum()


@pytest.mark.parametrize("outside", [False, True])
def test_volume_and_wall_of_a_sphere_converge_with_order_two(outside):
    r = 0.8
    volume = 4 / 3 * np.pi * r**3
    found = [measured(Sphere("solid", (1.013, 0.987, 1.021), r, outside), n) for n in (12, 24, 48)]
    in_volume = [abs((8 - v if outside else v) - volume) / volume for v, _ in found]
    in_area = [abs(a - 4 * np.pi * r * r) / (4 * np.pi * r * r) for _, a in found]
    assert in_volume[-1] < 3e-3 and in_area[-1] < 1e-3
    assert np.log2(in_volume[0] / in_volume[-1]) / 2 > 1.9
    assert np.log2(in_area[0] / in_area[-1]) / 2 > 1.9


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_volume_and_wall_of_a_cylinder_converge_with_order_two(axis):
    r = 0.8
    found = [measured(Cylinder("solid", axis, (1.013, 0.987, 1.021), r), n) for n in (12, 24, 48)]
    in_volume = [abs(v - 2 * np.pi * r * r) for v, _ in found]
    in_area = [abs(a - 4 * np.pi * r) for _, a in found]
    assert np.log2(in_volume[0] / in_volume[-1]) / 2 > 1.9
    assert np.log2(in_area[0] / in_area[-1]) / 2 > 1.9


def test_small_fractions_are_neither_floored_nor_merged():
    grid = VoxelGrid((3, 3, 3), 1.0)
    geometry = make_geometry(grid, [Box("solid", (-9, -9, -9), (9, 9, 2 - 1e-6))], [MEDIUM, SOLID])
    np.testing.assert_allclose(geometry.open_fraction[:, :, 1], 1e-6, rtol=1e-6)
    assert (geometry.aperture_x[:, :, 2] == 1).all()


def test_round_off_leaves_no_slivers_beside_a_wall_along_the_voxels():
    grid = VoxelGrid((4, 4, 20), 0.1)
    geometry = make_geometry(grid, [Box("solid", (-9, -9, -9), (9, 9, 0.7000000000000001))], [MEDIUM, SOLID])
    assert set(np.unique(geometry.open_fraction)) == {0.0, 1.0}


def test_a_channel_of_one_voxel_has_both_its_walls():
    grid = VoxelGrid((3, 3, 5), 2.0)
    walls = [Box("solid", (-9, -9, -9), (99, 99, 4)), Box("solid", (-9, -9, 6), (99, 99, 99))]
    geometry = make_geometry(grid, walls, [MEDIUM, SOLID])
    np.testing.assert_allclose(geometry.wall_area[:, :, 2], 2 * 4.0)
    assert (geometry.open_fraction == [0, 0, 1, 0, 0]).all()
    assert (geometry.aperture_x == 0).all() and (geometry.aperture_y == [0, 0, 1, 0, 0]).all()


def test_a_wall_of_one_voxel_is_closed():
    geometry = make_geometry(VoxelGrid((3, 3, 5), 2.0), [Box("solid", (-9, -9, 4), (99, 99, 6))], [MEDIUM, SOLID])
    assert (geometry.open_fraction == [1, 1, 0, 1, 1]).all()
    assert (geometry.aperture_y == [1, 1, 0, 1, 1]).all()


@pytest.mark.parametrize("periodic", [False, True])
def test_a_duct_of_one_voxel_that_ends_within_the_box_is_open_along_itself(periodic):
    grid = VoxelGrid((5, 5, 6), 1.0, (periodic,) * 3)
    geometry = make_geometry(
        grid, [Box("solid", (-9, -9, -9), (99, 99, 99)), Box("medium", (2, 3, 1), (3, 4, 5))], [MEDIUM, SOLID]
    )
    assert geometry.open_volume == 4 and (geometry.open_fraction[2, 3] == [0, 1, 1, 1, 1, 0]).all()
    assert geometry.aperture_x.sum() == 3 and not geometry.aperture_y.any() and not geometry.aperture_z.any()
    assert geometry.wall_area.sum() == pytest.approx(2 * np.sqrt(8) + 2 * 3)


@pytest.mark.parametrize("normal", [(0.3, 0.5, 0.81), (-0.9, 0.4, 0.1), (0, 0, 1), (0, -1, 1)])
def test_the_plane_that_leaves_a_given_share_is_found(normal):
    share = np.array([0.001, 0.2, 0.5, 0.97])
    normals = np.tile(np.array(normal, float), (4, 1))
    np.testing.assert_allclose(share_beyond(normals, plane_offset(normals, share)), share, atol=1e-5)
    points = np.random.default_rng(1).random((20000, 3)) - 0.5
    offset = plane_offset(normals, share)
    np.testing.assert_allclose([(points @ normals[0] > c).mean() for c in offset], share, atol=0.012)


@pytest.mark.parametrize("periodic", [(False, False, False), (False, True, True), (True, True, False)])
@pytest.mark.parametrize("top", [20.0, 25.0])
@pytest.mark.parametrize("beyond", [0.0, 30.0])
def test_a_box_that_ends_on_or_beyond_the_sides_fills_them(periodic, top, beyond):
    grid = VoxelGrid((8, 8, 8), 10.0, periodic)
    box = Box("PCL", (0.0, -beyond, -beyond), (top, 80.0 + beyond, 80.0 + beyond))
    geometry = make_geometry(grid, [box], [MEDIUM, Material("PCL", "impermeable")])
    assert geometry.open_fraction.mean() == pytest.approx(1 - top / 80, abs=1e-12)

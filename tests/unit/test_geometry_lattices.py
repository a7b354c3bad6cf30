"""Minimal surfaces, strands at any angle, droplets, wells, and shapes put together, moved, turned and repeated."""

import numpy as np
import pytest

from payloadfield.errors import GeometryError
from payloadfield.geometry import (
    MEDIUM,
    Box,
    Cylinder,
    Difference,
    Droplets,
    Intersection,
    Material,
    MinimalSurface,
    Moved,
    Repeated,
    Rotated,
    Sphere,
    Union,
    VoxelGrid,
    Well,
    Woodpile,
    make_geometry,
)

MATERIALS = [MEDIUM, Material("solid", "impermeable")]
ALL = (True, True, True)
SURFACES = ("gyroid", "diamond", "schwarz_p")


def points_of(grid):
    return tuple(np.meshgrid(*(grid.centres(axis) for axis in range(3)), indexing="ij"))


def built(shape, n=20, h=1.0, periodic=(False, False, False)):
    shape_of_grid = (n, n, n) if isinstance(n, int) else n
    return make_geometry(VoxelGrid(shape_of_grid, h, periodic), [shape], MATERIALS)


def distance(shape, grid):
    return shape.signed_distance(points_of(grid), grid.period)


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("kind", ["sheet", "skeletal"])
@pytest.mark.parametrize("porosity", [0.5, 0.7])
def test_lattice_hits_its_porosity(surface, kind, porosity):
    geometry = built(MinimalSurface("solid", surface, 24.0, kind, porosity, offset=(1.3, 0.7, -2.1)), 36, 2 / 3, ALL)
    assert geometry.open_fraction.mean() == pytest.approx(porosity, abs=2e-3)
    assert not geometry.warnings


@pytest.mark.parametrize("surface", SURFACES)
def test_lattice_porosity_is_exact_at_forty_voxels_a_cell(surface):
    geometry = built(MinimalSurface("solid", surface, 1.0, "skeletal", 0.6), 40, 1 / 40, ALL)
    assert geometry.open_fraction.mean() == pytest.approx(0.6, abs=3e-4)


# Area of the surface f = 0 in a unit cell: a thin sheet has twice that, one on each side.
@pytest.mark.parametrize(("surface", "area"), [("gyroid", 3.0915), ("diamond", 3.8378), ("schwarz_p", 2.3451)])
def test_thin_sheet_has_the_area_of_the_minimal_surface_and_its_thickness(surface, area):
    geometry = built(MinimalSurface("solid", surface, 48.0, thickness=2.5), 48, 1.0, ALL)
    assert geometry.wall_area.sum() == pytest.approx(2 * area * 48**2, rel=0.02)
    assert 1 - geometry.open_fraction.mean() == pytest.approx(2.5 * area / 48, rel=0.03)


@pytest.mark.parametrize("surface", SURFACES)
def test_gradient_of_a_lattice_is_that_of_its_function(surface):
    lattice = MinimalSurface("solid", surface, 3.0, thickness=0.1)
    grid, e = VoxelGrid((7, 8, 9), 0.41), 1e-6
    z, y, x = points_of(grid)
    slopes = [
        (lattice._function(high)[0] - lattice._function(low)[0]) / (2 * e)
        for high, low in (
            ((z + e, y, x), (z - e, y, x)),
            ((z, y + e, x), (z, y - e, x)),
            ((z, y, x + e), (z, y, x - e)),
        )
    ]
    expected = np.sqrt(sum(s * s for s in slopes))
    regular = expected > 0.06 * 2 * np.pi / 3
    np.testing.assert_allclose(lattice._function((z, y, x))[1][regular], expected[regular], rtol=1e-6)


def test_turned_lattice_hits_its_porosity_too_and_is_warned_of_in_a_periodic_box():
    lattice = MinimalSurface("solid", "gyroid", 17.0, "sheet", 0.65)
    geometry = built(Rotated(lattice, (10.0, 20.0, 30.0)), 48, 0.5, (True, False, False))
    assert geometry.open_fraction.mean() == pytest.approx(0.65, abs=2e-3)
    assert "does not close on itself" in geometry.warnings[0]
    assert "not a multiple of cell 17 um" in built(lattice, 24, 1.0, ALL).warnings[0]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"porosity": 1.2}, "porosity: got 1.2"),
        ({}, "exactly one of porosity and thickness"),
        ({"porosity": 0.5, "thickness": 1.0}, "exactly one"),
        ({"thickness": 1.0, "kind": "skeletal"}, "give porosity"),
        ({"porosity": 0.5, "kind": "solid"}, "'sheet' or 'skeletal'"),
        ({"porosity": 0.5, "cell": -1.0}, "cell: got -1 um"),
    ],
)
def test_impossible_lattices_are_refused(keys, message):
    with pytest.raises(GeometryError, match=message):
        MinimalSurface("solid", "gyroid", **{"cell": 10.0, **keys})


def test_woodpile_by_angles_of_0_and_90_is_the_plain_one():
    grid = VoxelGrid((18, 20, 22), 1.0)
    plain = Woodpile("solid", 3.0, 5.0, 2.5, (0.3, 0.7, 1.1))
    for angles in ((0.0, 90.0), (180.0, -90.0)):
        general = Woodpile("solid", 3.0, 5.0, 2.5, (0.3, 0.7, 1.1), angles=angles)
        np.testing.assert_allclose(distance(general, grid), distance(plain, grid), atol=1e-12)
    other = Woodpile("solid", 3.0, 5.0, 2.5, (0.3, 0.7, 1.1), "y", layer_offsets=(0.0,), n_layers=3)
    np.testing.assert_allclose(
        distance(other, grid), distance(Woodpile("solid", 3.0, 5.0, 2.5, (0.3, 0.7, 1.1), "y", 3), grid), atol=1e-12
    )


def test_strands_run_at_their_angles_and_are_shifted():
    grid = VoxelGrid((12, 16, 16), 1.0)
    pile = Woodpile("solid", 2.0, 6.0, 3.0, angles=(0.0, 60.0, 120.0), layer_offsets=(0.0, 0.0, 0.0, 3.0))
    z, y, x = points_of(grid)
    expected = np.full(grid.shape, np.inf)
    for layer in range(6):
        angle = np.radians((0, 60, 120)[layer % 3])
        along = -x * np.sin(angle) + y * np.cos(angle) - (3.0 if layer % 4 == 3 else 0.0)
        across = np.mod(along, 6) - 3
        expected = np.minimum(expected, np.hypot(across, z - (layer + 0.5) * 3.0) - 1.0)
    np.testing.assert_allclose(distance(pile, grid), expected, atol=1e-9)
    slab = tuple(p[7:9] for p in (z, y, x))
    np.testing.assert_allclose(pile.signed_distance(slab), expected[7:9], atol=1e-9)


def test_flattened_strands_have_the_area_of_an_ellipse():
    pile = Woodpile("solid", 12.0, 20.0, 10.0, n_layers=1, flattening=0.5)
    geometry = built(pile, (14, 40, 4), 1.0, (False, True, True))
    assert geometry.open_volume == pytest.approx((14 * 40 - 2 * np.pi * 6 * 3) * 4, rel=2e-3)
    coarse, fine = (
        abs(
            built(pile, (7 * k, 20 * k, 2), 2 / k, (False, True, False)).open_volume * k / 2
            - (14 * 40 - 2 * np.pi * 18) * 2
        )
        for k in (1, 4)
    )
    assert fine < coarse / 8


def test_hollow_strands_stay_open_inside_also_where_they_cross():
    pile = Woodpile("solid", 10.0, 20.0, 8.0, n_layers=2, lumen_diameter=6.0)
    grid = VoxelGrid((20, 40, 40), 1.0)
    z, y, _ = points_of(grid)
    in_lumen = np.hypot(np.mod(y, 20) - 10, z - 4) < 3
    assert (distance(pile, grid)[in_lumen] > 0).all()
    single = built(Woodpile("solid", 10.0, 20.0, 12.0, n_layers=1, lumen_diameter=6.0), (12, 20, 4), 1.0)
    assert single.open_volume == pytest.approx((12 * 20 - np.pi * (25 - 9)) * 4, rel=0.01)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"lumen_diameter": 3.0}, "from 0 to below"),
        ({"flattening": 0.0}, "flattening: got 0"),
        ({"angles": (float("nan"),)}, "must be finite"),
        ({"angles": (30.0,), "first_direction": "y"}, "leave it out"),
    ],
)
def test_impossible_strands_are_refused(keys, message):
    with pytest.raises(GeometryError, match=message):
        Woodpile("solid", 3.0, 5.0, 2.5, **keys)


@pytest.mark.parametrize("n", [4, 40])
@pytest.mark.parametrize("periodic", [False, True])
def test_droplets_are_the_union_of_their_balls(n, periodic):
    grid = VoxelGrid((11, 12, 13), 1.0, (periodic, False, periodic))
    rng = np.random.default_rng(1)
    centres = tuple(map(tuple, rng.uniform(-1, 13, (n, 3))))
    radii = tuple(rng.choice([0.7, 1.1], n))
    expected = np.min([distance(Sphere("solid", c, r), grid) for c, r in zip(centres, radii, strict=True)], axis=0)
    np.testing.assert_allclose(distance(Droplets("solid", centres, radii), grid), expected, atol=1e-12)
    same = np.min([distance(Sphere("solid", c, 0.9), grid) for c in centres], axis=0)
    np.testing.assert_allclose(distance(Droplets("solid", centres, (0.9,)), grid), same, atol=1e-12)


def test_well_with_insert_holds_the_volume_between_its_walls():
    well = Well("solid", (20.0, 20.0), 36.0, 3.0, insert_diameter=20.0, insert_wall=2.0, insert_gap=5.0)
    open_area = np.pi * (18**2 - (12**2 - 10**2))
    expected = np.pi * 18**2 * 5 + open_area * 12
    assert built(well, (20, 40, 40)).open_volume == pytest.approx(expected, rel=5e-3)
    plain = built(Well("solid", (20.0, 20.0), 36.0, 3.0), (20, 40, 40))
    assert plain.open_volume == pytest.approx(np.pi * 18**2 * 17, rel=5e-3)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"insert_diameter": 20.0}, "insert_wall: is missing"),
        ({"insert_diameter": 35.0, "insert_wall": 2.0, "insert_gap": 1.0}, "wider than the well"),
        ({"insert_diameter": 20.0, "insert_wall": -2.0, "insert_gap": 1.0}, "insert_wall: got -2"),
    ],
)
def test_impossible_wells_are_refused(keys, message):
    with pytest.raises(GeometryError, match=message):
        Well("solid", (20.0, 20.0), 36.0, **keys)


def test_union_intersection_and_difference_are_those_of_sets():
    grid = VoxelGrid((12, 13, 14), 1.0)
    a, b = Sphere("x", (5, 6, 7), 4.0), Box("y", (4, 2, 6), (11, 8, 13))
    in_a, in_b = distance(a, grid) < 0, distance(b, grid) < 0
    for shape, expected in (
        (Union("solid", (a, b)), in_a | in_b),
        (Intersection("solid", (a, b)), in_a & in_b),
        (Difference("solid", (a, b)), in_a & ~in_b),
    ):
        np.testing.assert_array_equal(built(shape, grid.shape).label == 1, expected)
    with pytest.raises(GeometryError, match=r"union\.parts: is empty"):
        Union("solid", ())


def test_intersection_fits_the_lattices_in_it():
    lattice = MinimalSurface("x", "gyroid", 10.0, porosity=0.6)
    cylinder, grid = Cylinder("x", "z", (10, 10, 10), 8.0), VoxelGrid((20, 20, 20), 1.0)
    expected = (distance(lattice.fitted_to(grid), grid) < 0) & (distance(cylinder, grid) < 0)
    np.testing.assert_array_equal(built(Intersection("solid", (lattice, cylinder)), 20).label == 1, expected)
    with pytest.raises(GeometryError, match="use fitted_to"):
        distance(lattice, grid)


def test_quarter_turns_are_those_of_arrays():
    grid = VoxelGrid((16, 16, 16), 1.0)
    box = Box("solid", (1, 4, 9), (7, 6, 14))
    here, middle = built(box, 16).open_fraction, (8.0, 8.0, 8.0)
    turned = {(90, 0, 0): (0, 1), (0, 90, 0): (2, 0), (0, 0, 90): (1, 2)}  # x turns y to z; y turns z to x; ...
    for angles, (to, back) in turned.items():
        there = make_geometry(grid, [Rotated(box, angles, middle)], MATERIALS).open_fraction
        np.testing.assert_allclose(there, np.rot90(here, axes=(back, to)), atol=1e-12, err_msg=str(angles))


def test_turned_cylinder_is_the_one_along_the_other_axis_and_keeps_its_volume():
    along_x, along_z = Cylinder("solid", "x", (9, 9, 9), 4.0, 10.0), Cylinder("solid", "z", (9, 9, 9), 4.0, 10.0)
    turned = built(Rotated(along_x, (0, 90, 0), (9, 9, 9)), 18)
    np.testing.assert_allclose(turned.open_fraction, built(along_z, 18).open_fraction, atol=1e-12)
    oblique = built(Rotated(along_x, (20, 33, 71), (9, 9, 9)), 45, 0.4)
    assert 18**3 - oblique.open_volume == pytest.approx(np.pi * 16 * 10, rel=5e-3)


def test_turned_shapes_continue_through_periodic_sides():
    box = Box("solid", (8, 8, 8), (14, 11, 10))
    middle = (9.0, 9.0, 9.0)
    inner = built(Rotated(box, (15, 30, 45), middle), 18, 1.0, ALL)
    corner = built(Moved(Rotated(box, (15, 30, 45), middle), (-9, 9, 9)), 18, 1.0, ALL)
    np.testing.assert_allclose(corner.open_fraction, np.roll(inner.open_fraction, (-9, 9, 9), (0, 1, 2)), atol=1e-9)
    bath = built(Rotated(Sphere("solid", (9, 9, 9), 7.0, outside=True), (15, 30, 45), middle), 18, 1.0, ALL)
    assert bath.open_volume == pytest.approx(4 / 3 * np.pi * 343, rel=0.02)


def test_copies_stand_a_step_apart():
    grid = VoxelGrid((12, 20, 30), 1.0)
    one = Sphere("solid", (4, 4, 4), 2.5)
    copies = [Sphere("solid", (4, 4 + 6 * j, 4 + 8 * i), 2.5) for j in range(3) for i in range(4)]
    expected = np.min([distance(each, grid) for each in copies], axis=0)
    np.testing.assert_allclose(distance(Repeated(one, (0, 6, 8), (1, 3, 4)), grid), expected, atol=1e-12)
    lattice = Repeated(Moved(MinimalSurface("solid", "gyroid", 10.0, porosity=0.6), (1, 2, 3)), (0, 0, 10), (1, 1, 2))
    single = Moved(MinimalSurface("solid", "gyroid", 10.0, porosity=0.6), (1, 2, 3))
    np.testing.assert_allclose(built(lattice, 20).open_fraction, built(single, 20).open_fraction, atol=1e-6)
    for count in ((0, 1, 1), (1000, 1000, 1000)):
        with pytest.raises(GeometryError, match=r"repeat\.count"):
            Repeated(one, (1, 1, 1), count)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rotated(Box("solid", (0.21, 0.23, 0.27), (0.73, 0.68, 0.79)), (17, 29, 41), (0.5, 0.5, 0.5)),
        lambda: Woodpile("solid", 0.3, 0.6, 0.31, (0.013, 0.01, 0.02), angles=(20.0, 80.0), flattening=1.3),
        lambda: Moved(Droplets("solid", ((0.4, 0.3, 0.4), (0.6, 0.7, 0.5)), (0.19, 0.22)), (0.01, 0.02, 0.03)),
    ],
)
def test_volume_is_right_to_second_order(make):
    volume = {n: built(make(), n, 1 / n).open_volume for n in (12, 24, 48, 96)}
    steps = [abs(volume[n] - volume[2 * n]) for n in (12, 24, 48)]
    assert steps[2] < max(steps[0], 2e-4) / 8, steps

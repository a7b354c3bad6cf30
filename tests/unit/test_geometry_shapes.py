"""Shapes, their order, materials and labels."""

import numpy as np
import pytest

from payloadfield.errors import GeometryError
from payloadfield.geometry import (
    MEDIUM,
    Box,
    Cylinder,
    LabelArray,
    Material,
    Sphere,
    VoxelGrid,
    Woodpile,
    make_geometry,
    make_grid,
)

SOLID, GEL, BATH = Material("solid", "impermeable"), Material("gel", "gel"), Material("bath", "bath")
MATERIALS = [MEDIUM, SOLID, GEL, BATH]


def points_of(grid):
    return tuple(np.meshgrid(*(grid.centres(axis) for axis in range(3)), indexing="ij"))


def reference_woodpile(n, h, radius, spacing, layer):
    """Voxel centres inside strands, layer by layer: [z, y, x]."""
    z, y, x = np.meshgrid(*[(np.arange(n) + 0.5) * h] * 3, indexing="ij")
    solid = np.zeros((n, n, n), bool)
    for number in range(int(np.ceil(n * h / layer)) + 1):
        across = y if number % 2 == 0 else x
        for k in range(-1, int(n * h / spacing) + 2):
            axis = spacing / 2 + k * spacing
            solid |= (across - axis) ** 2 + (z - (number + 0.5) * layer) ** 2 < radius**2
    return solid


@pytest.mark.parametrize("n", [16, 32, 40])
def test_woodpile_is_that_of_the_reference_problem(n):
    grid = VoxelGrid((n, n, n), 640 / n)
    geometry = make_geometry(grid, [Woodpile("solid", 200, 320, 160)], MATERIALS)
    np.testing.assert_array_equal(geometry.label == 1, reference_woodpile(n, 640 / n, 100, 320, 160))


def test_woodpile_of_the_other_direction_is_the_transposed_one():
    grid = VoxelGrid((16, 16, 16), 40.0)
    along_x = make_geometry(grid, [Woodpile("solid", 200, 320, 160)], MATERIALS)
    along_y = make_geometry(grid, [Woodpile("solid", 200, 320, 160, first_direction="y")], MATERIALS)
    np.testing.assert_allclose(along_y.open_fraction, along_x.open_fraction.transpose(0, 2, 1), atol=1e-12)


def test_periodic_woodpile_shifted_by_voxels_is_the_rolled_one():
    grid = VoxelGrid((16, 16, 16), 40.0, (True, True, True))
    here = make_geometry(grid, [Woodpile("solid", 200, 320, 160)], MATERIALS)
    there = make_geometry(grid, [Woodpile("solid", 200, 320, 160, offset=(120, 40, 80))], MATERIALS)
    np.testing.assert_allclose(there.open_fraction, np.roll(here.open_fraction, (3, 1, 2), (0, 1, 2)), atol=1e-12)
    np.testing.assert_array_equal(there.label, np.roll(here.label, (3, 1, 2), (0, 1, 2)))
    assert not here.warnings


def test_woodpile_ends_with_its_last_layer():
    grid = VoxelGrid((40, 16, 16), 20.0)
    geometry = make_geometry(grid, [Woodpile("solid", 100, 160, 100, n_layers=3)], MATERIALS)
    assert (geometry.label[15:] == 0).all() and (geometry.label[10:15] == 1).any()
    one = make_geometry(grid, [Woodpile("solid", 100, 160, 100, n_layers=1)], MATERIALS)
    assert (one.label[5:] == 0).all() and (one.label[:5] == 1).any()


def test_woodpile_that_does_not_close_on_a_periodic_axis_is_warned_of_and_stays_consistent():
    grid = VoxelGrid((17, 17, 16), 20.0, (True, True, False))
    geometry = make_geometry(grid, [Woodpile("solid", 60, 100, 50, offset=(0, 30, 0))], MATERIALS)
    assert len(geometry.warnings) == 2 and "340 um is not a multiple of strand_spacing 100 um" in geometry.warnings[0]
    assert "340 um is not an even number of layers of 50 um" in geometry.warnings[1]
    np.testing.assert_array_equal(geometry.aperture_z[0], geometry.aperture_z[-1])
    np.testing.assert_array_equal(geometry.aperture_y[:, 0], geometry.aperture_y[:, -1])


def test_every_shape_agrees_with_its_definition_at_the_voxel_centres():
    grid = VoxelGrid((9, 11, 13), 1.0)
    z, y, x = points_of(grid)
    expected = {
        Sphere("solid", (4, 5, 6), 3.3): (z - 4) ** 2 + (y - 5) ** 2 + (x - 6) ** 2 < 3.3**2,
        Sphere("solid", (4, 5, 6), 3.3, outside=True): (z - 4) ** 2 + (y - 5) ** 2 + (x - 6) ** 2 > 3.3**2,
        Cylinder("solid", "y", (4, 5, 6), 2.2): (z - 4) ** 2 + (x - 6) ** 2 < 2.2**2,
        Cylinder("solid", "x", (4, 5, 6), 2.2, length=5): ((z - 4) ** 2 + (y - 5) ** 2 < 2.2**2) & (abs(x - 6) < 2.5),
        Box("solid", (1, 2, 3), (4, 6, 9)): (abs(z - 2.5) < 1.5) & (abs(y - 4) < 2) & (abs(x - 6) < 3),
    }
    for shape, inside in expected.items():
        np.testing.assert_array_equal(make_geometry(grid, [shape], MATERIALS).label == 1, inside, err_msg=str(shape))


@pytest.mark.parametrize(
    "shape",
    [
        Sphere("solid", (0.2, 9.7, 12.9), 3.3),
        Box("solid", (-1, 8, 11), (3, 13, 15)),
        Cylinder("solid", "y", (0.2, 9.7, 12.9), 2.2, length=4),
    ],
)
def test_shapes_continue_through_periodic_sides(shape):
    grid = VoxelGrid((9, 11, 13), 1.0, (True, True, True))
    geometry = make_geometry(grid, [shape], MATERIALS)
    moved = (4, -4, -5)
    centred = (
        {"centre": tuple(c + m for c, m in zip(shape.centre, moved, strict=True))}
        if hasattr(shape, "centre")
        else {key: tuple(c + m for c, m in zip(getattr(shape, key), moved, strict=True)) for key in ("low", "high")}
    )
    inner = make_geometry(grid, [type(shape)(**{**shape.__dict__, **centred})], MATERIALS)
    np.testing.assert_allclose(geometry.open_fraction, np.roll(inner.open_fraction, (-4, 4, 5), (0, 1, 2)), atol=1e-9)
    for axis, aperture in enumerate(geometry.apertures):
        np.testing.assert_array_equal(aperture.take(0, axis), aperture.take(-1, axis))


def test_later_shapes_overwrite_earlier_ones():
    grid = VoxelGrid((8, 8, 8), 1.0)
    block, hole = Box("solid", (0, 0, 0), (8, 8, 7)), Sphere("medium", (4, 4, 4), 2.5)
    carved = make_geometry(grid, [block, hole], MATERIALS)
    filled = make_geometry(grid, [block, hole, Sphere("solid", (4, 4, 4), 2.5)], MATERIALS)
    covered = make_geometry(grid, [hole, block], MATERIALS)
    assert carved.label[4, 4, 4] == 0 and carved.open_fraction[4, 4, 4] == 1
    np.testing.assert_allclose(filled.open_fraction, covered.open_fraction, atol=1e-12)
    assert filled.label[4, 4, 4] == 1
    volume = carved.open_volume - covered.open_volume
    assert volume == pytest.approx(4 / 3 * np.pi * 2.5**3, rel=0.1)


def test_gel_is_open_and_labelled_at_the_centre():
    grid = VoxelGrid((6, 6, 6), 1.0)
    geometry = make_geometry(
        grid, [Box("gel", (0, 0, 0), (6, 6, 2.4)), Box("solid", (0, 0, 0), (6, 2.4, 6))], MATERIALS
    )
    assert (geometry.label[:, 4, :2] == 2).all() and (geometry.label[:, 4, 2:] == 0).all()
    assert (geometry.open_fraction[:, 3:] == 1).all()


def test_open_label_names_what_fills_the_open_part_of_a_voxel_with_a_solid_centre():
    grid = VoxelGrid((6, 6, 6), 1.0)
    shapes = [Box("gel", (-1, -1, -1), (7, 7, 3)), Box("solid", (-1, -1, -1), (7, 2.7, 7))]
    geometry = make_geometry(grid, shapes, MATERIALS)
    cut = (slice(None), 2)
    np.testing.assert_allclose(geometry.open_fraction[cut], 0.3)
    assert (geometry.label[cut] == 1).all()
    assert (geometry.open_label[cut][:, :3] == 2).all() and (geometry.open_label[cut][:, 3:] == 0).all()


def test_walls_to_bath_and_to_solid_are_told_apart():
    grid = VoxelGrid((8, 8, 8), 1.0)
    solid = Box("solid", (-9, -9, -9), (99, 99, 2.3))
    bath = Box("bath", (-9, -9, 5.3), (99, 99, 99))
    geometry = make_geometry(grid, [solid, bath], MATERIALS)
    assert geometry.wall_area.sum() == pytest.approx(64) and geometry.bath_area.sum() == pytest.approx(64)
    assert (geometry.wall_area[:, :, 2] > 0).all() and (geometry.bath_area[:, :, 5] > 0).all()
    assert ((geometry.bath_distance > 0) == (geometry.bath_area > 0)).all()
    dry = make_geometry(grid, [solid], MATERIALS)
    assert not dry.bath_area.any() and not dry.bath_distance.any()


def test_walls_along_the_voxels_to_bath_and_solid_are_told_apart():
    grid = VoxelGrid((3, 3, 3), 1.0)
    both = [Box("solid", (-9, -9, -9), (99, 99, 1)), Box("bath", (-9, -9, 2), (99, 99, 99))]
    geometry = make_geometry(grid, both, MATERIALS)
    np.testing.assert_allclose(geometry.wall_area[:, :, 1], 1)
    np.testing.assert_allclose(geometry.bath_area[:, :, 1], 1)
    np.testing.assert_allclose(geometry.bath_distance[:, :, 1], 0.5)


def test_bath_distance_is_never_below_a_twentieth_of_a_voxel():
    grid = VoxelGrid((30, 30, 30), 0.1)
    geometry = make_geometry(grid, [Sphere("bath", (1.513, 1.487, 1.491), 1.1, outside=True)], MATERIALS)
    at_wall = geometry.bath_area > 0
    assert geometry.bath_distance[at_wall].min() >= 0.05 * 0.1 * (1 - 1e-12)
    assert geometry.bath_distance[at_wall].max() <= np.sqrt(3) / 2 * 0.1
    assert geometry.bath_area.sum() == pytest.approx(4 * np.pi * 1.21, rel=3e-3)


def test_faces_beside_a_bath_wall_conduct_the_same_from_both_sides_of_a_periodic_box():
    grid = VoxelGrid((12, 12, 12), 1.0, (True, True, True))
    here = make_geometry(grid, [Sphere("bath", (6.1, 5.9, 6.2), 3.7)], MATERIALS)
    there = make_geometry(grid, [Sphere("bath", (0.1, 11.9, 0.2), 3.7)], MATERIALS)
    for axis, (a, b) in enumerate(zip(here.apertures, there.apertures, strict=True)):
        np.testing.assert_array_equal(b.take(0, axis), b.take(-1, axis))
        inner = np.delete(a, -1, axis), np.delete(b, -1, axis)
        np.testing.assert_allclose(inner[1], np.roll(inner[0], (-6, 6, -6), (0, 1, 2)), atol=1e-9)
        assert 1.5 < a.max() <= 2 / 0.9 and (a >= 0).all()
    np.testing.assert_allclose(there.bath_distance, np.roll(here.bath_distance, (-6, 6, -6), (0, 1, 2)), atol=1e-9)


def test_the_area_and_distance_of_a_staircase_conduct_as_its_faces_do():
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[2:, 2:] = 1
    labels[:, :, 0] = 1
    geometry = make_geometry(VoxelGrid((4, 4, 4), 2.0), [LabelArray(labels, {0: None, 1: "bath"})], MATERIALS)
    walled = geometry.bath_area > 0
    faces = np.zeros(labels.shape)
    for axis in range(3):
        closed, count = np.moveaxis(labels, axis, 0), np.moveaxis(faces, axis, 0)
        count[1:] += closed[:-1]
        count[:-1] += closed[1:]
    faces *= labels == 0
    conductance = geometry.bath_area[walled] / geometry.bath_distance[walled]
    np.testing.assert_allclose(conductance, faces[walled] * 4.0 / 1.0)
    assert (walled == (faces > 0)).all()


def test_surface_distance_is_positive_in_the_medium_and_counts_gel():
    grid = VoxelGrid((8, 8, 8), 1.0)
    geometry = make_geometry(grid, [Sphere("gel", (4, 4, 4), 2.0)], MATERIALS)
    z, y, x = points_of(grid)
    expected = np.sqrt((z - 4) ** 2 + (y - 4) ** 2 + (x - 4) ** 2) - 2
    np.testing.assert_allclose(geometry.surface_distance, expected, atol=1e-12)
    assert np.isinf(make_geometry(grid, [], MATERIALS).surface_distance).all()


def test_surface_distance_of_a_label_array_crosses_periodic_sides():
    grid = VoxelGrid((1, 1, 10), 2.0, (False, False, True))
    labels = np.zeros(grid.shape, np.uint8)
    labels[..., 9] = 1
    geometry = make_geometry(grid, [LabelArray(labels, {0: None, 1: "solid"})], MATERIALS)
    expected = 2.0 * (np.array([1, 2, 3, 4, 5, 4, 3, 2, 1, -1]) + np.array([-0.5] * 9 + [0.5]))
    np.testing.assert_allclose(geometry.surface_distance[0, 0], expected)


def test_label_array_is_a_staircase():
    grid = VoxelGrid((3, 4, 5), 2.0)
    labels = np.zeros(grid.shape, np.int64)
    labels[:, :2] = 7
    geometry = make_geometry(grid, [LabelArray(labels, {0: "medium", 7: "solid"})], MATERIALS)
    assert set(np.unique(geometry.open_fraction)) == {0.0, 1.0}
    np.testing.assert_array_equal(geometry.open_fraction == 0, labels == 7)
    np.testing.assert_allclose(geometry.wall_area[:, 2], 4.0)
    assert not geometry.wall_area[:, 3].any()
    assert (geometry.aperture_y[:, :3] == 0).all() and (geometry.aperture_y[:, 3:] == 1).all()


def test_shapes_and_label_arrays_act_in_order():
    grid = VoxelGrid((6, 6, 6), 1.0)
    labels = np.full(grid.shape, 1)
    labels[:, :, 4:] = 0
    stairs, hole = LabelArray(labels, {0: None, 1: "solid"}), Sphere("medium", (3, 3, 2), 1.6)
    carved = make_geometry(grid, [stairs, hole], MATERIALS)
    buried = make_geometry(grid, [hole, stairs], MATERIALS)
    assert carved.open_fraction[2, 2, 1] == 1 and buried.open_fraction[2, 2, 1] == 0
    freed = make_geometry(
        grid, [Box("solid", (-1, -1, -1), (9, 9, 2.5)), LabelArray(np.zeros(grid.shape, int), {0: "gel"})], MATERIALS
    )
    assert (freed.open_fraction == 1).all() and (freed.label == 2).all() and (freed.aperture_x == 1).all()
    cut = make_geometry(
        grid, [LabelArray(np.zeros(grid.shape, int), {0: "gel"}), Box("solid", (-1, -1, -1), (9, 9, 2.5))], MATERIALS
    )
    np.testing.assert_allclose(cut.open_fraction[:, :, 2], 0.5)


def test_enclosed_voxels_of_a_staircase_are_dropped():
    labels = np.ones((3, 3, 3), np.uint8)
    labels[1, 1, 1] = 0
    with pytest.raises(GeometryError, match="a grid with no open voxel"):
        make_geometry(VoxelGrid((3, 3, 3), 1.0), [LabelArray(labels, {0: None, 1: "solid"})], MATERIALS)


def test_label_array_is_read_from_a_file(tmp_path):
    labels = np.zeros((3, 4, 5), np.uint16)
    labels[0] = 300
    np.save(tmp_path / "scan.npy", labels)
    shape = LabelArray(tmp_path / "scan.npy", {0: None, 300: "gel"})
    geometry = make_geometry(VoxelGrid((3, 4, 5), 1.0), [shape], MATERIALS)
    assert (geometry.label[0] == 2).all() and not geometry.label[1:].any()


def write_object_array(path):
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)


def write_several(path):
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(3), b=np.zeros(3))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (write_object_array, "not a readable .npy array"),
        (write_several, "holds several arrays"),
        (lambda path: path.write_bytes(b""), "not a readable .npy array"),
        (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00\xff\xff{'descr'"), "not a readable .npy array"),
        (lambda path: path.write_text("solid"), "not a readable .npy array"),
        (lambda path: np.save(path, np.zeros((3, 4, 5))), "float64; whole numbers"),
        (lambda path: np.save(path, np.zeros((5, 4, 3), int)), r"shape \(5, 4, 3\); the grid has \(3, 4, 5\)"),
        (lambda path: np.save(path, np.full((3, 4, 5), 9)), "label 9 without a material; known labels: 0, 1"),
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "not a readable .npy array"),
    ],
)
def test_unusable_label_files_are_refused(tmp_path, write, message):
    write(tmp_path / "scan.npy")
    with pytest.raises(GeometryError, match=message) as refused:
        make_geometry(VoxelGrid((3, 4, 5), 1.0), [LabelArray(tmp_path / "scan.npy", {0: None, 1: "solid"})], MATERIALS)
    assert "scan.npy" in str(refused.value)


def test_a_header_that_claims_terabytes_is_refused_without_reading(tmp_path):
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (100000, 100000, 100000), }"
    header += b" " * (117 - len(header)) + b"\n"
    (tmp_path / "scan.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(GeometryError, match=r"scan\.npy"):
        make_geometry(VoxelGrid((3, 4, 5), 1.0), [LabelArray(tmp_path / "scan.npy", {0: "solid"})], MATERIALS)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sphere("solid", (1, 1, 1), 0), "sphere.radius: got 0 um; a positive length"),
        (lambda: Sphere("solid", (1, float("nan"), 1), 1), "sphere.centre: got .* three finite coordinates"),
        (lambda: Cylinder("solid", "w", (1, 1, 1), 1), "cylinder.axis: got 'w'; one of x, y, z"),
        (lambda: Cylinder("solid", "x", (1, 1, 1), 1, length=-2), "cylinder.length: got -2 um"),
        (lambda: Box("solid", (1, 1, 1), (2, 0.5, 2)), "box: y from 1 um to 0.5 um; low must be below high"),
        (lambda: Woodpile("solid", -1, 320, 160), "woodpile.strand_diameter: got -1 um"),
        (lambda: Woodpile("solid", 1, 320, 160, first_direction="z"), "woodpile.first_direction: got 'z'"),
        (lambda: Woodpile("solid", 1, 320, 160, n_layers=0), "woodpile.n_layers: got 0"),
        (lambda: VoxelGrid((0, 3, 3), 1.0), "three positive whole numbers"),
        (lambda: VoxelGrid((3, 3, 3), -1.0), "voxel spacing -1.0 um; a positive length"),
        (lambda: VoxelGrid((9999, 9999, 9999), 1.0), "at most .* enlarge grid.voxel"),
        (
            lambda: make_grid((640, 645, 640), 10),
            "y = 645 um is not a whole number of voxels of 10 um; the nearest sizes are 640 um and 650 um",
        ),
        (lambda: make_grid((640, 3, 640), 10), "y = 3 um .* the nearest sizes are 10 um"),
        (lambda: make_grid((640, -3, 640), 10), "grid.size: y = -3 um; a positive length"),
        (lambda: make_grid((640, 640, 640), 0), "grid.voxel: got 0 um"),
        (lambda: Material("PCL", "solid"), "materials.PCL.kind: got 'solid'; one of medium, gel, impermeable, bath"),
        (
            lambda: Material("a", "gel", accessible_fraction={"adc": 1.2}),
            "accessible_fraction.adc: got 1.2; .* at most 1",
        ),
        (lambda: Material("a", "gel", {"adc": -0.2}), "relative_diffusivity.adc: got -0.2"),
    ],
)
def test_senseless_numbers_are_refused(make, message):
    with pytest.raises(GeometryError, match=message):
        make()


@pytest.mark.parametrize(
    ("shapes", "materials", "message"),
    [
        (
            [Sphere("wood", (1, 1, 1), 1)],
            MATERIALS,
            "sphere.material: unknown material 'wood'; known: medium, solid, gel",
        ),
        ([LabelArray(np.zeros((4, 4, 4), int), {0: "wood"})], MATERIALS, "unknown material 'wood'"),
        ([Sphere("solid", (2, 2, 2), 99)], MATERIALS, "a grid with no open voxel: every one of its 64 voxels"),
        ([], [SOLID], "the first one fills the grid and must be of kind 'medium'"),
        ([], [], "must be of kind 'medium'"),
        ([], [MEDIUM, SOLID, SOLID], "materials.solid: given twice"),
        ([], [MEDIUM, *(Material(f"m{i}", "gel") for i in range(255))], "256 given; at most 255"),
    ],
)
def test_scenes_that_make_no_sense_are_refused(shapes, materials, message):
    with pytest.raises(GeometryError, match=message):
        make_geometry(VoxelGrid((4, 4, 4), 1.0), shapes, materials)


def test_shapes_outside_the_grid_and_coarse_voxels_are_warned_of():
    grid = VoxelGrid((4, 4, 4), 10.0)
    geometry = make_geometry(grid, [Sphere("solid", (99, 99, 99), 9), Woodpile("solid", 8, 20, 20)], MATERIALS)
    outside, coarse = geometry.warnings
    assert "shape 1 (sphere of solid) contains no corner or centre of any voxel" in outside
    assert "voxel of 10 um is larger than the strand diameter of 8 um" in coarse


def test_sizes_that_are_whole_numbers_of_voxels_up_to_round_off_are_taken():
    assert make_grid((0.3, 0.6, 0.1), 0.1).shape == (3, 6, 1)


def test_materials_fall_back_to_their_default_and_then_to_medium():
    gel = Material("gel", "gel", {"default": 0.5, "adc": 0.1}, {}, {"payload": 2.0})
    assert gel.relative_diffusivity_of("adc") == 0.1 and gel.relative_diffusivity_of("payload") == 0.5
    assert gel.accessible_fraction_of("adc") == 1.0
    assert gel.permeability_of("payload") == 2.0 and gel.permeability_of("adc") == np.inf


def test_an_accessible_profile_is_kept_as_given():
    profile = np.linspace(0.2, 0.7, 64).reshape(4, 4, 4)
    geometry = make_geometry(VoxelGrid((4, 4, 4), 1.0), [], [MEDIUM], accessible_profile=profile)
    np.testing.assert_array_equal(geometry.accessible_profile, profile)


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (np.ones((3, 3, 3)), r"shape \(3, 3, 3\); the grid has \(4, 4, 4\)"),
        (np.full((4, 4, 4), -1.0), "negative or non-finite"),
        (np.full((4, 4, 4), np.nan), "negative or non-finite"),
    ],
)
def test_profiles_that_make_no_sense_are_refused(profile, message):
    with pytest.raises(GeometryError, match=message):
        make_geometry(VoxelGrid((4, 4, 4), 1.0), [], [MEDIUM], accessible_profile=profile)

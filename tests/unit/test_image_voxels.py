"""Images laid over a grid voxel by voxel: shares of volumes and faces by hand, kept volumes, order of layers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.images import GEL, MATERIALS, PCL, cube, distances, placed, stack_of

from payloadfield.errors import GeometryError
from payloadfield.geometry import (
    MEDIUM,
    Box,
    LabelArray,
    Material,
    PlacedImage,
    Sphere,
    VoxelGrid,
    VoxelImage,
    find_pockets,
    make_geometry,
)
from payloadfield.geometry.grid import slabs
from payloadfield.geometry.image.resample import overlap_weights, snapped, voxels_beside

BOTH = (MEDIUM, PCL)


def solid_in(geometry) -> float:
    return float((1 - geometry.open_fraction).sum()) * geometry.grid.voxel_volume


def test_a_voxel_that_an_image_fills_by_half_is_half_open_with_the_faces_that_follow():
    labels = np.array([[[1, 0]]], np.uint8)
    image = VoxelImage(placed(labels, (10, 10, 5)), {1: "PCL"})
    geometry = make_geometry(VoxelGrid((1, 1, 1), 10.0), [image], BOTH)
    assert geometry.open_fraction.tolist() == [[[0.5]]]
    assert geometry.aperture_x.tolist() == [[[0.0, 1.0]]]
    assert geometry.aperture_y.reshape(-1).tolist() == geometry.aperture_z.reshape(-1).tolist() == [0.5, 0.5]
    assert geometry.wall_area.tolist() == [[[100.0]]]


def test_the_same_voxels_give_what_a_label_array_gives_to_the_last_bit():
    labels = (np.random.default_rng(3).random((6, 5, 7)) < 0.4).astype(np.uint8)
    for periodic in ((False, False, False), (True, True, True), (False, True, False)):
        grid = VoxelGrid(labels.shape, 3.3, periodic)
        image = make_geometry(grid, [VoxelImage(placed(labels, 3.3), {1: "PCL"})], BOTH)
        array = make_geometry(grid, [LabelArray(labels, {0: "medium", 1: "PCL"})], BOTH)
        for name in ("open_fraction", "aperture_z", "aperture_y", "aperture_x", "wall_area", "label", "open_label"):
            np.testing.assert_array_equal(getattr(image, name), getattr(array, name), name)


@settings(deadline=None, max_examples=25)
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3), voxels=st.tuples(*[st.integers(1, 9)] * 3), seed=st.integers(0, 2**16)
)
def test_volumes_are_kept_at_any_ratio_of_the_voxels(shape, voxels, seed):
    labels = np.random.default_rng(seed).integers(0, 3, shape).astype(np.uint16)
    grid = VoxelGrid(voxels, 7.0)
    spacing = tuple(n * 7.0 / m for n, m in zip(voxels, shape, strict=True))
    image = VoxelImage(placed(labels, spacing), {1: "PCL", 2: "gel"}).on_grid(
        grid, MATERIALS, {"medium": 0, "PCL": 1, "gel": 2}
    )
    closed = image.shares(0, voxels[0]).closed[(0, 1, 2)]
    assert float(closed.sum()) * 7.0**3 == pytest.approx((labels == 1).sum() * np.prod(spacing), rel=1e-12)
    assert closed.min() >= 0 and closed.max() <= 1


def test_shares_and_faces_agree_with_many_points_in_each_voxel():
    labels = (np.random.default_rng(1).random((5, 6, 7)) < 0.3).astype(np.uint8)
    grid, spacing, n = VoxelGrid((2, 3, 2), 10.0), (4.0, 5.0, 20 / 7), 40
    image = VoxelImage(placed(labels, spacing), {1: "PCL"}).on_grid(grid, BOTH, {"medium": 0, "PCL": 1})
    shares = image.shares(0, 2)

    def solid(z, y, x):
        index = [
            np.minimum((p / s).astype(int), m - 1) for p, s, m in zip((z, y, x), spacing, labels.shape, strict=True)
        ]
        return labels[np.ix_(*index)]

    fine = [(np.arange(m * n) + 0.5) * 10 / n for m in grid.shape]
    points = solid(*fine).reshape(2, n, 3, n, 2, n).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(shares.closed[(0, 1, 2)], points, atol=0.03)
    # Faces across x at 10 um, which lie within a voxel of the image.
    face = solid(fine[0], fine[1], np.array([10.0])).reshape(2, n, 3, n).mean(axis=(1, 3))
    np.testing.assert_allclose(shares.closed[(0, 1)][:, :, 1], face, atol=0.03)
    # Faces across y at 10 um and across z at 0 and 20 um; the former on an edge of the image, closed from either side.
    across = solid(fine[0], np.array([9.99]), fine[2]) | solid(fine[0], np.array([10.01]), fine[2])
    np.testing.assert_allclose(shares.closed[(0, 2)][:, 1], across.reshape(2, n, 2, n).mean(axis=(1, 3)), atol=0.03)


def test_slabs_of_any_height_give_the_same():
    labels = (np.random.default_rng(5).random((11, 6, 6)) < 0.5).astype(np.uint8)
    grid = VoxelGrid((8, 5, 5), 2.0, (True, False, False))
    image = VoxelImage(placed(labels, (16 / 11, 10 / 6, 10 / 6)), {1: "PCL"})
    whole = image.on_grid(grid, BOTH, {"medium": 0, "PCL": 1}).shares(0, 8)
    parts = [image.on_grid(grid, BOTH, {"medium": 0, "PCL": 1}).shares(z, z + 1) for z in range(8)]
    assert list(slabs(grid)) == [(0, 8)]
    for axes in ((0, 1, 2), (0, 1), (0, 2)):
        np.testing.assert_array_equal(np.concatenate([part.closed[axes] for part in parts]), whole.closed[axes])
    np.testing.assert_array_equal(np.stack([part.closed[(1, 2)][0] for part in parts]), whole.closed[(1, 2)][:-1])
    np.testing.assert_array_equal(whole.closed[(1, 2)][0], whole.closed[(1, 2)][-1])  # periodic: one and the same face


@pytest.mark.parametrize("finer", [0.5, 1.0, 1.7, 3.0])
def test_a_ball_of_labels_has_its_porosity_to_half_a_percent_at_twenty_voxels_across(finer):
    h, radius = 5.0, 50.0
    centre = (76.3, 74.1, 75.7)
    n = int(np.ceil(30 * finer))
    labels = (distances((n, n, n), h / finer, centre) < radius).astype(np.uint8)
    geometry = make_geometry(cube(30, h), [VoxelImage(placed(labels, h / finer), {1: "PCL"})], BOTH)
    assert solid_in(geometry) == pytest.approx(labels.sum() * (h / finer) ** 3, rel=1e-12)
    solid_share = 4 / 3 * np.pi * radius**3 / 150.0**3
    assert geometry.open_fraction.mean() == pytest.approx(1 - solid_share, rel=5e-3)


def test_labels_name_solids_gels_and_what_is_left_alone():
    labels = np.array([[[0, 1, 2, 3]]], np.uint8)
    box = Box("gel", (0.0, 0.0, 0.0), (10.0, 10.0, 40.0))
    image = VoxelImage(placed(labels, 10), {1: "PCL", 2: "medium", 3: None})
    geometry = make_geometry(VoxelGrid((1, 1, 4), 10.0), [box, image], MATERIALS)
    names = [MATERIALS[i].name for i in geometry.label[0, 0]]
    assert names == ["gel", "PCL", "medium", "gel"]
    assert geometry.open_fraction[0, 0].tolist() == [1, 0, 1, 1]
    assert [MATERIALS[i].name for i in geometry.open_label[0, 0, 2:]] == ["medium", "gel"]


def test_a_voxel_is_of_the_material_of_which_it_holds_most():
    labels = np.array([[[1, 1, 2, 2, 2, 0]]], np.uint8)
    image = VoxelImage(placed(labels, (30, 30, 10)), {1: "PCL", 2: "gel"})
    geometry = make_geometry(VoxelGrid((1, 1, 2), 30.0), [image], MATERIALS)
    assert [MATERIALS[i].name for i in geometry.label[0, 0]] == ["PCL", "gel"]
    assert [MATERIALS[i].name for i in geometry.open_label[0, 0]] == ["gel", "gel"]
    assert geometry.open_fraction[0, 0] == pytest.approx([1 / 3, 1])


def test_shapes_before_an_image_show_through_and_shapes_after_it_act_on_it():
    labels = np.zeros((1, 1, 8), np.uint8)
    labels[..., 1], labels[..., 4] = 1, 2  # solid; medium that carves
    image = VoxelImage(placed(labels, (10, 10, 5)), {1: "PCL", 2: "medium"})
    before = Box("PCL", (-50.0, -50.0, 8.0), (60.0, 60.0, 26.0))
    after = Box("PCL", (-50.0, -50.0, 35.0), (60.0, 60.0, 90.0))
    opened = Box("medium", (-50.0, -50.0, -50.0), (60.0, 60.0, 7.0))
    geometry = make_geometry(VoxelGrid((1, 1, 4), 10.0), [before, image, after, opened], BOTH)
    # 0 to 10: `before` closes a fifth and the image a half, taken as spread evenly over each other; `opened` opens
    # 7 / 10 of what that leaves. 10 to 20 is `before` alone. 20 to 30: of `before`, 6 / 10, the image opens half again.
    left = 0.5 - 0.5 * 0.2
    expected = [0.7 + 0.3 * left, 0.0, 0.5 + 0.5 * 0.4, 0.5]
    assert geometry.open_fraction[0, 0] == pytest.approx(expected)
    assert geometry.aperture_x[0, 0] == pytest.approx([1, 0, 0, 1, 0])


def test_an_image_of_nothing_changes_nothing():
    sphere = Sphere("PCL", (20.0, 21.0, 19.0), 12.0)
    image = VoxelImage(placed(np.zeros((3, 3, 3), np.uint8), 40 / 3), {})
    alone = make_geometry(cube(8, 5.0), [sphere], BOTH)
    for layers in ([sphere, image], [image, sphere]):
        both = make_geometry(cube(8, 5.0), layers, BOTH)
        np.testing.assert_allclose(both.open_fraction, alone.open_fraction, atol=1e-15)
        for one, other in zip(both.apertures, alone.apertures, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-15)


def test_a_threshold_by_voxels_keeps_what_is_above_it():
    levels = np.random.default_rng(2).normal(100, 30, (9, 8, 7)).astype(np.float32)
    spacing = (40 / 9, 5.0, 40 / 7)
    for invert in (False, True):
        image = VoxelImage(placed(levels, spacing), {}, "PCL", 110.0, invert)
        inside = levels < 110 if invert else levels > 110
        on_grid = image.on_grid(cube(8, 5.0), BOTH, {"medium": 0, "PCL": 1})
        closed = on_grid.shares(0, 8).closed[(0, 1, 2)]
        assert closed.sum() * 125 == pytest.approx(inside.sum() * np.prod(spacing), rel=1e-12)


def test_gels_in_an_image_are_open_and_connect():
    labels = np.full((2, 2, 2), 2, np.uint8)
    geometry = make_geometry(cube(4, 5.0), [VoxelImage(placed(labels, 10), {2: "gel"})], MATERIALS)
    assert (geometry.open_fraction == 1).all() and (geometry.open_label == 2).all()
    assert find_pockets(geometry, {"z_high"}).touches_bath.all()
    assert GEL.name == geometry.materials[2].name


BATH = Material("outside", "bath")
SMALL = np.ones((2, 2, 2), np.uint8)
REFUSED = {
    "does not cover the grid": lambda: VoxelImage(placed(SMALL, 9.0), {1: "PCL"}),
    "x_high": lambda: VoxelImage(placed(SMALL, (10.0, 10.0, 9.0)), {1: "PCL"}),
    "outside the grid": lambda: VoxelImage(placed(SMALL, 10.0, at=(0.0, 0.0, 30.0), may_end=True), {1: "PCL"}),
    "times the size of the grid": lambda: VoxelImage(placed(SMALL, 1e6), {1: "PCL"}),
    "labels without a material: 1": lambda: VoxelImage(placed(SMALL, 10.0), {2: "PCL"}),
    "unknown material 'PLA'": lambda: VoxelImage(placed(SMALL, 10.0), {1: "PLA"}),
    "kind 'bath'": lambda: VoxelImage(placed(SMALL, 10.0), {1: "outside"}),
    "no labels": lambda: VoxelImage(placed(SMALL * 0.5, 10.0), {1: "PCL"}),
    "not finite": lambda: VoxelImage(placed(SMALL * np.nan, 10.0), {1: "PCL"}),
    "positive length": lambda: VoxelImage(PlacedImage(stack_of(SMALL), (0.0, 1.0, 1.0)), {1: "PCL"}),
    "nothing to part": lambda: VoxelImage(placed(SMALL, 10.0), {}, "PCL", "otsu"),
}


@pytest.mark.parametrize("words", REFUSED)
def test_images_that_make_no_scaffold_are_refused(words):
    with pytest.raises(GeometryError, match=words.replace("(", r"\(")):
        make_geometry(cube(4, 5.0), [REFUSED[words]()], (*MATERIALS, BATH))


def test_an_image_cannot_be_laid_over_walls_of_a_bath_or_staircases():
    image = VoxelImage(placed(SMALL, 10.0), {1: "PCL"})
    ball = Sphere("outside", (10.0, 10.0, 10.0), 5.0)
    with pytest.raises(GeometryError, match="comes after bath"):
        make_geometry(cube(4, 5.0), [ball, image], (*MATERIALS, BATH))
    with pytest.raises(GeometryError, match="comes after labels"):
        make_geometry(cube(4, 5.0), [LabelArray(np.zeros((4, 4, 4), np.uint8), {0: "medium"}), image], MATERIALS)


def test_an_image_may_end_where_that_is_said_and_is_centred_on_request():
    image = VoxelImage(placed(SMALL, 5.0, centre=True, may_end=True), {1: "PCL"})
    geometry = make_geometry(cube(4, 5.0), [image], BOTH)
    assert geometry.open_fraction[1:3, 1:3, 1:3].max() == 0
    assert geometry.open_fraction.sum() == 64 - 8


def test_walls_thinner_than_a_voxel_are_told_of():
    labels = np.zeros((24, 24, 24), np.uint8)
    labels[:, :, 13] = 1
    thin = make_geometry(cube(6, 8.0), [VoxelImage(placed(labels, 2.0), {1: "PCL"})], BOTH)
    assert any("36 of 36 voxels that it cuts have walls inside" in warning for warning in thin.warnings)
    fine = make_geometry(cube(24, 2.0), [VoxelImage(placed(labels, 2.0), {1: "PCL"})], BOTH)
    assert fine.warnings == ()


def test_weights_are_overlaps_and_edges_that_miss_by_round_off_are_one():
    edges = np.array([0.0, 1.0, 2.5, 4.0])
    weights = overlap_weights(np.array([0.0, 0.5]), np.array([2.0, 3.0]), edges).toarray()
    np.testing.assert_allclose(weights, [[0.5, 0.5, 0.0], [0.2, 0.6, 0.2]])
    assert snapped(np.array([0.0, 1.0 + 1e-13, 2.2]), np.array([0.0, 1.0, 2.0])).tolist() == [0.0, 1.0, 2.2]
    below, above = voxels_beside(np.array([0.0, 1.0, 1.7, 4.0]), edges)
    assert below.tolist() == [0, 0, 1, 2] and above.tolist() == [0, 1, 1, 2]

"""Footprints: which voxels a cell touches, and how much of each."""

import numpy as np
import pytest

from payloadfield.cells import CellRequest, place_cells
from payloadfield.geometry import (
    MEDIUM,
    Box,
    Cylinder,
    LabelArray,
    Material,
    VoxelGrid,
    Woodpile,
    find_pockets,
    make_geometry,
)

SOLID = Material("solid", "impermeable")
MATERIALS = [MEDIUM, SOLID]


def footprint(geometry, position, radius, place="anywhere"):
    """Weights of one cell on the grid."""
    request = CellRequest("a", radius, positions=[position], place=place)
    cells = place_cells([request], geometry, find_pockets(geometry), 1)
    weight = np.zeros(geometry.grid.n_voxels)
    weight[cells.entry_voxel] = cells.entry_weight
    return weight.reshape(geometry.grid.shape)


def empty(shape=(9, 9, 9), h=10.0, periodic=(False, False, False)):
    return make_geometry(VoxelGrid(shape, h, periodic), [], MATERIALS)


def counted_overlap(grid, position, radius, n=20):
    """Share of a ball in each voxel, by counting points."""
    p = (np.arange(n) + 0.5) / n
    axes = [((np.arange(k)[:, None] + p) * grid.spacing).ravel() - c for k, c in zip(grid.shape, position, strict=True)]
    inside = axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2 < radius**2
    nz, ny, nx = grid.shape
    share = inside.reshape(nz, n, ny, n, nx, n).sum(axis=(1, 3, 5))
    return share / share.sum()


@pytest.mark.parametrize("radius", [5.5, 8.0, 12.0, 23.0])
@pytest.mark.parametrize("position", [(45.0, 45.0, 45.0), (41.2, 47.9, 44.3), (40.0, 40.0, 40.0)])
def test_weights_are_the_overlap_of_the_ball_with_the_voxels(radius, position):
    geometry = empty((9, 9, 9))
    weight = footprint(geometry, position, radius)
    expected = counted_overlap(geometry.grid, position, radius)
    assert np.abs(weight - expected).max() < 0.02 * max(1, expected.max())
    assert np.abs(weight - expected).sum() < 0.05


def test_weights_of_every_cell_add_up_to_one():
    grid = VoxelGrid((32, 32, 32), 20.0, (False, True, True))
    geometry = make_geometry(grid, [Woodpile("solid", 200, 320, 160)], MATERIALS)
    requests = [
        CellRequest("a", radius, count=300, place=place) for radius in (6, 15, 30) for place in ("surface", "anywhere")
    ]
    cells = place_cells(requests, geometry, find_pockets(geometry), 3)
    totals = np.add.reduceat(cells.entry_weight, cells.entry_start[:-1])
    np.testing.assert_allclose(totals, 1, rtol=1e-14)
    assert (cells.entry_weight > 0).all() and geometry.is_open.ravel()[cells.entry_voxel].all()
    for start, end in zip(cells.entry_start[:-1], cells.entry_start[1:], strict=True):
        assert end > start and (np.diff(cells.entry_voxel[start:end]) > 0).all()


def test_cells_smaller_than_half_a_voxel_stay_in_one():
    weight = footprint(empty(), (40.1, 45.0, 45.0), 4.9)
    assert weight[4, 4, 4] == 1 and np.count_nonzero(weight) == 1


def test_footprints_continue_through_periodic_sides():
    inside = footprint(empty(periodic=(True, True, True)), (45.0, 42.0, 47.0), 14.0)
    across = footprint(empty(periodic=(True, True, True)), (5.0, 2.0, 87.0), 14.0)
    np.testing.assert_allclose(across, np.roll(inside, (-4, -4, 4), (0, 1, 2)), atol=1e-12)


def test_footprints_end_at_free_sides():
    weight = footprint(empty(), (5.0, 2.0, 87.0), 14.0)
    assert not weight[3:].any() and not weight[:, 3:].any() and not weight[:, :, :6].any()
    assert weight.sum() == pytest.approx(1)


def test_cells_larger_than_a_periodic_box_count_each_voxel_once():
    geometry = empty((1, 2, 9), periodic=(True, True, False))
    weight = footprint(geometry, (5.0, 5.0, 45.0), 22.0)
    request = CellRequest("a", 22.0, positions=[[5.0, 5.0, 45.0]])
    cells = place_cells([request], geometry, find_pockets(geometry), 1)
    assert len(np.unique(cells.entry_voxel)) == cells.n_entries
    np.testing.assert_allclose(weight[:, :, :4], weight[:, :, :4:-1], atol=1e-12)
    assert weight.sum() == pytest.approx(1)


def test_footprints_never_cross_a_wall():
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[:, :, 5] = 1
    geometry = make_geometry(VoxelGrid((9, 9, 9), 10.0), [LabelArray(labels, {0: None, 1: "solid"})], MATERIALS)
    weight = footprint(geometry, (45.0, 45.0, 45.0), 25.0)
    assert weight[:, :, :5].sum() == pytest.approx(1) and not weight[:, :, 5:].any()


def test_footprints_reach_around_a_wall_only_within_the_cell():
    labels = np.zeros((1, 9, 9), np.uint8)
    labels[:, 3:6, 5] = 1
    geometry = make_geometry(
        VoxelGrid((1, 9, 9), 10.0, (True, False, False)), [LabelArray(labels, {0: None, 1: "solid"})], MATERIALS
    )
    assert not footprint(geometry, (5.0, 45.0, 45.0), 19.0)[:, :, 6:].any()
    assert footprint(geometry, (5.0, 45.0, 45.0), 29.0)[:, :, 6:].any()


def test_no_footprint_spans_two_pockets():
    grid = VoxelGrid((20, 20, 20), 10.0)
    wall = Box("solid", (-9, -9, 93), (999, 999, 107))
    geometry = make_geometry(grid, [wall, Cylinder("solid", "x", (100, 100, 0), 40)], MATERIALS)
    pockets = find_pockets(geometry)
    assert pockets.n_pockets == 2
    requests = [CellRequest("a", 22, count=300, place="anywhere"), CellRequest("b", 22, count=100, place="surface")]
    cells = place_cells(requests, geometry, pockets, 5)
    pocket = pockets.label.ravel()[cells.entry_voxel]
    owner = np.repeat(np.arange(cells.n_cells), np.diff(cells.entry_start))
    assert (pocket == pocket[cells.entry_start[:-1]][owner]).all()
    assert len(np.unique(pocket)) == 2


def test_weights_in_the_medium_follow_the_open_fraction():
    geometry = make_geometry(VoxelGrid((9, 9, 9), 10.0), [Box("solid", (-9, -9, -9), (99, 99, 37))], MATERIALS)
    weight = footprint(geometry, (45.0, 45.0, 45.0), 14.0)
    free = footprint(empty(), (45.0, 45.0, 45.0), 14.0)
    cut = free * geometry.open_fraction
    np.testing.assert_allclose(weight, cut / cut.sum(), atol=1e-12)


def test_weights_on_a_surface_follow_the_wall_area():
    geometry = make_geometry(VoxelGrid((9, 9, 9), 10.0), [Box("solid", (-9, -9, -9), (99, 99, 37))], MATERIALS)
    weight = footprint(geometry, (45.0, 45.0, 45.0), 14.0, "surface")
    assert weight[:, :, 3].sum() == pytest.approx(1)
    free = footprint(empty(), (45.0, 45.0, 45.0), 14.0)[:, :, 3]
    np.testing.assert_allclose(weight[:, :, 3], free / free.sum(), atol=1e-12)


def test_surface_cells_away_from_any_wall_fall_back_to_the_open_volume():
    geometry = make_geometry(VoxelGrid((9, 9, 9), 10.0), [Box("solid", (-9, -9, -9), (99, 99, 7))], MATERIALS)
    np.testing.assert_array_equal(
        footprint(geometry, (45.0, 45.0, 65.0), 14.0, "surface"),
        footprint(geometry, (45.0, 45.0, 65.0), 14.0, "anywhere"),
    )


@pytest.mark.parametrize("place", ["anywhere", "surface"])
def test_mean_exposure_of_a_cell_hardly_changes_when_the_grid_is_refined(place):
    seen = []
    for n in (16, 32, 64):
        grid = VoxelGrid((n, n, n), 96 / n)
        geometry = make_geometry(grid, [Cylinder("solid", "x", (40, 40, 0), 25.3)], MATERIALS)
        z, y, x = np.meshgrid(*(grid.centres(axis) for axis in range(3)), indexing="ij")
        field = np.exp(-((y - 60) ** 2 + (z - 70) ** 2 + (x - 30) ** 2) / 60**2)
        # Cells whose centres are a little off the wall, all around.
        angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        weight = sum(footprint(geometry, (40 + 29 * np.sin(a), 40 + 29 * np.cos(a), 48.3), 8.0, place) for a in angles)
        seen.append((weight * field).sum() / len(angles))
    assert abs(seen[0] / seen[2] - 1) < 0.02 and abs(seen[1] / seen[2] - 1) < 0.01

"""Pockets: parts of the open space that no open face joins."""

import numpy as np
import pytest

from payloadfield.errors import GeometryError
from payloadfield.geometry import (
    MEDIUM,
    Box,
    LabelArray,
    Material,
    Sphere,
    VoxelGrid,
    Woodpile,
    find_pockets,
    make_geometry,
)

SOLID, BATH = Material("solid", "impermeable"), Material("bath", "bath")
MATERIALS = [MEDIUM, SOLID, BATH]


def of_labels(labels, periodic=(False, False, False)):
    grid = VoxelGrid(labels.shape, 2.0, periodic)
    return make_geometry(grid, [LabelArray(labels, {0: None, 1: "solid", 2: "bath"})], MATERIALS)


def flood(geometry):
    """Number of each voxel's pocket, by walking from voxel to voxel."""
    shape, number, pocket = geometry.grid.shape, np.full(geometry.grid.shape, -1), 0
    for start in zip(*np.nonzero(geometry.open_fraction), strict=True):
        if number[start] >= 0:
            continue
        number[start], stack = pocket, [start]
        while stack:
            at = stack.pop()
            for axis, aperture in enumerate(geometry.apertures):
                for step in (-1, 1):
                    face, there = list(at), list(at)
                    face[axis] += step > 0
                    there[axis] = at[axis] + step
                    if not 0 <= there[axis] < shape[axis]:
                        if not geometry.grid.periodic[axis]:
                            continue
                        there[axis] %= shape[axis]
                    if aperture[tuple(face)] > 0 and number[tuple(there)] < 0:
                        number[tuple(there)] = pocket
                        stack.append(tuple(there))
        pocket += 1
    return number


@pytest.mark.parametrize("periodic", [(False, False, False), (True, False, True), (True, True, True)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pockets_are_those_of_a_walk_through_open_faces(periodic, seed):
    labels = (np.random.default_rng(seed).random((6, 7, 9)) < 0.68).astype(np.uint8)
    geometry = of_labels(labels, periodic)
    pockets, walked = find_pockets(geometry), flood(geometry)
    assert pockets.n_pockets == walked.max() + 1 > 3
    pairs = set(zip(pockets.label.ravel(), walked.ravel(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_the_largest_pocket_comes_first_and_equal_ones_in_the_order_of_their_voxels():
    labels = np.zeros((1, 1, 12), np.uint8)
    labels[0, 0, [2, 5, 9]] = 1
    pockets = find_pockets(of_labels(labels))
    assert pockets.label[0, 0].tolist() == [1, 1, -1, 2, 2, -1, 0, 0, 0, -1, 3, 3]
    assert pockets.volume.tolist() == [24, 16, 16, 16] and pockets.n_voxels.tolist() == [3, 2, 2, 2]


def test_periodic_sides_join_pockets():
    labels = np.zeros((1, 1, 8), np.uint8)
    labels[0, 0, 3] = 1
    assert find_pockets(of_labels(labels)).n_pockets == 2
    assert find_pockets(of_labels(labels, (False, False, True))).n_pockets == 1


@pytest.mark.parametrize(("axis", "name"), [(0, "z"), (1, "y"), (2, "x")])
def test_only_pockets_with_an_open_bath_side_touch_the_bath(axis, name):
    labels = np.zeros((8, 8, 8), np.uint8)
    np.moveaxis(labels, axis, 0)[3] = 1
    np.moveaxis(labels, axis, 0)[6:] = 1
    geometry = of_labels(labels)
    low = find_pockets(geometry, {f"{name}_low"})
    assert low.touches_bath.tolist() == [True, False]
    assert find_pockets(geometry, {f"{name}_high"}).touches_bath.tolist() == [False, False]
    assert not find_pockets(geometry).touches_bath.any()


def test_a_closed_void_in_a_smooth_solid_is_a_pocket_of_its_own():
    grid = VoxelGrid((12, 12, 12), 1.0)
    shapes = [Sphere("solid", (6, 6, 6), 5.0), Sphere("medium", (6, 6, 6), 2.5)]
    pockets = find_pockets(make_geometry(grid, shapes, MATERIALS), {"z_high"})
    assert pockets.n_pockets == 2 and pockets.touches_bath.tolist() == [True, False]
    assert pockets.volume[1] == pytest.approx(4 / 3 * np.pi * 2.5**3, rel=0.1)


def test_walls_to_bath_connect_a_pocket_to_it():
    grid = VoxelGrid((12, 12, 12), 1.0)
    inside = make_geometry(grid, [Sphere("bath", (6, 6, 6), 4.0, outside=True)], MATERIALS)
    assert find_pockets(inside).touches_bath.tolist() == [True]
    stairs = np.zeros((1, 1, 7), np.uint8)
    stairs[0, 0, 2], stairs[0, 0, 6] = 1, 2
    assert find_pockets(of_labels(stairs)).touches_bath.tolist() == [True, False]


def test_wall_between_voxels_separates_pockets():
    grid = VoxelGrid((4, 4, 4), 1.0)
    geometry = make_geometry(grid, [Box("solid", (-1, -1, 1.2), (9, 9, 2.8))], MATERIALS)
    assert geometry.n_open == 64
    assert find_pockets(geometry).n_pockets == 2


def test_the_pores_of_a_woodpile_are_connected():
    grid = VoxelGrid((32, 32, 32), 20.0, (False, True, True))
    geometry = make_geometry(grid, [Woodpile("solid", 200, 320, 160)], MATERIALS)
    pockets = find_pockets(geometry, {"z_high"})
    assert pockets.volume[0] / pockets.volume.sum() > 0.999 and pockets.touches_bath[0]
    assert pockets.volume.sum() == pytest.approx(geometry.open_volume)
    assert ((pockets.label >= 0) == geometry.is_open).all()


def test_sides_that_cannot_be_a_bath_are_refused():
    geometry = make_geometry(VoxelGrid((4, 4, 4), 1.0, (False, True, False)), [], MATERIALS)
    with pytest.raises(GeometryError, match="unknown side 'top'; sides are z_low"):
        find_pockets(geometry, {"top"})
    with pytest.raises(GeometryError, match="y_low cannot be a bath, because y is periodic"):
        find_pockets(geometry, {"y_low"})

"""Distances between voxels, against SciPy's transform of the same voxels with their periodic images around them."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from payloadfield.geometry import VoxelGrid
from payloadfield.geometry.distance import distance_to, put_staircases

SHAPES = [(1, 1, 9), (6, 9, 11), (13, 8, 20)]
PERIODIC = [(False, False, False), (True, False, True), (True, True, True)]


def voxels(shape, share, seed=0):
    found = np.random.default_rng(seed).random(shape) < share
    found.flat[0], found.flat[-1] = True, False
    return found


def expected(target, periodic):
    pad = [(n, n) if p else (0, 0) for n, p in zip(target.shape, periodic, strict=True)]
    inner = tuple(slice(a, a + n) for (a, _), n in zip(pad, target.shape, strict=True))
    return distance_transform_edt(~np.pad(target, pad, mode="wrap"))[inner]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("periodic", PERIODIC)
@pytest.mark.parametrize("share", [0.01, 0.4, 0.97])
def test_distances_to_voxels_are_exact_through_periodic_sides_too(shape, periodic, share):
    target = voxels(shape, share)
    np.testing.assert_array_equal(distance_to(target, VoxelGrid(shape, 2.0, periodic)), expected(target, periodic))


def test_a_periodic_side_matters():
    target = np.zeros((1, 1, 9), bool)
    target[..., 0] = True
    free, around = (distance_to(target, VoxelGrid((1, 1, 9), 1.0, p))[0, 0] for p in (PERIODIC[0], PERIODIC[2]))
    assert free.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8] and around.tolist() == [0, 1, 2, 3, 4, 4, 3, 2, 1]


@pytest.mark.parametrize("periodic", PERIODIC)
def test_staircases_stand_where_the_distance_is_not_known(periodic):
    solid, grid = voxels((6, 9, 11), 0.1), VoxelGrid((6, 9, 11), 2.0, periodic)
    stairs = np.where(solid, 0.5 - expected(~solid, periodic), expected(solid, periodic) - 0.5) * 2.0
    rough = stairs + 0.25
    distance = rough.copy()
    put_staircases(distance, grid, solid, beyond=3.0)
    far = np.abs(rough) > 3.0
    assert far.any() and not far.all()
    np.testing.assert_allclose(distance[far], stairs[far], rtol=1e-14)
    np.testing.assert_array_equal(distance[~far], rough[~far])


@pytest.mark.parametrize("everything", [False, True])
def test_without_a_surface_it_is_infinitely_far(everything):
    distance = np.zeros((3, 4, 5))
    put_staircases(distance, VoxelGrid((3, 4, 5), 1.0), np.full((3, 4, 5), everything), beyond=-1.0)
    assert (distance == (-np.inf if everything else np.inf)).all()

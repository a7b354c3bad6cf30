"""Distances of lattice points near a surface to its nearest triangle.

Every triangle looks at the lattice points in its box, widened as far as any can be. Large triangles are cut first.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from payloadfield.geometry.grid import FloatArray
from payloadfield.geometry.mesh.rays import numbers_within
from payloadfield.geometry.mesh.triangles import IntArray
from payloadfield.geometry.shares import MARGIN

BoolArray = npt.NDArray[np.bool_]

# Corners of cut voxels lie within the diagonal of a voxel, those that their cut looks at MARGIN steps further [voxels].
REACH = 1.7321 + MARGIN
# Longest edge of the triangles that look around them, in voxels.
LONGEST_EDGE = 3.0
MOST_THREADS = 4


def corners_of_cut_voxels(inside: BoolArray) -> BoolArray:
    """Lattice points of which a voxel around them has points inside and points outside the surface."""
    mixed = _any_of_eight(inside) & ~_all_of_eight(inside)
    needed = np.zeros(inside.shape, bool)
    for axis_z in (slice(None, -1), slice(1, None)):
        for axis_y in (slice(None, -1), slice(1, None)):
            for axis_x in (slice(None, -1), slice(1, None)):
                needed[axis_z, axis_y, axis_x] |= mixed
    return needed


def _any_of_eight(points: BoolArray) -> BoolArray:
    z = points[1:] | points[:-1]
    y = z[:, 1:] | z[:, :-1]
    return np.asarray(y[:, :, 1:] | y[:, :, :-1])


def _all_of_eight(points: BoolArray) -> BoolArray:
    z = points[1:] & points[:-1]
    y = z[:, 1:] & z[:, :-1]
    return np.asarray(y[:, :, 1:] & y[:, :, :-1])


def looked_at(points: BoolArray) -> BoolArray:
    """Lattice points and those up to MARGIN steps along an axis away from them."""
    grown = points.copy()
    for axis in range(3):
        own, other = np.moveaxis(points, axis, 0), np.moveaxis(grown, axis, 0)
        for step in range(1, MARGIN + 1):
            other[step:] |= own[:-step]
            other[:-step] |= own[step:]
    return grown


def distances_near(corners: FloatArray, wanted: BoolArray) -> npt.NDArray[np.float32]:
    """Distance of wanted lattice points to the nearest triangle, in steps of the lattice; infinite elsewhere.

    corners: (m, 3, 3) corners z, y, x of each triangle, in steps of the lattice from its first point
    wanted: (n_z, n_y, n_x), a point within REACH of the surface
    """
    from payloadfield.geometry.compiled.nearest import lower

    distance = np.full(wanted.shape, np.inf, np.float32)
    pieces = _cut_to_size(_within(corners, wanted.shape), wanted.shape)
    n_threads = min(MOST_THREADS, os.cpu_count() or 1, wanted.shape[0])
    # Planes with about as many wanted points each.
    counts = np.cumsum(wanted.sum(axis=(1, 2)))
    ends = [0, *np.searchsorted(counts, counts[-1] * np.arange(1, n_threads) / n_threads).tolist(), wanted.shape[0]]
    with ThreadPoolExecutor(n_threads) as threads:
        list(threads.map(lambda ends: lower(pieces, wanted, REACH, *ends, distance), pairwise(ends)))
    return distance


def _within(corners: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Triangles whose boxes come near the lattice."""
    first, last = -REACH, np.array(shape) - 1 + REACH
    if not len(corners) or (corners.min() >= first and (corners.max(axis=(0, 1)) <= last).all()):
        return corners
    low, high = _box(corners)
    near = (high >= first) & (low <= last)
    return corners[near[:, 0] & near[:, 1] & near[:, 2]]


def _box(corners: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest coordinates of each triangle."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    return np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)


def _cut_to_size(corners: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Triangles halved at their longest edge until it is short; those that leave the lattice are dropped on the way."""
    done = []
    while len(corners):
        squares = np.stack([np.sum((corners[:, k] - corners[:, k - 2]) ** 2, axis=1) for k in range(3)])
        longest = squares.argmax(axis=0)
        is_short = squares.max(axis=0) <= LONGEST_EDGE**2
        done.append(corners[is_short])
        corners, longest = corners[~is_short], longest[~is_short]
        number = np.arange(len(corners))
        # Edge k runs from corner k to the next one, k + 1.
        a, b, c = (corners[number, (longest + k) % 3] for k in range(3))
        middle = (a + b) / 2
        halves = (np.stack([a, middle, c], axis=1), np.stack([middle, b, c], axis=1))
        corners = _within(np.concatenate(halves), shape)
    return np.concatenate(done) if done else corners


def points_in_boxes(low: IntArray, size: IntArray, shape: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    """Flat index of each lattice point in boxes, and the number of its box."""
    rows = size[:, 0] * size[:, 1]
    box = np.repeat(np.arange(len(low)), rows)
    up, back = np.divmod(numbers_within(rows), size[box, 1])
    first = ((low[box, 0] + up) * shape[1] + low[box, 1] + back) * shape[2] + low[box, 2]
    length = size[box, 2]
    return np.repeat(first, length) + numbers_within(length), np.repeat(box, length)

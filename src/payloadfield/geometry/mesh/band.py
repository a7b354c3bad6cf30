"""Distances of lattice points near a surface to its nearest triangle.

Every triangle looks at the lattice points in its box, widened by a reach: what it finds nearer than the reach is the
distance. The few points left over look at the triangles whose middles are nearest. Large triangles are cut first.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from payloadfield.geometry.grid import FloatArray
from payloadfield.geometry.mesh.rays import numbers_within
from payloadfield.geometry.mesh.triangles import IntArray

BoolArray = npt.NDArray[np.bool_]

# How far triangles look, in voxels: most corners of cut voxels are nearer. All lie within the diagonal of a voxel.
REACH, DIAGONAL = 0.9, 1.7321
# Triangles at which a point looks that no triangle saw.
N_NEAREST = 6
# Longest edge of the triangles that look around them, in voxels.
LONGEST_EDGE = 1.5
# Pairs of a triangle and a point that are looked at together: their arrays stay in the cache of a core.
PAIRS_AT_ONCE = 2**15
TRIANGLES_AT_ONCE = 2**13
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


def distances_near(corners: FloatArray, needed: BoolArray) -> npt.NDArray[np.float32]:
    """Distance of needed lattice points to the nearest triangle, in steps of the lattice; infinite elsewhere.

    corners: (m, 3, 3) corners z, y, x of each triangle, in steps of the lattice from its first point
    needed: (n_z, n_y, n_x), a point within sqrt(3) of the surface
    """
    distance = np.full(needed.shape, np.inf, np.float32)
    pieces = _cut_to_size(_within(corners, needed.shape), needed.shape)
    blocks = [pieces[start : start + TRIANGLES_AT_ONCE] for start in range(0, len(pieces), TRIANGLES_AT_ONCE)]
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as threads:
        for points, found in threads.map(lambda block: _look_around(block, needed), blocks):
            np.minimum.at(distance.reshape(-1), points, found)
        left = np.flatnonzero(needed & (distance > REACH))
        if len(left) and len(pieces):
            _look_up_nearest(pieces, left, distance, threads)
    return distance


def _look_up_nearest(
    pieces: FloatArray, points: IntArray, distance: npt.NDArray[np.float32], threads: ThreadPoolExecutor
) -> None:
    """Distance of the points left over to the nearest of the triangles with the nearest middles, in place."""
    from scipy.spatial import cKDTree

    place = np.stack(np.unravel_index(points, distance.shape), axis=1)
    n_nearest = min(N_NEAREST, len(pieces))
    nearest = cKDTree(pieces.mean(axis=1)).query(place, n_nearest, workers=-1)[1].reshape(len(points), n_nearest)
    flat = distance.reshape(-1)

    def look(part: slice) -> None:
        z, y, x = place[part].T
        squared = np.min([_squared_distance(_table(pieces[each[part]]), z, y, x) for each in nearest.T], axis=0)
        flat[points[part]] = np.minimum(flat[points[part]], np.sqrt(squared))

    parts = [slice(start, start + PAIRS_AT_ONCE) for start in range(0, len(points), PAIRS_AT_ONCE)]
    list(threads.map(look, parts))


def _within(corners: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Triangles whose boxes come near the lattice."""
    first, last = -DIAGONAL, np.array(shape) - 1 + DIAGONAL
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


def _look_around(corners: FloatArray, needed: BoolArray) -> tuple[IntArray, npt.NDArray[np.float32]]:
    """Needed points in the widened boxes of triangles, as flat indices, and their distances."""
    shape = np.array(needed.shape)
    box_low, box_high = _box(corners)
    low = np.clip(np.ceil(box_low - REACH), 0, shape).astype(np.int64)
    high = np.clip(np.floor(box_high + REACH) + 1, 0, shape).astype(np.int64)
    flat, triangle = points_in_boxes(low, np.maximum(high - low, 0), needed.shape)
    kept = needed.reshape(-1)[flat]
    flat, triangle = flat[kept], triangle[kept]
    table, distance = _table(corners), np.empty(len(flat), np.float32)
    for start in range(0, len(flat), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        rest, x = np.divmod(flat[part], shape[2])
        z, y = np.divmod(rest, shape[1])
        squared = _squared_distance([t.take(triangle[part]) for t in table], z, y, x)
        distance[part] = np.sqrt(squared, out=squared)
    return flat, distance


def points_in_boxes(low: IntArray, size: IntArray, shape: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    """Flat index of each lattice point in boxes, and the number of its box."""
    rows = size[:, 0] * size[:, 1]
    box = np.repeat(np.arange(len(low)), rows)
    up, back = np.divmod(numbers_within(rows), size[box, 1])
    first = ((low[box, 0] + up) * shape[1] + low[box, 1] + back) * shape[2] + low[box, 2]
    length = size[box, 2]
    return np.repeat(first, length) + numbers_within(length), np.repeat(box, length)


def _table(corners: FloatArray) -> list[FloatArray]:
    """Per triangle: corner, edges, their inverse squares, inward directions of the edges, unit normal; as columns."""
    a, b, c = np.moveaxis(corners, 1, 0)
    columns = []
    normal = np.cross(b - a, c - a)
    for start, end in ((a, b), (b, c), (c, a)):
        edge = end - start
        squared = np.einsum("ij,ij->i", edge, edge)
        columns += [*start.T, *edge.T, 1 / np.where(squared > 0, squared, 1), *np.cross(normal, edge).T]
    length = np.linalg.norm(normal, axis=1)
    unit = normal / np.where(length > 0, length, 1)[:, None]
    # A triangle without area is its edges.
    return [np.ascontiguousarray(column) for column in (*columns, *unit.T, length > 0)]


def _squared_distance(t: list[FloatArray], z: IntArray, y: IntArray, x: IntArray) -> FloatArray:
    """Squared distance of points to triangles: to the plane where the foot is inside, else to the nearest edge."""
    nearest: FloatArray = np.full(len(z), np.inf)
    inside = np.asarray(t[33], bool)
    for k in range(3):
        az, ay, ax, ez, ey, ex, inverse, mz, my, mx = t[10 * k : 10 * k + 10]
        pz, py, px = z - az, y - ay, x - ax
        along = np.clip((pz * ez + py * ey + px * ex) * inverse, 0, 1)
        inside &= pz * mz + py * my + px * mx >= 0
        pz -= along * ez
        py -= along * ey
        px -= along * ex
        np.minimum(nearest, pz * pz + py * py + px * px, out=nearest)
    height = (z - t[0]) * t[30] + (y - t[1]) * t[31] + (x - t[2]) * t[32]
    return np.where(inside, height * height, nearest)

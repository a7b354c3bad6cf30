"""Distances of lattice points to the nearest of many triangles, and of the middles of voxels between them."""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_U = np.uint64
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}


@njit(**_OPTIONS)
def lower(corners, wanted, reach, z0, z1, distance):
    """Take the distance to each triangle into `distance`, at wanted points that may lie within reach of it.

    corners: (m, 3, 3) corners z, y, x of each triangle; reach: all in steps of the lattice
    wanted, distance: (n_z, n_y, n_x), of which only the planes z0 <= z < z1 are looked at
    """
    _, ny, nx = wanted.shape
    edge, towards, normal, inverse = np.empty((3, 3)), np.empty((3, 3)), np.empty(3), np.empty(3)
    for triangle in corners:
        cz, cy, cx = (triangle[0] + triangle[1] + triangle[2]) / 3
        radius = 0.0
        for a, b, c in triangle:
            radius = max(radius, np.sqrt((a - cz) ** 2 + (b - cy) ** 2 + (c - cx) ** 2))
        around = reach + radius
        if cz + around < z0 or cz - around > z1 - 1:
            continue
        is_flat = _describe(triangle, edge, towards, normal, inverse)
        for z in range(max(z0, int(np.ceil(cz - around))), min(z1, int(np.floor(cz + around)) + 1)):
            for y in range(max(0, int(np.ceil(cy - around))), min(ny, int(np.floor(cy + around)) + 1)):
                across = (z - cz) ** 2 + (y - cy) ** 2
                if across > around * around:
                    continue
                half = np.sqrt(around * around - across)
                for x in range(max(0, int(np.ceil(cx - half))), min(nx, int(np.floor(cx + half)) + 1)):
                    if not wanted[z, y, x]:
                        continue
                    # What is further from the middle than this is further from all of the triangle.
                    farthest = distance[z, y, x] + radius
                    if across + (x - cx) ** 2 < farthest * farthest:
                        found = _distance(z, y, x, triangle, edge, towards, normal, inverse, is_flat)
                        distance[z, y, x] = min(distance[z, y, x], np.float32(found))


@njit(**_OPTIONS)
def _describe(triangle, edge, towards, normal, inverse):
    """Edges, their inverse squares and inward directions, unit normal; whether it has an area, else it is its edges."""
    for k in range(3):
        for a in range(3):
            edge[k, a] = triangle[(k + 1) % 3, a] - triangle[k, a]
        squared = edge[k, 0] ** 2 + edge[k, 1] ** 2 + edge[k, 2] ** 2
        inverse[k] = 1 / squared if squared > 0 else 1.0
    _cross(edge[0], edge[1], normal)
    for k in range(3):
        _cross(normal, edge[k], towards[k])
    length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
    if length > 0:
        for a in range(3):
            normal[a] /= length
    return length > 0


@njit(**_OPTIONS)
def _cross(a, b, out):
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]


@njit(**_OPTIONS)
def _distance(z, y, x, triangle, edge, towards, normal, inverse, is_flat):
    """To the plane where the foot is inside, else to the nearest edge."""
    inside, nearest = is_flat, np.inf
    for k in range(3):
        pz, py, px = z - triangle[k, 0], y - triangle[k, 1], x - triangle[k, 2]
        inside &= pz * towards[k, 0] + py * towards[k, 1] + px * towards[k, 2] >= 0
        along = min(max((pz * edge[k, 0] + py * edge[k, 1] + px * edge[k, 2]) * inverse[k], 0.0), 1.0)
        pz -= along * edge[k, 0]
        py -= along * edge[k, 1]
        px -= along * edge[k, 2]
        nearest = min(nearest, pz * pz + py * py + px * px)
    if inside:
        height = (z - triangle[0, 0]) * normal[0] + (y - triangle[0, 1]) * normal[1] + (x - triangle[0, 2]) * normal[2]
        return abs(height)
    return np.sqrt(nearest)


@njit(**_OPTIONS)
def mean_of_corners(corners, inside, most, distance):
    """Size of the mean over the corners of a voxel, `most` where one of them is not nearer than that; below 0 inside.

    corners: (nz + 1, ny + 1, nx + 1) signed distance; inside, distance: (nz, ny, nx), the latter to be filled
    """
    nz, ny, nx = inside.shape
    for z in range(nz):
        for y in range(ny):
            a, b, c, d = corners[z, y], corners[z, y + 1], corners[z + 1, y], corners[z + 1, y + 1]
            low, low_known = _of_four(a, b, c, d, _U(0), most)
            for x in range(_U(nx)):
                high, high_known = _of_four(a, b, c, d, x + _U(1), most)
                size = abs(low + high) / 8 if low_known and high_known else most
                distance[z, y, x] = -size if inside[z, y, x] else size
                low, low_known = high, high_known


@njit(**_OPTIONS)
def _of_four(a, b, c, d, x, most):
    """Sum over four rows at a place, and whether all are nearer than `most`."""
    p, q, r, s = np.float64(a[x]), np.float64(b[x]), np.float64(c[x]), np.float64(d[x])
    return p + q + r + s, abs(p) < most and abs(q) < most and abs(r) < most and abs(s) < most

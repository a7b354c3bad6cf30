"""Distances of lattice points to the nearest of many triangles."""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}


@njit(**_OPTIONS)
def lower(corners, wanted, reach, z0, z1, squared):
    """Take the squared distance to each triangle into squared, at wanted points within its box widened by reach.

    corners: (m, 3, 3) corners z, y, x of each triangle; reach: all in steps of the lattice
    wanted, squared: (n_z, n_y, n_x), of which only the planes z0 <= z < z1 are looked at
    """
    _, ny, nx = wanted.shape
    edge = np.empty((3, 3))
    towards = np.empty((3, 3))
    inverse = np.empty(3)
    for triangle in corners:
        high_z = max(triangle[0, 0], triangle[1, 0], triangle[2, 0]) + reach
        low_z = min(triangle[0, 0], triangle[1, 0], triangle[2, 0]) - reach
        if high_z < z0 or low_z > z1 - 1:
            continue
        first_y = max(0, int(np.ceil(min(triangle[0, 1], triangle[1, 1], triangle[2, 1]) - reach)))
        last_y = min(ny - 1, int(np.floor(max(triangle[0, 1], triangle[1, 1], triangle[2, 1]) + reach)))
        first_x = max(0, int(np.ceil(min(triangle[0, 2], triangle[1, 2], triangle[2, 2]) - reach)))
        last_x = min(nx - 1, int(np.floor(max(triangle[0, 2], triangle[1, 2], triangle[2, 2]) + reach)))
        for k in range(3):
            for a in range(3):
                edge[k, a] = triangle[(k + 1) % 3, a] - triangle[k, a]
            length = edge[k, 0] ** 2 + edge[k, 1] ** 2 + edge[k, 2] ** 2
            inverse[k] = 1 / length if length > 0 else 1.0
        normal_z = edge[0, 1] * edge[1, 2] - edge[0, 2] * edge[1, 1]
        normal_y = edge[0, 2] * edge[1, 0] - edge[0, 0] * edge[1, 2]
        normal_x = edge[0, 0] * edge[1, 1] - edge[0, 1] * edge[1, 0]
        for k in range(3):
            towards[k, 0] = normal_y * edge[k, 2] - normal_x * edge[k, 1]
            towards[k, 1] = normal_x * edge[k, 0] - normal_z * edge[k, 2]
            towards[k, 2] = normal_z * edge[k, 1] - normal_y * edge[k, 0]
        length = np.sqrt(normal_z**2 + normal_y**2 + normal_x**2)
        # A triangle without area is its edges.
        is_flat = length > 0
        if is_flat:
            normal_z, normal_y, normal_x = normal_z / length, normal_y / length, normal_x / length
        for z in range(max(z0, int(np.ceil(low_z))), min(z1, int(np.floor(high_z)) + 1)):
            for y in range(first_y, last_y + 1):
                for x in range(first_x, last_x + 1):
                    if not wanted[z, y, x]:
                        continue
                    best = squared[z, y, x]
                    height = (
                        (z - triangle[0, 0]) * normal_z
                        + (y - triangle[0, 1]) * normal_y
                        + (x - triangle[0, 2]) * normal_x
                    )
                    if is_flat and height * height >= best:
                        continue
                    inside = is_flat
                    nearest = np.inf
                    for k in range(3):
                        pz, py, px = z - triangle[k, 0], y - triangle[k, 1], x - triangle[k, 2]
                        along = (pz * edge[k, 0] + py * edge[k, 1] + px * edge[k, 2]) * inverse[k]
                        along = min(max(along, 0.0), 1.0)
                        inside &= pz * towards[k, 0] + py * towards[k, 1] + px * towards[k, 2] >= 0
                        pz -= along * edge[k, 0]
                        py -= along * edge[k, 1]
                        px -= along * edge[k, 2]
                        nearest = min(nearest, pz * pz + py * py + px * px)
                    found = height * height if inside else nearest
                    if found < best:
                        squared[z, y, x] = found

"""Voxels and faces cut by the linear pieces between the distances at their corners: what shares.py describes.

Each face is divided into four triangles around its centre, each voxel into the twenty-four tetrahedra between its
centre and those triangles, and the distance is linear in each (at the centres, the mean of the corners).
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_U = np.uint64
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}

TIED = -1.0
"""All corners lie on a surface, so that they do not say what is between them."""
# Beside a round wall of 1.8 voxels in radius or more, no second difference is this many times the one next to it.
ROUND = 2.0
# Corners of a voxel are numbered 4 z + 2 y + x; each face lists its corners around it.
_FACES = np.array(((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)))


@njit(**_OPTIONS)
def cut_voxels(distance, margin, far, share):
    """Open share of voxels, TIED where it is not known; how many of these there are.

    distance: (nz + 1 + 2 margin, ...) at the corners and those around them, positive where open
    far: a distance as large as this is no more than a sign; share: (nz, ny, nx), to be filled
    """
    nz, ny, nx = share.shape
    corner, n_tied = np.empty(8), 0
    for k in range(nz):
        for j in range(ny):
            z, y = k + margin, j + margin
            rows = (distance[z, y], distance[z, y + 1], distance[z + 1, y], distance[z + 1, y + 1])
            low, high = _ends(rows, _U(margin))
            for i in range(_U(nx)):
                x = i + _U(margin)
                next_low, next_high = _ends(rows, x + _U(1))
                lowest, highest = min(low, next_low), max(high, next_high)
                low, high = next_low, next_high
                share[k, j, i] = lowest > 0
                if lowest <= 0 and highest > 0:
                    for m in range(4):
                        corner[2 * m], corner[2 * m + 1] = rows[m][x], rows[m][x + _U(1)]
                    if lowest < 0:
                        _lower_corners(distance, z, y, np.int64(x), far, corner)
                    share[k, j, i] = volume_share(corner)
                elif lowest == 0 and highest == 0:
                    share[k, j, i] = TIED
                    n_tied += 1
    return n_tied


@njit(**_OPTIONS)
def _ends(rows, x):
    """Lowest and highest of four rows at a place."""
    a, b, c, d = rows[0][x], rows[1][x], rows[2][x], rows[3][x]
    return min(min(a, b), min(c, d)), max(max(a, b), max(c, d))


@njit(**_OPTIONS)
def _lower_corners(distance, z, y, x, far, corner):
    """Take off at each corner of a voxel what linear pieces lie too high in the three steps from it."""
    for m in range(4):
        one, other = m >> 1, m & 1
        along_z = _of_step(distance, z, y + one, x + other, 1, 0, 0, far)
        corner[2 * one + other] -= along_z
        corner[4 + 2 * one + other] -= along_z
        along_y = _of_step(distance, z + one, y, x + other, 0, 1, 0, far)
        corner[4 * one + other] -= along_y
        corner[4 * one + 2 + other] -= along_y
        along_x = _of_step(distance, z + one, y + other, x, 0, 0, 1, far)
        corner[4 * one + 2 * other] -= along_x
        corner[4 * one + 2 * other + 1] -= along_x


@njit(**_OPTIONS)
def cut_faces(distance, margin, far, across, share):
    """The same of the faces across an axis; share: like the voxels, with one more along that axis."""
    nz, ny, nx = share.shape
    # Faces lie along u, which is z or y, and v.
    uz, uy = (0, 1) if across == 0 else (1, 0)
    vz, vy, vx = (0, 1, 0) if across == 2 else (0, 0, 1)
    corner, n_tied = np.empty(4), 0
    for k in range(nz):
        for j in range(ny):
            z, y = k + margin, j + margin
            first, second = distance[z, y, margin:], distance[z + vz, y + vy, margin + vx :]
            third, fourth = distance[z + uz + vz, y + uy + vy, margin + vx :], distance[z + uz, y + uy, margin:]
            for i in range(_U(nx)):
                a, b, c, d = first[i], second[i], third[i], fourth[i]
                lowest, highest = min(min(a, b), min(c, d)), max(max(a, b), max(c, d))
                share[k, j, i] = lowest > 0
                if lowest <= 0 and highest > 0:
                    corner[0], corner[1], corner[2], corner[3] = a, b, c, d
                    if lowest < 0:
                        x = np.int64(i) + margin
                        low_u = _of_step(distance, z, y, x, uz, uy, 0, far)
                        high_u = _of_step(distance, z + vz, y + vy, x + vx, uz, uy, 0, far)
                        low_v = _of_step(distance, z, y, x, vz, vy, vx, far)
                        high_v = _of_step(distance, z + uz, y + uy, x, vz, vy, vx, far)
                        corner[0], corner[1] = a - low_u - low_v, b - high_u - low_v
                        corner[2], corner[3] = c - high_u - high_v, d - low_u - high_v
                    share[k, j, i] = area_share(corner)
                elif lowest == 0 and highest == 0:
                    share[k, j, i] = TIED
                    n_tied += 1
    return n_tied


@njit(**_OPTIONS)
def _of_step(d, z, y, x, sz, sy, sx, far):
    """How far the linear piece of a step from a corner lies too high."""
    return excess(
        d[z - 2 * sz, y - 2 * sy, x - 2 * sx],
        d[z - sz, y - sy, x - sx],
        d[z, y, x],
        d[z + sz, y + sy, x + sx],
        d[z + 2 * sz, y + 2 * sy, x + 2 * sx],
        d[z + 3 * sz, y + 3 * sy, x + 3 * sx],
        far,
    )


@njit(**_OPTIONS)
def excess(a, b, c, d, e, f, far):
    """How far a linear piece lies too high on average over the middle one of five steps between distances in a row."""
    before, low, high, after = a - 2 * b + c, b - 2 * c + d, c - 2 * d + e, d - 2 * e + f
    smaller = min(abs(low), abs(high))
    if not (low * high > 0 and smaller < far):
        return 0.0
    sign = 1.0 if low > 0 else -1.0
    # What stands out from the bending on either side belongs to a kink; unknown distances tell of none.
    kink = 0.0
    if abs(before) < far and abs(after) < far:
        jump_low = max(abs(low) - ROUND * max(sign * before, 0.0), 0.0)
        jump_high = max(abs(high) - ROUND * max(sign * after, 0.0), 0.0)
        jump = jump_low + jump_high
        if 0 < jump < far:
            kink = jump_low * jump_high / (2 * jump) - min(jump_low, jump_high) / 12
    return sign * (smaller / 12 + kink)


@njit(**_OPTIONS)
def volume_share(corner):
    """Open share of a voxel; corner: (8,) distance at the corners 4 z + 2 y + x, positive where open."""
    centre = corner.mean()
    total = 0.0
    for face in _FACES:
        middle = (corner[face[0]] + corner[face[1]] + corner[face[2]] + corner[face[3]]) / 4
        for i in range(4):
            total += tetrahedron_share(centre, middle, corner[face[i]], corner[face[(i + 1) % 4]])
    return total / 24


@njit(**_OPTIONS)
def area_share(corner):
    """Open share of a face; corner: (4,) distance at the corners, going around it, positive where open."""
    centre = corner.mean()
    total = 0.0
    for i in range(4):
        total += triangle_share(centre, corner[i], corner[(i + 1) % 4])
    return total / 4


@njit(**_OPTIONS)
def triangle_share(a, b, c):
    """Share of a triangle in which a linear function with these corner values is positive."""
    a, b = max(a, b), min(a, b)
    b, c = max(b, c), min(b, c)
    a, b = max(a, b), min(a, b)
    if c > 0:
        return 1.0
    if b > 0:
        return 1 - c / (c - a) * (c / (c - b))
    if a > 0:
        return a / (a - b) * (a / (a - c))
    return 0.0


@njit(**_OPTIONS)
def tetrahedron_share(a, b, c, d):
    """Share of a tetrahedron in which a linear function with these corner values is positive."""
    a, b = max(a, b), min(a, b)
    c, d = max(c, d), min(c, d)
    a, c = max(a, c), min(a, c)
    b, d = max(b, d), min(b, d)
    b, c = max(b, c), min(b, c)
    if d > 0:
        return 1.0
    if c > 0:
        return 1 - d / (d - a) * (d / (d - b)) * (d / (d - c))
    if b > 0:
        # A prism between the edge ab and the wall: three tetrahedra.
        ac, ad, bc, bd = a / (a - c), a / (a - d), b / (b - c), b / (b - d)
        return ac * ad + bc * ad * (1 - ac) + bc * bd * (1 - ad)
    if a > 0:
        return a / (a - b) * (a / (a - c)) * (a / (a - d))
    return 0.0

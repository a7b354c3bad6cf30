"""How much of a face or a voxel is open, from the signed distance at its corners, by array operations.

Each face is divided into four triangles around its centre, each voxel into the twenty-four tetrahedra between its
centre and those triangles, and the distance is linear in each (at the centres, the mean of the corners). So a plane
wall is cut exactly, a curved one to second order, neighbours agree on their common face, and the apertures of a voxel
and the wall inside it close to a surface without a gap.
"""

import numpy as np

from payloadfield.geometry.grid import FloatArray

# Corners of a voxel are numbered 4 z + 2 y + x; each face lists its corners around it.
FACES = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))


def open_area(corners: FloatArray) -> FloatArray:
    """Open share of faces.

    corners: (4, n) signed distance at the corners, going around the face, positive where open
    """
    centre = corners.mean(axis=0)
    total = np.zeros_like(centre)
    for i in range(4):
        total += triangle_share(centre, corners[i], corners[(i + 1) % 4])
    return total / 4


def open_volume(corners: FloatArray) -> FloatArray:
    """Open share of voxels.

    corners: (8, n) signed distance at the corners 4 z + 2 y + x, positive where open
    """
    centre = corners.mean(axis=0)
    total = np.zeros_like(centre)
    for face in FACES:
        around = corners[list(face)]
        middle = around.mean(axis=0)
        for i in range(4):
            total += tetrahedron_share(centre, middle, around[i], around[(i + 1) % 4])
    return total / 24


def triangle_share(a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    """Share of triangles in which a linear function with these corner values is positive."""
    a, b = _sorted(a, b)
    b, c = _sorted(b, c)
    a, b = _sorted(a, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        one = _share(a, b) * _share(a, c)
        two = 1 - _share(c, a) * _share(c, b)
    return np.select([c > 0, b > 0, a > 0], [np.ones_like(a), two, one], 0.0)


def tetrahedron_share(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> FloatArray:
    """Share of tetrahedra in which a linear function with these corner values is positive."""
    a, b = _sorted(a, b)
    c, d = _sorted(c, d)
    a, c = _sorted(a, c)
    b, d = _sorted(b, d)
    b, c = _sorted(b, c)
    with np.errstate(divide="ignore", invalid="ignore"):
        ac, ad, bc, bd = _share(a, c), _share(a, d), _share(b, c), _share(b, d)
        one = _share(a, b) * ac * ad
        # A prism between the edge ab and the wall: three tetrahedra.
        two = ac * ad + bc * ad * (1 - ac) + bc * bd * (1 - ad)
        three = 1 - _share(d, a) * _share(d, b) * _share(d, c)
    return np.select([d > 0, c > 0, b > 0, a > 0], [np.ones_like(a), three, two, one], 0.0)


def _sorted(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.maximum(a, b), np.minimum(a, b)


def _share(a: FloatArray, b: FloatArray) -> FloatArray:
    """Part of the edge from a to b on the side of a, where a and b have opposite signs."""
    return a / (a - b)


def excess(row: FloatArray, far: float) -> FloatArray:
    """How far linear pieces lie too high on average over the middle one of five steps: (6, n) distances to (n,)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        before, low, high, after = row[:-2] - 2 * row[1:-1] + row[2:]
        sign = np.sign(low) * (low * high > 0)
        smaller = np.minimum(np.abs(low), np.abs(high))
        jump_low = np.maximum(np.abs(low) - 2 * np.maximum(sign * before, 0), 0)
        jump_high = np.maximum(np.abs(high) - 2 * np.maximum(sign * after, 0), 0)
        jump = jump_low + jump_high
        is_kink = (jump > 0) & (jump < far) & (np.abs(before) < far) & (np.abs(after) < far)
        kink = jump_low * jump_high / (2 * np.where(is_kink, jump, 1)) - np.minimum(jump_low, jump_high) / 12
        return np.where((sign != 0) & (smaller < far), sign * (smaller / 12 + np.where(is_kink, kink, 0)), 0.0)

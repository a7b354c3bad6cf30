"""Where the lines of a lattice cross a closed surface of triangles.

A triangle is cut into rows: the row u = i crosses two of its edges, at v_low and v_high, and the lines (i, j) with
v_low <= j < v_high pass through it. An edge is always followed from its vertex with the lower number, so both of its
triangles find the same v to the last bit, a line on an edge counts once, and every line enters as often as it leaves.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from payloadfield.geometry.grid import FloatArray
from payloadfield.geometry.mesh.triangles import IntArray

# Rows or lines treated at once: bounds the temporary arrays to some 100 MB.
AT_ONCE = 2**20


@dataclass(frozen=True, eq=False)
class Crossings:
    """Crossings of lines along an axis, sorted by line and then along it.

    line: (n,) i n_v + j; place: (n,) along the axis, in steps of the lattice from its first point
    entering: (n,) 1 where the line enters, -1 where it leaves; triangle: (n,)
    """

    line: IntArray
    place: FloatArray
    entering: IntArray
    triangle: IntArray


def find_crossings(points: FloatArray, faces: IntArray, axis: int, n_lines: tuple[int, int]) -> Crossings:
    """Crossings of the lines (i, j), 0 <= i < n_u, 0 <= j < n_v, with triangles.

    points: (n, 3) vertices z, y, x in steps of the lattice, from its first point
    axis: along which the lines run; u and v are the other two, in the order z, y, x
    """
    rest = [a for a in range(3) if a != axis]
    u, v, w = (np.ascontiguousarray(points[:, a]) for a in (*rest, axis))
    rows = [_rows(u, v, w, faces, block, n_lines) for block in _blocks(_row_counts(u, faces, n_lines[0])[1])]
    line, place, sign, triangle = (np.concatenate(part) for part in zip(*rows, strict=True))
    order = np.lexsort((place, line))
    # The winding of a projected triangle is opposite to its normal along z and x, and along its normal for y.
    towards = -1 if axis == 1 else 1
    return Crossings(line[order], place[order], towards * sign[order], triangle[order])


def _row_counts(u: FloatArray, faces: IntArray, n_u: int) -> tuple[IntArray, IntArray]:
    """First row of each triangle and the number of its rows."""
    a, b, c = u[faces[:, 0]], u[faces[:, 1]], u[faces[:, 2]]
    low = np.clip(np.ceil(np.minimum(np.minimum(a, b), c)), 0, n_u).astype(np.int64)
    high = np.clip(np.ceil(np.maximum(np.maximum(a, b), c)), 0, n_u).astype(np.int64)
    return low, high - low


def _blocks(counts: IntArray) -> list[slice]:
    """Ranges of triangles with a bounded number of rows together; one at least."""
    ends = np.cumsum(counts)
    n_blocks = 1 + int(ends[-1]) // AT_ONCE if len(ends) else 1
    cuts = np.searchsorted(ends, np.arange(1, n_blocks) * AT_ONCE)
    edges = [0, *np.unique(cuts).tolist(), len(counts)]
    return [slice(a, b) for a, b in pairwise(edges) if b > a or len(edges) == 2]


def _rows(
    u: FloatArray, v: FloatArray, w: FloatArray, faces: IntArray, block: slice, n_lines: tuple[int, int]
) -> tuple[IntArray, FloatArray, IntArray, IntArray]:
    first, counts = _row_counts(u, faces[block], n_lines[0])
    triangle = np.repeat(np.arange(len(counts)), counts)
    row = first[triangle] + numbers_within(counts)
    triangle += block.start
    v_low, w_low, v_high, w_high, sign = _row_ends(u, v, w, faces[triangle], row)
    j0 = np.clip(np.ceil(v_low), 0, n_lines[1]).astype(np.int64)
    per_row = np.clip(np.ceil(v_high), 0, n_lines[1]).astype(np.int64) - j0
    at = np.repeat(np.arange(len(row)), per_row)
    j = j0[at] + numbers_within(per_row)
    share = (j - v_low[at]) / (v_high[at] - v_low[at])
    return row[at] * n_lines[1] + j, w_low[at] + share * (w_high[at] - w_low[at]), sign[at], triangle[at]


def _row_ends(
    u: FloatArray, v: FloatArray, w: FloatArray, corners: IntArray, row: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, IntArray]:
    """Both ends of each row, and the sign of the triangle's winding around the lines between them."""
    n = len(row)
    v_low, v_high = np.full(n, np.inf), np.full(n, -np.inf)
    w_low, w_high, sign = np.zeros(n), np.zeros(n), np.zeros(n, np.int64)
    for k in range(3):
        start, end = corners[:, k], corners[:, (k + 1) % 3]
        crosses = np.flatnonzero((u[start] > row) != (u[end] > row))
        s, e, i = start[crosses], end[crosses], row[crosses]
        a, b = np.minimum(s, e), np.maximum(s, e)
        share = (i - u[a]) / (u[b] - u[a])
        at_v = np.clip(v[a] + share * (v[b] - v[a]), np.minimum(v[a], v[b]), np.maximum(v[a], v[b]))
        at_w = w[a] + share * (w[b] - w[a])
        lower, higher = at_v < v_low[crosses], at_v > v_high[crosses]
        v_low[crosses[lower]], w_low[crosses[lower]] = at_v[lower], at_w[lower]
        v_high[crosses[higher]], w_high[crosses[higher]] = at_v[higher], at_w[higher]
        sign[crosses[higher]] = np.where(u[e[higher]] > u[s[higher]], 1, -1)
    return v_low, w_low, v_high, w_high, sign


def numbers_within(counts: IntArray) -> IntArray:
    """0, 1, ... within each group: for counts 2, 3 the array 0 1 0 1 2."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)


def fill(crossings: Crossings, shape: tuple[int, int, int]) -> np.ndarray:
    """Whether each lattice point is inside: lines along x have entered more often than left, (n_z, n_y, n_x)."""
    deepest = np.abs(np.cumsum(crossings.entering)).max(initial=0)
    changes = np.zeros(shape, np.int8 if 2 * deepest < np.iinfo(np.int8).max else np.int32)
    position = np.ceil(np.clip(crossings.place, -1, shape[2])).astype(np.int64)
    np.maximum(position, 0, out=position)
    kept = position < shape[2]
    flat = changes.reshape(-1, shape[2])
    np.add.at(flat, (crossings.line[kept], position[kept]), crossings.entering[kept].astype(changes.dtype))
    np.cumsum(changes, axis=2, out=changes, dtype=changes.dtype)
    return changes > 0

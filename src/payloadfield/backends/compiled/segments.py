"""Runs of consecutive open voxels whose neighbours lie at fixed offsets: what the stencil loops walk over.

A segment is (first, last, x_minus, x_plus, y_minus, y_plus, z_minus, z_plus): voxels first <= i < last, and for each
direction the offset d such that the neighbour of i is i + d wherever that face is open. Where a face is closed its
conductance is zero, so that the value read there does not matter, only that it exists.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

LONGEST = 4096
"""Longest segment, so that work divides evenly among threads."""


@njit(cache=True)
def _cut(neighbour, conductance, longest, out):  # type: ignore[no-untyped-def]
    """Fill `out` with segments; returns their number."""
    n = neighbour.shape[1]
    count, first = 0, 0
    offset = np.zeros(6, np.int64)
    known = np.zeros(6, np.bool_)
    fresh = np.zeros(6, np.int64)
    i = 0
    while i <= n:
        clash = i == n or i - first >= longest
        if not clash:
            for d in range(6):
                if conductance[d, i] > 0.0:
                    fresh[d] = neighbour[d, i] - i
                    if known[d] and offset[d] != fresh[d]:
                        clash = True
                    low, high = first + fresh[d], i + fresh[d]
                    if low < 0 or high >= n:
                        clash = True
                elif known[d] and not 0 <= i + offset[d] < n:
                    clash = True
        if clash and i > first:
            out[count, 0], out[count, 1] = first, i
            for d in range(6):
                out[count, 2 + d] = offset[d] if known[d] else 0
            count += 1
            first = i
            known[:] = False
            if i == n:
                break
            continue
        for d in range(6):
            if conductance[d, i] > 0.0:
                offset[d] = neighbour[d, i] - i
                known[d] = True
        i += 1
    return count


def make_segments(neighbour: NDArray[np.int32], conductance: NDArray[np.float32]) -> NDArray[np.int64]:
    """Segments of one transport group, (n_segment, 8), in ascending order."""
    out = np.zeros((neighbour.shape[1] + 1, 8), np.int64)
    count = _cut(neighbour, conductance, LONGEST, out)
    return out[:count].copy()


def make_chunks(segments: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Consecutive groups of segments of about `size` voxels each: (n_chunk + 1,) first segment of each chunk."""
    chunk = segments[:, 0] // size
    starts = np.flatnonzero(np.diff(chunk, prepend=-1))
    return np.concatenate([starts, [len(segments)]]).astype(np.int64)

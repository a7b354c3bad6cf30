"""Open shares of voxels and faces, from signed distances at the corners of voxels.

Linear pieces lie above a distance that bends upwards, so that a ball comes out too small. By how much they do so on
average over a step from corner to corner is found from the four second differences around it, and taken off, along
each axis, before the cut. For a parabola it is a twelfth of the second difference. A ridge or a crease within the step
shows in the two second differences at its ends alone (Harten 1989): of a kink with a jump J of the slope, at a share t
of the step, they are J (1 - t) and J t, and the linear piece lies off by J t (1 - t) / 2. Flat walls are cut exactly.
"""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from payloadfield.geometry.cut import open_area, open_volume
from payloadfield.geometry.grid import FloatArray

Index = tuple[npt.NDArray[np.int64], ...]

# Axes along which voxels, and faces across z, y and x, extend.
VOXELS, ACROSS_Z, ACROSS_Y, ACROSS_X = (0, 1, 2), (1, 2), (0, 2), (0, 1)

# Corners around those of a voxel that its cut looks at.
MARGIN = 2
# Voxels that are cut together: bounds the temporary arrays to about 100 MB.
CUT_AT_ONCE = 2**18


def around(distance: FloatArray, axes: Sequence[int]) -> list[FloatArray]:
    """Values at the corners of all voxels (three axes), or around all faces that lie along two axes."""
    low, high, every = slice(None, -1), slice(1, None), slice(None)
    turn_around = [(low, low), (low, high), (high, high), (high, low)]
    turns = turn_around if len(axes) == 2 else list(product((low, high), repeat=3))
    return [distance[tuple(dict(zip(axes, turn, strict=True)).get(axis, every) for axis in range(3))] for turn in turns]


def open_share(
    distance: FloatArray, axes: Sequence[int], is_open_at: Callable[[Index], npt.NDArray[np.bool_]], far: float
) -> FloatArray:
    """Open share of voxels or faces: 1 or 0 where all corners agree, and that of the cut where they do not.

    distance: (nz + 1 + 2 MARGIN, ...) at the corners and those around them, positive where open [um]
    is_open_at: where all corners lie on a surface, as in a channel one voxel wide, whether the middle is open
    far: a distance as large as this is no more than a sign [um]
    """
    inner = distance[MARGIN:-MARGIN, MARGIN:-MARGIN, MARGIN:-MARGIN]
    n_open = _count(inner > 0, axes)
    full = 2 ** len(axes)
    share = (n_open == full).astype(np.float64)
    cut = np.flatnonzero((n_open > 0) & (n_open < full))
    share_of_cut = open_volume if len(axes) == 3 else open_area
    sides = around(inner, axes)
    for start in range(0, len(cut), CUT_AT_ONCE):
        index = np.unravel_index(cut[start : start + CUT_AT_ONCE], share.shape)
        corners = np.stack([each[index] for each in sides])
        corners -= np.where(corners.min(axis=0) < 0, _excess(distance, index, axes, far), 0)
        share[index] = share_of_cut(corners)
    if (inner == 0).any():
        tied = _all_zero(sides)
        share[tied] = is_open_at(tied)
    return share


def _count(is_open: npt.NDArray[np.bool_], axes: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Number of open corners of each voxel or face."""
    count = is_open.view(np.uint8)
    for axis in axes:
        along = np.moveaxis(count, axis, 0)
        count = np.moveaxis(along[1:] + along[:-1], 0, axis)
    return count


def _excess(distance: FloatArray, index: Index, axes: Sequence[int], far: float) -> FloatArray:
    """How far linear pieces lie above the distance on average over voxels or faces: (n,) [um]."""
    total = np.zeros(len(index[0]))
    for axis in axes:
        others = [a for a in axes if a != axis]
        for bits in product((0, 1), repeat=len(others)):
            corner = [i + MARGIN for i in index]
            for a, bit in zip(others, bits, strict=True):
                corner[a] = corner[a] + bit
            row = np.stack(
                [distance[tuple(i + k if a == axis else i for a, i in enumerate(corner))] for k in range(-2, 4)]
            )
            total += _excess_of_step(row, far) / 2 ** len(others)
    return total


def _excess_of_step(row: FloatArray, far: float) -> FloatArray:
    """The same over the middle one of the five steps between distances in a row: (6, n) to (n,)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        before, low, high, after = row[:-2] - 2 * row[1:-1] + row[2:]
        sign = np.sign(low) * (low * high > 0)
        smaller = np.minimum(np.abs(low), np.abs(high))
        # What is beyond the bending on either side belongs to a kink; unknown distances tell of none.
        jump_low = np.maximum(np.abs(low) - np.maximum(sign * before, 0), 0)
        jump_high = np.maximum(np.abs(high) - np.maximum(sign * after, 0), 0)
        jump = jump_low + jump_high
        is_kink = (jump > 0) & (jump < far) & (np.abs(before) < far) & (np.abs(after) < far)
        kink = jump_low * jump_high / (2 * np.where(is_kink, jump, 1)) - np.minimum(jump_low, jump_high) / 12
        return np.where((sign != 0) & (smaller < far), sign * (smaller / 12 + np.where(is_kink, kink, 0)), 0.0)


def _all_zero(corners: list[FloatArray]) -> Index:
    """Index of the voxels or faces whose corners are all zero; few are, so each corner looks at what is left."""
    index = np.nonzero(corners[0] == 0)
    for distance in corners[1:]:
        kept = distance[index] == 0
        index = tuple(i[kept] for i in index)
    return index

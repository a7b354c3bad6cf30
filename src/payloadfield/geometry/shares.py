"""Open shares of voxels and faces, from signed distances at the corners of voxels."""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from payloadfield.geometry.cut import open_area, open_volume
from payloadfield.geometry.grid import FloatArray

Index = tuple[npt.NDArray[np.int64], ...]

# Axes along which voxels, and faces across z, y and x, extend.
VOXELS, ACROSS_Z, ACROSS_Y, ACROSS_X = (0, 1, 2), (1, 2), (0, 2), (0, 1)


def around(distance: FloatArray, axes: Sequence[int]) -> list[FloatArray]:
    """Values at the corners of all voxels (three axes), or around all faces that lie along two axes."""
    low, high, every = slice(None, -1), slice(1, None), slice(None)
    turn_around = [(low, low), (low, high), (high, high), (high, low)]
    turns = turn_around if len(axes) == 2 else list(product((low, high), repeat=3))
    return [distance[tuple(dict(zip(axes, turn, strict=True)).get(axis, every) for axis in range(3))] for turn in turns]


def open_share(
    distance: FloatArray, axes: Sequence[int], is_open_at: Callable[[Index], npt.NDArray[np.bool_]]
) -> FloatArray:
    """Open share of voxels or faces: 1 or 0 where all corners agree, and that of the cut where they do not.

    distance: (nz + 1, ny + 1, nx + 1) at the corners, positive where open [um]
    is_open_at: where all corners lie on a surface, as in a channel one voxel wide, whether the middle is open
    """
    corners = around(distance, axes)
    n_open = np.zeros(corners[0].shape, np.uint8)
    for each in corners:
        n_open += each > 0
    share = (n_open == len(corners)).astype(np.float64)
    cut = np.nonzero((n_open > 0) & (n_open < len(corners)))
    share_of_cut = open_volume if len(axes) == 3 else open_area
    share[cut] = share_of_cut(np.stack([each[cut] for each in corners]))
    if (distance == 0).any():
        tied = _all_zero(corners)
        share[tied] = is_open_at(tied)
    return share


def _all_zero(corners: list[FloatArray]) -> Index:
    """Index of the voxels or faces whose corners are all zero; few are, so each corner looks at what is left."""
    index = np.nonzero(corners[0] == 0)
    for distance in corners[1:]:
        kept = distance[index] == 0
        index = tuple(i[kept] for i in index)
    return index

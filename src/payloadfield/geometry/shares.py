"""Open shares of voxels and faces, from signed distances at the corners of voxels.

Linear pieces lie above a distance that bends upwards, so that a ball comes out too small. By how much they do so on
average over a step from corner to corner is found from the four second differences around it, and taken off at both
corners, along each axis, before the cut. For a parabola it is a twelfth of the second difference. A ridge or a crease
within the step shows in the two second differences at its ends alone (Harten 1989): of a kink with a jump J of the
slope, at a share t of the step, they are J (1 - t) and J t, and the linear piece lies off by J t (1 - t) / 2. Flat
walls are cut exactly.
"""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from payloadfield.geometry.grid import FloatArray

Index = tuple[npt.NDArray[np.int64], ...]

# Axes along which voxels, and faces across z, y and x, extend.
VOXELS, ACROSS_Z, ACROSS_Y, ACROSS_X = (0, 1, 2), (1, 2), (0, 2), (0, 1)

# Corners around those of a voxel that its cut looks at.
MARGIN = 2


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
    from payloadfield.geometry.compiled.cutting import cut_faces, cut_voxels

    across = [axis for axis in range(3) if axis not in axes]
    share = np.empty([n - 2 * MARGIN - (axis in axes) for axis, n in enumerate(distance.shape)])
    if across:
        n_tied = cut_faces(distance, MARGIN, far, across[0], share)
    else:
        n_tied = cut_voxels(distance, MARGIN, far, share)
    if n_tied:
        tied = np.nonzero(share < 0)
        share[tied] = is_open_at(tied)
    return share

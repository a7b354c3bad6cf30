"""Where cells are relative to the bath."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from payloadfield.store.table import Table


def distance_to_sides(cells: Table, sides: Sequence[str], shape: Sequence[int], spacing: float) -> np.ndarray:
    """Distance of every cell to the nearest of some sides of the grid, such as "z_high" (n_cell,) [um].

    shape: (nz, ny, nx).  spacing: edge of a voxel [um].
    """
    size = dict(zip("zyx", (count * spacing for count in shape), strict=True))
    each = []
    for axis, _, end in (side.partition("_") for side in sides):
        place = cells[f"{axis}_um"]
        each.append(size[axis] - place if end == "high" else place)
    nearest: np.ndarray = np.min(each, axis=0)
    return nearest

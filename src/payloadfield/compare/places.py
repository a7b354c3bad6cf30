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


ANTIGEN_SHARE = 0.1
"""A cell type is antigen-positive with at least this share of the receptors of the richest type."""

_RECEPTORS = "receptors"


def antigen_positive(cells: Table) -> list[str]:
    """Cell types whose median receptor number is at least a tenth of the richest type's; none without receptors."""
    if _RECEPTORS not in cells:
        return []
    types, receptors = cells["type"], cells[_RECEPTORS]
    medians = {str(name): float(np.median(receptors[types == name])) for name in dict.fromkeys(types.tolist())}
    richest = max(medians.values(), default=0.0)
    return [name for name, median in medians.items() if richest > 0 and median >= ANTIGEN_SHARE * richest]

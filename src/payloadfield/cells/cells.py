"""The cells of a study: where they are, how large, and which voxels each one touches."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from payloadfield.geometry import FloatArray


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells sorted by the voxel of their centre; cell i has the entries entry_start[i] <= e < entry_start[i + 1].

    type_names: names of the cell types
    type_index: (n_cells,) position in type_names
    position: (n_cells, 3) centre, z, y, x [um]
    radius: (n_cells,) [um]
    variation: factors of mean 1 by parameter name, (n_cells,) each [1]
    entry_start: (n_cells + 1,)
    entry_voxel: (n_entries,) flat index in the grid
    entry_weight: (n_entries,) share of the cell in that voxel; those of a cell add up to 1 [1]
    period: lengths along z, y, x after which the grid repeats; infinite where it does not [um]
    excludes_volume: (n_cells,) whether a cell's volume is taken from what fields may enter; None if none is
    """

    type_names: tuple[str, ...]
    type_index: npt.NDArray[np.int32]
    position: FloatArray
    radius: FloatArray
    variation: Mapping[str, FloatArray]
    entry_start: npt.NDArray[np.int64]
    entry_voxel: npt.NDArray[np.int64]
    entry_weight: FloatArray
    period: tuple[float, float, float] = (math.inf, math.inf, math.inf)
    excludes_volume: npt.NDArray[np.bool_] | None = None

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.type_index)

    @property
    def n_entries(self) -> int:
        """Number of pairs of a cell and a voxel that it touches."""
        return len(self.entry_voxel)

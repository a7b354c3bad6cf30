"""The plan: a study lowered to index maps and coefficient tables, all that a backend ever sees.

Open voxels are numbered 0 .. n_open - 1 in the order of the grid (z, y, x; x fastest), so that a run of open voxels
along x is contiguous and closed voxels cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

X_MINUS, X_PLUS, Y_MINUS, Y_PLUS, Z_MINUS, Z_PLUS = range(6)
DIRECTIONS = ("x_minus", "x_plus", "y_minus", "y_plus", "z_minus", "z_plus")


@dataclass(frozen=True)
class Hierarchy:
    """Aggregation multigrid of one transport group, its levels laid end to end in flat arrays.

    Level 0 is the voxels; level l + 1 has one node for each connected aggregate of 2 x 2 x 2 blocks of level l.
    Coarse conductances are half the sum of the fine ones (the over-correction of piecewise-constant prolongation).

    offset: (n_level + 1,) first node of each level. parent: (n_node,) node of the next level, counted from that
    level's first node; undefined on the last. child_start, child: the inverse map in compressed rows, for the nodes of
    levels >= 1 (row k is node offset[1] + k; children counted from their own level's first node). position (.., 3):
    z, y, x of the blocks of those nodes.
    row_start, column, conductance: symmetric neighbour lists of the nodes of levels >= 1, columns counted from the
    level's first node [um]. row_sum: (n_node,) sum of the conductances of each node, level 0 included [um].
    """

    offset: NDArray[np.int64]
    parent: NDArray[np.int32]
    child_start: NDArray[np.int64]
    child: NDArray[np.int32]
    position: NDArray[np.int32]
    row_start: NDArray[np.int64]
    column: NDArray[np.int32]
    conductance: NDArray[np.float32]
    row_sum: NDArray[np.float64]

    @property
    def n_levels(self) -> int:
        """Number of levels, the voxels included."""
        return len(self.offset) - 1


@dataclass(frozen=True)
class TransportGroup:
    """Fields whose face conductances are proportional: conductance of a face = diffusivity of the field * entry here.

    conductance: (6, n_open) per direction [um] = aperture * spacing * harmonic mean of accessible fraction times
    relative diffusivity; kept in single precision and used in double, the same number on both sides of a face, so
    that fluxes cancel exactly. pocket: (n_open,) connected pocket of each voxel.
    """

    conductance: NDArray[np.float32]
    pocket: NDArray[np.int32]
    n_pockets: int
    hierarchy: Hierarchy


@dataclass(frozen=True)
class BathContact:
    """Faces towards the bath: flux into voxel[k] of field f is conductance[f, k] * (u_bath - u) [nM um^3 / s]."""

    voxel: NDArray[np.int64]
    conductance: NDArray[np.float64]
    volume: float

    @property
    def is_finite(self) -> bool:
        """Whether the bath's concentrations are unknowns of the problem (a finite, well-mixed volume)."""
        return bool(np.isfinite(self.volume)) and self.voxel.size > 0


@dataclass(frozen=True)
class CellTable:
    """Cells and their footprints over open voxels, in both directions.

    entry_start (n_cell + 1,), entry_voxel, entry_weight (n_entry,): voxels of each cell and shares (sum 1).
    touched_voxel (n_touched,), touched_start (n_touched + 1,), touched_entry (n_entry,): entries of each voxel, so that
    sums over cells are gathered in a fixed order.
    """

    n_cells: int
    entry_start: NDArray[np.int64]
    entry_voxel: NDArray[np.int64]
    entry_weight: NDArray[np.float64]
    touched_voxel: NDArray[np.int64]
    touched_start: NDArray[np.int64]
    touched_entry: NDArray[np.int64]


@dataclass(frozen=True)
class ContactTable:
    """Cells that touch each other, each pair in both rows.

    row_start (n_cell + 1,); touching (n_link,): the other cell; strength (n_link,): of the pair, the same both ways.
    Those that touch a cell stand in ascending order, so that sums over them are taken in a fixed order.
    """

    row_start: NDArray[np.int64]
    touching: NDArray[np.int64]
    strength: NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """Everything a backend needs to advance a study.

    voxel: (n_open,) flat index in the grid. neighbour: (6, n_open) open neighbour per direction, the voxel itself where
    there is none. group_of_field, diffusivity [um^2/s]: per field. capacity: (n_capacity, n_open) accessible volume
    [um^3], row capacity_index[f] for field f. parameters (n_parameter,), cell_parameters (n_cell_parameter, n_cell).
    moiety_of_field (n_moiety, n_field), moiety_of_state (n_moiety, n_state), moiety_of_accumulator
    (n_moiety, n_accumulator): how much of each moiety one unit of each species contains. contacts: one table for each
    contact of the mechanism.
    """

    mechanism: Any
    shape: tuple[int, int, int]
    spacing: float
    voxel: NDArray[np.int64]
    neighbour: NDArray[np.int32]
    groups: tuple[TransportGroup, ...]
    group_of_field: NDArray[np.int64]
    diffusivity: NDArray[np.float64]
    capacity: NDArray[np.float64]
    capacity_index: NDArray[np.int64]
    bath: BathContact
    cells: CellTable
    parameters: NDArray[np.float64]
    cell_parameters: NDArray[np.float64]
    moiety_of_field: NDArray[np.float64]
    moiety_of_state: NDArray[np.float64]
    moiety_of_accumulator: NDArray[np.float64]
    contacts: tuple[ContactTable, ...] = ()

    @property
    def n_open(self) -> int:
        """Number of open voxels."""
        return len(self.voxel)

    @property
    def n_fields(self) -> int:
        """Number of fields."""
        return len(self.diffusivity)

    @property
    def n_states(self) -> int:
        """Number of states of each cell."""
        return len(self.mechanism.states)

    def group(self, field: int) -> TransportGroup:
        """Transport group of a field."""
        return self.groups[int(self.group_of_field[field])]

    def field_capacity(self, field: int) -> NDArray[np.float64]:
        """Accessible volume of each voxel for a field, (n_open,) [um^3]."""
        row: NDArray[np.float64] = self.capacity[int(self.capacity_index[field])]
        return row

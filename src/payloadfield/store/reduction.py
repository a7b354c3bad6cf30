"""A study in small: a few voxels from the bath to its depth, with cells of each type at their density.

It answers in milliseconds how a result follows a parameter, not what the result is: shapes are gone, the cells of a
type are all alike, fates are expected ones, and the one material is that in which most cells are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payloadfield.cells import Cells
from payloadfield.geometry import Material, VoxelGrid, find_pockets, make_geometry
from payloadfield.mechanism import with_expected_fates
from payloadfield.study import Bath, OutputSettings, SolverSettings, Study
from payloadfield.study.problems import Problems
from payloadfield.study.resolve_state import all_values, diffusivities, initial_states

N_DEEP = 4
MOST_ACROSS = 12
MOST_CELLS = 200
RTOL = 3e-2

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reduction:
    """The study in small, and which of its cells stands for which type."""

    study: Study
    type_index: NDArray[np.int32]

    def with_values(self, parameters: _Floats, cell_parameters: _Floats, material: Material | None = None) -> Study:
        """The same with other parameters (n_study_param,), (n_cell_param, n_cell), or another material."""
        study = self.study
        values = all_values(study.mechanism, parameters, cell_parameters)
        given: Mapping[str, Any] = study.effective.get("initial", {}).get("states", {})
        unheard = Problems("")  # what can be wrong was refused when the study was loaded
        geometry = study.geometry
        return replace(
            study,
            parameters=parameters,
            cell_parameters=cell_parameters,
            geometry=geometry if material is None else replace(geometry, materials=(material,)),
            diffusivity=diffusivities(study.mechanism, values, unheard),
            initial_states=initial_states(study.mechanism, given, values, study.cells, unheard),
        )


def reduce_study(study: Study) -> Reduction | None:
    """The study in small; None for one without cells."""
    n_cells = study.cells.n_cells
    if n_cells == 0:
        return None
    open_volume = study.geometry.open_volume
    present = np.bincount(study.cells.type_index, minlength=len(study.cells.type_names))
    spacing, across = _size(study, n_cells / open_volume, int(np.count_nonzero(present)))
    grid = VoxelGrid((N_DEEP, across, across), spacing, (False, False, False))
    counts = np.where(present > 0, np.maximum(1, np.round(present * grid.n_voxels * spacing**3 / open_volume)), 0)
    cells, of_type = _cells(study, grid, counts.astype(int))
    has_bath = bool(study.bath.sides) or bool(study.geometry.bath_area.any())
    sides = frozenset({"z_high"} if has_bath else ())
    geometry = make_geometry(grid, [], [_material(study)])
    small = replace(
        study,
        mechanism=with_expected_fates(study.mechanism),
        geometry=geometry,
        pockets=find_pockets(geometry, set(sides)),
        cells=cells,
        cell_parameters=of_type[:, cells.type_index],
        bath=Bath(study.bath.volume * grid.n_voxels * spacing**3 / open_volume, sides, _permeability(study)),
        boundary={side: "bath" if side in sides else "wall" for side in study.boundary},
        output=OutputSettings((study.duration,), (), (), math.inf),
        solver=SolverSettings(rtol=max(RTOL, study.solver.rtol), backend="numba", threads=1),
    )
    found = Reduction(small, cells.type_index)
    return Reduction(found.with_values(small.parameters, small.cell_parameters), cells.type_index)


def _size(study: Study, density: float, n_types: int) -> tuple[float, int]:
    """Edge of a voxel [um] and voxels across: as deep as the study, wide enough for a cell of each type."""
    geometry = study.geometry
    depth = max(geometry.grid.size) / 2
    contact = geometry.bath_area.sum()
    for side in study.bath.sides:
        axis, last = "zyx".index(side[0]), side.endswith("high")
        contact += geometry.apertures[axis].take(-1 if last else 0, axis).sum() * geometry.grid.spacing**2
    if contact > 0:
        depth = min(depth, geometry.open_volume / contact)
    spacing = min(depth / N_DEEP, (MOST_CELLS / (N_DEEP * density)) ** (1 / 3))
    across = math.ceil(math.sqrt(n_types / (N_DEEP * spacing**3 * density)))
    return spacing, min(max(across, 1), MOST_ACROSS)


def _cells(study: Study, grid: VoxelGrid, counts: NDArray[np.int64]) -> tuple[Cells, _Floats]:
    """Cells of each type spread over the grid, each in one voxel; and the parameters of a type (n_param, n_type)."""
    full = study.cells
    kinds = np.repeat(np.arange(len(counts)), counts)
    places = np.concatenate([(np.arange(n) + 0.5) / n for n in counts if n])
    voxels = (places * grid.n_voxels).astype(np.int64)
    order = np.argsort(voxels, kind="stable")
    voxels, kinds = voxels[order], kinds[order].astype(np.int32)
    centre = np.stack(np.unravel_index(voxels, grid.shape), axis=1)
    members = [full.type_index == kind for kind in range(len(counts))]
    radius = np.array([np.median(full.radius[m]) if m.any() else 1.0 for m in members])
    middle = [np.median(study.cell_parameters[:, m], axis=1) if m.any() else np.zeros(len(study.cell_parameters))
              for m in members]  # fmt: skip
    cells = Cells(
        type_names=full.type_names,
        type_index=np.asarray(kinds, np.int32),
        position=(centre + 0.5) * grid.spacing,
        radius=radius[kinds],
        variation={},
        entry_start=np.arange(len(kinds) + 1, dtype=np.int64),
        entry_voxel=voxels,
        entry_weight=np.ones(len(kinds)),
    )
    return cells, np.stack(middle, axis=1)


def _material(study: Study) -> Material:
    """What most cells are in, as the medium of the small study."""
    first = study.cells.entry_voxel[study.cells.entry_start[:-1]]
    labels = study.geometry.open_label.ravel()[first]
    found = study.geometry.materials[int(np.bincount(labels).argmax())]
    return Material(found.name, "medium", found.relative_diffusivity, found.accessible_fraction, {})


def _permeability(study: Study) -> _Floats | None:
    """Of the border to the bath: that of the sides, or of the walls of bath materials."""
    if study.bath.permeability is not None:
        return study.bath.permeability
    walls = [material for material in study.geometry.materials if material.kind == "bath"]
    if not walls:
        return None
    return np.array([walls[0].permeability_of(name) for name in study.mechanism.field_names])

"""Voxels in which cells of a request may lie, and how likely each of them is."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from payloadfield.cells.request import PLACES, CellRequest
from payloadfield.errors import CellsError
from payloadfield.geometry import FloatArray, Geometry, Pockets

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Voxels of a place.

    voxel: (n,) flat index
    likelihood: (n,) in proportion to which they are chosen: wall area [um^2] or open share [1]
    capacity: (n,) how many cells of the request find room in each
    volume: open volume of the place [um^3]
    """

    voxel: IntArray
    likelihood: FloatArray
    capacity: IntArray
    volume: float


def find_candidates(request: CellRequest, geometry: Geometry, pockets: Pockets, surface: FloatArray) -> Candidates:
    """Voxels of the place that a request names.

    Cells on a surface or in the medium arrive from the bath: pockets that do not touch it are left out, unless none
    does. Each voxel takes one cell, and more where they are smaller than the voxel: as many as fit its open volume, or
    its wall with their cross-sections.
    surface: (nz, ny, nx) area that cells can sit on [um^2]
    Raises CellsError for an unknown place.
    """
    fits = _is_place(request, geometry) & (pockets.label >= 0)
    if request.chosen_place in ("surface", "medium") and pockets.touches_bath.any():
        fits &= np.append(pockets.touches_bath, False)[pockets.label]
    share = geometry.open_fraction[fits]
    volume = float(share.sum()) * geometry.grid.voxel_volume
    if request.chosen_place != "surface":
        room = share * (geometry.grid.voxel_volume / (4 / 3 * math.pi * request.radius**3))
        return Candidates(np.flatnonzero(fits), share, _whole(room), volume)
    fits &= surface > 0
    area = surface[fits]
    return Candidates(np.flatnonzero(fits), area, _whole(area / (math.pi * request.radius**2)), volume)


def _is_place(request: CellRequest, geometry: Geometry) -> npt.NDArray[np.bool_]:
    place = request.chosen_place
    if place in ("surface", "anywhere"):
        return geometry.is_open
    named = [m.name == place and m.is_open for m in geometry.materials]
    kinds = [m.kind == place for m in geometry.materials]
    if place not in PLACES and not any(named):
        materials = [m.name for m in geometry.materials if m.is_open and m.name not in PLACES]
        allowed = ", ".join([*PLACES, *materials])
        raise CellsError(f"{request.name}: place {place!r}; one of {allowed} is needed")
    chosen = np.array(kinds if place in PLACES else named)
    return geometry.is_open & chosen[geometry.open_label]


def _whole(room: FloatArray) -> IntArray:
    return np.maximum(1, np.floor(room)).astype(np.int64)

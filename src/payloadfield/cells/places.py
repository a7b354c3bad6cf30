"""Voxels in which cells of a request may lie, and how likely each of them is."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from payloadfield.cells.layout import Gradient
from payloadfield.cells.request import PLACES, SPHEROID, CellRequest
from payloadfield.errors import CellsError
from payloadfield.geometry import AXES, FloatArray, Geometry, Pockets

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Voxels of a place.

    voxel: (n,) flat index
    likelihood: (n,) in proportion to which they are chosen: wall area [um^2] or open share [1]
    capacity: (n,) how many cells of the request find room in each
    volume: open volume of the place [um^3]
    area: of its surface, 0 where the place is no surface [um^2]
    """

    voxel: IntArray
    likelihood: FloatArray
    capacity: npt.NDArray[np.int32]
    volume: float
    area: float = 0.0


def find_candidates(request: CellRequest, geometry: Geometry, pockets: Pockets, surface: FloatArray) -> Candidates:
    """Voxels of the place that a request names.

    Cells on a surface or in the medium arrive from the bath: pockets that do not touch it are left out, unless none
    does. Each voxel takes one cell, and more where they are smaller than the voxel: as many as fit its open volume, or
    its wall with their cross-sections.
    surface: (nz, ny, nx) area that cells can sit on [um^2]
    Raises CellsError for an unknown place or material, and for a gradient from a surface where there is none.
    """
    fits = _is_place(request, geometry) & (pockets.label >= 0)
    if request.material is not None:
        fits &= _is_material(request, geometry)
    if request.chosen_place in ("surface", "medium") and pockets.touches_bath.any():
        fits &= np.append(pockets.touches_bath, False)[pockets.label]
    share = geometry.open_fraction[fits]
    volume = float(share.sum()) * geometry.grid.voxel_volume
    is_surface = request.chosen_place == "surface"
    if is_surface:
        fits &= surface > 0
        share = surface[fits]
    room = share / request.area_of_cell if is_surface else share * (geometry.grid.voxel_volume / request.mean_volume)
    area = float(share.sum()) if is_surface else 0.0
    voxel, capacity = np.flatnonzero(fits), _whole(room)
    if request.gradient is None:
        return Candidates(voxel, share, capacity, volume, area)
    likelihood = share * _profile(request, request.gradient, geometry)[fits]
    some = likelihood > 0
    return Candidates(voxel[some], likelihood[some], capacity[some], volume, area)


def _profile(request: CellRequest, gradient: Gradient, geometry: Geometry) -> FloatArray:
    """Relative density at each voxel's centre, (nz, ny, nx)."""
    grid = geometry.grid
    if gradient.length is not None:
        if not np.isfinite(geometry.surface_distance).any():
            raise CellsError(f"{request.name}: gradient from the surface, but this geometry has none; add a scaffold")
        along = np.minimum(np.abs(geometry.surface_distance) / gradient.length, 1.0)
    else:
        axis = AXES.index(gradient.axis)
        at = np.reshape(grid.centres(axis) / grid.size[axis], [-1 if i == axis else 1 for i in range(3)])
        along = np.broadcast_to(at, grid.shape)
    return np.asarray(gradient.low + (gradient.high - gradient.low) * along)


def _is_material(request: CellRequest, geometry: Geometry) -> npt.NDArray[np.bool_]:
    named = [m.name == request.material and m.is_open for m in geometry.materials]
    if not any(named):
        allowed = ", ".join(m.name for m in geometry.materials if m.is_open)
        raise CellsError(
            f"{request.name}: material {request.material!r}; an open one of this study is needed: {allowed}"
        )
    return np.array(named)[geometry.open_label]


def _is_place(request: CellRequest, geometry: Geometry) -> npt.NDArray[np.bool_]:
    place = request.chosen_place
    if place in ("surface", "anywhere"):
        return geometry.is_open
    named = [m.name == place and m.is_open for m in geometry.materials]
    kinds = [m.kind == place for m in geometry.materials]
    if place not in PLACES and not any(named):
        materials = [m.name for m in geometry.materials if m.is_open and m.name not in PLACES]
        allowed = ", ".join([*PLACES, *materials])
        more = "; a spheroid needs a centre and a radius" if place == SPHEROID else ""
        raise CellsError(f"{request.name}: place {place!r}; one of {allowed} is needed{more}")
    chosen = np.array(kinds if place in PLACES else named)
    return geometry.is_open & chosen[geometry.open_label]


def _whole(room: FloatArray) -> npt.NDArray[np.int32]:
    """At least one, and whole: (n,); overwrites what it is given."""
    np.floor(room, out=room)
    return np.clip(room, 1, np.iinfo(np.int32).max, out=room).astype(np.int32)

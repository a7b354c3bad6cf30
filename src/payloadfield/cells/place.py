"""All cells of a study, from its requests."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from payloadfield.cells.cells import Cells
from payloadfield.cells.draw import draw_positions, draw_voxels
from payloadfield.cells.footprint import make_footprints
from payloadfield.cells.listed import ListedCells
from payloadfield.cells.places import find_candidates
from payloadfield.cells.request import CellRequest
from payloadfield.cells.streams import random_stream
from payloadfield.cells.surface import surface_area
from payloadfield.cells.variation import draw_factors
from payloadfield.errors import CellsError
from payloadfield.geometry import FloatArray, Geometry, Pockets

IntArray = npt.NDArray[np.int64]

# Rows of a list that an error message names.
ROWS_NAMED = 3


def place_cells(requests: Sequence[CellRequest], geometry: Geometry, pockets: Pockets, seed: int) -> Cells:
    """Cells of all requests, with their footprints and their differences.

    The requests are served in order, each with random numbers of its own: one that is added at the end moves no cell of
    those before.
    seed: of all random numbers
    Raises CellsError where there are more cells than places, or a listed cell lies in the solid or outside the grid.
    """
    surface = surface_area(geometry)
    n_present = np.zeros(geometry.grid.n_voxels, np.int64)
    placed = [_place(i, request, geometry, pockets, surface, n_present, seed) for i, request in enumerate(requests)]
    return _sorted_cells(requests, placed, geometry, surface, seed)


@dataclass(frozen=True, eq=False)
class _Placed:
    voxel: IntArray
    position: FloatArray
    radius: FloatArray


def _place(
    number: int,
    request: CellRequest,
    geometry: Geometry,
    pockets: Pockets,
    surface: FloatArray,
    n_present: IntArray,
    seed: int,
) -> _Placed:
    listed = request.listed
    if listed is not None:
        voxel = _find_voxels(request, listed, geometry)
        np.add.at(n_present, voxel, 1)
        radius = np.full(len(voxel), request.radius) if listed.radii is None else np.asarray(listed.radii, float)
        return _Placed(voxel, _wrapped(listed.positions, geometry), radius)
    candidates = find_candidates(request, geometry, pockets, surface)
    n_cells = request.count if request.count is not None else round((request.density or 0) * candidates.volume)
    voxel = draw_voxels(random_stream(seed, number, "voxel"), request, candidates, int(n_cells), n_present)
    position = draw_positions(random_stream(seed, number, "position"), geometry, voxel)
    return _Placed(voxel, position, np.full(len(voxel), request.radius))


def _wrapped(position: FloatArray, geometry: Geometry) -> FloatArray:
    size = np.array(geometry.grid.size)
    return np.where(geometry.grid.periodic, np.mod(position, size), position)


def _find_voxels(request: CellRequest, listed: ListedCells, geometry: Geometry) -> IntArray:
    """Flat index of the voxel of each listed cell; a cell on the upper side of the box counts as inside."""
    shape = np.array(geometry.grid.shape)
    position = _wrapped(listed.positions, geometry)
    outside = np.asarray(np.any((position < 0) | (position > shape * geometry.grid.spacing), axis=1))
    _refuse(request, listed, outside, "outside the grid", f"x, y, z from 0 to {_box(geometry)}")
    index = np.minimum((position / geometry.grid.spacing).astype(np.int64), shape - 1)
    voxel = np.asarray(np.ravel_multi_index(tuple(index.T), geometry.grid.shape), np.int64)
    closed = geometry.open_fraction.reshape(-1)[voxel] == 0
    _refuse(request, listed, closed, "inside the solid", "positions in medium or gel")
    return voxel


def _box(geometry: Geometry) -> str:
    z, y, x = geometry.grid.size
    return f"{x:g}, {y:g}, {z:g} um"


def _refuse(request: CellRequest, listed: ListedCells, wrong: npt.NDArray[np.bool_], what: str, needed: str) -> None:
    if not wrong.any():
        return
    first = np.flatnonzero(wrong)[:ROWS_NAMED]
    named = "; ".join(
        "row {} at x, y, z = {:g}, {:g}, {:g} um".format(listed.rows[i], *listed.positions[i][::-1]) for i in first
    )
    more = int(wrong.sum()) - len(first)
    raise CellsError(
        f"{request.name}, {listed.source}: {int(wrong.sum()):,} of {len(listed):,} cells lie {what}: {named}"
        f"{f' and {more:,} more' if more else ''}; {needed} are needed: move these cells, or leave them out"
    )


def _sorted_cells(
    requests: Sequence[CellRequest], placed: Sequence[_Placed], geometry: Geometry, surface: FloatArray, seed: int
) -> Cells:
    names = tuple(dict.fromkeys(request.type for request in requests))
    counts = [len(p.voxel) for p in placed]
    of_request = np.repeat(np.arange(len(requests)), counts)
    voxel = np.concatenate([np.zeros(0, np.int64), *(p.voxel for p in placed)])
    position = np.concatenate([np.zeros((0, 3)), *(p.position for p in placed)])
    radius = np.concatenate([np.zeros(0), *(p.radius for p in placed)])
    order = np.argsort(voxel, kind="stable")
    voxel, position, radius, of_request = voxel[order], position[order], radius[order], of_request[order]
    on_surface = np.array([request.chosen_place == "surface" for request in requests], bool)[of_request]
    type_index = np.array([names.index(request.type) for request in requests], np.int32)[of_request]
    footprints = make_footprints(geometry, surface, voxel, position, radius, on_surface)
    return Cells(
        names,
        type_index,
        position,
        radius,
        _variation(requests, counts, order, seed),
        footprints.start,
        footprints.voxel,
        footprints.weight,
        geometry.grid.period,
    )


def _variation(
    requests: Sequence[CellRequest], counts: Sequence[int], order: IntArray, seed: int
) -> dict[str, FloatArray]:
    """Factors of each parameter that varies anywhere; 1 for cells of requests in which it does not."""
    parameters = dict.fromkeys(name for request in requests for name in request.variation)
    return {
        name: np.concatenate(
            [
                draw_factors(random_stream(seed, i, f"variation of {name}"), n, request.variation.get(name, 0.0))
                for i, (request, n) in enumerate(zip(requests, counts, strict=True))
            ]
        )[order]
        for name in parameters
    }

"""All cells of a study, from its requests."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from payloadfield.cells.cells import Cells
from payloadfield.cells.crowd import Crowd, Spacing, throw_darts
from payloadfield.cells.draw import draw_positions, draw_voxels
from payloadfield.cells.footprint import make_footprints
from payloadfield.cells.listed import ListedCells
from payloadfield.cells.monolayer import SurfaceSpots, own_distance
from payloadfield.cells.pattern import draw_types
from payloadfield.cells.places import Candidates, find_candidates
from payloadfield.cells.request import CellRequest
from payloadfield.cells.spheroid import place_spheroids
from payloadfield.cells.streams import random_stream
from payloadfield.cells.surface import surface_area
from payloadfield.cells.variation import draw_factors
from payloadfield.errors import CellsError
from payloadfield.geometry import FloatArray, Geometry, Pockets

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Rows of a list that an error message names.
ROWS_NAMED = 3
# A parameter of cells that follows from a radius of their own.
VOLUME = "volume"


def place_cells(requests: Sequence[CellRequest], geometry: Geometry, pockets: Pockets, seed: int) -> Cells:
    """Cells of all requests, with their footprints and their differences.

    The requests are served in order, each with random numbers of its own: one that is added at the end moves no cell of
    those before. What keeps a minimum distance keeps it from all cells, those of later requests too.
    seed: of all random numbers
    Raises CellsError where there are more cells than places, a listed cell or one of a spheroid lies in the solid or
    outside the grid, or a minimum distance cannot be kept.
    """
    ground = _Ground(geometry, pockets, surface_area(geometry), np.zeros(geometry.grid.n_voxels, np.int32), seed)
    crowd = Crowd(geometry.grid.period)
    placed = []
    for number, request in enumerate(requests):
        found = _place(number, request, ground, crowd)
        np.add.at(ground.n_present, found.voxel, 1)
        crowd.add(found.position, request.minimum_distance)
        placed.append(found)
    return _sorted_cells(requests, placed, ground)


@dataclass(frozen=True, eq=False)
class _Ground:
    """What cells are placed on; n_present: (n_voxels,) number of cells with their centre in each voxel so far."""

    geometry: Geometry
    pockets: Pockets
    surface: FloatArray
    n_present: npt.NDArray[np.int32]
    seed: int


@dataclass(frozen=True, eq=False)
class _Placed:
    """Cells of one request: kind is the number of their type in it."""

    voxel: IntArray
    position: FloatArray
    radius: FloatArray
    kind: IntArray


def _place(number: int, request: CellRequest, ground: _Ground, crowd: Crowd) -> _Placed:
    if request.listed is not None:
        return _place_listed(request, request.listed, ground, crowd)
    if request.spheroids is not None:
        return _place_spheroids(number, request, ground, crowd)
    candidates = find_candidates(request, ground.geometry, ground.pockets, ground.surface)
    n_cells = _n_cells(request, candidates)
    spacing = Spacing(own_distance(request, n_cells, candidates.area), request.minimum_distance)
    if spacing.own > 0 or crowd.longest > 0 or request.gradient is not None:
        voxel, position = _spread(number, request, ground, candidates, n_cells, crowd, spacing)
    else:
        voxel_stream = random_stream(ground.seed, number, "voxel")
        voxel = draw_voxels(voxel_stream, request, candidates, n_cells, ground.n_present)
        position = draw_positions(random_stream(ground.seed, number, "position"), ground.geometry, voxel)
    types = random_stream(ground.seed, number, "pattern")
    return _of_kinds(request, voxel, position, draw_types(types, request, position, ground.geometry.grid.period))


def _of_kinds(request: CellRequest, voxel: IntArray, position: FloatArray, kind: IntArray) -> _Placed:
    return _Placed(voxel, position, np.array([each.radius for each in request.kinds])[kind], kind)


def _n_cells(request: CellRequest, candidates: Candidates) -> int:
    if request.count is not None:
        return int(request.count)
    if request.density is not None:
        return round(request.density * candidates.volume)
    if request.area_density is not None:
        n_cells, said = round(request.area_density * candidates.area), "area density"
    else:
        n_cells, said = round((request.coverage or 0.0) / request.area_of_cell * candidates.area), "coverage"
    if n_cells == 0:
        raise CellsError(
            f"{request.name}: this {said} gives not one cell on {candidates.area:g} um^2 of surface that cells reach; "
            "ask for more, or for a count, or add a scaffold or a gel that has more surface"
        )
    return n_cells


def _spread(
    number: int,
    request: CellRequest,
    ground: _Ground,
    candidates: Candidates,
    n_cells: int,
    crowd: Crowd,
    spacing: Spacing,
) -> tuple[IntArray, FloatArray]:
    """Voxels and positions that follow a gradient, or keep a distance."""
    geometry, stream = ground.geometry, random_stream(ground.seed, number, "position")
    on_surface = SurfaceSpots(geometry, candidates.voxel) if request.chosen_place == "surface" else None

    def draw(spots: IntArray) -> FloatArray:
        if on_surface is not None:
            return on_surface.draw(stream, spots)
        return draw_positions(stream, geometry, candidates.voxel[spots])

    room = None
    if spacing.own == 0:
        room = np.maximum(candidates.capacity - ground.n_present[candidates.voxel], 0)
    found: tuple[IntArray, FloatArray] = (np.zeros(0, np.int64), np.zeros((0, 3)))
    if len(candidates.voxel):
        found = throw_darts(
            random_stream(ground.seed, number, "voxel"),
            n_cells,
            candidates,
            draw,
            crowd,
            spacing,
            room,
            geometry.grid.spacing,
        )
    if len(found[0]) < n_cells:
        apart = max(spacing.own, crowd.longest)
        kept = f" that keep {apart:.4g} um apart" if apart > 0 else ""
        raise CellsError(
            f"{request.name}: {n_cells:,} cells{kept} in '{request.chosen_place}', but random placement finds room for "
            f"{len(found[0]):,}; ask for fewer cells, a shorter minimum_distance or another place"
        )
    return found


def _place_listed(request: CellRequest, listed: ListedCells, ground: _Ground, crowd: Crowd) -> _Placed:
    voxel = _find_voxels(request, listed, ground.geometry)
    position = _wrapped(listed.positions, ground.geometry)
    _refuse_crowded(request, position, listed, ground, crowd)
    radius = np.full(len(voxel), request.radius) if listed.radii is None else np.asarray(listed.radii, float)
    return _Placed(voxel, position, radius, np.zeros(len(voxel), np.int64))


def _place_spheroids(number: int, request: CellRequest, ground: _Ground, crowd: Crowd) -> _Placed:
    def stream(purpose: str) -> np.random.Generator:
        return random_stream(ground.seed, number, purpose)

    position, kind = place_spheroids(request, ground.geometry.grid, stream)
    cells = ListedCells(position, np.arange(len(position)), "cells of the spheroid")
    voxel = _find_voxels(request, cells, ground.geometry)
    position = _wrapped(position, ground.geometry)
    _refuse_crowded(request, position, cells, ground, crowd)
    return _of_kinds(request, voxel, position, kind)


def _refuse_crowded(
    request: CellRequest, position: FloatArray, cells: ListedCells, ground: _Ground, crowd: Crowd
) -> None:
    """Raise CellsError for cells whose places are given and too close to others."""
    distance = request.minimum_distance
    gap, wanted = crowd.gap(position, distance)
    if distance > 0:
        own = crowd.alone()
        own.add(position, distance)
        next_one = own.second_nearest(position, distance)
        wanted = np.where(next_one < gap, distance, wanted)
        gap = np.minimum(gap, next_one)
    close = np.isfinite(gap)
    if close.any():
        worst = int(np.argmin(gap))
        instead = f"{gap[worst]:.4g} um instead of {wanted[worst]:g} um"
        what = f"closer to another cell than the minimum distance, such as {instead}"
        _refuse(request, cells, close, what, "tables of cells that keep a distance after those whose places are given")


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


def _refuse(request: CellRequest, listed: ListedCells, wrong: BoolArray, what: str, needed: str) -> None:
    if not wrong.any():
        return
    first = np.flatnonzero(wrong)[:ROWS_NAMED]
    named = "; ".join(
        "{} {} at x, y, z = {:g}, {:g}, {:g} um".format(listed.kind_of_row, listed.rows[i], *listed.positions[i][::-1])
        for i in first
    )
    more = int(wrong.sum()) - len(first)
    raise CellsError(
        f"{request.name}, {listed.source}: {int(wrong.sum()):,} of {len(listed):,} cells lie {what}: {named}"
        f"{f' and {more:,} more' if more else ''}; {needed} are needed: move these cells, or leave them out"
    )


def _sorted_cells(requests: Sequence[CellRequest], placed: Sequence[_Placed], ground: _Ground) -> Cells:
    names = tuple(dict.fromkeys(kind.type for request in requests for kind in request.kinds))
    counts = [len(p.voxel) for p in placed]
    of_request = np.repeat(np.arange(len(requests)), counts)
    voxel = np.concatenate([np.zeros(0, np.int64), *(p.voxel for p in placed)])
    position = np.concatenate([np.zeros((0, 3)), *(p.position for p in placed)])
    radius = np.concatenate([np.zeros(0), *(p.radius for p in placed)])
    numbers = [np.array([names.index(kind.type) for kind in request.kinds], np.int32) for request in requests]
    type_index = np.concatenate([np.zeros(0, np.int32), *(n[p.kind] for n, p in zip(numbers, placed, strict=True))])
    order = np.argsort(voxel, kind="stable")
    voxel, position, radius, of_request = voxel[order], position[order], radius[order], of_request[order]
    on_surface = np.array([request.chosen_place == "surface" for request in requests], bool)[of_request]
    excludes = np.array([request.excludes_volume for request in requests], bool)[of_request]
    footprints = make_footprints(ground.geometry, ground.surface, voxel, position, radius, on_surface)
    return Cells(
        names,
        type_index[order],
        position,
        radius,
        _variation(requests, placed, order, ground.seed),
        footprints.start,
        footprints.voxel,
        footprints.weight,
        ground.geometry.grid.period,
        excludes if excludes.any() else None,
    )


def _variation(
    requests: Sequence[CellRequest], placed: Sequence[_Placed], order: IntArray, seed: int
) -> dict[str, FloatArray]:
    """Factors of each parameter that varies anywhere; 1 for cells of requests in which it does not."""
    parameters = dict.fromkeys(name for request in requests for name in request.variation)
    if any(request.listed is not None and request.listed.radii is not None for request in requests):
        parameters[VOLUME] = None
    return {
        name: np.concatenate(
            [_factors(name, i, *pair, seed) for i, pair in enumerate(zip(requests, placed, strict=True))]
        )[order]
        for name in parameters
    }


def _factors(name: str, number: int, request: CellRequest, placed: _Placed, seed: int) -> FloatArray:
    """Factors of one parameter; the volume of cells with radii of their own follows these."""
    spread = request.variation.get(name, 0.0)
    factors = draw_factors(random_stream(seed, number, f"variation of {name}"), len(placed.voxel), spread)
    if name == VOLUME and request.listed is not None and request.listed.radii is not None:
        factors *= (placed.radius / request.radius) ** 3
    return factors

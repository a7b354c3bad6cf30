"""Cells placed at random: which voxels, and where inside them."""

import numpy as np
import numpy.typing as npt

from payloadfield.cells.places import Candidates
from payloadfield.cells.request import CellRequest
from payloadfield.errors import CellsError
from payloadfield.geometry import FloatArray, Geometry
from payloadfield.geometry.plane import plane_offset

IntArray = npt.NDArray[np.int64]

# Points drawn in a cut voxel, of which the first on the open side of its wall is kept.
TRIALS = 32


def draw_voxels(
    rng: np.random.Generator,
    request: CellRequest,
    candidates: Candidates,
    n_cells: int,
    n_present: npt.NDArray[np.int32],
) -> IntArray:
    """Voxels for so many cells, without repetition while empty ones remain.

    Each round draws voxels without replacement, with probabilities in proportion to their likelihood (Efraimidis &
    Spirakis 2006: the smallest E / w, E exponential), and the next one begins only when no voxel is left.
    n_present: (n_voxels,) number of cells with their centre in each voxel of the grid before these
    Raises CellsError where there are more cells than places.
    """
    present = n_present[candidates.voxel]
    n_places = int(np.maximum(candidates.capacity - present, 0).sum())
    if n_cells > 0 and len(candidates.voxel) == 0:
        raise CellsError(
            f"{request.name}: this geometry has no '{request.chosen_place}' for cells; add a scaffold or "
            "gel that has, or choose another place"
        )
    if n_cells > n_places:
        raise CellsError(_too_many(request, n_cells, n_places))
    chosen: list[IntArray] = []
    level, missing = 0, n_cells
    while missing > 0:
        is_free = (present <= level) & (present < candidates.capacity)
        picked = _nth_true(is_free, _without_replacement(rng, candidates.likelihood[is_free], missing))
        present[picked] += 1
        chosen.append(candidates.voxel[picked])
        missing -= len(picked)
        level += 1
    return np.concatenate(chosen) if chosen else np.zeros(0, np.int64)


def _without_replacement(rng: np.random.Generator, likelihood: FloatArray, n: int) -> IntArray:
    keys = rng.standard_exponential(len(likelihood))
    keys /= likelihood
    if n >= len(keys):
        return np.arange(len(keys))
    return np.sort(np.argpartition(keys, n)[:n])


def _nth_true(values: npt.NDArray[np.bool_], n: IntArray) -> IntArray:
    """Places of the true values with these numbers, counted from 0 in their order."""
    return n if values.all() else np.flatnonzero(values)[n]


def _too_many(request: CellRequest, n_cells: int, n_places: int) -> str:
    asked = "" if request.density is None else f" (density {request.density:g} /um^3)"
    return (
        f"{request.name}: {n_cells:,} cells{asked}, but only {n_places:,} free places in "
        f"'{request.chosen_place}'; ask for at most {n_places:,}, refine grid.voxel, enlarge the grid, "
        "or choose another place"
    )


def draw_positions(rng: np.random.Generator, geometry: Geometry, voxel: IntArray) -> FloatArray:
    """Points spread over the open part of voxels: (n, 3) z, y, x [um].

    The wall of a cut voxel is taken as the plane that its apertures and its open fraction describe.
    voxel: (n,) flat index
    """
    z, y, x = np.unravel_index(voxel, geometry.grid.shape)
    inside = rng.random((len(voxel), 3)) - 0.5
    cut = np.flatnonzero(geometry.open_fraction[z, y, x] < 1)
    if len(cut):
        inside[cut] = _on_the_open_side(rng, geometry, (z[cut], y[cut], x[cut]))
    return (np.stack([z, y, x], axis=-1) + 0.5 + inside) * geometry.grid.spacing


def _on_the_open_side(
    rng: np.random.Generator, geometry: Geometry, at: tuple[IntArray, IntArray, IntArray]
) -> FloatArray:
    z, y, x = at
    normal = np.stack(
        [
            geometry.aperture_z[z + 1, y, x] - geometry.aperture_z[z, y, x],
            geometry.aperture_y[z, y + 1, x] - geometry.aperture_y[z, y, x],
            geometry.aperture_x[z, y, x + 1] - geometry.aperture_x[z, y, x],
        ],
        axis=-1,
    )
    points = rng.random((len(z), TRIALS, 3)) - 0.5
    beyond = np.einsum("ntc,nc->nt", points, normal) - plane_offset(normal, geometry.open_fraction[z, y, x])[:, None]
    # The first open point, or the one closest to being open.
    chosen = np.where((beyond > 0).any(axis=1), np.argmax(beyond > 0, axis=1), np.argmax(beyond, axis=1))
    return points[np.arange(len(z)), chosen]

"""Cells on a surface: spread out over it like a monolayer."""

import math

import numpy as np
import numpy.typing as npt

from payloadfield.cells.draw import draw_positions
from payloadfield.cells.request import CellRequest
from payloadfield.geometry import FloatArray, Geometry
from payloadfield.geometry.plane import plane_offset

IntArray = npt.NDArray[np.int64]

# Cells of a monolayer keep this share of the distance that they would have on a hexagonal lattice of their density.
# Discs of that diameter cover 0.38 of a plane, and random addition goes on to 0.547 (Feder 1980).
EVENNESS = 0.65
# Spots drawn on the wall of a cut voxel, of which the first inside the voxel is kept.
TRIALS = 24
# How far inside its voxel a cell on a face lies, in voxels.
INSIDE = 1e-6


def own_distance(request: CellRequest, n_cells: int, area: float) -> float:
    """Distance between the cells of a request: what it asks for, and in a monolayer what makes it even [um].

    Cells of a density n on a hexagonal lattice are sqrt(2 / (sqrt(3) n)) apart.
    """
    if (request.coverage is None and request.area_density is None) or n_cells == 0:
        return request.minimum_distance
    return max(request.minimum_distance, EVENNESS * math.sqrt(2 / math.sqrt(3) * area / n_cells))


def draw_on_surface(rng: np.random.Generator, geometry: Geometry, voxel: IntArray) -> FloatArray:
    """Spots on the walls inside voxels, and on their faces towards solid or gel: (n, 3) z, y, x [um].

    voxel: (n,) flat index
    """
    position = draw_positions(rng, geometry, voxel)  # where a voxel has neither
    z, y, x = at = np.unravel_index(voxel, geometry.grid.shape)
    centre = (np.stack(at, axis=-1) + 0.5) * geometry.grid.spacing
    cut = geometry.open_fraction[z, y, x] < 1
    spot = np.empty_like(position)
    spot[cut] = _on_walls(rng, geometry, voxel[cut])
    spot[~cut] = _on_faces(rng, geometry, voxel[~cut])
    found = np.isfinite(spot[:, 0])
    position[found] = centre[found] + spot[found] * geometry.grid.spacing
    return position


def _on_walls(rng: np.random.Generator, geometry: Geometry, voxel: IntArray) -> FloatArray:
    """Spots on the planes that apertures and open fractions describe, from the voxel's centre in voxels; or NaN."""
    z, y, x = np.unravel_index(voxel, geometry.grid.shape)
    normal = np.stack([low_high[1] - low_high[0] for low_high in _apertures(geometry, voxel)], axis=-1)
    length = np.linalg.norm(normal, axis=1)
    usable = length > 0
    offset = plane_offset(normal, geometry.open_fraction[z, y, x])
    n = normal / np.where(usable, length, 1)[:, None]
    depth = np.where(usable, offset / np.where(usable, length, 1), 0)
    first = np.cross(n, np.eye(3)[np.argmin(np.abs(n), axis=1)])
    first /= np.maximum(np.linalg.norm(first, axis=1), 1e-300)[:, None]
    second = np.cross(n, first)
    # Evenly over the disc in which the plane cuts the ball around the voxel.
    reach = np.sqrt(np.maximum(0.75 - depth**2, 0))[:, None] * np.sqrt(rng.random((len(voxel), TRIALS)))
    angle = 2 * math.pi * rng.random((len(voxel), TRIALS))
    spots = (depth[:, None] * n)[:, None, :] + (
        (reach * np.cos(angle))[..., None] * first[:, None, :] + (reach * np.sin(angle))[..., None] * second[:, None, :]
    )
    outside = np.maximum(np.abs(spots).max(axis=2) - (0.5 - INSIDE), 0)
    # The first spot inside, or the one closest to it.
    chosen = spots[np.arange(len(voxel)), np.argmin(outside, axis=1)]
    chosen = np.clip(chosen, INSIDE - 0.5, 0.5 - INSIDE)
    chosen[~usable] = np.nan
    return chosen


def _on_faces(rng: np.random.Generator, geometry: Geometry, voxel: IntArray) -> FloatArray:
    """Spots on the faces of uncut voxels towards solid or gel, from the voxel's centre in voxels; or NaN."""
    share = np.concatenate([np.stack(pair, axis=-1) for pair in _closed_or_gel(geometry, voxel)], axis=1)
    total = np.cumsum(share, axis=1)
    number = (rng.random(len(voxel))[:, None] * total[:, -1:] >= total).sum(axis=1)
    spot = (rng.random((len(voxel), 3)) - 0.5) * (1 - 2 * INSIDE)
    axis, is_high = np.divmod(np.minimum(number, 5), 2)
    spot[np.arange(len(voxel)), axis] = np.where(is_high == 1, 0.5 - INSIDE, INSIDE - 0.5)
    spot[total[:, -1] <= 0] = np.nan
    return spot


def _apertures(geometry: Geometry, voxel: IntArray) -> list[tuple[FloatArray, FloatArray]]:
    """Apertures of the low and the high face of voxels across z, y, x."""
    at = np.unravel_index(voxel, geometry.grid.shape)
    found = []
    for axis, aperture in enumerate(geometry.apertures):
        above = [index + (other == axis) for other, index in enumerate(at)]
        found.append((aperture[at], aperture[tuple(above)]))
    return found


def _closed_or_gel(geometry: Geometry, voxel: IntArray) -> list[tuple[FloatArray, FloatArray]]:
    """Share of the low and the high face of voxels across z, y, x that is closed, or leads from medium into gel."""
    is_gel = np.array([material.kind == "gel" for material in geometry.materials])
    at, grid = np.unravel_index(voxel, geometry.grid.shape), geometry.grid
    from_medium = ~is_gel[geometry.open_label[at]]
    found = []
    for axis, pair in enumerate(_apertures(geometry, voxel)):
        shares = []
        for step, aperture in zip((-1, 1), pair, strict=True):
            index = at[axis] + step
            exists = grid.periodic[axis] | ((index >= 0) & (index < grid.shape[axis]))
            beside = tuple(index % grid.shape[axis] if other == axis else i for other, i in enumerate(at))
            leads_to_gel = exists & from_medium & is_gel[geometry.open_label[beside]] & geometry.is_open[beside]
            shares.append(1 - aperture + aperture * leads_to_gel)
        found.append((shares[0], shares[1]))
    return found

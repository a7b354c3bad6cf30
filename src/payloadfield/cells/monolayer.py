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
# Spots drawn on the plane of a cut voxel, until one is inside the voxel.
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


class SurfaceSpots:
    """Spots on the walls inside voxels, and on the faces of uncut ones towards solid or gel."""

    def __init__(self, geometry: Geometry, voxel: IntArray) -> None:
        """voxel: (n,) flat index of those in which spots will be drawn."""
        self._geometry, self._voxel = geometry, voxel
        at = np.unravel_index(voxel, geometry.grid.shape)
        self._centre = (np.stack(at, axis=-1) + 0.5) * geometry.grid.spacing
        self._is_cut = geometry.open_fraction[at] < 1
        self._normal, self._depth = _planes(geometry, voxel, self._is_cut)
        shares = [np.stack(pair, axis=-1) for pair in _closed_or_gel(geometry, voxel)]
        self._faces = np.cumsum(np.concatenate(shares, axis=1), axis=1)

    def draw(self, rng: np.random.Generator, number: IntArray) -> FloatArray:
        """A spot in each of the voxels with these numbers (n,): (n, 3) z, y, x [um]."""
        spot = np.empty((len(number), 3))
        cut = self._is_cut[number]
        spot[cut] = _on_planes(rng, self._normal[number[cut]], self._depth[number[cut]])
        spot[~cut] = _on_faces(rng, self._faces[number[~cut]])
        position = self._centre[number] + spot * self._geometry.grid.spacing
        lost = np.flatnonzero(np.isnan(spot[:, 0]))  # neither wall nor face
        position[lost] = draw_positions(rng, self._geometry, self._voxel[number[lost]])
        return position


def _planes(geometry: Geometry, voxel: IntArray, is_cut: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Unit normals towards the open side, and distances from the centre in voxels, of the planes that apertures and
    open fractions describe; NaN in voxels without one.
    """
    normal, depth = np.full((len(voxel), 3), np.nan), np.full(len(voxel), np.nan)
    slope = np.stack([high - low for low, high in _apertures(geometry, voxel[is_cut])], axis=-1)
    length = np.linalg.norm(slope, axis=1)
    length[length == 0] = np.nan
    offset = plane_offset(slope, geometry.open_fraction.reshape(-1)[voxel[is_cut]])
    normal[is_cut], depth[is_cut] = slope / length[:, None], offset / length
    return normal, depth


def _on_planes(rng: np.random.Generator, normal: FloatArray, depth: FloatArray) -> FloatArray:
    """Spots where planes cut the unit cube around 0, evenly: (n, 3)."""
    first = np.cross(normal, np.eye(3)[np.argmin(np.abs(normal), axis=1)])
    first /= np.linalg.norm(first, axis=1)[:, None]
    second = np.cross(normal, first)
    foot, reach = depth[:, None] * normal, np.sqrt(np.maximum(0.75 - depth**2, 0))
    chosen, miss = np.full_like(normal, np.nan), np.full(len(normal), np.inf)
    left = np.flatnonzero(np.isfinite(depth))
    for _ in range(TRIALS):
        # Evenly over the disc in which the plane cuts the ball around the cube; the spot inside, or the closest to it.
        radius, angle = reach[left] * np.sqrt(rng.random(len(left))), 2 * math.pi * rng.random(len(left))
        along, across = (radius * np.cos(angle))[:, None], (radius * np.sin(angle))[:, None]
        spot = foot[left] + along * first[left] + across * second[left]
        outside = np.maximum(np.abs(spot).max(axis=1) - (0.5 - INSIDE), 0)
        better = outside < miss[left]
        chosen[left[better]], miss[left[better]] = spot[better], outside[better]
        left = left[miss[left] > 0]
    return np.clip(chosen, INSIDE - 0.5, 0.5 - INSIDE)


def _on_faces(rng: np.random.Generator, total: FloatArray) -> FloatArray:
    """Spots on faces of the unit cube around 0: (n, 3), NaN without a face.

    total: (n, 6) running sum of the shares of its faces
    """
    number = (rng.random(len(total))[:, None] * total[:, -1:] >= total).sum(axis=1)
    spot = (rng.random((len(total), 3)) - 0.5) * (1 - 2 * INSIDE)
    axis, is_high = np.divmod(np.minimum(number, 5), 2)
    spot[np.arange(len(total)), axis] = np.where(is_high == 1, 0.5 - INSIDE, INSIDE - 0.5)
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

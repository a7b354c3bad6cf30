"""Footprints: the voxels that a cell touches, and its share in each.

w_j is proportional to overlap_j f_j (f the open fraction) in medium and gel, and to overlap_j A_j (A the wall area)
on a surface, over the voxels that the cell's sphere overlaps and that open faces within it join to the voxel of its
centre.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from payloadfield.geometry import FloatArray, Geometry

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# A cell smaller than this many voxels in radius stays in one voxel.
SMALLEST_RADIUS = 0.5
# Sampling points per radius, at least, and per edge of a voxel, at most.
POINTS_PER_RADIUS, MOST_POINTS_PER_VOXEL = 3, 6
# Sampling points of a block of cells: bounds the temporary arrays to about 100 MB.
BLOCK_POINTS = 3_000_000


@dataclass(frozen=True, eq=False)
class Footprints:
    """Entries of cells, as in Cells: start (n_cells + 1,), voxel and weight (n_entries,)."""

    start: IntArray
    voxel: IntArray
    weight: FloatArray


@dataclass(frozen=True, eq=False)
class Ground:
    """What footprints need of a geometry.

    shape, periodic: of the grid; spacing: h [um]
    open_fraction, surface: flat, (n_voxels,) [1], [um^2]
    joined: for each axis, whether an open face joins a voxel to the next one along it: flat, (n_voxels,)
    """

    shape: tuple[int, int, int]
    periodic: tuple[bool, bool, bool]
    spacing: float
    open_fraction: FloatArray
    surface: FloatArray
    joined: tuple[BoolArray, BoolArray, BoolArray]


def make_footprints(
    geometry: Geometry,
    surface: FloatArray,
    voxel: IntArray,
    position: FloatArray,
    radius: FloatArray,
    on_surface: BoolArray,
) -> Footprints:
    """Footprints of cells.

    surface: (nz, ny, nx) area that cells can sit on [um^2]
    voxel: (n,) flat index of the voxel of the centre, which must be open
    position: (n, 3) centre, z, y, x [um]; radius: (n,) [um]
    on_surface: (n,) whether the weights follow the area rather than the open volume
    """
    ground = _ground(geometry, surface)
    found = [_single(voxel, np.flatnonzero(radius < SMALLEST_RADIUS * ground.spacing))]
    for reach, points in _sizes(radius, ground.spacing):
        members = np.flatnonzero(_size_keys(radius, ground.spacing) == _key(reach, points))
        step = max(1, BLOCK_POINTS // ((2 * reach + 1) * points) ** 3)
        for first in range(0, len(members), step):
            some = members[first : first + step]
            found.append(
                _block(ground, some, voxel[some], position[some], radius[some], on_surface[some], reach, points)
            )
    cell, at, weight = (np.concatenate(part) for part in zip(*found, strict=True))
    return _collect(len(voxel), math.prod(ground.shape), cell, at, weight)


def _ground(geometry: Geometry, surface: FloatArray) -> Ground:
    grid = geometry.grid
    joined = [
        np.ascontiguousarray(np.moveaxis(np.moveaxis(aperture, axis, 0)[1:] > 0, 0, axis)).reshape(-1)
        for axis, aperture in enumerate(geometry.apertures)
    ]
    return Ground(
        grid.shape,
        grid.periodic,
        grid.spacing,
        geometry.open_fraction.reshape(-1),
        surface.reshape(-1),
        (joined[0], joined[1], joined[2]),
    )


def _key(reach: int, points: int) -> int:
    return reach * (MOST_POINTS_PER_VOXEL + 1) + points


def _size_keys(radius: FloatArray, h: float) -> IntArray:
    """Size class of each cell: its reach in voxels and its sampling points; -1 for cells within one voxel."""
    reach = np.ceil(radius / h).astype(np.int64)
    points = np.clip(np.ceil(POINTS_PER_RADIUS * h / radius), 1, MOST_POINTS_PER_VOXEL).astype(np.int64)
    return np.where(radius < SMALLEST_RADIUS * h, -1, reach * (MOST_POINTS_PER_VOXEL + 1) + points)


def _sizes(radius: FloatArray, h: float) -> list[tuple[int, int]]:
    return [divmod(int(key), MOST_POINTS_PER_VOXEL + 1) for key in np.unique(_size_keys(radius, h)) if key >= 0]


Entries = tuple[IntArray, IntArray, FloatArray]


def _single(voxel: IntArray, cells: IntArray) -> Entries:
    return cells, voxel[cells], np.ones(len(cells))


def _block(
    ground: Ground,
    cells: IntArray,
    voxel: IntArray,
    position: FloatArray,
    radius: FloatArray,
    on_surface: BoolArray,
    reach: int,
    points: int,
) -> Entries:
    """Entries of cells of one size class, on the cube of voxels within their reach."""
    around, exists = _around(ground, voxel, reach)
    overlap = _overlap(ground, voxel, position, radius, reach, points)
    member = (overlap > 0) & exists & (ground.open_fraction[around] > 0)
    overlap *= _connected(ground, around, member, reach)
    by_volume = overlap * ground.open_fraction[around]
    by_area = overlap * ground.surface[around] * on_surface[:, None, None, None]
    has_area = by_area.sum(axis=(1, 2, 3)) > 0
    weight = np.where(has_area[:, None, None, None], by_area, by_volume)
    weight /= weight.sum(axis=(1, 2, 3), keepdims=True)
    kept = weight > 0
    return cells[np.nonzero(kept)[0]], around[kept], weight[kept]


def _around(ground: Ground, voxel: IntArray, reach: int) -> tuple[IntArray, BoolArray]:
    """Flat index of the voxels around each cell's own, (n, k, k, k), and whether they exist."""
    steps = np.arange(-reach, reach + 1)
    indices, exist = [], []
    for own, n, wraps in zip(np.unravel_index(voxel, ground.shape), ground.shape, ground.periodic, strict=True):
        index = own[:, None] + steps
        exist.append(np.ones(index.shape, bool) if wraps else (index >= 0) & (index < n))
        indices.append(index % n if wraps else np.clip(index, 0, n - 1))
    (z, y, x), (in_z, in_y, in_x) = indices, exist
    _, ny, nx = ground.shape
    flat = (z[:, :, None, None] * ny + y[:, None, :, None]) * nx + x[:, None, None, :]
    return flat, in_z[:, :, None, None] & in_y[:, None, :, None] & in_x[:, None, None, :]


def _overlap(
    ground: Ground, voxel: IntArray, position: FloatArray, radius: FloatArray, reach: int, points: int
) -> FloatArray:
    """Share of each voxel that the cell's sphere covers, (n, k, k, k).

    The mean over points^3 small cubes of clip(1/2 + (R - r) / width, 0, 1), r the distance of the cube's centre.
    """
    h, width = ground.spacing, ground.spacing / points
    k = 2 * reach + 1
    sample = (np.arange(k * points) + 0.5) * width - (reach + 0.5) * h
    own = np.stack(np.unravel_index(voxel, ground.shape), axis=-1)
    offset = position - (own + 0.5) * h
    size = np.array(ground.shape) * h
    offset -= np.where(ground.periodic, size * np.round(offset / size), 0)
    z, y, x = ((sample - offset[:, axis, None]) ** 2 for axis in range(3))
    share = z[:, :, None, None] + y[:, None, :, None] + x[:, None, None, :]
    np.sqrt(share, out=share)
    np.subtract(radius[:, None, None, None], share, out=share)
    share /= width
    share += 0.5
    np.clip(share, 0, 1, out=share)
    return share.reshape(-1, k, points, k, points, k, points).mean(axis=(2, 4, 6))


def _connected(ground: Ground, around: IntArray, member: BoolArray, reach: int) -> BoolArray:
    """Members that open faces between members join to the middle voxel, (n, k, k, k)."""
    links = [
        ground.joined[0][around[:, :-1]],
        ground.joined[1][around[:, :, :-1]],
        ground.joined[2][around[:, :, :, :-1]],
    ]
    low, high = slice(None, -1), slice(1, None)
    ends = [((slice(None),) * (axis + 1) + (low,), (slice(None),) * (axis + 1) + (high,)) for axis in range(3)]
    links = [link & member[a] & member[b] for link, (a, b) in zip(links, ends, strict=True)]
    reached = np.zeros(member.shape, bool)
    reached[:, reach, reach, reach] = True
    n_before = 0
    while (n_now := int(np.count_nonzero(reached))) > n_before:
        n_before = n_now
        for link, (a, b) in zip(links, ends, strict=True):
            reached[b] |= reached[a] & link
            reached[a] |= reached[b] & link
    return reached


def _collect(n_cells: int, n_voxels: int, cell: IntArray, voxel: IntArray, weight: FloatArray) -> Footprints:
    """Entries in the order of cells and voxels; a voxel met twice, around a small periodic box, counts once."""
    key, inverse = np.unique(cell * n_voxels + voxel, return_inverse=True)
    summed = np.bincount(inverse, weight, minlength=len(key)).astype(np.float64)
    owner, at = np.divmod(key, n_voxels)
    start = np.zeros(n_cells + 1, np.int64)
    np.cumsum(np.bincount(owner, minlength=n_cells), out=start[1:])
    return Footprints(start, at, summed)

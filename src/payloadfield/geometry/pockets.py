"""Disconnected parts of the open space."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from payloadfield.errors import GeometryError
from payloadfield.geometry.geometry import Geometry
from payloadfield.geometry.grid import AXES, SIDES, FloatArray, slabs

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pockets:
    """Parts of the open space that no open face joins, largest first.

    label: (nz, ny, nx) number of the pocket; -1 in closed voxels
    volume: (n_pockets,) open volume [um^3]
    n_voxels: (n_pockets,) number of voxels
    touches_bath: (n_pockets,) whether an open side or a wall joins it to the bath
    """

    label: npt.NDArray[np.int32]
    volume: FloatArray
    n_voxels: IntArray
    touches_bath: npt.NDArray[np.bool_]

    @property
    def n_pockets(self) -> int:
        """Number of pockets."""
        return len(self.volume)


def find_pockets(geometry: Geometry, bath_sides: Iterable[str] = ()) -> Pockets:
    """Pockets of a geometry, joined through open faces and periodic sides.

    The largest volume comes first; equal ones in the order of their first voxels.
    bath_sides: sides of the grid that are open to the bath, such as "z_high"
    Raises GeometryError for an unknown side, or one of a periodic axis.
    """
    sides = frozenset(bath_sides)
    _check_sides(sides, geometry)
    open_voxels = geometry.is_open
    runs, n_runs = _runs(geometry, open_voxels)
    if n_runs == 0:
        raise GeometryError("geometry: no open voxel, so no pocket")
    pocket_of_run = _join(geometry, runs, n_runs)
    label = runs  # run by run, in place: a large grid has no room for both
    for z0, z1 in slabs(geometry.grid):
        label[z0:z1] = np.where(open_voxels[z0:z1], pocket_of_run[runs[z0:z1]], -1)
    return _describe(geometry, label, sides)


def _check_sides(sides: frozenset[str], geometry: Geometry) -> None:
    unknown = sorted(sides - set(SIDES))
    if unknown:
        raise GeometryError(f"boundary: unknown side {unknown[0]!r}; sides are {', '.join(SIDES)}")
    for side in sorted(sides):
        if geometry.grid.periodic[AXES.index(side[0])]:
            raise GeometryError(f"boundary: {side} cannot be a bath, because {side[0]} is periodic")


def _runs(geometry: Geometry, open_voxels: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int32], int]:
    """Number rows of voxels along x that open faces join: (nz, ny, nx), and their number."""
    starts = open_voxels.copy()
    starts[:, :, 1:] &= ~(open_voxels[:, :, :-1] & (geometry.aperture_x[:, :, 1:-1] > 0))
    runs = np.cumsum(starts, dtype=np.int32).reshape(starts.shape)
    n_runs = int(runs[-1, -1, -1])
    runs -= 1
    return np.maximum(runs, 0, out=runs), n_runs


def _join(geometry: Geometry, runs: npt.NDArray[np.int32], n_runs: int) -> npt.NDArray[np.int32]:
    """Number of the connected component of each run."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = (np.concatenate(side) for side in zip(*_pairs(geometry, runs), strict=True))
    graph = coo_array((np.ones(len(first), np.float32), (first, second)), shape=(n_runs, n_runs))
    return np.asarray(connected_components(graph.tocsr(), directed=False)[1], np.int32)


def _pairs(
    geometry: Geometry, runs: npt.NDArray[np.int32]
) -> Iterable[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]]:
    """Pairs of runs with a common open face, most repetitions left out."""
    for axis, aperture in enumerate(geometry.apertures):
        faces, along = np.moveaxis(aperture, axis, 0), np.moveaxis(runs, axis, 0)
        if axis < 2:
            yield _distinct(along[:-1], along[1:], faces[1:-1] > 0)
        if geometry.grid.periodic[axis]:
            yield _distinct(along[-1:], along[:1], faces[:1] > 0)
    yield np.zeros(0, np.int32), np.zeros(0, np.int32)


def _distinct(
    first: npt.NDArray[np.int32], second: npt.NDArray[np.int32], joined: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    a, b = first[joined], second[joined]
    fresh = np.ones(len(a), bool)
    fresh[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
    return a[fresh], b[fresh]


def _describe(geometry: Geometry, label: npt.NDArray[np.int32], sides: frozenset[str]) -> Pockets:
    flat, n_pockets = label.reshape(-1), int(label.max()) + 1
    volume, n_voxels, first = np.zeros(n_pockets), np.zeros(n_pockets, np.int64), np.zeros(n_pockets, np.int64)
    shares, plane = geometry.open_fraction.reshape(-1), label[0].size
    # Backwards, so that the first voxel of a pocket is the one noted last.
    for z0, z1 in reversed(list(slabs(geometry.grid))):
        voxels = np.flatnonzero(flat[z0 * plane : z1 * plane] >= 0) + z0 * plane
        pocket = flat[voxels]
        volume += np.bincount(pocket, shares[voxels], n_pockets)
        n_voxels += np.bincount(pocket, minlength=n_pockets)
        first[pocket[::-1]] = voxels[::-1]
    volume *= geometry.grid.voxel_volume
    order = np.lexsort((first, -volume))
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    for z0, z1 in slabs(geometry.grid):
        part = label[z0:z1]
        part[part >= 0] = rank[part[part >= 0]]
    return Pockets(label, volume[order], n_voxels[order], _touches_bath(geometry, label, len(order), sides))


def _touches_bath(
    geometry: Geometry, label: npt.NDArray[np.int32], n_pockets: int, sides: frozenset[str]
) -> npt.NDArray[np.bool_]:
    touches = np.zeros(n_pockets, bool)
    touches[label[(geometry.bath_area > 0) & (label >= 0)]] = True
    for side in sides:
        axis, end = AXES.index(side[0]), -1 if side.endswith("high") else 0
        outer = np.moveaxis(label, axis, 0)[end]
        touches[outer[(np.moveaxis(geometry.apertures[axis], axis, 0)[end] > 0) & (outer >= 0)]] = True
    return touches

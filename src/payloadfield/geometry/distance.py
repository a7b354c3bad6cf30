"""Distance to a surface that is known voxel by voxel only."""

import numpy as np
import numpy.typing as npt

from payloadfield.geometry.grid import FloatArray, VoxelGrid


def put_staircases(distance: FloatArray, grid: VoxelGrid, is_surface: npt.NDArray[np.bool_], *, beyond: float) -> None:
    """Put the distance to the surface of a set of voxels where a distance is larger than `beyond`, in place [um].

    It is that between the centres of voxels, less half a voxel, negative inside; infinite where there is no surface.
    distance: (nz, ny, nx) [um]; is_surface: (nz, ny, nx) whether a voxel belongs to a solid or a gel
    """
    squared = _squared_distances(is_surface, grid)
    for plane, inside, own in zip(distance, is_surface, squared, strict=True):
        stairs = (_root(own) - 0.5) * grid.spacing
        np.negative(stairs, out=stairs, where=inside)
        np.copyto(plane, stairs, where=np.abs(plane) > beyond)


def distance_to(target: npt.NDArray[np.bool_], grid: VoxelGrid) -> FloatArray:
    """Distance in voxels of each voxel to the nearest one of the target, through periodic sides too: (nz, ny, nx)."""
    distance = _root(_squared_distances(target, grid))
    distance[target] = 0
    return distance


def _squared_distances(kind: npt.NDArray[np.bool_], grid: VoxelGrid) -> npt.NDArray[np.int32]:
    """Squared distance in voxels of each voxel to the nearest one of the other kind."""
    from payloadfield.geometry.compiled.transform import squared_distances

    squared = np.empty(kind.shape, np.int32)
    squared_distances(np.ascontiguousarray(kind).view(np.uint8), np.array(grid.periodic), squared)
    return squared


def _root(squared: npt.NDArray[np.int32]) -> FloatArray:
    """Distance; infinite where nothing of the other kind was found."""
    distance = np.sqrt(squared, dtype=np.float64)
    distance[squared == np.iinfo(np.int32).max] = np.inf
    return distance


def distance_to_surface(inside: npt.NDArray[np.bool_], depth: FloatArray, grid: VoxelGrid) -> FloatArray:
    """Distance in voxels of voxels inside to the surface between them and the others; 0 outside: (nz, ny, nx).

    The distance to the nearest voxel outside, less how deep its centre lies beyond the surface.
    inside: (nz, ny, nx), neither all nor nothing; depth: (nz, ny, nx) of the centres of the others, in voxels
    """
    from scipy.ndimage import distance_transform_edt

    margin = _margin(distance_transform_edt(inside), grid)
    pad = [(m, m) for m in margin]
    distance, nearest = distance_transform_edt(np.pad(inside, pad, mode="wrap"), return_indices=True)
    distance -= np.pad(depth, pad, mode="wrap")[tuple(nearest)]
    return np.where(inside, distance[_inner(margin, grid)], 0)


def _margin(distance: FloatArray, grid: VoxelGrid) -> list[int]:
    """How much of the other side to see: nothing beyond the largest distance within the box can be nearer."""
    reach = int(np.ceil(distance.max()))
    return [min(reach, n // 2 + 1) if p else 0 for n, p in zip(grid.shape, grid.periodic, strict=True)]


def _inner(margin: list[int], grid: VoxelGrid) -> tuple[slice, ...]:
    return tuple(slice(m, m + n) for m, n in zip(margin, grid.shape, strict=True))

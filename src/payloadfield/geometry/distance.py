"""Distance to a surface that is known voxel by voxel only."""

import numpy as np
import numpy.typing as npt

from payloadfield.geometry.grid import FloatArray, VoxelGrid


def staircase_distance(grid: VoxelGrid, is_surface: npt.NDArray[np.bool_]) -> FloatArray:
    """Distance of each voxel centre to the surface of a set of voxels, negative inside it [um].

    The distance between centres, less half a voxel; infinite where there is no surface.
    is_surface: (nz, ny, nx) whether a voxel belongs to a solid or a gel
    """
    if not is_surface.any() or is_surface.all():
        return np.full(grid.shape, -np.inf if is_surface.any() else np.inf)
    distance = distance_to(is_surface, grid) - distance_to(~is_surface, grid)
    return (distance - 0.5 * np.sign(distance)) * grid.spacing


def distance_to(target: npt.NDArray[np.bool_], grid: VoxelGrid) -> FloatArray:
    """Distance in voxels of each voxel to the nearest one of the target, through periodic sides too: (nz, ny, nx)."""
    distance = _to_nearest(target)
    margin = _margin(distance, grid)
    if not any(margin):
        return distance
    return _to_nearest(np.pad(target, [(m, m) for m in margin], mode="wrap"))[_inner(margin, grid)]


def _to_nearest(target: npt.NDArray[np.bool_]) -> FloatArray:
    """Distance to the target within the array, plane by plane from the nearest voxels: SciPy does all at once."""
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(~target, return_distances=False, return_indices=True)
    distance = np.empty(target.shape)
    y, x = np.ogrid[: target.shape[1], : target.shape[2]]
    for z, plane in enumerate(distance):
        away = nearest[:, z].astype(np.float64)
        np.sqrt((away[0] - z) ** 2 + (away[1] - y) ** 2 + (away[2] - x) ** 2, out=plane)
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

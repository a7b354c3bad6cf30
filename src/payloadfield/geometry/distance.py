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
    distance = _distance_to(is_surface, grid) - _distance_to(~is_surface, grid)
    return (distance - 0.5 * np.sign(distance)) * grid.spacing


def _distance_to(target: npt.NDArray[np.bool_], grid: VoxelGrid) -> FloatArray:
    """Distance in voxels to the nearest voxel of the target, through periodic sides too."""
    from scipy.ndimage import distance_transform_edt

    distance = distance_transform_edt(~target)
    # Nothing beyond the largest distance within the box can be nearer.
    reach = int(np.ceil(distance.max()))
    margin = [min(reach, n // 2 + 1) if p else 0 for n, p in zip(grid.shape, grid.periodic, strict=True)]
    if not any(margin):
        return np.asarray(distance)
    padded = np.pad(~target, [(m, m) for m in margin], mode="wrap")
    inner = tuple(slice(m, m + n) for m, n in zip(margin, grid.shape, strict=True))
    return np.asarray(distance_transform_edt(padded)[inner])

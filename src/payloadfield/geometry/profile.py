"""A factor of the accessible fraction that varies from place to place, as in a spheroid."""

from collections.abc import Callable

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import FloatArray, Triple, VoxelGrid
from payloadfield.geometry.shape import check_point, check_positive, offsets


def radial_profile(
    grid: VoxelGrid, centre: Triple, radius: float, function: Callable[[FloatArray], FloatArray | float]
) -> FloatArray:
    """Values of a function of the relative radius in a ball, and 1 outside it: (nz, ny, nx) [1].

    f(rho), rho = |x - centre| / radius at the voxel centres
    centre: z, y, x [um]
    radius: [um]
    function: takes an array of rho from 0 to 1, returns factors of the accessible fraction
    Raises GeometryError where the function gives a negative or non-finite value.
    """
    check_point("profile.centre", centre)
    check_positive("profile.radius", radius)
    z, y, x = (grid.centres(axis) for axis in range(3))
    dz, dy, dx = offsets((z[:, None, None], y[None, :, None], x[None, None, :]), centre, grid.period)
    rho = np.sqrt(dz * dz + dy * dy + dx * dx) / radius
    profile = np.ones(grid.shape)
    inside = rho <= 1
    profile[inside] = function(rho[inside])
    checked = check_profile(profile, grid)
    assert checked is not None
    return checked


def check_profile(profile: FloatArray | None, grid: VoxelGrid) -> FloatArray | None:
    """The profile as an array of floats.

    Raises GeometryError for a shape that is not the grid's, and for negative or non-finite values.
    """
    if profile is None:
        return None
    profile = np.ascontiguousarray(profile, np.float64)
    if profile.shape != grid.shape:
        raise GeometryError(f"accessible_profile: shape {profile.shape}; the grid has {grid.shape} voxels (z, y, x)")
    if not np.isfinite(profile).all() or (profile < 0).any():
        raise GeometryError("accessible_profile: negative or non-finite values; numbers of at least 0 are needed")
    return profile

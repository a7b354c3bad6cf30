"""A factor of the accessible fraction that varies from place to place, as in a spheroid."""

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import FloatArray, VoxelGrid


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

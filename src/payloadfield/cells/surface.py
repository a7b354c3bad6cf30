"""Area that cells can sit on, in each voxel."""

import numpy as np

from payloadfield.geometry import FloatArray, Geometry


def surface_area(geometry: Geometry) -> FloatArray:
    """Area of impermeable wall and, for the medium, of adjoining gel in each voxel: (nz, ny, nx) [um^2].

    A gel's surface lies on faces; as for a staircase the area is h^2 sqrt(sum over axes of (low + high)^2), low and
    high being the open shares of the faces towards gel.
    """
    is_gel = np.array([material.kind == "gel" for material in geometry.materials])
    in_gel = is_gel[geometry.open_label] & geometry.is_open
    if not in_gel.any():
        return geometry.wall_area
    squares = sum(_towards(in_gel, geometry, axis) ** 2 for axis in range(3))
    gel_area = np.sqrt(squares) * geometry.grid.spacing**2
    return geometry.wall_area + np.where(geometry.is_open & ~in_gel, gel_area, 0.0)


def _towards(in_gel: np.ndarray, geometry: Geometry, axis: int) -> np.ndarray:
    """Open share of both faces of each voxel across an axis that lead into gel."""
    gel, faces = np.moveaxis(in_gel, axis, 0), np.moveaxis(geometry.apertures[axis], axis, 0)
    share = np.zeros(gel.shape)
    share[1:] += gel[:-1] * faces[1:-1]
    share[:-1] += gel[1:] * faces[1:-1]
    if geometry.grid.periodic[axis]:
        share[0] += gel[-1] * faces[0]
        share[-1] += gel[0] * faces[-1]
    return np.moveaxis(share, 0, axis)

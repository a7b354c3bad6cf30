"""Area that cells can sit on, in each voxel."""

import numpy as np
import numpy.typing as npt

from payloadfield.geometry import FloatArray, Geometry
from payloadfield.geometry.grid import slabs


def surface_area(geometry: Geometry) -> FloatArray:
    """Area of impermeable wall and, for the medium, of adjoining gel in each voxel: (nz, ny, nx) [um^2].

    A gel's surface lies on faces; as for a staircase the area is h^2 sqrt(sum over axes of (low + high)^2), low and
    high being the open shares of the faces towards gel.
    """
    is_gel = np.array([material.kind == "gel" for material in geometry.materials])
    in_gel = is_gel[geometry.open_label] & geometry.is_open
    if not in_gel.any():
        return geometry.wall_area
    area = np.empty(geometry.grid.shape)
    for z0, z1 in slabs(geometry.grid):
        planes = slice(z0, z1)
        squares = sum(_towards(in_gel, geometry, axis, z0, z1) ** 2 for axis in range(3))
        takes = (geometry.open_fraction[planes] > 0) & ~in_gel[planes]
        area[planes] = geometry.wall_area[planes] + np.where(takes, np.sqrt(squares) * geometry.grid.spacing**2, 0.0)
    return area


def _towards(in_gel: npt.NDArray[np.bool_], geometry: Geometry, axis: int, z0: int, z1: int) -> FloatArray:
    """Open share of both faces of the voxels z0 <= z < z1 across an axis that lead into gel."""
    is_periodic, aperture = geometry.grid.periodic[axis], geometry.apertures[axis]
    if axis == 0:
        n = len(in_gel)
        layers = np.arange(z0 - 1, z1 + 1)
        gel = in_gel[layers % n] & (is_periodic | ((layers >= 0) & (layers < n)))[:, None, None]
        return gel[:-2] * aperture[z0:z1] + gel[2:] * aperture[z0 + 1 : z1 + 1]
    gel, faces = np.moveaxis(in_gel[z0:z1], axis, 0), np.moveaxis(aperture[z0:z1], axis, 0)
    share = np.zeros(gel.shape)
    share[1:] += gel[:-1] * faces[1:-1]
    share[:-1] += gel[1:] * faces[1:-1]
    if is_periodic:
        share[0] += gel[-1] * faces[0]
        share[-1] += gel[0] * faces[-1]
    return np.moveaxis(share, 0, axis)

"""The geometry as the solver sees it: what is open, by how much, and where the walls are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from payloadfield.geometry.grid import FloatArray, VoxelGrid
from payloadfield.geometry.material import Material


@dataclass(frozen=True, eq=False)
class Geometry:
    """Open parts and walls of each voxel of a grid; arrays are indexed z, y, x and are not to be written to.

    grid: the voxels
    materials: the first one is the medium
    label: (nz, ny, nx) index of the material at the voxel centre
    open_label: (nz, ny, nx) index of the medium or gel that fills the open part of the voxel
        (that of label where the centre is open; what lies under the solid where it is not)
    open_fraction: (nz, ny, nx) share of the voxel that is open; 0 where closed or without any open face [1]
    aperture_z: (nz + 1, ny, nx), aperture_y: (nz, ny + 1, nx), aperture_x: (nz, ny, nx + 1) open share of each face,
        with both outer faces (the same on periodic axes) [1]. At voxels cut by a wall of kind "bath" it is the share of
        h D that the face conducts, which may exceed 1: see bath_distance
    wall_area: (nz, ny, nx) area of impermeable wall inside the voxel, sides of the box not counted [um^2]
    bath_area: (nz, ny, nx) the same for walls to materials of kind "bath" [um^2]
    bath_distance: (nz, ny, nx) distance over which the bath's value acts on the voxel; 0 where bath_area is 0 [um]
    surface_distance: (nz, ny, nx) from the voxel centre to the nearest surface of a solid or a gel, positive in the
        medium; infinite without any surface [um]
    accessible_profile: (nz, ny, nx) factor of the accessible fraction, or None [1]
    obstruction: (nz, ny, nx) factor of the diffusivity in what is accessible, or None [1]
    warnings: sentences on what is legal but probably not meant
    """

    grid: VoxelGrid
    materials: tuple[Material, ...]
    label: npt.NDArray[np.uint8]
    open_label: npt.NDArray[np.uint8]
    open_fraction: FloatArray
    aperture_z: FloatArray
    aperture_y: FloatArray
    aperture_x: FloatArray
    wall_area: FloatArray
    bath_area: FloatArray
    bath_distance: FloatArray
    surface_distance: FloatArray
    accessible_profile: FloatArray | None = None
    warnings: tuple[str, ...] = ()
    obstruction: FloatArray | None = None

    @property
    def apertures(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Apertures of the faces across z, y and x."""
        return self.aperture_z, self.aperture_y, self.aperture_x

    @property
    def mobility_profile(self) -> FloatArray | None:
        """Factor of accessible fraction times diffusivity, or None [1]."""
        if self.accessible_profile is None or self.obstruction is None:
            return self.accessible_profile if self.obstruction is None else self.obstruction
        return self.accessible_profile * self.obstruction

    @property
    def is_open(self) -> npt.NDArray[np.bool_]:
        """Whether each voxel carries fields."""
        return self.open_fraction > 0

    @property
    def n_open(self) -> int:
        """Number of voxels that carry fields."""
        return int(np.count_nonzero(self.open_fraction))

    @property
    def open_volume(self) -> float:
        """Volume of everything open [um^3]."""
        return float(self.open_fraction.sum()) * self.grid.voxel_volume

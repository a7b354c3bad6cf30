"""The volume of cells, taken out of what fields may enter."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from payloadfield.cells.cells import Cells
from payloadfield.cells.footprint import make_footprints
from payloadfield.geometry import FloatArray, Geometry

# Share of the open volume of a voxel that stays accessible however many cells lie in it: even in tissue some room is
# left between cells, and their uptake needs a concentration in their own voxels. Assumed.
MINIMUM_OPEN = 0.05


def exclude_volume(geometry: Geometry, cells: Cells) -> Geometry:
    """The geometry with less room in the voxels of the cells that exclude their volume.

    With c_j the share of the open volume of voxel j that cells take,
        accessible share     phi_j = max(1 - c_j, MINIMUM_OPEN)
        diffusivity in it    2 / (3 - phi_j)
    so that fluxes are those around spheres in the way, 2 phi / (3 - phi) (Maxwell 1873), and fields keep phi of their
    volume. Each cell's volume is spread over the open voxels that its sphere overlaps, by overlap; where the lowest
    share applies less than its volume is taken, and a warning says in how many voxels.
    """
    if cells.excludes_volume is None or not cells.excludes_volume.any():
        return geometry
    taken = _taken_volume(geometry, cells, np.flatnonzero(cells.excludes_volume))
    open_volume = geometry.open_fraction.reshape(-1) * geometry.grid.voxel_volume
    share = np.divide(taken, open_volume, out=np.zeros_like(taken), where=open_volume > 0)
    accessible = np.maximum(1 - share, MINIMUM_OPEN)
    n_full = int(np.count_nonzero(1 - share < MINIMUM_OPEN))
    warnings = geometry.warnings
    if n_full:
        left = float((taken - (1 - accessible) * open_volume).sum())
        warnings = (*warnings, _says_full(n_full, left, float(taken.sum())))
    shape, before = geometry.grid.shape, geometry.accessible_profile
    profile = accessible.reshape(shape) if before is None else accessible.reshape(shape) * before
    obstruction = (2 / (3 - accessible)).reshape(shape)
    if geometry.obstruction is not None:
        obstruction *= geometry.obstruction
    return replace(geometry, accessible_profile=profile, obstruction=obstruction, warnings=warnings)


def _taken_volume(geometry: Geometry, cells: Cells, members: npt.NDArray[np.int64]) -> FloatArray:
    """Volume of these cells in each voxel, (n_voxels,) [um^3]."""
    at = np.minimum(
        (cells.position[members] / geometry.grid.spacing).astype(np.int64), np.array(geometry.grid.shape) - 1
    )
    voxel = np.ravel_multi_index(tuple(at.T), geometry.grid.shape)
    in_volume = np.zeros(len(members), bool)
    radius = cells.radius[members]
    found = make_footprints(geometry, geometry.wall_area, voxel, cells.position[members], radius, in_volume)
    volume = np.repeat(4 / 3 * math.pi * radius**3, np.diff(found.start)) * found.weight
    return np.bincount(found.voxel, volume, minlength=geometry.grid.n_voxels).astype(np.float64)


def _says_full(n_full: int, left: float, total: float) -> str:
    which = f"{n_full:,} voxels (excludes_volume); of each" if n_full > 1 else "a voxel (excludes_volume); of it"
    return (
        f"cells: their volume would close {which} {MINIMUM_OPEN:.0%} stays open, and {left / total:.1%} of the volume "
        "of these cells is not taken out"
    )

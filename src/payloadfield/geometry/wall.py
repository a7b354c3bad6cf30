"""Area of the walls inside each voxel, from its apertures.

The apertures of a voxel and its walls enclose its open part, so their area vectors add up to nothing:
A n = h^2 (a_low - a_high) along each axis, n pointing from the open part into the wall.
"""

import numpy as np
import numpy.typing as npt

from payloadfield.geometry.geometry import Geometry
from payloadfield.geometry.grid import FloatArray, VoxelGrid, nowhere, slabs
from payloadfield.geometry.scene import Scene

Apertures = tuple[FloatArray, FloatArray, FloatArray]


def wall_vectors(geometry: Geometry) -> FloatArray:
    """Area vector of the walls inside each voxel, pointing into the wall: (3, nz, ny, nx) [um^2].

    A_i = h^2 (a_low - a_high); the sides of the box do not count, and two walls of one voxel that face each other
    cancel. Not meant for geometries with walls of kind "bath", whose apertures are conductances.
    """
    h = geometry.grid.spacing
    vectors = np.stack([-np.diff(aperture, axis=axis) for axis, aperture in enumerate(geometry.apertures)])
    return vectors * (h * h * (geometry.open_fraction > 0))


def divide_walls(
    scene: Scene,
    label: npt.NDArray[np.uint8],
    open_fraction: FloatArray,
    apertures: Apertures,
    bath_share: npt.NDArray[np.float32] | None,
) -> tuple[FloatArray, FloatArray]:
    """Areas of wall towards solid and towards bath in each voxel [um^2].

    |A| of the aperture vector where a wall cuts the voxel. In a whole voxel with closed faces (a staircase, or a wall
    along the voxels) each axis counts both of its faces, so that walls on opposite sides add up instead of cancelling.
    label, open_fraction: (nz, ny, nx); bath_share: share of a cut voxel's wall that faces bath, None if all alike
    """
    total = wall_areas(scene.grid, open_fraction, apertures)
    if bath_share is None:
        return nowhere(scene.grid), total
    whole = (open_fraction == 1) & (total > 0)
    bath_share[whole] = _bath_share_of_faces(scene, label, apertures)[whole]
    return total * (1 - bath_share), total * bath_share


def wall_areas(grid: VoxelGrid, open_fraction: FloatArray, apertures: Apertures) -> FloatArray:
    """Area of the walls in each voxel, whatever they face: |A|, or by faces in whole voxels, (nz, ny, nx) [um^2]."""
    az, ay, ax = apertures
    area = np.empty(open_fraction.shape)
    for z0, z1 in slabs(grid):
        planes = slice(z0, z1)
        area[planes] = _area_of_slab(open_fraction[planes], (az[z0 : z1 + 1], ay[planes], ax[planes]))
    area *= grid.spacing**2
    return area


def _area_of_slab(open_fraction: FloatArray, apertures: Apertures) -> FloatArray:
    squares = np.zeros(open_fraction.shape)
    whole = open_fraction == 1
    for axis, aperture in enumerate(apertures):
        low, high = _low_and_high(aperture, axis)
        across = np.where(whole, 2 - low - high, high - low)
        across *= across
        squares += across
    np.sqrt(squares, out=squares)
    squares[open_fraction == 0] = 0
    return squares


def _bath_share_of_faces(scene: Scene, label: npt.NDArray[np.uint8], apertures: Apertures) -> FloatArray:
    """Share of the closed faces of each voxel that lie towards bath."""
    is_bath = np.array([material.kind == "bath" for material in scene.materials])
    closed, towards_bath = np.zeros(label.shape), np.zeros(label.shape)
    for axis, aperture in enumerate(apertures):
        low, high = _low_and_high(aperture, axis)
        for share, step in ((1 - low, 1), (1 - high, -1)):
            closed += share
            towards_bath += share * is_bath[np.roll(label, step, axis)]
    return towards_bath / np.where(closed > 0, closed, 1)


def _low_and_high(aperture: FloatArray, axis: int) -> tuple[FloatArray, FloatArray]:
    faces = np.moveaxis(aperture, axis, 0)
    return np.moveaxis(faces[:-1], 0, axis), np.moveaxis(faces[1:], 0, axis)

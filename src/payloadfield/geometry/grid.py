"""The voxel grid: a box of equal cubes, periodic or not along each axis."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from payloadfield.errors import GeometryError

FloatArray = npt.NDArray[np.floating]
Points = tuple[FloatArray, FloatArray, FloatArray]
Triple = tuple[float, float, float]

AXES = ("z", "y", "x")
SIDES = ("z_low", "z_high", "y_low", "y_high", "x_low", "x_high")

# A size may miss a whole number of voxels by this relative amount (decimal inputs such as 0.1 mm / 10 um).
SIZE_TOLERANCE = 1e-9
# Flat voxel indices and array offsets stay far below 2^63, and a typing error of a unit is found early.
MAX_VOXELS = 2**33
# Corners per slab, and least planes of voxels: bounds the temporary arrays to some 100 MB, and what slabs do twice
# where they meet to a part.
SLAB_CORNERS, LEAST_PLANES = 2**21, 4


@dataclass(frozen=True)
class VoxelGrid:
    """A box of cubic voxels.

    shape: number of voxels along z, y, x
    spacing: edge h of a voxel [um]
    periodic: whether opposite sides are joined, for z, y, x
    Raises GeometryError for an empty grid or a spacing that is not positive.
    """

    shape: tuple[int, int, int]
    spacing: float
    periodic: tuple[bool, bool, bool] = (False, False, False)

    def __post_init__(self) -> None:
        _check_shape(self.shape)
        if not (math.isfinite(self.spacing) and self.spacing > 0):
            raise GeometryError(f"grid: voxel spacing {self.spacing} um; a positive length is needed")
        if len(self.periodic) != 3:
            raise GeometryError(f"grid: periodic = {self.periodic}; three booleans (z, y, x) are needed")
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "spacing", float(self.spacing))
        object.__setattr__(self, "periodic", tuple(bool(p) for p in self.periodic))

    @property
    def n_voxels(self) -> int:
        """Number of voxels, open and closed."""
        return math.prod(self.shape)

    @property
    def size(self) -> Triple:
        """Edges of the box along z, y, x [um]."""
        nz, ny, nx = self.shape
        return nz * self.spacing, ny * self.spacing, nx * self.spacing

    @property
    def voxel_volume(self) -> float:
        """Volume of a voxel [um^3]."""
        return self.spacing**3

    @property
    def period(self) -> Triple:
        """Length after which the box repeats along z, y, x [um]; infinite where it does not."""
        z, y, x = (length if p else math.inf for length, p in zip(self.size, self.periodic, strict=True))
        return z, y, x

    def centres(self, axis: int) -> FloatArray:
        """Coordinates of the voxel centres along an axis (0 z, 1 y, 2 x) [um]."""
        return (np.arange(self.shape[axis]) + 0.5) * self.spacing

    def corners(self, axis: int) -> FloatArray:
        """Coordinates of the voxel corners along an axis (0 z, 1 y, 2 x), one more than voxels [um]."""
        return np.arange(self.shape[axis] + 1) * self.spacing


def slabs(grid: VoxelGrid) -> Iterator[tuple[int, int]]:
    """Ranges of z that together cover the grid, each with a bounded number of corners."""
    nz, ny, nx = grid.shape
    step = max(LEAST_PLANES, SLAB_CORNERS // ((ny + 1) * (nx + 1)))
    for z0 in range(0, nz, step):
        yield z0, min(nz, z0 + step)


def nowhere(grid: VoxelGrid) -> FloatArray:
    """Zero in every voxel, without the memory of an array: not to be written to."""
    return np.broadcast_to(np.float64(0), grid.shape)


def make_grid(size: Sequence[float], voxel: float, periodic: Sequence[bool] = (False, False, False)) -> VoxelGrid:
    """Grid of a box whose edges are whole numbers of voxels.

    size: edges along z, y, x [um]
    voxel: edge of a voxel [um]
    periodic: whether opposite sides are joined, for z, y, x
    Raises GeometryError where a size is not positive, or not a multiple of the voxel (it names the nearest multiples).
    """
    if not (math.isfinite(voxel) and voxel > 0):
        raise GeometryError(f"grid.voxel: got {voxel:g} um; a positive length is needed")
    if len(size) != 3:
        raise GeometryError(f"grid.size: got {len(size)} lengths; three are needed")
    nz, ny, nx = (_count_voxels(float(length), voxel, axis) for length, axis in zip(size, AXES, strict=True))
    z, y, x = periodic
    return VoxelGrid((nz, ny, nx), float(voxel), (z, y, x))


def _count_voxels(length: float, voxel: float, axis: str) -> int:
    if not (math.isfinite(length) and length > 0):
        raise GeometryError(f"grid.size: {axis} = {length:g} um; a positive length is needed")
    count = max(1, round(length / voxel))
    if abs(count * voxel - length) <= SIZE_TOLERANCE * length:
        return count
    below = math.floor(length / voxel)
    nearest = [f"{n * voxel:g} um" for n in (below, below + 1) if n > 0]
    raise GeometryError(
        f"grid.size: {axis} = {length:g} um is not a whole number of voxels of {voxel:g} um; "
        f"the nearest sizes are {' and '.join(nearest)}, or change grid.voxel"
    )


def _check_shape(shape: Sequence[int]) -> None:
    if len(shape) != 3 or any(int(n) != n or n < 1 for n in shape):
        raise GeometryError(f"grid: shape {tuple(shape)}; three positive whole numbers (z, y, x) are needed")
    if math.prod(int(n) for n in shape) > MAX_VOXELS:
        raise GeometryError(
            f"grid: {math.prod(int(n) for n in shape):,} voxels; at most {MAX_VOXELS:,} are possible: "
            "enlarge grid.voxel or shrink grid.size (and check their units)"
        )

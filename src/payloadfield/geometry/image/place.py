"""Where an image lies in the grid, and whether it covers it."""

import math
from dataclasses import dataclass, field

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import AXES, FloatArray, Triple, VoxelGrid
from payloadfield.geometry.image.stack import Stack
from payloadfield.geometry.shape import check_point, check_positive

# An image may miss the side of the grid by this share of a voxel, by the digits of its spacing.
SLACK = 1e-6
# An image this many times larger than the grid, or smaller than this share of it, has another spacing than was said.
TOO_LARGE, TOO_SMALL = 1e3, 1e-3


@dataclass(frozen=True, eq=False)
class PlacedImage:
    """A stack with its place.

    stack: values; spacing: edges of its voxels, z, y, x [um]
    at: its lower corner, z, y, x [um]; centre: in the middle of the grid instead
    may_end: whether the grid may reach beyond it, where it then says nothing
    """

    stack: Stack = field(repr=False)
    spacing: Triple
    at: Triple = (0.0, 0.0, 0.0)
    centre: bool = False
    may_end: bool = False

    def __post_init__(self) -> None:
        check_point(f"{self.stack.where}: at", self.at)
        for length in self.spacing:
            check_positive(f"{self.stack.where}: spacing", length)

    @property
    def size(self) -> Triple:
        """Edges of the whole image, z, y, x [um]."""
        z, y, x = (n * s for n, s in zip(self.stack.shape, self.spacing, strict=True))
        return z, y, x

    def low(self, box: Triple) -> Triple:
        """Its lower corner, z, y, x, in a grid of these edges [um]."""
        if not self.centre:
            return self.at
        z, y, x = (a + (g - s) / 2 for a, g, s in zip(self.at, box, self.size, strict=True))
        return z, y, x

    def edges(self, grid: VoxelGrid, axis: int) -> FloatArray:
        """Edges of its voxels along an axis (n + 1,) [um]."""
        return self.low(grid.size)[axis] + np.arange(self.stack.shape[axis] + 1) * self.spacing[axis]

    def check_extent(self, grid: VoxelGrid) -> None:
        """Refuse an image that is out of proportion to the grid: its spacing is wrong."""
        largest, of_grid = max(self.size), max(grid.size)
        if not TOO_SMALL * of_grid <= largest <= TOO_LARGE * of_grid:
            raise GeometryError(
                f"{self.stack.where}: {_lengths(self.size)} is {largest / of_grid:.3g} times the size of the grid, "
                f"{_lengths(grid.size)}; check its spacing, {_lengths(self.spacing)}"
            )

    def refuse_uncovered(self, low: FloatArray, high: FloatArray, grid: VoxelGrid) -> None:
        """Raise GeometryError where parts of the grid between two corners lie beyond the image, unless it may end."""
        slack = SLACK * grid.spacing
        own_low = np.array(self.low(grid.size))
        own_high = own_low + self.size
        beyond = [
            f"{name}_{side}"
            for axis, name in enumerate(AXES)
            for side, is_beyond in (
                ("low", own_low[axis] > low[axis] + slack),
                ("high", own_high[axis] < high[axis] - slack),
            )
            if is_beyond
        ]
        if beyond and not self.may_end:
            raise GeometryError(
                f"{self.stack.where}: reaches from {_lengths(own_low)} to {_lengths(own_high)} and does not cover the "
                f"grid, from {_lengths(low)} to {_lengths(high)}, at {', '.join(reversed(beyond))}; move it by at, "
                'shrink the grid, or set outside = "medium"'
            )
        if (own_low >= high - slack).any() or (own_high <= low + slack).any():
            raise GeometryError(
                f"{self.stack.where}: reaches from {_lengths(own_low)} to {_lengths(own_high)}, outside the grid; "
                "move it by at, or check its spacing"
            )


def _lengths(values: Triple | FloatArray) -> str:
    z, y, x = (float(value) for value in values)
    return f"({x:.6g}, {y:.6g}, {z:.6g}) um" if math.isfinite(x + y + z) else "nowhere"

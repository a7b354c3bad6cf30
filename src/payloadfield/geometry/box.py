"""A box along the axes, or everything around it."""

from dataclasses import dataclass, replace

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import AXES, FloatArray, Points, Triple, VoxelGrid
from payloadfield.geometry.shape import NOT_PERIODIC, Placing, check_point, offsets, unmoved

# A face within this many voxels of a side of the grid lies on it.
ON_SIDE = 1e-6


@dataclass(frozen=True)
class Box:
    """A box of one material.

    material: name of the material
    low, high: opposite corners, z, y, x [um]
    outside: whether the material fills everything around the box instead
    """

    material: str
    low: Triple
    high: Triple
    outside: bool = False

    def __post_init__(self) -> None:
        check_point("box.low", self.low)
        check_point("box.high", self.high)
        for axis, low, high in zip(AXES, self.low, self.high, strict=True):
            if not high > low:
                raise GeometryError(f"box: {axis} from {low:g} um to {high:g} um; low must be below high")

    @property
    def smallest_feature(self) -> tuple[str, float]:
        """Name and length of what a voxel should resolve [um]."""
        return "box edge", min(high - low for low, high in zip(self.low, self.high, strict=True))

    def fitted_to(self, grid: VoxelGrid, place: Placing = unmoved) -> "Box":
        """The box with faces on or beyond the grid's sides moved well outside.

        A face that lies on a side is no surface; as one, it would cut the voxels along the side's edges.
        """
        if place is not unmoved:
            return self
        near = ON_SIDE * grid.spacing
        sides = list(zip(self.low, self.high, grid.size, grid.periodic, strict=True))
        # Voxels are cut by what is at their corners and one voxel further.
        well = 4 * grid.spacing
        low = [-size - well if a <= near and not around else a for a, _, size, around in sides]
        high = [2 * size + well if b >= size - near and not around else b for _, b, size, around in sides]
        return replace(self, low=(low[0], low[1], low[2]), high=(high[0], high[1], high[2]))

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the surface, negative inside [um]."""
        cz, cy, cx = ((low + high) / 2 for low, high in zip(self.low, self.high, strict=True))
        half = ((high - low) / 2 for low, high in zip(self.low, self.high, strict=True))
        images = zip(offsets(points, (cz, cy, cx), period), half, period, strict=True)
        z, y, x = (np.abs(o) - w if 2 * w < length * (1 - ON_SIDE) else np.full_like(o, -w) for o, w, length in images)
        outer = np.sqrt(np.maximum(z, 0) ** 2 + np.maximum(y, 0) ** 2 + np.maximum(x, 0) ** 2)
        distance = outer + np.minimum(np.maximum(np.maximum(z, y), x), 0)
        return -distance if self.outside else distance

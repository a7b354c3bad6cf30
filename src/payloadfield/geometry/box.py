"""A box along the axes, or everything around it."""

from dataclasses import dataclass

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import AXES, FloatArray, Points, Triple
from payloadfield.geometry.shape import NOT_PERIODIC, check_point, offsets


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

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the surface, negative inside [um]."""
        cz, cy, cx = ((low + high) / 2 for low, high in zip(self.low, self.high, strict=True))
        half = ((high - low) / 2 for low, high in zip(self.low, self.high, strict=True))
        z, y, x = (np.abs(o) - w for o, w in zip(offsets(points, (cz, cy, cx), period), half, strict=True))
        outer = np.sqrt(np.maximum(z, 0) ** 2 + np.maximum(y, 0) ** 2 + np.maximum(x, 0) ** 2)
        distance = outer + np.minimum(np.maximum(np.maximum(z, y), x), 0)
        return -distance if self.outside else distance

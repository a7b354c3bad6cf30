"""A cylinder along one axis, of infinite or finite length, or everything around it."""

from dataclasses import dataclass

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import AXES, FloatArray, Points, Triple
from payloadfield.geometry.shape import NOT_PERIODIC, check_point, check_positive, offsets


@dataclass(frozen=True)
class Cylinder:
    """A cylinder of one material.

    d = r - radius for infinite length; otherwise that of the capped cylinder
    material: name of the material
    axis: "x", "y" or "z"
    centre: z, y, x of its middle [um]
    radius: [um]
    length: along the axis [um]; None for infinite
    outside: whether the material fills everything around the cylinder instead
    """

    material: str
    axis: str
    centre: Triple
    radius: float
    length: float | None = None
    outside: bool = False

    def __post_init__(self) -> None:
        if self.axis not in AXES:
            raise GeometryError(f"cylinder.axis: got {self.axis!r}; one of x, y, z is needed")
        check_point("cylinder.centre", self.centre)
        check_positive("cylinder.radius", self.radius)
        if self.length is not None:
            check_positive("cylinder.length", self.length)

    @property
    def smallest_feature(self) -> tuple[str, float]:
        """Name and length of what a voxel should resolve [um]."""
        diameter = 2 * self.radius
        if self.length is not None and self.length < diameter:
            return "cylinder length", self.length
        return "cylinder diameter", diameter

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the surface, negative inside [um]."""
        offset = list(offsets(points, self.centre, period))
        along = offset.pop(AXES.index(self.axis))
        distance = np.hypot(*offset) - self.radius
        if self.length is not None:
            distance = _capped(distance, np.abs(along) - self.length / 2)
        return -distance if self.outside else distance


def _capped(side: FloatArray, cap: FloatArray) -> FloatArray:
    outer = np.hypot(np.maximum(side, 0), np.maximum(cap, 0))
    return outer + np.minimum(np.maximum(side, cap), 0)

"""A ball, or everything around it."""

from dataclasses import dataclass

import numpy as np

from payloadfield.geometry.grid import FloatArray, Points, Triple
from payloadfield.geometry.shape import NOT_PERIODIC, check_point, check_positive, offsets


@dataclass(frozen=True)
class Sphere:
    """A ball of one material.

    d = |x - centre| - radius, and -d for the outside
    material: name of the material
    centre: z, y, x [um]
    radius: [um]
    outside: whether the material fills everything around the ball instead (a spheroid in a bath)
    """

    material: str
    centre: Triple
    radius: float
    outside: bool = False

    def __post_init__(self) -> None:
        check_point("sphere.centre", self.centre)
        check_positive("sphere.radius", self.radius)

    @property
    def smallest_feature(self) -> tuple[str, float]:
        """Name and length of what a voxel should resolve [um]."""
        return "sphere diameter", 2 * self.radius

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the surface, negative inside [um]."""
        z, y, x = offsets(points, self.centre, period)
        distance = np.sqrt(z * z + y * y + x * x) - self.radius
        return -distance if self.outside else distance

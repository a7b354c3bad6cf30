"""A well of a culture plate, with or without the tube of an insert hanging in it."""

from dataclasses import dataclass

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import FloatArray, Points, Triple
from payloadfield.geometry.shape import NOT_PERIODIC, check_positive


@dataclass(frozen=True)
class Well:
    """Floor and wall of a round well along z, and the tube of an insert; its membrane is a shape of its own.

    d = min(diameter / 2 - r, z - floor), united with the tube
    material: name of the material of the plastic
    centre: y, x of the axis [um]
    diameter: of the well [um]
    floor: height of the floor [um]
    insert_diameter: inner diameter of the tube, None for a well without insert [um]
    insert_wall: thickness of the tube [um]
    insert_gap: from the floor to the lower end of the tube [um]
    """

    material: str
    centre: tuple[float, float]
    diameter: float
    floor: float = 0.0
    insert_diameter: float | None = None
    insert_wall: float | None = None
    insert_gap: float | None = None

    def __post_init__(self) -> None:
        check_positive("well.diameter", self.diameter)
        if not np.isfinite((*self.centre, self.floor)).all():
            raise GeometryError(f"well: centre {self.centre}, floor {self.floor}; finite lengths are needed")
        insert = {
            "insert_diameter": self.insert_diameter,
            "insert_wall": self.insert_wall,
            "insert_gap": self.insert_gap,
        }
        missing = [name for name, value in insert.items() if value is None]
        if 0 < len(missing) < 3:
            raise GeometryError(f"well.{missing[0]}: is missing; an insert needs {', '.join(insert)}")
        for name, value in insert.items():
            if value is not None:
                check_positive(f"well.{name}", value)
        if self.insert_diameter is not None and self.insert_diameter + 2 * (self.insert_wall or 0) > self.diameter:
            raise GeometryError("well.insert_diameter: the insert with its wall is wider than the well")

    @property
    def smallest_feature(self) -> tuple[str, float]:
        """Name and length of what a voxel should resolve [um]."""
        if self.insert_wall is not None and self.insert_gap is not None:
            return "wall or gap of the insert", min(self.insert_wall, self.insert_gap)
        return "well diameter", self.diameter

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the plastic, negative inside it [um]."""
        z, y, x = points
        r = np.hypot(y - self.centre[0], x - self.centre[1])
        distance = np.minimum(self.diameter / 2 - r, z - self.floor)
        if self.insert_diameter is None:
            return distance
        assert self.insert_wall is not None and self.insert_gap is not None
        middle = (self.insert_diameter + self.insert_wall) / 2
        across, below = np.abs(r - middle) - self.insert_wall / 2, self.floor + self.insert_gap - z
        tube = np.hypot(np.maximum(across, 0), np.maximum(below, 0)) + np.minimum(np.maximum(across, below), 0)
        return np.minimum(distance, tube)

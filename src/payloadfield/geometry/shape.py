"""What every shape offers, and what the shapes share."""

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import AXES, FloatArray, Points, Triple, VoxelGrid

NOT_PERIODIC: Triple = (math.inf, math.inf, math.inf)

# A box length counts as a whole number of lattice periods within this relative difference.
PERIOD_TOLERANCE = 1e-9


# From points of a grid to points of a shape that was moved or turned there.
Placing = Callable[[Points], Points]


@runtime_checkable
class Shape(Protocol):
    """A region of space filled with one material, known by its signed distance."""

    @property
    def material(self) -> str:
        """Name of the material that fills the shape."""

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance of points to the surface, negative inside [um].

        points: z, y, x as arrays that broadcast against each other [um]
        period: after which the box repeats along z, y, x [um]; infinite where it does not
        """


def nearest_image(offset: FloatArray, period: float) -> FloatArray:
    """Offset from a centre to the nearest of its periodic images [um]."""
    return offset if math.isinf(period) else offset - period * np.round(offset / period)


def offsets(points: Points, centre: Triple, period: Triple) -> Points:
    """Offsets along z, y, x of points from the nearest image of a centre [um]."""
    z, y, x = (nearest_image(p - c, length) for p, c, length in zip(points, centre, period, strict=True))
    return z, y, x


def check_positive(where: str, value: float) -> None:
    """Raise GeometryError unless a length is positive and finite."""
    if not (math.isfinite(value) and value > 0):
        raise GeometryError(f"{where}: got {value:g} um; a positive length is needed")


def check_point(where: str, point: Triple) -> None:
    """Raise GeometryError unless a point has three finite coordinates."""
    if len(point) != 3 or not all(math.isfinite(c) for c in point):
        raise GeometryError(f"{where}: got {tuple(point)}; three finite coordinates (z, y, x) in um are needed")


def unmoved(points: Points) -> Points:
    """The points themselves: the placing of a shape that was not moved."""
    return points


def affine(place: Placing) -> tuple[FloatArray, FloatArray]:
    """Matrix and shift of a placing: points of the shape are matrix @ point of the grid + shift."""
    z, y, x = place((np.array([0.0, 1, 0, 0]), np.array([0.0, 0, 1, 0]), np.array([0.0, 0, 0, 1])))
    images = np.stack([z, y, x])
    matrix, shift = images[:, 1:] - images[:, :1], images[:, 0]
    return (np.eye(3) if np.allclose(matrix, np.eye(3), rtol=0, atol=1e-12) else matrix), shift


def fitted(shape: Shape, grid: VoxelGrid, place: Placing = unmoved) -> Shape:
    """The shape as it is on a grid: a porosity becomes a level, a mesh becomes distances.

    place: from points of the grid to points of the shape
    """
    fit = getattr(shape, "fitted_to", None)
    return shape if fit is None else fit(grid, place)


def is_multiple(length: float, unit: float) -> bool:
    """Whether a length is a whole number of units, within round-off."""
    count = round(length / unit)
    return count > 0 and abs(count * unit - length) <= PERIOD_TOLERANCE * length


def does_not_close(name: str, key: str, unit: float, period: Triple) -> list[str]:
    """Sentences on the periodic axes whose length is not a whole number of units."""
    return [
        f"{name}: the periodic {axis} size {length:g} um is not a multiple of {key} {unit:g} um, so the pattern "
        "breaks where the box repeats"
        for axis, length in zip(AXES, period, strict=True)
        if math.isfinite(length) and not is_multiple(length, unit)
    ]

"""Shapes moved, turned, and repeated."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.combined import Union
from payloadfield.geometry.grid import FloatArray, Points, Triple, VoxelGrid
from payloadfield.geometry.shape import NOT_PERIODIC, Placing, Shape, check_point, fitted, unmoved

# More copies of one shape than this are a typing error, or a case for a lattice.
MOST_COPIES = 10_000


@dataclass(frozen=True)
class _Placed:
    """A shape somewhere else; part: the shape."""

    part: Shape

    @property
    def material(self) -> str:
        """Name of the material."""
        return self.part.material

    @property
    def smallest_feature(self) -> tuple[str, float]:
        """Name and length of what a voxel should resolve [um]."""
        return getattr(self.part, "smallest_feature", ("part", np.inf))

    @property
    def endless(self) -> bool:
        """Whether the part goes on without end."""
        return getattr(self.part, "endless", False)

    @property
    def known(self) -> float:
        """Distance up to which that of the part is more than a sign [um]."""
        return getattr(self.part, "known", math.inf)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what is legal in the part but probably not meant."""
        return getattr(self.part, "notes", ())

    @property
    def outside(self) -> bool:
        """Whether the part is everything around something."""
        return getattr(self.part, "outside", False)


@dataclass(frozen=True)
class Moved(_Placed):
    """A shape moved by a shift along z, y, x [um]."""

    shift: Triple = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        check_point("translate", self.shift)

    def fitted_to(self, grid: VoxelGrid, place: Placing = unmoved) -> "Moved":
        """The same with its part fitted to a grid."""
        return replace(self, part=fitted(self.part, grid, lambda points: self._back(place(points))))

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the surface, negative inside [um]."""
        return self.part.signed_distance(self._back(points), period)

    def seams(self, period: Triple) -> list[str]:
        """Sentences on the periodic axes along which the part does not close on itself."""
        return getattr(self.part, "seams", lambda _: [])(period)

    def _back(self, points: Points) -> Points:
        z, y, x = (p - s for p, s in zip(points, self.shift, strict=True))
        return z, y, x


@dataclass(frozen=True)
class Rotated(_Placed):
    """A shape turned about x, then y, then z, right-handed, around a point.

    On periodic axes a bounded shape continues on the other side; one without end (a lattice, strands) does not.
    angles: about x, y and z [degree]
    about: the point that stays, z, y, x [um]
    """

    angles: Triple = (0.0, 0.0, 0.0)
    about: Triple = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        check_point("rotate_about", self.about)
        if not all(math.isfinite(angle) for angle in self.angles):
            raise GeometryError(f"rotate: got {self.angles}; three finite angles are needed")

    def fitted_to(self, grid: VoxelGrid, place: Placing = unmoved) -> "Rotated":
        """The same with its part fitted to a grid."""
        return replace(self, part=fitted(self.part, grid, lambda points: self._back(place(points))))

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the surface, negative inside [um]."""
        distance: Any = None
        for shift in self._images(period):
            own = self.part.signed_distance(self._back(_shifted(points, shift)))
            both = own if distance is None else np.maximum(distance, own) if self.outside else np.minimum(distance, own)
            distance = both
        return np.asarray(distance)

    def seams(self, period: Triple) -> list[str]:
        """A sentence where a pattern without end was turned in a periodic box."""
        if any(math.isfinite(length) for length in period) and self.endless:
            return ["rotate: a turned pattern does not close on itself along periodic axes"]
        return []

    def _images(self, period: Triple) -> Iterator[Triple]:
        steps = [(0.0, -length, length) if math.isfinite(length) and not self.endless else (0.0,) for length in period]
        yield from product(*steps)

    def _back(self, points: Points) -> Points:
        centred = [p - c for p, c in zip(points, self.about, strict=True)]
        turn = rotation_matrix(self.angles)
        z, y, x = (
            turn[0, i] * centred[0] + turn[1, i] * centred[1] + turn[2, i] * centred[2] + self.about[i]
            for i in range(3)
        )
        return z, y, x


@dataclass(frozen=True)
class Repeated(_Placed):
    """A shape and its copies along z, y, x.

    step: from copy to copy along each axis [um]
    count: number along each axis, the shape itself counted
    """

    step: Triple = (0.0, 0.0, 0.0)
    count: tuple[int, int, int] = (1, 1, 1)

    def __post_init__(self) -> None:
        check_point("repeat.step", self.step)
        if any(n < 1 for n in self.count) or math.prod(self.count) > MOST_COPIES:
            raise GeometryError(
                f"repeat.count: got {self.count}; whole numbers of at least 1, and {MOST_COPIES:,} copies at most, "
                "are needed"
            )

    def fitted_to(self, grid: VoxelGrid, place: Placing = unmoved) -> Shape:
        """All copies, each fitted to a grid."""
        if not hasattr(self.part, "fitted_to"):
            return self
        copies = [fitted(Moved(self.part, shift), grid, place) for shift in self._shifts()]
        return Union(self.material, tuple(copies))

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the surface of the nearest copy, negative inside [um]."""
        distance: Any = np.inf
        for shift in self._shifts():
            distance = np.minimum(distance, self.part.signed_distance(_shifted(points, shift), period))
        return np.asarray(distance)

    def _shifts(self) -> Iterator[Triple]:
        for k, j, i in product(*(range(n) for n in self.count)):
            yield k * self.step[0], j * self.step[1], i * self.step[2]


def rotation_matrix(angles: Triple) -> FloatArray:
    """Rotation about x, then y, then z, for vectors in the order z, y, x: (3, 3).

    angles: about x, y and z [degree]
    """
    a, b, c = (_clean(math.radians(angle)) for angle in angles)
    about_x = np.array([[a[1], a[0], 0], [-a[0], a[1], 0], [0, 0, 1]])
    about_y = np.array([[b[1], 0, -b[0]], [0, 1, 0], [b[0], 0, b[1]]])
    about_z = np.array([[1, 0, 0], [0, c[1], c[0]], [0, -c[0], c[1]]])
    return about_z @ about_y @ about_x


def _clean(angle: float) -> tuple[float, float]:
    """Sine and cosine, exact at quarter turns."""
    quarter = angle / (math.pi / 2)
    if abs(quarter - round(quarter)) < 1e-12:
        return ((0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0))[round(quarter) % 4]
    return math.sin(angle), math.cos(angle)


def _shifted(points: Points, shift: Triple) -> Points:
    z, y, x = (p - s for p, s in zip(points, shift, strict=True))
    return z, y, x

"""Shapes put together into one: everything in any of them, in all of them, or in the first but not the others."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import FloatArray, Points, Triple, VoxelGrid
from payloadfield.geometry.shape import NOT_PERIODIC, Placing, Shape, fitted, unmoved


@dataclass(frozen=True)
class _Combined:
    """Some shapes as one; the materials of the parts do not matter.

    material: name of the material
    parts: at least one shape
    """

    material: str
    parts: tuple[Shape, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        if not self.parts:
            raise GeometryError(f"{type(self).__name__.lower()}.parts: is empty; at least one shape is needed")

    @property
    def smallest_feature(self) -> tuple[str, float]:
        """Name and length of what a voxel should resolve [um]."""
        features = [getattr(part, "smallest_feature", ("part", np.inf)) for part in self.parts]
        return min(features, key=lambda feature: feature[1])

    @property
    def endless(self) -> bool:
        """Whether a part goes on without end."""
        return any(getattr(part, "endless", False) for part in self.parts)

    @property
    def known(self) -> float:
        """Distance up to which that of every part is more than a sign [um]."""
        return min(getattr(part, "known", np.inf) for part in self.parts)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what is legal in the parts but probably not meant."""
        return tuple(note for part in self.parts for note in getattr(part, "notes", ()))

    def fitted_to(self, grid: VoxelGrid, place: Placing = unmoved) -> "_Combined":
        """The same with each part fitted to a grid."""
        return replace(self, parts=tuple(fitted(part, grid, place) for part in self.parts))

    def seams(self, period: Triple) -> list[str]:
        """Sentences on parts that do not close on themselves along a periodic axis."""
        return [sentence for part in self.parts for sentence in getattr(part, "seams", lambda _: [])(period)]

    def _fold(
        self, combine: Callable[[FloatArray, FloatArray], FloatArray], points: Points, period: Triple
    ) -> FloatArray:
        return reduce(combine, (part.signed_distance(points, period) for part in self.parts))


@dataclass(frozen=True)
class Union(_Combined):
    """Everything that lies in any part: d = min d_i."""

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the surface, negative inside; a lower bound inside [um]."""
        return self._fold(np.minimum, points, period)


@dataclass(frozen=True)
class Intersection(_Combined):
    """Everything that lies in all parts: d = max d_i."""

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the surface, negative inside; a lower bound outside [um]."""
        return self._fold(np.maximum, points, period)


@dataclass(frozen=True)
class Difference(_Combined):
    """Everything that lies in the first part and in no other: d = max(d_1, -d_i)."""

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the surface, negative inside; a lower bound outside [um]."""
        return self._fold(lambda kept, removed: np.maximum(kept, -removed), points, period)

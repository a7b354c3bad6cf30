"""Balls of one material at listed centres: gel droplets, spheroids, beads."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import FloatArray, Points, Triple
from payloadfield.geometry.shape import NOT_PERIODIC, check_point, check_positive, offsets

# Balls of one size are searched by a tree from this number on.
SEARCHED_FROM = 9


@dataclass(frozen=True)
class Droplets:
    """Balls of one material.

    d = min_i (|x - centre_i| - radius_i)
    material: name of the material
    centres: of each, z, y, x [um]
    radii: of each, or a single one for all [um]
    """

    material: str
    centres: tuple[Triple, ...]
    radii: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.centres:
            raise GeometryError("droplets.centres: is empty; at least one centre is needed")
        if len(self.radii) not in (1, len(self.centres)):
            raise GeometryError(
                f"droplets.radii: got {len(self.radii)} for {len(self.centres)} centres; one, or one each, is needed"
            )
        for index, centre in enumerate(self.centres):
            check_point(f"droplets.centres[{index}]", centre)
        for index, radius in enumerate(self.radii):
            check_positive(f"droplets.radii[{index}]", radius)

    @property
    def smallest_feature(self) -> tuple[str, float]:
        """Name and length of what a voxel should resolve [um]."""
        return "droplet diameter", 2 * min(self.radii)

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the nearest surface, negative inside [um]."""
        total = np.full(np.broadcast_shapes(*(p.shape for p in points)), math.inf)
        for radius, centres in self._by_radius():
            searched = len(centres) >= SEARCHED_FROM
            distance = _search(points, centres, period) if searched else _try_each(points, centres, period)
            np.minimum(total, distance - radius, out=total)
        return total

    def _by_radius(self) -> Iterator[tuple[float, list[Triple]]]:
        radii = self.radii * (len(self.centres) if len(self.radii) == 1 else 1)
        for radius in sorted(set(radii)):
            yield radius, [c for c, r in zip(self.centres, radii, strict=True) if r == radius]


def _try_each(points: Points, centres: list[Triple], period: Triple) -> FloatArray:
    nearest = np.full(np.broadcast_shapes(*(p.shape for p in points)), math.inf)
    for centre in centres:
        z, y, x = offsets(points, centre, period)
        np.minimum(nearest, z * z + y * y + x * x, out=nearest)
    return np.sqrt(nearest)


def _search(points: Points, centres: list[Triple], period: Triple) -> FloatArray:
    from scipy.spatial import cKDTree

    shifts = product(*((0.0, -length, length) if math.isfinite(length) else (0.0,) for length in period))
    # Every centre in the first box, and its images around it.
    own = np.array(
        [[c % p if math.isfinite(p) else c for c, p in zip(centre, period, strict=True)] for centre in centres]
    )
    tree = cKDTree(np.concatenate([own + np.array(shift) for shift in shifts]))
    full = np.broadcast_arrays(*points)
    return np.asarray(tree.query(np.stack(full, axis=-1))[0])

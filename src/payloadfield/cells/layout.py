"""How the cells of a request lie: their types, their gradient, their spheroids."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from payloadfield.geometry import FloatArray

IntArray = npt.NDArray[np.int64]

PATTERNS = ("mixed", "patches", "core", "shell")
GRADIENT_AXES = ("x", "y", "z", "surface")


@dataclass(frozen=True)
class CellShare:
    """One of several types of a request: radius [um], share of the number of cells [1]."""

    type: str
    radius: float
    share: float


@dataclass(frozen=True)
class Gradient:
    """How the likelihood of a place changes: linearly from low to high.

    axis: "x", "y", "z", from side to side of the grid; or "surface", from the nearest surface to a distance `length`
        away from it [um], and as high beyond
    low, high: relative densities [1]
    """

    axis: str
    low: float
    high: float
    length: float | None = None

    def problem(self) -> str | None:
        """What is wrong with it, or None."""
        if self.axis not in GRADIENT_AXES:
            return f"gradient.axis {self.axis!r}; one of {', '.join(GRADIENT_AXES)} is needed"
        if (
            not all(math.isfinite(value) and value >= 0 for value in (self.low, self.high))
            or self.low == self.high == 0
        ):
            return f"gradient from {self.low:g} to {self.high:g}; numbers of at least 0, not both 0, are needed"
        if (self.axis == "surface") != (self.length is not None):
            return (
                'gradient.length belongs to axis = "surface", and that needs one: the distance at which high is reached'
            )
        return None


@dataclass(frozen=True, eq=False)
class Spheroids:
    """Balls packed with cells.

    centres: (n, 3) z, y, x [um]; radii: (n,) [um]
    interstitial_fraction: share of a ball between its cells, or None where their number is given [1]
    """

    centres: FloatArray
    radii: FloatArray
    interstitial_fraction: float | None = None

    @property
    def volumes(self) -> FloatArray:
        """Volume of each ball, (n,) [um^3]."""
        return np.asarray(4 / 3 * math.pi * self.radii**3)

    def problem(self) -> str | None:
        """What is wrong with them, or None."""
        if len(self.centres) != len(self.radii) or len(self.radii) == 0:
            return f"{len(self.centres)} centres and {len(self.radii)} radii of spheroids; as many of each are needed"
        if not (np.isfinite(self.centres).all() and np.isfinite(self.radii).all() and (self.radii > 0).all()):
            return "centres and radii of spheroids; finite positions and positive lengths are needed"
        fraction = self.interstitial_fraction
        if fraction is not None and not 0 < fraction < 1:
            return f"interstitial_fraction {fraction:g}; a number above 0 and below 1 is needed"
        return None


def split_count(n: int, shares: Sequence[float] | FloatArray) -> IntArray:
    """Whole numbers that add up to n, in proportion to the shares: the largest remainders are rounded up."""
    exact = n * np.asarray(shares, float) / float(np.sum(shares))
    counts = np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: n - int(counts.sum())]] += 1
    return counts

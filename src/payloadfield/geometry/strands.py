"""Layers of strands in any directions, flattened or hollow: what a woodpile becomes beyond the plain one."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from payloadfield.geometry.grid import FloatArray, Points, Triple
from payloadfield.geometry.shape import nearest_image


@dataclass(frozen=True)
class Strands:
    """Middles of layers of parallel strands, and the cross-section of a strand.

    width, height: of a strand, and of its lumen if it is hollow [um]
    spacing, layer_height: between axes, and between middles of layers [um]
    angles: of the strands of each layer against x, in turn [degree]; shifts: across them, in turn [um]
    offset: z, y, x [um]; n_layers: None where they fill the box upwards
    """

    width: float
    height: float
    lumen: float
    spacing: float
    layer_height: float
    angles: Sequence[float]
    shifts: Sequence[float]
    offset: Triple
    n_layers: int | None

    def signed_distance(self, points: Points, period: Triple) -> FloatArray:
        """Distance to the nearest strand surface, to first order for flattened ones, negative inside [um].

        The lumen of a hollow strand stays open where another strand crosses it.
        """
        shape = np.broadcast_shapes(*(p.shape for p in points))
        outer, inner = np.full(shape, math.inf), np.full(shape, math.inf)
        share = self.lumen / self.width
        for layer in self._layers(points[0], period[0]):
            across, up = self._from_axis(points, layer, period[0])
            np.minimum(outer, _ellipse(across, up, self.width / 2, self.height / 2), out=outer)
            if self.lumen:
                np.minimum(inner, _ellipse(across, up, self.lumen / 2, share * self.height / 2), out=inner)
        return np.maximum(outer, -inner) if self.lumen else outer

    def _layers(self, z: FloatArray, period: float) -> Iterator[int]:
        """Layers that may hold the nearest strand of any of these heights."""
        if not z.size:
            return
        if math.isfinite(period):
            yield from range(self.n_layers or max(1, round(period / self.layer_height)))
            return
        # Nearest axes lie within half a layer and half a spacing; an ellipse is measured in its own units.
        stretch = max(self.width / self.height, self.height / self.width)
        reach = stretch * (math.hypot(self.layer_height, self.spacing) / 2 + self.width) + self.layer_height
        top = math.inf if self.n_layers is None else self.n_layers - 1
        low, high = ((float(end) - self.offset[0]) / self.layer_height - 0.5 for end in (z.min(), z.max()))
        low, high = min(max(low, 0), top), min(max(high, 0), top)
        more = reach / self.layer_height
        yield from range(max(0, math.floor(low - more)), int(min(top, math.ceil(high + more))) + 1)

    def _from_axis(self, points: Points, layer: int, period: float) -> tuple[FloatArray, FloatArray]:
        """Offsets of points from the nearest axis of a layer, in its plane and upwards."""
        z, y, x = points
        sine, cosine = _sine_and_cosine(self.angles[layer % len(self.angles)])
        along = (y - self.offset[1]) * cosine - (x - self.offset[2]) * sine - self.shifts[layer % len(self.shifts)]
        across = np.mod(along, self.spacing) - self.spacing / 2
        return across, nearest_image(z - self.offset[0] - (layer + 0.5) * self.layer_height, period)


def _ellipse(u: FloatArray, v: FloatArray, a: float, b: float) -> FloatArray:
    """Distance to an ellipse with half axes a, b: k (k - 1) / |grad k^2 / 2|, k^2 = (u/a)^2 + (v/b)^2; exact for a = b.

    Right to first order at the surface, of the right sign everywhere; inside, no deeper than the smaller half axis.
    """
    if a == b:
        return np.hypot(u, v) - a
    k = np.hypot(u / a, v / b)
    slope = np.hypot(u / (a * a), v / (b * b))
    inside = -min(a, b)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(slope > 0, np.maximum(k * (k - 1) / slope, inside), inside)


def _sine_and_cosine(degrees: float) -> tuple[float, float]:
    if degrees % 90 == 0:
        return ((0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0))[round(degrees / 90) % 4]
    return math.sin(math.radians(degrees)), math.cos(math.radians(degrees))

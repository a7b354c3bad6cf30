"""A woodpile: layers of parallel strands, each layer across the one below."""

import math
from dataclasses import dataclass

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import FloatArray, Points, Triple
from payloadfield.geometry.shape import NOT_PERIODIC, check_point, check_positive, nearest_image

# A box length counts as a whole number of lattice periods within this relative difference.
PERIOD_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Woodpile:
    """Layers of round strands of one material, as printed.

    Layer l has its axes at z = offset_z + (l + 1/2) layer_height and, across the strands, at
    offset + spacing/2 + k spacing; even layers run along first_direction, odd ones across it.
    material: name of the material
    strand_diameter, strand_spacing (from axis to axis), layer_height: [um]
    offset: shift of the whole lattice along z, y, x [um]
    first_direction: "x" or "y", along which the strands of the lowest layer run
    n_layers: number of layers; None to fill the grid upwards from offset_z
    """

    material: str
    strand_diameter: float
    strand_spacing: float
    layer_height: float
    offset: Triple = (0.0, 0.0, 0.0)
    first_direction: str = "x"
    n_layers: int | None = None

    def __post_init__(self) -> None:
        check_positive("woodpile.strand_diameter", self.strand_diameter)
        check_positive("woodpile.strand_spacing", self.strand_spacing)
        check_positive("woodpile.layer_height", self.layer_height)
        check_point("woodpile.offset", self.offset)
        if self.first_direction not in ("x", "y"):
            raise GeometryError(f"woodpile.first_direction: got {self.first_direction!r}; 'x' or 'y' is needed")
        if self.n_layers is not None and self.n_layers < 1:
            raise GeometryError(f"woodpile.n_layers: got {self.n_layers}; at least 1 is needed")

    @property
    def smallest_feature(self) -> tuple[str, float]:
        """Name and length of what a voxel should resolve [um]."""
        return "strand diameter", self.strand_diameter

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the nearest strand surface, negative inside [um]."""
        z, y, x = points
        across_y = self._to_axis(y - self.offset[1], self.offset[1], period[1])
        across_x = self._to_axis(x - self.offset[2], self.offset[2], period[2])
        even, odd = (across_y, across_x) if self.first_direction == "x" else (across_x, across_y)
        distance = np.minimum(np.hypot(self._to_layer(z, 0, period[0]), even),
                              np.hypot(self._to_layer(z, 1, period[0]), odd))
        return distance - self.strand_diameter / 2

    def seams(self, period: Triple) -> list[str]:
        """Sentences on the periodic axes along which the lattice does not close on itself."""
        found = []
        for axis, length in (("y", period[1]), ("x", period[2])):
            if math.isfinite(length) and not _is_multiple(length, self.strand_spacing):
                found.append(f"woodpile: the periodic {axis} size {length:g} um is not a multiple of strand_spacing "
                             f"{self.strand_spacing:g} um, so one gap between strands is irregular")
        if math.isfinite(period[0]) and not self._layers_close(period[0]):
            found.append(f"woodpile: the periodic z size {period[0]:g} um is not an even number of layers of "
                         f"{self.layer_height:g} um, so one gap between layers is irregular")
        return found

    def _layers_close(self, length: float) -> bool:
        return self.n_layers is not None or _is_multiple(length, 2 * self.layer_height)

    def _to_axis(self, across: FloatArray, offset: float, period: float) -> FloatArray:
        """Distance within the layer's plane to the nearest strand axis; across is measured from the offset."""
        spacing = self.strand_spacing
        if math.isinf(period) or _is_multiple(period, spacing):
            return np.abs(np.mod(across, spacing) - spacing / 2)
        # The strands whose axes lie in the box, repeated with the box.
        first = math.ceil((-offset - spacing / 2) / spacing)
        axes = [spacing / 2 + k * spacing for k in range(first, first + math.floor(period / spacing) + 2)
                if 0 <= offset + spacing / 2 + k * spacing < period]
        return _to_nearest(across, axes, period)

    def _to_layer(self, z: FloatArray, parity: int, period: float) -> FloatArray:
        """Height to the nearest middle of the layers of one parity; infinite if there is none."""
        if math.isinf(period):
            return self._to_free_layer(z, parity)
        n_layers = self.n_layers or max(1, round(period / self.layer_height))
        middles = [self.offset[0] + (layer + 0.5) * self.layer_height for layer in range(parity, n_layers, 2)]
        return _to_nearest(z, middles, period)

    def _to_free_layer(self, z: FloatArray, parity: int) -> FloatArray:
        if self.n_layers is not None and parity >= self.n_layers:
            return np.full_like(z, math.inf)
        top = math.inf if self.n_layers is None else (self.n_layers - 1 - parity) // 2
        height = z - self.offset[0] - (parity + 0.5) * self.layer_height
        pair = np.clip(np.round(height / (2 * self.layer_height)), 0, top)
        return np.abs(height - pair * 2 * self.layer_height)


def _to_nearest(position: FloatArray, places: list[float], period: float) -> FloatArray:
    distance = np.full_like(position, math.inf)
    for place in places:
        distance = np.minimum(distance, np.abs(nearest_image(position - place, period)))
    return distance


def _is_multiple(length: float, unit: float) -> bool:
    count = round(length / unit)
    return count > 0 and abs(count * unit - length) <= PERIOD_TOLERANCE * length

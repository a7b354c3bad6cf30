"""A woodpile: layers of parallel strands, each layer across the one below."""

import math
from dataclasses import dataclass

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import FloatArray, Points, Triple
from payloadfield.geometry.shape import NOT_PERIODIC, check_point, check_positive, is_multiple, nearest_image
from payloadfield.geometry.strands import Strands


@dataclass(frozen=True)
class Woodpile:
    """Layers of strands of one material, as printed: round, or flattened, or hollow.

    Layer l has its axes at z = offset_z + (l + 1/2) layer_height and, across the strands, at
    offset + spacing/2 + k spacing; even layers run along first_direction, odd ones across it, unless angles are given.
    material: name of the material
    strand_diameter, strand_spacing (from axis to axis), layer_height: [um]
    offset: shift of the whole lattice along z, y, x [um]
    first_direction: "x" or "y", along which the strands of the lowest layer run
    n_layers: number of layers; None to fill the grid upwards from offset_z
    angles: of the strands of each layer against x towards y, taken in turn [degree]; none for crossed layers
    layer_offsets: shift of each layer's strands across themselves, taken in turn [um]
    flattening: height of a strand over its width, the width being strand_diameter [1]
    lumen_diameter: width of the open core of a hollow strand, which is flattened likewise; 0 for solid strands [um]
    """

    material: str
    strand_diameter: float
    strand_spacing: float
    layer_height: float
    offset: Triple = (0.0, 0.0, 0.0)
    first_direction: str = "x"
    n_layers: int | None = None
    angles: tuple[float, ...] = ()
    layer_offsets: tuple[float, ...] = ()
    flattening: float = 1.0
    lumen_diameter: float = 0.0

    def __post_init__(self) -> None:
        check_positive("woodpile.strand_diameter", self.strand_diameter)
        check_positive("woodpile.strand_spacing", self.strand_spacing)
        check_positive("woodpile.layer_height", self.layer_height)
        check_point("woodpile.offset", self.offset)
        if self.first_direction not in ("x", "y"):
            raise GeometryError(f"woodpile.first_direction: got {self.first_direction!r}; 'x' or 'y' is needed")
        if self.n_layers is not None and self.n_layers < 1:
            raise GeometryError(f"woodpile.n_layers: got {self.n_layers}; at least 1 is needed")
        self._check_strands()

    def _check_strands(self) -> None:
        if not all(math.isfinite(value) for value in (*self.angles, *self.layer_offsets)):
            raise GeometryError("woodpile: angles and layer_offsets must be finite")
        if self.angles and self.first_direction != "x":
            raise GeometryError("woodpile.first_direction: angles say the direction of every layer; leave it out")
        if not (math.isfinite(self.flattening) and self.flattening > 0):
            raise GeometryError(f"woodpile.flattening: got {self.flattening:g}; a positive number is needed")
        if not 0 <= self.lumen_diameter < self.strand_diameter:
            raise GeometryError(
                f"woodpile.lumen_diameter: got {self.lumen_diameter:g} um; from 0 to below strand_diameter "
                f"{self.strand_diameter:g} um is needed"
            )

    @property
    def endless(self) -> bool:
        """Whether the shape goes on without end."""
        return True

    @property
    def smallest_feature(self) -> tuple[str, float]:
        """Name and length of what a voxel should resolve [um]."""
        if self.lumen_diameter:
            wall = (self.strand_diameter - self.lumen_diameter) / 2
            return "wall or lumen of a strand", min(self.lumen_diameter, wall) * min(1, self.flattening)
        return "strand diameter", self.strand_diameter * min(1, self.flattening)

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the nearest strand surface, negative inside [um]."""
        if self.angles or self.layer_offsets or self.lumen_diameter or self.flattening != 1:
            return self._strands().signed_distance(points, period)
        z, y, x = points
        across_y = self._to_axis(y - self.offset[1], self.offset[1], period[1])
        across_x = self._to_axis(x - self.offset[2], self.offset[2], period[2])
        even, odd = (across_y, across_x) if self.first_direction == "x" else (across_x, across_y)
        distance = np.minimum(
            np.hypot(self._to_layer(z, 0, period[0]), even), np.hypot(self._to_layer(z, 1, period[0]), odd)
        )
        return distance - self.strand_diameter / 2

    def seams(self, period: Triple) -> list[str]:
        """Sentences on the periodic axes along which the lattice does not close on itself."""
        found = []
        if any(angle % 90 for angle in self.angles) and any(math.isfinite(length) for length in period[1:]):
            found.append("woodpile: strands at these angles do not close on themselves along periodic axes")
        for axis, length in (("y", period[1]), ("x", period[2])):
            if math.isfinite(length) and not is_multiple(length, self.strand_spacing):
                found.append(
                    f"woodpile: the periodic {axis} size {length:g} um is not a multiple of strand_spacing "
                    f"{self.strand_spacing:g} um, so one gap between strands is irregular"
                )
        if math.isfinite(period[0]) and not self._layers_close(period[0]):
            found.append(
                f"woodpile: the periodic z size {period[0]:g} um is not {self._cycle_text()} of layers of "
                f"{self.layer_height:g} um, so one gap between layers is irregular"
            )
        return found

    def _layers_close(self, length: float) -> bool:
        return self.n_layers is not None or is_multiple(length, self._cycle * self.layer_height)

    @property
    def _cycle(self) -> int:
        """After how many layers the pattern repeats."""
        return math.lcm(len(self.angles) or 2, len(self.layer_offsets) or 1)

    def _cycle_text(self) -> str:
        return "an even number" if self._cycle == 2 else f"a multiple of {self._cycle}"

    def _strands(self) -> Strands:
        crossed = (0.0, 90.0) if self.first_direction == "x" else (90.0, 0.0)
        return Strands(
            self.strand_diameter,
            self.flattening * self.strand_diameter,
            self.lumen_diameter,
            self.strand_spacing,
            self.layer_height,
            self.angles or crossed,
            self.layer_offsets or (0.0,),
            self.offset,
            self.n_layers,
        )

    def _to_axis(self, across: FloatArray, offset: float, period: float) -> FloatArray:
        """Distance within the layer's plane to the nearest strand axis; across is measured from the offset."""
        spacing = self.strand_spacing
        if math.isinf(period) or is_multiple(period, spacing):
            return np.abs(np.mod(across, spacing) - spacing / 2)
        # The strands whose axes lie in the box, repeated with the box.
        first = math.ceil((-offset - spacing / 2) / spacing)
        axes = [
            spacing / 2 + k * spacing
            for k in range(first, first + math.floor(period / spacing) + 2)
            if 0 <= offset + spacing / 2 + k * spacing < period
        ]
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

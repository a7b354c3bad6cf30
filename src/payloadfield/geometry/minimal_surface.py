"""Gyroid, diamond and Schwarz P: lattices along a triply periodic minimal surface, as sheets or as skeletons."""

import math
from dataclasses import dataclass, replace

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import FloatArray, Points, Triple, VoxelGrid
from payloadfield.geometry.shape import NOT_PERIODIC, Placing, check_point, check_positive, does_not_close, unmoved

KINDS = ("sheet", "skeletal")
# Area of each surface in a cubic cell over the square of its edge (Schwarz 1890; Schoen 1970), for the wall thickness.
AREA = {"gyroid": 3.0915, "diamond": 3.8378, "schwarz_p": 2.3451}
# Where the gradient vanishes, far from the surface, the distance stays finite: this times 2 pi / cell is taken.
SMALLEST_GRADIENT = 0.05
# Points along each axis at which the level is sampled: four per voxel, and at most this many.
SAMPLES_PER_VOXEL, MOST_SAMPLES = 4, 160
# Where in its interval each sample lies: away from symmetry, so that no two samples see the same value.
PLACE_IN_INTERVAL = (0.3819, 0.5358, 0.5823)


@dataclass(frozen=True)
class MinimalSurface:
    """A lattice of one material along f(x, y, z) = 0.

    sheet: |f| < level, or |f| / |grad f| < thickness / 2; skeletal: f < level. With X = 2 pi x / cell and so on,
    gyroid f = sin X cos Y + sin Y cos Z + sin Z cos X; schwarz_p f = cos X + cos Y + cos Z;
    diamond f = sin X sin Y sin Z + sin X cos Y cos Z + cos X sin Y cos Z + cos X cos Y sin Z
    The distance is that to first order, (f - level) / |grad f|, which has the surface in the right place.
    material: name of the material
    surface: "gyroid", "diamond" or "schwarz_p"
    cell: edge of the cubic cell [um]
    kind: "sheet" or "skeletal"
    porosity: open share of the grid, hit by the quantile of the level over it; or thickness of the sheet [um]
    offset: shift of the lattice along z, y, x [um]
    level: of a lattice that was fitted to a grid
    """

    material: str
    surface: str
    cell: float
    kind: str = "sheet"
    porosity: float | None = None
    thickness: float | None = None
    offset: Triple = (0.0, 0.0, 0.0)
    level: float | None = None

    def __post_init__(self) -> None:
        if self.surface not in AREA:
            raise GeometryError(f"{self.surface!r} is no minimal surface; there are: {', '.join(AREA)}")
        if self.kind not in KINDS:
            raise GeometryError(f"{self.surface}.kind: got {self.kind!r}; 'sheet' or 'skeletal' is needed")
        check_positive(f"{self.surface}.cell", self.cell)
        check_point(f"{self.surface}.offset", self.offset)
        self._check_amount()

    def _check_amount(self) -> None:
        if (self.porosity is None) == (self.thickness is None):
            raise GeometryError(f"{self.surface}: exactly one of porosity and thickness is needed")
        if self.porosity is not None and not 0 < self.porosity < 1:
            raise GeometryError(f"{self.surface}.porosity: got {self.porosity:g}; a number between 0 and 1 is needed")
        if self.thickness is not None:
            check_positive(f"{self.surface}.thickness", self.thickness)
            if self.kind == "skeletal":
                raise GeometryError(f"{self.surface}.thickness: a skeletal lattice has no one thickness; give porosity")

    @property
    def smallest_feature(self) -> tuple[str, float]:
        """Name and length of what a voxel should resolve [um]."""
        if self.thickness is not None:
            return "wall thickness", self.thickness
        assert self.porosity is not None
        if self.kind == "sheet":
            return "mean wall thickness", (1 - self.porosity) * self.cell / AREA[self.surface]
        return "quarter of the cell", self.cell / 4

    @property
    def endless(self) -> bool:
        """Whether the shape goes on without end."""
        return True

    def fitted_to(self, grid: VoxelGrid, place: Placing = unmoved) -> "MinimalSurface":
        """The lattice with the level that leaves its porosity open in a grid.

        place: from points of the grid to points of the lattice, where it was moved
        """
        if self.porosity is None or self.level is not None:
            return self
        z, y, x = (_samples(n, grid.spacing, where) for n, where in zip(grid.shape, PLACE_IN_INTERVAL, strict=True))
        f, _ = self._function(place((z[:, None, None], y[None, :, None], x[None, None, :])))
        values = (np.abs(f) if self.kind == "sheet" else f).reshape(-1)
        return replace(self, level=float(np.quantile(values, 1 - self.porosity)))

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the surface to first order, negative inside [um].  Raises GeometryError before it is fitted."""
        f, slope = self._function(points)
        if self.thickness is not None:
            return np.abs(f) / slope - self.thickness / 2
        if self.level is None:
            raise GeometryError(f"{self.surface}: its porosity is that of a grid; use fitted_to(grid) first")
        return ((np.abs(f) if self.kind == "sheet" else f) - self.level) / slope

    def seams(self, period: Triple) -> list[str]:
        """Sentences on the periodic axes along which the lattice does not close on itself."""
        return does_not_close(self.surface, "cell", self.cell, period)

    def _function(self, points: Points) -> tuple[FloatArray, FloatArray]:
        """f and its slope |grad f| [1/um]."""
        wave = 2 * math.pi / self.cell
        phase = [(p - o) * wave for p, o in zip(points, self.offset, strict=True)]
        sines, cosines = [np.sin(p) for p in phase], [np.cos(p) for p in phase]
        f, gradient = _FUNCTIONS[self.surface](sines, cosines)
        squares = gradient[0] * gradient[0] + gradient[1] * gradient[1] + gradient[2] * gradient[2]
        return f, wave * np.maximum(np.sqrt(squares), SMALLEST_GRADIENT)


def _samples(n_voxels: int, spacing: float, place: float) -> FloatArray:
    n = min(SAMPLES_PER_VOXEL * n_voxels, MOST_SAMPLES)
    return (np.arange(n) + place) * (n_voxels * spacing / n)


def _gyroid(s: list[FloatArray], c: list[FloatArray]) -> tuple[FloatArray, list[FloatArray]]:
    (sz, sy, sx), (cz, cy, cx) = s, c
    f = sx * cy + sy * cz + sz * cx
    return f, [cz * cx - sy * sz, cy * cz - sx * sy, cx * cy - sz * sx]


def _diamond(s: list[FloatArray], c: list[FloatArray]) -> tuple[FloatArray, list[FloatArray]]:
    (sz, sy, sx), (cz, cy, cx) = s, c
    even, odd = sx * sy + cx * cy, sx * cy + cx * sy
    f = sz * even + cz * odd
    along_y = sz * (sx * cy - cx * sy) + cz * (cx * cy - sx * sy)
    along_x = sz * (cx * sy - sx * cy) + cz * (cx * cy - sx * sy)
    return f, [cz * even - sz * odd, along_y, along_x]


def _schwarz_p(s: list[FloatArray], c: list[FloatArray]) -> tuple[FloatArray, list[FloatArray]]:
    return c[2] + c[1] + c[0], [-s[0], -s[1], -s[2]]


_FUNCTIONS = {"gyroid": _gyroid, "diamond": _diamond, "schwarz_p": _schwarz_p}

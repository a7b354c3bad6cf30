"""How far points lie from strands of elliptic section, straight from axis to axis.

k^2 is the squared distance from the axis with lengths in units of the half width in the plane and of the half height
upwards, so that the surface is k = 1 and the ends are round. Distance to first order: k (k - 1) / |grad k^2 / 2|,
exact where width and height are the same.
"""

from dataclasses import dataclass, replace

import numpy as np

from payloadfield.geometry.gcode.strands import PrintedStrands
from payloadfield.geometry.gcode.toolpath import BoolArray, IntArray
from payloadfield.geometry.grid import FloatArray
from payloadfield.geometry.mesh.rays import numbers_within


@dataclass(frozen=True, eq=False)
class Pieces:
    """Pieces of strands in the frame of a grid, in voxels.

    start, end: (n, 3) z, y, x; half_width, half_height: (n,); matrix: from vectors of the grid to those of the print
    """

    start: FloatArray
    end: FloatArray
    half_width: FloatArray
    half_height: FloatArray
    matrix: FloatArray

    def taken(self, which: IntArray | BoolArray) -> "Pieces":
        """Some of the pieces."""
        return Pieces(self.start[which], self.end[which], self.half_width[which], self.half_height[which], self.matrix)

    def joined(self, tolerance: float) -> "Pieces":
        """The same with neighbours that nearly lie in line made one, so that slicers' many short moves cost little.

        tolerance: how far from their common line a place between two may lie, each time that two are joined [voxels]
        """
        pieces, idle, odd = self, 0, 0
        while idle < 2 and len(pieces.start) > 1:
            first = np.arange(odd, len(pieces.start) - 1, 2)
            first = first[pieces._in_line(first, tolerance)]
            idle, odd = 0 if len(first) else idle + 1, 1 - odd
            kept = np.ones(len(pieces.start), bool)
            kept[first + 1] = False
            end = pieces.end.copy()
            end[first] = end[first + 1]
            pieces = replace(pieces, end=end).taken(kept)
        return pieces

    def _in_line(self, first: IntArray, tolerance: float) -> BoolArray:
        """Whether pieces go on in those that follow them, with the same section."""
        after = first + 1
        one, both = self.end[first] - self.start[first], self.end[after] - self.start[first]
        squared = np.einsum("ij,ij->i", both, both)
        share = np.einsum("ij,ij->i", one, both) / np.where(squared > 0, squared, 1)
        aside = np.linalg.norm(one - share[:, None] * both, axis=1)
        same = (self.end[first] == self.start[after]).all(axis=1) & (self.half_width[first] == self.half_width[after])
        same &= self.half_height[first] == self.half_height[after]
        return np.asarray(same & (aside <= tolerance) & (share > 0) & (share < 1))

    def cut(self, longest: float) -> "Pieces":
        """The same strands in shorter pieces."""
        n = np.maximum(1, np.ceil(np.linalg.norm(self.end - self.start, axis=1) / longest)).astype(np.int64)
        if n.max(initial=1) == 1:
            return self
        whole = self.taken(np.repeat(np.arange(len(n)), n))
        k, n = numbers_within(n)[:, None], np.repeat(n, n)[:, None]
        step = whole.end - whole.start
        start, end = whole.start + step * (k / n), whole.start + step * ((k + 1) / n)
        return Pieces(start, end, whole.half_width, whole.half_height, self.matrix)

    def distance(self, piece: IntArray, z: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
        """Distance of points (z, y, x) to one piece each, negative inside [voxels]."""
        a, b = self.half_width[piece], self.half_height[piece]
        along = self._scaled(self.end[piece] - self.start[piece], a, b)
        place = np.stack([z, y, x], axis=1)
        place -= self.start[piece]
        off = self._scaled(place, a, b)
        squared = np.einsum("ij,ij->i", along, along)
        share = np.einsum("ij,ij->i", off, along) / np.where(squared > 0, squared, 1)
        off -= np.clip(share, 0, 1)[:, None] * along
        flat = off[:, 1] ** 2 + off[:, 2] ** 2
        return first_order(flat, off[:, 0] ** 2, a, b)

    def _scaled(self, vectors: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
        turned = vectors @ self.matrix.T
        turned /= np.stack([b, a, a], axis=1)
        return turned


def first_order(flat: FloatArray, upright: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """Distance from the squares of (offset in the plane)/a and (offset upwards)/b; inside, min(a, b) deep at most."""
    k = np.sqrt(flat + upright)
    slope = np.sqrt(flat / a**2 + upright / b**2)
    inside = -np.minimum(a, b)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(slope > 0, np.maximum(k * (k - 1) / slope, inside), inside)


def on_grid(strands: PrintedStrands, matrix: FloatArray, shift: FloatArray, spacing: float) -> Pieces:
    """Strands in the frame of a grid; a place of the print is matrix @ place on the grid + shift."""
    start, end = (((place - shift) @ matrix) / spacing for place in (strands.start, strands.end))
    return Pieces(start, end, strands.width / (2 * spacing), strands.height / (2 * spacing), matrix)

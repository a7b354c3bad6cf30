"""A closed surface of triangles that share their vertices."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from payloadfield.geometry.grid import FloatArray

IntArray = npt.NDArray[np.int64]

# Corners of triangles nearer than the largest edge of the whole over this number are one vertex; three coordinates of
# 21 bits each make one 64-bit key, and single precision, which STL files have, is seldom finer.
MERGE_STEPS = 2**21 - 2


@dataclass(frozen=True, eq=False)
class Triangles:
    """Triangles over shared vertices, turned outwards.

    vertices: (n, 3) z, y, x [um]
    faces: (m, 3) vertices of each triangle; the volume that they enclose is positive
    """

    vertices: FloatArray
    faces: IntArray

    @property
    def corners(self) -> FloatArray:
        """Corners of each triangle, (m, 3, 3): triangle, corner, coordinate [um]."""
        return self.vertices[self.faces]

    @property
    def volume(self) -> float:
        """Volume enclosed, by the divergence theorem: sum of a . (b x c) / 6 [um^3]."""
        if not len(self.faces):
            return 0.0
        middle = (self.vertices.min(axis=0) + self.vertices.max(axis=0)) / 2
        a, b, c = np.moveaxis(self.corners - middle, 1, 0)
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest coordinates, z, y, x [um]."""
        is_used = np.zeros(len(self.vertices), bool)
        is_used[self.faces.reshape(-1)] = True
        used = self.vertices[is_used]
        return used.min(axis=0), used.max(axis=0)

    def turned(self, matrix: FloatArray, shift: FloatArray) -> "Triangles":
        """The same with vertices at matrix @ v + shift; the matrix is a rotation."""
        return Triangles(self.vertices @ matrix.T + shift, self.faces)


def make_triangles(vertices: FloatArray, faces: IntArray) -> Triangles:
    """Triangles with corners at the same place joined, and those without three different corners left out.

    vertices: (n, 3) z, y, x [um]; faces: (m, 3)
    """
    vertices, faces = np.asarray(vertices, np.float64), np.asarray(faces, np.int64)
    low = vertices.min(axis=0)
    step = max(float((vertices.max(axis=0) - low).max()) / MERGE_STEPS, np.finfo(float).tiny)
    key = np.rint((vertices - low) / step).astype(np.int64)
    _, first, number = np.unique(
        (key[:, 0] << 42) | (key[:, 1] << 21) | key[:, 2], return_index=True, return_inverse=True
    )
    joined = number.reshape(-1)[faces]
    a, b, c = joined.T
    return Triangles(vertices[first], joined[(a != b) & (b != c) & (c != a)])

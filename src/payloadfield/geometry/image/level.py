"""Grey levels as a shape: everything above a threshold, with the surface where the interpolated levels pass it.

The levels are taken at the corners of the voxels of the grid, averaged where these are coarser than those of the image,
and d = (threshold - level) / |grad level| is the distance to first order.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from payloadfield.errors import GeometryError, ResourceError
from payloadfield.geometry.grid import FloatArray, Points, Triple, VoxelGrid
from payloadfield.geometry.image.place import SLACK, PlacedImage
from payloadfield.geometry.image.resample import point_weights
from payloadfield.geometry.image.threshold import otsu
from payloadfield.geometry.shape import NOT_PERIODIC, Placing, affine, unmoved

# Distances are known up to KNOWN voxels; further off than CUT, levels say on which side a place lies, but not how far.
KNOWN, CUT = 1.5, 4.0
# Coarser than this many voxels of the image, a grid loses walls that the threshold would keep.
COARSE = 2.0
# Nodes of a lattice that are worked on at once, and bytes that each takes.
AT_ONCE, BYTES_PER_NODE = 2**21, 5


@dataclass(frozen=True, eq=False)
class ImageLevel:
    """Everything above (or, inverted, below) a grey level of an image; put on a grid by fitted_to.

    material: name of the material; image: the levels
    threshold: a level, or "otsu"; invert: whether the material is dark
    """

    material: str
    image: PlacedImage
    threshold: float | str
    invert: bool = False

    @property
    def smallest_feature(self) -> tuple[str, float]:
        """Name and length of what a voxel should resolve [um]."""
        return "extent of the image", min(self.image.size)

    @property
    def level(self) -> float:
        """The threshold as a number."""
        return otsu(self.image.stack) if isinstance(self.threshold, str) else self.threshold

    def fitted_to(self, grid: VoxelGrid, place: Placing = unmoved) -> "LevelOnLattice":
        """The shape with its distances on a lattice over the grid or, where it was turned, over the image.

        place: from points of the grid to points of the image, where it was moved or turned
        Raises GeometryError for an image out of proportion, or one that ends within the grid and may not.
        """
        self.image.check_extent(grid)
        matrix, shift = affine(place)
        corners = np.array([place(corner) for corner in _corners(grid)])[:, :, 0]
        self.image.refuse_uncovered(corners.min(axis=0), corners.max(axis=0), grid)
        is_turned = not np.array_equal(matrix, np.eye(3))
        first, shape = self._lattice_over_image(grid) if is_turned else (shift, tuple(n + 1 for n in grid.shape))
        if np.prod(shape, dtype=float) * BYTES_PER_NODE > _free_memory():
            raise ResourceError(f"{self.image.stack.where}: {shape} levels do not fit into memory; coarsen grid.voxel")
        level = self.level
        distance = self._distances(grid, first, shape, level)
        notes = tuple(self._notes(grid, level))
        box = None if not self.image.may_end else self._box(grid, corners)
        return LevelOnLattice(self.material, grid.spacing, distance, first, box, notes)

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Not known without a grid: raises GeometryError."""
        raise GeometryError(f"{self.image.stack.where}: its levels are known on a grid only; use fitted_to(grid) first")

    def _lattice_over_image(self, grid: VoxelGrid) -> tuple[FloatArray, tuple[int, ...]]:
        counts = tuple(int(np.ceil(size / grid.spacing)) + 1 for size in self.image.size)
        return np.array(self.image.low(grid.size)), counts

    def _box(self, grid: VoxelGrid, corners: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Where the image ends; infinite on sides on which it covers the grid."""
        low, slack = np.array(self.image.low(grid.size)), SLACK * grid.spacing
        high = low + self.image.size
        ends_low, ends_high = low > corners.min(axis=0) + slack, high < corners.max(axis=0) - slack
        return np.where(ends_low, low, -np.inf), np.where(ends_high, high, np.inf)

    def _distances(
        self, grid: VoxelGrid, first: FloatArray, shape: tuple[int, ...], level: float
    ) -> npt.NDArray[np.float32]:
        """Distance at the nodes of a lattice with the spacing of the grid [um]."""
        h = grid.spacing
        distance = np.empty(shape, np.float32)
        for z0, values in self._levels(grid, first, shape):
            # `values` has one more plane on both sides, the same one twice at the ends.
            slope = np.zeros(values[1:-1].shape)
            for axis in range(3):
                if shape[axis] > 1:
                    slope += _slope(values, axis, h, z0, shape)[...] ** 2
            np.sqrt(slope, out=slope)
            above = (values[1:-1] - level) * (1 if self.invert else -1)
            with np.errstate(divide="ignore", invalid="ignore"):
                d = np.where(above == 0, 0.0, above / slope)
            distance[z0 : z0 + len(d)] = np.clip(d, -CUT * h, CUT * h)
        return distance

    def _levels(self, grid: VoxelGrid, first: FloatArray, shape: tuple[int, ...]) -> Iterator[tuple[int, FloatArray]]:
        """Levels at the planes of a lattice, some at a time, with one more on either side."""
        h, stack = grid.spacing, self.image.stack
        weights = []
        for axis in range(3):
            places = first[axis] + np.arange(shape[axis]) * h
            weights.append(point_weights(places, h, self.image.edges(grid, axis)))
        along_z, along_y, along_x = weights[0].tocsc(), weights[1], weights[2].T.tocsr()
        step = max(1, AT_ONCE // (shape[1] * shape[2]))
        for z0 in range(0, shape[0], step):
            wanted = np.clip(np.arange(z0 - 1, min(z0 + step, shape[0]) + 1), 0, shape[0] - 1)
            part = along_z[wanted[0] : wanted[-1] + 1]
            values = np.zeros((part.shape[0], shape[1], shape[2]))
            for k in np.flatnonzero(np.diff(part.indptr)):
                plane = along_y @ stack.plane(int(k)).astype(np.float64) @ along_x
                entries = slice(part.indptr[k], part.indptr[k + 1])
                for row, weight in zip(part.indices[entries], part.data[entries], strict=True):
                    values[row] += weight * plane
            yield z0, values[wanted - wanted[0]]

    def _notes(self, grid: VoxelGrid, level: float) -> Iterator[str]:
        where = self.image.stack.where
        if isinstance(self.threshold, str):
            yield f"{where}: the threshold is {level:g}, by Otsu"
        ratio = grid.spacing / min(self.image.spacing)
        if ratio > COARSE:
            yield (
                f"{where}: the voxels of the grid are {ratio:.3g} times those of the image, over which its levels are "
                'averaged, so that thin walls fade; surface = "voxels" keeps all that is above the threshold'
            )


@dataclass(frozen=True, eq=False)
class LevelOnLattice:
    """Distances at the nodes of a lattice, trilinear in between, large beyond the end of the image.

    material: name of the material; spacing: of the lattice [um]
    distance: (nz, ny, nx) at the nodes, cut at CUT voxels [um]
    first: the first node, z, y, x, as a point of the image [um]
    box: low and high end of the image, infinite where it covers the grid; None where it covers all of it
    notes: sentences on what is legal but perhaps not meant
    """

    material: str
    spacing: float
    distance: npt.NDArray[np.float32]
    first: FloatArray
    box: tuple[FloatArray, FloatArray] | None = None
    notes: tuple[str, ...] = ()

    @property
    def known(self) -> float:
        """Distance up to which it is more than a sign [um]."""
        return KNOWN * self.spacing

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the surface, negative inside [um]."""
        place = [(p - first) / self.spacing for p, first in zip(points, self.first, strict=True)]
        if all(p.ndim == 3 and p.size == p.shape[axis] for axis, p in enumerate(place)):
            distance = self._on_rows(place)
        else:
            distance = self._anywhere(place)
        if self.box is None:
            return distance
        for p, low, high in zip(points, *self.box, strict=True):
            for beyond in (low - p, p - high):
                if np.isfinite(beyond).any():
                    distance = np.maximum(distance, beyond)
        return distance

    def _on_rows(self, place: list[FloatArray]) -> FloatArray:
        """At points that are a lattice themselves: one axis after the other."""
        found: FloatArray = self.distance
        for axis, p in enumerate(place):
            low, share = _cell(p.reshape(-1), self.distance.shape[axis])
            shape = [-1 if a == axis else 1 for a in range(3)]
            at = np.take(found, low, axis).astype(np.float64)
            if share.any():
                share = share.reshape(shape)
                high = np.take(found, np.minimum(low + 1, self.distance.shape[axis] - 1), axis)
                at = at * (1 - share) + high * share
            found = at
        return found

    def _anywhere(self, place: list[FloatArray]) -> FloatArray:
        cells = [_cell(p, n) for p, n in zip(place, self.distance.shape, strict=True)]
        total: FloatArray = np.zeros(np.broadcast_shapes(*(p.shape for p in place)))
        for corner in np.ndindex(2, 2, 2):
            weight: FloatArray = np.ones(())
            index = []
            for (low, share), bit, n in zip(cells, corner, self.distance.shape, strict=True):
                weight = weight * (share if bit else 1 - share)
                index.append(np.minimum(low + bit, n - 1))
            total += weight * self.distance[index[0], index[1], index[2]]
        return total


def _cell(place: FloatArray, n: int) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Node below each place, and how far it is beyond it, in steps; what lies outside is moved to the end."""
    inside = np.clip(place, 0, n - 1)
    nearest = np.rint(inside)
    # A place on a node is one, to the last bit.
    inside = np.where(np.abs(inside - nearest) < 1e-9, nearest, inside)
    low = np.floor(inside).astype(np.int64)
    return low, inside - low


def _slope(values: FloatArray, axis: int, h: float, z0: int, shape: tuple[int, ...]) -> FloatArray:
    """Derivative along an axis by central differences, one-sided at the ends; without the extra planes."""
    if axis == 0:
        n = len(values) - 2
        step = np.full((n, 1, 1), 2 * h)
        step[0] -= h * (z0 == 0)
        step[-1] -= h * (z0 + n == shape[0])
        return (values[2:] - values[:-2]) / step
    return np.gradient(values[1:-1], h, axis=axis)


def _corners(grid: VoxelGrid) -> Iterator[Points]:
    for bits in np.ndindex(2, 2, 2):
        z, y, x = (np.array([bit * length]) for bit, length in zip(bits, grid.size, strict=True))
        yield z, y, x


def _free_memory() -> float:
    import psutil

    return float(psutil.virtual_memory().available)

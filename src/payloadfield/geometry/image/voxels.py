"""The voxels of an image as a scaffold: what share of each voxel and face of the grid they close.

A voxel of the grid holds those of the image by the overlap of their boxes, so that volumes are kept whatever the sizes;
a face is open where both its sides are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import FloatArray, VoxelGrid
from payloadfield.geometry.image.place import PlacedImage
from payloadfield.geometry.image.resample import IntArray, overlap_weights, snapped, voxels_beside
from payloadfield.geometry.image.stack import Plane
from payloadfield.geometry.image.threshold import otsu
from payloadfield.geometry.label_array import UNTOUCHED, listed_labels
from payloadfield.geometry.material import Material
from payloadfield.geometry.shares import ACROSS_X, ACROSS_Y, ACROSS_Z, VOXELS

Indices = npt.NDArray[np.uint8]
Axes = tuple[int, ...]

# A share this close to nothing or to all is that, but for round-off.
ROUND_OFF = 1e-13
# Planes kept while the next ones are read: those on both sides of a face, and the first one of a periodic grid.
PLANES_KEPT = 4


@dataclass(frozen=True, eq=False)
class VoxelImage:
    """The voxels of an image, each of the material that its label or its grey level stands for.

    image: labels or levels
    labels: material by label, None leaves what earlier shapes put there; 0 does so where nothing is said of it
    material, threshold, invert: instead, the material above (or, inverted, below) a level, or that of "otsu"
    """

    image: PlacedImage
    labels: Mapping[int, str | None] = field(default_factory=dict)
    material: str | None = None
    threshold: float | str = 0.0
    invert: bool = False

    def on_grid(self, grid: VoxelGrid, materials: Sequence[Material], index_of: Mapping[str, int]) -> "ImageOnGrid":
        """What it closes of a grid, slab by slab.

        Raises GeometryError for an image out of proportion or that does not cover the grid, for materials that are
        unknown or held at the bath's concentration; and while it is read, for labels of which nothing is said.
        """
        self.image.check_extent(grid)
        self.image.refuse_uncovered(np.zeros(3), np.array(grid.size), grid)
        names = [self.material] if self.material is not None else [name for name in self.labels.values() if name]
        for name in names:
            if name not in index_of:
                raise GeometryError(f"{self.where}: unknown material {name!r}; known: {', '.join(index_of)}")
            if materials[index_of[name]].kind == "bath":
                raise GeometryError(
                    f"{self.where}: {name} is of kind 'bath', whose walls need a surface; take a threshold with "
                    'surface = "level", or a shape'
                )
        is_closed = np.array([not m.is_open for m in materials] + [False] * (256 - len(materials)))
        used = tuple(sorted({index_of[name] for name in names}))
        notes: tuple[str, ...] = ()
        translate = self._by_label(index_of)
        if self.material is not None:
            level = otsu(self.image.stack) if isinstance(self.threshold, str) else self.threshold
            notes = (f"{self.where}: the threshold is {level:g}, by Otsu",) if isinstance(self.threshold, str) else ()
            translate = self._by_level(level, index_of[self.material])
        return ImageOnGrid(self.image, grid, translate, is_closed, used, notes)

    @property
    def where(self) -> str:
        """How messages call it."""
        return self.image.stack.where

    def _by_level(self, level: float, index: int) -> Callable[[int], Indices]:
        def translate(k: int) -> Indices:
            values = self.image.stack.plane(k)
            inside = values < level if self.invert else values > level
            return np.where(inside, np.uint8(index), np.uint8(UNTOUCHED))

        return translate

    def _by_label(self, index_of: Mapping[str, int]) -> Callable[[int], Indices]:
        names = {0: None, **self.labels}
        known = np.array(sorted(names), np.int64)
        index = np.array([UNTOUCHED if names[n] is None else index_of[str(names[n])] for n in known.tolist()], np.uint8)

        def translate(k: int) -> Indices:
            labels = as_labels(self.image.stack.plane(k), self.where)
            at = np.minimum(np.searchsorted(known, labels), len(known) - 1)
            if (unknown := known[at] != labels).any():
                raise GeometryError(
                    f"{self.where}: plane {k} has labels without a material: "
                    f"{listed_labels(np.unique(labels[unknown]).tolist())}; add them to labels, with a material or "
                    'as "untouched"'
                )
            return index[at]

        return translate


def as_labels(plane: Plane, where: str) -> IntArray:
    """Values as whole numbers.  Raises GeometryError where they are not."""
    if plane.dtype.kind != "f":
        return plane.astype(np.int64)
    whole = np.rint(plane)
    if (whole != plane).any() or np.abs(whole).max(initial=0) > 2**53:
        raise GeometryError(f"{where}: has values such as {plane[whole != plane].flat[0]:g}, which are no labels; "
                            "give a threshold for grey levels")  # fmt: skip
    return whole.astype(np.int64)


@dataclass(frozen=True, eq=False)
class ImageShares:
    """What an image holds of some planes of voxels.

    closed, kept: share of voxels and faces that it closes, and of which it says nothing, by the axes of shares.py
    label, open_label: (n, ny, nx) index of the material, and of the open material, of which there is most
    """

    closed: dict[Axes, FloatArray]
    kept: dict[Axes, FloatArray]
    label: Indices
    open_label: Indices


@dataclass(frozen=True, eq=False)
class ImageOnGrid:
    """An image over a grid, read plane by plane.

    translate: a plane of the image as indices of materials
    is_closed: (256,) by index; used: indices that may occur; notes: sentences for the user
    """

    image: PlacedImage
    grid: VoxelGrid
    translate: Callable[[int], Indices]
    is_closed: npt.NDArray[np.bool_]
    used: tuple[int, ...]
    notes: tuple[str, ...] = ()
    _planes: dict[int, Indices] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """How messages call it."""
        return self.image.stack.where

    def shares(self, z0: int, z1: int) -> ImageShares:
        """What the image holds of the voxels z0 <= z < z1."""
        total = _Total(self, z0, z1)
        edges, places = self._edges[0], self.grid.corners(0)[z0 : z1 + 1]
        weights = overlap_weights(places[:-1], places[1:], edges).tocsc()
        for k in np.flatnonzero(np.diff(weights.indptr)):
            entries = slice(weights.indptr[k], weights.indptr[k + 1])
            total.add(self._plane(int(k)), weights.indices[entries], weights.data[entries])
        below, above = _sides(places, edges, self.grid, 0)
        for face, (low, high) in enumerate(zip(below.tolist(), above.tolist(), strict=True)):
            total.add_face(face, self._plane(low), self._plane(high))
        return total.shares()

    @cached_property
    def _edges(self) -> tuple[FloatArray, ...]:
        """Edges of the voxels along z, y, x, with one more voxel at each end, up to beyond the grid."""
        found = []
        for axis in range(3):
            own, h = snapped(self.image.edges(self.grid, axis), self.grid.corners(axis)), self.grid.spacing
            low, high = min(own[0], 0.0) - h, max(own[-1], self.grid.size[axis]) + h
            found.append(np.concatenate([[low], own, [high]]))
        return tuple(found)

    @cached_property
    def across(self) -> tuple[Any, Any, tuple[IntArray, IntArray], tuple[IntArray, IntArray]]:
        """Weights along y and along x (to be multiplied from the right), and the sides of faces across y and x."""
        weights, sides = [], []
        for axis in (1, 2):
            places = self.grid.corners(axis)
            weights.append(overlap_weights(places[:-1], places[1:], self._edges[axis]))
            sides.append(_sides(places, self._edges[axis], self.grid, axis))
        return weights[0], weights[1].T.tocsr(), sides[0], sides[1]

    def _plane(self, k: int) -> Indices:
        """Indices of a plane, with untouched voxels around; planes beyond the image are untouched."""
        if k not in self._planes:
            while len(self._planes) >= PLANES_KEPT:
                del self._planes[next(iter(self._planes))]
            nz, ny, nx = self.image.stack.shape
            plane = np.full((ny + 2, nx + 2), UNTOUCHED, np.uint8)
            if 0 < k <= nz:
                plane[1:-1, 1:-1] = self.translate(k - 1)
            self._planes[k] = plane
        return self._planes[k]


def _sides(places: FloatArray, edges: FloatArray, grid: VoxelGrid, axis: int) -> tuple[IntArray, IntArray]:
    """Voxels on both sides of faces; those of the other end on periodic sides, one and the same on free ones."""
    below, above = voxels_beside(places, edges)
    below_end, above_start = voxels_beside(np.array([grid.size[axis], 0.0]), edges)
    first, last = places == 0.0, places == grid.corners(axis)[-1]
    if grid.periodic[axis]:
        below[first], above[last] = below_end[0], above_start[1]
    else:
        below[first], above[last] = above[first], below[last]
    return below, above


class _Total:
    """Sums over the planes of an image that fall into a slab."""

    def __init__(self, image: ImageOnGrid, z0: int, z1: int) -> None:
        _, ny, nx = image.grid.shape
        n = z1 - z0
        shapes = {VOXELS: (n, ny, nx), ACROSS_Z: (n + 1, ny, nx), ACROSS_Y: (n, ny + 1, nx), ACROSS_X: (n, ny, nx + 1)}
        self.image = image
        self.closed: dict[Axes, FloatArray] = {axes: np.zeros(shape) for axes, shape in shapes.items()}
        self.kept: dict[Axes, FloatArray] = {axes: np.zeros(shape) for axes, shape in shapes.items()}
        self.volume = {index: np.zeros(shapes[VOXELS]) for index in image.used}

    def add(self, plane: Indices, rows: IntArray, weights: FloatArray) -> None:
        """Add a plane to the voxels, and to the faces across y and x, of some rows of voxels along z."""
        along_y, along_x, (front, back), (left, right) = self.image.across
        closed, kept = self.image.is_closed[plane], plane == UNTOUCHED
        for index, volume in self.volume.items():
            mask = plane == index
            if mask.any():
                _accumulate(volume, along_y @ mask.astype(np.float64) @ along_x, rows, weights)
        for total, across_y, across_x, inside in zip(
            (self.closed, self.kept),
            _joined(closed[front], closed[back], kept[front], kept[back]),
            _joined(closed[:, left], closed[:, right], kept[:, left], kept[:, right]),
            (closed, kept),
            strict=True,
        ):
            if inside.any():
                _accumulate(total[VOXELS], along_y @ inside.astype(np.float64) @ along_x, rows, weights)
                _accumulate(total[ACROSS_Y], across_y.astype(np.float64) @ along_x, rows, weights)
                _accumulate(total[ACROSS_X], along_y @ across_x.astype(np.float64), rows, weights)

    def add_face(self, face: int, below: Indices, above: Indices) -> None:
        """Add a face across z, between two planes."""
        along_y, along_x, _, _ = self.image.across
        is_closed = self.image.is_closed
        joined = _joined(is_closed[below], is_closed[above], below == UNTOUCHED, above == UNTOUCHED)
        for total, mask in zip((self.closed, self.kept), joined, strict=True):
            if mask.any():
                total[ACROSS_Z][face] = along_y @ mask.astype(np.float64) @ along_x

    def shares(self) -> ImageShares:
        """What was added up, with the materials of which there is most."""
        for part in (self.closed, self.kept):
            for share in part.values():
                share[share < ROUND_OFF] = 0
                share[share > 1 - ROUND_OFF] = 1
        open_ones = [index for index in self.volume if not self.image.is_closed[index]]
        return ImageShares(self.closed, self.kept, self._most(list(self.volume)), self._most(open_ones))

    def _most(self, indices: list[int]) -> Indices:
        """Index with the largest volume, UNTOUCHED where that of which nothing is said is larger, or all are none."""
        label = np.full(self.kept[VOXELS].shape, UNTOUCHED, np.uint8)
        largest = self.kept[VOXELS].copy()
        for index in indices:
            larger = self.volume[index] > largest
            label[larger] = index
            np.maximum(largest, self.volume[index], out=largest)
        return label


def _joined(
    closed_low: np.ndarray, closed_high: np.ndarray, kept_low: np.ndarray, kept_high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where faces are closed on a side, and where they are not but nothing is said of a side."""
    closed = closed_low | closed_high
    return closed, (kept_low | kept_high) & ~closed


def _accumulate(total: FloatArray, plane: FloatArray, rows: IntArray, weights: FloatArray) -> None:
    for row, weight in zip(rows, weights, strict=True):
        total[row] += weight * plane

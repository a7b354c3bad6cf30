"""Shapes put together in order: labels at voxel centres, signed distances at voxel corners.

A closed shape unites with the solid, d = min(d, d_i); an open one carves it, d = max(d, -d_i). Solid and bath are
followed separately, so that a wall knows which of them it faces.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import FloatArray, Points, VoxelGrid
from payloadfield.geometry.image.voxels import ImageOnGrid, ImageShares, VoxelImage
from payloadfield.geometry.label_array import UNTOUCHED, LabelArray
from payloadfield.geometry.material import CLOSED_KINDS, OPEN_KINDS, Material, check_materials
from payloadfield.geometry.shape import Shape, fitted
from payloadfield.geometry.shares import MARGIN, VOXELS, Index, around, open_share

Axes = tuple[int, ...]

# Marks of voxels that a label array decides, instead of signed distances.
BY_DISTANCE, FORCED_OPEN, FORCED_CLOSED = 0, 1, 2

# A corner closer to a surface than this many voxels lies on it, so that round-off leaves no slivers of open volume.
ON_SURFACE = 1e-9


@dataclass(frozen=True, eq=False)
class Layer:
    """A shape with the index and kind of its material, or the voxels of a label array, or an image of materials."""

    shape: Shape | None
    index: int
    kind: str
    voxels: npt.NDArray[np.uint8] | None = None
    image: ImageOnGrid | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """All shapes of a geometry on its grid, in the order in which they act."""

    grid: VoxelGrid
    materials: tuple[Material, ...]
    layers: tuple[Layer, ...]

    @property
    def has_labels(self) -> bool:
        """Whether some voxels are given by a label array or by the voxels of an image."""
        return any(layer.shape is None for layer in self.layers)

    @property
    def known(self) -> float:
        """Distance up to which that of every shape is more than a sign [um]."""
        return min((getattr(layer.shape, "known", np.inf) for layer in self.layers), default=np.inf)

    @cached_property
    def kinds(self) -> frozenset[str]:
        """Kinds of the materials that shapes and label arrays bring in."""
        used = {layer.kind for layer in self.layers if layer.shape is not None}
        for layer in self.layers:
            if layer.image is not None:
                used |= {self.materials[i].kind for i in layer.image.used}
            if layer.voxels is not None:
                present = np.bincount(layer.voxels.reshape(-1), minlength=UNTOUCHED + 1)[:UNTOUCHED]
                used |= {self.materials[i].kind for i in np.flatnonzero(present)}
        return frozenset(used)

    def distance(self, points: Points, kinds: Collection[str], first: int = 0, start: float = np.inf) -> FloatArray:
        """Signed distance of any points to shapes of these kinds, negative inside them [um].

        first: layer with which to begin, over a space all open (start = inf) or all closed (-inf)
        """
        distance = np.full(np.broadcast_shapes(*(p.shape for p in points)), start)
        for layer in self.layers[first:]:
            if layer.shape is not None:
                own = layer.shape.signed_distance(points, self.grid.period)
                _combine(distance, own, joins=layer.kind in kinds)
        return distance


def make_scene(
    grid: VoxelGrid, shapes: Sequence[Shape | LabelArray | VoxelImage], materials: Sequence[Material]
) -> Scene:
    """Shapes joined with the materials that they name.

    Raises GeometryError for an unknown material or a label array that does not fit the grid.
    """
    index_of = check_materials(materials)
    layers = tuple(_layer(grid, shape, materials, index_of) for shape in shapes)
    _check_before_images(layers)
    return Scene(grid, tuple(materials), layers)


def _layer(
    grid: VoxelGrid, shape: Shape | LabelArray | VoxelImage, materials: Sequence[Material], index_of: dict[str, int]
) -> Layer:
    if isinstance(shape, VoxelImage):
        return Layer(None, 0, "image", image=shape.on_grid(grid, materials, index_of))
    if isinstance(shape, LabelArray):
        return Layer(None, 0, "labels", shape.material_index(grid, index_of))
    if shape.material not in index_of:
        name = type(shape).__name__.lower()
        raise GeometryError(f"{name}.material: unknown material {shape.material!r}; known: {', '.join(index_of)}")
    index = index_of[shape.material]
    return Layer(fitted(shape, grid), index, materials[index].kind)


def _check_before_images(layers: Sequence[Layer]) -> None:
    """Refuse what an image of voxels cannot overlay: walls held at the bath's concentration, and staircases."""
    before: set[str] = set()
    for layer in layers:
        if layer.image is not None and before & {"bath", "labels"}:
            raise GeometryError(
                f"{layer.image.where}: comes after {' and '.join(sorted(before & {'bath', 'labels'}))}, over which an "
                "image of voxels cannot be laid; put it first, or take a threshold"
            )
        before.add(layer.kind)


class Slab:
    """The voxels z0 <= z < z1 of a scene, while its layers act on them one after the other."""

    def __init__(self, scene: Scene, z0: int, z1: int) -> None:
        _, ny, nx = scene.grid.shape
        self.scene, self.z0, self.z1 = scene, z0, z1
        voxels = (z1 - z0, ny, nx)
        # Corners are those of the voxels and MARGIN more, which on periodic axes y and x are filled in when needed.
        own = slice(MARGIN, -MARGIN)
        self.own = (own, *(slice(None) if p else own for p in scene.grid.periodic[1:]))
        corners = np.broadcast_shapes(*(p.shape for p in self._corners()))
        self.label = np.zeros(voxels, np.uint8)
        self.open_label = np.zeros(voxels, np.uint8)
        self.forced = np.full(voxels, BY_DISTANCE, np.uint8)
        self.surface = np.full(voxels, np.inf)
        self.solid = np.full(corners, np.inf)
        self.bath = np.full(corners, np.inf) if "bath" in scene.kinds else None
        # After an image, what shapes leave of it is opened + under (solid - opened): see _lay_under.
        self.under: dict[Axes, FloatArray] | None = None
        self.opened: FloatArray | None = None
        self.first = 0
        self.touched = np.array([self._apply(i, layer) for i, layer in enumerate(scene.layers)], bool)
        self._snap()

    def _apply(self, number: int, layer: Layer) -> bool:
        if layer.image is not None:
            return self._lay_under(number, layer.image.shares(self.z0, self.z1))
        if layer.voxels is not None:
            self._paint(layer.voxels[self.z0 : self.z1])
            return True
        assert layer.shape is not None
        period = self.scene.grid.period
        at_corner = layer.shape.signed_distance(self._corners(), period)
        at_centre = layer.shape.signed_distance(self._centres(), period)
        self._unite(layer, at_corner)
        self._mark(layer, at_centre)
        return bool(np.broadcast_to(at_corner, self.solid.shape)[self.own].min() < 0 or at_centre.min() < 0)

    def _unite(self, layer: Layer, distance: FloatArray) -> None:
        _combine(self.solid, distance, joins=layer.kind in CLOSED_KINDS)
        if self.opened is not None:
            _combine(self.opened, distance, joins=layer.kind in CLOSED_KINDS)
        if self.bath is not None:
            _combine(self.bath, distance, joins=layer.kind == "bath")

    def _mark(self, layer: Layer, distance: FloatArray) -> None:
        inside = np.broadcast_to(distance < 0, self.label.shape)
        self.label[inside] = layer.index
        self.forced[inside] = BY_DISTANCE
        if layer.kind in OPEN_KINDS:
            self.open_label[inside] = layer.index
        _combine(self.surface, distance, joins=layer.kind != "medium")

    def _paint(self, voxels: npt.NDArray[np.uint8]) -> None:
        """Let a label array decide: closed voxels, and open ones that a shape had closed or cut."""
        is_open = np.array([m.is_open for m in self.scene.materials] + [False] * (256 - len(self.scene.materials)))
        given = voxels != UNTOUCHED
        opens = given & is_open[voxels]
        self.label[given] = voxels[given]
        self.open_label[opens] = voxels[opens]
        self.forced[given & ~opens] = FORCED_CLOSED
        is_cut = _voxel_minimum(self.solid[self.own]) <= 0
        if self.under is not None:
            is_cut |= self.under[VOXELS] < 1
        decided = opens & ((self.forced != BY_DISTANCE) | is_cut)
        self.forced[decided] = FORCED_OPEN

    def _lay_under(self, number: int, shares: ImageShares) -> bool:
        """Let the voxels of an image decide over what was before; shapes after it act on what it leaves.

        Where it says nothing, what was before shows through. Let K be what no later shape closes and L what a later
        shape opens again, both followed as distances, K from all and L from nothing: then the open part is
        L + image (K - L).
        """
        self._snap()
        self.under = {
            axes: 1 - closed - shares.kept[axes] * (1 - self.open_share(axes))
            if shares.kept[axes].any()
            else 1 - closed
            for axes, closed in shares.closed.items()
        }
        self.solid = np.full(self.solid.shape, np.inf)
        self.opened = np.full(self.solid.shape, -np.inf)
        self.first = number + 1
        said, opens = shares.label != UNTOUCHED, shares.open_label != UNTOUCHED
        self.label[said] = shares.label[said]
        self.open_label[opens] = shares.open_label[opens]
        return bool(said.any() or opens.any())

    def _snap(self) -> None:
        near = ON_SURFACE * self.scene.grid.spacing
        for distance in (self.solid, self.opened, self.bath):
            if distance is not None:
                distance[np.abs(distance) < near] = 0

    def open_share(self, axes: Axes) -> FloatArray:
        """Open share of the voxels, or of the faces that lie along two axes."""
        share = self._share(self.solid, axes, np.inf)
        if self.under is None or self.opened is None:
            return share
        if self.first == len(self.scene.layers):
            return self.under[axes]
        opened = self._share(self.opened, axes, -np.inf)
        return opened + self.under[axes] * (share - opened)

    def _share(self, distance: FloatArray, axes: Axes, start: float) -> FloatArray:
        far = float(np.linalg.norm(self.scene.grid.size))
        for axis in (1, 2):
            if self.scene.grid.periodic[axis]:
                distance = _with_next_ones(distance, axis)
        return open_share(distance, axes, lambda index: self._is_open_at(index, axes, start), far)

    def bath_share(self) -> npt.NDArray[np.float32]:
        """Share of the closed corners of each voxel that lie in a bath rather than in a solid."""
        assert self.bath is not None
        solid, bath = self.solid[self.own], self.bath[self.own]
        closed = (solid <= 0).astype(np.float32)
        n_closed = np.sum(around(closed, VOXELS), axis=0)
        n_bath = np.sum(around(closed * (bath <= solid), VOXELS), axis=0)
        return np.asarray(n_bath / np.maximum(n_closed, 1), np.float32)

    def _is_open_at(self, index: Index, axes: Axes, start: float) -> npt.NDArray[np.bool_]:
        """Whether the middles of voxels (axes z, y, x), or of faces along two axes, lie outside all solids."""
        h = self.scene.grid.spacing
        origin = (self.z0, 0, 0)
        z, y, x = ((i + origin[a] + (0.5 if a in axes else 0.0)) * h for a, i in enumerate(index))
        return self.scene.distance((z, y, x), CLOSED_KINDS, self.first, start) > ON_SURFACE * h

    def _corners(self) -> Points:
        grid = self.scene.grid
        ends = [(self.z0, self.z1), (0, grid.shape[1]), (0, grid.shape[2])]
        axes = []
        for axis, ((first, last), n, wraps) in enumerate(zip(ends, grid.shape, grid.periodic, strict=True)):
            more = MARGIN if axis == 0 or not wraps else 0
            i = np.arange(first - more, last + 1 + more)
            # The last corner of a periodic axis is the first one, to the last bit.
            axes.append((i % n if wraps else i) * grid.spacing)
        z, y, x = axes
        return z[:, None, None], y[None, :, None], x[None, None, :]

    def _centres(self) -> Points:
        z, y, x = (self.scene.grid.centres(a) for a in range(3))
        return z[self.z0 : self.z1, None, None], y[None, :, None], x[None, None, :]


def _combine(total: FloatArray, distance: FloatArray, *, joins: bool) -> None:
    if joins:
        np.minimum(total, distance, out=total)
    else:
        np.maximum(total, -distance, out=total)


def _with_next_ones(corners: FloatArray, axis: int) -> FloatArray:
    """Corners of a periodic axis, whose last one is its first one, with MARGIN more at either end."""
    n = corners.shape[axis] - 1
    return np.take(corners, np.arange(-MARGIN, n + 1 + MARGIN) % n, axis)


def _voxel_minimum(corners: FloatArray) -> FloatArray:
    low = np.minimum(corners[1:], corners[:-1])
    low = np.minimum(low[:, 1:], low[:, :-1])
    return np.minimum(low[:, :, 1:], low[:, :, :-1])

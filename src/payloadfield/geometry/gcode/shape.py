"""A scaffold given as G-code: its strands on a grid."""

from dataclasses import dataclass, field

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.gcode.sections import Pieces, on_grid
from payloadfield.geometry.gcode.sheets import PAIRS_AT_ONCE, Sheets, pairs
from payloadfield.geometry.gcode.strands import PrintedStrands
from payloadfield.geometry.gcode.toolpath import BoolArray, IntArray
from payloadfield.geometry.grid import AXES, FloatArray, Points, Triple, VoxelGrid
from payloadfield.geometry.mesh.checking import describe_place
from payloadfield.geometry.shape import NOT_PERIODIC, Placing, affine, unmoved
from payloadfield.geometry.shares import MARGIN

# Distances are known up to KNOWN voxels from a surface; strands look as far as what the cut of a voxel looks at.
KNOWN, REACH = 1.5, 3.75
# Longest piece of a strand, over how far around it points are looked at.
PIECE = 4.0
# Moves this near to being one are joined [voxels].
STRAIGHT = 0.005
# A print this many times larger than the grid is in another unit.
TOO_LARGE = 1000
# Rise of a strand, and tilt of the print, below which it counts as level.
LEVEL = 1e-9
POINTS_AT_ONCE = 2**14


@dataclass(frozen=True)
class Print:
    """Strands of a print filled with one material; put on a grid by fitted_to, as make_geometry does.

    material: name of the material
    strands: such as those of make_strands
    """

    material: str
    strands: PrintedStrands = field(repr=False)

    @property
    def smallest_feature(self) -> tuple[str, float]:
        """Name and length of what a voxel should resolve [um]."""
        return "height or width of a strand", float(min(self.strands.width.min(), self.strands.height.min()))

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what is legal but probably not meant."""
        return self.strands.notes

    def fitted_to(self, grid: VoxelGrid, place: Placing = unmoved) -> "PrintOnGrid":
        """The print in the frame of a grid.

        place: from points of the grid to points of the print, where it was moved or turned
        Raises GeometryError for a print outside the grid, or in another unit.
        """
        matrix, shift = affine(place)
        pieces = on_grid(self.strands, matrix, shift, grid.spacing)
        notes = (*self.strands.notes, *_check_extent(self.strands, pieces, grid))
        near = _near(pieces, grid)
        if not near.any():
            raise GeometryError(
                f"{self.strands.name}: no strand comes near the grid, which lies in the box of the print; set centre = "
                "true or at, and leave_out or first_layer for what is no part of it, such as a skirt or a prime line"
            )
        return PrintOnGrid(
            self.material, grid, pieces.taken(near).joined(STRAIGHT), matrix, shift, self.smallest_feature, notes
        )

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Not known without a grid: raises GeometryError."""
        raise GeometryError(f"{self.strands.name}: distances are known on a grid only; use fitted_to(grid) first")


@dataclass(frozen=True, eq=False)
class PrintOnGrid:
    """A print on a grid, whose distances are found as they are asked for, slab by slab.

    They are right up to KNOWN voxels from a surface, beyond it large outside, and at least as deep inside.
    material: name of the material
    pieces: its strands, in voxels; matrix, shift: points of the print are matrix @ point of the grid + shift [um]
    smallest_feature: name and length of what a voxel should resolve [um]
    notes: sentences on what is legal but probably not meant
    """

    material: str
    grid: VoxelGrid
    pieces: Pieces
    matrix: FloatArray
    shift: FloatArray
    smallest_feature: tuple[str, float]
    notes: tuple[str, ...] = ()
    _sheets: Sheets = field(init=False)
    _tilted: Pieces = field(init=False)

    def __post_init__(self) -> None:
        rise = np.abs(self.pieces.end[:, 0] - self.pieces.start[:, 0])
        is_level = (rise <= LEVEL) & bool(abs(abs(self.matrix[0, 0]) - 1) < LEVEL)
        widest = float((np.maximum(self.pieces.half_width, self.pieces.half_height)).max(initial=1.0))
        longest = PIECE * (widest + REACH)
        object.__setattr__(self, "_sheets", Sheets(self.pieces.taken(is_level).cut(longest), REACH))
        object.__setattr__(self, "_tilted", self.pieces.taken(~is_level).cut(longest))

    @property
    def known(self) -> float:
        """Distance up to which it is more than a sign [um]."""
        return KNOWN * self.grid.spacing

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the surface, negative inside [um]."""
        place = self._on_grid(points)
        axes = _lattice(place)
        found = self._at_points(place) if axes is None else self._on_lattice(axes)
        return found * self.grid.spacing

    def _on_grid(self, points: Points) -> list[FloatArray]:
        """Points of the print as points of the grid, in voxels."""
        centred = [(p - s) / self.grid.spacing for p, s in zip(points, self.shift, strict=True)]
        if np.array_equal(self.matrix, np.eye(3)):
            return centred
        return [sum((self.matrix[j, i] * centred[j] for j in range(3)), np.zeros(())) for i in range(3)]

    def _on_lattice(self, axes: list[FloatArray]) -> FloatArray:
        """Distances at all points with these coordinates; the last one along y or x may be the first one again."""
        z, y, x = axes
        closed = [len(axis) > 1 and axis[-1] < axis[-2] for axis in (y, x)]
        y, x = (axis[: len(axis) - shut] for axis, shut in zip((y, x), closed, strict=True))
        total = np.full((len(z), len(y), len(x)), self._far)
        self._sheets.lower(total, z, y, x)
        for run in np.split(np.arange(len(z)), np.flatnonzero(np.diff(z) != 1) + 1):
            self._lower_by_tilted(total, run, z, y, x)
        if any(closed):
            total = np.pad(total, ((0, 0), (0, int(closed[0])), (0, int(closed[1]))), mode="wrap")
        return total

    def _lower_by_tilted(self, total: FloatArray, run: IntArray, z: FloatArray, y: FloatArray, x: FloatArray) -> None:
        """The same for strands that rise, in planes of the lattice that follow on each other."""
        pieces = self._tilted
        if not len(pieces.start):
            return
        origin = np.array([z[run[0]], y[0], x[0]])
        around = (np.maximum(pieces.half_width, pieces.half_height) + REACH)[:, None]
        low = np.minimum(pieces.start, pieces.end) - around - origin
        high = np.maximum(pieces.start, pieces.end) + around - origin
        shape = (len(run), len(y), len(x))
        part = total[run[0] : run[-1] + 1].reshape(-1)
        for chunk, flat, box in pairs(low, high, shape):
            k, rest = np.divmod(flat, shape[1] * shape[2])
            j, i = np.divmod(rest, shape[2])
            own = pieces.distance(chunk[box], k + origin[0], j + origin[1], i + origin[2])
            np.minimum.at(part, flat, own)

    def _at_points(self, place: list[FloatArray]) -> FloatArray:
        """Distances at points that form no lattice: each looks at the pieces whose middles are near."""
        full = np.broadcast_arrays(*place)
        points = np.stack([p.reshape(-1) for p in full], axis=1).astype(np.float64)
        total = np.full(len(points), self._far)
        for pieces in (self._sheets.pieces, self._tilted):
            if len(pieces.start):
                for start in range(0, len(points), POINTS_AT_ONCE):
                    part = slice(start, start + POINTS_AT_ONCE)
                    np.minimum(total[part], _to_nearest(points[part], pieces, self._far), out=total[part])
        return total.reshape(full[0].shape)

    @property
    def _far(self) -> float:
        """A distance larger than any in the grid [voxels]."""
        return 2 * float(np.linalg.norm(self.grid.shape)) + 4


def _to_nearest(points: FloatArray, pieces: Pieces, far: float) -> FloatArray:
    from scipy.spatial import cKDTree

    total = np.full(len(points), far)
    length = np.linalg.norm(pieces.end - pieces.start, axis=1)
    reach = float((length / 2 + np.maximum(pieces.half_width, pieces.half_height)).max()) + REACH
    near = cKDTree(points).sparse_distance_matrix(
        cKDTree((pieces.start + pieces.end) / 2), reach, output_type="ndarray"
    )
    for start in range(0, len(near), PAIRS_AT_ONCE):
        point, piece = near["i"][start : start + PAIRS_AT_ONCE], near["j"][start : start + PAIRS_AT_ONCE]
        np.minimum.at(total, point, pieces.distance(piece, *points[point].T))
    return total


def _lattice(place: list[FloatArray]) -> list[FloatArray] | None:
    """Coordinates along z, y, x of points that form a lattice of whole voxels; None where they do not."""
    if any(p.ndim != 3 for p in place):
        return None
    axes = []
    for axis, p in enumerate(place):
        first = [slice(0, 1)] * 3
        first[axis] = slice(None)
        line = p[tuple(first)]
        if np.abs(p - line).max(initial=0) > 1e-6:
            return None
        along = line.reshape(-1)
        near = np.rint(2 * along) / 2
        along = near if np.abs(along - near).max(initial=0) < 1e-6 else along
        steps = np.diff(along)
        if axis and len(steps) and (np.abs((steps[:-1] if steps[-1] < 0 else steps) - 1) > 1e-6).any():
            return None
        axes.append(along)
    shape = np.broadcast_shapes(*(p.shape for p in place))
    return axes if shape == tuple(len(axis) for axis in axes) else None


def _near(pieces: Pieces, grid: VoxelGrid) -> BoolArray:
    """Whether strands come near the grid, or the corners around it that the cut looks at."""
    around = (np.maximum(pieces.half_width, pieces.half_height) + REACH + MARGIN)[:, None]
    low, high = np.minimum(pieces.start, pieces.end) - around, np.maximum(pieces.start, pieces.end) + around
    return np.asarray(((high >= 0) & (low <= np.array(grid.shape))).all(axis=1))


def _check_extent(strands: PrintedStrands, pieces: Pieces, grid: VoxelGrid) -> list[str]:
    """A sentence on what lies beyond the grid.  Raises GeometryError where all of it does, or the unit is wrong."""
    name, h, size = strands.name, grid.spacing, np.array(grid.size)
    half = np.stack([pieces.half_height, pieces.half_width, pieces.half_width], axis=1)
    around = np.sqrt(half**2 @ (pieces.matrix**2))
    low = (np.minimum(pieces.start, pieces.end) - around).min(axis=0) * h
    high = (np.maximum(pieces.start, pieces.end) + around).max(axis=0) * h
    what = f"{name}: reaches from {describe_place(low)} to {describe_place(high)}"
    if (high - low).max() > TOO_LARGE * size.max():
        raise GeometryError(f"{what}, {(high - low).max() / size.max():.3g} times the size of the grid; check its unit")
    if (high <= 0).any() or (low >= size).any():
        raise GeometryError(
            f"{what}, outside the grid, which reaches from (0, 0, 0) to {describe_place(size)}; set centre = true, or "
            "at to where its lower corner is to be, or translate (and check its unit)"
        )
    slack = 1e-3 * h
    beyond = [
        side
        for axis, n in enumerate(AXES)
        for side, is_beyond in ((f"{n}_low", low[axis] < -slack), (f"{n}_high", high[axis] > size[axis] + slack))
        if is_beyond
    ]
    return [f"{what}, beyond the grid at {', '.join(beyond)}; what lies there is left out"] if beyond else []

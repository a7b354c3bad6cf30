"""Level strands on a grid: one map per height of how far the nearest axis is in the plane, good for all heights.

Strands of one height and one middle, a sheet, share their upright half axis b, so a place is in one of them where
kappa^2 + (v/b)^2 < 1, with v its height over the middle and kappa the smallest distance in the plane in units of the
strands' half width. Maps are kept for a while, because neighbouring slabs of a grid ask for the same ones.
"""

from collections import OrderedDict
from collections.abc import Iterator

import numpy as np

from payloadfield.geometry.gcode.sections import Pieces, first_order
from payloadfield.geometry.gcode.toolpath import IntArray
from payloadfield.geometry.grid import FloatArray
from payloadfield.geometry.mesh.band import points_in_boxes

# Pairs of a piece and a point looked at together: their arrays stay in the cache of a core.
PAIRS_AT_ONCE = 2**16
# Maps kept, and kappa where no strand is near.
MOST_MAPS, NOWHERE = 8, 1e6
# Middles and heights closer than this are one sheet [voxels].
ALIKE = 1e-7


class Sheets:
    """Sheets of level strands, none of which is tilted on the grid.

    pieces: level strands, cut to pieces; reach: beyond their surface, up to which distances are wanted [voxels]
    """

    def __init__(self, pieces: Pieces, reach: float) -> None:
        self.pieces, self.reach = pieces, reach
        keys = np.stack([pieces.start[:, 0], pieces.half_height], axis=1)
        _, first, self.sheet = np.unique(np.round(keys / ALIKE), axis=0, return_index=True, return_inverse=True)
        self.sheet = self.sheet.reshape(-1)
        self.order = np.argsort(self.sheet, kind="stable")
        self.begin = np.searchsorted(self.sheet[self.order], np.arange(len(first) + 1))
        self.middle: FloatArray = keys[first, 0]
        self.half_height: FloatArray = keys[first, 1]
        self.low, self.high = self._boxes()
        self._maps: OrderedDict[tuple, tuple[FloatArray, FloatArray]] = OrderedDict()

    def lower(self, total: FloatArray, z: FloatArray, y: FloatArray, x: FloatArray) -> None:
        """Take the distance to the nearest strand into total where it is less [voxels].

        z: heights, in any order; y, x: equidistant by a voxel, upwards
        """
        far = self.half_height + self.reach
        for sheet in np.flatnonzero((self.middle + far >= z.min()) & (self.middle - far <= z.max())):
            planes = np.flatnonzero(np.abs(z - self.middle[sheet]) <= far[sheet])
            if not len(planes):
                continue
            rows, columns = (_within(axis, *ends) for axis, ends in zip((y, x), self._ends(int(sheet)), strict=True))
            if rows.start >= rows.stop or columns.start >= columns.stop:
                continue
            kappa, a = self._map(int(sheet), y[rows], x[columns])
            flat, b = kappa**2, self.half_height[sheet]
            for plane in planes:
                own = first_order(flat, ((z[plane] - self.middle[sheet]) / b) ** 2, a, b)
                part = total[plane, rows, columns]
                np.minimum(part, own, out=part)

    def _boxes(self) -> tuple[FloatArray, FloatArray]:
        """Around each sheet, with what it reaches in the plane: lowest and highest y, x, (n_sheet, 2)."""
        pieces, order, begin = self.pieces, self.order, self.begin[:-1]
        if not len(order):
            return np.zeros((0, 2)), np.zeros((0, 2))
        start, end = pieces.start[order, 1:], pieces.end[order, 1:]
        around = (pieces.half_width[order] + self.reach)[:, None]
        low = np.minimum.reduceat(np.minimum(start, end) - around, begin)
        return low, np.maximum.reduceat(np.maximum(start, end) + around, begin)

    def _ends(self, sheet: int) -> list[tuple[float, float]]:
        return [(float(low), float(high)) for low, high in zip(self.low[sheet], self.high[sheet], strict=True)]

    def _map(self, sheet: int, y: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Kappa, and the half width of the strand that has it (one number if all are the same): (n_y, n_x)."""
        key = (sheet, y[0], x[0], len(y), len(x))
        if key not in self._maps:
            own = self.pieces.taken(self.order[self.begin[sheet] : self.begin[sheet + 1]])
            self._maps[key] = draw(own, self.reach, y, x)
            if len(self._maps) > MOST_MAPS:
                self._maps.popitem(last=False)
        self._maps.move_to_end(key)
        return self._maps[key]


def _within(axis: FloatArray, low: float, high: float) -> slice:
    """Which of equidistant places lie between two ends."""
    first, last = np.clip([np.ceil(low - axis[0]), np.floor(high - axis[0]) + 1], 0, len(axis)).astype(int)
    return slice(first, last)


def draw(pieces: Pieces, reach: float, y: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Smallest distance in the plane over half width, on a lattice, and the half width of the strand that has it."""
    shape = (1, len(y), len(x))
    kappa = np.full(len(y) * len(x), NOWHERE)
    one_width = bool((pieces.half_width == pieces.half_width[0]).all())
    width = np.full(1 if one_width else kappa.shape, pieces.half_width[0])
    around = (pieces.half_width + reach)[:, None]
    origin = np.array([y[0], x[0]])
    starts, ends = pieces.start[:, 1:] - origin, pieces.end[:, 1:] - origin
    low, high = np.minimum(starts, ends) - around, np.maximum(starts, ends) + around
    for chunk, flat, piece in pairs(np.pad(low, ((0, 0), (1, 0))), np.pad(high, ((0, 0), (1, 0))), shape):
        own, row, column = chunk[piece], *np.divmod(flat, shape[2])
        a = pieces.half_width[own]
        off_y, off_x = row - starts[own, 0], column - starts[own, 1]
        step = ends[own] - starts[own]
        squared = step[:, 0] ** 2 + step[:, 1] ** 2
        share = (off_y * step[:, 0] + off_x * step[:, 1]) / np.where(squared > 0, squared, 1)
        np.clip(share, 0, 1, out=share)
        found = np.hypot(off_y - share * step[:, 0], off_x - share * step[:, 1]) / a
        np.minimum.at(kappa, flat, found)
        if not one_width:
            best = found == kappa[flat]
            width[flat[best]] = a[best]
    return kappa.reshape(shape[1:]), width if one_width else width.reshape(shape[1:])


def pairs(
    low: FloatArray, high: FloatArray, shape: tuple[int, int, int]
) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
    """Boxes and the lattice points in them, some at a time: numbers of boxes, flat index, and position among them."""
    size = np.array(shape)
    first = np.clip(np.ceil(low), 0, size).astype(np.int64)
    count = np.maximum(np.clip(np.floor(high) + 1, 0, size).astype(np.int64) - first, 0)
    n_points = count.prod(axis=1)
    boxes = np.flatnonzero(n_points)
    ends = np.cumsum(n_points[boxes])
    start = 0
    while start < len(boxes):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + PAIRS_AT_ONCE, side="right")))
        chunk: IntArray = boxes[start:stop]
        flat, box = points_in_boxes(first[chunk], count[chunk], shape)
        yield chunk, flat, box
        start = stop

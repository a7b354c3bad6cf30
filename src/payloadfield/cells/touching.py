"""Which cells touch each other."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from payloadfield.cells.cells import Cells
from payloadfield.errors import CellsError
from payloadfield.geometry import FloatArray

IntArray = npt.NDArray[np.int64]

# Cells are searched by classes of radius, each this many times as large as the one before, so that one large cell does
# not make all small ones look far.
CLASS_RATIO = 1.5


def touching_pairs(cells: Cells, factor: float = 1.0) -> IntArray:
    """Pairs of cells closer than the sum of their radii times a factor: |x_i - x_j| < factor (r_i + r_j).

    Returns (n_pairs, 2), i < j, sorted by i and then j; each pair once, by its shortest way through periodic sides, and
    no cell with itself.
    factor: above 0 [1]
    Raises CellsError for a factor that is not a positive number.
    """
    if not (math.isfinite(factor) and factor > 0):
        raise CellsError(f"touching_pairs: factor {factor:g}; a number above 0 is needed")
    pairs = [np.zeros((0, 2), np.int64), *_pairs_of_classes(cells, factor)]
    found = np.sort(np.concatenate(pairs), axis=1)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def _pairs_of_classes(cells: Cells, factor: float) -> Iterator[IntArray]:
    classes = _classes(cells.radius)
    trees = [make_tree(cells.position[members], cells.period) for members in classes]
    for a, b in itertools.combinations_with_replacement(range(len(classes)), 2):
        reach = factor * float(cells.radius[classes[a]].max() + cells.radius[classes[b]].max())
        first, second, distance = _near(trees[a], trees[b], reach)
        i, j = classes[a][first], classes[b][second]
        touch = distance < factor * (cells.radius[i] + cells.radius[j])
        if a == b:
            touch &= i < j
        yield np.stack([i[touch], j[touch]], axis=-1)


def _classes(radius: FloatArray) -> list[IntArray]:
    if len(radius) == 0:
        return []
    number = np.floor(np.log(radius / radius.min()) / math.log(CLASS_RATIO)).astype(np.int64)
    return [np.flatnonzero(number == each) for each in np.unique(number)]


def _near(one: Any, other: Any, reach: float) -> tuple[IntArray, IntArray, FloatArray]:
    """Indices and distances of all points of two trees within reach of each other."""
    table = one.sparse_distance_matrix(other, reach, output_type="ndarray")
    return table["i"].astype(np.int64), table["j"].astype(np.int64), table["v"]


def make_tree(position: FloatArray, period: Sequence[float]) -> Any:
    """A search tree (scipy's cKDTree) of points (n, 3) in a space that repeats after these lengths."""
    from scipy.spatial import cKDTree

    length = np.array(period, float)
    repeats = np.isfinite(length)
    wrapped = np.where(repeats, np.mod(position, np.where(repeats, length, 1.0)), position)
    wrapped = np.where(repeats & (wrapped >= length), 0.0, wrapped)  # mod rounds up to the length itself
    return cKDTree(wrapped, boxsize=np.where(repeats, length, 0.0))

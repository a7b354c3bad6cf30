"""Which of several types each cell is: mixed, in patches, or in shells."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from payloadfield.cells.layout import split_count
from payloadfield.cells.request import CellRequest
from payloadfield.geometry import FloatArray

IntArray = npt.NDArray[np.int64]

# Waves of a random field, and values computed at a time.
WAVES, BLOCK = 256, 4_000_000


def draw_types(
    rng: np.random.Generator,
    request: CellRequest,
    position: FloatArray,
    period: Sequence[float],
    depth: FloatArray | None = None,
) -> IntArray:
    """Number of the type of each cell among the kinds of its request; the shares are met to the last cell.

    mixed: at random. patches: the cells where a random field is largest are of the first type, those of the others
    where another field is largest of the second, and so on. core: the innermost cells are of the first type, those
    around them of the second; shell: from the outside inwards.
    position: (n, 3) [um]; period: lengths along z, y, x after which the grid repeats [um]
    depth: (n,) distance from the centre of the spheroid over its radius [1]
    """
    counts = split_count(len(position), [max(kind.share, 0.0) for kind in request.kinds])
    in_order = np.repeat(np.arange(len(counts)), counts)
    if request.pattern == "mixed":
        return rng.permutation(in_order)
    types = np.empty(len(position), np.int64)
    if request.pattern == "patches":
        assert request.correlation_length is not None
        return _patches(rng, counts, position, request.correlation_length, period)
    assert depth is not None
    types[np.argsort(depth if request.pattern == "core" else -depth, kind="stable")] = in_order
    return types


def _patches(
    rng: np.random.Generator, counts: IntArray, position: FloatArray, length: float, period: Sequence[float]
) -> IntArray:
    types = np.full(len(position), len(counts) - 1)
    rest = np.arange(len(position))
    for number, count in enumerate(counts[:-1]):
        order = np.argsort(-random_field(rng, position[rest], length, period), kind="stable")
        types[rest[order[:count]]] = number
        rest = np.sort(rest[order[count:]])
    return types


def random_field(rng: np.random.Generator, position: FloatArray, length: float, period: Sequence[float]) -> FloatArray:
    """A smooth Gaussian random field of mean 0 and variance 1 at positions (n, 3).

    sqrt(2 / W) sum over W waves of cos(k . x + phase), with k normal of standard deviation sqrt(2) / length, so that
    its correlation over a distance r is exp(-(r / length)^2) (Shinozuka and Deodatis 1991); k fits the grid's period.
    """
    wave = rng.normal(0, math.sqrt(2) / length, (WAVES, 3))
    phase = rng.uniform(0, 2 * math.pi, WAVES)
    for axis, edge in enumerate(period):
        if math.isfinite(edge):
            wave[:, axis] = 2 * math.pi / edge * np.round(wave[:, axis] * edge / (2 * math.pi))
    value = np.empty(len(position))
    step = max(1, BLOCK // WAVES)
    for first in range(0, len(position), step):
        some = slice(first, first + step)
        value[some] = np.cos(position[some] @ wave.T + phase).sum(axis=1)
    return value * math.sqrt(2 / WAVES)

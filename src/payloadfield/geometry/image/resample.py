"""Weights that carry values from the voxels of an image to intervals of a grid, one axis at a time.

The overlap of two boxes is the product of the overlaps of their edges, so that three matrices with few entries move a
volume and keep what it holds.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from payloadfield.geometry.grid import FloatArray

IntArray = npt.NDArray[np.int64]

# Edges of an image and of a grid that are this close, in voxels of the finer one, are meant to be the same.
SAME = 1e-9


def snapped(edges: FloatArray, targets: FloatArray) -> FloatArray:
    """Edges, moved onto those of the targets which they miss by round-off alone."""
    step = min(np.diff(edges).min(), np.diff(targets).min())
    nearest = np.clip(np.searchsorted(targets, edges), 1, len(targets) - 1)
    nearest -= edges - targets[nearest - 1] < targets[nearest] - edges
    close = np.abs(targets[nearest] - edges) <= SAME * step
    return np.where(close, targets[nearest], edges)


def _pieces(low: FloatArray, high: FloatArray, edges: FloatArray) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Pieces into which edges cut intervals: start (m + 1,) of those of each interval, voxel, and both ends."""
    first = np.clip(np.searchsorted(edges, low, "right") - 1, 0, len(edges) - 2)
    last = np.clip(np.searchsorted(edges, high, "left") - 1, 0, len(edges) - 2)
    counts = np.maximum(last - first + 1, 1)
    start = np.concatenate([[0], np.cumsum(counts)])
    row = np.repeat(np.arange(len(low)), counts)
    column = first[row] + np.arange(start[-1]) - start[row]
    return start, column, np.maximum(low[row], edges[column]), np.minimum(high[row], edges[column + 1])


def overlap_weights(low: FloatArray, high: FloatArray, edges: FloatArray) -> Any:
    """Sparse matrix of the share of each interval that lies in each voxel: |[low, high] n voxel| / |high - low|.

    low, high: (m,) ends of intervals; edges: (n + 1,) of voxels, ascending.  What lies beyond them is left out.
    """
    from scipy.sparse import csr_array

    start, column, begin, end = _pieces(low, high, edges)
    weight = np.maximum(end - begin, 0) / np.repeat(high - low, np.diff(start))
    return csr_array((weight, column, start), shape=(len(low), len(edges) - 1))


def voxels_beside(places: FloatArray, edges: FloatArray) -> tuple[IntArray, IntArray]:
    """Voxels just below and just above places: the same one, but where a place lies on an edge."""
    n = len(edges) - 1
    below = np.clip(np.searchsorted(edges, places, "left") - 1, 0, n - 1)
    above = np.clip(np.searchsorted(edges, places, "right") - 1, 0, n - 1)
    return below, above


def point_weights(places: FloatArray, spacing: float, edges: FloatArray) -> Any:
    """Sparse matrix of the levels at places of a lattice, from those of voxels.

    Levels are linear between the middles of voxels and, where the lattice is coarser, averaged over what it is coarser.
    That makes f + (voxel^2 / 12 + window^2 / 24) f'' of f; what it smooths away is given back by its own second
    difference, except next to the ends of the image.
    places: (m,); spacing: of the lattice; edges: (n + 1,) of equal voxels
    """
    voxel = float(edges[1] - edges[0])
    window, step = max(spacing - voxel, 0.0), max(spacing, voxel)
    mean = mean_weights(places, window, edges)
    is_inside = (places - 1.5 * step >= edges[0]) & (places + 1.5 * step <= edges[-1])
    if not is_inside.any():
        return mean
    share = (is_inside * (voxel**2 / 12 + window**2 / 24) / step**2)[:, None]
    beside = mean_weights(places - step, window, edges) + mean_weights(places + step, window, edges)
    return (mean.multiply(1 + 2 * share) - beside.multiply(share)).tocsr()


def mean_weights(places: FloatArray, window: float, edges: FloatArray) -> Any:
    """Sparse matrix of the mean over a window of levels that are linear between the middles of voxels.

    Where it would reach beyond them the levels go straight on, up to the end of the image.
    places: (m,); window: width, 0 for the levels themselves; edges: (n + 1,) of equal voxels
    """
    from scipy.sparse import csr_array

    middles = (edges[1:] + edges[:-1]) / 2
    if len(middles) == 1:
        return csr_array(np.ones((len(places), 1)))
    window = min(window, middles[-1] - middles[0])
    low, high = middles[0] + window / 2, middles[-1] - window / 2
    inside = np.clip(places, low, high)
    at = _linear_means(inside, window, middles)
    step = min(max(window, middles[1] - middles[0]), high - low)
    # v(p) = v(q) + (p - q) (v(q) - v(q')) / step, q the nearest full window and q' one step inwards.
    beyond = np.clip(places, edges[0], edges[-1]) - inside
    if step == 0 or not beyond.any():
        return at
    share = (np.abs(beyond) / step)[:, None]
    return (
        at.multiply(1 + share) - _linear_means(inside - np.sign(beyond) * step, window, middles).multiply(share)
    ).tocsr()


def _linear_means(places: FloatArray, window: float, middles: FloatArray) -> Any:
    """Sparse matrix of the means over windows within the middles of the first and the last voxel."""
    from scipy.sparse import csr_array

    n = len(middles)
    if window == 0:
        left = np.clip(np.searchsorted(middles, places, "right") - 1, 0, n - 2)
        start, centre, share = np.arange(len(places) + 1), places, np.ones(len(places))
    else:
        start, left, begin, end = _pieces(places - window / 2, places + window / 2, middles)
        centre, share = (begin + end) / 2, np.maximum(end - begin, 0) / window
    along = (centre - middles[left]) / (middles[left + 1] - middles[left])
    weight, column = np.stack([share * (1 - along), share * along], axis=1), np.stack([left, left + 1], axis=1)
    found = csr_array((weight.reshape(-1), column.reshape(-1), 2 * start), shape=(len(places), n))
    found.sum_duplicates()
    return found

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


def overlap_weights(low: FloatArray, high: FloatArray, edges: FloatArray) -> Any:
    """Sparse matrix of the share of each interval that lies in each voxel: |[low, high] n voxel| / |high - low|.

    low, high: (m,) ends of intervals; edges: (n + 1,) of voxels, ascending.  What lies beyond them is left out.
    """
    from scipy.sparse import csr_array

    first = np.clip(np.searchsorted(edges, low, "right") - 1, 0, len(edges) - 2)
    last = np.clip(np.searchsorted(edges, high, "left") - 1, 0, len(edges) - 2)
    counts = np.maximum(last - first + 1, 1)
    start = np.concatenate([[0], np.cumsum(counts)])
    row = np.repeat(np.arange(len(low)), counts)
    column = first[row] + np.arange(start[-1]) - start[row]
    overlap = np.minimum(high[row], edges[column + 1]) - np.maximum(low[row], edges[column])
    weight = np.maximum(overlap, 0) / (high - low)[row]
    return csr_array((weight, column, start), shape=(len(low), len(edges) - 1))


def voxels_beside(places: FloatArray, edges: FloatArray) -> tuple[IntArray, IntArray]:
    """Voxels just below and just above places: the same one, but where a place lies on an edge."""
    n = len(edges) - 1
    below = np.clip(np.searchsorted(edges, places, "left") - 1, 0, n - 1)
    above = np.clip(np.searchsorted(edges, places, "right") - 1, 0, n - 1)
    return below, above


def point_weights(places: FloatArray, width: float, edges: FloatArray) -> Any:
    """Sparse matrix of the level at places, from the means over windows around them.

    A mean over the window, of voxels that are means or samples themselves, is f + (width^2 + voxel^2) f'' / 24; what it
    smooths away is given back by its own second difference, except next to the ends of the image.
    places: (m,); width: of the window, a voxel at least; edges: (n + 1,) of equal voxels
    """
    mean = window_weights(places, width, edges)
    is_inside = (places - 1.5 * width >= edges[0]) & (places + 1.5 * width <= edges[-1])
    if not is_inside.any():
        return mean
    voxel = edges[1] - edges[0]
    share = (is_inside * (1 + (voxel / width) ** 2) / 24)[:, None]
    beside = window_weights(places - width, width, edges) + window_weights(places + width, width, edges)
    return (mean.multiply(1 + 2 * share) - beside.multiply(share)).tocsr()


def window_weights(places: FloatArray, width: float, edges: FloatArray) -> Any:
    """Sparse matrix of the mean over a window around each place; straight on where it would reach beyond the image.

    With a window as wide as a voxel this is linear interpolation between the middles of voxels.
    places: (m,); width: of the window; edges: (n + 1,) of equal voxels
    """
    low, high = edges[0] + width / 2, edges[-1] - width / 2
    if high - low < width:
        middle = np.clip(places, min(low, high), max(low, high)) if high > low else np.full(len(places), edges.mean())
        half = min(width, edges[-1] - edges[0]) / 2
        return overlap_weights(middle - half, middle + half, edges)
    place = np.clip(places, edges[0], edges[-1])
    inside = np.clip(place, low, high)
    # v(p) = v(q) + (p - q) (v(q) - v(q')) / width, q the nearest full window and q' the next one inwards.
    beyond = (place - inside) / width
    inwards = inside - np.sign(beyond) * width
    ends = (inside - width / 2, inside + width / 2), (inwards - width / 2, inwards + width / 2)
    at, next_in = (overlap_weights(a, b, edges) for a, b in ends)
    share = np.abs(beyond)[:, None]
    return (at.multiply(1 + share) - next_in.multiply(share)).tocsr()

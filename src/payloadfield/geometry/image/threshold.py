"""Otsu's threshold: the grey level that parts an image into the two most different classes."""

import numpy as np
import numpy.typing as npt

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import FloatArray
from payloadfield.geometry.image.stack import Stack

# Whole numbers of up to this many levels are counted one by one, others in so many bins between the extremes.
MOST_LEVELS, N_BINS = 2**16, 1024
# Variances this close to the largest one are as large: a gap between two peaks has many best levels.
AS_LARGE = 1e-12


def otsu(stack: Stack) -> float:
    """Threshold with the largest variance between classes (Otsu 1979) over all voxels of a stack.

    Raises GeometryError where all voxels have one value.
    """
    low, high = _extremes(stack)
    if not low < high:
        raise GeometryError(f"{stack.where}: all of its voxels are {low:g}; there is nothing to part by a threshold")
    if stack.dtype.kind in "ui" and high - low < MOST_LEVELS:
        levels = np.arange(int(low), int(high) + 1, dtype=np.float64)
        edges = np.append(levels - 0.5, high + 0.5)
    else:
        edges = np.linspace(low, high, N_BINS + 1)
        levels = (edges[1:] + edges[:-1]) / 2
    counts = np.zeros(len(levels), np.int64)
    for k in range(stack.shape[0]):
        counts += np.histogram(stack.plane(k).astype(np.float64), edges)[0]
    return otsu_of_histogram(counts, levels, edges)


def _extremes(stack: Stack) -> tuple[float, float]:
    planes = (stack.plane(k) for k in range(stack.shape[0]))
    extremes = np.array([(float(plane.min()), float(plane.max())) for plane in planes])
    return float(extremes[:, 0].min()), float(extremes[:, 1].max())


def otsu_of_histogram(counts: npt.NDArray[np.int64], levels: FloatArray, edges: FloatArray) -> float:
    """The edge between bins with the largest variance between classes, the middle one where several have it.

    w0 w1 (mu1 - mu0)^2 = (mu w0 - m0)^2 / (w0 (1 - w0)), w0 the share and m0 the moment of the bins below an edge
    counts: (n,) voxels per bin; levels: (n,) of the bins; edges: (n + 1,)
    """
    share = counts / counts.sum()
    below, moment = np.cumsum(share)[:-1], np.cumsum(share * levels)[:-1]
    mean = float(np.sum(share * levels))
    both = below * (1 - below)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where(both > 0, (mean * below - moment) ** 2 / both, 0.0)
    best = np.flatnonzero(variance >= variance.max() * (1 - AS_LARGE))
    return float((edges[best[0] + 1] + edges[best[-1] + 1]) / 2)

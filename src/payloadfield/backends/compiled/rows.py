"""Kernels of the coarse levels over nodes [lo, hi), whose neighbours stand in compressed rows; compiled by Numba."""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import njit

_U = np.uint64
_OPTIONS = {"cache": True, "error_model": "numpy"}


@njit(**_OPTIONS)
def scale(lo, hi, inverse, weight, b, out):
    """out = weight b / diagonal: the first smoothing step, from zero."""
    for i in range(lo, hi):
        out[i] = weight * (b[i] * inverse[i])


@njit(**_OPTIONS)
def smooth(lo, hi, row_start, column, g, inverse, weight, b, x, out):
    """out = (1 - weight) x + weight (b + sum_j g_ij x_j) / diagonal."""
    keep = b.dtype.type(1.0) - weight
    for i in range(lo, hi):
        total = b[i]
        for k in range(row_start[i], row_start[i + 1]):
            total += g[k] * x[_U(column[k])]
        out[i] = keep * x[i] + weight * (total * inverse[i])


@njit(**_OPTIONS)
def residual(lo, hi, row_start, column, g, inverse, b, x, out):
    """out = b + sum_j g_ij x_j - x / inverse diagonal."""
    for i in range(lo, hi):
        total = b[i]
        for k in range(row_start[i], row_start[i + 1]):
            total += g[k] * x[_U(column[k])]
        out[i] = total - x[i] / inverse[i]


@njit(**_OPTIONS)
def restrict(lo, hi, child_start, child, fine, out):
    """out_k = sum of fine over the nodes of aggregate k."""
    for k in range(lo, hi):
        total = fine[_U(child[child_start[k]])]
        for c in range(child_start[k] + 1, child_start[k + 1]):
            total += fine[_U(child[c])]
        out[k] = total


@njit(**_OPTIONS)
def prolong(lo, hi, parent, coarse, out):
    """out_i += coarse of the aggregate of i."""
    for i in range(lo, hi):
        out[i] += coarse[_U(parent[i])]


@njit(**_OPTIONS)
def set_diagonals(zeroth, D, offset, parent, row_sum, work, inverse):
    """inverse = 1 / (zeroth / D + sum_j g_ij) on every level; zeroth terms are summed over aggregates."""
    n_levels = offset.size - 1
    for i in range(offset[1]):
        work[i] = zeroth[i] / D
    for i in range(offset[1], offset[n_levels]):
        work[i] = 0.0
    for level in range(n_levels - 1):
        top = offset[level + 1]
        for i in range(offset[level], top):
            work[top + parent[i]] += work[i]
    for i in range(offset[n_levels]):
        total = work[i] + row_sum[i]
        inverse[i] = 1.0 / total if total > 0.0 else 1.0

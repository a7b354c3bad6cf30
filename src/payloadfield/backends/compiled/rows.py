"""Kernels between multigrid levels, over nodes [lo, hi); compiled by Numba."""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_U = np.uint64
_OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy"}


@njit(**_OPTIONS)
def scale(lo, hi, inverse, weight, b, out):
    """out = weight b / diagonal: the first smoothing step, from zero."""
    for i in range(_U(lo), _U(hi)):
        out[i] = weight * (b[i] * inverse[i])


@njit(**_OPTIONS)
def smooth_extras(lo, hi, node, neighbour, g, inverse, weight, x, out):
    """out += weight g_ij x_j / diagonal for the faces that stand outside the stencil."""
    for k in range(lo, hi):
        i = node[k]
        out[i] += weight * (g[k] * x[neighbour[k]]) * inverse[i]


@njit(**_OPTIONS)
def residual_extras(lo, hi, node, neighbour, g, x, out):
    """out += g_ij x_j for the faces that stand outside the stencil."""
    for k in range(lo, hi):
        out[node[k]] += g[k] * x[neighbour[k]]


@njit(**_OPTIONS)
def divergence_extras(lo, hi, node, neighbour, g, D, u, out):
    """out_i += D g_ij (u_j - u_i) for the faces that stand outside the stencil."""
    for k in range(lo, hi):
        i = node[k]
        out[i] += D * (g[k] * (u[neighbour[k]] - u[i]))


@njit(**_OPTIONS)
def apply_extras(lo, hi, node, neighbour, g, D, u, out):
    """out_i += D g_ij (u_i - u_j) for the faces that stand outside the stencil; returns sum u_i of that."""
    product = 0.0
    for k in range(lo, hi):
        i = node[k]
        image = D * (g[k] * (u[i] - u[neighbour[k]]))
        out[i] += image
        product += u[i] * image
    return product


@njit(**_OPTIONS)
def restrict(lo, hi, child_start, child, fine, out):
    """out_k = sum of fine over the nodes of aggregate k."""
    for k in range(_U(lo), _U(hi)):
        first, end = _U(child_start[k]), _U(child_start[k + _U(1)])
        total = fine[_U(child[first])]
        for c in range(first + _U(1), end):
            total += fine[_U(child[c])]
        out[k] = total


@njit(**_OPTIONS)
def prolong(lo, hi, parent, coarse, out):
    """out_i += coarse of the aggregate of i."""
    for i in range(_U(lo), _U(hi)):
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

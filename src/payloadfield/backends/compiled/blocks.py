"""Whole-array operations of the compiled backend, serial or over threads, in the same order either way."""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import njit, prange

from payloadfield.backends.compiled import rows, stencil, vectors

BLOCK = vectors.BLOCK
_OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy"}


@njit(**_OPTIONS)
def _n_blocks(n):
    return (n + BLOCK - 1) // BLOCK


@njit(**_OPTIONS)
def add_products(out, a, rows, b, columns):
    """out += sum_k a[rows[k]] b[columns[k]], a block at a time: a sum stays in the cache until it is whole."""
    for block in range(_n_blocks(out.size)):
        first, last = block * BLOCK, min((block + 1) * BLOCK, out.size)
        for k in range(rows.size):
            factor, term = a[rows[k]], b[columns[k]]
            for i in range(first, last):
                out[i] += factor[i] * term[i]


@njit(**_OPTIONS)
def gather(entries, factor, touched_voxel, touched_start, touched_entry, out):
    """out[voxel] += factor * sum of the entries there, in a fixed order."""
    for k in range(touched_voxel.size):
        total = 0.0
        for j in range(touched_start[k], touched_start[k + 1]):
            total += entries[touched_entry[j]]
        out[touched_voxel[k]] += factor * total


@njit(**_OPTIONS)
def exchange(row_start, touching, strength, values, present, other, own, out):
    """out_i += sum_j g_ij present_i present_j (other values_j - own values_i), in a fixed order."""
    for i in range(out.size):
        total = 0.0
        for k in range(row_start[i], row_start[i + 1]):
            pair = strength[k] * (present[touching[k]] * present[i])
            total += pair * (other * values[touching[k]] - own * values[i])
        out[i] += total


@njit(**_OPTIONS)
def add_bath_flux(voxel, conductance, value, bath, out):
    """out += g_bath (bath - u) at the voxels that touch the bath."""
    for k in range(voxel.size):
        out[voxel[k]] += conductance[k] * (bath - value[voxel[k]])


@njit(**_OPTIONS)
def bath_inflow(voxel, conductance, value, bath):
    """sum g_bath (bath - u)."""
    total = 0.0
    for k in range(voxel.size):
        total += conductance[k] * (bath - value[voxel[k]])
    return total


@njit(**_OPTIONS)
def set_zeroth(sg, capacity, extra, out):
    """out = sg C + extra."""
    for i in range(out.size):
        out[i] = sg * capacity[i] + extra[i]


@njit(**_OPTIONS)
def state_error_norms(error, old, new, floor, out):
    """Root mean square over the cells of error / (floor + max(|old|, |new|)), for each state."""
    n_states, n_cells = error.shape
    for s in range(n_states):
        total = 0.0
        for c in range(n_cells):
            relative = error[s, c] / (floor[s] + max(abs(old[s, c]), abs(new[s, c])))
            total += relative * relative
        out[s] = np.sqrt(total / n_cells)


@cache
def make_operations(parallel: bool):
    """The operations that large problems share among threads."""

    @njit(parallel=parallel, **_OPTIONS)
    def dot(a, b, partial):
        if parallel:
            pass  # read from the closure: tells the two variants apart in Numba's cache
        n = a.size
        for k in prange(_n_blocks(n)):
            partial[k] = vectors.dot(k * BLOCK, min(n, (k + 1) * BLOCK), a, b)
        return vectors.total(0, _n_blocks(n), partial)

    @njit(parallel=parallel, **_OPTIONS)
    def total(a, partial):
        if parallel:
            pass
        n = a.size
        for k in prange(_n_blocks(n)):
            partial[k] = vectors.total(k * BLOCK, min(n, (k + 1) * BLOCK), a)
        return vectors.total(0, _n_blocks(n), partial)

    @njit(parallel=parallel, **_OPTIONS)
    def weighted_square(capacity, error, old, new, floor, partial):
        if parallel:
            pass
        n = error.size
        for k in prange(_n_blocks(n)):
            partial[k] = vectors.weighted_square(k * BLOCK, min(n, (k + 1) * BLOCK), capacity, error, old, new, floor)
        return vectors.total(0, _n_blocks(n), partial)

    @njit(parallel=parallel, **_OPTIONS)
    def combine(out, base, terms, coefficients):
        if parallel:
            pass
        n = out.size
        for k in prange(_n_blocks(n)):
            vectors.combine(k * BLOCK, min(n, (k + 1) * BLOCK), out, base, terms, coefficients)

    @njit(parallel=parallel, **_OPTIONS)
    def stage_rhs(levels, D, capacity, value, terms, coefficients, out):
        if parallel:
            pass
        n = out.size
        for k in prange(_n_blocks(n)):
            vectors.accumulate(k * BLOCK, min(n, (k + 1) * BLOCK), capacity, terms, coefficients, out)
        for k in prange(levels.chunk_start[1] - 1):
            stencil.divergence(levels.chunks[k], levels.chunks[k + 1], levels.segments, levels.g, D, value, out)
        rows.divergence_extras(
            0, levels.extra_start[1], levels.extra_node, levels.extra_neighbour, levels.extra_g, D, value, out
        )

    @njit(parallel=parallel, **_OPTIONS)
    def residual(levels, D, zeroth, value, image, rhs):
        if parallel:
            pass
        n = rhs.size
        for k in prange(levels.chunk_start[1] - 1):
            stencil.apply(levels.chunks[k], levels.chunks[k + 1], levels.segments, levels.g, D, zeroth, value, image)
        rows.apply_extras(
            0, levels.extra_start[1], levels.extra_node, levels.extra_neighbour, levels.extra_g, D, value, image
        )
        for k in prange(_n_blocks(n)):
            vectors.subtract(k * BLOCK, min(n, (k + 1) * BLOCK), image, rhs)

    return SimpleNamespace(
        dot=dot, total=total, weighted_square=weighted_square, combine=combine, stage_rhs=stage_rhs, residual=residual
    )

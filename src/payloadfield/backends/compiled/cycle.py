"""The V-cycle and the conjugate gradients, each one compiled call, serial or over threads.

Both variants run the same chunks and blocks in the same order, so that they agree bit for bit. They are made from plain
functions, with the compiled ones that they call put among their globals: Numba keeps those on disk, while a function
whose closure holds compiled ones would be compiled anew in every process.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np
from numba import njit, prange

from payloadfield.backends.compiled import rows, stencil, vectors

BLOCK = vectors.BLOCK
PARALLEL = False
"""Whether loops over chunks and blocks are shared among threads; its value in each variant is put there below."""


@njit(cache=True)
def _n_blocks(n):
    return (n + BLOCK - 1) // BLOCK


def smooth(levels, level, inverse, weight, b, x, out):
    """One weighted Jacobi step on one level."""
    first, last = levels.chunk_start[level], levels.chunk_start[level + 1] - 1
    lo, hi = levels.offset[level], levels.offset[level + 1]
    inv, bl, xl, ol = inverse[lo:hi], b[lo:hi], x[lo:hi], out[lo:hi]
    chunks, segments, g = levels.chunks, levels.segments, levels.g
    if PARALLEL and last - first > 1:
        for k in prange(first, last):
            stencil.smooth(chunks[k], chunks[k + 1], segments, g, lo, inv, weight, bl, xl, ol)
    else:
        stencil.smooth(chunks[first], chunks[last], segments, g, lo, inv, weight, bl, xl, ol)
    rows.smooth_extras(levels.extra_start[level], levels.extra_start[level + 1], levels.extra_node,
                       levels.extra_neighbour, levels.extra_g, inv, weight, xl, ol)  # fmt: skip


def residual(levels, level, inverse, b, x, out):
    """b - A x on one level."""
    first, last = levels.chunk_start[level], levels.chunk_start[level + 1] - 1
    lo, hi = levels.offset[level], levels.offset[level + 1]
    inv, bl, xl, ol = inverse[lo:hi], b[lo:hi], x[lo:hi], out[lo:hi]
    chunks, segments, g = levels.chunks, levels.segments, levels.g
    if PARALLEL and last - first > 1:
        for k in prange(first, last):
            stencil.residual(chunks[k], chunks[k + 1], segments, g, lo, inv, bl, xl, ol)
    else:
        stencil.residual(chunks[first], chunks[last], segments, g, lo, inv, bl, xl, ol)
    rows.residual_extras(levels.extra_start[level], levels.extra_start[level + 1], levels.extra_node,
                         levels.extra_neighbour, levels.extra_g, xl, ol)  # fmt: skip


def restrict(levels, level, fine, out):
    """out on the next level = sums of fine over its aggregates."""
    lo, hi = levels.offset[level + 1], levels.offset[level + 2]
    start, size = levels.child_start[lo - levels.offset[1] :], hi - lo
    source, target = fine[levels.offset[level] : lo], out[lo:hi]
    if PARALLEL and size > BLOCK:
        for k in prange(_n_blocks(size)):
            rows.restrict(k * BLOCK, min(size, (k + 1) * BLOCK), start, levels.child, source, target)
    else:
        rows.restrict(0, size, start, levels.child, source, target)


def prolong(levels, level, values):
    """values on a level += those of its aggregates."""
    lo, hi = levels.offset[level], levels.offset[level + 1]
    size, parent, target, source = hi - lo, levels.parent[lo:hi], values[lo:hi], values[hi:]
    if PARALLEL and size > BLOCK:
        for k in prange(_n_blocks(size)):
            rows.prolong(k * BLOCK, min(size, (k + 1) * BLOCK), parent, source, target)
    else:
        rows.prolong(0, size, parent, source, target)


def v_cycle(levels, inverse, first, second, b, x, t):
    """V-cycle of A / D from b[:n] and x[:n], its first smoothing step, to t[:n]."""
    bottom = levels.offset.size - 2
    for level in range(bottom):
        lo, hi = levels.offset[level], levels.offset[level + 1]
        if level > 0:
            rows.scale(lo, hi, inverse, first, b, x)
        smooth(levels, level, inverse, second, b, x, t)
        residual(levels, level, inverse, b, t, x)
        restrict(levels, level, x, b)
    rows.scale(levels.offset[bottom], levels.offset[bottom + 1], inverse, b.dtype.type(1.0), b, t)
    for level in range(bottom - 1, -1, -1):
        prolong(levels, level, t)
        smooth(levels, level, inverse, second, b, t, x)
        smooth(levels, level, inverse, first, b, x, t)


def conjugate_gradients(levels, D, zeroth, x, r, p, image, partial, inverse, weights, cycle_b, cycle_x, cycle_t,
                        most, enough):  # fmt: skip
    """Preconditioned conjugate gradients for A x = b; r holds b - A x on entry and the residual on return."""
    n = x.size
    n_blocks, n_chunks = _n_blocks(n), levels.chunk_start[1] - 1
    old, iterations = 0.0, 0
    for k in prange(n_blocks):
        partial[k] = vectors.dot(k * BLOCK, min(n, (k + 1) * BLOCK), r, r)
    size = np.sqrt(vectors.total(0, n_blocks, partial))
    while iterations < most and size > enough and np.isfinite(size):
        factor = 1.0 / (size * D)
        for k in prange(n_blocks):
            last = min(n, (k + 1) * BLOCK)
            vectors.first_guess(k * BLOCK, last, r, factor, inverse, weights[0], cycle_b, cycle_x)
        v_cycle(levels, inverse, weights[0], weights[1], cycle_b, cycle_x, cycle_t)
        for k in prange(n_blocks):
            partial[k] = vectors.dot(k * BLOCK, min(n, (k + 1) * BLOCK), r, cycle_t)
        new = size * vectors.total(0, n_blocks, partial)
        beta = new / old if iterations > 0 else 0.0
        for k in prange(n_blocks):
            vectors.direction(k * BLOCK, min(n, (k + 1) * BLOCK), cycle_t, size, beta, p)
        for k in prange(n_chunks):
            partial[k] = stencil.apply_dot(
                levels.chunks[k], levels.chunks[k + 1], levels.segments, levels.g, D, zeroth, p, image
            )
        extra = rows.apply_extras(0, levels.extra_start[1], levels.extra_node, levels.extra_neighbour,
                                  levels.extra_g, D, p, image)  # fmt: skip
        step = new / (vectors.total(0, n_chunks, partial) + extra)
        for k in prange(n_blocks):
            partial[k] = vectors.advance(k * BLOCK, min(n, (k + 1) * BLOCK), step, p, image, x, r)
        size = np.sqrt(vectors.total(0, n_blocks, partial))
        old = new
        iterations += 1
    return iterations, size


@cache
def make_conjugate_gradients(parallel: bool):
    """Compiled conjugate_gradients, with all that it calls, for one thread or several."""
    parts = {f.__name__: _compile(f, parallel) for f in (smooth, residual, restrict, prolong)}
    return _compile(conjugate_gradients, parallel, v_cycle=_compile(v_cycle, parallel, **parts))


def _compile(function: Callable[..., Any], parallel: bool, **names: Any) -> Callable[..., Any]:
    """A compiled variant of a function, with `names` among its globals and a name of its own in Numba's cache."""
    own = function.__globals__ | {"PARALLEL": parallel} | names
    variant = FunctionType(function.__code__, own, function.__name__)
    variant.__qualname__ = f"{function.__name__}_{'parallel' if parallel else 'serial'}"
    is_shared = parallel and "prange" in function.__code__.co_names
    compiled: Callable[..., Any] = njit(cache=True, parallel=is_shared, error_model="numpy")(variant)
    return compiled

"""The V-cycle and the conjugate gradients, each one compiled call, serial or over threads.

Both variants run the same chunks and blocks in the same order, so that they agree bit for bit.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from functools import cache

import numpy as np
from numba import njit, prange

from payloadfield.backends.compiled import rows, stencil, vectors

BLOCK = vectors.BLOCK
_SMALL_LEVEL = 30_000
"""Coarse levels with fewer nodes are not shared among threads."""


@njit(cache=True)
def _n_blocks(n):
    return (n + BLOCK - 1) // BLOCK


@cache
def make_cycle(parallel: bool):  # type: ignore[no-untyped-def]
    """V-cycle of A / D: b[:n] -> t[:n], all levels in flat arrays (see plan.Hierarchy)."""

    @njit(cache=True, parallel=parallel, error_model="numpy")
    def v_cycle(chunks, segments, g, offset, parent, child_start, child, row_start, column, conductance,
                inverse, first, second, b, x, t):  # fmt: skip
        threaded = parallel  # read from the closure: tells the two variants apart in Numba's cache
        n_levels = offset.size - 1
        n = offset[1]
        if n_levels == 1:
            for i in range(n):
                t[i] = inverse[i] * b[i]
            return
        n_chunks, n_blocks = chunks.size - 1, _n_blocks(n)
        b0, x0, t0, inverse0 = b[:n], x[:n], t[:n], inverse[:n]
        for k in prange(n_blocks):
            rows.scale(k * BLOCK, min(n, (k + 1) * BLOCK), inverse0, first, b0, x0)
        for k in prange(n_chunks):
            stencil.smooth(chunks[k], chunks[k + 1], segments, g, inverse0, second, b0, x0, t0)
        for k in prange(n_chunks):
            stencil.residual(chunks[k], chunks[k + 1], segments, g, inverse0, b0, t0, x0)
        n1 = offset[2] - n
        for k in prange(_n_blocks(n1)):
            rows.restrict(k * BLOCK, min(n1, (k + 1) * BLOCK), child_start, child, x0, b[n:])
        for level in range(1, n_levels - 1):
            lo, hi, top = offset[level], offset[level + 1], offset[level + 2]
            size, base = hi - lo, lo - n
            bl, xl, tl, inv = b[lo:hi], x[lo:hi], t[lo:hi], inverse[lo:hi]
            start = row_start[base : base + size + 1]
            rows.scale(0, size, inv, first, bl, xl)
            if threaded and size > _SMALL_LEVEL:
                for k in prange(_n_blocks(size)):
                    rows.smooth(k * BLOCK, min(size, (k + 1) * BLOCK), start, column, conductance, inv, second, bl, xl, tl)
                for k in prange(_n_blocks(size)):
                    rows.residual(k * BLOCK, min(size, (k + 1) * BLOCK), start, column, conductance, inv, bl, tl, xl)
            else:
                rows.smooth(0, size, start, column, conductance, inv, second, bl, xl, tl)
                rows.residual(0, size, start, column, conductance, inv, bl, tl, xl)
            rows.restrict(0, top - hi, child_start[hi - n :], child, xl, b[hi:top])
        last, end = offset[n_levels - 1], offset[n_levels]
        for i in range(last, end):
            t[i] = inverse[i] * b[i]
        for level in range(n_levels - 2, 0, -1):
            lo, hi = offset[level], offset[level + 1]
            size, base = hi - lo, lo - n
            bl, xl, tl, inv = b[lo:hi], x[lo:hi], t[lo:hi], inverse[lo:hi]
            start = row_start[base : base + size + 1]
            rows.prolong(0, size, parent[lo:hi], t[hi:], tl)
            if threaded and size > _SMALL_LEVEL:
                for k in prange(_n_blocks(size)):
                    rows.smooth(k * BLOCK, min(size, (k + 1) * BLOCK), start, column, conductance, inv, second, bl, tl, xl)
                for k in prange(_n_blocks(size)):
                    rows.smooth(k * BLOCK, min(size, (k + 1) * BLOCK), start, column, conductance, inv, first, bl, xl, tl)
            else:
                rows.smooth(0, size, start, column, conductance, inv, second, bl, tl, xl)
                rows.smooth(0, size, start, column, conductance, inv, first, bl, xl, tl)
        for k in prange(n_blocks):
            rows.prolong(k * BLOCK, min(n, (k + 1) * BLOCK), parent, t[n:], t0)
        for k in prange(n_chunks):
            stencil.smooth(chunks[k], chunks[k + 1], segments, g, inverse0, second, b0, t0, x0)
        for k in prange(n_chunks):
            stencil.smooth(chunks[k], chunks[k + 1], segments, g, inverse0, first, b0, x0, t0)

    return v_cycle


@cache
def make_conjugate_gradients(parallel: bool):  # type: ignore[no-untyped-def]
    """Preconditioned conjugate gradients for A x = b; r holds b - A x on entry and the residual on return."""
    v_cycle = make_cycle(parallel)

    @njit(cache=True, parallel=parallel, error_model="numpy")
    def conjugate_gradients(chunks, segments, g, D, zeroth, x, r, z, p, image, partial, levels, inverse, weights,
                            cycle_b, cycle_x, cycle_t, scale, fixed, most, tolerance):  # fmt: skip
        if parallel:
            pass  # read from the closure: tells the two variants apart in Numba's cache
        offset, parent, child_start, child, row_start, column, conductance = levels
        n = x.size
        n_blocks, n_chunks = _n_blocks(n), chunks.size - 1
        old, iterations, size = 0.0, 0, scale
        while iterations < most:
            for k in prange(n_blocks):
                partial[k] = vectors.largest(k * BLOCK, min(n, (k + 1) * BLOCK), r)
            peak = 0.0
            for k in range(n_blocks):
                peak = max(peak, partial[k])
            if peak == 0.0 or not np.isfinite(peak):
                size = peak
                break
            factor = 1.0 / (peak * D)
            for k in prange(n_blocks):
                vectors.narrow(k * BLOCK, min(n, (k + 1) * BLOCK), r, factor, cycle_b)
            v_cycle(chunks, segments, g, offset, parent, child_start, child, row_start, column, conductance,
                    inverse, weights[0], weights[1], cycle_b, cycle_x, cycle_t)  # fmt: skip
            for k in prange(n_blocks):
                partial[k] = vectors.widen_dot(k * BLOCK, min(n, (k + 1) * BLOCK), cycle_t, peak, r, z)
            new = vectors.total(0, n_blocks, partial)
            beta = new / old if iterations > 0 else 0.0
            for k in prange(n_blocks):
                vectors.direction(k * BLOCK, min(n, (k + 1) * BLOCK), z, beta, p)
            for k in prange(n_chunks):
                stencil.apply(chunks[k], chunks[k + 1], segments, g, D, zeroth, p, image)
            for k in prange(n_blocks):
                partial[k] = vectors.dot(k * BLOCK, min(n, (k + 1) * BLOCK), p, image)
            step = new / vectors.total(0, n_blocks, partial)
            for k in prange(n_blocks):
                partial[k] = vectors.advance(k * BLOCK, min(n, (k + 1) * BLOCK), step, p, image, x, r)
            size = np.sqrt(vectors.total(0, n_blocks, partial))
            old = new
            iterations += 1
            if iterations >= fixed and size <= tolerance * scale:
                break
        return iterations, size

    return conjugate_gradients

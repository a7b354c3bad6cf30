"""Vector kernels over one block of indices [lo, hi): one equation each, compiled by Numba.

Indices are unsigned so that Numba adds no wrap-around test, which would keep the loops from vectorising.
Sums may be reassociated inside a block (so that they vectorise); blocks are combined in order, so that a result does
not depend on the number of threads.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

BLOCK = 8192
"""Voxels of one block of a vector operation."""

_U = np.uint64
_OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy"}
_SUM: dict[str, Any] = {"cache": True, "error_model": "numpy", "fastmath": {"reassoc"}}


@njit(**_SUM)
def dot(lo, hi, a, b):
    """sum a b."""
    total = 0.0
    for i in range(_U(lo), _U(hi)):
        total += a[i] * b[i]
    return total


@njit(**_SUM)
def total(lo, hi, a):
    """sum a."""
    value = 0.0
    for i in range(_U(lo), _U(hi)):
        value += a[i]
    return value


@njit(**_OPTIONS)
def subtract(lo, hi, a, out):
    """out -= a."""
    for i in range(_U(lo), _U(hi)):
        out[i] -= a[i]


@njit(**_OPTIONS)
def first_guess(lo, hi, r, factor, inverse, weight, b, x):
    """b = factor r in the precision of b, x = weight b / diagonal: the first smoothing step, from zero."""
    for i in range(_U(lo), _U(hi)):
        scaled = b.dtype.type(factor * r[i])
        b[i] = scaled
        x[i] = weight * (scaled * inverse[i])


@njit(**_OPTIONS)
def direction(lo, hi, z, factor, beta, p):
    """p = factor z + beta p."""
    for i in range(_U(lo), _U(hi)):
        p[i] = factor * z[i] + beta * p[i]


@njit(**_SUM)
def advance(lo, hi, step, p, image, x, r):
    """x += step p, r -= step A p; returns sum r^2."""
    value = 0.0
    for i in range(_U(lo), _U(hi)):
        x[i] += step * p[i]
        r[i] -= step * image[i]
        value += r[i] * r[i]
    return value


@njit(**_SUM)
def weighted_square(lo, hi, capacity, error, old, new, floor):
    """sum C (error / (floor + max(|old|, |new|)))^2."""
    value = 0.0
    for i in range(_U(lo), _U(hi)):
        relative = error[i] / (floor + max(abs(old[i]), abs(new[i])))
        value += capacity[i] * relative * relative
    return value


@njit(**_OPTIONS)
def accumulate(lo, hi, capacity, terms, coefficients, out):
    """out += C sum_k coefficients[k] terms[k]; at most three terms, the earlier stages of a step."""
    k = terms.shape[0]
    if k == 1:
        for i in range(_U(lo), _U(hi)):
            out[i] += capacity[i] * (coefficients[0] * terms[0, i])
    elif k == 2:
        for i in range(_U(lo), _U(hi)):
            out[i] += capacity[i] * (coefficients[0] * terms[0, i] + coefficients[1] * terms[1, i])
    elif k == 3:
        for i in range(_U(lo), _U(hi)):
            history = coefficients[0] * terms[0, i] + coefficients[1] * terms[1, i] + coefficients[2] * terms[2, i]
            out[i] += capacity[i] * history


@njit(**_OPTIONS)
def combine(lo, hi, out, base, terms, coefficients):
    """out = base + sum_k coefficients[k] terms[k]; an empty base is zero, at most four terms."""
    k = terms.shape[0]
    zero = base.size == 0
    for i in range(_U(lo), _U(hi)):
        out[i] = 0.0 if zero else base[i]
    if k == 1:
        for i in range(_U(lo), _U(hi)):
            out[i] += coefficients[0] * terms[0, i]
    elif k == 2:
        for i in range(_U(lo), _U(hi)):
            out[i] += coefficients[0] * terms[0, i] + coefficients[1] * terms[1, i]
    elif k == 3:
        for i in range(_U(lo), _U(hi)):
            out[i] += coefficients[0] * terms[0, i] + coefficients[1] * terms[1, i] + coefficients[2] * terms[2, i]
    elif k == 4:
        for i in range(_U(lo), _U(hi)):
            early = coefficients[0] * terms[0, i] + coefficients[1] * terms[1, i]
            out[i] += early + coefficients[2] * terms[2, i] + coefficients[3] * terms[3, i]

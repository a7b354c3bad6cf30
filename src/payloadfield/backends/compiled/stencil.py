"""Stencil kernels over segments: one equation each, compiled by Numba.

g: (6, n) face conductances per direction [um]; D: diffusivity [um^2/s]. Indices are unsigned so that Numba adds no
wrap-around test, which would keep the loops from vectorising; see segments.py for what a segment is. base: node of g
at which a level starts.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_U = np.uint64
_OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy"}
_SUM: dict[str, Any] = {"cache": True, "error_model": "numpy", "fastmath": {"reassoc"}}


@njit(**_OPTIONS)
def divergence(lo, hi, segments, g, D, u, out):
    """out_i += D sum_j g_ij (u_j - u_i); differences first, so that fluxes cancel exactly between neighbours."""
    g0, g1, g2, g3, g4, g5 = g[0], g[1], g[2], g[3], g[4], g[5]
    for s in range(lo, hi):
        a, b = segments[s, 0], segments[s, 1]
        xm, xp, ym, yp, zm, zp = (
            segments[s, 2], segments[s, 3], segments[s, 4], segments[s, 5], segments[s, 6], segments[s, 7],
        )  # fmt: skip
        for k in range(a, b):
            i = _U(k)
            c = u[i]
            flux = g0[i] * (u[_U(k + xm)] - c) + g1[i] * (u[_U(k + xp)] - c)
            flux += g2[i] * (u[_U(k + ym)] - c) + g3[i] * (u[_U(k + yp)] - c)
            flux += g4[i] * (u[_U(k + zm)] - c) + g5[i] * (u[_U(k + zp)] - c)
            out[i] += D * flux


@njit(**_OPTIONS)
def apply(lo, hi, segments, g, D, zeroth, u, out):
    """out = zeroth u + D sum_j g_ij (u_i - u_j)."""
    g0, g1, g2, g3, g4, g5 = g[0], g[1], g[2], g[3], g[4], g[5]
    for s in range(lo, hi):
        a, b = segments[s, 0], segments[s, 1]
        xm, xp, ym, yp, zm, zp = (
            segments[s, 2], segments[s, 3], segments[s, 4], segments[s, 5], segments[s, 6], segments[s, 7],
        )  # fmt: skip
        for k in range(a, b):
            i = _U(k)
            c = u[i]
            flux = g0[i] * (c - u[_U(k + xm)]) + g1[i] * (c - u[_U(k + xp)])
            flux += g2[i] * (c - u[_U(k + ym)]) + g3[i] * (c - u[_U(k + yp)])
            flux += g4[i] * (c - u[_U(k + zm)]) + g5[i] * (c - u[_U(k + zp)])
            out[i] = zeroth[i] * c + D * flux


@njit(**_SUM)
def apply_dot(lo, hi, segments, g, D, zeroth, u, out):
    """out = A u = zeroth u + D sum_j g_ij (u_i - u_j); returns sum u A u."""
    product = 0.0
    g0, g1, g2, g3, g4, g5 = g[0], g[1], g[2], g[3], g[4], g[5]
    for s in range(lo, hi):
        a, b = segments[s, 0], segments[s, 1]
        xm, xp, ym, yp, zm, zp = (
            segments[s, 2], segments[s, 3], segments[s, 4], segments[s, 5], segments[s, 6], segments[s, 7],
        )  # fmt: skip
        for k in range(a, b):
            i = _U(k)
            c = u[i]
            flux = g0[i] * (c - u[_U(k + xm)]) + g1[i] * (c - u[_U(k + xp)])
            flux += g2[i] * (c - u[_U(k + ym)]) + g3[i] * (c - u[_U(k + yp)])
            flux += g4[i] * (c - u[_U(k + zm)]) + g5[i] * (c - u[_U(k + zp)])
            image = zeroth[i] * c + D * flux
            out[i] = image
            product += c * image
    return product


@njit(**_OPTIONS)
def smooth(lo, hi, segments, g, base, inverse, weight, b, x, out):
    """out = x + weight (b - A x) / diagonal = (1 - weight) x + weight (b + sum_j g_ij x_j) * inverse diagonal."""
    g0, g1, g2, g3, g4, g5 = g[0][base:], g[1][base:], g[2][base:], g[3][base:], g[4][base:], g[5][base:]
    keep = b.dtype.type(1.0) - weight
    for s in range(lo, hi):
        a, e = segments[s, 0], segments[s, 1]
        xm, xp, ym, yp, zm, zp = (
            segments[s, 2], segments[s, 3], segments[s, 4], segments[s, 5], segments[s, 6], segments[s, 7],
        )  # fmt: skip
        for k in range(a, e):
            i = _U(k)
            total = g0[i] * x[_U(k + xm)] + g1[i] * x[_U(k + xp)]
            total += g2[i] * x[_U(k + ym)] + g3[i] * x[_U(k + yp)]
            total += g4[i] * x[_U(k + zm)] + g5[i] * x[_U(k + zp)]
            out[i] = keep * x[i] + weight * (b[i] + total) * inverse[i]


@njit(**_OPTIONS)
def residual(lo, hi, segments, g, base, inverse, b, x, out):
    """out = b - A x = b + sum_j g_ij x_j - x / inverse diagonal."""
    g0, g1, g2, g3, g4, g5 = g[0][base:], g[1][base:], g[2][base:], g[3][base:], g[4][base:], g[5][base:]
    for s in range(lo, hi):
        a, e = segments[s, 0], segments[s, 1]
        xm, xp, ym, yp, zm, zp = (
            segments[s, 2], segments[s, 3], segments[s, 4], segments[s, 5], segments[s, 6], segments[s, 7],
        )  # fmt: skip
        for k in range(a, e):
            i = _U(k)
            total = g0[i] * x[_U(k + xm)] + g1[i] * x[_U(k + xp)]
            total += g2[i] * x[_U(k + ym)] + g3[i] * x[_U(k + yp)]
            total += g4[i] * x[_U(k + zm)] + g5[i] * x[_U(k + zp)]
            out[i] = b[i] + total - x[i] / inverse[i]

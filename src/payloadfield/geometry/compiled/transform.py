"""Squared distances between voxels of two kinds, exact, one axis after the other (Felzenszwalb and Huttenlocher 2012).

Along a row every voxel looks at the run of its own kind that it lies in: the voxels of the run, each with the squared
distance found so far, and the voxels of the other kind at both ends of the run, which have none. So one sweep finds the
distances of both kinds.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}

FAR = np.int32(2**31 - 1)
"""Nothing of the other kind was met yet."""
# Rows along z treated together, whose voxels lie side by side.
TOGETHER = 16


@njit(**_OPTIONS)
def squared_distances(kind, periodic, squared):
    """Squared distance of each voxel to the nearest one of the other kind, in voxels; FAR if there is none.

    kind: (nz, ny, nx) of 0 and 1; periodic: along z, y, x; squared: (nz, ny, nx) of int32, to be filled
    """
    nz, ny, nx = kind.shape
    most = 3 * max(nz, ny, nx)
    values, kinds = np.empty(most, np.int32), np.empty(most, np.uint8)
    found, at, start = np.empty(most, np.int32), np.empty(most, np.int64), np.empty(most)
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                values[x], kinds[x] = FAR, kind[z, y, x]
            _sweep(values, kinds, nx, periodic[2], found, at, start)
            for x in range(nx):
                squared[z, y, x] = values[x]
    for z in range(nz):
        for x0 in range(0, nx, TOGETHER):
            for x in range(x0, min(nx, x0 + TOGETHER)):
                for y in range(ny):
                    values[y], kinds[y] = squared[z, y, x], kind[z, y, x]
                _sweep(values, kinds, ny, periodic[1], found, at, start)
                for y in range(ny):
                    squared[z, y, x] = values[y]
    block, block_kind = np.empty((TOGETHER, nz), np.int32), np.empty((TOGETHER, nz), np.uint8)
    for y in range(ny):
        for x0 in range(0, nx, TOGETHER):
            n = min(TOGETHER, nx - x0)
            for z in range(nz):
                for k in range(n):
                    block[k, z], block_kind[k, z] = squared[z, y, x0 + k], kind[z, y, x0 + k]
            for k in range(n):
                for z in range(nz):
                    values[z], kinds[z] = block[k, z], block_kind[k, z]
                _sweep(values, kinds, nz, periodic[0], found, at, start)
                for z in range(nz):
                    block[k, z] = values[z]
            for z in range(nz):
                for k in range(n):
                    squared[z, y, x0 + k] = block[k, z]


@njit(**_OPTIONS)
def _sweep(values, kinds, n, is_periodic, found, at, start):
    """Take the other voxels of a row into its values; a periodic row is looked at with its images on both sides."""
    shift = 0
    if is_periodic:
        shift = n
        for i in range(n):
            values[n + i] = values[2 * n + i] = values[i]
            kinds[n + i] = kinds[2 * n + i] = kinds[i]
    length = 3 * n if is_periodic else n
    first = 0
    while first < length:
        last = first
        while last + 1 < length and kinds[last + 1] == kinds[first]:
            last += 1
        _lower_run(values, first, last, length, found, at, start)
        first = last + 1
    for i in range(n):
        values[i] = found[shift + i]


@njit(**_OPTIONS)
def _lower_run(values, first, last, length, found, at, start):
    """min over k of values[k] + (i - k)^2 in a run, the others next to it counting as zero."""
    n = 0
    low = first - 1 if first > 0 else first
    high = last + 1 if last + 1 < length else last
    for k in range(low, high + 1):
        own = 0 if k < first or k > last else values[k]
        if own == FAR:
            continue
        # The parabola of k is the lowest one from `begin` on.
        begin = -np.inf
        while n > 0:
            before = at[n - 1]
            value = 0 if before < first or before > last else values[before]
            begin = ((own + k * k) - (value + before * before)) / (2.0 * (k - before))
            if begin > start[n - 1]:
                break
            n -= 1
            begin = -np.inf
        at[n], start[n] = k, begin
        n += 1
    if n == 0:
        for i in range(first, last + 1):
            found[i] = FAR
        return
    m = 0
    for i in range(first, last + 1):
        while m + 1 < n and start[m + 1] < i:
            m += 1
        k = at[m]
        own = 0 if k < first or k > last else values[k]
        found[i] = own + (i - k) * (i - k)

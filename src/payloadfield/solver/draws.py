"""Random numbers that depend on what they are for and on nothing else: a counter-based generator for many cells.

Philox4x64-10 (Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3), as in NumPy, which however makes one
stream at a time. No state is kept: a number is the same for any order of cells, any number of threads, any steps.
"""

from __future__ import annotations

import hashlib
import zlib

import numpy as np
from numpy.typing import NDArray

_Words = NDArray[np.uint64]
_Floats = NDArray[np.float64]

_ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157))
_WEYL = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B))
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox(counter: tuple[_Words, ...], key: tuple[int, int]) -> tuple[_Words, ...]:
    """Four words of 64 random bits for every counter of four words (n,); key: two words."""
    a, b, c, d = counter
    first, second = (np.uint64(word % 2**64) for word in key)
    with np.errstate(over="ignore"):
        for _ in range(_ROUNDS):
            high_a, low_a = _product(a, _MULTIPLIERS[0])
            high_c, low_c = _product(c, _MULTIPLIERS[1])
            a, b, c, d = high_c ^ b ^ first, low_c, high_a ^ d ^ second, low_a
            first, second = first + _WEYL[0], second + _WEYL[1]
    return a, b, c, d


def _product(x: _Words, m: np.uint64) -> tuple[_Words, _Words]:
    """High and low word of x m."""
    x_low, x_high, m_low, m_high = x & _LOW, x >> _HALF, m & _LOW, m >> _HALF
    low, middle, other = x_low * m_low, x_high * m_low, x_low * m_high
    carry = (low >> _HALF) + (middle & _LOW) + (other & _LOW)
    high = x_high * m_high + (middle >> _HALF) + (other >> _HALF) + (carry >> _HALF)
    return high, x * m


def uniform(seed: int, purpose: str, who: _Words, count: NDArray[np.int64]) -> _Floats:
    """Numbers in [0, 1), each decided by seed, purpose, who (n,) and how many were drawn for this before (n,)."""
    zero = np.zeros_like(who)
    words = philox((who, count.astype(np.uint64), zero, zero), (seed, zlib.crc32(purpose.encode())))
    found: _Floats = (words[0] >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return found


def exponential(seed: int, purpose: str, who: _Words, count: NDArray[np.int64]) -> _Floats:
    """Numbers of the exponential distribution of mean 1; see `uniform`."""
    found: _Floats = -np.log1p(-uniform(seed, purpose, who, count))
    return found


def identities(position: _Floats, types: NDArray[np.str_]) -> _Words:
    """A number for every cell that is its own: of its place (n, 3) and its type (n,), whatever its row.

    Cells of one type at the very same place are told apart in their order.
    """
    seen: dict[bytes, int] = {}
    found = np.empty(len(types), np.uint64)
    for row, (place, name) in enumerate(zip(np.ascontiguousarray(position), types, strict=True)):
        text = place.tobytes() + str(name).encode()
        seen[text] = seen.get(text, -1) + 1
        digest = hashlib.blake2b(text + seen[text].to_bytes(8, "little"), digest_size=8)
        found[row] = int.from_bytes(digest.digest(), "little")
    return found

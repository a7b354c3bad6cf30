"""Independent random numbers for every request and purpose."""

import zlib

import numpy as np

from payloadfield.errors import CellsError


def random_stream(seed: int, request: int, purpose: str) -> np.random.Generator:
    """Generator that depends on the seed, the request and the purpose alone.

    So another request, or another parameter that varies, changes none of the numbers drawn before.
    """
    if seed < 0:
        raise CellsError(f"seed: got {seed}; a whole number of at least 0 is needed")
    return np.random.default_rng([seed, request, zlib.crc32(purpose.encode())])

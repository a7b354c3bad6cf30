"""Our smoother and matrix-vector kernels at 128^3, as a share of the triad's bandwidth measured in turn.

Bytes that must move are counted once, as STREAM counts them: six face conductances, and each vector read or written.
    smoother (float32)        g (6), inverse diagonal, b, x -> out     10 numbers, 40 bytes a voxel
    matrix-vector (float64)   g (6, stored in the preconditioner's precision), zeroth, u -> out
"""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import bandwidth
from benchmarks.measure import Result
from benchmarks.ours import make_empty_box
from payloadfield.backends.compiled import stencil

TARGET = 0.6


def measure_kernels(n: int = 128, rounds: int = 15) -> Iterator[Result]:
    """Share of the triad's bandwidth, smoother and matrix-vector product, one thread, an open box."""
    from payloadfield.solver.simulation import Simulation

    backend: Any = Simulation(make_empty_box(n)).backend
    levels, size = backend._levels[0], n**3
    span = (levels.chunks[0], levels.chunks[levels.chunk_start[1] - 1], levels.segments)
    single = [np.ones(size, np.float32) for _ in range(4)]
    double = [np.ones(size) for _ in range(3)]

    def smooth() -> None:
        inverse, b, x, out = single
        stencil.smooth(*span, levels.g, 0, inverse, np.float32(0.6), b, x, out)

    def multiply() -> None:
        stencil.apply_dot(*span, levels.g, 60.0, *double)

    g_bytes = 6 * levels.g.dtype.itemsize
    yield _share(f"smoother {n}^3", smooth, size, g_bytes + 16, np.float32, rounds)
    yield _share(f"matrix-vector product {n}^3", multiply, size, g_bytes + 24, np.float64, rounds)


def _share(name: str, kernel: Callable[[], None], size: int, per_voxel: int, dtype: Any, rounds: int) -> Result:
    """Bandwidth of a kernel over that of the triad on large arrays of the same type, taken in turn."""
    kernel()
    triad, own = [], []
    for _ in range(rounds):
        triad.append(bandwidth.measure_triad(dtype=dtype, rounds=1))
        start = time.process_time()
        kernel()
        own.append(size * per_voxel / (time.process_time() - start) / 1e9)
    ratio = statistics.median(a / b for a, b in zip(own, triad, strict=True))
    detail = {"GB/s": statistics.median(own), "triad GB/s": statistics.median(triad), "bytes per voxel": per_voxel}
    return Result(f"{name} / triad", ratio, "ratio", TARGET, "at least", detail)

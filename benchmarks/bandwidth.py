"""Memory bandwidth by the STREAM triad, a = b + s c, to set the bytes per second of our kernels beside the machine's.

24 (float64) or 12 (float32) bytes an element are counted, as STREAM does: two reads and a write, no write-allocate.
McCalpin (1995), IEEE TCCA Newsletter.
"""

import statistics
import time

import numpy as np
from numba import get_num_threads, njit, prange, set_num_threads
from numpy.typing import DTypeLike

LARGE = 1 << 24  # elements: 128 MiB an array in float64, far beyond any cache
KERNEL_SIZE = 128**3  # the grid at which our kernels are measured


@njit(cache=True)
def _triad(a, b, c, s):
    for i in range(a.size):
        a[i] = b[i] + s * c[i]


@njit(cache=True, parallel=True)
def _triad_parallel(a, b, c, s):
    for i in prange(a.size):
        a[i] = b[i] + s * c[i]


def measure_triad(size: int = LARGE, dtype: DTypeLike = np.float64, threads: int = 1, rounds: int = 15) -> float:
    """Median bandwidth [GB/s] of the triad on `size` elements: by CPU time of one thread, wall time of several."""
    kind = np.dtype(dtype)
    a, b, c = np.zeros(size, kind), np.ones(size, kind), np.ones(size, kind)
    kernel, scale = (_triad if threads == 1 else _triad_parallel), kind.type(3)
    clock = time.process_time if threads == 1 else time.perf_counter
    before = get_num_threads()
    set_num_threads(threads)
    try:
        kernel(a, b, c, scale)
        seconds = []
        for _ in range(rounds):
            start = clock()
            kernel(a, b, c, scale)
            seconds.append(clock() - start)
    finally:
        set_num_threads(before)
    return 3 * kind.itemsize * size / statistics.median(seconds) / 1e9


def measure_all(thread_counts: tuple[int, ...] = (1, 2)) -> dict[str, float]:
    """Bandwidth [GB/s] by size, type and thread count."""
    found = {}
    for threads in thread_counts:
        for label, size in (("large", LARGE), ("128^3", KERNEL_SIZE)):
            for dtype in (np.float64, np.float32):
                key = f"{label} {np.dtype(dtype).name} {threads} thread{'s' if threads > 1 else ''}"
                found[key] = measure_triad(size, dtype, threads)
    return found


if __name__ == "__main__":
    for name, gigabytes in measure_all().items():
        print(f"{name:28s} {gigabytes:6.1f} GB/s")

"""Which processors and GPUs a run could use on this machine, and why not the others."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from payloadfield.backends.cores import count_usable_cores
from payloadfield.backends.registry import BACKENDS


def find_devices() -> dict[str, Any]:
    """Cores, memory [bytes] and, for every backend, whether it is usable here and why."""
    import psutil

    memory = psutil.virtual_memory()
    return {
        "cores": os.cpu_count() or 1,
        "cores_usable": count_usable_cores(),
        "memory_total": memory.total,
        "memory_free": memory.available,
        "backends": [_describe_numpy(), _describe_numba(), _describe_cupy()],
    }


def _describe_numpy() -> dict[str, Any]:
    import numpy

    return _line("numpy", f"NumPy {numpy.__version__}, the reference, written for reading", is_usable=True)


def _describe_numba() -> dict[str, Any]:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import numba

    reason = f"Numba {numba.__version__}, {numba.get_num_threads()} threads; the default on a CPU"
    return _line("numba", reason, is_usable=True)


def _describe_cupy() -> dict[str, Any]:
    if find_spec("cupy") is None:
        return _line("cupy", "CuPy is not installed", is_usable=False, device="GPU")
    if "cupy" not in BACKENDS:
        return _line("cupy", "CuPy is installed; this version has no GPU backend", is_usable=False, device="GPU")
    return _line("cupy", "CuPy is installed", is_usable=True, device="GPU")


def _line(backend: str, reason: str, *, is_usable: bool, device: str = "CPU") -> dict[str, Any]:
    return {"backend": backend, "device": device, "is_usable": is_usable, "reason": reason}

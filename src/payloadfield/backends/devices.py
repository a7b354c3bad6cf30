"""Which processors and GPUs a run could use on this machine, and why not the others."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from payloadfield.backends.cores import count_usable_cores
from payloadfield.backends.cuda.status import Status, examine, spell_version


def find_devices() -> dict[str, Any]:
    """Cores, memory [bytes] and, for every backend, whether it is usable here and why."""
    total, free = _find_memory()
    return {
        "cores": os.cpu_count() or 1,
        "cores_usable": count_usable_cores(),
        "memory_total": total,
        "memory_free": free,
        "backends": [_describe_numpy(), _describe_numba(), _describe_cupy()],
    }


def _find_memory() -> tuple[int, int]:
    """Memory of the machine and what of it is free [bytes]; from the system itself on a bare machine."""
    try:
        import psutil
    except ImportError:
        page, total, free = (os.sysconf(f"SC_{name}") for name in ("PAGE_SIZE", "PHYS_PAGES", "AVPHYS_PAGES"))
        return page * total, page * free
    memory = psutil.virtual_memory()
    return int(memory.total), int(memory.available)


def _describe_numpy() -> dict[str, Any]:
    import numpy

    return _line("numpy", f"NumPy {numpy.__version__}, the reference, written for reading", is_usable=True)


def _describe_numba() -> dict[str, Any]:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import numba

    reason = f"Numba {numba.__version__}, {numba.get_num_threads()} threads; the default on a CPU"
    return _line("numba", reason, is_usable=True)


def _describe_cupy() -> dict[str, Any]:
    """One line on the GPU backend: versions and devices, or why it is not usable."""
    status = examine()
    line = _line("cupy", status.reason or _spell(status), is_usable=status.is_usable, device="GPU")
    versions = {"cupy": status.cupy_version, "driver": status.driver, "runtime": status.runtime}
    return {**line, "versions": versions, "devices": [asdict(device) for device in status.devices]}


def _spell(status: Status) -> str:
    """Versions, and every device with its free memory."""
    found = [
        f"{device.number}: {device.name}, "
        + (device.reason_against or f"{device.memory_free / 1e9:.1f} of {device.memory_total / 1e9:.1f} GB free")
        for device in status.devices
    ]
    versions = f"driver for CUDA {spell_version(status.driver)}, CUDA {spell_version(status.runtime)}"
    return f"CuPy {status.cupy_version}, {versions}; {'; '.join(found)}"


def _line(backend: str, reason: str, *, is_usable: bool, device: str = "CPU") -> dict[str, Any]:
    return {"backend": backend, "device": device, "is_usable": is_usable, "reason": reason}

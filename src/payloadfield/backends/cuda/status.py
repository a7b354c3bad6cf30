"""Whether CuPy and a GPU can be used here, and if not, why and what to do."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

OLDEST_ARCHITECTURE = 75
OLDEST_DRIVER = 12000
"""The oldest CUDA that a driver must support: that of the oldest CuPy that we install."""

INSTALL = "pip install 'payloadfield[cuda13]', or [cuda12] for a driver older than 580"


@dataclass(frozen=True)
class Device:
    """One GPU: number, name, compute capability as 90 for 9.0, memory [bytes], and what is against it, or nothing."""

    number: int
    name: str
    architecture: int
    memory_free: int
    memory_total: int
    reason_against: str = ""


@dataclass(frozen=True)
class Status:
    """reason: why no GPU is usable, or what is there. driver, runtime: CUDA versions as 13020, 0 where not known."""

    is_usable: bool
    reason: str
    cupy_version: str = ""
    driver: int = 0
    runtime: int = 0
    devices: tuple[Device, ...] = ()


def load_cupy() -> Any:
    """CuPy; kernels are loaded when they are compiled, not at their first launch, which a graph could not take in."""
    os.environ.setdefault("CUDA_MODULE_LOADING", "EAGER")
    import cupy

    return cupy


def examine() -> Status:
    """What there is for the GPU backend; asks the driver, computes nothing."""
    if find_spec("cupy") is None:
        return Status(False, f"CuPy is not installed ({INSTALL})")
    try:
        cupy = load_cupy()
    except ImportError as error:
        first = (str(error).strip().splitlines() or ["no reason given"])[0]
        return Status(False, f"CuPy is installed and does not load: {first}. Install it anew: {INSTALL}")
    runtime = cupy.cuda.runtime
    known = {"cupy_version": str(cupy.__version__), "driver": runtime.driverGetVersion()}
    known["runtime"] = runtime.runtimeGetVersion()
    reason = _reason_against_driver(known["driver"], known["runtime"]) or _reason_against_compiler(cupy)
    if reason:
        return Status(False, reason, **known)
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        return Status(False, f"no GPU is found: {error}", **known)
    devices = tuple(_describe(cupy, number) for number in range(count))
    if not any(not device.reason_against for device in devices):
        reason = devices[0].reason_against if devices else "no GPU is found"
        return Status(False, reason, devices=devices, **known)
    return Status(True, "", devices=devices, **known)


def spell_version(version: int) -> str:
    """13020 as 13.2."""
    return f"{version // 1000}.{version % 1000 // 10}"


def _reason_against_driver(driver: int, runtime: int) -> str:
    if driver == 0:
        return "no NVIDIA driver is found; install one, 525 or newer, from your system or nvidia.com"
    if driver < OLDEST_DRIVER:
        return (
            f"the NVIDIA driver is too old: it supports CUDA {spell_version(driver)}, and "
            f"{spell_version(OLDEST_DRIVER)} is needed; install driver 525 or newer"
        )
    if driver // 1000 < runtime // 1000:
        return (
            f"CuPy is built for CUDA {spell_version(runtime)}, and the NVIDIA driver supports CUDA "
            f"{spell_version(driver)}: pip uninstall cupy-cuda{runtime // 1000}x, then pip install "
            f"'payloadfield[cuda{driver // 1000}]', or install a newer driver"
        )
    return ""


def _reason_against_compiler(cupy: Any) -> str:
    """CuPy's wheels leave NVRTC to another package."""
    try:
        cupy.cuda.nvrtc.getVersion()
    except (RuntimeError, ImportError, OSError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        major = cupy.cuda.runtime.runtimeGetVersion() // 1000
        return f"CuPy finds no CUDA compiler (NVRTC: {first}): pip install 'payloadfield[cuda{major}]'"
    return ""


def _describe(cupy: Any, number: int) -> Device:
    runtime = cupy.cuda.runtime
    try:
        properties = runtime.getDeviceProperties(number)
        with cupy.cuda.Device(number):
            free, total = runtime.memGetInfo()
    except runtime.CUDARuntimeError as error:
        return Device(number, "GPU", 0, 0, 0, f"GPU {number} does not answer: {error}")
    name = properties["name"]
    name = name.decode() if isinstance(name, bytes) else str(name)
    architecture = 10 * int(properties["major"]) + int(properties["minor"])
    reason = ""
    if architecture < OLDEST_ARCHITECTURE:
        reason = (
            f"{name} has compute capability {architecture / 10:.1f}; {OLDEST_ARCHITECTURE / 10:.1f} or more is needed"
        )
    return Device(number, name, architecture, int(free), int(total), reason)

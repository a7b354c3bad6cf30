"""manifest.json: what made this run, on which machine, and how far it came."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payloadfield.errors import RunError
from payloadfield.library import count_grades
from payloadfield.mechanism.exposures import result_names
from payloadfield.store.digest import study_digest
from payloadfield.store.files import write_atomically
from payloadfield.store.layout import LAYOUT_VERSION, MANIFEST

if TYPE_CHECKING:
    from payloadfield.study import Study

_PACKAGES = ("payloadfield", "numpy", "numba", "scipy", "h5py")

LARGEST_DEFECT = {"mixed": 1e-9, "float64": 1e-9, "float32": 1e-3}
"""Relative defect of a balance that rounding cannot explain, by solver.precision: runs of every kind stay below 1e-11
with a state in double precision, and below 2e-4 with one in single precision."""


def make_manifest(study: Study, *, backend: str, backend_reason: str, command: Sequence[str]) -> dict[str, Any]:
    """Manifest of a run that starts now."""
    return {
        "layout_version": LAYOUT_VERSION,
        "title": study.title,
        "mechanism": study.mechanism.name,
        "modules": dict(study.mechanism.modules),
        "fates": {fate.name: fate.lysis is not None for fate in study.mechanism.fates},
        "duration_s": float(study.duration),
        "exposures": [state.name for state in study.mechanism.states if state.kind == "exposure"],
        "peaks": result_names(study.output.peaks, study.output.thresholds),
        "events_s": [float(event.time) for event in study.schedule],
        "periodic_zyx": [bool(axis) for axis in study.geometry.grid.periodic],
        "inputs_by_grade": count_grades(source.grade for source in study.sources),
        "bath_sides": sorted(study.bath.sides),
        "state": "running",
        "reason": "",
        "time_reached_s": 0.0,
        "backend": backend,
        "backend_reason": backend_reason,
        "precision": study.solver.precision,
        "command": list(command),
        "study_digest": study_digest(study),
        "started": _now(),
        "updated": _now(),
        "largest_defect": 0.0,
        "notes": [],
        "cpu_seconds": 0.0,
        "wall_seconds": 0.0,
        "versions": _versions(),
        "machine": _machine(),
    }


def is_balanced(manifest: Mapping[str, Any]) -> bool:
    """Whether rounding explains what a run's balances are off by; runs of older versions have a state in double."""
    limit = LARGEST_DEFECT[manifest.get("precision", "mixed")]
    return bool(manifest.get("largest_defect", 0.0) <= limit)


def write_manifest(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Replace manifest.json atomically."""
    text = json.dumps({**manifest, "updated": _now()}, indent=2, allow_nan=False, ensure_ascii=False)
    write_atomically(directory / MANIFEST, text.encode() + b"\n")


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a run directory; RunError where there is none, or one of a newer layout."""
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        what = f"{MANIFEST} is missing" if directory.is_dir() or not directory.exists() else "it is a file"
        raise RunError(
            f"{directory}: not a run directory: {what}; give a directory made by `payloadfield run`"
        ) from error
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise RunError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(manifest, dict):
        raise RunError(f"{path}: not the manifest of a run; give a directory made by `payloadfield run`")
    version = manifest.get("layout_version")
    if version != LAYOUT_VERSION:
        raise RunError(
            f"{path}: layout_version is {version}; this program reads {LAYOUT_VERSION}; use the release that wrote it"
        )
    return manifest


def is_alive(manifest: Mapping[str, Any]) -> bool:
    """The process that writes this run is still at work on this machine."""
    if manifest["state"] != "running" or manifest["machine"]["host"] != platform.node():
        return False
    pid = int(manifest["machine"]["pid"])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _started(pid) == manifest["machine"]["process_started"]


def claim(manifest: dict[str, Any]) -> None:
    """Note that this process writes the run from here on."""
    manifest.update(state="running", reason="", machine=_machine(), versions=_versions())


def _machine() -> dict[str, Any]:
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "pid": os.getpid(),
        "process_started": _started(os.getpid()),
    }


def _started(pid: int) -> float | None:
    """Start of a process [s], which tells it from a later one that was given the same number."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

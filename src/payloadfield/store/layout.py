"""Names of the files in a run directory, and the version of that layout."""

from __future__ import annotations

from pathlib import Path

LAYOUT_VERSION = 1

STUDY = "study.toml"
MECHANISM = "mechanism.toml"
INPUTS = "inputs"
SOURCES = "sources.json"
DRIVERS = "drivers.json"
MANIFEST = "manifest.json"
LOG = "log.jsonl"
SNAPSHOTS = "snapshots"
SNAPSHOT_SUFFIX = ".vtkhdf"
SERIES = "series.vtkhdf"
GEOMETRY = "geometry.vtkhdf"
EXPOSURE = "exposure.h5"
CHECKPOINT = "checkpoint.h5"
CHECKPOINT_PREVIOUS = "checkpoint.prev.h5"
LOCK = "writer.lock"
TEMPORARY_SUFFIX = ".part"


def snapshot_name(index: int) -> str:
    """Path of one snapshot relative to the run directory, such as `snapshots/000012.vtkhdf`."""
    return f"{SNAPSHOTS}/{index:06d}{SNAPSHOT_SUFFIX}"


def snapshot_indices(directory: Path) -> list[int]:
    """Numbers of the snapshots that are complete, in order; temporary files do not count."""
    names = (path.stem for path in (directory / SNAPSHOTS).glob(f"*{SNAPSHOT_SUFFIX}"))
    return sorted(int(name) for name in names if name.isdigit())

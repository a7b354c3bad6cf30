"""checkpoint.h5 and checkpoint.prev.h5: everything needed to continue bit for bit, one always whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from payloadfield.errors import RunError
from payloadfield.store.files import sync_directory, write_atomically
from payloadfield.store.hdf5 import memory_file, opened, put, read_array, text
from payloadfield.store.layout import CHECKPOINT, CHECKPOINT_PREVIOUS

_OF_STATES = "molecules; exposures: as the mechanism says"
_AMOUNT = "nM*um^3"
_OF_PEAKS = "unit of the exposure per second"
#: Unit of every dataset of a checkpoint, by its name.
UNITS = {
    "state_fields": "nM",
    "state_states": _OF_STATES,
    "state_bath": "nM",
    "state_accumulators": _AMOUNT,
    "state_inflow": _AMOUNT,
    "ledger_initial": _AMOUNT,
    "ledger_handled": _AMOUNT,
    "ledger_dosed": _AMOUNT,
    "ledger_washed": _AMOUNT,
    "seen_fields": "nM",
    "seen_states": _OF_STATES,
    "controller": "proposed step: s; last step: s; its error: 1; whether it was rejected: 1",
    "counters": "1",
    "border": "1",
    "fate_times": "s",
    "fate_thresholds": "1",
    "fate_draws": "1",
    "exposure_now": _OF_PEAKS,
    "exposure_peak": _OF_PEAKS,
    "exposure_peak_time": "s",
    "exposure_time_above": "s",
}


@dataclass(frozen=True)
class Checkpoint:
    """A point from which a run continues.

    solver: what the simulation needs; steps: log lines written so far; snapshots: output times written so far;
    time [s]; cpu_seconds, wall_seconds: spent so far.
    """

    solver: Mapping[str, Any]
    steps: int
    snapshots: int
    time: float
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0


def checkpoint_bytes(checkpoint: Checkpoint) -> bytes:
    """The file of a checkpoint, in full precision."""
    with memory_file() as (file, image):
        for key in ("steps", "snapshots", "time", "cpu_seconds", "wall_seconds"):
            file.attrs[key] = getattr(checkpoint, key)
        _put_mapping(file.create_group("solver", track_order=True), checkpoint.solver)
    return image.data


def write_checkpoint(directory: Path, data: bytes) -> None:
    """Put a new checkpoint in place; the one before it becomes checkpoint.prev.h5."""
    current, previous = directory / CHECKPOINT, directory / CHECKPOINT_PREVIOUS
    fresh = directory / f"next.{CHECKPOINT}"
    write_atomically(fresh, data)
    if current.exists():
        os.replace(current, previous)
    os.replace(fresh, current)
    sync_directory(directory)


def read_checkpoint(directory: Path) -> Checkpoint:
    """The newest whole checkpoint; RunError, with what was found, where there is none."""
    problems = []
    for name in (CHECKPOINT, CHECKPOINT_PREVIOUS):
        try:
            return _read(directory / name)
        except RunError as error:
            problems.append(str(error))
    raise RunError(f"{directory}: no usable checkpoint, so this run cannot be continued: {'; '.join(problems)}")


def _read(path: Path) -> Checkpoint:
    with opened(path) as file:
        try:
            return Checkpoint(
                solver=_get_mapping(file["solver"]),
                steps=int(file.attrs["steps"]),
                snapshots=int(file.attrs["snapshots"]),
                time=float(file.attrs["time"]),
                cpu_seconds=float(file.attrs["cpu_seconds"]),
                wall_seconds=float(file.attrs["wall_seconds"]),
            )
        except (KeyError, OSError) as error:
            raise RunError(f"{path}: damaged ({error})") from error


def _put_mapping(group: h5py.Group, values: Mapping[str, Any]) -> None:
    """Arrays become datasets, scalars and text attributes, mappings groups; `None` an empty attribute."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            _put_mapping(group.create_group(key, track_order=True), value)
        elif isinstance(value, np.ndarray):
            put(group, key, value, UNITS.get(key, "1"))
        else:
            group.attrs[key] = h5py.Empty("f8") if value is None else value


def _get_mapping(group: h5py.Group) -> dict[str, Any]:
    values: dict[str, Any] = {key: _plain(value) for key, value in group.attrs.items()}
    for key, item in group.items():
        values[key] = _get_mapping(item) if isinstance(item, h5py.Group) else read_array(item)
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, (bytes, str)):
        return text(value)
    return value.item() if isinstance(value, np.generic) else value

"""Writes a run directory from a thread of its own, so that the solver does not wait for the disk."""

from __future__ import annotations

import json
import shutil
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from payloadfield.errors import ResourceError, RunError
from payloadfield.store import layout
from payloadfield.store.capture import Capture, study_frame
from payloadfield.store.checkpoint import Checkpoint, checkpoint_bytes, write_checkpoint
from payloadfield.store.exposure import stack_series, write_exposure
from payloadfield.store.files import GO_ON, refusing_bad_disk, sync_directory, write_atomically
from payloadfield.store.hdf5 import memory_file, put
from payloadfield.store.lock import RunLock
from payloadfield.store.manifest import write_manifest
from payloadfield.store.series import rebuild_series
from payloadfield.store.snapshot import Snapshot, read_snapshot, snapshot_bytes, write_image_header
from payloadfield.store.step_log import StepLog, finite
from payloadfield.store.table import Table
from payloadfield.study.effective import tables_with_files
from payloadfield.toml_text import dump_toml

if TYPE_CHECKING:
    from payloadfield.study import Study

_WAITING = 2  # snapshots and checkpoints in memory while the disk is slow
_SERIES_EVERY = 5.0  # s between renewals of the series index while a run goes on


def refuse_existing(directory: str | Path, *, but: str = "") -> Path:
    """The path of a run to come; RunError where something is there already (an empty directory is fine).

    but: name of a file in it that does not count.
    """
    path = Path(directory)
    if path.is_dir() and all(item.name == but for item in path.iterdir()):
        return path
    if path.exists():
        what = "this directory is not empty" if path.is_dir() else "this is a file"
        raise RunError(
            f"{path}: {what}; choose another name with -o, remove it, or continue it with `payloadfield resume {path}`"
        )
    if not path.resolve().parent.is_dir():
        raise RunError(f"{path}: the folder {path.resolve().parent} does not exist; make it first")
    return path


def create_run(directory: str | Path, study: Study, manifest: Mapping[str, Any]) -> RunLock:
    """Make the run directory with its study, sources, geometry and manifest, or leave nothing behind.

    Gives the lock on it.
    """
    path = refuse_existing(directory)
    made = _make_directory(path)
    lock = RunLock(path)
    try:
        refuse_existing(path, but=layout.LOCK)  # another process may have come first
    except RunError:
        lock.release()
        raise
    try:
        with refusing_bad_disk(path, 0):
            (path / layout.SNAPSHOTS).mkdir()
            sync_directory(path.resolve().parent)
        _keep_mechanism(path, study)
        write_atomically(path / layout.STUDY, study_text(study, _keep_inputs(path, study)).encode())
        sources = json.dumps(finite([asdict(item) for item in study.sources]), indent=1, allow_nan=False, default=str)
        write_atomically(path / layout.SOURCES, sources.encode())
        write_atomically(path / layout.GEOMETRY, geometry_bytes(study))
        write_manifest(path, manifest)
    except ResourceError as error:
        _remove(path, made, lock)
        advice = "Nothing was left behind. Free some space, or choose another disk with -o"
        raise ResourceError(str(error).replace(GO_ON, advice)) from error
    except BaseException:
        _remove(path, made, lock)
        raise
    return lock


def study_text(study: Study, effective: Mapping[str, Any]) -> str:
    """An effective study as TOML, followed by where each value comes from, as comments."""
    lines = [
        f"# {item.key} = {item.value} {item.unit}  [{item.origin}, {item.grade}] {item.citation}".rstrip()
        for item in study.sources
    ]
    notes = "\n".join(line.replace("\n", " ") for line in lines)
    # The copy holds its modules: it is the one table that they make together.
    own = {"mechanism": layout.MECHANISM, "modules": None} if _has_own_mechanism(study) else {}
    body = dump_toml({**effective, **own})
    return f"# The effective study: everything resolved.\n\n{body}\n# Where the values come from:\n{notes}\n"


def _has_own_mechanism(study: Study) -> bool:
    """The mechanism is a file of the user's, not a built-in one."""
    from payloadfield.mechanism import built_in_mechanisms

    return study.effective["mechanism"] not in built_in_mechanisms()


def _keep_mechanism(directory: Path, study: Study) -> None:
    """Keep a mechanism of the user's beside the study, so that the run can be continued without the original file."""
    if _has_own_mechanism(study):
        write_atomically(directory / layout.MECHANISM, study.mechanism.source_text.encode())


def _keep_inputs(directory: Path, study: Study) -> dict[str, Any]:
    """Copy the files that the study names into the run; the effective study with their names there."""
    effective = deepcopy(dict(study.effective))
    names: dict[str, str] = {}
    for table in tables_with_files(effective):
        source = Path(table["file"])
        if str(source) not in names:
            names[str(source)] = f"{layout.INPUTS}/{len(names)}-{source.name}"
            _copy(source, directory / names[str(source)])
        table["file"] = names[str(source)]
    return effective


def _copy(source: Path, target: Path) -> None:
    try:
        data = source.read_bytes()
    except OSError as error:
        raise RunError(f"{source}: cannot be read any more: {error.strerror or error}") from error
    with refusing_bad_disk(target, len(data)):
        target.parent.mkdir(exist_ok=True)
    write_atomically(target, data)


def geometry_bytes(study: Study) -> bytes:
    """geometry.vtkhdf: material label, open fraction and distance to the surface [um] as image data."""
    geometry = study.geometry
    with memory_file() as (file, image):
        images = write_image_header(file, study_frame(study))["CellData"]
        put(images, "material", geometry.label, "1").attrs["names"] = [item.name for item in geometry.materials]
        put(images, "open_fraction", geometry.open_fraction.astype(np.float32), "1")
        distance = np.where(np.isfinite(geometry.surface_distance), geometry.surface_distance, np.nan)
        put(images, "surface_distance", distance.astype(np.float32), "um")
    return image.data


class RunWriter:
    """Takes snapshots, checkpoints and log lines of a run; errors of the disk surface at the next call."""

    def __init__(self, lock: RunLock, manifest: dict[str, Any], *, keep_through_step: int = -1) -> None:
        """Take over the lock on a run directory, which is released when the run is left."""
        self.directory = lock.directory
        self.manifest = manifest
        self._lock = lock
        self._log = StepLog(self.directory, keep_through_step=keep_through_step)
        self._tables: dict[int, Snapshot] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="payloadfield-writer")
        self._waiting: deque[Future[None]] = deque()
        self._has_failed = False
        self._series_written = -np.inf

    def log(self, entry: Mapping[str, Any]) -> None:
        """Append one step to the log."""
        self._surface()
        self._log.append(entry)

    def snapshot(self, capture: Capture) -> None:
        """Queue one output, which may still be on its way from a device; waits while the queue is full."""
        self._submit(lambda: self._write_snapshot(capture.finish()), capture.drop)

    def checkpoint(self, checkpoint: Checkpoint, cells: Table) -> None:
        """Queue one checkpoint with the per-cell table of the same time; both after every snapshot queued before."""
        self._submit(lambda: self._write_checkpoint(checkpoint, cells))

    def finish(self, state: str, reason: str) -> None:
        """Write what is queued, the time series and the state the run is left in; raises what the disk raised."""
        with self._lock:
            try:
                self.drain()
                rebuild_series(self.directory)
            finally:
                self.manifest.update(state=state, reason=reason)
                self._close()
            write_manifest(self.directory, self.manifest)

    def abandon(self, state: str, reason: str) -> None:
        """Note the state that a run is left in as well as the disk allows; what was written before stays."""
        self.manifest.update(state=state, reason=reason)
        with self._lock:
            with suppress(ResourceError, RunError):
                self._close()
            with suppress(ResourceError, RunError):  # else it keeps saying "running", which readers see through
                write_manifest(self.directory, self.manifest)

    def drain(self) -> None:
        """Wait until everything queued is written; raises what the disk raised."""
        while self._waiting:
            self._waiting.popleft().result()

    def _close(self) -> None:
        self._thread.shutdown(wait=True)
        self._log.close()

    def _write_snapshot(self, snapshot: Snapshot) -> None:
        path = self.directory / layout.snapshot_name(snapshot.index)
        write_atomically(path, snapshot_bytes(snapshot))
        self._known_tables()[snapshot.index] = replace(snapshot, fields={})
        self.manifest["time_reached_s"] = snapshot.time
        if monotonic() - self._series_written > _SERIES_EVERY:
            rebuild_series(self.directory)
            self._series_written = monotonic()

    def _write_checkpoint(self, checkpoint: Checkpoint, cells: Table) -> None:
        """The log first: a checkpoint counts its lines."""
        self._log.sync()
        write_checkpoint(self.directory, checkpoint_bytes(checkpoint))
        tables = self._known_tables()
        series = stack_series([tables[index] for index in sorted(tables)])
        write_exposure(self.directory, cells, checkpoint.time, series)
        self.manifest.update(
            time_reached_s=checkpoint.time,
            cpu_seconds=checkpoint.cpu_seconds,
            wall_seconds=checkpoint.wall_seconds,
        )
        write_manifest(self.directory, self.manifest)

    def _known_tables(self) -> dict[int, Snapshot]:
        """Snapshots without their fields, by number: those that an earlier leg wrote are read once."""
        if not self._tables:
            indices = layout.snapshot_indices(self.directory)
            self._tables = {index: read_snapshot(self.directory, index, fields=False) for index in indices}
        return self._tables

    def _submit(self, job: Callable[[], None], drop: Callable[[], None] = lambda: None) -> None:
        """Queue a job; drop: what to do in its stead once another one has failed."""
        try:
            while len(self._waiting) >= _WAITING:
                self._waiting.popleft().result()
            self._surface()
        except BaseException:
            drop()
            raise
        self._waiting.append(self._thread.submit(self._guarded, job, drop))

    def _guarded(self, job: Callable[[], None], drop: Callable[[], None]) -> None:
        """After a first failure nothing more is written: a checkpoint must not outrun its snapshots."""
        if self._has_failed:
            drop()
            return
        try:
            job()
        except BaseException:
            self._has_failed = True
            raise

    def _surface(self) -> None:
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft().result()


def _make_directory(path: Path) -> bool:
    """Make a directory unless it is there; whether it was made."""
    with refusing_bad_disk(path, 0):
        try:
            path.mkdir()
        except FileExistsError:
            return False
    return True


def _remove(path: Path, made: bool, lock: RunLock) -> None:
    """Take back a run directory that could not be set up."""
    lock.release()
    if made:
        shutil.rmtree(path, ignore_errors=True)
        return
    for item in path.iterdir():
        shutil.rmtree(item, ignore_errors=True) if item.is_dir() else item.unlink()

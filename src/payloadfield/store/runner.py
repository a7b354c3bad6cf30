"""Connects a simulation with the run directory: outputs, checkpoints, interruption, and continuing later."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, process_time
from typing import TYPE_CHECKING, Any

import numpy as np

from payloadfield.errors import PayloadfieldError, ResourceError, RunError, SolverError
from payloadfield.store import layout
from payloadfield.store.capture import capture_output, cell_table
from payloadfield.store.checkpoint import Checkpoint, read_checkpoint
from payloadfield.store.digest import study_digest
from payloadfield.store.estimate import refuse_too_large
from payloadfield.store.files import remove_temporary
from payloadfield.store.interrupt import StopRequest
from payloadfield.store.lock import RunLock
from payloadfield.store.manifest import (
    LARGEST_DEFECT,
    claim,
    is_alive,
    is_balanced,
    make_manifest,
    read_manifest,
    write_manifest,
)
from payloadfield.store.writer import RunWriter, create_run

if TYPE_CHECKING:
    from payloadfield.solver import Simulation, StepRecord


_log = logging.getLogger(__name__)

_KEPT = " The state at that time is kept."


class Observer:
    """Hears of a run as it goes on; this one says nothing, and the command line's shows the progress."""

    def start(self, sim: Simulation) -> None:
        """The first step comes next."""

    def step(self, sim: Simulation, record: StepRecord) -> None:
        """A step was taken."""

    def output(self, sim: Simulation, index: int) -> None:
        """Output number `index` was handed to the writer."""

    def finish(self, sim: Simulation) -> None:
        """The last step was taken."""


@dataclass
class Spent:
    """Steps and outputs written, and time spent, by this and the earlier legs of a run."""

    steps: int = 0
    snapshots: int = 0
    cpu_before: float = 0.0
    wall_before: float = 0.0
    share: float = 1.0
    """Of the CPU time of this process, where several runs are solved together."""

    def __post_init__(self) -> None:
        self._cpu, self._wall = process_time(), monotonic()

    @property
    def cpu(self) -> float:
        """CPU time of all legs [s]."""
        return self.cpu_before + self.share * (process_time() - self._cpu)

    @property
    def wall(self) -> float:
        """Wall time of all legs [s]."""
        return self.wall_before + monotonic() - self._wall


def start_run(
    sim: Simulation, output: str | Path, *, backend: str | None = None, command: Sequence[str] | None = None
) -> RunWriter:
    """Make the run directory of a simulation that has not stepped yet; `backend`: as for it."""
    from payloadfield.solver import choose_backend

    manifest = make_manifest(
        sim.study,
        backend=sim.backend.name,
        backend_reason=choose_backend(sim.study, backend)[1],
        command=list(sys.argv) if command is None else command,
    )
    lock = create_run(output, sim.study, manifest)
    try:
        return RunWriter(lock, manifest)
    except BaseException:
        lock.release()
        raise


def execute(
    sim: Simulation,
    writer: RunWriter,
    *,
    until: float | None = None,
    observer: Observer | None = None,
    stop: StopRequest | None = None,
    spent: Spent | None = None,
) -> str:
    """Step `sim` to its end (or to `until` [s], or until `stop` is set), writing as it goes; the state it is left in.

    Raises SolverError or ResourceError after leaving the last good state on disk, as far as the disk allows.
    """
    job = _Leg(sim, writer, observer or Observer(), spent or Spent())
    try:
        state = job.go(until, stop or StopRequest())
    except ResourceError as error:
        writer.abandon("failed", str(error))
        raise
    except PayloadfieldError as error:
        trouble = job.save_last_good_state()
        if trouble is None:
            writer.abandon("failed", str(error))
            raise
        reason = f"{str(error).replace(_KEPT, '')} The state at that time could not be kept: {trouble}"
        writer.abandon("failed", reason)
        raise type(error)(reason) from error
    except BaseException:
        writer.abandon("interrupted", "stopped between checkpoints")
        raise
    return state


def execute_batch(
    batch: Any, writers: Sequence[RunWriter], *, observer: Observer | None = None, stop: StopRequest | None = None
) -> str:
    """Step designs together to their end (or until `stop` is set), each into its own run; the state they are left in.

    batch: of `make_batch`, before its first step.  observer: hears of the first design.  Raises SolverError where one
    of them gets stuck: all are then interrupted where they stand, and go on alone with `resume_run`.
    """
    observers = [observer or Observer(), *(Observer() for _ in writers[1:])]
    legs = [
        _Leg(sim, writer, own, Spent(share=1.0 / len(writers)))
        for sim, writer, own in zip(batch.designs, writers, observers, strict=True)
    ]
    try:
        return _go_together(batch, legs, stop or StopRequest())
    except SolverError:
        for leg in legs:
            leg.save_last_good_state()
        _abandon(legs, "interrupted", "a design that was solved together with it got stuck")
        raise
    except PayloadfieldError as error:  # of the disk, or of a device that does not answer any more
        _abandon(legs, "failed", str(error))
        raise
    except BaseException:
        _abandon(legs, "interrupted", "stopped between checkpoints")
        raise


def _go_together(batch: Any, legs: Sequence[_Leg], stop: StopRequest) -> str:
    for leg in legs:
        leg.begin()
    for record in batch.steps():
        for leg, own in zip(legs, record.records, strict=True):
            leg.note(own)
        if stop.is_set:
            left = [leg.leave("interrupted", "interrupted by a signal") for leg in legs]
            return left[0]
        for leg in legs:
            leg.save_if_due()
    ended = [leg.end() for leg in legs]
    return ended[0]


def _abandon(legs: Sequence[_Leg], state: str, reason: str) -> None:
    for leg in legs:
        leg.writer.abandon(state, reason)


def refuse_until(until: float | None, reached: float = 0.0) -> None:
    """Raise RunError for an end [s] that is not after the time `reached` [s]: nothing would be computed."""
    if until is not None and not until > reached:
        raise RunError(f"until: got {until:g} s; a time after {reached:g} s, where the run stands, is needed")


def resume_run(
    directory: str | Path, *, backend: str | None = None, until: float | None = None
) -> tuple[Simulation, RunWriter, Spent]:
    """A simulation and a writer that stand where the newest checkpoint of `directory` was made.

    Raises RunError where the run is finished, still going on, already past `until` [s], or its study or mechanism has
    changed since.
    """
    path = Path(directory)
    read_manifest(path)
    lock = RunLock(path)
    try:
        return _continue(lock, backend, until)
    except BaseException:
        lock.release()
        raise


def _continue(lock: RunLock, backend: str | None, until: float | None) -> tuple[Simulation, RunWriter, Spent]:
    """See `resume_run`; from here on nobody else writes the run."""
    from payloadfield.solver import choose_backend, make_simulation
    from payloadfield.study import load_study

    path = lock.directory
    manifest = read_manifest(path)
    _refuse_unresumable(path, manifest)
    remove_temporary(path)
    checkpoint = read_checkpoint(path)
    refuse_until(until, checkpoint.time)
    study = load_study(path / layout.STUDY)
    if study_digest(study) != manifest["study_digest"]:
        raise RunError(
            f"{path / layout.STUDY}: this study differs from the one that the checkpoint belongs to; start a new run"
        )
    refuse_too_large(study)
    sim = make_simulation(study, backend or manifest["backend"])
    sim.restore(dict(checkpoint.solver))
    claim(manifest)
    if backend is not None:
        manifest.update(backend=sim.backend.name, backend_reason=choose_backend(study, backend)[1])
    write_manifest(path, manifest)
    writer = RunWriter(lock, manifest, keep_through_step=checkpoint.steps)
    return sim, writer, Spent(checkpoint.steps, checkpoint.snapshots, checkpoint.cpu_seconds, checkpoint.wall_seconds)


def _refuse_unresumable(path: Path, manifest: dict[str, Any]) -> None:
    if is_alive(manifest):
        raise RunError(
            f"{path}: process {manifest['machine']['pid']} is still writing this run; wait for it or stop it first"
        )
    if manifest["state"] == "finished":
        raise RunError(f"{path}: this run is finished; there is nothing to continue. See `payloadfield info {path}`")


class _Leg:
    """One stretch of stepping, from a start or a checkpoint to an end or an interruption."""

    def __init__(self, sim: Simulation, writer: RunWriter, observer: Observer, spent: Spent) -> None:
        self.sim, self.writer, self.observer, self.spent = sim, writer, observer, spent
        self.saved = monotonic()

    def go(self, until: float | None, stop: StopRequest) -> str:
        self.begin()
        for record in self.sim.steps(until=until):
            self.note(record)
            if stop.is_set:
                return self.leave("interrupted", "interrupted by a signal")
            self.save_if_due()
        return self.end()

    def begin(self) -> None:
        """Write what is there before the first step."""
        self.observer.start(self.sim)
        self._write_outputs(self.sim.outputs_now())
        self.save()

    def end(self) -> str:
        """Leave the run after the last step; the state it is in."""
        self.observer.finish(self.sim)
        is_done = self.sim.time >= self.sim.study.duration
        return self.leave("finished", "") if is_done else self.leave("interrupted", "reached the time asked for")

    def save_if_due(self) -> None:
        """Queue a checkpoint if the last one is old enough."""
        if monotonic() - self.saved > self.sim.study.output.checkpoint_every:
            self.save()

    def save(self) -> None:
        """Queue a checkpoint of the present state."""
        checkpoint = Checkpoint(
            solver=_copied(self.sim.checkpoint()),
            steps=self.spent.steps,
            snapshots=self.spent.snapshots,
            time=float(self.sim.time),
            cpu_seconds=self.spent.cpu,
            wall_seconds=self.spent.wall,
        )
        self.writer.checkpoint(checkpoint, cell_table(self.sim))
        self.saved = monotonic()

    def save_last_good_state(self) -> str | None:
        """Keep the state before a failed step; what is in the way, if it is not finite or the disk does not take it."""
        try:
            state = self.sim.state
        except PayloadfieldError:  # it was on a device that does not answer any more
            return "it was lost with the device. The checkpoint before it stays"
        if not all(np.isfinite(values).all() for values in (state.fields, state.states, state.bath)):
            return "it is not finite; the checkpoint before it stays"
        try:
            self.save()
            self.writer.drain()
        except PayloadfieldError as error:
            return f"{error}. The checkpoint before it stays"
        return None

    def note(self, record: StepRecord) -> None:
        """Write what a step brought."""
        self.spent.steps = record.index
        self.writer.log(_log_entry(record, self.spent.wall))
        self._watch_balance(record)
        self._keep_notes()
        self.observer.step(self.sim, record)
        self._write_outputs(record.outputs)

    def _watch_balance(self, record: StepRecord) -> None:
        """Note the largest defect of the run, and tell once where rounding does not explain it."""
        manifest = self.writer.manifest
        defects = ((abs(value), name) for name, value in record.balance.items() if not math.isnan(value))
        defect, moiety = max(defects, default=(0.0, ""))
        if defect <= manifest.get("largest_defect", 0.0):
            return
        was_balanced = is_balanced(manifest)
        manifest["largest_defect"] = defect
        if was_balanced and not is_balanced(manifest):
            of_state = "single" if manifest["precision"] == "float32" else "double"
            _log.warning(
                "The balance of %s does not close at t = %.6g h: relative defect %.1e, where rounding in %s precision "
                "leaves less than %.0e. Do not trust this run; please report it with its run directory.",
                moiety, record.time / 3600, defect, of_state, LARGEST_DEFECT[manifest["precision"]],
            )  # fmt: skip

    def _keep_notes(self) -> None:
        notes = self.writer.manifest.setdefault("notes", [])
        notes += [note for note in self.sim.notes if note not in notes]

    def _write_outputs(self, indices: Sequence[int]) -> None:
        for index in indices:
            self.writer.snapshot(capture_output(self.sim, index))
            self.spent.snapshots = index + 1
            self.observer.output(self.sim, index)

    def leave(self, state: str, reason: str) -> str:
        """Keep the present state and close the run."""
        self.save()
        self.writer.finish(state, reason)
        return state


def _log_entry(record: StepRecord, wall: float) -> dict[str, Any]:
    return {
        "step": int(record.index),
        "time_s": float(record.time),
        "dt_s": float(record.dt),
        "error": float(record.error),
        "worst_quantity": record.worst_quantity,
        "iterations": int(record.iterations),
        "worst_residual": float(record.worst_residual),
        "rejected": int(record.rejected),
        "balance": {moiety: float(value) for moiety, value in record.balance.items()},
        "wall_s": wall,
        "outputs": list(record.outputs),
        "event": record.event,
        "moves": dict(record.moves),
    }


def _copied(values: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint that later steps cannot change while it waits to be written."""
    return {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in values.items()}

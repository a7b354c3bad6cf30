"""Runs the cases of a comparison, one run directory each, and takes up again what an earlier try left."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from payloadfield.compare.cases import Case
from payloadfield.errors import RunError, SolverError
from payloadfield.solver import make_simulation
from payloadfield.store.digest import study_digest
from payloadfield.store.interrupt import StopRequest
from payloadfield.store.layout import CHECKPOINT, CHECKPOINT_PREVIOUS, MANIFEST
from payloadfield.store.manifest import read_manifest
from payloadfield.store.runner import Observer, execute, resume_run, start_run

FINISHED, FAILED, INTERRUPTED = "finished", "failed", "interrupted"


@dataclass(frozen=True)
class Outcome:
    """How a case ended: state "finished", "failed" or "interrupted", and the reason where it did not finish."""

    case: Case
    state: str
    reason: str = ""


def run_cases(
    cases: Sequence[Case],
    output: Path,
    *,
    backend: str | None = None,
    stop: StopRequest | None = None,
    announce: Callable[[int, Case], Observer] | None = None,
) -> list[Outcome]:
    """Solve every case that has not finished yet, in order; one that fails leaves the others alone.

    output: folder of the comparison.  announce: called before each case, with its number; what it returns hears of the
    steps.  Raises RunError where a folder holds the run of another study, and ResourceError for a full disk.
    """
    request, outcomes = stop or StopRequest(), []
    for case in cases:
        refuse_other_run(case, output / case.folder)
    for index, case in enumerate(cases):
        if request.is_set:
            outcomes.append(Outcome(case, INTERRUPTED, "stopped before it began"))
            continue
        observer = announce(index, case) if announce else Observer()
        outcomes.append(_run(case, output / case.folder, backend, request, observer))
    return outcomes


def refuse_other_run(case: Case, folder: Path) -> None:
    """Raise RunError where the folder of a case holds the run of another study."""
    if not _is_begun(folder):
        return
    if read_manifest(folder)["study_digest"] != study_digest(case.study):
        raise RunError(
            f"{folder}: holds the run of another study than {case.name}; choose another folder with -o, or remove it"
        )


def _run(case: Case, folder: Path, backend: str | None, stop: StopRequest, observer: Observer) -> Outcome:
    try:
        state = _go(case, folder, backend, stop, observer)
    except SolverError as error:
        return Outcome(case, FAILED, str(error))
    if state == FINISHED:
        return Outcome(case, FINISHED)
    return Outcome(case, INTERRUPTED, "interrupted by a signal")


def _go(case: Case, folder: Path, backend: str | None, stop: StopRequest, observer: Observer) -> str:
    """Start a run, go on with one, or leave a finished one as it is; the state that it is in then."""
    if _is_begun(folder):
        if read_manifest(folder)["state"] == FINISHED:
            return FINISHED
        sim, writer, spent = resume_run(folder, backend=backend)
        return execute(sim, writer, observer=observer, stop=stop, spent=spent)
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed before it had anything to go on from
    folder.mkdir(parents=True)
    sim = make_simulation(case.study, backend)
    writer = start_run(sim, folder, backend=backend)
    return execute(sim, writer, observer=observer, stop=stop)


def _is_begun(folder: Path) -> bool:
    """Whether a folder holds a run that can be taken up, or that is finished."""
    return (folder / MANIFEST).exists() and any((folder / name).exists() for name in (CHECKPOINT, CHECKPOINT_PREVIOUS))

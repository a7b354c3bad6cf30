"""Runs the cases of a comparison, one run directory each, and takes up again what an earlier try left."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from payloadfield.compare.cases import Case
from payloadfield.errors import ResourceError, RunError, SolverError, StudyError
from payloadfield.solver import choose_backend, make_batch, make_simulation
from payloadfield.solver.variants import refuse_unlike
from payloadfield.store.digest import study_digest
from payloadfield.store.interrupt import StopRequest
from payloadfield.store.layout import CHECKPOINT, CHECKPOINT_PREVIOUS, MANIFEST
from payloadfield.store.manifest import read_manifest
from payloadfield.store.runner import Observer, execute, execute_batch, resume_run, start_run
from payloadfield.study import Study

_log = logging.getLogger(__name__)

FINISHED, FAILED, INTERRUPTED = "finished", "failed", "interrupted"
NOT_BEGUN, STOPPED = "stopped before it began", "interrupted by a signal"
BATCH_ON_GPU = 64
"""Designs that a GPU solves together: one launch serves them all, and a small grid alone does not fill it."""


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
    together: int | None = None,
    stop: StopRequest | None = None,
    announce: Callable[[int, Case], Observer] | None = None,
) -> list[Outcome]:
    """Solve every case that has not finished yet, in order; one that fails leaves the others alone.

    output: folder of the comparison.  together: how many cases are solved as one batch where their mechanism, geometry
    and settings allow; None for `BATCH_ON_GPU` on a GPU and 1 on a CPU.  announce: called before each case, with its
    number; what it returns hears of the steps, in a batch of those of its first case.
    Raises RunError where a folder holds the run of another study, and ResourceError for a full disk.
    """
    request, outcomes = stop or StopRequest(), dict[int, Outcome]()
    for case in cases:
        refuse_other_run(case, output / case.folder)
    for group in _groups(cases, output, backend, together):
        if request.is_set:
            break
        observers = [announce(index, cases[index]) if announce else Observer() for index in group]
        chosen = [cases[index] for index in group]
        if len(group) > 1:
            _run_together(chosen, output, backend, request, observers[0])
        for index, case, observer in zip(group, chosen, observers, strict=True):  # alone, or what a batch has left
            if not request.is_set:
                outcomes[index] = _run(case, output / case.folder, backend, request, observer)
            elif _is_begun(output / case.folder):
                outcomes[index] = Outcome(case, INTERRUPTED, STOPPED)
    return [outcomes.get(index, Outcome(case, INTERRUPTED, NOT_BEGUN)) for index, case in enumerate(cases)]


def _groups(cases: Sequence[Case], output: Path, backend: str | None, together: int | None) -> Iterator[list[int]]:
    """Numbers of the cases that are solved together, in the order of their first; a run that is begun goes on alone."""
    left = list(range(len(cases)))
    while left:
        first = cases[left[0]]
        group, most = [left[0]], together or default_batch(first.study, backend)
        if most > 1 and not _is_begun(output / first.folder):
            alike = (k for k in left[1:] if not _is_begun(output / cases[k].folder) and _is_alike(first, cases[k]))
            group += list(islice(alike, most - 1))
        yield group
        left = [index for index in left if index not in group]


def default_batch(study: Study, backend: str | None) -> int:
    """How many designs are solved together where nobody says."""
    return BATCH_ON_GPU if choose_backend(study, backend)[0] == "cupy" else 1


def _is_alike(first: Case, other: Case) -> bool:
    try:
        refuse_unlike([first.study, other.study])
    except StudyError:
        return False
    return True


def _run_together(
    cases: Sequence[Case], output: Path, backend: str | None, stop: StopRequest, observer: Observer
) -> None:
    """Solve cases as one batch, or as two of half the size where the device has no room for it.

    Nothing is done where they cannot be solved together, and a batch that gets stuck leaves its runs where they stand:
    each then goes on alone, and the one at fault fails with its own reason.
    """
    half = len(cases) // 2
    try:
        batch = make_batch([case.study for case in cases], backend)
    except StudyError as error:
        _log.info("%d designs are solved one by one: %s", len(cases), error)
        return
    except ResourceError as error:
        _log.info("%d designs do not fit together (%s): %d at a time", len(cases), error, half)
        batch = None
    if batch is None:  # the error is gone here, and with it what it kept of the device's memory
        for part in (cases[:half], cases[half:]):
            if len(part) > 1 and not stop.is_set:
                _run_together(part, output, backend, stop, observer)
        return
    writers = []
    try:
        for case, sim in zip(cases, batch.designs, strict=True):
            writers.append(start_run(sim, _emptied(output / case.folder), backend=backend))
    except BaseException:
        for writer in writers:
            writer.abandon("interrupted", "stopped before its first step")
        raise
    try:
        execute_batch(batch, writers, observer=observer, stop=stop)
    except SolverError as error:
        _log.info("%d designs go on one by one, since one of them got stuck: %s", len(cases), error)


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
    return Outcome(case, INTERRUPTED, STOPPED)


def _go(case: Case, folder: Path, backend: str | None, stop: StopRequest, observer: Observer) -> str:
    """Start a run, go on with one, or leave a finished one as it is; the state that it is in then."""
    if _is_begun(folder):
        if read_manifest(folder)["state"] == FINISHED:
            return FINISHED
        sim, writer, spent = resume_run(folder, backend=backend)
        return execute(sim, writer, observer=observer, stop=stop, spent=spent)
    sim = make_simulation(case.study, backend)
    writer = start_run(sim, _emptied(folder), backend=backend)
    return execute(sim, writer, observer=observer, stop=stop)


def _emptied(folder: Path) -> Path:
    """The folder of a run, without what a process left that was killed before it had anything to go on from."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _is_begun(folder: Path) -> bool:
    """Whether a folder holds a run that can be taken up, or that is finished."""
    return (folder / MANIFEST).exists() and any((folder / name).exists() for name in (CHECKPOINT, CHECKPOINT_PREVIOUS))

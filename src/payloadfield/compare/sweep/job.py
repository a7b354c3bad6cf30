"""The folder of a sweep: what is to be solved, and what has been.

SWEEP/
  job.json          what the sweep is: file, study, method, number of points, digest, version
  results/N.json    metrics of point N, written whole or not at all
  failures/N.json   why point N could not be solved
  table.csv         one row a point, made from results/ at the end of every sitting; failures.csv beside it
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from payloadfield.compare.space import Point, make_points
from payloadfield.errors import RunError
from payloadfield.store.digest import study_digest
from payloadfield.store.files import write_atomically
from payloadfield.study import Study, make_variants
from payloadfield.study.designs import make_variant
from payloadfield.study.problems import Problems
from payloadfield.study.sweep_file import Axis, SweepFile, read_sweep_file, refuse_missing_study

JOB, RESULTS, FAILURES = "job.json", "results", "failures"
_BASE = "base"


@dataclass(frozen=True)
class Job:
    """A sweep with its points, and the folder that its results go to."""

    sweep: SweepFile
    points: tuple[Point, ...]
    folder: Path

    @cached_property
    def base(self) -> Study:
        """The study at the first point: all others share its geometry and cells."""
        return make_variants(self.sweep.study, {_BASE: self.points[0].changes})[0].study

    def study_of(self, index: int) -> Study:
        """The study at a point, with the geometry and the cells of `base`."""
        return make_variant(self.sweep.study, self.points[index].name, self.points[index].changes, self.base)

    def result_path(self, index: int) -> Path:
        """Where the metrics of a point are."""
        return self.folder / RESULTS / f"{index:06d}.json"

    def failure_path(self, index: int) -> Path:
        """Where the reason is why a point could not be solved."""
        return self.folder / FAILURES / f"{index:06d}.json"

    def remaining(self) -> list[int]:
        """Points without a result; those that failed are tried again."""
        done = {int(path.stem) for path in (self.folder / RESULTS).glob("*.json") if path.stem.isdigit()}
        return [index for index in range(len(self.points)) if index not in done]


def read_job(sweep_file: str | Path, folder: str | Path) -> Job:
    """The job of a sweep in a folder, as a worker needs it: what `open_job` has checked is not checked again."""
    sweep = read_sweep_file(sweep_file)
    refuse_missing_study(sweep)
    return Job(sweep, make_points(sweep), Path(folder))


def open_job(sweep_file: str | Path, folder: str | Path) -> Job:
    """The job of a sweep in a folder: a new one, or one that was begun there.

    Raises StudyError for a sweep file, study or point that does not fit, before anything is made, and RunError where
    the folder holds something else, or the sweep has changed since it was begun.
    """
    job = read_job(sweep_file, folder)
    _refuse_bad_values(job)
    if (job.folder / JOB).exists():
        _refuse_changed(job)
        return job
    if job.folder.exists() and any(job.folder.iterdir()):
        raise RunError(f"{job.folder}: is not empty and holds no sweep; choose another folder with -o, or remove it")
    for name in (RESULTS, FAILURES):
        (job.folder / name).mkdir(parents=True, exist_ok=True)
    write_atomically(job.folder / JOB, json.dumps(_facts(job), indent=2, ensure_ascii=False).encode() + b"\n")
    return job


def _refuse_bad_values(job: Job) -> None:
    """Load the study once with every listed value and both ends of every range, so that a wrong key is told at once."""
    base = job.base
    tried: dict[str, Mapping[str, Any]] = {}
    if job.sweep.method == "list":
        tried = {point.name: point.changes for point in job.points[1:]}
    for axis in job.sweep.axes:
        for value in _extremes(axis):
            tried[f"{axis.key} = {value}"] = {**job.points[0].changes, axis.key: value}
    problems = Problems(str(job.sweep.file))
    for name, changes in tried.items():
        with problems.noting(name):
            make_variant(job.sweep.study, name, changes, base)
    problems.raise_any()


def _extremes(axis: Axis) -> list[Any]:
    if axis.values:
        return list(axis.values)
    return [value if axis.unit == "1" else f"{value!r} {axis.unit}" for value in (axis.low, axis.high)]


def _facts(job: Job) -> dict[str, Any]:
    return {
        "sweep": str(job.sweep.file),
        "study": str(job.sweep.study),
        "title": job.base.title,
        "method": job.sweep.method,
        "n_points": len(job.points),
        "keys": [axis.key for axis in job.sweep.axes],
        "digest": _digest(job),
        "version": version(),
    }


def version() -> str:
    """Version of payloadfield, which decides the numbers."""
    return importlib.metadata.version("payloadfield")


def _digest(job: Job) -> str:
    """SHA-256 over the study at the first point and the values of all points."""
    values = json.dumps([[point.name, dict(point.changes)] for point in job.points], sort_keys=True, default=str)
    return hashlib.sha256(f"{study_digest(job.base)} {values}".encode()).hexdigest()


def _refuse_changed(job: Job) -> None:
    path = job.folder / JOB
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        digest, made_by = facts["digest"], facts["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: is not the job of a sweep ({error}); choose another folder with -o") from None
    if made_by != version():
        raise RunError(
            f"{job.folder}: was begun by payloadfield {made_by}, and this is {version()}, whose numbers may differ; "
            "start again in another folder, or go on with that version"
        )
    if digest != _digest(job):
        raise RunError(
            f"{job.folder}: holds another sweep (points or study have changed since); choose another folder with -o"
        )

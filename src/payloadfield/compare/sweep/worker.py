"""Solves points of a sweep in this process, each into a file of its own."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from time import process_time
from typing import Any

from payloadfield.compare.solve import solve_and_measure
from payloadfield.compare.sweep.job import Job, read_job
from payloadfield.errors import PayloadfieldError, ResourceError
from payloadfield.solver.discretisation import make_plan
from payloadfield.solver.variants import plan_beside
from payloadfield.store.files import write_atomically


@lru_cache(maxsize=2)
def _begin(sweep_file: str, folder: str) -> tuple[Job, Any]:
    """The job, read once by each process, and the plan of its first point, whose maps the others share."""
    job = read_job(sweep_file, folder)
    return job, make_plan(job.base)


def solve_point(sweep_file: str, folder: str, index: int, backend: str | None = None) -> str | None:
    """Solve one point and write its metrics, or why it could not be solved; that reason, or None.

    A file is there whole or not at all, so that a process may be killed at any moment. Raises ResourceError where the
    disk is full.
    """
    began = process_time()
    job, plan = _begin(sweep_file, folder)
    try:
        study = job.study_of(index)
        measured = solve_and_measure(study, backend=backend, plan=plan_beside(plan, job.base, study))
    except ResourceError:
        raise
    except PayloadfieldError as error:
        write_failure(job, index, str(error))
        return str(error)
    _write(
        job.result_path(index),
        {
            "point": job.points[index].name,
            "metrics": [[m.cell_type, m.name, m.value, m.unit] for m in measured.metrics],
            "n_steps": measured.n_steps,
            "largest_defect": measured.largest_defect,
            "cpu_seconds": process_time() - began,
        },
    )
    job.failure_path(index).unlink(missing_ok=True)
    return None


def write_failure(job: Job, index: int, reason: str) -> None:
    """Keep why a point could not be solved."""
    _write(job.failure_path(index), {"point": job.points[index].name, "reason": reason})


def _write(path: Path, facts: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(facts, ensure_ascii=False).encode() + b"\n")

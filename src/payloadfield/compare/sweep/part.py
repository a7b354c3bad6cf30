"""Solves a part of a sweep in this process, without a scheduler: what one job of an array does."""

from __future__ import annotations

import re
from collections.abc import Callable

from payloadfield.compare.sweep.job import Job
from payloadfield.compare.sweep.worker import solve_point
from payloadfield.errors import RunError
from payloadfield.store.interrupt import StopRequest

_PART = re.compile(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*")


def parse_part(text: str) -> tuple[int, int]:
    """Number, from 1, and count of parts of a text such as "3/20".  Raises RunError for anything else."""
    found = _PART.fullmatch(text)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count:
        raise RunError(f"--part: got {text!r}; a number and a count such as 3/20 is needed, the first from 1")
    return number, count


def part_of(job: Job, number: int, count: int) -> list[int]:
    """The points without a result in one of `count` parts, the first being number 1."""
    return [index for index in job.remaining() if index % count == number - 1]


def solve_part(
    job: Job,
    number: int,
    count: int,
    *,
    backend: str | None = None,
    stop: StopRequest | None = None,
    report: Callable[[int, str | None], None] = lambda index, reason: None,
) -> None:
    """Solve those points without a result whose index leaves number - 1 when divided by count, in order."""
    request = stop or StopRequest()
    for index in part_of(job, number, count):
        if request.is_set:
            return
        if not job.result_path(index).exists():  # by another job with the same part
            report(index, solve_point(str(job.sweep.file), str(job.folder), index, backend))

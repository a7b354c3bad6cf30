"""The table of a sweep: one row a point, what it set and what came of it."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

from payloadfield.compare.sweep.job import Job
from payloadfield.errors import RunError
from payloadfield.store.files import write_atomically

TABLE, FAILED = "table.csv", "failures.csv"


def write_table(job: Job) -> Path:
    """Write table.csv from the results that are there, and failures.csv where points failed; the path of the first.

    Rows in the order of the points, columns in the order of the metrics; nothing in it depends on when or where a point
    was solved, so that two tables of one sweep are the same bytes.
    """
    rows, columns = _rows(job)
    keys = list(dict.fromkeys(key for point in job.points for key in point.changes))
    header = ["point", *keys, *(_label(each, unit) for each, unit in columns.items())]
    lines = [
        [job.points[index].name, *(job.points[index].changes.get(key, "") for key in keys), *map(row.get, columns)]
        for index, row in rows.items()
    ]
    path = job.folder / TABLE
    write_atomically(path, _csv([header, *lines]))
    failures = read_failures(job)
    if failures:
        write_atomically(job.folder / FAILED, _csv([["point", "reason"], *([k, v] for k, v in failures.items())]))
    else:
        (job.folder / FAILED).unlink(missing_ok=True)
    return path


def read_failures(job: Job) -> dict[str, str]:
    """Reasons of the points that could not be solved, by name."""
    found = [_read(path) for path in sorted((job.folder / "failures").glob("*.json"))]
    return {str(each["point"]): str(each["reason"]) for each in found}


def _rows(job: Job) -> tuple[dict[int, dict[tuple[str, str], float]], dict[tuple[str, str], str]]:
    """Values by point and by (cell type, metric), and the unit of every metric that any point has."""
    rows: dict[int, dict[tuple[str, str], float]] = {}
    columns: dict[tuple[str, str], str] = {}
    for index in range(len(job.points)):
        path = job.result_path(index)
        if not path.exists():
            continue
        metrics = _read(path)["metrics"]
        rows[index] = {(cell_type, name): value for cell_type, name, value, _ in metrics}
        columns |= {(cell_type, name): unit for cell_type, name, _, unit in metrics}
    return rows, columns


def _label(metric: tuple[str, str], unit: str) -> str:
    cell_type, name = metric
    head = f"{cell_type}: {name}" if cell_type else name
    return head if unit == "1" else f"{head} [{unit}]"


def _read(path: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return facts
    except ValueError as error:
        raise RunError(f"{path}: is damaged ({error}); remove it, and the point is solved again") from None


def _csv(rows: list[list[Any]]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()

"""Speed of each backend at hand on one case of a comparison, and how far their results lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter, process_time
from typing import Any

import numpy as np

from payloadfield.backends.registry import BACKENDS, resolve
from payloadfield.compare.metrics import Metric
from payloadfield.compare.solve import Measured, solve_and_measure
from payloadfield.errors import BackendError
from payloadfield.study import Study

LARGEST_FOR_REFERENCE = 100_000
"""Open voxels above which the reference backend, which is written to be read, is left out."""


def benchmark_backends(study: Study, metrics: Sequence[str]) -> dict[str, Any]:
    """Solve a study on every backend that is there, twice, and time the second time.

    Each row: backend, wall and CPU time [s], steps, the ratio of its wall time to the fastest one's, and the largest
    relative difference of the chosen metrics from the first backend's.  Times are of one machine at one moment: the
    ratios are what to look at.
    """
    rows: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    first: Measured | None = None
    for name in BACKENDS:
        try:
            resolve(name)
        except BackendError as error:
            missing[name] = str(error)
            continue
        n_open = int((study.geometry.open_fraction > 0).sum())
        if name == "numpy" and n_open > LARGEST_FOR_REFERENCE:
            missing[name] = f"left out above {LARGEST_FOR_REFERENCE} open voxels (here {n_open})"
            continue
        solve_and_measure(study, backend=name)
        wall, cpu = perf_counter(), process_time()
        measured = solve_and_measure(study, backend=name)
        wall, cpu = perf_counter() - wall, process_time() - cpu
        first = first or measured
        difference = _difference(first.metrics, measured.metrics, metrics)
        rows.append({"backend": name, "wall_seconds": wall, "cpu_seconds": cpu, "n_steps": measured.n_steps,
                     "largest_difference": difference, "largest_defect": measured.largest_defect})  # fmt: skip
    fastest = min((row["wall_seconds"] for row in rows), default=1.0)
    return {"rows": [{**row, "ratio": row["wall_seconds"] / fastest} for row in rows], "missing": missing}


def _difference(first: Sequence[Metric], other: Sequence[Metric], names: Sequence[str]) -> float:
    """Largest relative difference of the chosen metrics."""
    pairs = [(a.value, b.value) for a, b in zip(first, other, strict=True) if a.name in names and np.isfinite(a.value)]
    return max((abs(b - a) / max(abs(a), 1e-300) for a, b in pairs if a != b), default=0.0)

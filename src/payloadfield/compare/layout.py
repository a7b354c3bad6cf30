"""The folder of a comparison, and what is in its files.

COMPARISON/
  comparison.json   what was compared: study, scenarios, designs with what they set, doses, and how each run ended
  runs/NNN-NAME/    a run directory for every scenario, design and dose
  metrics.csv       scenario, design, dose_factor, cell_type, metric, value, unit
  ranks.csv         scenario, design, rank and its stability, for the metric that ranks
  windows.csv       scenario, design, the neighbours' limit, effect and dose there: with more doses than one
  spread.csv        scenario, design, cells, metric, n_samples, p05, median, p95: with --samples or --placements
  refinement.csv    scenario, design, cell_type, metric, value, finer steps, coarser voxels: with --refine
  benchmark.json    speed of the backends at hand and their agreement: with --benchmark
  samples.csv       sample, scenario, design, cell_type, metric, value, unit: with --samples or --placements
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from payloadfield.errors import RunError
from payloadfield.store.files import write_atomically

COMPARISON, METRICS, RANKS, SAMPLES = "comparison.json", "metrics.csv", "ranks.csv", "samples.csv"
WINDOWS, SPREAD = "windows.csv", "spread.csv"
REFINEMENT, BENCHMARK = "refinement.csv", "benchmark.json"
LAYOUT_VERSION = 1


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Replace a JSON file atomically."""
    write_atomically(path, json.dumps(facts, indent=2, ensure_ascii=False).encode() + b"\n")


def read_comparison(folder: str | Path) -> dict[str, Any]:
    """What comparison.json says.  Raises RunError where there is none, or one of another layout."""
    path = Path(folder) / COMPARISON
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise RunError(
            f"{folder}: holds no comparison ({COMPARISON} is missing); give a folder made by `payloadfield compare`"
        ) from None
    except ValueError as error:
        raise RunError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(facts, dict) or facts.get("layout_version") != LAYOUT_VERSION:
        raise RunError(f"{path}: not a comparison of layout {LAYOUT_VERSION}; use the release that wrote it")
    return facts


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file says; nothing where there is none."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file whole or not at all; numbers keep every digit."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; none where there is no such file."""
    if not path.exists():
        return []
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))

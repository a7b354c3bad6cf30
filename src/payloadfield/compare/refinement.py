"""How far the results of a comparison move with finer steps and with coarser voxels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from payloadfield.compare import layout
from payloadfield.compare.cases import Case
from payloadfield.compare.metrics import Metric, as_mapping
from payloadfield.compare.solve import solve_and_measure
from payloadfield.errors import StudyError
from payloadfield.store.interrupt import StopRequest
from payloadfield.study import Study, make_variants

FINER = 0.1
"""What the tolerance is multiplied by."""

COARSER = 2.0
"""What the edge of a voxel is multiplied by: an eighth of the voxels, and four times the error in space."""

_HEADER = ("scenario", "design", "cell_type", "metric", "value", "finer_steps", "coarser_voxels")


def check_refinement(
    study: Path,
    overrides: Sequence[str],
    measured: Mapping[Case, Sequence[Metric]],
    metrics: Sequence[str],
    folder: Path,
    *,
    backend: str | None = None,
    stop: StopRequest | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> None:
    """Solve the cases at the study's dose again, and write refinement.csv with the chosen metrics of each cell type.

    Cases that are in the file already, with the same values, are not solved again; after a stop it holds what
    is done.  finer_steps: with a tenth of the tolerance.  coarser_voxels: with voxels twice as large, and cells placed
    anew on them; nan where the grid does not divide so.
    """
    request, rows = stop or StopRequest(), list[tuple[object, ...]]()
    known = _known(folder)
    for case, found in measured.items():
        if case.dose_factor != 1.0:
            continue
        wanted = {(each.cell_type, each.name): each.value for each in found if each.name in metrics}
        done = known.get((case.scenario, case.design), {})
        if {key: value for key, (value, *_) in done.items()} == wanted:
            rows += [(case.scenario, case.design, *key, *values) for key, values in done.items()]
            continue
        if request.is_set:
            continue
        tell(f"refinement: {case.name}")
        base = case.study
        finer = _solve(study, case, _instead(overrides, "solver.rtol", f"{base.solver.rtol * FINER!r}"), backend)
        voxel = base.geometry.grid.spacing * COARSER
        coarser = _solve(study, case, _instead(overrides, "grid.voxel", f"{voxel!r} um"), backend)
        for key, value in wanted.items():
            others = (as_mapping(finer).get(key, math.nan), as_mapping(coarser).get(key, math.nan))
            rows.append((case.scenario, case.design, *key, value, *others))
    layout.write_rows(folder / layout.REFINEMENT, _HEADER, rows)


def _instead(overrides: Sequence[str], key: str, value: str) -> list[str]:
    """The overrides with another value of a key, which has one."""
    return [*(each for each in overrides if each.partition("=")[0].strip() != key), f"{key}={value}"]


def _known(folder: Path) -> dict[tuple[str, str], dict[tuple[str, str], tuple[float, float, float]]]:
    """What an earlier sitting found: by scenario and design, then by cell type and metric."""
    found: dict[tuple[str, str], dict[tuple[str, str], tuple[float, float, float]]] = {}
    for row in layout.read_rows(folder / layout.REFINEMENT):
        values = (float(row["value"]), float(row["finer_steps"]), float(row["coarser_voxels"]))
        found.setdefault((row["scenario"], row["design"]), {})[row["cell_type"], row["metric"]] = values
    return found


def _solve(study: Path, case: Case, overrides: Sequence[str], backend: str | None) -> list[Metric]:
    """Metrics with other settings; none where the grid cannot be made."""
    try:
        variant: Study = make_variants(study, {case.design: case.changes}, overrides)[0].study
    except StudyError:
        return []
    return solve_and_measure(variant, backend=backend).metrics

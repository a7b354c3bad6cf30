"""Compares designs: runs every case, measures it, ranks the designs, and draws samples of what is uncertain."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from payloadfield.compare import layout
from payloadfield.compare.backends import benchmark_backends
from payloadfield.compare.cases import Case, make_cases
from payloadfield.compare.metrics import Metric, measure
from payloadfield.compare.places import antigen_positive
from payloadfield.compare.ranking import Rank, rank_designs
from payloadfield.compare.refinement import check_refinement
from payloadfield.compare.running import FINISHED, INTERRUPTED, Outcome, run_cases
from payloadfield.compare.sampling import SampledMetrics, draw_samples
from payloadfield.compare.solve import kinds_of_study
from payloadfield.errors import RunError, StudyError
from payloadfield.store.drivers import keep_drivers
from payloadfield.store.interrupt import StopRequest
from payloadfield.store.layout import DRIVERS
from payloadfield.store.reader import open_run
from payloadfield.store.runner import Observer
from payloadfield.store.table import Table
from payloadfield.study import Study
from payloadfield.study.problems import did_you_mean

_PRICES = ("bound_payload_exposure_mean", "payload_exposure_mean")


@dataclass(frozen=True)
class Request:
    """What is to be compared.

    study: path of the study.  overrides: texts "key=value" for all.  dose_factors: beside 1.  targets: cell types to be
    hit; by antigen where none is given.  rank_by: metric of the targets that ranks, the higher the better; None for the
    share killed, or the exposure to bound payload without fates.  n_samples: of the numbers within their ranges.
    n_placements: of the cells, with other seeds.  with_refinement, with_benchmark: see refinement and backends.
    """

    study: Path
    overrides: Sequence[str] = ()
    dose_factors: Sequence[float] = (1.0,)
    targets: Sequence[str] = ()
    rank_by: str | None = None
    n_samples: int = 0
    n_placements: int = 0
    with_refinement: bool = False
    with_benchmark: bool = False


@dataclass(frozen=True)
class Compared:
    """What came of a comparison: outcomes of the runs, and the ranks of the designs in each scenario."""

    folder: Path
    outcomes: Sequence[Outcome]
    rank_by: str
    ranks: Mapping[str, Sequence[Rank]]


def compare_designs(
    request: Request,
    folder: Path,
    *,
    backend: str | None = None,
    stop: StopRequest | None = None,
    announce: Callable[[int, Case], Observer] | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Compared:
    """Run, measure and rank; what a folder holds of the same comparison already is not computed again.

    Raises StudyError before anything runs, and RunError where the folder holds something else.
    """
    cases = make_cases(request.study, request.overrides, request.dose_factors)
    targets = _targets(request, cases[0].study)
    _claim(folder, request)
    outcomes = run_cases(cases, folder, backend=backend, stop=stop, announce=announce)
    measured = {each.case: _measure(each.case, folder) for each in outcomes if each.state == FINISHED}
    _keep_drivers(folder, measured)
    rank_by = request.rank_by or _default_rank(next(iter(measured.values()), []))
    _write_metrics(folder, measured)
    _write_facts(folder, request, cases, outcomes, targets, rank_by)
    samples: list[SampledMetrics] = []
    if measured and all(each.state != INTERRUPTED for each in outcomes):
        if request.n_samples or request.n_placements:
            at_dose = [case for case in measured if case.dose_factor == 1.0]
            samples = draw_samples(request, at_dose, folder, backend=backend, stop=stop, tell=tell)
        _check(request, folder, measured, [rank_by, *_PRICES], backend, stop, tell)
    ranks = _ranks(measured, samples, targets, rank_by)
    _write_ranks(folder, ranks, rank_by)
    return Compared(folder, outcomes, rank_by, ranks)


def _check(
    request: Request, folder: Path, measured: Mapping[Case, Sequence[Metric]], metrics: Sequence[str],
    backend: str | None, stop: StopRequest | None, tell: Callable[[str], None],
) -> None:  # fmt: skip
    """The checks that were asked for and are not there yet: refinement, and the backends beside one another."""
    if request.with_refinement and not (folder / layout.REFINEMENT).exists():
        check_refinement(
            request.study, request.overrides, measured, metrics, folder, backend=backend, stop=stop, tell=tell
        )
    if request.with_benchmark and not (folder / layout.BENCHMARK).exists():
        case = next(iter(measured))
        tell(f"backends: {case.name}")
        layout.write_json(folder / layout.BENCHMARK, {"case": case.name, **benchmark_backends(case.study, metrics)})


def _claim(folder: Path, request: Request) -> None:
    """Make the folder, or see that it holds a comparison of the same study."""
    if (folder / layout.COMPARISON).exists():
        known = layout.read_comparison(folder)["study"]
        if known != str(request.study):
            raise RunError(f"{folder}: compares {known}; choose another folder with -o for {request.study}")
        return
    if folder.exists() and any(folder.iterdir()):
        raise RunError(f"{folder}: is not empty and holds no comparison; choose another folder with -o, or remove it")
    if not folder.resolve().parent.is_dir():
        raise RunError(f"{folder}: the folder {folder.resolve().parent} does not exist; make it first")
    folder.mkdir(exist_ok=True)


def _targets(request: Request, study: Study) -> list[str]:
    """Cell types that the designs are to hit."""
    present = [study.cells.type_names[k] for k in np.unique(study.cells.type_index)]
    for name in request.targets:
        if name not in present:
            raise StudyError(
                f"{request.study}: target {name!r} is no cell type of the study; {did_you_mean(name, present)}"
            )
    names = np.array(study.cells.type_names)[study.cells.type_index]
    of_cell = dict(zip(study.mechanism.cell_parameters, study.cell_parameters, strict=True))
    return list(request.targets) or antigen_positive(Table({"type": names, **of_cell}, {})) or present


def _keep_drivers(folder: Path, measured: Mapping[Case, Sequence[Metric]]) -> None:
    """Which assumed numbers drive the results, found out for the first case at the study's dose in each scenario."""
    scenarios = set[str]()
    for case in measured:
        if case.dose_factor != 1.0 or case.scenario in scenarios or not case.study.output.sensitivity:
            continue
        scenarios.add(case.scenario)
        if not (folder / case.folder / DRIVERS).exists():
            keep_drivers(folder / case.folder, case.study)


def _measure(case: Case, folder: Path) -> list[Metric]:
    run = open_run(folder / case.folder)
    return measure(run, kinds_of_study(case.study, run.cells))


def _default_rank(metrics: Sequence[Metric]) -> str:
    names = [each.name for each in metrics]
    exposures = [name for name in names if name.endswith("_mean")]
    wanted = ("fraction_killed", "bound_payload_exposure_mean", "payload_exposure_mean", *exposures)
    return next((name for name in wanted if name in names), "n_cells")


def mean_over(metrics: Sequence[Metric], types: Sequence[str], name: str) -> float:
    """A metric's mean over all cells of some types; nan where no type has it."""
    by_type = {(each.cell_type, each.name): each.value for each in metrics}
    chosen = [cell_type for cell_type in types if (cell_type, name) in by_type]
    counts = [by_type[cell_type, "n_cells"] for cell_type in chosen]
    if not sum(counts):
        return math.nan
    values = [by_type[cell_type, name] for cell_type in chosen]
    return float(np.average(values, weights=counts))


def _ranks(
    measured: Mapping[Case, Sequence[Metric]],
    samples: Sequence[SampledMetrics],
    targets: Sequence[str],
    rank_by: str,
) -> dict[str, list[Rank]]:
    """Ranks of the designs at the study's own dose, in each scenario."""
    found = {}
    for scenario in dict.fromkeys(case.scenario for case in measured):
        chosen = [case for case in measured if case.scenario == scenario and case.dose_factor == 1.0]
        values = {case.design: mean_over(measured[case], targets, rank_by) for case in chosen}
        drawn = [
            {
                each.design: mean_over(each.metrics, targets, rank_by)
                for each in samples
                if each.sample == name and each.scenario == scenario
            }
            for name in dict.fromkeys(each.sample for each in samples)
        ]
        found[scenario] = rank_designs(values, drawn)
    return found


# -- files ----------------------------------------------------------------------------------------------------------


def _write_metrics(folder: Path, measured: Mapping[Case, Sequence[Metric]]) -> None:
    header = ("scenario", "design", "dose_factor", "cell_type", "metric", "value", "unit")
    rows = (
        (case.scenario, case.design, case.dose_factor, each.cell_type, each.name, each.value, each.unit)
        for case, metrics in measured.items()
        for each in metrics
    )
    layout.write_rows(folder / layout.METRICS, header, rows)


def _write_ranks(folder: Path, ranks: Mapping[str, Sequence[Rank]], rank_by: str) -> None:
    header = ("scenario", "design", "rank", rank_by, "stability", "best", "p05", "p95")
    rows = (
        (scenario, each.design, each.rank, each.value, each.stability, each.best, each.low, each.high)
        for scenario, found in ranks.items()
        for each in found
    )
    layout.write_rows(folder / layout.RANKS, header, rows)


def _write_facts(
    folder: Path, request: Request, cases: Sequence[Case], outcomes: Sequence[Outcome], targets: Sequence[str],
    rank_by: str,
) -> None:  # fmt: skip
    study = cases[0].study
    types = [study.cells.type_names[k] for k in np.unique(study.cells.type_index)]
    facts: dict[str, Any] = {
        "layout_version": layout.LAYOUT_VERSION,
        "title": study.title,
        "study": str(request.study),
        "version": importlib.metadata.version("payloadfield"),
        "overrides": list(request.overrides),
        "scenarios": list(dict.fromkeys(case.scenario for case in cases)),
        "designs": list(dict.fromkeys(case.design for case in cases)),
        "dose_factors": sorted({case.dose_factor for case in cases}),
        "targets": list(targets),
        "neighbours": [name for name in types if name not in targets],
        "rank_by": rank_by,
        "n_samples": request.n_samples,
        "n_placements": request.n_placements,
        "cases": [_case_facts(outcome) for outcome in outcomes],
    }
    layout.write_json(folder / layout.COMPARISON, facts)


def _case_facts(outcome: Outcome) -> dict[str, Any]:
    case = outcome.case
    return {
        "scenario": case.scenario,
        "design": case.design,
        "dose_factor": case.dose_factor,
        "changes": {key: str(value) for key, value in case.changes.items()},
        "folder": case.folder,
        "state": outcome.state,
        "reason": outcome.reason,
    }

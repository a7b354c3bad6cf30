"""Compares designs: runs every case, measures it, ranks the designs, and draws samples of what is uncertain."""

from __future__ import annotations

import importlib.metadata
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
from payloadfield.compare.running import FINISHED, INTERRUPTED, NOT_BEGUN, Outcome, run_cases
from payloadfield.compare.sampling import SampledMetrics, draw_samples
from payloadfield.compare.solve import kinds_of_study, metric_names
from payloadfield.compare.summary import (
    NEIGHBOURS,
    PRICES,
    TARGETS,
    Groups,
    default_rank,
    mean_over,
    price_metric,
    spreads,
    windows,
)  # fmt: skip
from payloadfield.errors import RunError, StudyError
from payloadfield.store.drivers import keep_drivers
from payloadfield.store.interrupt import StopRequest
from payloadfield.store.layout import DRIVERS
from payloadfield.store.reader import open_run
from payloadfield.store.runner import Observer
from payloadfield.store.table import Table
from payloadfield.study import Study
from payloadfield.study.problems import did_you_mean


@dataclass(frozen=True)
class Request:
    """What is to be compared.

    study: path of the study.  overrides: texts "key=value" for all.  dose_factors: beside 1.  targets: cell types to be
    hit; by antigen where none is given.  rank_by: metric of the targets that ranks, the higher the better; None for the
    share killed, or the exposure to bound payload without fates.  n_samples: of the numbers within their ranges.
    n_placements: of the cells, with other seeds.  with_refinement, with_benchmark: see refinement and backends.
    neighbour_limit: exposure of the neighbours [nM h] at which doses are compared; None for that of the first design.
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
    neighbour_limit: float | None = None


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
    together: int | None = None,
    stop: StopRequest | None = None,
    announce: Callable[[int, Case], Observer] | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Compared:
    """Run, measure and rank; what a folder holds of the same comparison already is not computed again.

    together: how many designs are solved as one batch, see `run_cases`.
    Raises StudyError before anything runs, and RunError where the folder holds something else.
    """
    cases = make_cases(request.study, request.overrides, request.dose_factors)
    groups = _groups(request, cases[0].study)
    _refuse_rank(request, cases)
    _refuse_limit(request, cases, groups)
    _claim(folder, request)
    if not (folder / layout.COMPARISON).exists():  # so that what is killed can be told and taken up
        _write_facts(folder, request, [Outcome(case, INTERRUPTED, NOT_BEGUN) for case in cases], groups, {})
    outcomes = run_cases(cases, folder, backend=backend, together=together, stop=stop, announce=announce)
    measured = {each.case: _measure(each.case, folder) for each in outcomes if each.state == FINISHED}
    _keep_drivers(folder, measured)
    chosen = _chosen_metrics(request, measured)
    rank_by = chosen.get("rank_by", request.rank_by or "")
    _write_metrics(folder, measured)
    _write_windows(folder, measured, groups, chosen, request.neighbour_limit)
    _write_facts(folder, request, outcomes, groups, chosen)
    samples: list[SampledMetrics] = []
    if measured and all(each.state != INTERRUPTED for each in outcomes):
        if request.n_samples or request.n_placements:
            at_dose = [case for case in measured if case.dose_factor == 1.0]
            samples = draw_samples(request, at_dose, folder, backend=backend, stop=stop, tell=tell)
        _check(request, folder, measured, [rank_by, *PRICES], backend, stop, tell)
    _write_spread(folder, samples, groups)
    ranks = _ranks(measured, samples, groups[TARGETS], rank_by)
    _write_ranks(folder, ranks, rank_by)
    return Compared(folder, outcomes, rank_by, ranks)


def _chosen_metrics(request: Request, measured: Mapping[Case, Sequence[Metric]]) -> dict[str, str]:
    """What ranks, and what the neighbours pay with; nothing before a run has finished."""
    if not measured:
        return {}
    names = list(dict.fromkeys(each.name for each in next(iter(measured.values())) if each.cell_type))
    rank_by = request.rank_by or default_rank(names)
    return {"rank_by": rank_by, "neighbour_metric": price_metric(names, rank_by)}


def _refuse_rank(request: Request, cases: Sequence[Case]) -> None:
    """Raise StudyError for a metric that some case will not have."""
    for case in cases if request.rank_by else ():
        names = metric_names(case.study)
        if request.rank_by not in names:
            raise StudyError(
                f"--rank-by: got {request.rank_by!r}, which {case.name} does not give; "
                f"{did_you_mean(str(request.rank_by), names)}"
            )


def _refuse_limit(request: Request, cases: Sequence[Case], groups: Groups) -> None:
    """Raise StudyError for a limit that limits nothing."""
    limit = request.neighbour_limit
    if limit is None:
        return
    if not limit > 0:
        raise StudyError(f"--neighbour-limit: got {limit:g} nM h; an exposure above 0 is needed")
    if len({case.dose_factor for case in cases}) < 2 or not groups[NEIGHBOURS]:
        lacking = "cells that are no targets" if not groups[NEIGHBOURS] else "more doses, such as --dose 0.1 --dose 10"
        raise StudyError(f"--neighbour-limit: limits the dose by what neighbours are exposed to; it needs {lacking}")


def _check(
    request: Request, folder: Path, measured: Mapping[Case, Sequence[Metric]], metrics: Sequence[str],
    backend: str | None, stop: StopRequest | None, tell: Callable[[str], None],
) -> None:  # fmt: skip
    """The checks that were asked for and are not there yet: refinement, and the backends beside one another."""
    if request.with_refinement and not (stop is not None and stop.is_set):
        check_refinement(
            request.study, request.overrides, measured, metrics, folder, backend=backend, stop=stop, tell=tell
        )
    case = next(iter(measured))
    is_known = layout.read_json(folder / layout.BENCHMARK).get("case") == case.name
    if request.with_benchmark and not is_known and not (stop is not None and stop.is_set):
        tell(f"backends: {case.name}")
        layout.write_json(folder / layout.BENCHMARK, {"case": case.name, **benchmark_backends(case.study, metrics)})


def _claim(folder: Path, request: Request) -> None:
    """Make the folder, or see that it holds a comparison of the same study, made by this version."""
    if (folder / layout.COMPARISON).exists():
        facts = layout.read_comparison(folder)
        if facts["study"] != str(request.study):
            raise RunError(f"{folder}: compares {facts['study']}; choose another folder with -o for {request.study}")
        if facts["version"] != _version():
            raise RunError(
                f"{folder}: was begun by payloadfield {facts['version']}, and this is {_version()}, whose numbers may "
                "differ; start again in another folder, or go on with that version"
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise RunError(f"{folder}: is not empty and holds no comparison; choose another folder with -o, or remove it")
    if not folder.resolve().parent.is_dir():
        raise RunError(f"{folder}: the folder {folder.resolve().parent} does not exist; make it first")
    folder.mkdir(exist_ok=True)


def _version() -> str:
    return importlib.metadata.version("payloadfield")


def _groups(request: Request, study: Study) -> Groups:
    """Cell types that the designs are to hit, and those that they are to spare."""
    present = [study.cells.type_names[k] for k in np.unique(study.cells.type_index)]
    for name in request.targets:
        if name not in present:
            raise StudyError(
                f"{request.study}: target {name!r} is no cell type of the study; {did_you_mean(name, present)}"
            )
    names = np.array(study.cells.type_names)[study.cells.type_index]
    of_cell = dict(zip(study.mechanism.cell_parameters, study.cell_parameters, strict=True))
    targets = list(request.targets) or antigen_positive(Table({"type": names, **of_cell}, {})) or present
    return {TARGETS: targets, NEIGHBOURS: [name for name in present if name not in targets]}


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


def _write_windows(
    folder: Path, measured: Mapping[Case, Sequence[Metric]], groups: Groups, chosen: Mapping[str, str],
    limit: float | None,
) -> None:  # fmt: skip
    """windows.csv where there is a ladder of doses and somebody to spare; an old one is removed."""
    path, found = folder / layout.WINDOWS, []
    if chosen and groups[NEIGHBOURS]:
        found = list(windows(measured, groups, chosen["rank_by"], chosen["neighbour_metric"], limit))
    if not found:
        path.unlink(missing_ok=True)
        return
    header = ("scenario", "design", "neighbour_limit", chosen["rank_by"], "dose_factor", "limit")
    layout.write_rows(path, header, ((w.scenario, w.design, w.limit, w.effect, w.dose_factor, w.reach) for w in found))


def _write_spread(folder: Path, samples: Sequence[SampledMetrics], groups: Groups) -> None:
    header = ("scenario", "design", "cells", "metric", "n_samples", "p05", "median", "p95")
    rows = [
        (s.scenario, s.design, s.cells, s.metric, s.n_samples, s.low, s.median, s.high)
        for s in spreads(samples, groups)
    ]
    if rows:
        layout.write_rows(folder / layout.SPREAD, header, rows)
    else:
        (folder / layout.SPREAD).unlink(missing_ok=True)


def _write_facts(
    folder: Path, request: Request, outcomes: Sequence[Outcome], groups: Groups, chosen: Mapping[str, str]
) -> None:
    cases = [outcome.case for outcome in outcomes]
    facts: dict[str, Any] = {
        "layout_version": layout.LAYOUT_VERSION,
        "title": cases[0].study.title,
        "study": str(request.study),
        "version": _version(),
        "overrides": list(request.overrides),
        "scenarios": list(dict.fromkeys(case.scenario for case in cases)),
        "designs": list(dict.fromkeys(case.design for case in cases)),
        "dose_factors": sorted({case.dose_factor for case in cases}),
        **{kind: list(types) for kind, types in groups.items()},
        "rank_by": chosen.get("rank_by"),
        "neighbour_metric": chosen.get("neighbour_metric"),
        "neighbour_limit": request.neighbour_limit,
        "options": _options(request),
        "n_samples": request.n_samples,
        "n_placements": request.n_placements,
        "cases": [_case_facts(outcome) for outcome in outcomes],
    }
    layout.write_json(folder / layout.COMPARISON, facts)


def _options(request: Request) -> list[str]:
    """The command line's options that ask for the same again."""
    found = [f"--set={each}" for each in request.overrides]
    found += [f"--dose={factor:g}" for factor in request.dose_factors if factor != 1.0]
    found += [f"--target={name}" for name in request.targets]
    found += [f"--rank-by={request.rank_by}"] if request.rank_by else []
    found += [f"--neighbour-limit={request.neighbour_limit!r} nM h"] if request.neighbour_limit is not None else []
    found += [f"--samples={request.n_samples}"] if request.n_samples else []
    found += [f"--placements={request.n_placements}"] if request.n_placements else []
    return [*found, *["--refine"] * request.with_refinement, *["--benchmark"] * request.with_benchmark]


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

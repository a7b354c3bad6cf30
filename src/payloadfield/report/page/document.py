"""What a report is about, read from a comparison's folder or from run directories and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from payloadfield.compare import layout
from payloadfield.compare.metrics import Kinds, Metric, measure
from payloadfield.compare.places import antigen_positive, distance_to_sides
from payloadfield.compare.ranking import Rank, rank_designs
from payloadfield.compare.summary import default_rank, mean_over, price_metric
from payloadfield.errors import RunError
from payloadfield.store.layout import MANIFEST
from payloadfield.store.reader import Run, open_run

FINISHED = "finished"


@dataclass(frozen=True, eq=False)
class Case:
    """One run in a report.

    state, reason: how it ended; only a finished one is measured and counts anywhere.  changes: what its design sets.
    """

    scenario: str
    design: str
    dose_factor: float
    run: Run
    state: str
    reason: str = ""
    changes: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether it ran to its end."""
        return self.state == FINISHED

    @property
    def name(self) -> str:
        """Design, scenario and dose in words."""
        dose = "" if self.dose_factor == 1.0 else f", {self.dose_factor:g} times the dose"
        return f"{self.design}, {self.scenario}{dose}" if self.scenario else f"{self.design}{dose}"

    @cached_property
    def kinds(self) -> Kinds:
        """What the columns of its cells are."""
        run, fates = self.run, self.run.manifest.get("fates", {})
        sides = run.manifest["bath_sides"]
        distance = distance_to_sides(run.cells, sides, run.frame.shape, run.frame.spacing) if sides else None
        return Kinds(
            exposures=run.manifest["exposures"],
            living=[name for name, is_dead in fates.items() if not is_dead],
            dead=[name for name, is_dead in fates.items() if is_dead],
            bath_distance=distance,
        )

    @cached_property
    def metrics(self) -> list[Metric]:
        """Its metrics at the end; none of a run that was cut short."""
        return measure(self.run, self.kinds) if self.is_finished else []


@dataclass(frozen=True, eq=False)
class Document:
    """A report before it is drawn.

    targets, neighbours: cell types.  rank_by: metric of the targets that ranks.  ranks, windows, spread, refinement:
    rows of those files.  facts: of comparison.json, empty for plain runs.  not_begun: cases that have no run, in words.
    """

    title: str
    cases: Sequence[Case]
    targets: Sequence[str]
    neighbours: Sequence[str]
    rank_by: str
    ranks: Sequence[Mapping[str, str]] = ()
    windows: Sequence[Mapping[str, str]] = ()
    spread: Sequence[Mapping[str, str]] = ()
    refinement: Sequence[Mapping[str, str]] = ()
    not_begun: Sequence[str] = ()
    benchmark: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def scenarios(self) -> list[str]:
        """Names in order."""
        return list(dict.fromkeys(case.scenario for case in self.cases))

    @cached_property
    def designs(self) -> list[str]:
        """Names in order."""
        return list(dict.fromkeys(case.design for case in self.cases))

    @cached_property
    def dose_factors(self) -> list[float]:
        """From the lowest to the highest."""
        return sorted({case.dose_factor for case in self.cases})

    @cached_property
    def main(self) -> list[Case]:
        """Finished cases at the dose of the study."""
        return [case for case in self.cases if case.is_finished and case.dose_factor == 1.0]

    def find(self, scenario: str, design: str, dose_factor: float = 1.0) -> Case | None:
        """The finished case of that scenario, design and dose."""
        wanted = (scenario, design, dose_factor)
        found = (c for c in self.cases if (c.scenario, c.design, c.dose_factor) == wanted and c.is_finished)
        return next(found, None)

    def value(self, case: Case, name: str, types: Sequence[str]) -> float:
        """A metric's mean over the cells of some types."""
        return mean_over(case.metrics, types, name)

    @cached_property
    def has_fates(self) -> bool:
        """Whether the runs follow what becomes of cells."""
        return bool(self.main) and bool(self.main[0].kinds.dead)

    @cached_property
    def neighbour_metric(self) -> str:
        """What stands for the price that neighbours pay."""
        names = [each.name for case in self.main for each in case.metrics if each.cell_type]
        return self.facts.get("neighbour_metric") or price_metric(names, self.rank_by)

    def has_metric(self, name: str) -> bool:
        """Whether any run has a metric."""
        return any(each.name == name for case in self.main for each in case.metrics)

    @cached_property
    def _spreads(self) -> dict[tuple[str, str, str, str], tuple[float, float]]:
        keys = ("scenario", "design", "cells", "metric")
        rows = ((tuple(row[key] for key in keys), (float(row["p05"]), float(row["p95"]))) for row in self.spread)
        return dict(rows)  # type: ignore[arg-type]

    def spread_of(self, case: Case, cells: str, name: str) -> tuple[float, float] | None:
        """5th and 95th percentile of a metric over the samples; None without."""
        return self._spreads.get((case.scenario, case.design, cells, name))

    def rank(self, values: Mapping[str, float]) -> list[Rank]:
        """Designs from best to worst."""
        return rank_designs(values)

    def unit(self, name: str) -> str:
        """Unit of a metric."""
        return next((each.unit for case in self.main for each in case.metrics if each.name == name), "1")


def read_document(paths: Sequence[str | Path]) -> Document:
    """The document of one comparison's folder, or of run directories over the same geometry and cells.

    Raises RunError for something that is neither, for several comparisons, and for runs of different studies.
    """
    folders = [Path(path) for path in paths]
    comparisons = [folder for folder in folders if (folder / layout.COMPARISON).exists()]
    if comparisons and len(folders) > 1:
        raise RunError(
            f"report: got a comparison ({comparisons[0]}) among {len(folders)} folders; give one comparison, or runs "
            "alone"
        )
    return _of_comparison(folders[0]) if comparisons else _of_runs(folders)


def _of_comparison(folder: Path) -> Document:
    facts = layout.read_comparison(folder)
    begun = [each for each in facts["cases"] if (folder / each["folder"] / MANIFEST).exists()]
    cases = [_case(each, open_run(folder / each["folder"])) for each in begun]
    names = [metric.name for case in cases if case.is_finished for metric in case.metrics if metric.cell_type]
    return Document(
        title=facts["title"],
        cases=cases,
        targets=facts["targets"],
        neighbours=facts["neighbours"],
        rank_by=facts["rank_by"] or default_rank(names),
        ranks=layout.read_rows(folder / layout.RANKS),
        windows=layout.read_rows(folder / layout.WINDOWS),
        spread=layout.read_rows(folder / layout.SPREAD),
        refinement=layout.read_rows(folder / layout.REFINEMENT),
        benchmark=layout.read_json(folder / layout.BENCHMARK),
        facts=facts,
        not_begun=[
            f"{each['design']}, {each['scenario']}"
            + ("" if each["dose_factor"] == 1.0 else f", {each['dose_factor']:g} times the dose")
            for each in facts["cases"]
            if each not in begun
        ],
    )


def _case(facts: Mapping[str, Any], run: Run) -> Case:
    """A case as its own run says it ended: the comparison may have been killed before it could note it."""
    reason = facts["reason"] if facts["state"] == run.state else run.manifest["reason"]
    return Case(facts["scenario"], facts["design"], facts["dose_factor"], run, run.state, reason, facts["changes"])


def _of_runs(folders: Sequence[Path]) -> Document:
    runs = [open_run(folder) for folder in folders]
    _refuse_different(runs)
    names = _names(runs)
    cases = [Case("", name, 1.0, run, run.state, run.manifest["reason"]) for name, run in zip(names, runs, strict=True)]
    types = list(dict.fromkeys(runs[0].cells["type"].tolist()))
    targets = antigen_positive(runs[0].cells) or types
    ranked = [case for case in cases if case.is_finished]
    known = [metric.name for case in ranked for metric in case.metrics if metric.cell_type]
    return Document(
        title=runs[0].title,
        cases=cases,
        targets=targets,
        neighbours=[name for name in types if name not in targets],
        rank_by=default_rank(known),
    )


def _names(runs: Sequence[Run]) -> list[str]:
    """What each run is called: its design, else its title, else its folder."""
    for names in (
        [str(run.effective.get("variant", "")) for run in runs],
        [run.title for run in runs],
        [run.directory.name for run in runs],
    ):
        if all(names) and len(set(names)) == len(names):
            return names
    return [str(run.directory) for run in runs]


def _refuse_different(runs: Sequence[Run]) -> None:
    """Raise RunError where runs do not share grid, scaffold, cells and duration."""
    first = runs[0]
    for other in runs[1:]:
        for what, a, b in (
            ("grid", (*first.frame.shape, first.frame.spacing), (*other.frame.shape, other.frame.spacing)),
            ("duration", first.manifest["duration_s"], other.manifest["duration_s"]),
            ("number of cells", first.cells.n_rows, other.cells.n_rows),
            ("scaffold", first.geometry("open_fraction"), other.geometry("open_fraction")),
            *((f"cells ({name})", first.cells[name], other.cells[name]) for name in ("type", "x_um", "y_um", "z_um")),
        ):
            if not np.array_equal(a, b):
                raise RunError(
                    f"{other.directory}: differs from {first.directory} in its {what}; a report compares runs over one "
                    "geometry with the same cells: make a report for each"
                )

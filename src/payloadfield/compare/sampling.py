"""Solves the cases of a comparison again with other draws of what is uncertain, and keeps what came of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from payloadfield.compare import layout
from payloadfield.compare.cases import Case
from payloadfield.compare.metrics import Metric
from payloadfield.compare.solve import solve_and_measure
from payloadfield.compare.uncertainty import make_samples, uncertain_numbers
from payloadfield.solver.discretisation import make_plan
from payloadfield.solver.variants import plan_beside
from payloadfield.store.digest import study_digest
from payloadfield.store.interrupt import StopRequest
from payloadfield.study import Study
from payloadfield.study.designs import make_variant, make_variants

FOLDER = "samples"
_HEADER = ("sample", "scenario", "design", "cell_type", "metric", "value", "unit")


class Wanted(Protocol):
    """How many samples of what study: see comparison.Request."""

    @property
    def study(self) -> Path:
        """Path of the study."""

    @property
    def overrides(self) -> Sequence[str]:
        """Texts "key=value" for all."""

    @property
    def n_samples(self) -> int:
        """Samples of the numbers within their ranges."""

    @property
    def n_placements(self) -> int:
        """Samples of where the cells lie."""


@dataclass(frozen=True)
class SampledMetrics:
    """Metrics of one design in one scenario in one sample."""

    sample: str
    scenario: str
    design: str
    metrics: tuple[Metric, ...]


def draw_samples(
    wanted: Wanted,
    cases: Sequence[Case],
    folder: Path,
    *,
    backend: str | None = None,
    stop: StopRequest | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> list[SampledMetrics]:
    """Metrics of every case in every sample; those solved before for the same cases are read from their files.

    tell: hears of every sample.  Writes samples.csv; after a stop, of the samples that are whole.
    """
    (folder / FOLDER).mkdir(exist_ok=True)
    request, found = stop or StopRequest(), list[SampledMetrics]()
    own = [[case.scenario, case.design, study_digest(case.study)] for case in cases]
    for name, studies in _samples(wanted, cases):
        path = folder / FOLDER / f"{name.replace(' ', '-')}.json"
        kept = layout.read_json(path)
        if kept.get("cases") != own:
            if request.is_set:
                break
            tell(f"sample: {name}")
            kept = {"sample": name, "cases": own, "metrics": _solve(studies(), backend)}
            layout.write_json(path, kept)
        rows = kept["metrics"]
        found += [_read(name, case, each) for case, each in zip(cases, rows, strict=True)]
    rows = ((s.sample, s.scenario, s.design, m.cell_type, m.name, m.value, m.unit) for s in found for m in s.metrics)
    layout.write_rows(folder / layout.SAMPLES, _HEADER, rows)
    return found


def _samples(wanted: Wanted, cases: Sequence[Case]) -> Iterator[tuple[str, Callable[[], list[Study]]]]:
    """Name of every sample, and how its studies are made."""
    base = cases[0].study
    drawn = make_samples([uncertain_numbers(case.study) for case in cases], wanted.n_samples, base.seed)
    for index, values in enumerate(drawn):
        yield f"range {index:03d} of {wanted.n_samples}", lambda values=values: _within_ranges(wanted, cases, values)  # type: ignore[misc]
    for index in range(wanted.n_placements):
        seed = base.seed + 1 + index
        yield f"placement {index:03d}", lambda seed=seed: _placed(wanted, cases, seed)  # type: ignore[misc]


def _within_ranges(wanted: Wanted, cases: Sequence[Case], values: Sequence[Mapping[str, str]]) -> list[Study]:
    return [
        make_variant(wanted.study, case.design, {**case.changes, **each}, cases[0].study, wanted.overrides)
        for case, each in zip(cases, values, strict=True)
    ]


def _placed(wanted: Wanted, cases: Sequence[Case], seed: int) -> list[Study]:
    variants = {f"{case.scenario}, {case.design}": case.changes for case in cases}
    return [each.study for each in make_variants(wanted.study, variants, [*wanted.overrides, f"seed={seed}"])]


def _solve(studies: Sequence[Study], backend: str | None) -> list[list[Any]]:
    plan = make_plan(studies[0])
    return [
        [[m.cell_type, m.name, m.value, m.unit] for m in solve_and_measure(study, backend=backend, plan=own).metrics]
        for study, own in ((study, plan_beside(plan, studies[0], study)) for study in studies)
    ]


def _read(name: str, case: Case, rows: Sequence[Sequence[Any]]) -> SampledMetrics:
    return SampledMetrics(name, case.scenario, case.design, tuple(Metric(*row) for row in rows))

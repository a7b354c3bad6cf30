"""What a comparison boils down to: means over targets and neighbours, how far samples spread them, dose windows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from payloadfield.compare.cases import Case
from payloadfield.compare.metrics import Metric
from payloadfield.compare.ranking import interval, therapeutic_window
from payloadfield.compare.sampling import SampledMetrics

PRICES = ("bound_payload_exposure_mean", "payload_exposure_mean")
"""What the neighbours pay with: the first of these that the mechanism has."""

TARGETS, NEIGHBOURS = "targets", "neighbours"
ALL_OF = {TARGETS: "all targets", NEIGHBOURS: "all neighbours"}
"""What stands for the cells of a group in spread.csv."""

Groups = Mapping[str, Sequence[str]]
"""Cell types of the targets and of the neighbours."""


def default_rank(names: Sequence[str]) -> str:
    """The metric that ranks where none is asked for: share killed, else an exposure."""
    exposures = [name for name in names if name.endswith("_mean")]
    return next((name for name in ("fraction_killed", *PRICES, *exposures) if name in names), "n_cells")


def price_metric(names: Sequence[str], rank_by: str) -> str:
    """The metric of the neighbours that is the price of an effect."""
    return next((name for name in PRICES if name in names), rank_by)


def mean_over(metrics: Sequence[Metric], types: Sequence[str], name: str) -> float:
    """A metric's mean over all cells of some types; nan where no type has it."""
    by_type = {(each.cell_type, each.name): each.value for each in metrics}
    chosen = [cell_type for cell_type in types if (cell_type, name) in by_type]
    counts = [by_type[cell_type, "n_cells"] for cell_type in chosen]
    if not sum(counts):
        return math.nan
    values = [by_type[cell_type, name] for cell_type in chosen]
    return float(np.average(values, weights=counts))


# -- spread ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """A metric over the samples: 5th percentile, median and 95th.

    cells: a cell type, `ALL_OF` targets or neighbours, or "" for the whole run.
    """

    scenario: str
    design: str
    cells: str
    metric: str
    n_samples: int
    low: float
    median: float
    high: float


def spreads(samples: Sequence[SampledMetrics], groups: Groups) -> list[Spread]:
    """How far each metric of each design moves from sample to sample: by cell type, and means and shares by group."""
    found = []
    for scenario, design in dict.fromkeys((each.scenario, each.design) for each in samples):
        drawn = [each.metrics for each in samples if (each.scenario, each.design) == (scenario, design)]
        for (cells, name), values in _by_name(drawn, groups).items():
            if name != "n_cells" and not all(map(math.isnan, values)):
                found.append(Spread(scenario, design, cells, name, len(values), *interval(values, (5, 50, 95))))
    return found


def _by_name(drawn: Sequence[Sequence[Metric]], groups: Groups) -> dict[tuple[str, str], list[float]]:
    """Values in each sample, by cells and metric."""
    values: dict[tuple[str, str], list[float]] = {}
    for metrics in drawn:
        for each in metrics:
            values.setdefault((each.cell_type, each.name), []).append(each.value)
        for kind, types in groups.items():
            for name in dict.fromkeys(m.name for m in metrics if m.cell_type in types and is_mean(m.name)):
                values.setdefault((ALL_OF[kind], name), []).append(mean_over(metrics, types, name))
    return values


def is_mean(name: str) -> bool:
    """Whether a metric is a mean or a share, which has a mean over cell types; a time or a percentile has none."""
    return name.endswith("_mean") or name.startswith(("fraction_", "share_"))


# -- dose windows ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Window:
    """What a design does to the targets at the dose at which it exposes the neighbours up to a limit.

    limit: in the unit of the metric that is the price.  effect: on the targets there; dose_factor: that dose over the
    study's.  reach: "reached"; "not reached" where even the highest dose exposes them less, effect and dose being those
    of the highest; "exceeded" where even the lowest dose exposes them more, and both are unknown.
    """

    scenario: str
    design: str
    limit: float
    effect: float
    dose_factor: float
    reach: str


def windows(
    measured: Mapping[Case, Sequence[Metric]], groups: Groups, rank_by: str, price: str, limit: float | None
) -> Iterator[Window]:
    """The window of every design in every scenario, from its ladder of doses; none from a single dose.

    limit: exposure of the neighbours; None for what the first design costs them at the study's own dose, scenario by
    scenario.
    """
    for scenario in dict.fromkeys(case.scenario for case in measured):
        cases = [case for case in measured if case.scenario == scenario]
        price_of = {case: mean_over(measured[case], groups[NEIGHBOURS], price) for case in cases}
        own = limit
        if own is None:
            first = [case for case in cases if case.dose_factor == 1.0]
            own = price_of[first[0]] if first else math.nan
        for design in dict.fromkeys(case.design for case in cases):
            ladder = [case for case in cases if case.design == design]
            if len(ladder) > 1 and not math.isnan(own):
                effect = {case: mean_over(measured[case], groups[TARGETS], rank_by) for case in ladder}
                yield _window(ladder, price_of, effect, own)


def _window(ladder: Sequence[Case], price: Mapping[Case, float], effect: Mapping[Case, float], limit: float) -> Window:
    prices = [price[case] for case in ladder]
    reach = "exceeded" if min(prices) > limit else "not reached" if max(prices) < limit else "reached"
    at = therapeutic_window(prices, [effect[case] for case in ladder], limit)
    dose = math.exp(therapeutic_window(prices, [math.log(case.dose_factor) for case in ladder], limit))
    return Window(ladder[0].scenario, ladder[0].design, limit, at, dose, reach)

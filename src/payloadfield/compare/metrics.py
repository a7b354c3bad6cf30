"""What came of a run, in numbers that designs can be ranked by.

Every metric is one number for one cell type, or for the whole run (cell type ""). Exposures are in the unit that people
read, nM h. A fraction of a fate is the share of that fate among all cells of the type at the end, living and dead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from payloadfield.store.exposure import CellSeries
from payloadfield.store.table import Table

SECONDS_PER_HOUR = 3600.0
QUANTILES = {"p05": 5, "p25": 25, "median": 50, "p75": 75, "p95": 95}
EFFECT = 0.5
"""Time to effect: when this share of a type's cells is dead or senescent."""

TAKEN_UP = "taken_up_from_"
"""How the mechanism names the payload taken up from each source."""

_FELL = 1.0 - 1e-6  # a number of cells that rounding alone moves has not fallen
_INSIDE, _OUTSIDE = "released_inside", "released_outside"  # of the module `released`
_BINS = 12
_LEAST_IN_BIN = 5
_LOST_MOST = 0.5  # penetration depth: where the exposure falls below this share of that next to the bath


@dataclass(frozen=True)
class Metric:
    """One number: of a cell type ("" for the whole run), its name, value and unit."""

    cell_type: str
    name: str
    value: float
    unit: str


class Results(Protocol):
    """What is measured: a `Run` or a `Result`."""

    @property
    def cells(self) -> Table:
        """One row a cell."""

    @property
    def series(self) -> CellSeries:
        """Time courses at the outputs."""


@dataclass(frozen=True)
class Kinds:
    """What the columns of a run's cells are.

    exposures: names.  living, dead: names of the fates, none without the module.  bath_distance (n_cell,) [um]: from
    each cell to the nearest side of the bath; None without one.
    """

    exposures: Sequence[str]
    living: Sequence[str] = ()
    dead: Sequence[str] = ()
    bath_distance: np.ndarray | None = field(default=None, compare=False)

    @property
    def fates(self) -> tuple[str, ...]:
        """All fates."""
        return (*self.living, *self.dead)


def measure(results: Results, kinds: Kinds) -> list[Metric]:
    """Every metric of a run at its last output."""
    types = results.cells["type"].astype(str)
    found = []
    for cell_type in dict.fromkeys(types.tolist()):
        chosen = types == cell_type
        for name, value, unit in _of_type(results, kinds, chosen):
            found.append(Metric(cell_type, name, value, unit))
    return [*found, *_of_run(results, kinds)]


def _of_type(results: Results, kinds: Kinds, chosen: np.ndarray) -> Iterator[tuple[str, float, str]]:
    yield "n_cells", float(np.count_nonzero(chosen)), "1"
    for name in kinds.exposures:
        values, unit = _readable(results.cells[name][chosen], results.cells.units[name])
        yield f"{name}_mean", float(np.mean(values)), unit
        for label, percent in QUANTILES.items():
            yield f"{name}_{label}", float(np.percentile(values, percent)), unit
    yield from _of_sources(results, chosen)
    if kinds.fates:
        yield from _of_fates(results, kinds, chosen)
    if kinds.bath_distance is not None:
        for name in kinds.exposures:
            depth = penetration_depth(kinds.bath_distance[chosen], results.cells[name][chosen])
            yield f"{name}_penetration_depth", depth, "um"


def _of_sources(results: Results, chosen: np.ndarray) -> Iterator[tuple[str, float, str]]:
    """Shares of the payload taken up, by where it came from (module `sources`); nan where cells took none."""
    amounts = {name: float(results.cells[name][chosen].sum()) for name in results.cells if name.startswith(TAKEN_UP)}
    total = sum(amounts.values())
    for name, amount in amounts.items():
        yield f"share_{name.removeprefix('taken_up_')}", amount / total if total > 0 else math.nan, "1"


def _of_fates(results: Results, kinds: Kinds, chosen: np.ndarray) -> Iterator[tuple[str, float, str]]:
    total = sum(float(results.cells[name][chosen].sum()) for name in kinds.fates)
    for name in kinds.fates:
        yield f"fraction_{name}", float(results.cells[name][chosen].sum()) / total, "1"
    spared = [name for name in kinds.living if name != "senescent"]
    yield "fraction_spared", sum(float(results.cells[name][chosen].sum()) for name in spared) / total, "1"
    yield "fraction_killed", sum(float(results.cells[name][chosen].sum()) for name in kinds.dead) / total, "1"
    yield "time_to_effect", time_to_effect(results.series, kinds, chosen), "h"
    yield "time_to_regrowth", time_to_regrowth(results.series, kinds, chosen), "h"


def time_to_effect(series: CellSeries, kinds: Kinds, chosen: np.ndarray) -> float:
    """First time [h] at which half of the chosen cells are dead or senescent; inf if never.

    Between outputs by a straight line.
    """
    hit = [name for name in (*kinds.dead, "senescent") if name in kinds.fates]
    counts = {name: series.cells[name][:, chosen].sum(axis=1) for name in kinds.fates if name in series.cells}
    if len(counts) < len(kinds.fates):
        return math.nan
    share = sum(counts[name] for name in hit) / sum(counts.values())
    reached = np.flatnonzero(share >= EFFECT)
    if not reached.size:
        return math.inf
    k, hours = int(reached[0]), series.times / SECONDS_PER_HOUR
    if k == 0:
        return float(hours[0])
    part = (EFFECT - share[k - 1]) / (share[k] - share[k - 1])
    return float(hours[k - 1] + part * (hours[k] - hours[k - 1]))


def time_to_regrowth(series: CellSeries, kinds: Kinds, chosen: np.ndarray) -> float:
    """First time [h] at which the living cells among the chosen ones, once fewer than at the start, are as many again.

    inf if they fell and never were; nan if they never fell, and where the fates were not kept.  Between outputs by a
    straight line in the logarithm of their number, which is exact for exponential growth.
    """
    counts = [series.cells[name][:, chosen].sum(axis=1) for name in kinds.living if name in series.cells]
    if not counts or len(counts) < len(kinds.living):
        return math.nan
    living = sum(counts)
    if living[0] <= 0:
        return math.nan
    share = living / living[0]
    fallen = np.flatnonzero(share < _FELL)
    if not fallen.size:
        return math.nan
    back = np.flatnonzero(share[fallen[0] :] >= 1.0)
    if not back.size:
        return math.inf
    k, hours = int(fallen[0] + back[0]), series.times / SECONDS_PER_HOUR
    if share[k - 1] <= 0:
        return float(hours[k])
    part = -math.log(share[k - 1]) / math.log(share[k] / share[k - 1])
    return float(hours[k - 1] + part * (hours[k] - hours[k - 1]))


def penetration_depth(distance: np.ndarray, exposure: np.ndarray) -> float:
    """Distance from the bath [um] at which the mean exposure falls to half of that of the cells nearest to it.

    Means over bins of equal numbers of cells, a straight line between bins; inf where it never falls so far, nan for
    too few cells or none exposed.
    """
    n_bins = min(_BINS, len(distance) // _LEAST_IN_BIN)
    if n_bins < 2:
        return math.nan
    bins = np.array_split(np.argsort(distance, kind="stable"), n_bins)
    depth = np.array([float(np.mean(distance[each])) for each in bins])
    mean = np.array([float(np.mean(exposure[each])) for each in bins])
    if mean[0] <= 0:
        return math.nan
    below = np.flatnonzero(mean <= _LOST_MOST * mean[0])
    if not below.size:
        return math.inf
    k = int(below[0])
    part = (mean[k - 1] - _LOST_MOST * mean[0]) / (mean[k - 1] - mean[k])
    return float(depth[k - 1] + part * (depth[k] - depth[k - 1]))


def _of_run(results: Results, kinds: Kinds) -> Iterator[Metric]:
    for moiety, columns in results.series.ledger.items():
        yield Metric("", f"balance_defect_{moiety}", float(columns["relative_defect"][-1]), "1")
    if _INSIDE in results.cells and _OUTSIDE in results.series.counts:
        inside, outside = float(results.cells[_INSIDE].sum()), float(results.series.counts[_OUTSIDE][-1])
        yield Metric("", _INSIDE, inside, "molecules")
        yield Metric("", _OUTSIDE, outside, "molecules")
        yield Metric("", "share_released_outside", outside / max(inside + outside, 1e-300), "1")


def _readable(values: np.ndarray, unit: str) -> tuple[np.ndarray, str]:
    """Exposures in nM h."""
    is_exposure = unit in ("nM*s", "s*nM")
    return (values / SECONDS_PER_HOUR, "nM h") if is_exposure else (values, unit)


def as_mapping(metrics: Sequence[Metric]) -> Mapping[tuple[str, str], float]:
    """Values by cell type and name."""
    return {(each.cell_type, each.name): each.value for each in metrics}

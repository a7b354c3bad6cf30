"""Ranks of designs, and how sure they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rank:
    """Place of a design among all: 1 is best.

    value: of the metric that ranks.  stability: share of the samples in which the design has this very rank, nan
    without samples.  best: share of the samples in which it is the best.  low, high: 5th and 95th percentile of the
    value over the samples.
    """

    design: str
    rank: int
    value: float
    stability: float
    best: float
    low: float
    high: float


def rank_designs(
    values: Mapping[str, float], samples: Sequence[Mapping[str, float]] = (), *, is_higher_better: bool = True
) -> list[Rank]:
    """Designs from best to worst by one number each; equal numbers share the better rank.

    values: design -> number.  samples: the same under other draws of what is uncertain.  Designs without a number (nan)
    come last.
    """
    designs = list(values)
    sign = 1.0 if is_higher_better else -1.0
    own = _places(np.array([[sign * values[name] for name in designs]]))[0]
    drawn = np.array([[sign * each.get(name, np.nan) for name in designs] for each in samples])
    places = _places(drawn) if len(samples) else np.zeros((0, len(designs)), int)
    found = [
        Rank(name, int(own[k]), values[name], *_shares(places[:, k], int(own[k])), *_spread(drawn, k, sign))
        for k, name in enumerate(designs)
    ]
    return sorted(found, key=lambda each: (each.rank, designs.index(each.design)))


def _places(scores: np.ndarray) -> np.ndarray:
    """Rank of each column in each row: 1 + how many are better."""
    known = np.where(np.isnan(scores), -np.inf, scores)
    places: np.ndarray = 1 + (known[:, None, :] > known[:, :, None]).sum(axis=2)
    return places


def _shares(places: np.ndarray, own: int) -> tuple[float, float]:
    if not len(places):
        return float("nan"), float("nan")
    return float(np.mean(places == own)), float(np.mean(places == 1))


def _spread(drawn: np.ndarray, column: int, sign: float) -> tuple[float, float]:
    if not len(drawn):
        return float("nan"), float("nan")
    low, high = interval((sign * drawn[:, column]).tolist(), (5, 95))
    return low, high


def interval(values: Sequence[float], percents: Sequence[float]) -> tuple[float, ...]:
    """Percentiles of the values that are known (not nan), straight lines between them; nan where none is.

    Where one of them is infinite, as a time that never comes, the value of the nearest rank: no line leads there.
    """
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return tuple(float("nan") for _ in percents)
    if np.isfinite(known).all():
        return tuple(float(np.percentile(known, percent)) for percent in percents)
    return tuple(float(np.percentile(known, percent, method="inverted_cdf")) for percent in percents)


def therapeutic_window(neighbour: Sequence[float], kill: Sequence[float], limit: float) -> float:
    """Target kill at the dose where the neighbours' exposure reaches a limit, from a ladder of doses.

    neighbour, kill: neighbours' exposure and target kill at the same doses, in any order. Between two doses kill is
    taken as linear in the logarithm of the neighbours' exposure. nan where even the lowest dose exposes them beyond the
    limit; the kill at the highest dose where none does.
    """
    exposure, killed = np.asarray(neighbour, float), np.asarray(kill, float)
    order = np.argsort(exposure, kind="stable")
    exposure, killed = exposure[order], killed[order]
    if exposure[0] > limit:
        return float("nan")
    if exposure[-1] <= limit:
        return float(killed[-1])
    k = int(np.searchsorted(exposure, limit, side="right"))
    if exposure[k - 1] <= 0 or limit <= 0:
        return float(killed[k - 1])
    part = np.log(limit / exposure[k - 1]) / np.log(exposure[k] / exposure[k - 1])
    return float(killed[k - 1] + part * (killed[k] - killed[k - 1]))

"""Samples of what is not known exactly: the numbers of a study within their ranges, and where its cells lie.

All designs see the same samples: sample s puts a number with the same key at the same quantile of its range in every
design, so that what differs between designs does not come from the draw.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm, qmc

from payloadfield.study import Study

REACH = 0.95
"""Share of a measured, fitted or estimated number's distribution that lies between its low and its high."""

_TABLES = ("agents", "cell_types", "protease", "parameters")
_NOT_VARIED = frozenset({"volume", "molecular_weight"})
"""A cell's volume decides its footprint, which all designs share; a molar mass is exact."""


@dataclass(frozen=True)
class Uncertain:
    """A number of a study with a range: dotted key, value, low and high in `unit`, and its grade."""

    key: str
    value: float
    low: float
    high: float
    unit: str
    grade: str

    def at(self, quantile: float) -> float:
        """The number at a quantile, whose median is its value.

        assumed: anything between low and high may be so: uniform in the logarithm below and above the value.
        measured, fitted, estimated: log-normal on either side, with `REACH` of it between low and high.
        Ranges that begin at 0, or numbers that are 0: the same on a linear scale.
        """
        is_log = self.low > 0 and self.value > 0
        low, middle, high = (math.log(x) if is_log else x for x in (self.low, self.value, self.high))
        side = low if quantile < 0.5 else high
        found = middle + (side - middle) * self._reach(quantile)
        return math.exp(found) if is_log else max(found, 0.0)

    def _reach(self, quantile: float) -> float:
        """How far towards low or high: 1 at the range's end."""
        if self.grade.startswith("assumed"):
            return abs(2.0 * quantile - 1.0)
        return abs(float(norm.ppf(quantile))) / float(norm.ppf(0.5 + REACH / 2))


def uncertain_numbers(study: Study) -> list[Uncertain]:
    """The numbers of a study that have a range and matter to its mechanism, in the order of its effective tables."""
    used = {source.key for source in study.sources if source.grade not in ("scale", "setting")}
    found = []
    for table in _TABLES:
        for key, leaf in _leaves(study.effective.get(table, {}), table):
            low, high = leaf.get("low"), leaf.get("high")
            if key in used and low is not None and high is not None and low < high and low <= leaf["value"] <= high:
                grade = str(leaf.get("grade", "assumed"))
                found.append(Uncertain(key, leaf["value"], low, high, leaf.get("unit", "1"), grade))
    return found


def _leaves(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, value in table.items():
        if not isinstance(value, Mapping):
            continue
        if "value" not in value:
            yield from _leaves(value, f"{prefix}.{name}")
        elif name not in _NOT_VARIED:
            yield f"{prefix}.{name}", value


def make_samples(numbers: Sequence[Sequence[Uncertain]], n_samples: int, seed: int) -> list[list[dict[str, str]]]:
    """Values to set in each sample of each design: [sample][design] -> {dotted key: value}.

    numbers: the uncertain numbers of each design.  A Latin hypercube over all keys that occur (McKay et al. 1979).
    """
    keys = list(dict.fromkeys(each.key for design in numbers for each in design))
    if not keys or n_samples == 0:
        return [[{} for _ in numbers] for _ in range(n_samples)]
    shares = qmc.LatinHypercube(d=len(keys), rng=np.random.default_rng(seed)).random(n_samples)
    column = {key: index for index, key in enumerate(keys)}
    return [
        [{each.key: _text(each, float(row[column[each.key]])) for each in design} for design in numbers]
        for row in shares
    ]


def _text(number: Uncertain, quantile: float) -> str:
    value = number.at(quantile)
    return f"{value!r}" if number.unit == "1" else f"{value!r} {number.unit}"

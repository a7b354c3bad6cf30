"""Samples of what is not known exactly: the numbers of a study within their ranges, and where its cells lie.

All designs see the same samples: sample s puts a number with the same key at the same quantile of its range in every
design, so that what differs between designs does not come from the draw. What is one piece of knowledge, such as the
recycling rate that two clones take from one cell line, is one draw as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm, qmc

from payloadfield.study import Study
from payloadfield.study.overrides import NAMED_TABLES

REACH = 0.95
"""Share of a measured, fitted or estimated number's distribution that lies between its low and its high."""

_BY_NAME = tuple(name for name in NAMED_TABLES if name != "materials")
"""Tables of the library's kinds: agents, cell types, fates, inhibitors and the like. Materials are part of the
geometry, which all designs share."""

_SINGLE = ("protease", "parameters")
_NOT_VARIED = frozenset({"volume", "molecular_weight"})
"""A cell's volume decides its footprint, which all designs share; a molar mass is exact."""


@dataclass(frozen=True)
class Uncertain:
    """A number of a study with a range: dotted key, value, low and high in `unit`, and its grade.

    knowledge: what is known of which quantity, the same for the same number under another agent or cell type.
    """

    key: str
    value: float
    low: float
    high: float
    unit: str
    grade: str
    knowledge: tuple[Any, ...] = ()

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
    for key, own, leaf in _all_leaves(study.effective):
        low, high = leaf.get("low"), leaf.get("high")
        if key in used and low is not None and high is not None and low < high and low <= leaf["value"] <= high:
            grade, unit = str(leaf.get("grade", "assumed")), str(leaf.get("unit", "1"))
            knowledge = (own, leaf["value"], low, high, unit, grade, leaf.get("citation"), leaf.get("note"))
            found.append(Uncertain(key, leaf["value"], low, high, unit, grade, knowledge))
    return found


def _all_leaves(effective: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Key of every number, the same without the name of its agent or cell type, and what is known of it."""
    places = [(table, entry) for table in _BY_NAME for entry in effective.get(table, {})]
    for table, entry in places:
        for key, leaf in _leaves(effective[table][entry], ""):
            yield f"{table}.{entry}{key}", f"{table}{key}", leaf
    for table in _SINGLE:
        for key, leaf in _leaves(effective.get(table, {}), ""):
            yield f"{table}{key}", f"{table}{key}", leaf


def _leaves(table: Any, prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, value in table.items() if isinstance(table, Mapping) else ():
        if not isinstance(value, Mapping):
            continue
        if "value" not in value:
            yield from _leaves(value, f"{prefix}.{name}")
        elif name not in _NOT_VARIED:
            yield f"{prefix}.{name}", value


def make_samples(numbers: Sequence[Sequence[Uncertain]], n_samples: int, seed: int) -> list[list[dict[str, str]]]:
    """Values to set in each sample of each design: [sample][design] -> {dotted key: value}.

    numbers: the uncertain numbers of each design.  A Latin hypercube over all quantities (McKay et al. 1979).
    """
    column = _columns(numbers)
    if not column or n_samples == 0:
        return [[{} for _ in numbers] for _ in range(n_samples)]
    n_columns = max(column.values()) + 1
    shares = qmc.LatinHypercube(d=n_columns, rng=np.random.default_rng(seed)).random(n_samples)
    return [
        [{each.key: _text(each, float(row[column[each.key]])) for each in design} for design in numbers]
        for row in shares
    ]


def _columns(numbers: Sequence[Sequence[Uncertain]]) -> dict[str, int]:
    """Which draw each key takes: one a key, or one for keys of which the same is known where they are first met."""
    first: dict[str, Uncertain] = {}
    for design in numbers:
        for each in design:
            first.setdefault(each.key, each)
    known: dict[tuple[Any, ...], int] = {}
    return {key: known.setdefault(each.knowledge or (key,), len(known)) for key, each in first.items()}


def _text(number: Uncertain, quantile: float) -> str:
    value = number.at(quantile)
    return f"{value!r}" if number.unit == "1" else f"{value!r} {number.unit}"

"""The points of a sweep: a grid over its axes, a list, a Latin hypercube or a Sobol sequence."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import qmc

from payloadfield.errors import StudyError
from payloadfield.study.sweep_file import Axis, SweepFile


@dataclass(frozen=True)
class Point:
    """One point of a sweep: its name, and the values that it sets, by dotted key."""

    name: str
    changes: Mapping[str, Any]


def make_points(sweep: SweepFile) -> tuple[Point, ...]:
    """Every point of a sweep, in an order that depends on nothing but the file.

    grid: every combination, the last axis fastest.  latin_hypercube: McKay et al. 1979.  sobol: Owen-scrambled (Owen
    1998); balanced where the number of samples is a power of 2.  Listed values are drawn with equal shares.
    Raises StudyError for more points than `most`.
    """
    n_points = count_points(sweep)
    if n_points > sweep.most:
        raise StudyError(
            f"{sweep.file}: the sweep has {n_points} points, more than most = {sweep.most} allows; "
            "take fewer steps or samples, or raise most"
        )
    if sweep.method == "list":
        return tuple(Point(name, {**sweep.common, **changes}) for name, changes in sweep.points.items())
    rows = _grid(sweep.axes) if sweep.method == "grid" else _samples(sweep)
    width = len(str(n_points - 1))
    keys = [axis.key for axis in sweep.axes]
    return tuple(
        Point(f"{index:0{width}d}", {**sweep.common, **dict(zip(keys, row, strict=True))})
        for index, row in enumerate(rows)
    )


def count_points(sweep: SweepFile) -> int:
    """How many points a sweep has, without making them."""
    if sweep.method == "list":
        return len(sweep.points)
    if sweep.method == "grid":
        return math.prod(len(axis.values) or (axis.steps or 0) for axis in sweep.axes)
    return sweep.samples


def _grid(axes: tuple[Axis, ...]) -> list[tuple[Any, ...]]:
    return list(itertools.product(*([_at(axis, share) for share in _shares(axis)] for axis in axes)))


def _shares(axis: Axis) -> np.ndarray:
    """Places on an axis of a grid, from 0 to 1; the middles of equal shares for listed values."""
    if axis.values:
        return (np.arange(len(axis.values)) + 0.5) / len(axis.values)
    return np.linspace(0.0, 1.0, axis.steps or 2)


def _samples(sweep: SweepFile) -> list[tuple[Any, ...]]:
    make = qmc.LatinHypercube if sweep.method == "latin_hypercube" else qmc.Sobol
    cube = make(d=len(sweep.axes), rng=np.random.default_rng(sweep.seed))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The balance properties of Sobol", category=UserWarning)
        shares = cube.random(sweep.samples)
    return [tuple(_at(axis, share) for axis, share in zip(sweep.axes, row, strict=True)) for row in shares]


def _at(axis: Axis, share: float) -> Any:
    """The value at a share, 0 to 1, of an axis, as it is written in a study."""
    if axis.values:
        return axis.values[min(int(share * len(axis.values)), len(axis.values) - 1)]
    if axis.is_log:
        value = math.exp((1 - share) * math.log(axis.low) + share * math.log(axis.high))
        value = min(max(value, axis.low), axis.high)
    else:
        value = (1 - share) * axis.low + share * axis.high
    return float(value) if axis.unit == "1" else f"{float(value)!r} {axis.unit}"

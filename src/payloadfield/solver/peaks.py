"""Peaks of what the cells are exposed to: the largest value, when it was, and for how long a threshold was exceeded.

An exposure E integrates c; of a step from t to t + dt the solver knows c at both ends and, by E, its mean m. The curve
within the step is taken as the one parabola that has all three (theta from 0 to 1):
    c(theta) = c0 + a theta + b theta^2,   a = 6 m - 4 c0 - 2 c1,   b = 3 c0 + 3 c1 - 6 m,
off by O(dt^3), as what the step itself leaves in E / dt. Its top and its crossings of a threshold are found exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payloadfield.mechanism.exposures import rate_unit, result_names
from payloadfield.solver.state import State

_Floats = NDArray[np.float64]
Rates = Callable[[State], _Floats]


class Peaks:
    """Follows chosen exposures of every cell from step to step.

    peak (n_exposure, n_cell) [unit of the exposure / s], peak_time [s]; time_above (n_threshold, n_cell) [s].
    """

    def __init__(self, study: Any) -> None:
        rows = {name: row for row, name in enumerate(study.mechanism.state_names)}
        units = {state.name: rate_unit(state.unit) for state in study.mechanism.states}
        self.names, self.thresholds = tuple(study.output.peaks), dict(study.output.thresholds)
        self._units = [units[name] for name in self.names]
        self._rows = np.array([rows[name] for name in self.names], np.int64)
        self._of_threshold = [self.names.index(name) for name in self.thresholds]
        n_cells = len(study.cells.type_index)
        self.now, self.peak, self.peak_time = (np.zeros((len(self.names), n_cells)) for _ in range(3))
        self.time_above = np.zeros((len(self.thresholds), n_cells))

    def start(self, state: State, rates: Rates) -> None:
        """Take the values at a state, where a run begins or the cells have jumped."""
        if self.now.size:
            self.now = rates(state)[self._rows]
            self._raise(self.now, np.full_like(self.now, state.time))

    def follow(self, old: State, new: State, rates: Rates) -> None:
        """Take in one step; rates: gives the rates of change of every slot of every cell at a state."""
        if not self.now.size:
            return
        dt, first, last = new.time - old.time, self.now, rates(new)[self._rows]
        mean = (new.states[self._rows] - old.states[self._rows]) / dt
        a, b = 6.0 * mean - 4.0 * first - 2.0 * last, 3.0 * first + 3.0 * last - 6.0 * mean
        top, height = _top(first, a, b)
        self._raise(last, np.full_like(last, new.time))
        self._raise(height, old.time + top * dt)
        for row, (k, threshold) in enumerate(zip(self._of_threshold, self.thresholds.values(), strict=True)):
            self.time_above[row] += dt * share_above(first[k] - threshold, a[k], b[k])
        self.now = last

    def _raise(self, value: _Floats, time: _Floats) -> None:
        higher = value > self.peak
        self.peak[higher], self.peak_time[higher] = value[higher], time[higher]

    def results(self) -> dict[str, tuple[_Floats, str]]:
        """What was found so far (n_cell,) and its unit, as payload_peak, payload_peak_time, payload_time_above."""
        of_peaks = zip(self._units, self.peak, self.peak_time, strict=True)
        found = [item for unit, peak, time in of_peaks for item in ((peak, unit), (time, "s"))]
        found += [(above, "s") for above in self.time_above]
        names = result_names(self.names, self.thresholds)
        return {name: (values.copy(), unit) for name, (values, unit) in zip(names, found, strict=True)}

    def memory(self) -> dict[str, Any]:
        """What is carried from step to step."""
        names = ("now", "peak", "peak_time", "time_above")
        return {f"exposure_{name}": getattr(self, name).copy() for name in names} if self.names else {}

    def restore(self, memory: dict[str, Any]) -> None:
        """Take back what `memory` gave."""
        if self.names:
            for name in ("now", "peak", "peak_time", "time_above"):
                setattr(self, name, np.array(memory[f"exposure_{name}"], float))


def _top(first: _Floats, a: _Floats, b: _Floats) -> tuple[_Floats, _Floats]:
    """Where within the step the parabola is highest, and how high; its beginning where it has no top inside."""
    with np.errstate(divide="ignore", invalid="ignore"):
        where = -a / (2.0 * b)
    inside = (b < 0.0) & (where > 0.0) & (where < 1.0)
    where = np.where(inside, where, 0.0)
    return where, first + where * (a + b * where)


def share_above(c: _Floats, a: _Floats, b: _Floats) -> _Floats:
    """Share of 0 <= theta <= 1 where c + a theta + b theta^2 > 0; arrays of one shape."""
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(np.maximum(a * a - 4.0 * b * c, 0.0))
        q = -0.5 * (a + np.where(a < 0.0, -root, root))  # no difference of nearly equal numbers
        one, other = q / b, c / q
    inner = [np.where(np.isfinite(x), np.clip(x, 0.0, 1.0), 0.0) for x in (one, other)]
    below, above = np.minimum(*inner), np.maximum(*inner)
    share = np.zeros_like(c)
    for start, end in ((np.zeros_like(c), below), (below, above), (above, np.ones_like(c))):
        middle = 0.5 * (start + end)
        share += np.where(c + middle * (a + b * middle) > 0.0, end - start, 0.0)
    return share

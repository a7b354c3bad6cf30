"""How much of the work of a run is done: adaptive steps are short after each event and long later."""

from __future__ import annotations

import math
from collections.abc import Sequence

_GROWTH = 0.3  # the step size over the time since the last event, as measured in runs of the built-in mechanism


class Effort:
    """Expected steps up to a time: after each event the step size grows in proportion to the time since then.

    dt(s) = clip(growth * s, first_step, longest), s the time since the last event; steps = integral of ds / dt.
    """

    def __init__(
        self, events: Sequence[float], end: float, *, first_step: float = 1.0, longest: float = math.inf
    ) -> None:
        """`events`: times [s] at which the step size starts anew; `longest`: the interval between outputs [s]."""
        starts = sorted({0.0, *(time for time in events if 0.0 < time < end)})
        self._segments = list(zip(starts, [*starts[1:], end], strict=True))
        self._first, self._longest = first_step, max(longest, first_step)

    def steps(self, time: float) -> float:
        """Expected number of steps from 0 to `time` [s]."""
        return sum(self._steps_within(min(time, end) - start) for start, end in self._segments if time > start)

    def _steps_within(self, elapsed: float) -> float:
        grows_from, grows_to = self._first / _GROWTH, self._longest / _GROWTH
        steps = min(elapsed, grows_from) / self._first
        if elapsed > grows_from:
            steps += math.log(min(elapsed, grows_to) / grows_from) / _GROWTH
        if elapsed > grows_to:
            steps += (elapsed - grows_to) / self._longest
        return steps

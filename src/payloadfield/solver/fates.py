"""Fates of cells along a run: when each transition came to each cell and, where they are sampled, the moves.

Expected, the slot of a transition holds its moves by now per starting cell: its probability where no cell divides and
none takes it twice, and above 1 elsewhere.

Sampled, a transition comes when its cumulative hazard since the cell entered the fate exceeds a number drawn from the
exponential distribution of mean 1: P(none by t) = exp(-integral of the hazard). The hazards of all transitions are
integrated in every cell, whatever its fate; so several moves within one step are found at their own times, and only
what the new fate does to the cell and its surroundings waits for the end of the step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payloadfield.mechanism import Mechanism
from payloadfield.solver.draws import exponential, identities, uniform
from payloadfield.solver.state import State

HALF = 0.5
"""Expected, a transition has come to an agent once this many of its cells, which started as one, have taken it."""

_BISECTIONS = 50
_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
Rates = Callable[[State], _Floats]


class Fates:
    """Follows the transitions of one mechanism through the steps of a run.

    times (n_transition, n_cell) [s]: when each came to each cell for the first time, NaN until then.
    """

    def __init__(self, mechanism: Mechanism, n_cells: int) -> None:
        names = list(mechanism.state_names)
        self.names = tuple(item.name for item in mechanism.transitions)
        self.rows = np.array([names.index(name) for name in self.names], np.int64)
        self.times = np.full((len(self.names), n_cells), np.nan)

    def start(self, state: State) -> None:
        """Take the fates of the cells at the start as they are."""

    def follow(self, old: State, new: State, rates: Rates) -> dict[str, int]:
        """Note which transitions came in the step from `old` to `new`, and how many cells took each: none by itself.

        rates: gives the rates of change of every slot of every cell at a state (n_state, n_cell).
        """
        before, after = old.states[self.rows], new.states[self.rows]
        come = np.isnan(self.times) & (before < HALF) & (after >= HALF)
        if come.any():
            k, c = np.nonzero(come)
            share = Course(old, new, rates, self.rows).crossing(k, c, np.full(len(k), HALF))
            self.times[k, c] = old.time + share * (new.time - old.time)
        return {}

    def memory(self) -> dict[str, Any]:
        """What is carried from step to step."""
        return {"fate_times": self.times.copy()} if self.names else {}

    def restore(self, memory: dict[str, Any]) -> None:
        """Take back what `memory` gave."""
        if self.names:
            self.times[...] = memory["fate_times"]


class SampledFates(Fates):
    """Moves every cell from fate to fate at thresholds drawn for it by seed, place, type, transition and repetition.

    thresholds (n_transition, n_cell): cumulative hazard at which a transition comes; infinite out of other fates.
    draws (n_transition, n_cell): how many thresholds have been drawn.
    """

    def __init__(self, mechanism: Mechanism, n_cells: int, seed: int, who: NDArray[np.uint64]) -> None:
        super().__init__(mechanism, n_cells)
        names = list(mechanism.state_names)
        fates = [fate.name for fate in mechanism.fates]
        self._fate_rows = np.array([names.index(name) for name in fates], np.int64)
        self._before = np.array([fates.index(item.before) for item in mechanism.transitions], np.int64)
        self._after = np.array([fates.index(item.after) for item in mechanism.transitions], np.int64)
        self._seed, self._who = seed, who
        self.thresholds = np.full(self.times.shape, np.inf)
        self.draws = np.zeros(self.times.shape, np.int64)

    def start(self, state: State) -> None:
        """Put every cell into one of the fates, by their shares at the start, and draw its first thresholds."""
        shares = np.cumsum(state.states[self._fate_rows], axis=0)
        drawn = uniform(self._seed, "start", self._who, np.zeros(len(self._who), np.int64)) * shares[-1]
        fate = np.argmax(shares > drawn, axis=0)
        cells = np.arange(len(fate))
        state.states[self._fate_rows] = 0.0
        state.states[self._fate_rows[fate], cells] = shares[-1]
        self._enter(cells, fate, np.zeros(self.times.shape))

    def follow(self, old: State, new: State, rates: Rates) -> dict[str, int]:
        """Move the cells whose thresholds were reached in the step, at its end; how many took each transition."""
        taken = np.zeros(len(self.names), np.int64)
        cells = np.flatnonzero((new.states[self.rows] >= self.thresholds).any(axis=0))
        if not cells.size:
            return {}
        course, since = Course(old, new, rates, self.rows), np.zeros(new.states.shape[1])
        while cells.size:
            k, share = self._first(cells, course, since)
            self._move(cells, k, new)
            self._note(cells, k, old.time + share * (new.time - old.time))
            np.add.at(taken, k, 1)
            since[cells] = share
            self._enter(cells, self._after[k], course.at(cells, share))
            cells = cells[(new.states[self.rows][:, cells] >= self.thresholds[:, cells]).any(axis=0)]
        return {name: int(n) for name, n in zip(self.names, taken, strict=True) if n}

    def _first(self, cells: _Ints, course: Course, since: _Floats) -> tuple[_Ints, _Floats]:
        """The transition that comes first to each of the cells, and when, as a share of the step."""
        when = np.full((len(self.names), cells.size), np.inf)
        k, c = np.nonzero(course.after[:, cells] >= self.thresholds[:, cells])
        when[k, c] = course.crossing(k, cells[c], self.thresholds[k, cells[c]], since[cells[c]])
        first = np.argmin(when, axis=0)
        return first, when[first, np.arange(cells.size)]

    def _move(self, cells: _Ints, k: _Ints, new: State) -> None:
        """All cells of an agent go where it goes."""
        before, after = self._fate_rows[self._before[k]], self._fate_rows[self._after[k]]
        new.states[after, cells] += new.states[before, cells]
        new.states[before, cells] = 0.0

    def _note(self, cells: _Ints, k: _Ints, time: _Floats) -> None:
        is_first = np.isnan(self.times[k, cells])
        self.times[k[is_first], cells[is_first]] = time[is_first]

    def _enter(self, cells: _Ints, fate: _Ints, hazard: _Floats) -> None:
        """Draw the thresholds of cells that enter a fate when the cumulative hazards are these (n_transition, n)."""
        self.thresholds[:, cells] = np.inf
        for k, name in enumerate(self.names):
            there = np.flatnonzero(fate == self._before[k])
            chosen = cells[there]
            drawn = exponential(self._seed, name, self._who[chosen], self.draws[k, chosen])
            self.thresholds[k, chosen] = hazard[k, there] + drawn
            self.draws[k, chosen] += 1

    def memory(self) -> dict[str, Any]:
        """What is carried from step to step."""
        own = {"fate_thresholds": self.thresholds.copy(), "fate_draws": self.draws.copy()} if self.names else {}
        return {**super().memory(), **own}

    def restore(self, memory: dict[str, Any]) -> None:
        """Take back what `memory` gave."""
        super().restore(memory)
        if self.names:
            self.thresholds[...] = memory["fate_thresholds"]
            self.draws[...] = memory["fate_draws"]


class Course:
    """Some slots of the cells within a step: the cubic through their values and rates at both ends (Hermite)."""

    def __init__(self, old: State, new: State, rates: Rates, rows: _Ints) -> None:
        dt = new.time - old.time
        self.before, self.after = old.states[rows], new.states[rows]
        self._rise_before, self._rise_after = (dt * rates(state)[rows] for state in (old, new))

    def at(self, cells: _Ints, share: _Floats) -> _Floats:
        """Values of all rows in these cells at a share of the step each (n_row, n)."""
        ends = (item[:, cells] for item in (self.before, self.after, self._rise_before, self._rise_after))
        return _cubic(share, *ends)

    def crossing(self, k: _Ints, c: _Ints, level: _Floats, since: _Floats | None = None) -> _Floats:
        """Share of the step at which row k of cell c rises through its level (n,), by bisection from `since` on."""
        low = np.zeros(len(k)) if since is None else since.copy()
        high = np.ones(len(k))
        ends = [item[k, c] for item in (self.before, self.after, self._rise_before, self._rise_after)]
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            is_below = _cubic(middle, *ends) < level
            low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
        return high


def _cubic(s: _Floats, before: _Floats, after: _Floats, rise_before: _Floats, rise_after: _Floats) -> _Floats:
    found: _Floats = (
        before * (1.0 + 2.0 * s) * (1.0 - s) ** 2
        + after * (3.0 - 2.0 * s) * s**2
        + rise_before * s * (1.0 - s) ** 2
        - rise_after * s**2 * (1.0 - s)
    )
    return found


def make_fates(study: Any) -> Fates:
    """What follows the fates of a study's cells."""
    mechanism, cells = study.mechanism, study.cells
    if not mechanism.is_sampled:
        return Fates(mechanism, cells.n_cells)
    return SampledFates(mechanism, cells.n_cells, study.seed, find_identities(study))


def find_identities(study: Any) -> NDArray[np.uint64]:
    """What each cell of a study is for the generator, (n_cell,)."""
    types = np.array(study.cells.type_names, dtype=str)[study.cells.type_index]
    return identities(study.cells.position, types)

"""A run: from event to event and output to output, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payloadfield.backends.base import Backend
from payloadfield.backends.plan import Plan
from payloadfield.backends.registry import make_backend
from payloadfield.errors import SolverError
from payloadfield.solver.accuracy import ErrorNorm
from payloadfield.solver.contacts import OF_CONTACTS
from payloadfield.solver.controller import Controller
from payloadfield.solver.discretisation import make_plan
from payloadfield.solver.fates import make_fates
from payloadfield.solver.ledger import Ledger, LedgerLine
from payloadfield.solver.outputs import Held, kept_states
from payloadfield.solver.peaks import Peaks
from payloadfield.solver.rosenbrock import Stepper, StepStatistics
from payloadfield.solver.state import State

_Floats = NDArray[np.float64]

SMALLEST_STEP = 1e-10
"""A step below this fraction of the duration means that the integration is stuck."""

ROUNDING = 1e-12
"""Times closer than this fraction of the duration are the same time."""


@dataclass(frozen=True)
class StepRecord:
    """One accepted step: number, time reached and step size [s], scaled error and the quantity that has it, iterations
    of all its solves, attempts rejected before it, worst relative balance defect by moiety, outputs reached, the
    first event carried out, and how many cells were moved by each transition (where fates are sampled).
    """

    index: int
    time: float
    dt: float
    error: float
    worst_quantity: str
    iterations: int
    worst_residual: float
    rejected: int
    balance: dict[str, float]
    outputs: tuple[int, ...]
    event: int | None
    moves: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Attempt:
    """One attempted step: size [s], scaled error and the quantity that has it, what it took."""

    dt: float
    error: float
    worst: str
    statistics: StepStatistics


class Simulation:
    """Advances a study in time on one backend.

    Events act before an output at the same time, which shows the bath as the event left it; fields and cells are as
    they were, since an event changes the bath alone.
    """

    def __init__(
        self, study: Any, backend: str | None = None, *, plan: Plan | None = None, beside: Simulation | None = None
    ) -> None:
        """Lower the study, unless its plan is given, and start it.

        beside: a simulation on a plan of the same maps, whose work arrays and step-size control are used (batch.py).
        """
        self.study = study
        self.plan = make_plan(study) if plan is None else plan
        self._equip(backend, beside)
        self._fates = make_fates(study)
        self._state = self._initial_state()
        self._new = self._make_room()
        self._ledger = Ledger(self.plan, self._adder(), self._state)
        self.n_steps = self.n_rejected = self.n_iterations = 0
        self._next_event = self._next_output = 0
        self._norm.remember(self._state)
        self._act()
        self._peaks = Peaks(study)
        self._peaks.start(self._state, self.stepper.rates_of_cells)

    def _equip(self, backend: str | None, beside: Simulation | None) -> None:
        """Backend, error norm, stepper and controller."""
        study = self.study
        if beside is None:
            self.backend = make_backend(backend or study.solver.backend, self.plan, study.solver)
        else:
            self.backend = beside.backend.sharing(self.plan)
        self._norm = ErrorNorm(self.plan, self.backend, study)
        accuracy = study.solver.rtol, self._norm.known_field_floors
        if beside is None:
            self.stepper = Stepper(self.plan, self.backend, *accuracy)
            self.controller = Controller(study.solver.first_step, study.solver.max_step)
        else:
            self.stepper = beside.stepper.sharing(self.plan, self.backend, *accuracy)
            self.controller = beside.controller

    def _make_room(self) -> State:
        """Where an attempt puts what it came to."""
        return State.zeros(self.plan)

    def _adder(self) -> Backend:
        """What adds up amounts for the ledger."""
        return self.backend

    def known_floors(self) -> _Floats:
        """Floors of the fields whose typical sizes are given, (F,) [nM]; zero for the others."""
        return self._norm.known_field_floors

    # -- what there is now --------------------------------------------------------------------------------------

    @property
    def notes(self) -> list[str]:
        """What a reader of the results has to know; nothing so far."""
        return []

    @property
    def time(self) -> float:
        """Time reached [s]."""
        return self._state.time

    @property
    def state(self) -> State:
        """A copy of the unknowns."""
        return self._state.copy()

    @property
    def ledger(self) -> list[LedgerLine]:
        """The balance of each moiety now."""
        return self._ledger.balance(self._state)

    def field_on_grid(self, name: str) -> _Floats:
        """Concentration of a field on the grid, (nz, ny, nx) [nM], nan in closed voxels."""
        index = [f.name for f in self.plan.mechanism.fields].index(name)
        grid = np.full(int(np.prod(self.plan.shape)), np.nan)
        grid[self.plan.voxel] = self._state.fields[index]
        return grid.reshape(self.plan.shape)

    def cell_state(self, name: str) -> _Floats:
        """A state of every cell, (n_cell,)."""
        index = [s.name for s in self.plan.mechanism.states].index(name)
        return self._state.states[index].copy()

    @property
    def bath(self) -> _Floats:
        """Concentrations in the bath, (n_field,) [nM]."""
        return self._state.bath.copy()

    @property
    def accumulators(self) -> _Floats:
        """Losses in voxels and bath so far, (n_accumulator,) [nM um^3]."""
        return self._state.accumulators.copy()

    def hold(self) -> Held:
        """What an output keeps of this moment, whatever steps follow."""
        fields = {name: np.asarray(self.field_on_grid(name), np.float32) for name in self.study.output.fields}
        kept = fields, {name: self.cell_state(name) for name in kept_states(self.study)}
        return Held(lambda: kept)

    def commitments(self) -> dict[str, _Floats]:
        """When each transition between fates first came to every cell, (n_cell,) [s], nan where it has not yet.

        Where fates are expected: when the moves reached one half of a starting cell, births and second moves counted.
        """
        return {name: times.copy() for name, times in zip(self._fates.names, self._fates.times, strict=True)}

    def peaks(self) -> dict[str, tuple[_Floats, str]]:
        """Peaks, their times and times above thresholds so far, (n_cell,), and the unit of each, by name."""
        return self._peaks.results()

    # -- time ---------------------------------------------------------------------------------------------------

    def steps(self, until: float | None = None) -> Iterator[StepRecord]:
        """Advance to `until` [s] (default: the study's duration), yielding each accepted step."""
        end = self.study.duration if until is None else min(float(until), self.study.duration)
        while self.is_before(self.time, end):
            yield self._advance(end)

    def run(self, until: float | None = None) -> list[StepRecord]:
        """Advance to `until` [s] and return all steps."""
        return list(self.steps(until))

    def outputs_now(self) -> tuple[int, ...]:
        """Indices of the study's output times that are due now and not yet taken; marks them as taken."""
        times, due = self.study.output.times, []
        while self._next_output < len(times) and not self.is_before(self.time, times[self._next_output]):
            due.append(self._next_output)
            self._next_output += 1
        return tuple(due)

    def is_before(self, a: float, b: float) -> bool:
        """Whether a comes before b, by more than rounding [s]."""
        return a < b - ROUNDING * self.study.duration

    def _initial_state(self) -> State:
        study, state = self.study, State.zeros(self.plan)
        is_accessible = self.plan.capacity[self.plan.capacity_index] > 0.0
        state.fields[...] = np.where(is_accessible, np.asarray(study.initial_fields, float)[:, None], 0.0)
        state.states[...] = study.initial_states
        state.bath[...] = study.initial_bath
        self._fates.start(state)
        return state

    def target(self, end: float) -> float:
        """The next time at which a step must land: `end` [s], an event, an output, or a bend of the bath's curve."""
        times = [end]
        times += [e.time for e in self.study.schedule[self._next_event : self._next_event + 1]]
        times += list(self.study.output.times[self._next_output : self._next_output + 1])
        times += [float(knot) for curve in self.stepper.curves.values() for knot in self._next_knots(curve)]
        return min(t for t in times if self.is_before(self.time, t))

    def _next_knots(self, curve: Any) -> _Floats:
        """The first time after now at which a derivative of a curve jumps; two, in case the first is now."""
        first = int(np.searchsorted(curve.knots, self.time, side="right"))
        following: _Floats = curve.knots[first : first + 2]
        return following

    def _advance(self, end: float) -> StepRecord:
        self.refuse_more_steps(end)
        target, rejected = self.target(end), 0
        while True:
            dt, cut_short = self.choose_step(target)
            tried = self.attempt(dt)
            if tried.error <= 1.0:
                break
            rejected += 1
            self.reject(tried)
        self.controller.accept(dt, tried.error, cut_short=cut_short)
        return self.accept(tried, target if cut_short else np.inf, rejected)

    def attempt(self, dt: float) -> Attempt:
        """Try a step of dt [s]; nothing is changed before `accept`."""
        statistics = self.stepper.attempt(self._state, dt, self._new)
        error, worst = self._norm(self.stepper.error, self._state, self._new)
        self.n_iterations += statistics.iterations
        if statistics.haste > error:
            error, worst = statistics.haste, OF_CONTACTS
        return Attempt(dt, error, worst, statistics)

    def reject(self, tried: Attempt) -> None:
        """Shorten the next step.  Raises SolverError where it has shrunk to nothing."""
        self.controller.reject(tried.dt, tried.error)
        if self.controller.proposal < SMALLEST_STEP * self.study.duration:
            raise self._stuck(tried.dt, tried.worst, tried.error)

    def accept(self, tried: Attempt, target: float, rejected: int) -> StepRecord:
        """Take the step that was tried last, which lands on `target` if that is how long it was meant to be."""
        if not self.is_before(self._new.time, target):
            self._new.time = target
        self._state, self._new = self._new, self._state
        self._peaks.follow(self._new, self._state, self.stepper.rates_of_cells)
        moves = self._fates.follow(self._new, self._state, self.stepper.rates_of_cells)
        self._norm.remember(self._state)
        return self._record(tried, rejected, moves)

    def choose_step(self, target: float) -> tuple[float, bool]:
        """The controller's step, shortened or slightly stretched so that steps land on the target."""
        left, dt = target - self.time, self.controller.proposal
        if dt >= 0.9 * left and left <= self.controller.largest:
            return left, True
        if dt > 0.5 * left:
            return 0.5 * left, True
        return dt, False

    def _record(self, tried: Attempt, rejected: int, moves: dict[str, int]) -> StepRecord:
        self.n_steps += 1
        self.n_rejected += rejected
        balance = {line.moiety: line.relative_defect for line in self.ledger}
        outputs = self.outputs_now()
        event: int | None = self._next_event
        if not self._act():
            event = None
        if moves or event is not None:
            self._restart_peaks()
        statistics = tried.statistics
        return StepRecord(
            self.n_steps, self.time, tried.dt, tried.error, tried.worst, statistics.iterations,
            statistics.worst_residual, rejected, balance, outputs, event, moves,
        )  # fmt: skip

    def _restart_peaks(self) -> None:
        """Take what the cells are exposed to anew, where it has jumped."""
        self._peaks.start(self._state, self.stepper.rates_of_cells)

    def _act(self) -> bool:
        """Carry out the events that are due: a wash replaces part of the bath, then doses set concentrations."""
        acted = False
        schedule = self.study.schedule
        while self._next_event < len(schedule) and not self.is_before(self.time, schedule[self._next_event].time):
            event = schedule[self._next_event]
            before = self._state.bath.copy()
            washed = event.wash * before
            after = before - washed
            for index, concentration in event.dose.items():
                after[index] = concentration
            for index, curve in event.curve.items():
                after[index] = curve.value(event.time)
            self._state.bath[...] = after
            self._ledger.change_bath(before, after, washed)
            self.controller.restart(self.study.solver.first_step)
            self._next_event += 1
            acted = True
        self._follow_curves()
        return acted

    def _follow_curves(self) -> None:
        """Tell the stepper what the bath follows: the curves that no later event has ended."""
        curves: dict[int, Any] = {}
        for event in self.study.schedule[: self._next_event]:
            curves = {} if event.wash > 0 else {f: c for f, c in curves.items() if f not in event.dose}
            curves |= event.curve
        self.stepper.curves = curves

    # -- trouble ------------------------------------------------------------------------------------------------

    def _stuck(self, dt: float, worst: str, error: float) -> SolverError:
        """The error to raise when the step size has shrunk to nothing; the last good state is kept."""
        reason = f"the error of {worst} stays at {error:.3g} times the tolerance"
        if not np.isfinite(error):
            reason = f"{self._describe_fault(dt, worst)} is not a finite number"
        return SolverError(
            f"the integration stopped at t = {self.time / 3600:.6g} h: {reason}, however short the step "
            f"(down to {self.controller.proposal:.3g} s). The state at that time is kept. Look for a "
            "rate constant, concentration or volume that is far off (`payloadfield check`), or a rate law that leaves "
            "its range."
        )

    def refuse_more_steps(self, end: float) -> None:
        """Raise SolverError once a run has taken all the steps that it may."""
        if self.n_steps < self.study.solver.max_steps:
            return
        raise SolverError(
            f"the integration stopped at t = {self.time / 3600:.6g} h of {end / 3600:.6g} h after {self.n_steps} "
            f"steps, the most that solver.max_steps allows; the next would be {self.controller.proposal:.3g} s long. "
            "The state at that time is kept. Raise solver.max_steps, or look for a rate constant that is far too large."
        )

    def _describe_fault(self, dt: float, worst: str) -> str:
        """Name and place of the first rate that is not finite in an attempt of dt [s]."""
        fault, plan = self.stepper.find_fault(self._state, dt), self.plan
        if fault is None:
            return worst
        if fault.kind == "state":
            name, where = plan.mechanism.states[fault.row].name, f"cell {fault.place}"
        else:
            z, y, x = np.unravel_index(plan.voxel[fault.place], plan.shape)
            name, where = plan.mechanism.fields[fault.row].name, f"voxel (x, y, z) = ({x}, {y}, {z})"
        return f"the rate of change of {name} in {where}, the first of {fault.count},"

    # -- continuing ---------------------------------------------------------------------------------------------

    def checkpoint(self) -> dict[str, Any]:
        """Everything needed to continue bit for bit, as arrays and numbers."""
        data: dict[str, Any] = {f"state_{k}": v.copy() for k, v in self._state.arrays().items()}
        data["time"] = self.time
        data["controller"] = np.array(
            [self.controller.proposal, self.controller.accepted_dt, self.controller.accepted_error,
             float(self.controller.just_rejected)]
        )  # fmt: skip
        data["counters"] = np.array(
            [self.n_steps, self.n_rejected, self.n_iterations, self._next_event, self._next_output]
        )
        for name in ("dosed", "washed", "handled", "initial"):
            data[f"ledger_{name}"] = getattr(self._ledger, name).copy()
        data["seen_fields"], data["seen_states"] = self._norm.seen_fields.copy(), self._norm.seen_states.copy()
        data.update(self.stepper.memory() | self._fates.memory() | self._peaks.memory())
        return data

    def restore(self, data: dict[str, Any]) -> None:
        """Continue from what `checkpoint` returned."""
        for name, array in self._state.arrays().items():
            array[...] = data[f"state_{name}"]
        self._state.time = float(data["time"])
        proposal, dt, error, rejected = (float(v) for v in data["controller"])
        self.controller.proposal, self.controller.accepted_dt = proposal, dt
        self.controller.accepted_error, self.controller.just_rejected = error, bool(rejected)
        counters = [int(v) for v in data["counters"]]
        self.n_steps, self.n_rejected, self.n_iterations, self._next_event, self._next_output = counters
        for name in ("dosed", "washed", "handled", "initial"):
            getattr(self._ledger, name)[...] = data[f"ledger_{name}"]
        self._norm.seen_fields[...] = data["seen_fields"]
        self._norm.seen_states[...] = data["seen_states"]
        self.stepper.restore(data)
        self._fates.restore(data)
        self._peaks.restore(data)
        self._follow_curves()

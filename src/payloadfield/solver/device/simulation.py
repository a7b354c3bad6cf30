"""Simulations whose state lives on a device: questions and answers of Simulation, steps taken by the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payloadfield.backends.cuda.machine import Machine
from payloadfield.backends.plan import Plan
from payloadfield.solver.accuracy import ErrorNorm
from payloadfield.solver.batch import BatchRecord
from payloadfield.solver.contacts import OF_CONTACTS
from payloadfield.solver.controller import Controller
from payloadfield.solver.device.arrays import N_LINES
from payloadfield.solver.device.engine import DeviceEngine, Line
from payloadfield.solver.device.followed import find_followed
from payloadfield.solver.device.limits import refuse_unsolved
from payloadfield.solver.device.memory import count_bytes
from payloadfield.solver.device.state import DeviceState, HostTotals, Totals
from payloadfield.solver.outputs import Held, Kept, kept_states
from payloadfield.solver.rosenbrock import Fault, StepStatistics
from payloadfield.solver.simulation import ROUNDING, SMALLEST_STEP, Attempt, Simulation, StepRecord
from payloadfield.solver.variants import make_plans

_Floats = NDArray[np.float64]

EXPECTED_GROWTH = 1.5
"""Of the steps, when guessing how many lead to the next target: attempts beyond it are idle."""

LONGEST_WAIT = 0.5
"""Wall time between two looks of the host [s]."""

MakeMachine = Callable[[Any, str, int], tuple[Machine, Any]]
"""From mechanism, precision and number of designs to a machine and the mechanism's generated CUDA module."""


class _Stepper:
    """What a run asks of its stepper between steps."""

    def __init__(self, engine: DeviceEngine, design: int, study: Any, plan: Plan) -> None:
        self._engine, self._design, self._study, self._plan = engine, design, study, plan
        self.curves: dict[int, Any] = {}

    def memory(self) -> dict[str, _Floats]:
        """What is carried from step to step besides the state: the start of the bordering solves."""
        border = self._engine.arrays.border
        return {"border": np.stack([self._engine.read(z[self._design]) for z in border])} if border else {}

    def restore(self, memory: dict[str, _Floats]) -> None:
        """Take back what `memory` gave."""
        for z, values in zip(self._engine.arrays.border, memory.get("border", ()), strict=True):
            self._engine.machine.write(z[self._design], np.ascontiguousarray(values, self._engine.arrays.real))

    def _on_host(self) -> Any:
        """The host's stepper for the same plan: for what is asked once."""
        stepper = Simulation(self._study, "numpy", plan=self._plan).stepper
        stepper.curves = self.curves
        return stepper

    def find_fault(self, state: Any, dt: float) -> Fault | None:
        """See Stepper."""
        return self._on_host().find_fault(state.copy(), dt)

    def rates_of_cells(self, state: Any) -> _Floats:
        """See Stepper; of the state that the device is in."""
        return self._engine.rates_of_cells(self._design)


class DeviceSimulation(Simulation):
    """One design on a device; made by `simulate_on_device` and by a batch."""

    _state: Any

    def __init__(self, study: Any, plan: Plan, engine: DeviceEngine, design: int, controller: Controller) -> None:
        refuse_unsolved(study)
        self._engine, self._design, self._shared_controller = engine, design, controller
        self._totals: Any = HostTotals(plan)
        super().__init__(study, plan=plan)
        self._push_scales()
        self._push_peaks()
        self._push_fates()

    @property
    def engine(self) -> DeviceEngine:
        """What takes the steps."""
        return self._engine

    @property
    def notes(self) -> list[str]:
        """See Simulation."""
        return self._engine.notes

    # -- parts of a simulation --------------------------------------------------------------------------------------

    def _equip(self, backend: str | None, beside: Simulation | None) -> None:
        """Engine and controller in the places of backend and stepper."""
        named: Any = SimpleNamespace(name="cupy")
        stepper: Any = _Stepper(self._engine, self._design, self.study, self.plan)
        self.backend, self.stepper = named, stepper
        self._norm = ErrorNorm(self.plan, self.backend, self.study)
        self.controller = self._shared_controller

    def _initial_state(self) -> Any:
        return DeviceState(self._engine, self._design, super()._initial_state())

    def _make_room(self) -> Any:
        return None  # the device has its own

    def _adder(self) -> Any:
        return self

    def amount(self, field: int, value: _Floats) -> float:
        """For the ledger: amount of a field."""
        return float(self._totals.amount(field, value))

    def sums(self, values: _Floats) -> _Floats:
        """For the ledger: sums of the states over the cells."""
        return np.asarray(self._totals.sums(values))

    @property
    def ledger(self) -> Any:
        """The balance of each moiety now."""
        return self._ledger.balance(self._lazy_state())

    def _lazy_state(self) -> Any:
        """The state for the ledger, which needs none of what is on the device."""
        if isinstance(self._totals, HostTotals):
            return self._state
        rows = [None] * max(self.plan.n_fields, 1)
        small = {name: getattr(self._state, name) for name in ("bath", "accumulators", "inflow")}
        return SimpleNamespace(fields=rows, states=None, **small)

    def _act(self) -> bool:
        acted = super()._act()
        if acted:
            self._engine.load_small(self._design, self._state.small())
        return acted

    def _push_scales(self) -> None:
        for kind, typical, seen in (
            ("field", self.study.typical_fields, self._norm.seen_fields),
            ("state", self.study.typical_states, self._norm.seen_states),
        ):
            self._engine.set_scales(self._design, kind, np.asarray(typical, float), seen)

    def _push_peaks(self) -> None:
        for name, array in self._engine.arrays.peaks.items():
            if array.size:
                self._engine.machine.write(array[self._design], getattr(self._peaks, name))

    def _fetch_peaks(self) -> None:
        for name, array in self._engine.arrays.peaks.items():
            if array.size:
                getattr(self._peaks, name)[...] = self._engine.read(array[self._design])

    def _push_fates(self) -> None:
        fates, rows = self._engine.arrays.fates, self._fates.rows
        if fates.n:
            rates = self.stepper.rates_of_cells(self._state)[rows]
            fates.push(self._design, self._state.states[rows], rates, self._fates.memory())

    def _fetch_fates(self) -> None:
        if self._engine.arrays.fates.n:
            self._fates.restore(self._engine.arrays.fates.memory(self._design))

    def commitments(self) -> dict[str, _Floats]:
        """See Simulation."""
        self._fetch_fates()
        return super().commitments()

    def peaks(self) -> dict[str, tuple[_Floats, str]]:
        """Peaks, their times and times above thresholds so far, (n_cell,), and the unit of each, by name."""
        self._fetch_peaks()
        return super().peaks()

    def hold(self) -> Held:
        """What an output keeps, on its way while the device goes on."""
        outbox = self._engine.arrays.outbox
        assert outbox is not None  # made for the outputs of these studies
        parcel = outbox.send(self._design)
        return Held(lambda: parcel.take(self._unpack), parcel.drop)

    def _unpack(self, fields: NDArray[np.float32], states: _Floats) -> Kept:
        shape, output = self.plan.shape, self.study.output
        grids = np.full((len(fields), int(np.prod(shape))), np.nan, np.float32)
        grids[:, self.plan.voxel] = fields
        on_grid = {name: grid.reshape(shape) for name, grid in zip(output.fields, grids, strict=True)}
        if not self.plan.cells.n_cells:
            return on_grid, {name: np.zeros(0) for name in kept_states(self.study)}
        return on_grid, dict(zip(kept_states(self.study), states.astype(np.float64), strict=True))

    # -- steps ------------------------------------------------------------------------------------------------------

    def take(self, line: Line, rejected: int) -> StepRecord:
        """Follow a step that the device took."""
        own = line.designs[self._design]
        self._totals = Totals()
        self._totals.line = own
        self._state.take(line.time, own.small)
        iterations = line.iterations * self._engine.n_solves
        self.n_iterations += iterations
        tried = Attempt(line.dt, own.error, self._label(own.worst), StepStatistics(iterations, own.ratio))
        moves = {name: int(n) for name, n in zip(self._fates.names, own.moves, strict=False) if n}
        return self._record(tried, rejected, moves)

    def _restart_peaks(self) -> None:
        """The device has done so."""

    def curve_pieces(self) -> dict[int, Any]:
        """What the bath follows from now to the next target, by field."""
        now = self.time + ROUNDING * self.study.duration  # a knot that is now has been passed
        return {field: curve.piece(now) for field, curve in self.stepper.curves.items()}

    def fail(self, line: Line) -> None:
        """Raise SolverError: the step size has shrunk to nothing."""
        own = line.designs[self._design]
        raise self._stuck(line.dt, self._label(own.worst), own.error)

    def _label(self, quantity: int) -> str:
        names = [field.name for field in self.plan.mechanism.fields]
        labels = list(names)
        if self.plan.bath.is_finite:
            labels += [f"{name} in the bath" for name in names]
        labels += [state.name for state in self.plan.mechanism.states]
        return [*labels, OF_CONTACTS][quantity]

    def steps(self, until: float | None = None) -> Iterator[StepRecord]:
        """Advance to `until` [s] (default: the study's duration), yielding each accepted step.

        The device may be ahead of the step that is yielded; the simulation's state is the device's.
        """
        for record in drive([self], self._engine, until):
            yield record.records[0]

    # -- continuing -------------------------------------------------------------------------------------------------

    def checkpoint(self) -> dict[str, Any]:
        """Everything needed to continue bit for bit, as arrays and numbers."""
        self._fetch_peaks()
        self._fetch_fates()
        self._norm.seen_fields = self._engine.seen(self._design, "field")
        if self.plan.cells.n_cells:
            self._norm.seen_states = self._engine.seen(self._design, "state")
        return {**super().checkpoint(), "device_effort": self._engine.effort()}

    def restore(self, data: dict[str, Any]) -> None:
        """Continue from what `checkpoint` returned."""
        super().restore(data)
        self._totals = HostTotals(self.plan)
        self._state.push()
        self._push_scales()
        self._push_peaks()
        self._push_fates()
        self._engine.go_on_with(data.get("device_effort", self._engine.effort()))


def drive(designs: Sequence[DeviceSimulation], engine: DeviceEngine, until: float | None) -> Iterator[BatchRecord]:
    """Advance designs together to `until` [s] (default: the duration), yielding each accepted step."""
    first = designs[0]
    duration = first.study.duration
    end = duration if until is None else min(float(until), duration)
    rejected, seconds = 0, 0.0
    while first.is_before(first.time, end):
        first.refuse_more_steps(end)
        target = min(design.target(end) for design in designs)
        attempts = min(_attempts(first, target, seconds), first.study.solver.max_steps - first.n_steps)
        engine.set_curves([design.curve_pieces() for design in designs])
        began = monotonic()
        lines = engine.advance(
            first.time, target, first.controller, attempts=attempts, rtol=first.study.solver.rtol,
            first_step=first.study.solver.first_step, rounding=ROUNDING * duration,
        )  # fmt: skip
        seconds = (monotonic() - began) / attempts
        records = []
        for line in lines:
            if not line.is_accepted:
                rejected += not line.is_left
                continue
            taken = tuple(design.take(line, rejected) for design in designs)
            worst = line.worst_design
            records.append(BatchRecord(first.n_steps, line.time, line.dt, line.error, worst, rejected, taken))
            rejected = 0
        yield from records  # the host has caught up with the device before anyone looks
        if lines and first.controller.proposal < SMALLEST_STEP * duration:
            designs[lines[-1].worst_design].fail(lines[-1])


def _attempts(first: DeviceSimulation, target: float, seconds: float) -> int:
    """Attempts to ask for before the host looks again: about as many as lead to the target, and not too long."""
    left, dt, count = target - first.time, first.controller.proposal, 1
    while left > 1.1 * dt and count < N_LINES:
        left, dt, count = left - dt, min(EXPECTED_GROWTH * dt, first.controller.largest), count + 1
    return min(count, max(1, int(LONGEST_WAIT / seconds))) if seconds > 0.0 else 1


class DeviceBatch:
    """Designs over one geometry on a device; what BatchSimulation is on the host."""

    def __init__(self, studies: Sequence[Any], make_machine: MakeMachine, plan: Plan | None = None) -> None:
        """plan: of the one study, where it is at hand.  Raises ResourceError for too little memory on the device."""
        for study in studies:
            refuse_unsolved(study)
        plans, settings = make_plans(studies) if plan is None else [plan], studies[0].solver
        machine, code = make_machine(studies[0].mechanism, settings.precision, len(studies))
        followed = find_followed(studies)
        machine.refuse_more_than_free(sum(count_bytes(plans, settings.precision, followed).values()))
        self.engine = DeviceEngine(machine, plans, code, followed)
        controller = Controller(settings.first_step, settings.max_step)
        self.designs = tuple(
            DeviceSimulation(study, plan, self.engine, d, controller)
            for d, (study, plan) in enumerate(zip(studies, plans, strict=True))
        )
        self.engine.set_accuracy(settings.rtol, [design.known_floors() for design in self.designs])

    def steps(self, until: float | None = None) -> Iterator[BatchRecord]:
        """Advance to `until` [s] (default: the duration), yielding each accepted step."""
        return drive(self.designs, self.engine, until)

    def run(self, until: float | None = None) -> list[BatchRecord]:
        """Advance to `until` [s] and return all steps."""
        return list(self.steps(until))

    @property
    def time(self) -> float:
        """Time reached [s]."""
        return self.designs[0].time

    @property
    def n_steps(self) -> int:
        """Steps taken."""
        return self.designs[0].n_steps

    def checkpoint(self) -> list[dict[str, Any]]:
        """Everything needed to continue bit for bit, design by design."""
        return [design.checkpoint() for design in self.designs]

    def restore(self, data: Sequence[dict[str, Any]]) -> None:
        """Continue from what `checkpoint` returned."""
        for design, each in zip(self.designs, data, strict=True):
            design.restore(each)


def simulate_on_device(study: Any, make_machine: MakeMachine, plan: Plan | None = None) -> DeviceSimulation:
    """A simulation of one study on a device; plan: of this study, where one is at hand."""
    return DeviceBatch([study], make_machine, plan).designs[0]

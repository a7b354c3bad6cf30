"""Runs the step's program: uploads states, lets the device take steps on its own, and reads its log now and then."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payloadfield.backends.cuda.machine import Machine
from payloadfield.backends.plan import Plan
from payloadfield.solver.controller import Controller
from payloadfield.solver.device.arrays import CLOCK, DESIGN_HEAD, LINE_HEAD, N_LINES, DeviceArrays
from payloadfield.solver.device.followed import Followed
from payloadfield.solver.device.program import StepProgram, set_cell_rates
from payloadfield.solver.rosenbrock import LARGEST_SHARE, NEGLIGIBLE_SHARE, RESIDUAL_SHARE
from payloadfield.solver.tableau import make_ros34pw2

_Floats = NDArray[np.float64]
_log = logging.getLogger(__name__)

ITERATIONS = 2
"""Conjugate-gradient iterations of every solve."""

CORRECTIONS = 1
"""Corrections of a loop of fields after its first sweep; more, as of iterations, where solves leave too much."""

MOST_ITERATIONS = 32
"""... and the most that are taken where solves leave too much."""

RESIDUAL_LIMIT = 10.0
"""A step whose solves leave more than this times what would be enough is not accepted: more iterations are needed.

With the most of them it is, and the run says so.
"""

QUIET_STEPS = 20
"""Steps with more iterations after which the usual ones are tried again."""


@dataclass(frozen=True)
class DesignLine:
    """A design in one line of the log: scaled error, number of the quantity that has it, residual ratio; amounts of the
    fields (F,), sums of the states over the cells (S,), the small quantities after the step, and how many cells took
    each transition, where fates are drawn."""

    error: float
    worst: int
    ratio: float
    amounts: _Floats
    state_sums: _Floats
    small: _Floats
    moves: NDArray[np.int32]


@dataclass(frozen=True)
class Line:
    """One attempt: whether accepted, time after it and step size [s], largest error and the design that has it, whether
    its solves left too much, conjugate-gradient iterations of a solve, and the designs."""

    is_accepted: bool
    time: float
    dt: float
    error: float
    worst_design: int
    is_left: bool
    iterations: int
    designs: tuple[DesignLine, ...]


class DeviceEngine:
    """A batch of designs on a device; the host's mirror of the clock is the controller."""

    def __init__(self, machine: Machine, plans: Sequence[Plan], code: Any, followed: Followed | None = None) -> None:
        self.machine, self.plans = machine, plans
        self.arrays = DeviceArrays(machine, plans, code, make_ros34pw2(), followed)
        self.iterations, self._since = ITERATIONS, 0
        self._rates: Any = None
        self.notes: list[str] = []
        """What a reader of the results has to know."""
        self._programs: dict[int, tuple[StepProgram, Any]] = {}
        self._program = self.program(ITERATIONS)

    def program(self, iterations: int) -> tuple[StepProgram, Any]:
        """The launches with so many iterations, and what the machine has made of them."""
        if iterations not in self._programs:
            corrections = CORRECTIONS * iterations // ITERATIONS
            made = StepProgram(self.arrays, iterations=iterations, corrections=corrections)
            self._programs[iterations] = made, self.machine.record(made.launches)
        return self._programs[iterations]

    @property
    def n_solves(self) -> int:
        """Solves of an attempt, those of the answers to the bath not counted."""
        return len(self.plans[0].diffusivity) * 4

    # -- states -------------------------------------------------------------------------------------------------

    def load(self, design: int, fields: _Floats, states: _Floats, small: _Floats) -> None:
        """Begin a design from these values."""
        a = self.arrays
        self.load_small(design, small)
        for array, values in ((a.fields, fields), (a.states, states)):
            if array.size:
                self.machine.write(array[design], np.ascontiguousarray(values, a.real))

    def load_small(self, design: int, small: _Floats) -> None:
        """Set the small quantities of a design: bath, losses, inflow."""
        self.machine.write(self.arrays.small[design], np.ascontiguousarray(small, self.arrays.real))

    def read(self, array: Any) -> _Floats:
        """Values of a device array, in double precision."""
        return self.machine.read(array).astype(np.float64)

    def rates_of_cells(self, design: int) -> _Floats:
        """Rates of change of every slot of every cell now, (S, n_cell)."""
        a = self.arrays
        if not a.n_cells:
            return np.zeros((self.plans[0].n_states, 0))
        if self._rates is None:
            launches: list[Any] = []
            set_cell_rates(a, lambda *launch: launches.append(self.machine.prepare(*launch)), a.fields, a.states)
            self._rates = self.machine.record(launches)
        self.machine.run(self._rates)
        return self.read(a.cell_rates[design])

    def set_scales(self, design: int, kind: str, typical: _Floats, seen: _Floats) -> None:
        """Typical sizes (nan: to be found) and largest values so far, of kind "field" or "state"."""
        of = self.arrays.of[kind]
        for name, values in (("typical", typical), ("seen", seen)):
            if values.size and of[name].size:
                self.machine.write(of[name][design], np.ascontiguousarray(values, np.float64))

    def seen(self, design: int, kind: str) -> _Floats:
        """Largest values so far."""
        return self.read(self.arrays.of[kind]["seen"][design])

    def set_accuracy(self, rtol: float, floors: Sequence[_Floats]) -> None:
        """What the residuals of the solves are held against; floors of each design (F,) [nM]."""
        plan = self.plans[0]
        self._share = min(RESIDUAL_SHARE * rtol ** (2 / 3), LARGEST_SHARE)
        size = np.array([np.linalg.norm(plan.field_capacity(f)) for f in range(plan.n_fields)])
        self.machine.write(self.arrays.negligible, NEGLIGIBLE_SHARE * rtol * np.stack(list(floors)) * size)

    def set_curves(self, pieces: Sequence[Mapping[int, Any]]) -> None:
        """What the bath of each design follows until the next target, by field; nothing where a field is missing."""
        a = self.arrays
        if not a.curves.size:
            return
        rows = np.zeros(a.curves.shape)
        for of_design, row in zip(pieces, rows, strict=True):
            for field, piece in of_design.items():
                terms = np.stack([piece.amplitudes, piece.rates], axis=1).ravel()
                values = np.concatenate([[1.0, piece.start], piece.cubic, terms])
                row[field, : len(values)] = values
        self.machine.write(a.curves, rows)

    # -- steps --------------------------------------------------------------------------------------------------

    def advance(
        self, time: float, target: float, controller: Controller, *, attempts: int, rtol: float, first_step: float,
        rounding: float,
    ) -> list[Line]:  # fmt: skip
        """Up to so many attempts towards a target [s]; what they came to. The controller is brought up to date."""
        attempts = min(attempts, N_LINES)
        if self.iterations > ITERATIONS:  # the change back comes after so many steps, however often the host looks
            attempts = min(attempts, max(QUIET_STEPS - self._since, 1))
        clock = dict.fromkeys(CLOCK, 0.0) | {
            "time": time, "proposal": controller.proposal, "accepted_dt": controller.accepted_dt,
            "accepted_error": controller.accepted_error, "just_rejected": float(controller.just_rejected),
            "target": target, "longest": controller.largest, "rounding": rounding, "rtol": rtol,
            "first_step": first_step, "share": self._share, "residual_limit": self._limit(),
        }  # fmt: skip
        self.machine.write(self.arrays.clock, np.array(list(clock.values())))
        for _ in range(attempts):
            self.machine.run(self._program[1])
        after = dict(zip(CLOCK, self.machine.read(self.arrays.clock), strict=True))
        controller.proposal, controller.accepted_dt = float(after["proposal"]), float(after["accepted_dt"])
        controller.accepted_error, controller.just_rejected = (
            float(after["accepted_error"]),
            bool(after["just_rejected"]),
        )
        lines = self._read_log(int(after["lines"]))
        self._watch_residuals(lines)
        return lines

    def _limit(self) -> float:
        """With as many iterations as there may be, what is left is left, and noted."""
        return RESIDUAL_LIMIT if self.iterations < MOST_ITERATIONS else float("inf")

    def effort(self) -> NDArray[np.int64]:
        """Iterations of every solve, and steps since they were changed."""
        return np.array([self.iterations, self._since])

    def go_on_with(self, effort: NDArray[np.int64]) -> None:
        """Take as many iterations from here on as a run did that is continued; effort: what `effort` gave."""
        self.iterations, self._since = (int(value) for value in effort)
        self._program = self.program(self.iterations)

    def _read_log(self, n: int) -> list[Line]:
        if not n:
            return []
        a = self.arrays
        none = np.zeros((n, a.n_designs, 0), np.int32)
        moves = self.machine.read(a.fates.moves) if a.fates.is_drawn else none
        return [self._parse(*of_line) for of_line in zip(self.machine.read(a.log)[:n], moves[:n], strict=True)]

    def _parse(self, row: _Floats, moves: NDArray[np.int32]) -> Line:
        a = self.arrays
        columns = np.cumsum([DESIGN_HEAD, a.n_fields, a.n_states])
        designs = []
        for each, moved in zip(row[LINE_HEAD:].reshape(a.n_designs, -1), moves, strict=True):
            head, amounts, sums, small = np.split(each, columns)
            designs.append(DesignLine(float(head[0]), int(head[1]), float(head[2]), amounts, sums, small, moved))
        return Line(
            bool(row[1]), float(row[2]), float(row[3]), float(row[4]), int(row[5]), bool(row[8]), self.iterations,
            tuple(designs),
        )  # fmt: skip

    def _watch_residuals(self, lines: Sequence[Line]) -> None:
        """More iterations where solves left too much; back to the usual ones after a while."""
        self._since += sum(line.is_accepted for line in lines)
        self._note_residuals(lines)
        if any(line.is_left for line in lines):
            worst = max(design.ratio for line in lines for design in line.designs)
            self.iterations, self._since = min(2 * self.iterations, MOST_ITERATIONS), 0
            _log.warning(
                "The solves of a step at t = %.6g h left %.3g times what would be enough: going on with %d iterations "
                "each instead of %d", lines[-1].time / 3600, worst, self.iterations, ITERATIONS,
            )  # fmt: skip
        elif self.iterations > ITERATIONS and self._since >= QUIET_STEPS:
            self.iterations, self._since = self.iterations // 2, 0
        self._program = self.program(self.iterations)

    def _note_residuals(self, lines: Sequence[Line]) -> None:
        """Tell once where a step is taken whose solves left too much, with the most iterations that there may be."""
        for line in lines:
            ratio = max(design.ratio for design in line.designs)
            if self.notes or not line.is_accepted or line.iterations < MOST_ITERATIONS or ratio <= RESIDUAL_LIMIT:
                continue
            self.notes.append(
                f"with {MOST_ITERATIONS} iterations each, the most that are taken, the solves of the step to "
                f"t = {line.time / 3600:.6g} h left {ratio:.3g} times what would be enough, and it was taken all the "
                "same; exposures may be off by more than the tolerance: compare with --backend numba"
            )
            _log.warning("On the GPU, %s", self.notes[-1])

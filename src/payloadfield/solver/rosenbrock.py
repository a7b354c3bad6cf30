"""One step of the Rosenbrock-W method without splitting: cells eliminated, then one elliptic problem per field.

Each stage solves (I / (gamma dt) - J) U = rhs with U the increments of fields, bath, cells and losses together:
(a) the states of each cell are eliminated through its own Jacobian, which adds to the diagonal and the right-hand
    side of the voxels of its footprint;
(b) the fields are solved in dependency order, a loop of fields by repeated sweeps; a finite bath borders the system;
(c) every pocket is shifted so that its residuals sum to zero (conservation.py);
(d) cells, then losses and the inflow from the bath, follow by back-substitution.
A bath that follows curves makes the right-hand side depend on time, linearly through the bath's values b: stage i sees
b(t + alpha_i dt) + gamma_i dt b'(t), with alpha_i and gamma_i the row sums of the method (Hairer & Wanner II, IV.7).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payloadfield.backends.base import Backend
from payloadfield.backends.plan import Plan
from payloadfield.solver.conservation import PocketSystem
from payloadfield.solver.contacts import ContactExchange
from payloadfield.solver.shares import rebase_shares, share_rows
from payloadfield.solver.state import ARRAYS, State
from payloadfield.solver.tableau import Tableau, make_ros34pw2
from payloadfield.units import AVOGADRO_NM_UM3

LOOP_SWEEPS = 6
"""Most sweeps over fields that depend on each other in a loop: they end once each field's residual is small enough."""

RESIDUAL_SHARE = 1.08
"""A solve may stop at this share, times rtol^(2/3), of the largest right-hand side among its step's stages: what a step
of order 3 adds to a field goes as rtol^(1/3), so that the error left stays in proportion to rtol."""

LARGEST_SHARE = 0.25
"""... and never at more than this share, so that a loose run still solves."""

BORDER_RESIDUAL = 0.1
"""The same for the answer of a field to a finite bath, at most: a coarser one costs the order at tight tolerances."""

NEGLIGIBLE_SHARE = 0.05
"""... or once the error that its residual can hide, r / (sg C), is this share of the tolerance at the floor."""

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StepStatistics:
    """What one attempted step took: conjugate-gradient iterations in all, and the largest relative residual left.

    haste: above 1 where touching cells exchange too fast for a step of this length (contacts.py).
    """

    iterations: int
    worst_residual: float
    haste: float = 0.0


@dataclass(frozen=True)
class Fault:
    """The first rate of change that is not finite: kind "field" or "state", which of them (row), the open voxel or cell
    where (place), and in how many."""

    kind: str
    row: int
    place: int
    count: int


class Stepper:
    """Attempts one step from a state; holds all work arrays, allocated once.

    curves: by field, what an infinite bath follows; each with value(t) and slope(t), the right-hand one.
    """

    def __init__(self, plan: Plan, backend: Backend, rtol: float, floors: _Floats) -> None:
        """Allocate; rtol: tolerance of a step, floors (n_field,): sizes below which errors count less [nM]."""
        self._residual_share = min(RESIDUAL_SHARE * rtol ** (2 / 3), LARGEST_SHARE)
        self._capacity_norm = np.array([backend.norm(plan.field_capacity(f)) for f in range(plan.n_fields)])
        self._negligible = NEGLIGIBLE_SHARE * rtol * floors
        self._largest_rhs = np.zeros(plan.n_fields)
        self.plan, self.backend, self.code = plan, backend, backend.code
        self.tableau: Tableau = make_ros34pw2()
        self.curves: Mapping[int, Any] = {}
        empty, n_stages = State.zeros(plan), self.tableau.n_stages
        self._increments = {name: np.zeros((n_stages, *a.shape)) for name, a in empty.arrays().items()}
        self._value, self._base, self.error = State.zeros(plan), State.zeros(plan), State.zeros(plan)
        self._field_rhs = np.zeros_like(empty.fields)
        self._rhs, self._extra, self._change = (np.zeros(plan.n_open) for _ in range(3))
        self._allocate_cells()
        self._contacts, self._haste = ContactExchange(plan, backend), 0.0
        self._allocate_bath()
        self._iterations, self._worst = 0, 0.0
        self._outdated: set[int] = set()  # fields of a loop whose residual is too large, or not what it was

    def sharing(self, plan: Plan, backend: Backend, rtol: float, floors: _Floats) -> Stepper:
        """A stepper for a plan of the same maps and other coefficients, with the same work arrays: the two take turns.

        What is carried from step to step (`memory`) is its own.
        """
        other = copy(self)
        other.plan, other.backend = plan, backend
        other._contacts = ContactExchange(plan, backend)
        other._negligible = NEGLIGIBLE_SHARE * rtol * floors
        other._conductance_sum = plan.bath.conductance.sum(axis=1)
        other._bath_capacity = np.array([[plan.bath.volume if self._finite else 0.0]])
        other._border = None if self._border is None else np.zeros_like(self._border)
        return other

    def _allocate_cells(self) -> None:
        plan, code = self.plan, self.code
        n_cells, n_entries = plan.cells.n_cells, len(plan.cells.entry_voxel)
        self._has_cells = n_cells > 0
        self._shares = share_rows(plan.mechanism)
        self._exchanged = {int(f): k for k, f in enumerate(code.EXCHANGED)} if self._has_cells else {}
        self._lu = np.zeros((code.N_LU, n_cells))
        self._entry_source = np.zeros((len(code.EXCHANGED), n_entries))
        self._entry_schur = np.zeros((code.N_SCHUR, n_entries))
        self._entry = np.zeros(n_entries)
        self._cell_rates = np.zeros((plan.n_states, n_cells))
        self._cell_rhs = np.zeros((plan.n_states, n_cells))
        self._voxel_jacobian = np.zeros((len(code.VOXEL_PAIRS), plan.n_open))
        self._schur_row = {pair: k for k, pair in enumerate(code.SCHUR_PAIRS)} if self._has_cells else {}
        self._voxel_row = {pair: k for k, pair in enumerate(code.VOXEL_PAIRS)}
        pairs = self._voxel_row.items()
        self._voxel_couplings = [[(row, g) for (f, g), row in pairs if f == of] for of in range(plan.n_fields)]
        self._answering = set(code.ANSWERING) if self._has_cells else set()
        self._absorbing = {f: list(rows) for f, rows in zip(self._exchanged, code.ABSORBING, strict=False) if rows}

    def _allocate_bath(self) -> None:
        plan = self.plan
        self._finite = plan.bath.is_finite
        self._bath_capacity = np.array([[plan.bath.volume if self._finite else 0.0]])
        self._bath_index = np.zeros(plan.n_fields, np.int64)
        self._bath_rates = np.zeros((plan.n_fields, 1))
        self._bath_jacobian = np.zeros((len(self.code.BATH_PAIRS), 1))
        self._bath_row = {pair: k for k, pair in enumerate(self.code.BATH_PAIRS)}
        pairs = {*self._voxel_row, *self._schur_row, *self._bath_row}
        self._dependents = [{f for f, g in pairs if g == by and f != by} for by in range(plan.n_fields)]
        self._bath_rhs = np.zeros(plan.n_fields)
        self._bath_diagonal = np.zeros(plan.n_fields)
        self._border = np.zeros((plan.n_fields, plan.n_open)) if self._finite else None
        self._border_dot = np.zeros(plan.n_fields)
        self._border_residual: list[_Floats] = [np.zeros(1)] * plan.n_fields
        self._conductance_sum = plan.bath.conductance.sum(axis=1)

    # -- the step -----------------------------------------------------------------------------------------------

    def attempt(self, state: State, dt: float, new: State) -> StepStatistics:
        """Advance `state` by dt [s] into `new`; the difference to the embedded solution goes to `self.error`."""
        self._iterations, self._worst = 0, 0.0
        with np.errstate(all="ignore"):  # an attempt may leave the range of a rate: its error is then not finite
            self._linearise(state, 1.0 / (self.tableau.gamma * dt))
            for stage in range(self.tableau.n_stages):
                self._solve_stage(stage, state, dt)
        for name in ARRAYS:
            increments = self._increments[name]
            self.backend.combine(getattr(new, name), getattr(state, name), increments, self.tableau.m)
            self.backend.combine(getattr(self.error, name), None, increments, self.tableau.error)
        new.time = state.time + dt
        for field, curve in self.curves.items():
            new.bath[field] = curve.value(new.time)
        return StepStatistics(self._iterations, self._worst, self._haste)

    def memory(self) -> dict[str, _Floats]:
        """What the stepper carries from step to step besides the state: the start of the bordering solves."""
        return {} if self._border is None else {"border": self._border.copy()}

    def restore(self, memory: dict[str, _Floats]) -> None:
        """Take back what `memory` gave."""
        if self._border is not None:
            self._border[...] = memory["border"]

    def _cell_arguments(self, fields: _Floats, states: _Floats) -> tuple[_Floats | NDArray[np.int64], ...]:
        cells, plan = self.plan.cells, self.plan
        footprint = (cells.entry_start, cells.entry_voxel, cells.entry_weight)
        return (fields, states, plan.parameters, plan.cell_parameters, *footprint)

    def rates_of_cells(self, state: State) -> _Floats:
        """Rates of change of every slot of every cell at a state, (n_state, n_cell)."""
        arguments = self._cell_arguments(state.fields, state.states)
        self.code.cell_rates(*arguments, self._cell_rates, self._entry_source)
        self._contacts.add_rates(arguments, self._cell_rates)
        return self._cell_rates.copy()

    def find_fault(self, state: State, dt: float) -> Fault | None:
        """Where an attempt of dt [s] first meets a rate that is not finite: in a cell, else in a voxel."""
        with np.errstate(all="ignore"):
            self._linearise(state, 1.0 / (self.tableau.gamma * dt))
            for stage in range(self.tableau.n_stages):
                self._solve_stage(stage, state, dt)
                for kind, rates in (("state", self._cell_rates), ("field", self._field_rhs)):
                    row, place = np.nonzero(~np.isfinite(rates))
                    if row.size:
                        return Fault(kind, int(row[0]), int(place[0]), int(np.count_nonzero(row == row[0])))
        return None

    # -- linearisation ------------------------------------------------------------------------------------------

    def _linearise(self, state: State, sg: float) -> None:
        """Jacobians at the clamped state, factored cells, elliptic operators and pocket systems for 1/(gamma dt)."""
        plan, code, backend = self.plan, self.code, self.backend
        self._sg = sg
        self._largest_rhs[...] = 0.0
        for name in ("fields", "states", "bath"):
            backend.clamp(getattr(self._base, name), getattr(state, name))
        rebase_shares(self._shares, state.states, self._base.states)
        if self._voxel_row:
            code.voxel_jacobian(
                self._base.fields, plan.parameters, plan.capacity, plan.capacity_index, self._voxel_jacobian
            )
        if self._has_cells:
            arguments = self._cell_arguments(self._base.fields, self._base.states)
            code.cell_factor(*arguments, sg, self._lu, self._entry_schur)
            self._haste = self._contacts.haste(arguments, self._lu)
        if self._finite:
            code.bath_jacobian(
                self._base.bath[:, None], plan.parameters, self._bath_capacity, self._bath_index, self._bath_jacobian
            )
        for field in range(plan.n_fields):
            self._set_operator(field)
        self._systems = [self._pocket_system(group) for group in plan.mechanism.field_groups]

    def _set_operator(self, field: int) -> None:
        """A field's elliptic operator, with its own loss through reactions in voxels and through the cells."""
        pair, extra = (field, field), self._extra
        extra[...] = 0.0
        if pair in self._voxel_row:
            extra -= self._voxel_jacobian[self._voxel_row[pair]]
        if pair in self._schur_row:
            self.backend.gather(self._entry_schur[self._schur_row[pair]], 1.0 / AVOGADRO_NM_UM3, extra)
        self.backend.set_operator(field, self._sg, extra)
        if self._finite:
            self._set_border(field)

    def _set_border(self, field: int) -> None:
        """z = A^-1 g_bath, started from the last step's: how the field answers to its bath."""
        assert self._border is not None
        pair = (field, field)
        loss = self._bath_jacobian[self._bath_row[pair], 0] if pair in self._bath_row else 0.0
        volume = self.plan.bath.volume
        self._bath_diagonal[field] = self._sg * volume + self._conductance_sum[field] - loss
        self.backend.bath_coupling(field, self._rhs)
        enough = min(BORDER_RESIDUAL, 2.0 * self._residual_share) * self.backend.norm(self._rhs)
        report = self.backend.solve(field, self._rhs, self._border[field], enough, warm=True)
        if not np.isfinite(report.residual):
            self._border[field] = 0.0  # the next attempt must not start from what spoilt this one
        self._border_dot[field] = self._bath_dot(field, self._border[field])
        self._border_residual[field] = self.backend.pocket_sums(field, self._rhs)

    def _bath_dot(self, field: int, value: _Floats) -> float:
        """sum g_bath u."""
        return -self.backend.bath_inflow(field, value, 0.0)

    def _pocket_system(self, group: tuple[int, ...]) -> PocketSystem:
        """The shifts' system of one group of fields."""
        plan, backend = self.plan, self.backend
        system = PocketSystem([plan.group(f).n_pockets for f in group], finite_bath=self._finite)
        for k, f in enumerate(group):
            system.add_field(k, backend.diagonal_sums(f))
            for j, g in enumerate(group):
                if g != f:
                    self._couple_pockets(system, (k, f), (j, g))
            if self._finite:
                self._add_bath(system, group, k)
        system.factor()
        return system

    def _couple_pockets(self, system: PocketSystem, one: tuple[int, int], other: tuple[int, int]) -> None:
        """What one field, number k of its group, loses per unit of another, by pairs of pockets."""
        (k, f), (j, g) = one, other
        pockets = self.plan.group(f).pocket, self.plan.group(g).pocket
        if (f, g) in self._voxel_row:
            system.add_coupling(k, j, -1.0, self._voxel_jacobian[self._voxel_row[f, g]], *pockets)
        if (f, g) in self._schur_row:
            lost, voxel = self._entry_schur[self._schur_row[f, g]], self.plan.cells.entry_voxel
            system.add_coupling(k, j, 1.0 / AVOGADRO_NM_UM3, lost, *pockets, at=voxel)

    def _add_bath(self, system: PocketSystem, group: tuple[int, ...], k: int) -> None:
        f = group[k]
        self.backend.bath_coupling(f, self._extra)
        couplings = {
            j: -float(self._bath_jacobian[self._bath_row[f, g], 0])
            for j, g in enumerate(group)
            if g != f and (f, g) in self._bath_row
        }
        system.add_bath(k, self._bath_diagonal[f], self.backend.pocket_sums(f, self._extra), couplings)

    # -- one stage ----------------------------------------------------------------------------------------------

    def _solve_stage(self, stage: int, state: State, dt: float) -> None:
        for name in ARRAYS:
            terms = self._increments[name][:stage]
            coefficients = self.tableau.a[stage, :stage]
            self.backend.combine(getattr(self._value, name), getattr(state, name), terms, coefficients)
        self._follow_curves(stage, state.time, dt)
        self._history = self.tableau.c[stage, :stage] / dt
        self._evaluate(stage)
        for group, system in zip(self.plan.mechanism.field_groups, self._systems, strict=True):
            self._solve_group(stage, group, system)
        if self._has_cells:
            self.code.cell_solve(self._lu, self._cell_rhs, self._increments["states"][stage])
        self._solve_losses(stage)

    def _follow_curves(self, stage: int, time: float, dt: float) -> None:
        """b(t + alpha_i dt) + gamma_i dt b'(t) for every field whose bath follows a curve."""
        alpha, gamma = float(self.tableau.alpha[stage].sum()), float(self.tableau.gammas[stage].sum())
        for field, curve in self.curves.items():
            self._value.bath[field] = curve.value(time + alpha * dt) + gamma * dt * curve.slope(time)

    def _evaluate(self, stage: int) -> None:
        """Right-hand sides of fields, cells and bath at the stage's value, with the history of earlier stages."""
        plan, backend, value = self.plan, self.backend, self._value
        self.code.voxel_rates(value.fields, plan.parameters, plan.capacity, plan.capacity_index, self._field_rhs)
        if self._has_cells:
            arguments = self._cell_arguments(value.fields, value.states)
            self.code.cell_rates(*arguments, self._cell_rates, self._entry_source)
            self._contacts.add_rates(arguments, self._cell_rates)
            backend.combine(self._cell_rhs, self._cell_rates, self._increments["states"][:stage], self._history)
        for field in range(plan.n_fields):
            rhs, terms = self._field_rhs[field], self._increments["fields"][:stage, field]
            backend.stage_rhs(field, value.fields[field], float(value.bath[field]), terms, self._history, rhs)
            if field in self._exchanged:
                backend.gather(self._entry_source[self._exchanged[field]], 1.0 / AVOGADRO_NM_UM3, rhs)
        if self._finite:
            self._evaluate_bath(stage)

    def _evaluate_bath(self, stage: int) -> None:
        plan, value = self.plan, self._value
        self.code.bath_rates(
            value.bath[:, None], plan.parameters, self._bath_capacity, self._bath_index, self._bath_rates
        )
        history = self._history @ self._increments["bath"][:stage] if stage else 0.0
        inflow = [self.backend.bath_inflow(f, value.fields[f], float(value.bath[f])) for f in range(plan.n_fields)]
        self._bath_rhs[...] = self._bath_rates[:, 0] + plan.bath.volume * history - np.array(inflow)

    def _solve_group(self, stage: int, group: tuple[int, ...], system: PocketSystem) -> None:
        """Solve a group of fields for their increments, and shift their pockets so that the books close."""
        increments, bath = self._increments["fields"][stage], self._increments["bath"][stage]
        for field in group:
            increments[field] = 0.0
            bath[field] = 0.0
        sums, bath_sums = self._sweep(group, increments, bath)
        shifts, bath_shifts = system.solve(sums, bath_sums)
        for field, shift, bath_shift in zip(group, shifts, bath_shifts, strict=True):
            if len(group) > 1:
                self._absorb(field, increments[field], -1.0)
            self.backend.shift_pockets(field, shift, increments[field])
            bath[field] += bath_shift
            self._absorb(field, increments[field], 1.0)

    def _sweep(self, group: tuple[int, ...], increments: _Floats, bath: _Floats) -> tuple[list[_Floats], list[float]]:
        """Solve the fields of a group in turn, a loop until they agree; pocket and bath sums of what is left."""
        sums: dict[int, _Floats] = {}
        outdated = self._outdated = set()
        for k, field in enumerate(group):
            sums[field] = self._solve_field(field, increments, bath, without=group[k:])
            if len(group) > 1:
                self._absorb(field, increments[field], 1.0)
            outdated |= self._dependents[field].intersection(group[:k])
        for sweep in range(LOOP_SWEEPS if len(group) > 1 else 0):
            for field in group:
                if field in outdated:
                    outdated.remove(field)
                    last = sweep + 1 == LOOP_SWEEPS
                    sums[field], corrected = self._correct(field, increments, bath, measure_only=last)
                    if corrected:
                        outdated |= self._dependents[field].intersection(group)
        return [sums[f] for f in group], [self._bath_residual(f, increments, bath) for f in group]

    def _correct(self, field: int, increments: _Floats, bath: _Floats, *, measure_only: bool) -> tuple[_Floats, bool]:
        """Pocket sums of a field's residual beside the other fields of its loop; solved for if it is not yet small."""
        changed = self._absorbing.get(field, [])
        before = self._cell_rhs[changed]
        self._absorb(field, increments[field], -1.0)
        self._load_rhs(field, increments, without=(field,))
        self._cell_rhs[changed] = before
        self.backend.subtract_image(field, increments[field], self._rhs)
        if self._finite:
            self.backend.bath_coupling(field, self._extra)
            self._rhs += bath[field] * self._extra
        if measure_only or self.backend.norm(self._rhs) <= self._enough(field):
            return self.backend.pocket_sums(field, self._rhs), False
        change = self._change
        left, bath_change = self._solve_bordered(field, change, self._bath_residual(field, increments, bath))
        increments[field] += change
        bath[field] += bath_change
        self._absorb(field, change, 1.0)
        return left, True

    def _load_rhs(self, field: int, increments: _Floats, without: tuple[int, ...]) -> None:
        """Right-hand side of a field: its own, what others' increments do to it, and what the cells answer.

        without: fields whose increments do not count: itself, and those that are not solved for yet.
        """
        rhs = self._rhs
        rhs[...] = self._field_rhs[field]
        coupled = [(row, g) for row, g in self._voxel_couplings[field] if g not in without]
        if coupled:
            rows, columns = np.array(coupled).T
            self.backend.add_products(rhs, self._voxel_jacobian, rows, increments, columns)
        if field in self._answering:
            arguments = self._cell_arguments(self._base.fields, self._base.states)
            known = (self._lu, self._entry_schur, self._cell_rhs)
            self.code.cell_respond(*arguments, *known, self._exchanged[field], self._entry)
            self.backend.gather(self._entry, 1.0 / AVOGADRO_NM_UM3, rhs)

    def _solve_field(self, field: int, increments: _Floats, bath: _Floats, without: tuple[int, ...]) -> _Floats:
        """Solve one field for its increment, with its bath if that is finite; pocket sums of the residual."""
        self._load_rhs(field, increments, without)
        self._largest_rhs[field] = max(self._largest_rhs[field], self.backend.norm(self._rhs))
        left, bath[field] = self._solve_bordered(field, increments[field], self._bath_right(field, bath))
        return left

    def _solve_bordered(self, field: int, out: _Floats, bath_right: float) -> tuple[_Floats, float]:
        """Solve A out - g_bath b = self._rhs with the bath's equation B b - g . out = bath_right where b is unknown.

        Pocket sums of the residual, and b. Without a finite bath b is zero.
        """
        enough = self._enough(field)
        report = self.backend.solve(field, self._rhs, out, enough)
        self._iterations += report.iterations
        if report.residual > enough:
            self._worst = max(self._worst, report.residual / self._largest_rhs[field])
            self._outdated.add(field)
        sums = self.backend.pocket_sums(field, self._rhs)
        if self._border is None:
            return sums, 0.0
        b = (bath_right + self._bath_dot(field, out)) / (self._bath_diagonal[field] - self._border_dot[field])
        out += b * self._border[field]
        return sums + b * self._border_residual[field], b

    def _enough(self, field: int) -> float:
        """Residual at which a solve may stop: its error then lies well below that of the step in time."""
        hidden = self._negligible[field] * self._sg * self._capacity_norm[field]
        return float(max(self._residual_share * self._largest_rhs[field], hidden))

    def _bath_right(self, field: int, bath: _Floats) -> float:
        """Right-hand side of the bath's equation of a field, with the couplings to other fields of the bath."""
        coupled = [
            self._bath_jacobian[row, 0] * bath[g] for (f, g), row in self._bath_row.items() if f == field and g != f
        ]
        return float(self._bath_rhs[field] + sum(coupled))

    def _bath_residual(self, field: int, increments: _Floats, bath: _Floats) -> float:
        """Residual of the bath's equation: r_b - B u_b + g . u."""
        if not self._finite:
            return 0.0
        inside = self._bath_dot(field, increments[field])
        return float(self._bath_right(field, bath) - self._bath_diagonal[field] * bath[field] + inside)

    def _absorb(self, field: int, increment: _Floats, sign: float) -> None:
        """Add what a field's increment does to the cells to their right-hand side."""
        if field in self._absorbing:
            arguments = self._cell_arguments(self._base.fields, self._base.states)
            self.code.cell_absorb(*arguments, increment, self._exchanged[field], sign, self._cell_rhs)

    # -- losses -------------------------------------------------------------------------------------------------

    def _solve_losses(self, stage: int) -> None:
        """Increments of the losses and of the inflow from an infinite bath, which nothing depends on."""
        rate = self._loss_rates(stage)
        for name, value in (("accumulators", rate), ("inflow", self._inflow_rates(stage))):
            increments = self._increments[name]
            history = self._history @ increments[:stage] if stage else 0.0
            increments[stage] = (value + history) / self._sg

    def _loss_rates(self, stage: int) -> _Floats:
        plan, code, value, base = self.plan, self.code, self._value, self._base
        table = (plan.parameters, plan.capacity, plan.capacity_index)
        bath = (plan.parameters, self._bath_capacity, self._bath_index)
        increments, part = self._increments, np.zeros(len(plan.mechanism.accumulators))
        total = np.zeros_like(part)
        code.voxel_losses(value.fields, *table, part)
        total += part
        code.voxel_losses_linear(base.fields, increments["fields"][stage], *table, part)
        total += part
        if self._finite:
            code.bath_losses(value.bath[:, None], *bath, part)
            total += part
            code.bath_losses_linear(base.bath[:, None], increments["bath"][stage][:, None], *bath, part)
            total += part
        return total

    def _inflow_rates(self, stage: int) -> _Floats:
        plan, increments = self.plan, self._increments["fields"][stage]
        if self._finite or not plan.bath.voxel.size:
            return np.zeros(plan.n_fields)
        value = self._value
        return np.array(
            [
                self.backend.bath_inflow(f, value.fields[f], float(value.bath[f])) - self._bath_dot(f, increments[f])
                for f in range(plan.n_fields)
            ]
        )

"""The step as a list of launches: what solver/rosenbrock.py does, with fixed numbers of iterations and no host.

Each solve takes the same number of conjugate-gradient iterations, a loop of fields the same number of corrections; what
is left of the right-hand sides goes into the verdict at the end (kernels/control.cu). The list is the same wherever it
runs: on a GPU it becomes a graph, and the tests run it on the host's build of the kernels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from payloadfield.backends.cuda.signature import Build, Launch
from payloadfield.backends.cuda.traffic import launch_bytes
from payloadfield.solver.device.arrays import N_LINES, N_STAGES, PEAKS, DeviceArrays
from payloadfield.solver.device.solve import FieldSolver
from payloadfield.units import AVOGADRO_NM_UM3


def cell_arguments(arrays: DeviceArrays, fields: Any, states: Any) -> tuple[Any, ...]:
    """What the kernels of the cells begin with: sizes, unknowns, parameters and footprints."""
    a = arrays
    given = a.n_cells, a.n, a.n_entries, fields, states, a.parameters, a.cell_parameters
    return (*given, a.entry_start, a.entry_voxel, a.entry_weight)


def set_cell_rates(arrays: DeviceArrays, do: Callable[..., None], fields: Any, states: Any) -> None:
    """Rates of the states, with what touching cells exchange, and the sources of the fields at every entry."""
    cells = cell_arguments(arrays, fields, states)
    do("cell_rates", *cells, arrays.cell_rates, arrays.entry_source)
    arrays.contacts.add_rates(do, cells, arrays.cell_rates)


class StepProgram:
    """The launches of one attempted step."""

    def __init__(self, arrays: DeviceArrays, *, iterations: int, corrections: int) -> None:
        """iterations: of every solve; corrections: sweeps over a loop of fields after the first one."""
        self.a, self.iterations, self.corrections = arrays, iterations, corrections
        self.launches: list[Launch] = []
        code = arrays.code
        self._exchanged = {int(f): k for k, f in enumerate(code.EXCHANGED)} if arrays.n_cells else {}
        self._answering = set(code.ANSWERING)
        self._absorbing = {f for f, states in zip(code.EXCHANGED, code.ABSORBING, strict=True) if states}
        self._schur_row = {pair: k for k, pair in enumerate(code.SCHUR_PAIRS)} if arrays.n_cells else {}
        self._voxel_row = {pair: k for k, pair in enumerate(code.VOXEL_PAIRS)}
        self._solver = FieldSolver(arrays, self.do)
        self._begin()
        self._linearise()
        for stage in range(N_STAGES):
            self._stage(stage)
        self._end()

    def do(self, name: str, *arguments: Any) -> None:
        """Append a checked launch; one over nothing is left out."""
        launch = self.a.machine.prepare(name, *arguments)
        if not launch.is_empty:
            self.launches.append(launch)

    def count(self) -> Counter[str]:
        """How often each kernel is launched in a step."""
        return Counter(launch.kernel for launch in self.launches)

    def bytes(self, build: Build) -> Counter[str]:
        """Bytes that a step has to move at least, by kernel."""
        total: Counter[str] = Counter()
        machine = self.a.machine
        for launch in self.launches:
            kernel = machine.kernels[launch.kernel]
            total[launch.kernel] += launch_bytes(kernel, build, launch, machine.constants)
        return total

    # -- pieces -------------------------------------------------------------------------------------------------

    def _history(self, stage: int) -> Any:
        return self.a.history[N_STAGES * stage : N_STAGES * (stage + 1)]

    def _base_cells(self) -> tuple[Any, ...]:
        return cell_arguments(self.a, self.a.fields, self.a.states)

    def _gather(self, entries: Any, row: int, out: Any, field: int) -> None:
        """Add a row of entries to the voxels, in a row of out (D, rows, n)."""
        a = self.a
        sizes = a.n_touched, a.n_entries, a.n, entries.shape[1], row, out.shape[1], field
        self.do("gather", *sizes, 1.0 / AVOGADRO_NM_UM3, *a.touched, entries, out)

    def _absorb(self, field: int, increment: Any, row: int, sign: float) -> None:
        if field in self._exchanged and field in self._absorbing:
            more = row, increment.shape[1], increment, self._exchanged[field], sign, self.a.cell_rhs
            self.do("cell_absorb", *self._base_cells(), *more)

    # -- begin and linearise ------------------------------------------------------------------------------------

    def _begin(self) -> None:
        a = self.a
        self.do("begin_step", a.clock.size, a.history.size, a.gamma, a.c, a.clock, a.sg, a.history)

    def _linearise(self) -> None:
        a = self.a
        if self._voxel_row:
            self.do("voxel_jacobian", a.n, a.fields, a.parameters, a.capacity, a.capacity_index, a.jacobian)
        if a.n_cells:
            self.do("cell_factor", *self._base_cells(), a.sg, a.lu, a.entry_schur)
            partial = a.partial(a.n_designs, a.blocks(a.n_cells))
            a.contacts.measure_haste(self.do, self._base_cells(), a.lu, partial, a.haste)
        if a.is_finite and len(a.code.BATH_PAIRS):
            bath = a.small, a.parameters, a.volume, a.no_index, a.bath_jacobian
            self.do("bath_jacobian", 1, a.n_small, *bath)
        for field in range(a.n_fields):
            self._set_operator(field)
        for group in a.plan.mechanism.field_groups:
            self._set_shifts(group)

    def _set_operator(self, field: int) -> None:
        a, zeroth, pair = self.a, self.a.zeroth[field], (field, field)
        self.do("set_zeroth", a.n, a.sg, a.capacity[int(a.capacity_row[field])], zeroth)
        self._couple(pair, zeroth)
        self._solver.couple_bath(field, zeroth)
        self._solver.set_diagonals(field)
        if a.is_finite:
            self._solver.set_border(field)

    def _couple(self, pair: tuple[int, int], out: Any) -> None:
        """Loss of a field per unit of another through reactions in voxels and the cells, added to out (D, n)."""
        a = self.a
        if pair in self._voxel_row:
            self.do("subtract_row", a.n, a.jacobian.shape[1], self._voxel_row[pair], a.jacobian, out)
        if pair in self._schur_row:
            self._gather(a.entry_schur, self._schur_row[pair], out.reshape(a.n_designs, 1, a.n), 0)

    def _set_shifts(self, group: tuple[int, ...]) -> None:
        """The matrices of the pockets' shifts, inverted."""
        a, own = self.a, self.a.pockets[group]
        if not own.is_even:
            own.set_matrix(self.do, self._coupling, a.x)
            return
        for k, f in enumerate(group):
            for j, g in enumerate(group):
                if g == f or (f, g) in self._voxel_row or (f, g) in self._schur_row:
                    self._solver.pocket_sums(f, self._coupling(f, g), own.matrix[k, j])
        self.do("invert_pockets", own.n_components, own.n_slots, own.matrix, own.inverse)

    def _coupling(self, field: int, other: int) -> Any:
        """Loss of a field per unit of another, its zeroth-order terms for itself; (D, n)."""
        a = self.a
        if field == other:
            return a.zeroth[field]
        self.do("clear", a.n, a.extra)
        self._couple((field, other), a.extra)
        return a.extra

    # -- one stage ----------------------------------------------------------------------------------------------

    def _stage(self, stage: int) -> None:
        a = self.a
        triples = [
            (a.fields, a.terms, a.value),
            (a.states, a.state_terms, a.state_value),
            (a.small, a.small_terms, a.small_value),
        ]
        self._value, self._state_value = (a.value, a.state_value) if stage else (a.fields, a.states)
        for base, terms, out in triples if stage else triples[-1:]:  # the first stage's values are those of the step
            flat = terms.reshape(N_STAGES, -1)
            self.do("combine", base.size, stage, base.reshape(-1), flat, a.a[stage], out.reshape(-1))
        if a.curves.size:
            times = stage, *a.stage_times[stage]
            self.do("bath_curves", *self._curves(), *times, a.curves, a.clock, a.small_value, a.small_terms)
        self._evaluate(stage)
        for group in a.plan.mechanism.field_groups:
            self._solve_group(stage, group)
        if a.n_cells:
            self.do("cell_solve", a.n_cells, a.lu, a.cell_rhs, a.state_terms[stage])
        self._losses(stage)

    def _curves(self) -> tuple[int, ...]:
        return self.a.n_fields, self.a.n_small, self.a.curves.shape[2], self.a.clock.size

    def _evaluate(self, stage: int) -> None:
        """Right-hand sides of fields, cells and bath at the stage's value, with the history of earlier stages."""
        a, history = self.a, self._history(stage)
        self.do("voxel_rates", a.n, self._value, a.parameters, a.capacity, a.capacity_index, a.rhs)
        if a.n_cells:
            set_cell_rates(a, self.do, self._value, self._state_value)
            flat = a.state_terms.reshape(N_STAGES, -1)
            rates, rhs = a.cell_rates.reshape(-1), a.cell_rhs.reshape(-1)
            self.do("combine", rates.size, stage, rates, flat, history, rhs)
        self._transport(stage, history)
        for field, row in self._exchanged.items():
            self._gather(a.entry_source, row, a.rhs, field)
        self._solver.bath_inflow(self._value, a.small_value, a.inflow)
        if a.is_finite:
            bath = a.small_value, a.parameters, a.volume, a.no_index, a.bath_rates
            self.do("bath_rates", 1, a.n_small, *bath)
            given = a.volume, a.bath_rates, a.inflow, history, a.small_terms, a.bath_rhs, a.all_inner
            self.do("bath_right_side", a.n_fields, a.n_small, stage, *given)

    def _transport(self, stage: int, history: Any) -> None:
        """Transport and history of the fields, those that share their conductances together, and the bath's share."""
        a, terms = self.a, self.a.terms.reshape(N_STAGES, -1, self.a.n)
        for k, tables in enumerate(a.groups):
            members = tuple(int(f) for f in (a.plan.group_of_field == k).nonzero()[0])
            of = a.n, a.n_fields, len(members), stage, a.integers(members), a.D
            given = a.capacity, a.capacity_of, self._value, terms, history, a.rhs
            self.do("stage_rhs", *of, *tables.around, *given)
        contact = a.n_contact, a.n, a.n_fields, a.n_small, a.contact, a.conductance
        self.do("bath_flux", *contact, a.small_value, self._value, a.rhs)

    def _load_rhs(self, stage: int, field: int, norm: Any, without: tuple[int, ...] | None = None) -> None:
        """Right-hand side of a field: its own, what other fields' increments do to it, and what the cells answer.

        norm: for its squared norm, (D, 1), unless the field is in a loop. without: in a loop, the fields of it that
        are still to be solved; their rows hold those of an earlier attempt.
        """
        a = self.a
        if without is None:
            self._respond(field, a.rhs, field)
        missing = (field, *(without or ()))
        others = {g: row for (f, g), row in self._voxel_row.items() if f == field and g not in missing}
        rows = a.integers(tuple(others.values())), a.integers(tuple(others))
        sizes = a.n, a.n_fields, field, a.jacobian.shape[1], len(others)
        total = *a.total(a.n_designs, a.n), norm.reshape(a.n_designs)
        self.do("couple_row", *sizes, *rows, a.rhs, a.jacobian, a.terms[stage], a.r, *total)
        if without is not None:  # the field's own row is needed again
            self._respond(field, a.r.reshape(a.n_designs, 1, a.n), 0)

    def _respond(self, field: int, out: Any, row: int) -> None:
        """What the cells answer to the other fields' increments, added to a row of out (D, rows, n)."""
        a = self.a
        if field in self._exchanged and field in self._answering:
            known = a.lu, a.entry_schur, a.cell_rhs
            self.do("cell_respond", *self._base_cells(), *known, self._exchanged[field], a.entry)
            self._gather(a.entry.reshape(a.n_designs, 1, a.n_entries), 0, out, row)

    def _solve_group(self, stage: int, group: tuple[int, ...]) -> None:
        """Solve a group of fields for their increments, and shift their pockets so that the books close."""
        a = self.a
        for k, field in enumerate(group):
            first, last, residual = a.first[field, stage], a.last[field, stage], self._residual(group)
            if len(group) == 1:
                self._load_rhs(stage, field, first)
            else:
                self._load_rhs(stage, field, a.rr[0], without=group[k:])
                self._solver.square(first)
            self._solver.solve(field, first, last, self.iterations, a.terms[stage], field, residual)
            self._share_with_bath(stage, group, k, a.terms[stage], field)
            if len(group) > 1:
                self._absorb(field, a.terms[stage], field, 1.0)
        if len(group) == 1:
            self._shift_one(stage, group)
        else:
            self._correct_loop(stage, group)

    def _residual(self, group: tuple[int, ...]) -> Any:
        """Where a solve leaves the sums over its pockets; a loop measures them at its end."""
        return self.a.pockets[group].residual[0] if len(group) == 1 else self.a.no_residual[1]

    def _share_with_bath(self, stage: int, group: tuple[int, ...], k: int, x: Any, row: int) -> None:
        """The bath's increment that goes with a field's solve, and what it adds to the field, a row of x."""
        a, field = self.a, group[k]
        if not a.is_finite:
            return
        self._solver.bath_dot(field, x, row, a.dot)
        residual = self._residual(group) if a.is_answered(field) else a.no_residual[1]
        sizes = residual.shape[1], a.n_fields, field, a.n_small, a.bath_jacobian.shape[1]
        given = a.sg, a.volume, a.conductance_sum, a.pair_row, a.bath_jacobian, a.bath_rhs, a.dot
        border = a.border_dot[field], a.border_residual[field], a.inner[group][k]
        self.do("bath_step", *sizes, *given, *border, a.small_terms[stage], residual, a.b)
        self.do("add_border", a.n, x.shape[1], row, a.b, a.border[field], x)

    def _solve_shifts(self, stage: int, group: tuple[int, ...]) -> None:
        a = self.a
        own, bath_pairs = a.pockets[group], a.bath_jacobian.shape[1]
        sizes = own.n_components, len(group), own.n_slots
        system = own.slots_of, own.inverse, own.residual, own.g
        if a.is_finite:
            given = own.n_tied, *sizes, a.n_fields, a.n_small, bath_pairs, own.members
            bath = a.sg, a.volume, a.conductance_sum, a.pair_row, a.bath_jacobian, a.bath_rhs, a.inner[group]
            self.do("solve_bath", *given, *system, *bath, a.small_terms[stage], own.of_bath)
        self.do("solve_shifts", *sizes, *system, own.of_bath, own.shift)
        if not own.is_even:
            own.spread(self.do)

    def _shift(self, stage: int, group: tuple[int, ...], k: int) -> None:
        """The shifts of every pocket added to a field's increment."""
        a, tables, own = self.a, self.a.tables(group[k]), self.a.pockets[group]
        if not own.is_even:
            own.move(self.do, k, a.terms[stage])
            return
        sizes = a.n, a.n_fields, group[k], tables.n_pockets
        self.do("shift_pockets", *sizes, tables.pocket, own.shift[k], a.terms[stage])

    def _shift_one(self, stage: int, group: tuple[int, ...]) -> None:
        self._solve_shifts(stage, group)
        self._shift(stage, group, 0)
        self._absorb(group[0], self.a.terms[stage], group[0], 1.0)

    def _correct_loop(self, stage: int, group: tuple[int, ...]) -> None:
        """Sweeps over a loop of fields, the last of which only measures; then the shifts of all of them."""
        a, terms = self.a, self.a.terms[stage]
        x = a.x.reshape(a.n_designs, 1, a.n)
        for sweep in range(self.corrections + 1):
            for k, field in enumerate(group):
                self._load_left(stage, field)
                if sweep == self.corrections:
                    self._solver.square(a.last[field, stage])
                    self._measure_left(group, k)
                    continue
                self._solver.square(a.rr[0])
                self._solver.solve(field, a.rr[0], a.rr[4], self.iterations, x, 0, self._residual(group))
                self._share_with_bath(stage, group, k, x, 0)
                self.do("add_to_row", a.n, a.n_fields, field, a.x, terms)
                self._absorb(field, x, 0, 1.0)
        if not a.pockets[group].is_even:
            a.pockets[group].set_right(self.do, a.x)
        self._solve_shifts(stage, group)
        for k, field in enumerate(group):
            self._absorb(field, terms, field, -1.0)
            self._shift(stage, group, k)
            self._absorb(field, terms, field, 1.0)

    def _measure_left(self, group: tuple[int, ...], k: int) -> None:
        """Sums over its pockets of what is left of a field's right-hand side."""
        own = self.a.pockets[group]
        if own.is_even:
            self._solver.pocket_sums(group[k], self.a.r, own.residual[k])
        else:
            own.measure(self.do, k, self.a.r)

    def _load_left(self, stage: int, field: int) -> None:
        """What is left of a field's right-hand side beside the other fields of its loop."""
        a, terms, tables = self.a, self.a.terms[stage], self.a.tables(field)
        self._absorb(field, terms, field, -1.0)
        self._load_rhs(stage, field, a.rr[0], without=())
        self._absorb(field, terms, field, 1.0)
        operator = a.D[field], *tables.around, a.zeroth[field]
        self.do("subtract_image", a.n, a.n_fields, field, *operator, terms, a.r)
        if a.is_finite:
            self._solver.couple_bath(field, a.r, a.small_terms[stage], field)

    def _losses(self, stage: int) -> None:
        """Increments of the losses and of the inflow from an infinite bath, which nothing depends on."""
        a = self.a
        if a.n_accumulators:
            blocks = a.blocks(a.n)
            partial = a.partial(a.n_designs, a.n_accumulators, blocks)
            given = self._value, a.fields, a.terms[stage], a.parameters, a.capacity, a.capacity_index
            self.do("voxel_losses", a.n, *given, partial)
            self._solver.add_up(partial, a.n_accumulators, blocks, a.losses)
            if a.is_finite:
                small = a.small_value, a.small, a.small_terms[stage]
                self.do("bath_losses", 1, a.n_small, *small, a.parameters, a.volume, a.no_index, a.bath_losses)
        if not a.is_finite:
            self._solver.bath_inflow(a.terms[stage], a.no_small, a.inflow_change)
        sizes = a.n_small, a.n_fields, a.n_accumulators, int(a.is_finite), stage
        rates = a.losses, a.bath_losses, a.inflow, a.inflow_change
        self.do("stage_losses", *sizes, a.sg, self._history(stage), *rates, a.small_terms)

    # -- the end ------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        a = self.a
        if a.curves.size:
            last = N_STAGES - 1, a.last_m, a.curves, a.clock, a.small, a.small_terms
            self.do("bath_curves_end", *self._curves(), *last)
        fields = a.n, a.n_fields, a.capacity, a.capacity_of, a.fields, a.terms, a.value, a.rhs
        of_cells = a.cell_weight, a.cell_weight_of, a.states, a.state_terms, a.state_value, a.cell_rhs
        states = a.n_cells, a.n_states, *of_cells
        self._measure("field", 1, *fields)
        if a.n_cells:
            self._measure("state", 0, *states)
        of = {name: (a.of["field"][name], a.of["state"][name]) for name in ("sum", "largest", "total", "seen")}
        sizes = (
            a.n_designs, a.n_fields, a.n_states, a.n_small, a.small.size, N_STAGES, a.n_columns, N_LINES, a.n_cells,
            int(a.is_finite), a.clock.size,
        )  # fmt: skip
        slots = (a.n_fields, N_STAGES, a.n_designs)
        self.do(
            "end_step", *sizes, a.field_weight, a.steers, a.negligible, a.haste, *of["sum"], a.of["field"]["floor"],
            *of["largest"], *of["total"], a.first.reshape(slots), a.last.reshape(slots), a.sg, a.m, a.error,
            a.small_terms.reshape(N_STAGES, -1), a.small.reshape(-1), *of["seen"], a.clock, a.verdict, a.log,
        )  # fmt: skip
        for values, after in ((a.fields, a.value), (a.states, a.state_value)):
            self.do("accept", values.size, a.verdict, after.reshape(-1), values.reshape(-1))
        self._follow_cells()

    def _follow_cells(self) -> None:
        """Peaks of the exposures and transitions between fates, from the rates of the cells after the step."""
        a = self.a
        if not (a.n_peaks or a.fates.n):
            return
        set_cell_rates(a, self.do, a.fields, a.states)
        if a.n_peaks:
            sizes = a.n_cells, a.n_states, a.n_peaks, a.n_thresholds, a.clock.size
            given = a.peak_rows, a.of_threshold, a.threshold, a.verdict, a.clock, a.m, a.state_terms, a.cell_rates
            self.do("follow_peaks", *sizes, *given, *(a.peaks[name] for name in PEAKS))
        if a.fates.n:
            a.fates.follow(self.do, a)
        if a.fates.is_drawn:  # cells may have jumped
            set_cell_rates(a, self.do, a.fields, a.states)
            a.fates.keep(self.do, a)
            if a.n_peaks:
                given = a.peak_rows, a.verdict, a.clock, a.cell_rates, *(a.peaks[name] for name in PEAKS[:3])
                self.do("restart_peaks", a.n_cells, a.n_states, a.n_peaks, a.clock.size, *given)

    def _measure(
        self, kind: str, has_bath: int, n: int, n_kinds: int, weights: Any, weight_of: Any, values: Any, terms: Any,
        after: Any, change: Any,
    ) -> None:  # fmt: skip
        """All quantities of a kind after the step, their amounts, floors and errors; after, change: what to fill."""
        a, of, blocks = self.a, self.a.of[kind], self.a.blocks(n)
        n_rows = a.n_designs * n_kinds
        flat, after, change = (array.reshape(n_rows, n) for array in (values, after, change))
        stages = terms.reshape(N_STAGES, n_rows, n)
        sums, largest = a.total(n_rows, n), a.partial(n_rows, blocks, which=1)
        given = weights, weight_of, a.m, a.error, flat, stages, after, change
        self.do("measure", n, n_rows, n_kinds, *given, *sums, of["total"].reshape(-1), largest)
        rows = {name: of[name].reshape(-1) for name in ("typical", "seen", "largest", "floor")}
        self.do(
            "set_floors", n_rows, blocks, n_kinds, a.n_small, a.small.size, has_bath, a.clock.size, a.clock, largest,
            rows["typical"], rows["seen"], a.m, a.small.reshape(-1), a.small_terms.reshape(N_STAGES, -1),
            rows["largest"], rows["floor"],
        )  # fmt: skip
        self.do(
            "step_error", n, n_rows, n_kinds, weights, weight_of, rows["floor"], flat, after, change, *sums,
            of["sum"].reshape(-1),
        )  # fmt: skip

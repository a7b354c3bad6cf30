"""The operations of a step in Numba."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from payloadfield.backends.base import MAX_ITERATIONS, Backend, Floats, Integers, SolveReport, smoother_weights
from payloadfield.backends.compiled import blocks, rows
from payloadfield.backends.compiled.cycle import make_conjugate_gradients
from payloadfield.backends.compiled.levels import make_levels
from payloadfield.backends.cores import count_usable_cores
from payloadfield.backends.plan import Plan

VOXELS_PER_THREAD = 120_000
"""Below this many open voxels for each thread, barriers cost more than they save."""


def choose_threads(n_open: int, asked: int | None) -> int:
    """Threads for a problem: as asked, else as many as have enough voxels each."""
    most = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    available = min(count_usable_cores(), most)
    wanted = asked if asked is not None else n_open // VOXELS_PER_THREAD
    return max(1, min(wanted, available))


class CompiledBackend(Backend):
    """Every operation of the step as compiled loops over open voxels."""

    name = "numba"

    def __init__(self, plan: Plan, precision: str, code: ModuleType, threads: int | None = None) -> None:
        """Take the plan and the mechanism's generated Numba code; threads: asked for, or chosen by size."""
        super().__init__(plan, precision)
        self.threads = choose_threads(plan.n_open, threads)
        self.code = code
        numba.set_num_threads(self.threads)
        dtype = np.float64 if precision == "float64" else np.float32
        self._ops = blocks.make_operations(self.threads > 1)
        self._solve = make_conjugate_gradients(self.threads > 1)
        self._levels = [make_levels(group, plan.neighbour, dtype) for group in plan.groups]
        self._weights = np.array(smoother_weights(), dtype)
        self._allocate(dtype)

    def _allocate(self, dtype: type) -> None:
        plan = self.plan
        n, sizes = plan.n_open, [int(group.hierarchy.offset[-1]) for group in plan.groups]
        self._zeroth = np.zeros((plan.n_fields, n))
        self._inverse: list[NDArray[Any]] = [np.zeros(sizes[int(g)], dtype) for g in plan.group_of_field]
        self._cycle: list[NDArray[Any]] = [np.zeros(max(sizes), dtype) for _ in range(3)]
        self._work = np.zeros(max(sizes))
        self._p, self._image = np.zeros(n), np.zeros(n)
        self._partial = np.zeros(max(n // blocks.BLOCK + 1, max(int(levels.chunk_start[1]) for levels in self._levels)))
        self._capacity_sum = np.array([plan.field_capacity(f).sum() for f in range(plan.n_fields)])

    def _group(self, field: int) -> int:
        return int(self.plan.group_of_field[field])

    # -- vectors ------------------------------------------------------------------------------------------------

    def combine(self, out: Floats, base: Floats | None, terms: Floats, coefficients: Floats) -> None:
        """See Backend."""
        flat = terms.reshape(len(terms), out.size)
        start = np.zeros(0) if base is None else base.reshape(-1)
        self._ops.combine(out.reshape(-1), start, flat, np.ascontiguousarray(coefficients[: len(terms)]))

    def clamp(self, out: Floats, values: Floats) -> None:
        """See Backend."""
        np.maximum(values, 0.0, out=out)

    def add_products(self, out: Floats, a: Floats, rows: Integers, b: Floats, columns: Integers) -> None:
        """See Backend."""
        blocks.add_products(out, a, rows, b, columns)

    def gather(self, entries: Floats, factor: float, out: Floats) -> None:
        """See Backend."""
        cells = self.plan.cells
        blocks.gather(entries, factor, cells.touched_voxel, cells.touched_start, cells.touched_entry, out)

    def exchange(self, contact: int, values: Floats, present: Floats, other: float, own: float, out: Floats) -> None:
        """See Backend."""
        table = self.plan.contacts[contact]
        blocks.exchange(table.row_start, table.touching, table.strength, values, present, other, own, out)

    def sums(self, values: Floats) -> Floats:
        """See Backend."""
        return np.array([self._ops.total(row, self._partial_for(row.size)) for row in values])

    def _partial_for(self, n: int) -> Floats:
        needed = n // blocks.BLOCK + 1
        return self._partial if needed <= self._partial.size else np.zeros(needed)

    def norm(self, values: Floats) -> float:
        """See Backend."""
        return float(np.sqrt(self._ops.dot(values, values, self._partial)))

    def amount(self, field: int, value: Floats) -> float:
        """See Backend."""
        return float(self._ops.dot(self.plan.field_capacity(field), value, self._partial))

    def pocket_sums(self, field: int, values: Floats) -> Floats:
        """See Backend."""
        group = self.plan.group(field)
        if group.n_pockets == 1:
            return np.array([self._ops.total(values, self._partial)])
        return np.asarray(np.bincount(group.pocket, weights=values, minlength=group.n_pockets), float)

    def shift_pockets(self, field: int, shift: Floats, out: Floats) -> None:
        """See Backend."""
        out += shift[0] if len(shift) == 1 else shift[self.plan.group(field).pocket]

    def error_norm(self, field: int, error: Floats, old: Floats, new: Floats, floor: float) -> float:
        """See Backend."""
        capacity = self.plan.field_capacity(field)
        square = self._ops.weighted_square(capacity, error, old, new, floor, self._partial)
        return float(np.sqrt(square / self._capacity_sum[field]))

    def state_error_norms(self, error: Floats, old: Floats, new: Floats, floor: Floats) -> Floats:
        """See Backend."""
        norms = np.zeros(len(floor))
        blocks.state_error_norms(error, old, new, floor, norms)
        return norms

    # -- transport ----------------------------------------------------------------------------------------------

    def stage_rhs(
        self, field: int, value: Floats, bath: float, terms: Floats, coefficients: Floats, out: Floats
    ) -> None:
        """See Backend."""
        plan, group = self.plan, self._group(field)
        self._ops.stage_rhs(
            self._levels[group], plan.diffusivity[field],
            plan.field_capacity(field), value, terms, np.ascontiguousarray(coefficients), out,
        )  # fmt: skip
        blocks.add_bath_flux(plan.bath.voxel, plan.bath.conductance[field], value, bath, out)

    def bath_inflow(self, field: int, value: Floats, bath: float) -> float:
        """See Backend."""
        contact = self.plan.bath
        return float(blocks.bath_inflow(contact.voxel, contact.conductance[field], value, bath))

    def bath_coupling(self, field: int, out: Floats) -> None:
        """See Backend."""
        out[...] = 0.0
        out[self.plan.bath.voxel] = self.plan.bath.conductance[field]

    # -- elliptic solve -----------------------------------------------------------------------------------------

    def set_operator(self, field: int, sg: float, extra: Floats) -> None:
        """See Backend."""
        plan, h = self.plan, self.plan.group(field).hierarchy
        zeroth = self._zeroth[field]
        blocks.set_zeroth(sg, plan.field_capacity(field), extra, zeroth)
        zeroth[plan.bath.voxel] += plan.bath.conductance[field]
        rows.set_diagonals(
            zeroth, plan.diffusivity[field], h.offset, h.parent, h.row_sum, self._work, self._inverse[field]
        )

    def diagonal_sums(self, field: int) -> Floats:
        """See Backend."""
        return self.pocket_sums(field, self._zeroth[field])

    def subtract_image(self, field: int, value: Floats, rhs: Floats) -> None:
        """See Backend."""
        plan, group = self.plan, self._group(field)
        self._ops.residual(
            self._levels[group], plan.diffusivity[field],
            self._zeroth[field], value, self._image, rhs,
        )  # fmt: skip

    def solve(self, field: int, rhs: Floats, out: Floats, enough: float, *, warm: bool = False) -> SolveReport:
        """See Backend."""
        if warm:
            self.subtract_image(field, out, rhs)
        else:
            out[...] = 0.0
        iterations, size = self._solve(
            self._levels[self._group(field)], self.plan.diffusivity[field], self._zeroth[field], out, rhs,
            self._p, self._image, self._partial, self._inverse[field], self._weights, *self._cycle, MAX_ITERATIONS,
            enough,
        )  # fmt: skip
        if not np.isfinite(size):
            self._p[...] = 0.0  # which the next solve multiplies by zero
        return SolveReport(int(iterations), float(size))

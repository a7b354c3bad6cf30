"""The reference backend in NumPy: written for reading, it defines what is correct."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payloadfield.backends.base import MAX_ITERATIONS, Backend, Floats, Integers, SolveReport, smoother_weights
from payloadfield.backends.plan import Hierarchy, Plan, TransportGroup


class _Levels:
    """Multigrid levels of one field: the group's fixed graph with the field's own diagonal."""

    def __init__(self, hierarchy: Hierarchy, dtype: type) -> None:
        self.hierarchy = hierarchy
        self.dtype = dtype
        self.diagonal: NDArray[Any] = np.zeros(int(hierarchy.offset[-1]), dtype)

    def set_zeroth(self, zeroth: Floats) -> None:
        """Diagonal of every level: the zeroth-order term summed over aggregates, plus the conductances."""
        h = self.hierarchy
        level: NDArray[Any] = zeroth
        for k in range(h.n_levels):
            here = slice(h.offset[k], h.offset[k + 1])
            total = level + h.row_sum[here]
            self.diagonal[here] = np.where(total > 0.0, total, 1.0)
            if k + 1 < h.n_levels:
                size = int(h.offset[k + 2] - h.offset[k + 1])
                level = np.bincount(h.parent[here], weights=level, minlength=size)


class ReferenceBackend(Backend):
    """Every operation of the step as plain NumPy."""

    name = "numpy"

    def __init__(self, plan: Plan, precision: str, code: ModuleType) -> None:
        """Take the plan and the mechanism's generated NumPy code."""
        super().__init__(plan, precision)
        self.code = code
        self._preconditioner_dtype = np.float64 if precision == "float64" else np.float32
        self._conductance = [group.conductance.astype(np.float64) for group in plan.groups]
        self._zeroth = np.zeros((plan.n_fields, plan.n_open))
        self._levels = [_Levels(plan.group(f).hierarchy, self._preconditioner_dtype) for f in range(plan.n_fields)]
        self._bath = _spread_bath(plan)

    def sharing(self, plan: Plan) -> ReferenceBackend:
        """See Backend."""
        other = super().sharing(plan)
        other._bath = _spread_bath(plan)
        return other

    # -- vectors ------------------------------------------------------------------------------------------------

    def combine(self, out: Floats, base: Floats | None, terms: Floats, coefficients: Floats) -> None:
        """See Backend."""
        total = np.zeros_like(out) if base is None else base.copy()
        for coefficient, term in zip(coefficients, terms, strict=False):
            total += coefficient * term
        out[...] = total

    def clamp(self, out: Floats, values: Floats) -> None:
        """See Backend."""
        np.maximum(values, 0.0, out=out)

    def add_products(self, out: Floats, a: Floats, rows: Integers, b: Floats, columns: Integers) -> None:
        """See Backend."""
        for row, column in zip(rows, columns, strict=True):
            out += a[row] * b[column]

    def gather(self, entries: Floats, factor: float, out: Floats) -> None:
        """See Backend."""
        cells = self.plan.cells
        if entries.size:
            out[cells.touched_voxel] += factor * np.add.reduceat(entries[cells.touched_entry], cells.touched_start[:-1])

    def exchange(self, contact: int, values: Floats, present: Floats, other: float, own: float, out: Floats) -> None:
        """See Backend."""
        table = self.plan.contacts[contact]
        row = np.repeat(np.arange(len(out)), np.diff(table.row_start))
        strength = table.strength * (present[table.touching] * present[row])
        flux = strength * (other * values[table.touching] - own * values[row])
        out += np.bincount(row, weights=flux, minlength=len(out))

    def sums(self, values: Floats) -> Floats:
        """See Backend."""
        return np.asarray(values.sum(axis=1))

    def norm(self, values: Floats) -> float:
        """See Backend."""
        return float(np.sqrt(values @ values))

    def amount(self, field: int, value: Floats) -> float:
        """See Backend."""
        return float(np.sum(self.plan.field_capacity(field) * value))

    def pocket_sums(self, field: int, values: Floats) -> Floats:
        """See Backend."""
        group = self.plan.group(field)
        if group.n_pockets == 1:
            return np.array([values.sum()])
        return np.asarray(np.bincount(group.pocket, weights=values, minlength=group.n_pockets), float)

    def shift_pockets(self, field: int, shift: Floats, out: Floats) -> None:
        """See Backend."""
        out += shift[self.plan.group(field).pocket]

    def error_norm(self, field: int, error: Floats, old: Floats, new: Floats, floor: float) -> float:
        """See Backend."""
        capacity = self.plan.field_capacity(field)
        relative = error / (floor + np.maximum(np.abs(old), np.abs(new)))
        return float(np.sqrt(np.sum(capacity * relative**2) / np.sum(capacity)))

    def state_error_norms(self, error: Floats, old: Floats, new: Floats, floor: Floats) -> Floats:
        """See Backend."""
        relative = error / (floor[:, None] + np.maximum(np.abs(old), np.abs(new)))
        return np.sqrt(np.mean(relative**2, axis=1))

    # -- transport ----------------------------------------------------------------------------------------------

    def _flux_divergence(self, group: int, value: Floats) -> Floats:
        """sum_j g_ij (u_j - u_i), no flux through closed faces."""
        total = np.zeros_like(value)
        for conductance, neighbour in zip(self._conductance[group], self.plan.neighbour, strict=True):
            total += conductance * (value[neighbour] - value)
        return total

    def stage_rhs(
        self, field: int, value: Floats, bath: float, terms: Floats, coefficients: Floats, out: Floats
    ) -> None:
        """See Backend."""
        plan, history = self.plan, np.zeros_like(out)
        self.combine(history, None, terms, coefficients)
        out += plan.field_capacity(field) * history
        out += plan.diffusivity[field] * self._flux_divergence(int(plan.group_of_field[field]), value)
        out += self._bath[field] * (bath - value)

    def bath_inflow(self, field: int, value: Floats, bath: float) -> float:
        """See Backend."""
        contact = self.plan.bath
        return float(np.sum(contact.conductance[field] * (bath - value[contact.voxel])))

    def bath_coupling(self, field: int, out: Floats) -> None:
        """See Backend."""
        out[...] = self._bath[field]

    # -- elliptic solve -----------------------------------------------------------------------------------------

    def set_operator(self, field: int, sg: float, extra: Floats) -> None:
        """See Backend."""
        self._zeroth[field] = sg * self.plan.field_capacity(field) + extra + self._bath[field]
        self._levels[field].set_zeroth(self._zeroth[field] / self.plan.diffusivity[field])

    def diagonal_sums(self, field: int) -> Floats:
        """See Backend."""
        return self.pocket_sums(field, self._zeroth[field])

    def _apply(self, field: int, value: Floats) -> Floats:
        """A u = zeroth * u - D sum_j g_ij (u_j - u_i)."""
        plan = self.plan
        divergence = self._flux_divergence(int(plan.group_of_field[field]), value)
        return self._zeroth[field] * value - plan.diffusivity[field] * divergence

    def subtract_image(self, field: int, value: Floats, rhs: Floats) -> None:
        """See Backend."""
        rhs -= self._apply(field, value)

    def solve(self, field: int, rhs: Floats, out: Floats, enough: float, *, warm: bool = False) -> SolveReport:
        """See Backend."""
        if warm:
            self.subtract_image(field, out, rhs)
        else:
            out[...] = 0.0
        r = rhs
        rz_old, iterations, p = 0.0, 0, np.zeros_like(rhs)
        while iterations < MAX_ITERATIONS and self.norm(r) > enough:
            z = self._precondition(field, r)
            rz = float(r @ z)
            p = z + (rz / rz_old if iterations else 0.0) * p
            image = self._apply(field, p)
            step = rz / float(p @ image)
            out += step * p
            r -= step * image
            rz_old, iterations = rz, iterations + 1
        return SolveReport(iterations, self.norm(r))

    def _precondition(self, field: int, r: Floats) -> Floats:
        """One V-cycle of A / D, in single precision unless float64 is asked for; r is scaled to norm one."""
        scale = self.norm(r)
        small = (r / (scale * self.plan.diffusivity[field])).astype(self._preconditioner_dtype)
        return self._cycle(field, 0, small).astype(np.float64) * scale

    def _cycle(self, field: int, level: int, b: NDArray[Any]) -> NDArray[Any]:
        """V-cycle on one level: two weighted Jacobi steps, the coarser level's correction, two steps."""
        h = self._levels[field].hierarchy
        here = slice(h.offset[level], h.offset[level + 1])
        diagonal = self._levels[field].diagonal[here]
        if level == h.n_levels - 1:
            return np.asarray(b / diagonal)
        first, second = (b.dtype.type(w) for w in smoother_weights())
        x = first * b / diagonal
        x = x + second * (b - self._level_apply(field, level, x)) / diagonal
        rest = b - self._level_apply(field, level, x)
        size = int(h.offset[level + 2] - h.offset[level + 1])
        coarse = np.bincount(h.parent[here], weights=rest, minlength=size).astype(b.dtype)
        x = x + self._cycle(field, level + 1, coarse)[h.parent[here]]
        x = x + second * (b - self._level_apply(field, level, x)) / diagonal
        return np.asarray(x + first * (b - self._level_apply(field, level, x)) / diagonal)

    def _level_apply(self, field: int, level: int, x: NDArray[Any]) -> NDArray[Any]:
        """diagonal * x - sum_j g_ij x_j on one level."""
        h = self._levels[field].hierarchy
        diagonal = self._levels[field].diagonal[h.offset[level] : h.offset[level + 1]]
        if level == 0:
            group: TransportGroup = self.plan.group(field)
            faces = zip(group.conductance.astype(x.dtype), self.plan.neighbour, strict=True)
            return np.asarray(diagonal * x - sum(g * x[j] for g, j in faces))
        rows = h.row_start[h.offset[level] - h.offset[1] : h.offset[level + 1] - h.offset[1] + 1]
        span = slice(rows[0], rows[-1])
        flux = h.conductance[span].astype(x.dtype) * x[h.column[span]]
        row = np.repeat(np.arange(len(x)), np.diff(rows))
        return np.asarray(diagonal * x - np.bincount(row, weights=flux, minlength=len(x)).astype(x.dtype))


def _spread_bath(plan: Plan) -> Floats:
    """Conductance of every open voxel to the bath, (F, n)."""
    conductance = np.zeros((plan.n_fields, plan.n_open))
    conductance[:, plan.bath.voxel] = plan.bath.conductance
    return conductance

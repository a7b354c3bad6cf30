"""The operations that every backend provides; the solver is written over them alone.

Shapes: n open voxels, F fields, S states of each of n_cell cells, P pockets of a field's transport group. Fields are in
nM, right-hand sides of fields in nM um^3 / s (amount rates), cells in molecules, entries (cell, voxel) in molecules/s.
Operators write in place. The elliptic operator of a field is
    A u = (sg C + extra + g_bath) u + D sum_j g_ij (u_i - u_j),
with sg = 1 / (gamma dt), C the accessible volumes, and `extra` what reactions and eliminated cells add to the diagonal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from payloadfield.backends.plan import Plan

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

SMOOTHER_INTERVAL = (2.0 / 6.0, 2.0)
"""Eigenvalues of the Jacobi-scaled operator that the smoother damps: [lmax / 6, lmax], lmax = 2 (Gershgorin)."""

MAX_ITERATIONS = 200
"""Conjugate-gradient iterations after which a solve gives up; the step's error then tells."""


def smoother_weights() -> tuple[float, float]:
    """Weights of two Jacobi steps that form the Chebyshev polynomial of degree 2 on the smoother's interval."""
    low, high = SMOOTHER_INTERVAL
    centre, half = 0.5 * (high + low), 0.5 * (high - low)
    roots = np.cos(np.pi * (2 * np.arange(1, 3) - 1) / 4)
    first, second = 1.0 / (centre - half * roots)
    return float(first), float(second)


@dataclass(frozen=True)
class SolveReport:
    """What one elliptic solve took: conjugate-gradient iterations, and the norm of the residual that is left."""

    iterations: int
    residual: float


class Backend(ABC):
    """One way of carrying out the operations of a step; holds the plan's arrays where it computes."""

    name: ClassVar[str]
    code: ModuleType
    """The mechanism's generated functions for this backend."""

    def __init__(self, plan: Plan, precision: str) -> None:
        """Take the plan; precision of the preconditioner: "mixed" (single) or "float64"."""
        self.plan = plan
        self.precision = precision

    def sharing(self, plan: Plan) -> Self:
        """The same operations on a plan of the same maps and other coefficients; the work arrays stay shared.

        The two take turns: operators that one has set are lost once the other sets its own.
        """
        other = copy(self)
        other.plan = plan
        return other

    @abstractmethod
    def combine(self, out: Floats, base: Floats | None, terms: Floats, coefficients: Floats) -> None:
        """out = base + sum_k coefficients[k] terms[k]; terms (K, ...), K may be 0; base None is zero."""

    @abstractmethod
    def clamp(self, out: Floats, values: Floats) -> None:
        """out = max(values, 0): the point at which Jacobians are taken."""

    @abstractmethod
    def stage_rhs(
        self, field: int, value: Floats, bath: float, terms: Floats, coefficients: Floats, out: Floats
    ) -> None:
        """out += C sum_k coefficients[k] terms[k] + D sum_j g_ij (u_j - u_i) + g_bath (bath - u), u = value; (n,)."""

    @abstractmethod
    def gather(self, entries: Floats, factor: float, out: Floats) -> None:
        """out[voxel] += factor * sum of the entries there, in a fixed order; entries (n_entry,), out (n,)."""

    @abstractmethod
    def exchange(self, contact: int, values: Floats, present: Floats, other: float, own: float, out: Floats) -> None:
        """out_i += sum_j g_ij present_i present_j (other values_j - own values_i) over the cells j that touch cell i.

        values, present, out: all (n_cell,). The factor of a pair is the same both ways, to the last digit.
        """

    @abstractmethod
    def add_products(self, out: Floats, a: Floats, rows: Integers, b: Floats, columns: Integers) -> None:
        """out += sum_k a[rows[k]] b[columns[k]], in this order; out (n,), a and b (.., n)."""

    @abstractmethod
    def set_operator(self, field: int, sg: float, extra: Floats) -> None:
        """Prepare the elliptic operator of a field and its preconditioner; extra (n,) [um^3/s]."""

    @abstractmethod
    def solve(self, field: int, rhs: Floats, out: Floats, enough: float, *, warm: bool = False) -> SolveReport:
        """Solve A out = rhs by preconditioned conjugate gradients, from out if warm, else from zero.

        Stops once the norm of the residual is `enough` or less. The residual takes the place of rhs.
        """

    @abstractmethod
    def subtract_image(self, field: int, value: Floats, rhs: Floats) -> None:
        """rhs -= A value: what is left of a right-hand side."""

    @abstractmethod
    def pocket_sums(self, field: int, values: Floats) -> Floats:
        """Sum of values (n,) over each connected pocket of the field, (P,), in a fixed order."""

    @abstractmethod
    def diagonal_sums(self, field: int) -> Floats:
        """Sum over each pocket of A applied to one: sg C + extra + g_bath, (P,)."""

    @abstractmethod
    def shift_pockets(self, field: int, shift: Floats, out: Floats) -> None:
        """out += shift of its pocket; shift (P,), out (n,)."""

    @abstractmethod
    def bath_inflow(self, field: int, value: Floats, bath: float) -> float:
        """Amount rate entering from the bath: sum g_bath (bath - u) [nM um^3 / s]."""

    @abstractmethod
    def bath_coupling(self, field: int, out: Floats) -> None:
        """out = g_bath of each open voxel, (n,) [um^3/s]."""

    @abstractmethod
    def error_norm(self, field: int, error: Floats, old: Floats, new: Floats, floor: float) -> float:
        """Root mean square over the open volume of error / (floor + max(|old|, |new|))."""

    @abstractmethod
    def state_error_norms(self, error: Floats, old: Floats, new: Floats, floor: Floats) -> Floats:
        """The same over the cells for each state: error, old, new (S, n_cell), floor (S,) -> (S,)."""

    @abstractmethod
    def norm(self, values: Floats) -> float:
        """Euclidean norm of values (n,)."""

    @abstractmethod
    def amount(self, field: int, value: Floats) -> float:
        """Amount of a field in the open voxels: sum C u [nM um^3]."""

    @abstractmethod
    def sums(self, values: Floats) -> Floats:
        """Sum of each row of values (K, N), (K,), in a fixed order."""

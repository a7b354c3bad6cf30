"""Static sparse elimination: the order, the fill and the straight-line statements of M = (sg I - J)^-1, as in KPP.

The order is Markowitz's, without pivoting: sg I - J of mass-action kinetics with clamped states is diagonally dominant
by columns as far as matter is conserved. Slots that only collect (accumulators, exposures) go first: their columns hold
the diagonal alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from payloadfield.mechanism.assignments import Sheet
from payloadfield.mechanism.calculus import ONE, ZERO, add, div, mul, neg
from payloadfield.mechanism.nodes import Expr

Position = tuple[int, int]


@dataclass(frozen=True)
class Elimination:
    """Order of the pivots and slot of every nonzero of L and U; that of (i, i) holds the reciprocal of the pivot."""

    order: tuple[int, ...]
    slots: dict[Position, int]
    n_nonzero: int

    @property
    def n_lu(self) -> int:
        """Nonzeros of L and U, fill included."""
        return len(self.slots)


def eliminate(n: int, nonzeros: set[Position], first: Sequence[int]) -> Elimination:
    """Choose the order and find the fill.

    nonzeros: positions (row, column) of J; the diagonal is added. first: unknowns eliminated before all others.
    """
    pattern = set(nonzeros) | {(i, i) for i in range(n)}
    filled = set(pattern)
    left = list(range(n))
    order: list[int] = []
    while left:
        candidates = [i for i in first if i in left] or left
        pivot = min(candidates, key=lambda i: (_markowitz(i, pattern, left), i))
        left.remove(pivot)
        rows = [i for i in left if (i, pivot) in pattern]
        columns = [j for j in left if (pivot, j) in pattern]
        pattern |= {(i, j) for i in rows for j in columns}
        filled |= pattern
        order.append(pivot)
    rank = {k: place for place, k in enumerate(order)}
    ordered = sorted(filled, key=lambda position: (rank[position[0]], rank[position[1]]))
    return Elimination(tuple(order), {position: slot for slot, position in enumerate(ordered)}, len(nonzeros))


def _markowitz(i: int, pattern: set[Position], left: Sequence[int]) -> int:
    rows = sum((k, i) in pattern for k in left) - 1
    columns = sum((i, k) in pattern for k in left) - 1
    return rows * columns


def factor(plan: Elimination, entries: Mapping[Position, Expr], sheet: Sheet) -> dict[Position, Expr]:
    """Statements of the factorisation; entries: the matrix. Returns the value of every slot.

    u_ij = a_ij - sum_k l_ik u_kj;   l_ij = (a_ij - sum_k l_ik u_kj) / u_jj
    """
    rank = {k: place for place, k in enumerate(plan.order)}
    lu: dict[Position, Expr] = {}
    for i, j in plan.slots:
        before = [k for k in plan.order[: min(rank[i], rank[j])] if (i, k) in lu and (k, j) in lu]
        value = add(entries.get((i, j), ZERO), *(neg(mul(lu[i, k], lu[k, j])) for k in before))
        if rank[i] > rank[j]:
            value = mul(value, lu[j, j])
        elif i == j:
            value = div(ONE, value)
        lu[i, j] = sheet.define(f"lu.{plan.slots[i, j]}", value)
    return lu


def solve(
    plan: Elimination, lu: Mapping[Position, Expr], rhs: Sequence[Expr], sheet: Sheet, name: Callable[[int], str]
) -> list[Expr]:
    """Statements of x = M rhs: L y = rhs, U x = y. name: of the unknown i, for readable code."""
    y: dict[int, Expr] = {}
    for place, i in enumerate(plan.order):
        terms = (neg(mul(lu[i, k], y[k])) for k in plan.order[:place] if (i, k) in lu)
        y[i] = sheet.define(f"y.{name(i)}", add(rhs[i], *terms))
    x: dict[int, Expr] = {}
    for place in range(len(plan.order) - 1, -1, -1):
        i = plan.order[place]
        terms = (neg(mul(lu[i, k], x[k])) for k in plan.order[place + 1 :] if (i, k) in lu)
        x[i] = sheet.define(f"x.{name(i)}", mul(lu[i, i], add(y[i], *terms)))
    return [x[i] for i in range(len(rhs))]


def solve_transposed(
    plan: Elimination, lu: Mapping[Position, Expr], rhs: Sequence[Expr], sheet: Sheet, name: Callable[[int], str]
) -> list[Expr]:
    """Statements of v = M^T rhs: U^T y = rhs, L^T v = y."""
    y: dict[int, Expr] = {}
    for place, i in enumerate(plan.order):
        terms = (neg(mul(lu[k, i], y[k])) for k in plan.order[:place] if (k, i) in lu)
        y[i] = sheet.define(f"z.{name(i)}", mul(lu[i, i], add(rhs[i], *terms)))
    v: dict[int, Expr] = {}
    for place in range(len(plan.order) - 1, -1, -1):
        i = plan.order[place]
        terms = (neg(mul(lu[k, i], v[k])) for k in plan.order[place + 1 :] if (k, i) in lu)
        v[i] = sheet.define(f"v.{name(i)}", add(y[i], *terms))
    return [v[i] for i in range(len(rhs))]

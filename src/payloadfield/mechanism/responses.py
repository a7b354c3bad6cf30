"""How the fields answer to what the cells' states change by, as few rows of the inverse as there are ways to answer.

A source of field f at entry j follows the increments x = M rhs of the states as
    w_j sum_k c_fk phi_k(u_j) (a_k . x) = w_j sum_k c_fk phi_k(u_j) (m_k . rhs),   m_k = M^T a_k
with shapes phi_k of the fields at the entry and directions a_k of the states that are the same at every entry. Rows m_k
are made once a step with the factors of the cell, and hold few states each: no solve is needed for an answer. Shapes
that call functions, such as the hazards of death, are kept with them, for every entry.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from payloadfield.mechanism.assignments import Sheet
from payloadfield.mechanism.calculus import ONE, ZERO, add, div, mul
from payloadfield.mechanism.elimination import Elimination, Position, solve_transposed
from payloadfield.mechanism.flows import Flow
from payloadfield.mechanism.nodes import Call, Expr, Symbol, symbols, walk

Direction = tuple[tuple[int, Expr], ...]


@dataclass(frozen=True)
class Answer:
    """One term of a field's answer: coefficient c, shape phi, and which of the rows."""

    coefficient: Expr
    shape: Expr
    row: int


class Responses:
    """Answers of every exchanged field, and the rows that they need; each row's nonzeros have slots behind L and U."""

    def __init__(
        self,
        plan: Elimination,
        flows: Sequence[Flow],
        fields: Sequence[str],
        states: Sequence[str],
        exchanged: Sequence[int],
    ) -> None:
        self._plan, self._states = plan, states
        self._directions: list[Direction] = []
        self.answers = {f: self._answers_of(fields[f], flows, fields) for f in exchanged}
        pattern = {position: Symbol(f"lu.{slot}") for position, slot in plan.slots.items()}
        nonzeros = [self._solved(k, pattern, Sheet(0)) for k in range(len(self._directions))]
        positions = [(k, i) for k, row in enumerate(nonzeros) for i, value in enumerate(row) if value != ZERO]
        self.slots: dict[Position, int] = {position: plan.n_lu + n for n, position in enumerate(positions)}
        shapes = (answer.shape for answers in self.answers.values() for answer in answers)
        self.kept = {shape: k for k, shape in enumerate(dict.fromkeys(filter(_calls_functions, shapes)))}

    def _answers_of(self, name: str, flows: Sequence[Flow], fields: Collection[str]) -> list[Answer]:
        by_shape: dict[Expr, dict[int, Expr]] = {}
        for flow in flows:
            for i, state in enumerate(self._states):
                for term in _terms(mul(flow.change(name), flow.slope(state))):
                    shape, rest = _parted(term, set(fields))
                    direction = by_shape.setdefault(shape, {})
                    direction[i] = add(direction.get(i, ZERO), rest)
        return [self._answer(shape, direction) for shape, direction in by_shape.items()]

    def _answer(self, shape: Expr, direction: Mapping[int, Expr]) -> Answer:
        parts = {i: value for i, value in sorted(direction.items()) if value != ZERO}
        coefficient: Expr = ONE
        if len(set(parts.values())) == 1:  # the same rows then serve several fields
            coefficient, parts = next(iter(parts.values())), dict.fromkeys(parts, ONE)
        key = tuple(parts.items())
        if key not in self._directions:
            self._directions.append(key)
        return Answer(coefficient, shape, self._directions.index(key))

    def _solved(self, k: int, lu: Mapping[Position, Expr], sheet: Sheet) -> list[Expr]:
        direction = dict(self._directions[k])
        right = [direction.get(i, ZERO) for i in range(len(self._states))]
        return solve_transposed(self._plan, lu, right, sheet, lambda i: f"row_{k}.{self._states[i]}")

    def make_rows(self, lu: Mapping[Position, Expr], sheet: Sheet) -> list[list[Expr]]:
        """Statements of every row m_k, stored in their slots."""
        rows = [self._solved(k, lu, sheet) for k in range(len(self._directions))]
        for (k, i), slot in self.slots.items():
            sheet.store("lu", slot, rows[k][i], f"row {k}, {self._states[i]}")
        return rows

    def products(self, f: int, sheet: Sheet) -> dict[int, Expr]:
        """Statements of m_k . rhs for the rows of one field, from the slots."""
        found: dict[int, Expr] = {}
        for row in dict.fromkeys(answer.row for answer in self.answers[f]):
            slots = [(i, slot) for (k, i), slot in self.slots.items() if k == row]
            terms = (mul(Symbol(f"lu.{slot}"), Symbol(f"rhs.{self._states[i]}")) for i, slot in slots)
            found[row] = sheet.define(f"m.{row}", add(*terms))
        return found


def _calls_functions(expr: Expr) -> bool:
    return any(isinstance(node, Call) and node.op not in ("+", "*", "/", "neg") for node in walk(expr))


def _terms(expr: Expr) -> tuple[Expr, ...]:
    """The terms of a sum in normal form; none of zero."""
    if expr == ZERO:
        return ()
    return expr.args if isinstance(expr, Call) and expr.op == "+" else (expr,)


def _parted(term: Expr, fields: set[str]) -> tuple[Expr, Expr]:
    """A term as a product of what depends on the fields, and of the rest."""
    if not symbols(term) & fields:
        return ONE, term
    if isinstance(term, Call) and term.op == "*":
        parts = [_parted(factor, fields) for factor in term.args]
        return mul(*(shape for shape, _ in parts)), mul(*(rest for _, rest in parts))
    if isinstance(term, Call) and term.op == "/" and not symbols(term.args[1]) & fields:
        shape, rest = _parted(term.args[0], fields)
        return shape, div(rest, term.args[1])
    return term, ONE

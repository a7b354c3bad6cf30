"""Signs that an expression can have, whatever the species: a rate that only runs backwards is found before a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from payloadfield.mechanism.evaluation import evaluate
from payloadfield.mechanism.model import Mechanism
from payloadfield.mechanism.nodes import Call, Expr, Number, symbols

Signs = frozenset[int]
"""Out of -1, 0 and 1."""

_ANY: Signs = frozenset((-1, 0, 1))
_NOT_NEGATIVE: Signs = frozenset((0, 1))


def possible_signs(expr: Expr, values: Mapping[str, Any], free: Collection[str] = ()) -> Signs:
    """Signs that an expression can have; more than there are where that is not plain to see.

    values: of parameters, in internal units, floats or arrays.  Other names stand for amounts, at least 0, or, in
    `free`, for what may have any sign.
    """
    names = symbols(expr)
    if names <= set(values):
        value = np.asarray(evaluate(expr, values), float)
        return frozenset(int(sign) for sign in np.unique(np.sign(value[np.isfinite(value)]))) or _ANY
    if not isinstance(expr, Call):
        return _ANY if names & set(free) else _NOT_NEGATIVE
    parts = [possible_signs(arg, values, free) for arg in expr.args]
    if expr.op == "held":
        return parts[0]
    if expr.op == "neg":
        return frozenset(-sign for sign in parts[0])
    if expr.op == "+":
        return reduce(_of_sum, parts)
    if expr.op == "*":
        return reduce(_of_product, parts)
    if expr.op == "/":
        return _of_product(parts[0], parts[1] - {0})
    if expr.op in ("min", "max"):
        pick = min if expr.op == "min" else max
        return frozenset(pick(a, b) for a in parts[0] for b in parts[1])
    if expr.op == "if_less":
        return parts[2] | parts[3]
    return _of_function(expr, parts)


def _of_function(expr: Call, parts: list[Signs]) -> Signs:
    if expr.op == "held":
        return parts[0]
    if expr.op == "exp":
        return frozenset((1,))
    if expr.op in ("sqrt", "hill"):
        return _NOT_NEGATIVE
    if expr.op == "**":
        exponent = expr.args[1]
        is_even = isinstance(exponent, Number) and exponent.value % 2 == 0
        return _NOT_NEGATIVE if is_even or -1 not in parts[0] else _ANY
    return _ANY


def _of_sum(one: Signs, other: Signs) -> Signs:
    if not one or not other:
        return _ANY
    if {-1, 1} <= one | other:
        return _ANY
    return frozenset(a or b for a in one for b in other)


def _of_product(one: Signs, other: Signs) -> Signs:
    return frozenset(a * b for a in one for b in other) or _ANY


def backward_rates(mechanism: Mechanism, values: Mapping[str, Any]) -> Iterable[tuple[str, Expr]]:
    """Rates that can be negative and never positive, by place in the file; what may change sign is let be.

    values: of all parameters, by name.
    """
    shares = {state.name for state in mechanism.states if state.kind == "tag"}
    free = {state.name for state in mechanism.states if state.kind == "state" and state.unit != "molecules"}
    ways = {item.name for item in mechanism.transitions}
    rates = [
        (f"reactions.{item.scope}.{item.name}", item.rate)
        for item in mechanism.reactions
        if not (shares.intersection(symbols(item.rate)) or item.name in ways)
    ]
    rates += [(f"contacts.{item.name}", item.rate) for item in mechanism.contacts if item.gives not in shares]
    for place, rate in rates:
        signs = possible_signs(rate, values, free)
        if -1 in signs and 1 not in signs:
            yield place, rate

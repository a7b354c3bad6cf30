"""Values of expressions, by a walk over their nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from payloadfield.errors import MechanismError
from payloadfield.mechanism.nodes import Call, Expr, Number, Symbol, symbols


def evaluate(expr: Expr, values: Mapping[str, Any]) -> Any:
    """Value of an expression.

    values: float or array by name, in internal units. Returns a float, or an array if a value that it reads is one.
    Raises MechanismError for a name without a value.
    """
    for name in sorted(symbols(expr)):
        if name not in values:
            raise MechanismError(f"'{name}' in '{expr}' has no value; values are given for: {', '.join(values)}")
    with np.errstate(all="ignore"):
        result = _value(expr, values)
    return result if np.ndim(result) else float(result)


def _value(expr: Expr, values: Mapping[str, Any]) -> Any:
    if isinstance(expr, Number):
        return np.float64(expr.value)
    if isinstance(expr, Symbol):
        return np.asarray(values[expr.name], dtype=np.float64)[()]
    assert isinstance(expr, Call)
    return _OPERATIONS[expr.op](*(_value(arg, values) for arg in expr.args))


def _sum(first: Any, *rest: Any) -> Any:
    for term in rest:
        first = first + term
    return first


def _product(first: Any, *rest: Any) -> Any:
    for factor in rest:
        first = first * factor
    return first


def hill(x: Any, half: Any, exponent: Any) -> Any:
    """Saturation max(x, 0)^n / (K^n + max(x, 0)^n), written as 1 / (1 + (K / x)^n) so that nothing overflows."""
    present = np.greater(x, 0.0)
    return np.where(present, 1.0 / (1.0 + (half / np.where(present, x, 1.0)) ** exponent), 0.0)[()]


def _if_less(a: Any, b: Any, first: Any, second: Any) -> Any:
    return np.where(np.less(a, b), first, second)[()]


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "+": _sum,
    "*": _product,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "neg": lambda a: -a,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "min": np.minimum,
    "max": np.maximum,
    "hill": hill,
    "held": lambda a: a,
    "if_less": _if_less,
}

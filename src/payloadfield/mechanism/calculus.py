"""Algebra on expressions: normal forms that fold constants, and derivatives.

Normal form: ``+`` and ``*`` are flat and equal terms are gathered; differences are sums with a factor -1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from payloadfield.errors import MechanismError
from payloadfield.mechanism.nodes import Call, Expr, Number, Symbol

ZERO = Number(0.0)
ONE = Number(1.0)
SMALLEST_ARGUMENT = 1e-12
"""Slopes of sqrt, log and fractional powers are taken no nearer to zero than this; they enter the Jacobian only."""


def add(*terms: Expr) -> Expr:
    """Sum in normal form."""
    constant = 0.0
    gathered: dict[Expr, float] = {}
    for term in _flat("+", terms):
        if isinstance(term, Number):
            constant += term.value
            continue
        factor, rest = _split(term)
        gathered[rest] = gathered.get(rest, 0.0) + factor
    parts = [scale(factor, rest) for rest, factor in gathered.items() if factor != 0.0]
    if constant != 0.0:
        parts.append(Number(constant))
    return _combine("+", parts, ZERO)


def mul(*factors: Expr) -> Expr:
    """Product in normal form."""
    constant = 1.0
    powers: dict[Expr, int] = {}
    for factor in _flat("*", factors):
        if isinstance(factor, Number):
            constant *= factor.value
        else:
            powers[factor] = powers.get(factor, 0) + 1
    if constant == 0.0:
        return ZERO
    parts = [base if count == 1 else Call("**", (base, Number(float(count)))) for base, count in powers.items()]
    if constant != 1.0:
        parts.insert(0, Number(_finite(constant)))
    return _combine("*", parts, ONE)


def scale(factor: float, expr: Expr) -> Expr:
    """A constant times an expression."""
    return mul(Number(factor), expr)


def neg(expr: Expr) -> Expr:
    """Minus an expression."""
    return scale(-1.0, expr)


def div(numerator: Expr, denominator: Expr) -> Expr:
    """Quotient in normal form."""
    if isinstance(denominator, Number):
        if denominator.value == 0.0:
            raise MechanismError("a division by zero")
        if isinstance(numerator, Number):
            return Number(_finite(numerator.value / denominator.value))
        if denominator.value == 1.0:
            return numerator
    if numerator == ZERO:
        return ZERO
    factor, rest = _split(numerator)
    return Call("/", (numerator, denominator)) if factor != -1.0 else neg(Call("/", (rest, denominator)))


def power(base: Expr, exponent: Expr) -> Expr:
    """Power in normal form."""
    if isinstance(exponent, Number):
        if exponent.value == 0.0:
            return ONE
        if exponent.value == 1.0:
            return base
        if isinstance(base, Number):
            return Number(_constant("**", (base.value, exponent.value)))
    return Call("**", (base, exponent))


def simplify(expr: Expr) -> Expr:
    """Normal form of a parsed expression; a constant part that is not a finite number raises MechanismError."""
    return _simplify(expr, {})


def _simplify(expr: Expr, memo: dict[Expr, Expr]) -> Expr:
    if not isinstance(expr, Call):
        return expr
    if expr not in memo:
        memo[expr] = _rebuild(expr.op, tuple(_simplify(arg, memo) for arg in expr.args))
    return memo[expr]


def _rebuild(op: str, args: tuple[Expr, ...]) -> Expr:
    builders: dict[str, Callable[..., Expr]] = {"+": add, "*": mul, "/": div, "**": power, "neg": neg}
    if op in builders:
        return builders[op](*args)
    if op == "held" and isinstance(args[0], Number):
        return args[0]
    if op != "hill" and all(isinstance(arg, Number) for arg in args):
        return Number(_constant(op, tuple(arg.value for arg in args if isinstance(arg, Number))))
    return Call(op, args)


def let_go(expr: Expr) -> Expr:
    """The expression, in normal form, with x in place of held(x): once derivatives are taken the two are the same."""
    if not isinstance(expr, Call):
        return expr
    args = tuple(let_go(arg) for arg in expr.args)
    return args[0] if expr.op == "held" else expr if args == expr.args else _rebuild(expr.op, args)


def _constant(op: str, values: tuple[float, ...]) -> float:
    functions: dict[str, Callable[..., float]] = {
        "exp": math.exp,
        "log": math.log,
        "sqrt": math.sqrt,
        "min": min,
        "max": max,
        "**": math.pow,
    }
    try:
        return _finite(functions[op](*values))
    except (ValueError, OverflowError) as error:
        shown = ", ".join(repr(value) for value in values)
        raise MechanismError(f"the constant {op}({shown}) is not a finite number") from error


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise MechanismError("a constant is not a finite number")
    return value


def _flat(op: str, args: Iterable[Expr]) -> Iterable[Expr]:
    for arg in args:
        if isinstance(arg, Call) and arg.op == op:
            yield from arg.args
        else:
            yield arg


def _split(term: Expr) -> tuple[float, Expr]:
    """A term as (constant factor, rest)."""
    if isinstance(term, Call) and term.op == "*" and isinstance(term.args[0], Number):
        rest = term.args[1:]
        return term.args[0].value, rest[0] if len(rest) == 1 else Call("*", rest)
    return 1.0, term


def _combine(op: str, parts: list[Expr], empty: Expr) -> Expr:
    if not parts:
        return empty
    return parts[0] if len(parts) == 1 else Call(op, tuple(parts))


def derivative(expr: Expr, name: str) -> Expr:
    """Partial derivative of an expression in normal form by the symbol `name`.

    min and max are differentiated piecewise; the slope of hill(x, K, n) is taken as zero for x < 0, that of held(x) as
    zero everywhere: what changes so slowly that the Jacobian does without it, which a W-method allows.
    """
    return _derivative(expr, name, {})


def _derivative(expr: Expr, name: str, memo: dict[Expr, Expr]) -> Expr:
    if not isinstance(expr, Call):
        return ONE if expr == Symbol(name) else ZERO
    if expr.op == "held":
        return ZERO
    if expr not in memo:
        slopes = tuple(_derivative(arg, name, memo) for arg in expr.args)
        memo[expr] = ZERO if all(slope == ZERO for slope in slopes) else _RULES[expr.op](expr.args, slopes)
    return memo[expr]


def _of_sum(args: tuple[Expr, ...], slopes: tuple[Expr, ...]) -> Expr:
    return add(*slopes)


def _of_product(args: tuple[Expr, ...], slopes: tuple[Expr, ...]) -> Expr:
    return add(*(mul(slope, *args[:i], *args[i + 1 :]) for i, slope in enumerate(slopes) if slope != ZERO))


def _of_quotient(args: tuple[Expr, ...], slopes: tuple[Expr, ...]) -> Expr:
    (a, b), (da, db) = args, slopes
    return add(div(da, b), neg(div(mul(a, db), power(b, Number(2.0)))))


def _of_power(args: tuple[Expr, ...], slopes: tuple[Expr, ...]) -> Expr:
    (base, exponent), (slope, exponent_slope) = args, slopes
    constant = isinstance(exponent, Number) and exponent.value >= 1.0
    safe = base if constant else _away_from_zero(base)
    of_base = mul(exponent, power(safe, add(exponent, Number(-1.0))), slope)
    if exponent_slope == ZERO:
        return of_base
    return add(of_base, mul(Call("**", args), Call("log", (safe,)), exponent_slope))


def _of_exp(args: tuple[Expr, ...], slopes: tuple[Expr, ...]) -> Expr:
    return mul(Call("exp", args), slopes[0])


def _of_log(args: tuple[Expr, ...], slopes: tuple[Expr, ...]) -> Expr:
    return div(slopes[0], _away_from_zero(args[0]))


def _of_sqrt(args: tuple[Expr, ...], slopes: tuple[Expr, ...]) -> Expr:
    return div(scale(0.5, slopes[0]), Call("sqrt", (_away_from_zero(args[0]),)))


def _of_min(args: tuple[Expr, ...], slopes: tuple[Expr, ...]) -> Expr:
    return Call("if_less", (args[1], args[0], slopes[1], slopes[0]))


def _of_max(args: tuple[Expr, ...], slopes: tuple[Expr, ...]) -> Expr:
    return Call("if_less", (args[0], args[1], slopes[1], slopes[0]))


def _of_hill(args: tuple[Expr, ...], slopes: tuple[Expr, ...]) -> Expr:
    """d hill = hill_slope(x, K, n) (dx - (x / K) dK); the exponent is a constant (checked when the file is read)."""
    x, half, _ = args
    return mul(Call("hill_slope", args), add(slopes[0], neg(mul(div(x, half), slopes[1]))))


def _of_if_less(args: tuple[Expr, ...], slopes: tuple[Expr, ...]) -> Expr:
    return Call("if_less", (args[0], args[1], slopes[2], slopes[3]))


def _away_from_zero(expr: Expr) -> Expr:
    return Call("max", (expr, Number(SMALLEST_ARGUMENT)))


_RULES = {
    "+": _of_sum,
    "*": _of_product,
    "/": _of_quotient,
    "**": _of_power,
    "exp": _of_exp,
    "log": _of_log,
    "sqrt": _of_sqrt,
    "min": _of_min,
    "max": _of_max,
    "hill": _of_hill,
    "if_less": _of_if_less,
}

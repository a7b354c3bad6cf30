"""Expressions as trees of frozen nodes, and their text: infix with the fewest parentheses, for every target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

_SUM, _PRODUCT, _UNARY, _POWER, _ATOM = range(5)


class Expr:
    """A node of an expression: a `Number`, a `Symbol` or a `Call`."""

    depth: int = 0

    def __str__(self) -> str:
        """The expression as text that parses again."""
        return expression_text(self)


@dataclass(frozen=True)
class Number(Expr):
    """A constant."""

    value: float

    __str__ = Expr.__str__


@dataclass(frozen=True)
class Symbol(Expr):
    """A parameter, a species, a constant or, within generated code, an intermediate value."""

    name: str

    __str__ = Expr.__str__


@dataclass(frozen=True)
class Call(Expr):
    """An operation: ``+`` and ``*`` of two or more, ``- / **`` of two, ``neg`` of one, or a function."""

    op: str
    args: tuple[Expr, ...]
    depth: int = field(init=False, compare=False, repr=False)
    _hash: int = field(init=False, compare=False, repr=False)

    __str__ = Expr.__str__

    def __post_init__(self) -> None:
        """Keep the hash and the depth, which every pass over the tree asks for."""
        object.__setattr__(self, "_hash", hash((self.op, self.args)))
        object.__setattr__(self, "depth", 1 + max(arg.depth for arg in self.args))

    def __hash__(self) -> int:
        """The hash of operation and arguments, computed once."""
        return self._hash


def symbols(expr: Expr) -> frozenset[str]:
    """Names that occur in an expression."""
    found: set[str] = set()
    for node in walk(expr):
        if isinstance(node, Symbol):
            found.add(node.name)
    return frozenset(found)


def with_symbols(expr: Expr, meaning: Mapping[str, Expr]) -> Expr:
    """An expression with names replaced by what they stand for."""
    if isinstance(expr, Symbol):
        return meaning.get(expr.name, expr)
    if not isinstance(expr, Call):
        return expr
    return Call(expr.op, tuple(with_symbols(arg, meaning) for arg in expr.args))


def walk(expr: Expr) -> Iterator[Expr]:
    """Every distinct node of an expression, the expression itself first."""
    seen: set[Expr] = set()
    stack = [expr]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        if isinstance(node, Call):
            stack.extend(node.args)


def expression_text(
    expr: Expr,
    symbol: Callable[[str], str] = str,
    formats: Mapping[str, str] | None = None,
    number: str = "{}",
) -> str:
    """Write an expression.

    symbol: text of a name; formats: format string of a function's arguments, by its name (default ``name(a, b)``);
    number: format string of a constant.
    """
    return _Writer(symbol, formats or {}, number).write(expr)[0]


def number_text(value: float) -> str:
    """The shortest text that reads back as the same float."""
    return repr(float(value))


class _Writer:
    """Writes nodes as (text, binding strength)."""

    def __init__(self, symbol: Callable[[str], str], formats: Mapping[str, str], number: str) -> None:
        self.symbol, self.formats, self.number = symbol, formats, number

    def write(self, expr: Expr) -> tuple[str, int]:
        if isinstance(expr, Number):
            text = self.number.format(number_text(abs(expr.value)))
            return (text, _ATOM) if expr.value >= 0 else (f"-{text}", _UNARY)
        if isinstance(expr, Symbol):
            return self.symbol(expr.name), _ATOM
        assert isinstance(expr, Call)
        writer = {"+": self._sum, "*": self._product, "/": self._quotient, "**": self._power, "neg": self._negative}
        return writer.get(expr.op, self._function)(expr)

    def _at_least(self, expr: Expr, strength: int) -> str:
        text, own = self.write(expr)
        return text if own >= strength else f"({text})"

    def _sum(self, call: Call) -> tuple[str, int]:
        text = self._at_least(call.args[0], _PRODUCT)
        for term in call.args[1:]:
            part = self._at_least(term, _PRODUCT)
            text += f" - {part[1:]}" if part.startswith("-") else f" + {part}"
        return text, _SUM

    def _product(self, call: Call) -> tuple[str, int]:
        sign, factors = "", call.args
        if isinstance(factors[0], Number) and factors[0].value == -1.0 and len(factors) > 1:
            sign, factors = "-", factors[1:]
        parts = [self._at_least(factors[0], _PRODUCT if not sign else _POWER)]
        parts += [self._at_least(factor, _UNARY) for factor in factors[1:]]
        return sign + " * ".join(parts), _PRODUCT

    def _quotient(self, call: Call) -> tuple[str, int]:
        return f"{self._at_least(call.args[0], _PRODUCT)} / {self._at_least(call.args[1], _UNARY)}", _PRODUCT

    def _power(self, call: Call) -> tuple[str, int]:
        base, exponent = call.args
        if "**" in self.formats:
            return self.formats["**"].format(self.write(base)[0], self.write(exponent)[0]), _ATOM
        power = self._at_least(exponent, _UNARY)
        if isinstance(exponent, Number) and exponent.value == round(exponent.value) and abs(exponent.value) < 100:
            power = str(round(exponent.value))
        return f"{self._at_least(base, _ATOM)}**{power}", _POWER

    def _negative(self, call: Call) -> tuple[str, int]:
        return f"-{self._at_least(call.args[0], _POWER)}", _UNARY

    def _function(self, call: Call) -> tuple[str, int]:
        args = [self.write(arg)[0] for arg in call.args]
        if call.op in self.formats:
            return self.formats[call.op].format(*args), _ATOM
        return f"{call.op}({', '.join(args)})", _ATOM

"""Rate expressions: a parser of our own.

Allowed are numbers, names, ``+ - * / **``, parentheses and the functions of `FUNCTIONS`; nothing is ever evaluated by
Python itself. Length, nesting and constants are limited, so that no expression can hang the program.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from payloadfield.errors import MechanismError
from payloadfield.mechanism.nodes import Call, Expr, Number, Symbol, symbols

__all__ = ["ALLOWED", "FUNCTIONS", "MAX_DEPTH", "MAX_LENGTH", "Expr", "parse", "symbols"]

FUNCTIONS = {"exp": 1, "log": 1, "sqrt": 1, "min": 2, "max": 2, "hill": 3, "held": 1}
MAX_LENGTH = 1000  # characters of one expression
MAX_DEPTH = 40  # nested parentheses, powers, quotients and functions
ALLOWED = "numbers, names, + - * / **, parentheses, exp log sqrt min max hill(x, K, n) held(x)"

_TOKEN = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<operator>\*\*|[-+*/(),])",
    re.ASCII,
)
_SPACE = re.compile(r"[ \t\r\n]*")


def parse(text: str, where: str) -> Expr:
    """Read an expression.

    text: the expression; where: file and key, for messages. Raises MechanismError for anything that is not allowed.
    """
    if len(text) > MAX_LENGTH:
        raise MechanismError(f"{where}: an expression of {len(text)} characters; at most {MAX_LENGTH} are allowed")
    return _Parser(text, where).parse()


class _Parser:
    """Recursive descent over the tokens of one expression, in the precedence of Python."""

    def __init__(self, text: str, where: str) -> None:
        self.text, self.where = text, where
        self.tokens = list(self._tokenize())
        self.position = 0
        self.nesting = 0

    def parse(self) -> Expr:
        if not self.tokens:
            raise self._refuse("the expression is empty")
        expr = self._sum()
        if self.position < len(self.tokens):
            raise self._refuse(f"'{self._peek()}' does not fit after '{self.tokens[self.position - 1]}'")
        return expr

    def _tokenize(self) -> Iterator[str]:
        position = _SPACE.match(self.text).end()  # type: ignore[union-attr]
        while position < len(self.text):
            match = _TOKEN.match(self.text, position)
            if match is None:
                hint = "; write powers with **" if self.text[position] == "^" else ""
                raise self._refuse(f"the character {self.text[position]!r} is not allowed{hint}")
            yield match.group()
            position = _SPACE.match(self.text, match.end()).end()  # type: ignore[union-attr]

    def _refuse(self, reason: str) -> MechanismError:
        shown = self.text if len(self.text) <= 80 else self.text[:77] + "..."
        return MechanismError(f"{self.where}: in '{shown}', {reason}. Allowed: {ALLOWED}")

    def _peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self.position += 1
        return token

    def _expect(self, token: str) -> None:
        got = self._take()
        if got != token:
            raise self._refuse(f"'{token}' is missing" + (f" before '{got}'" if got else " at the end"))

    def _call(self, op: str, args: tuple[Expr, ...]) -> Expr:
        call = Call(op, args)
        if call.depth > MAX_DEPTH:
            raise self._refuse(f"operations are nested more than {MAX_DEPTH} deep")
        return call

    def _sum(self) -> Expr:
        self.nesting += 1
        if self.nesting > 2 * MAX_DEPTH:
            raise self._refuse(f"parentheses, signs or powers are nested more than {MAX_DEPTH} deep")
        terms = [self._product()]
        while self._peek() in ("+", "-"):
            negative = self._take() == "-"
            term = self._product()
            terms.append(self._call("neg", (term,)) if negative else term)
        self.nesting -= 1
        return terms[0] if len(terms) == 1 else self._call("+", tuple(terms))

    def _product(self) -> Expr:
        factors = [self._signed()]
        while self._peek() in ("*", "/"):
            if self._take() == "*":
                factors.append(self._signed())
            else:
                factors = [self._call("/", (self._gather(factors), self._signed()))]
        return self._gather(factors)

    def _gather(self, factors: list[Expr]) -> Expr:
        return factors[0] if len(factors) == 1 else self._call("*", tuple(factors))

    def _signed(self) -> Expr:
        self.nesting += 1
        if self.nesting > 2 * MAX_DEPTH:
            raise self._refuse(f"parentheses, signs or powers are nested more than {MAX_DEPTH} deep")
        if self._peek() in ("+", "-"):
            negative = self._take() == "-"
            inner = self._signed()
            result = self._call("neg", (inner,)) if negative else inner
        else:
            result = self._power()
        self.nesting -= 1
        return result

    def _power(self) -> Expr:
        base = self._atom()
        if self._peek() != "**":
            return base
        self._take()
        return self._call("**", (base, self._signed()))

    def _atom(self) -> Expr:
        token = self._take()
        if token == "(":
            inner = self._sum()
            self._expect(")")
            return inner
        if token and (token[0].isdigit() or token[0] == "."):
            return self._number(token)
        if token and (token[0].isalpha() or token[0] == "_"):
            return self._function(token) if self._peek() == "(" else Symbol(token)
        raise self._refuse(f"a number or a name is missing before '{token}'" if token else "it ends too early")

    def _number(self, token: str) -> Number:
        value = float(token)
        if not math.isfinite(value):
            raise self._refuse(f"the number {token} is too large")
        return Number(value)

    def _function(self, name: str) -> Expr:
        if name not in FUNCTIONS:
            raise self._refuse(f"the function '{name}' is not known")
        self._expect("(")
        args = [self._sum()]
        while self._peek() == ",":
            self._take()
            args.append(self._sum())
        self._expect(")")
        if len(args) != FUNCTIONS[name]:
            raise self._refuse(f"'{name}' takes {FUNCTIONS[name]} argument(s), got {len(args)}")
        return self._call(name, tuple(args))

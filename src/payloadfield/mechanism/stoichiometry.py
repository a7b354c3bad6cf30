"""Equations such as "adc -> antibody + DAR payload", and the exact balance of moieties over them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from payloadfield.errors import MechanismError
from payloadfield.mechanism.calculus import add, mul, neg
from payloadfield.mechanism.nodes import Call, Expr, Number, Symbol

_TERM = re.compile(r"(?:(?P<number>\d+\.?\d*)\s*)?(?:(?P<factor>[A-Za-z]\w*)\s+)?(?P<species>[A-Za-z]\w*)", re.ASCII)
LONGEST_NUMBER = 12
MAX_MONOMIALS = 1000
Polynomial = dict[tuple[str, ...], Fraction]
"""Coefficient of each monomial; a monomial is the sorted tuple of its names."""


def parse_equation(text: str, where: str) -> tuple[list[tuple[Expr, str]], list[tuple[Expr, str]], bool]:
    """Read "A + 2 B <=> n C" as (left terms, right terms, reversible); a side may be empty.

    Each term is (coefficient, species). Raises MechanismError for anything else.
    """
    reversible = "<=>" in text
    sides = text.split("<=>" if reversible else "->")
    if len(sides) != 2:
        raise MechanismError(f"{where}: '{text}' needs one arrow, '->' or '<=>', such as 'adc + receptor <=> complex'")
    left, right = (_parse_side(side, text, where) for side in sides)
    if not left and not right:
        raise MechanismError(f"{where}: '{text}' names no species")
    return left, right, reversible


def _parse_side(side: str, text: str, where: str) -> list[tuple[Expr, str]]:
    return [_parse_term(term.strip(), text, where) for term in side.split("+")] if side.strip() else []


def _parse_term(term: str, text: str, where: str) -> tuple[Expr, str]:
    match = _TERM.fullmatch(term)
    if match is None:
        raise MechanismError(
            f"{where}: in '{text}', '{term}' cannot be read; a term is a species, with a number or a study parameter "
            "before it if need be, such as '2 payload' or 'DAR payload'"
        )
    factors: list[Expr] = []
    if match["number"]:
        if len(match["number"]) > LONGEST_NUMBER or float(match["number"]) == 0.0:
            raise MechanismError(
                f"{where}: in '{text[:80]}', the coefficient of '{match['species']}' must be a "
                f"number above zero of at most {LONGEST_NUMBER} digits"
            )
        factors.append(Number(float(match["number"])))
    if match["factor"]:
        factors.append(Symbol(match["factor"]))
    return mul(*factors), match["species"]


def net_change(left: list[tuple[Expr, str]], right: list[tuple[Expr, str]]) -> dict[str, Expr]:
    """Products minus educts, by species; species that do not change are left out."""
    total: dict[str, Expr] = {}
    for coefficient, species in left:
        total[species] = add(total.get(species, Number(0.0)), neg(coefficient))
    for coefficient, species in right:
        total[species] = add(total.get(species, Number(0.0)), coefficient)
    return {species: change for species, change in total.items() if change != Number(0.0)}


def imbalance(changes: Mapping[str, Expr], contents: Mapping[str, Mapping[str, Expr]], moiety: str) -> str:
    """What a reaction makes of a moiety, as text such as "-1 + DAR"; empty if it is conserved exactly."""
    total: Polynomial = {}
    for species, change in changes.items():
        content = contents[species].get(moiety)
        if content is not None:
            _gather(total, _multiply(polynomial(change), polynomial(content)))
    return " + ".join(_monomial_text(names, value) for names, value in total.items() if value)


def polynomial(expr: Expr) -> Polynomial:
    """Exact polynomial in the names of an expression; raises MechanismError where it is none."""
    if isinstance(expr, Number):
        return {(): Fraction(repr(expr.value))}
    if isinstance(expr, Symbol):
        return {(expr.name,): Fraction(1)}
    assert isinstance(expr, Call)
    if expr.op == "neg":
        return _multiply({(): Fraction(-1)}, polynomial(expr.args[0]))
    if expr.op == "**" and isinstance(expr.args[1], Number) and expr.args[1].value in (2.0, 3.0, 4.0):
        return polynomial(mul_out(expr.args[0], int(expr.args[1].value)))
    if expr.op not in ("+", "*"):
        raise MechanismError(f"'{expr}' counts molecules; use numbers, study parameters, + - * only")
    parts = [polynomial(arg) for arg in expr.args]
    total = parts[0]
    for part in parts[1:]:
        total = _multiply(total, part) if expr.op == "*" else _gather(dict(total), part)
    return total


def mul_out(base: Expr, count: int) -> Expr:
    """A power as an explicit product."""
    return Call("*", (base,) * count)


def _gather(total: Polynomial, part: Polynomial) -> Polynomial:
    for names, value in part.items():
        total[names] = total.get(names, Fraction(0)) + value
    return total


def _multiply(first: Polynomial, second: Polynomial) -> Polynomial:
    total: Polynomial = {}
    for names, value in first.items():
        for others, factor in second.items():
            key = tuple(sorted(names + others))
            total[key] = total.get(key, Fraction(0)) + value * factor
    if len(total) > MAX_MONOMIALS:
        raise MechanismError(f"it expands to more than {MAX_MONOMIALS} terms; write it more simply")
    return total


def _monomial_text(names: tuple[str, ...], value: Fraction) -> str:
    return "*".join(names) if names and value == 1 else "*".join([f"{float(value):g}", *names])

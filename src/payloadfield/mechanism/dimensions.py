"""The unit check: every expression of a mechanism has the dimension that its place asks for.

Concentrations (nM) and amounts (molecules) are different bases, so that a missing volume is found; N_A leads from one
to the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from payloadfield.errors import MechanismError
from payloadfield.mechanism.nodes import Call, Expr, Number, Symbol
from payloadfield.units import Dimension, combine_dimensions, dimension

_NONE: Dimension = ()


def internal_unit(given: Dimension) -> str:
    """A dimension as a unit in internal bases, such as "1/nM/s"."""
    ordered = sorted(given, key=lambda item: item[0] == "s")
    above = "*".join(_factor(base, power) for base, power in ordered if power > 0)
    below = "".join(f"/{_factor(base, -power)}" for base, power in ordered if power < 0)
    return (above or "1") + below


def check_dimension(expr: Expr, dimensions: Mapping[str, Dimension], needed: str, where: str) -> None:
    """Refuse an expression whose dimension is not that of the unit `needed`.

    dimensions: dimension of every name. Raises MechanismError naming the part that does not fit.
    """
    found = _Check(dimensions, f"{where}: '{expr}'").of(expr)
    if found is not None and found != dimension(needed):
        wanted = internal_unit(dimension(needed))
        raise MechanismError(f"{where}: '{expr}' is in {internal_unit(found)}; {wanted} is needed")


def _factor(base: str, power: Fraction) -> str:
    return base if power == 1 else f"{base}^{power}"


class _Check:
    """Dimension of nodes; None stands for a literal 0, which fits everywhere."""

    def __init__(self, dimensions: Mapping[str, Dimension], where: str) -> None:
        self.dimensions, self.where = dimensions, where

    def of(self, expr: Expr) -> Dimension | None:
        if isinstance(expr, Number):
            return None if expr.value == 0.0 else _NONE
        if isinstance(expr, Symbol):
            return self.dimensions[expr.name]
        assert isinstance(expr, Call)
        rules = {
            "+": self._alike,
            "min": self._alike,
            "max": self._alike,
            "neg": self._alike,
            "held": self._alike,
            "**": self._power,
        }
        rules |= {"*": self._product, "/": self._quotient, "sqrt": self._root, "hill": self._hill}
        return rules.get(expr.op, self._pure)(expr)

    def _refuse(self, reason: str) -> MechanismError:
        return MechanismError(f"{self.where}: {reason}")

    def _alike(self, call: Call) -> Dimension | None:
        found: Dimension | None = None
        first: Expr | None = None
        for arg in call.args:
            own = self.of(arg)
            if own is None:
                continue
            if found is not None and own != found:
                units = f"{internal_unit(found)} ('{first}') and {internal_unit(own)} ('{arg}')"
                raise self._refuse(f"unlike units are added or compared: {units}")
            found, first = own, first or arg
        return found

    def _product(self, call: Call) -> Dimension | None:
        total: Dimension = _NONE
        for arg in call.args:
            own = self.of(arg)
            if own is None:
                return None
            total = combine_dimensions(total, own)
        return total

    def _quotient(self, call: Call) -> Dimension | None:
        above, below = (self.of(arg) for arg in call.args)
        return None if above is None else combine_dimensions(above, below or _NONE, -1)

    def _root(self, call: Call) -> Dimension | None:
        own = self.of(call.args[0])
        return None if own is None else combine_dimensions(_NONE, own, Fraction(1, 2))

    def _power(self, call: Call) -> Dimension | None:
        base, exponent = self.of(call.args[0]), call.args[1]
        self._expect_pure(exponent, "an exponent")
        if not base:
            return base
        value = _literal(exponent)
        if value is None:
            raise self._refuse(f"'{call.args[0]}' has a unit, so its exponent must be a number, not '{exponent}'")
        return combine_dimensions(_NONE, base, value)

    def _hill(self, call: Call) -> Dimension | None:
        x, half = (self.of(arg) for arg in call.args[:2])
        if x is not None and half is not None and x != half:
            units = f"{internal_unit(x)} and {internal_unit(half)}"
            raise self._refuse(f"hill(x, K, n) needs x and K in the same unit, got {units}")
        self._expect_pure(call.args[2], "the exponent of hill")
        return _NONE

    def _pure(self, call: Call) -> Dimension | None:
        for arg in call.args:
            self._expect_pure(arg, f"the argument of {call.op}")
        return _NONE

    def _expect_pure(self, expr: Expr, what: str) -> None:
        own = self.of(expr)
        if own:
            raise self._refuse(f"{what} must be a pure number, but '{expr}' is in {internal_unit(own)}")


def _literal(expr: Expr) -> Fraction | None:
    """Value of an exponent written with numbers only, such as -2 or (1/2)."""
    if isinstance(expr, Number):
        return Fraction(repr(expr.value))
    if not isinstance(expr, Call):
        return None
    args = [_literal(arg) for arg in expr.args]
    if expr.op == "neg" and args[0] is not None:
        return -args[0]
    if expr.op == "/" and args[0] is not None and args[1]:
        return args[0] / args[1]
    return None

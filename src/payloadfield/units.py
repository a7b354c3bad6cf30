"""Quantities are parsed once, at the edge: inside, lengths are um, times s, concentrations nM, amounts molecules.

`nM` and `molecules` are different bases here, so that the unit check of a mechanism finds a missing volume:
1 nM um^3 = 0.602214076 molecules.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

from payloadfield.errors import UnitsError

#: Molecules in one nM um^3: the Avogadro constant (SI 2019, exact) times 1e-9 mol/L times 1e-15 L.
AVOGADRO_NM_UM3 = 0.602214076

#: Exponents of the bases that occur, in the order of `BASES`; empty for a pure number.
Dimension = tuple[tuple[str, Fraction], ...]

BASES = ("um", "s", "nM", "molecules", "g")

# What one root unit of the registry below is in our internal unit: m -> um, s -> s, M -> nM.
_TO_INTERNAL = {
    "meter": ("um", Fraction(10) ** 6),
    "second": ("s", Fraction(1)),
    "molar": ("nM", Fraction(10) ** 9),
    "molecule": ("molecules", Fraction(1)),
    "gram": ("g", Fraction(1)),
}

# A registry of our own is small, starts at once and knows no unit that could be meant otherwise.
_DEFINITIONS = """
femto- = 1e-15 = f-
pico- = 1e-12 = p-
nano- = 1e-9 = n-
micro- = 1e-6 = u- = µ- = μ-
milli- = 1e-3 = m-
centi- = 1e-2 = c-
deci- = 1e-1 = d-
kilo- = 1e3 = k-
meter = [length] = m = metre
second = [time] = s = sec
molar = [concentration] = M
molecule = [molecules] = _ = molecules
gram = [mass] = g
minute = 60 * second = min
hour = 3600 * second = h = hr
day = 86400 * second = d
week = 604800 * second
liter = 0.001 * meter ** 3 = L = l = litre
mole = molar * liter = mol
percent = 0.01 = _
cell = 1 = _
"""

_NUMBER = re.compile(r"\s*([+-]?(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")
# Powers that would run away, sums, and differences ("s^-1" and "1e-6" are no differences).
_FORBIDDEN = re.compile(r"(\*\*|\^)\s*\(?\s*-?\d{2,}|[eE]-?\d{3,}|\+|(?<![\^*eE(])\s*-")
_ATTACHED_POWER = re.compile(r"\b([A-Za-zµμ]+)(-?\d)")  # um2/s, s-1
_LONGEST_TEXT = 120

# Names and examples for messages, by the unit that the program asks for.
_KINDS = {
    "1": ("a pure number", "0.5"),
    "s": ("a time", "24 h"),
    "um": ("a length", "10 um"),
    "um^2": ("an area", "100 um^2"),
    "um^3": ("a volume", "500 uL"),
    "um/s": ("a velocity", "1e-3 um/s"),
    "um^2/s": ("a diffusivity", "420 um^2/s"),
    "um^3/s": ("a volume rate", "10 um^3/s"),
    "1/s": ("a rate", "0.042 / h"),
    "1/um^2": ("a number per area", "5e4 / cm^2"),
    "1/um^3": ("a number density", "5e6 / mL"),
    "nM": ("a concentration", "50 nM"),
    "nM/s": ("a concentration rate", "0.1 nM / h"),
    "nM*s": ("an exposure", "10 nM * h"),
    "nM*um^3": ("an amount of substance", "1 pmol"),
    "1/nM": ("an inverse concentration", "2 / nM"),
    "1/nM/s": ("an association rate constant", "1e5 / M / s"),
    "molecules": ("a number of molecules", "1e6 molecules"),
    "molecules/s": ("a number of molecules per time", "10 molecules / s"),
    "molecules/nM/um^3": ("a number of molecules per amount", "0.6 molecules / nM / um^3"),
    "g": ("a mass", "1 ng"),
    "g/um^3": ("a mass concentration", "10 ng / mL"),
    "g/nM/um^3": ("a molar mass", "150 kg / mol"),
}


def parse_quantity(text: object, unit: str, where: str) -> float:
    """Value of a quantity such as "1e5 / M / s", in the unit asked for.

    text: a string of number and unit; a plain number only where `unit` is dimensionless or counts molecules.
    unit: the unit of the result, such as "um^2/s".
    where: file and key, for the message.
    Raises UnitsError for no or an unknown unit, a wrong dimension, and a number that is not finite.
    """
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise UnitsError(f"{where}: got {_show(text)}; {_needed(unit)}")
    number, rest = _split(text, where, unit)
    factor, given = _parse_unit(rest, where, text)
    wanted_factor, wanted = _parse_unit(unit, where, unit)
    if given != wanted and not (given == () and wanted == (("molecules", Fraction(1)),)):
        raise UnitsError(f"{where}: got {_show(text)}, {_describe(given, rest)}; {_needed(unit)}")
    return _convert(number, factor / wanted_factor, where, text)


def split_quantity(text: str | int | float, unit: str, where: str) -> tuple[float, str]:
    """Number and unit of a quantity as they are written: (1e5, "1/M/s") for "1e5 / M / s"; unit "1" for a plain number.

    unit: what the quantity is to be converted to, checked as `parse_quantity` does.
    """
    parse_quantity(text, unit, where)
    return number_and_unit(text, where)


def number_and_unit(text: str | int | float, where: str) -> tuple[float, str]:
    """The same for a quantity of any dimension.  Raises UnitsError for no number and for an unknown unit."""
    number, rest = _split(text, where, "1")
    _parse_unit(rest, where, text)
    return number, f"1 {rest}" if rest.startswith(("/", "*")) else rest


def dimension(unit: str) -> Dimension:
    """Exponents of a unit over the bases um, s, nM, molecules (and g); an empty tuple for a pure number.

    Example: dimension("1/nM/s") == (("s", -1), ("nM", -1)).  Raises UnitsError for an unknown unit.
    """
    return _parse_unit(unit, f"unit {unit!r}", unit)[1]


def combine_dimensions(first: Dimension, second: Dimension, power: Fraction | int = 1) -> Dimension:
    """Dimension of first * second**power, in the same form as `dimension` gives it."""
    exponents = dict(first)
    for base, exponent in second:
        exponents[base] = exponents.get(base, Fraction(0)) + exponent * Fraction(power)
    return _canonical(exponents)


def format_dimension(given: Dimension) -> str:
    """A dimension as a unit in plain text, such as "um^2 s^-1"; "1" for a pure number."""
    return " ".join(base if exponent == 1 else f"{base}^{exponent}" for base, exponent in given) or "1"


def describe_dimension(given: Dimension) -> str:
    """A dimension in words, such as "a diffusivity"; in units where there is no word."""
    return _kind_names().get(given, f"a quantity in {format_dimension(given)}")


def example_of(unit: str) -> str:
    """An example of a quantity of this unit's dimension, for messages."""
    return _KINDS[unit][1] if unit in _KINDS else f"1 {unit}"


def _split(text: str | int | float, where: str, unit: str) -> tuple[float, str]:
    """Number and unit text of a quantity."""
    if not isinstance(text, str):
        try:
            return float(text), "1"
        except OverflowError:
            raise UnitsError(f"{where}: got a whole number too large to compute with; {_needed(unit)}") from None
    match = _NUMBER.match(text) if len(text) <= _LONGEST_TEXT else None
    if match is None:
        raise UnitsError(f"{where}: got {_show(text)}, which does not start with a number; {_needed(unit)}")
    return float(match.group(1)), text[match.end() :].strip() or "1"


def _convert(number: float, factor: Fraction, where: str, text: object) -> float:
    if not math.isfinite(number):
        raise UnitsError(f"{where}: got {_show(text)}; a finite number is needed")
    value = Fraction(number) * factor
    try:
        return float(value)
    except OverflowError:
        raise UnitsError(f"{where}: got {_show(text)}, too large to compute with") from None


@lru_cache(maxsize=4096)
def _parse_unit_text(text: str) -> tuple[Fraction, Dimension] | None:
    """Factor to internal units and dimension of a unit; None if it cannot be read."""
    text = "1" if text == "-" else _ATTACHED_POWER.sub(r"\1^\2", text)
    if len(text) > _LONGEST_TEXT or _FORBIDDEN.search(text):
        return None
    registry, errors = _registry()
    text = f"1 {text}" if text.startswith(("/", "*")) else text
    text = text.replace("%", " percent ").replace("cells", "cell")
    try:
        quantity = registry.Quantity(registry.parse_expression(text)).to_root_units()
    except errors:
        return None
    return _to_internal(quantity)


def _to_internal(quantity: Any) -> tuple[Fraction, Dimension]:
    factor = Fraction(quantity.magnitude)
    exponents = {}
    for name, power in quantity.unit_items():
        base, scale = _TO_INTERNAL[name]
        exponents[base] = Fraction(power).limit_denominator(12)
        factor *= Fraction(scale ** exponents[base])
    return factor, _canonical(exponents)


def _parse_unit(unit: str, where: str, text: object) -> tuple[Fraction, Dimension]:
    parsed = _parse_unit_text(unit)
    if parsed is None:
        known = "um, mm, s, min, h, day, nM, uM, M, mol, L, mL, uL, pL, g, molecules, %"
        which = "which is no unit that can be read" if text == unit else f"whose unit {unit!r} cannot be read"
        raise UnitsError(f"{where}: got {_show(text)}, {which}; known units are {known}")
    return parsed


@lru_cache(maxsize=1)
def _registry() -> tuple[Any, tuple[type[Exception], ...]]:
    """The unit registry, and what it raises for a text that it cannot read."""
    import tokenize

    import pint

    registry: Any = pint.UnitRegistry(None, non_int_type=Fraction, cache_folder=None)
    for line in _DEFINITIONS.strip().splitlines():
        registry.define(line)
    unreadable = (pint.PintError, tokenize.TokenError, SyntaxError, ValueError, TypeError, AttributeError)
    return registry, (*unreadable, ZeroDivisionError, OverflowError, KeyError, IndexError, AssertionError)


@lru_cache(maxsize=1)
def _kind_names() -> dict[Dimension, str]:
    return {dimension(unit): name for unit, (name, _) in _KINDS.items()}


def _canonical(exponents: dict[str, Fraction]) -> Dimension:
    return tuple((base, exponents[base]) for base in BASES if exponents.get(base, 0) != 0)


def _describe(given: Dimension, unit_text: str) -> str:
    if given == () and unit_text == "1":
        return "a number without a unit"
    return describe_dimension(given)


def _needed(unit: str) -> str:
    wanted = _parse_unit_text(unit)
    kind = describe_dimension(wanted[1]) if wanted else f"a quantity in {unit}"
    return f"{kind} such as '{example_of(unit)}' is needed"


def _show(text: object) -> str:
    shown = repr(text) if isinstance(text, str) else str(text)
    return shown if len(shown) <= _LONGEST_TEXT else shown[:_LONGEST_TEXT] + "..."

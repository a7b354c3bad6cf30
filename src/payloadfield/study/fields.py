"""Types of study keys: quantities that know their unit and their range, in a form that goes out as it came in."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from payloadfield.errors import UnitsError
from payloadfield.units import describe_dimension, dimension, example_of, number_and_unit, parse_quantity

_DENSITIES = ("1/um^3", "1/um^2")
_ANGLE = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?)\s*(?:deg|degrees?|°)\s*")


def quantity_text(value: float, unit: str) -> str | float:
    """A number in an internal unit as it is written in a study, such as "10.0 um"; plain where it has no unit."""
    return value if unit == "1" else f"{value!r} {unit}"


def _read(value: Any, unit: str) -> float:
    """Number in `unit`; ValueError without the place, which pydantic knows."""
    try:
        return parse_quantity(value, unit, "")
    except UnitsError as error:
        raise ValueError(str(error).removeprefix(": ")) from None


def _reader(unit: str, *, low: float, above: bool, high: float, infinite: bool) -> BeforeValidator:
    def read(value: Any) -> float:
        if infinite and value in ("infinite", math.inf):
            return math.inf
        number = _read(value, unit)
        if number < low or (above and number == low) or number > high:
            kind = describe_dimension(dimension(unit))
            limit = f"above {low:g}" if above else f"of at least {low:g}"
            upper = f" and at most {high:g}{'' if unit == '1' else f' {unit}'}" if high < math.inf else ""
            raise ValueError(f"got {value!r}; {kind} {limit}{upper} such as '{example_of(unit)}' is needed")
        return number

    return BeforeValidator(read)


def _writer(unit: str) -> PlainSerializer:
    return PlainSerializer(lambda value: "infinite" if value == math.inf else quantity_text(value, unit))


def _angle(value: Any) -> float:
    found = _ANGLE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"got {value!r}; an angle such as '45 deg' is needed")
    return float(found[1])


def _porosity(value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"got {value:g}; a number above 0 and below 1 such as 0.7 is needed")
    return value


class PerSpace(NamedTuple):
    """A number of cells per volume or per area, and its unit."""

    value: float
    unit: str


def _density(value: Any) -> PerSpace:
    try:
        unit = next((each for each in _DENSITIES if dimension(number_and_unit(value, "")[1]) == dimension(each)), None)
    except (UnitsError, TypeError):
        unit = _DENSITIES[0]  # whose message says what is wrong
    if unit is None:
        kinds = " or ".join(
            f"{describe_dimension(dimension(each))} such as '{example_of(each)}'" for each in _DENSITIES
        )
        raise ValueError(f"got {value!r}; {kinds} is needed")
    return PerSpace(_positive(unit)[0].func(value), unit)  # type: ignore[call-arg]


def _positive(unit: str, *, infinite: bool = False, high: float = math.inf) -> tuple[BeforeValidator, PlainSerializer]:
    return _reader(unit, low=0.0, above=True, high=high, infinite=infinite), _writer(unit)


def _not_negative(unit: str, *, high: float = math.inf) -> tuple[BeforeValidator, PlainSerializer]:
    return _reader(unit, low=0.0, above=False, high=high, infinite=False), _writer(unit)


#: A kilometre: longer is a wrong unit, and its volume would not fit a floating-point number for long [um].
LONGEST = 1e9
#: Rounding in double precision hides what a smaller relative tolerance asks for.
SMALLEST_TOLERANCE = 1e-12

Length = Annotated[float, *_positive("um", high=LONGEST)]
Position = Annotated[float, _reader("um", low=-LONGEST, above=False, high=LONGEST, infinite=False), _writer("um")]
Duration = Annotated[float, *_positive("s")]
LongestStep = Annotated[float, *_positive("s", infinite=True)]
Time = Annotated[float, *_not_negative("s")]
Volume = Annotated[float, *_positive("um^3", infinite=True)]
Area = Annotated[float, *_positive("um^2")]
CellDensity = Annotated[PerSpace, BeforeValidator(_density), PlainSerializer(lambda value: quantity_text(*value))]
Velocity = Annotated[float, *_not_negative("um/s")]
NotNegative = Annotated[float, *_not_negative("1")]
Positive = Annotated[float, *_positive("1")]
Fraction = Annotated[float, *_not_negative("1", high=1.0)]
Spread = Annotated[float, *_not_negative("1", high=10.0)]
Tolerance = Annotated[float, _reader("1", low=SMALLEST_TOLERANCE, above=False, high=0.5, infinite=False), _writer("1")]
Angle = Annotated[float, BeforeValidator(_angle), PlainSerializer(lambda value: f"{value!r} deg")]
Porosity = Annotated[float, *_not_negative("1"), AfterValidator(_porosity)]

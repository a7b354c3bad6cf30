"""A number of the literature with its unit, range, grade and source: the form of every value of the library."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from payloadfield.errors import LibraryError

#: What a number is in its source, from best to worst.
GRADES = ("measured", "fitted", "estimated", "assumed")

#: How a number got here, as letters in brackets at the start of its note.
FLAGS = {
    "R": "read in the primary source",
    "S": "read in a secondary source that names the primary",
    "C": "computed from a stated formula or fit",
    "M": "recalled, not re-read",
    "A": "assumed for engineering",
}

_FLAG = re.compile(r"\s*\[([A-Z](?:\+[A-Z])*)\]")


def count_grades(grades: Iterable[str]) -> dict[str, int]:
    """How many there are of each of `GRADES`, recalled ones among them; what is no grade is not counted."""
    given = list(grades)
    return {grade: sum(each.startswith(grade) for each in given) for grade in GRADES}


@dataclass(frozen=True)
class Quantity:
    """A value in the unit of its source, with range, grade and citation.

    low, high: the range of the source, or the range to sweep where the value is assumed; None where no range is given.
    grade: one of `GRADES`.  key: name of the fact in the project's literature table, or its place in the library.
    """

    value: float
    unit: str
    low: float | None
    high: float | None
    grade: str
    citation: str
    doi: str
    note: str
    key: str

    def __post_init__(self) -> None:
        numbers = [number for number in (self.low, self.value, self.high) if number is not None]
        if not all(math.isfinite(number) for number in numbers) or numbers != sorted(numbers):
            raise LibraryError(f"{self.key}: got low {self.low}, value {self.value}, high {self.high}; "
                               "finite numbers with low <= value <= high are needed")  # fmt: skip
        if self.grade not in GRADES:
            raise LibraryError(f"{self.key}: got grade {self.grade!r}; one of {', '.join(GRADES)} is needed")

    @property
    def text(self) -> str:
        """Value and unit, such as "60.9 um^2/s"; reads back as the same number."""
        return f"{self.value!r} {self.unit}" if self.unit not in ("1", "-", "") else repr(self.value)

    def at(self, value: float) -> Quantity:
        """The same with another value, and no range."""
        return replace(self, value=value, low=None, high=None)

    @property
    def flags(self) -> str:
        """Letters that say how the number got here, such as "SM"; see `FLAGS`."""
        match = _FLAG.match(self.note)
        return match.group(1).replace("+", "") if match else ""

    @property
    def standing(self) -> str:
        """How well the number is known, for people: its grade, and whether it was recalled rather than read."""
        return f"{self.grade} ({FLAGS['M']})" if "M" in self.flags else self.grade

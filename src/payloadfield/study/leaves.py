"""Values that a study sets itself: a text such as "1e5 / M / s", a number, or a table with source and range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from payloadfield.errors import LibraryError, UnitsError
from payloadfield.library import Quantity
from payloadfield.study.overrides import Path
from payloadfield.study.problems import Problems, did_you_mean, join_path
from payloadfield.units import parse_quantity, split_quantity

ORIGINS = ("library", "study", "--set", "design", "mechanism", "default")
_KEYS = ("value", "unit", "low", "high", "grade", "citation", "doi", "note", "key", "origin")


@dataclass(frozen=True)
class Leaf:
    """A quantity and who set it: one of `ORIGINS`."""

    quantity: Quantity
    origin: str

    def value_in(self, unit: str, where: str) -> float:
        """The number in a unit.  Raises UnitsError for another dimension."""
        return parse_quantity(self.quantity.text, unit, where)

    def limit_in(self, limit: float | None, unit: str, where: str) -> float | None:
        """An end of the range in a unit; None where there is none."""
        return None if limit is None else replace(self, quantity=self.quantity.at(limit)).value_in(unit, where)

    def as_table(self) -> dict[str, Any]:
        """The table that reads back as this leaf."""
        quantity = self.quantity
        table = {key: getattr(quantity, key) for key in _KEYS if key != "origin"}
        return {key: value for key, value in {**table, "origin": self.origin}.items() if value not in (None, "")}


class LeafReader:
    """Reads the values of a study; knows which of them `--set` or a design changed."""

    def __init__(
        self, problems: Problems, overridden: frozenset[Path], designed: frozenset[Path] = frozenset()
    ) -> None:
        self.problems = problems
        self._changed = {"design": designed, "--set": overridden}

    def origin(self, path: Path) -> str:
        """Whether a key was set in the file, by a design or by --set."""
        for origin, changed in self._changed.items():
            if any(path[: len(each)] == each for each in changed):
                return origin
        return "study"

    def read(self, given: Any, unit: str, path: Path) -> Leaf | None:
        """A value to be used in `unit`; None, and a problem noted, where it cannot be read."""
        key = join_path(*path)
        try:
            if isinstance(given, Mapping):
                return self._read_table(given, unit, key, self.origin(path))
            return _plain(given, unit, self.problems.at(key), key, self.origin(path))
        except (UnitsError, LibraryError) as error:
            self.problems.add(key, str(error).removeprefix(f"{self.problems.at(key)}: ").removeprefix(f"{key}: "))
        return None

    def _read_table(self, given: Mapping[str, Any], unit: str, key: str, origin: str) -> Leaf | None:
        unknown = [name for name in given if name not in _KEYS]
        for name in unknown:
            self.problems.add(f"{key}.{name}", f"unknown key; {did_you_mean(name, _KEYS)}")
        if unknown or "value" not in given:
            if "value" not in given:
                self.problems.add(f"{key}.value", "is missing")
            return None
        return _documented(given, unit, self.problems.at(key), key, origin)


def _plain(given: Any, unit: str, where: str, key: str, origin: str) -> Leaf:
    """A value without a source: what the study says is assumed."""
    value, own_unit = split_quantity(given, unit, where)
    note = {"--set": "[A] given by --set", "design": "[A] given by the design"}.get(origin, "[A] given in the study")
    return Leaf(Quantity(value, own_unit, None, None, "assumed", "none (set in this study)", "", note, key), origin)


def _documented(given: Mapping[str, Any], unit: str, where: str, key: str, origin: str) -> Leaf:
    own_unit = str(given.get("unit", "1"))
    numbers = {name: _number(given[name], f"{where}.{name}") for name in ("value", "low", "high") if name in given}
    words = {name: str(given.get(name, "")) for name in ("citation", "doi", "note", "key")}
    words["key"] = words["key"] or key
    words["citation"] = words["citation"] or "none (set in this study)"
    quantity = Quantity(
        value=numbers["value"],
        unit=own_unit,
        low=numbers.get("low"),
        high=numbers.get("high"),
        grade=str(given.get("grade", "assumed")),
        **words,
    )
    parse_quantity(quantity.text, unit, where)
    said = given.get("origin", origin)
    return Leaf(quantity, said if said in ORIGINS and origin == "study" else origin)


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UnitsError(f"{where}: got {value!r}; a number is needed, with its unit under 'unit'")
    return parse_quantity(value, "1", where)

"""Tables of a mechanism file and the names declared in it: keys, expressions and units are checked as they are read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Any

from payloadfield.errors import MechanismError, UnitsError
from payloadfield.mechanism.calculus import simplify
from payloadfield.mechanism.dimensions import check_dimension, internal_unit
from payloadfield.mechanism.expressions import FUNCTIONS, parse
from payloadfield.mechanism.model import CONSTANTS
from payloadfield.mechanism.nodes import Expr, symbols
from payloadfield.mechanism.stoichiometry import polynomial
from payloadfield.units import Dimension, dimension

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}", re.ASCII)
_RESERVED = {*CONSTANTS, *FUNCTIONS}


def near(name: str, known: Collection[str]) -> str:
    """A hint for a misspelled name, and otherwise what is known."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(repr(item) for item in close)}?"
    return f"known: {', '.join(sorted(known)) or 'none'}"


class Table:
    """One TOML table and where it stands in the file."""

    def __init__(self, data: dict[str, Any], file: str, path: str) -> None:
        self.data, self.file, self.path = data, file, path

    @property
    def where(self) -> str:
        """File and key, for messages."""
        return f"{self.file}, {self.path}" if self.path else self.file

    def refuse(self, key: str, reason: str) -> MechanismError:
        """The error for a key of this table."""
        path = f"{self.path}.{key}" if self.path else key
        return MechanismError(f"{self.file}, {path}: {reason}")

    def allow(self, keys: Collection[str]) -> bool:
        """Refuse keys other than these."""
        for key in self.data:
            if key not in keys:
                raise self.refuse(key, f"unknown key; allowed: {', '.join(keys)}; {near(key, keys)}")
        return True

    def child(self, key: str) -> Table:
        """The table under a key; empty if there is none."""
        value = self.data.get(key, {})
        if not isinstance(value, dict):
            raise self.refuse(key, f"got {value!r:.80}; a table is needed")
        return Table(value, self.file, f"{self.path}.{key}" if self.path else key)

    def children(self, key: str) -> list[tuple[str, Table]]:
        """The tables under a key, in the order of the file."""
        group = self.child(key)
        return [(name, group.child(name)) for name in group.data]

    def optional_text(self, key: str) -> str | None:
        """A string, if the key is there."""
        value = self.data.get(key)
        if value is not None and not isinstance(value, str):
            raise self.refuse(key, f"got {value!r:.80}; a string is needed")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A string; without a default it has to be there."""
        value = self.optional_text(key)
        if value is None and default is None:
            raise self.refuse(key, "missing")
        return value if value is not None else str(default)

    def flag(self, key: str) -> bool:
        """True or false; false if the key is not there."""
        value = self.data.get(key, False)
        if not isinstance(value, bool):
            raise self.refuse(key, f"got {value!r:.80}; true or false is needed")
        return value

    def unit(self, key: str) -> Dimension:
        """Dimension of the unit under a key."""
        text = self.text(key)
        try:
            return dimension(text)
        except UnitsError as error:
            raise self.refuse(key, str(error)) from error


class Names:
    """What has been declared so far: the dimension of every name, and who may use it where."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.moieties: tuple[str, ...] = ()
        self.contents: Mapping[str, Mapping[str, Expr]] = {}
        self.dimensions: dict[str, Dimension] = {"N_A": dimension("molecules / nM / um^3")}
        self.kinds: dict[str, str] = {"N_A": "constant"}

    def check_spelling(self, name: str, where: str) -> None:
        """Refuse what is no name, or the name of a function or constant."""
        if not _NAME.fullmatch(name):
            raise MechanismError(f"{where}: '{name:.80}' is no name; use a letter, then letters, digits or _, up to 60")
        if name in _RESERVED:
            raise MechanismError(f"{where}: '{name}' is a function or constant of expressions; choose another name")

    def declare_parameter(self, name: str, unit: Dimension, per: str, where: str) -> str:
        """Note a parameter; returns its unit in internal bases."""
        self._declare(name, per, unit, where)
        return internal_unit(unit)

    def declare_species(self, name: str, kind: str, unit: str | Dimension, where: str) -> None:
        """Note a field, state, accumulator or exposure."""
        self._declare(name, kind, dimension(unit) if isinstance(unit, str) else unit, where)

    def _declare(self, name: str, kind: str, unit: Dimension, where: str) -> None:
        self.check_spelling(name, where)
        if name in self.kinds:
            first = {"study": "a parameter", "cell": "a parameter"}.get(self.kinds[name], f"one of {self.kinds[name]}")
            raise MechanismError(f"{where}: the name '{name}' is taken: it is {first} already; names are used once")
        self.kinds[name] = kind
        self.dimensions[name] = unit

    def unit_of(self, name: str) -> str:
        """Unit of a name in internal bases."""
        return internal_unit(self.dimensions[name])

    def of_kind(self, *kinds: str) -> list[str]:
        """Names of these kinds, in the order of the file."""
        return [name for name, kind in self.kinds.items() if kind in kinds]

    @property
    def study_names(self) -> list[str]:
        """What an expression of the study may use."""
        return self.of_kind("constant", "study")

    @property
    def parameter_names(self) -> list[str]:
        """What an expression for each cell may use."""
        return self.of_kind("constant", "study", "cell")

    @property
    def cell_rate_names(self) -> list[str]:
        """What the rate of a cell reaction or exposure may use."""
        return self.of_kind("constant", "study", "cell", "fields", "states", "fates", "living")

    @property
    def voxel_rate_names(self) -> list[str]:
        """What the rate of a voxel or bath reaction may use."""
        return self.of_kind("constant", "study", "fields")

    def optional_expression(self, table: Table, key: str, unit: str, allowed: list[str]) -> Expr | None:
        """An expression under a key, if it is there."""
        return self.expression(table, key, unit, allowed) if key in table.data else None

    def expression(self, table: Table, key: str, unit: str, allowed: list[str]) -> Expr:
        """The expression under a key: its names are allowed, its unit is `unit`, its constants are finite."""
        where = f"{table.where}.{key}"
        expr = parse(_expression_text(table, key), where)
        for name in sorted(symbols(expr)):
            if name not in allowed:
                raise MechanismError(f"{where}: in '{expr}', {self._not_allowed(name, allowed)}")
        check_dimension(expr, self.dimensions, unit, where)
        try:
            simplify(expr)
        except MechanismError as error:
            raise MechanismError(f"{where}: in '{expr}', {error}") from error
        return expr

    def _not_allowed(self, name: str, allowed: list[str]) -> str:
        words = {"cell": "a parameter of each cell", "study": "a parameter of the study"}
        if name in self.kinds:
            kind = words.get(self.kinds[name], f"one of {self.kinds[name]}")
            return f"'{name}' cannot be used here: it is {kind}; allowed: {', '.join(allowed)}"
        return f"'{name}' is neither a parameter nor a species; {near(name, allowed)}"

    def contains(self, table: Table) -> dict[str, Expr]:
        """Molecules of each moiety per molecule: numbers, or pure-number parameters of the study."""
        group = table.child("contains")
        result = {}
        for moiety in group.data:
            if moiety not in self.moieties:
                raise group.refuse(moiety, f"unknown moiety; {near(moiety, self.moieties)}")
            result[moiety] = self.expression(group, moiety, "1", self.study_names)
            try:
                polynomial(simplify(result[moiety]))
            except MechanismError as error:
                raise group.refuse(moiety, str(error)) from error
        return result


def _expression_text(table: Table, key: str) -> str:
    value = table.data.get(key)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise table.refuse(key, "missing" if value is None else f"got {value!r:.80}; an expression is needed")
    return value if isinstance(value, str) else repr(value)

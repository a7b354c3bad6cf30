"""Reads the TOML files of the library once, and finds entries by name."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from typing import Any

from payloadfield.errors import LibraryError
from payloadfield.library.entry import Entry, make_conjugate
from payloadfield.library.quantity import Quantity

#: File of each kind of entry.
_FILES = {
    "antibody": "antibodies",
    "linker": "linkers",
    "payload": "payloads",
    "antigen": "antigens",
    "cell_type": "cell_types",
    "material": "materials",
    "protease": "proteases",
    "inhibitor": "inhibitors",
    "senolytic": "senolytics",
    "effector": "effectors",
    "vesicle": "vesicles",
    "bridge": "bridges",
    "fate": "fates",
    "secreted": "secreted",
    "resistance": "resistances",
    "bath_medium": "bath_media",
    "culture": "cultures",
    "setup": "setups",
    "pharmacokinetics": "pharmacokinetics",
    "observation": "observations",
}
KINDS = ("conjugate", *_FILES)

_PART = "part."  # in conjugates.toml: replaces a value of a part
_DEFAULT = "default"  # in a file: values of every entry without its own


@dataclass(frozen=True)
class Library:
    """Everything known, by kind and name.

    defaults: by kind, the values of an entry without its own.
    """

    entries: Mapping[str, Mapping[str, Entry]]
    defaults: Mapping[str, Entry]

    def names(self, kind: str | None = None) -> tuple[str, ...]:
        """Names of all entries, or of one kind."""
        return tuple(name for each in ((kind,) if kind else KINDS) for name in self.entries[each])

    def find(self, name: str, kind: str | None = None) -> Entry:
        """Entry by name or alias.  Raises LibraryError with the nearest names where there is none."""
        for each in (kind,) if kind else KINDS:
            for entry in self.entries[each].values():
                if name == entry.name or name in entry.aliases:
                    return entry
        raise LibraryError(f"library: there is no {_spell(kind)} {name!r}; {self.hint(name, kind)}")

    def has(self, name: str, kind: str) -> bool:
        """Whether an entry of this kind goes by this name or alias."""
        return any(name == entry.name or name in entry.aliases for entry in self.entries[kind].values())

    def suggest(self, name: str, kind: str | None = None) -> tuple[str, ...]:
        """Names and aliases nearest to a misspelt one, the best first."""
        known = {}
        for each in (kind,) if kind else KINDS:
            for entry in self.entries[each].values():
                known.update({alias.casefold(): alias for alias in (*entry.aliases, entry.name)})
        return tuple(known[match] for match in get_close_matches(name.casefold(), list(known), n=3, cutoff=0.5))

    def hint(self, name: str, kind: str | None = None) -> str:
        """End of a message about an unknown name: the nearest ones, or all of them."""
        near = self.suggest(name, kind)
        if near:
            return "did you mean " + " or ".join(repr(each) for each in near) + "?"
        return "there are: " + ", ".join(self.names(kind))


@lru_cache(maxsize=1)
def load_library() -> Library:
    """The library that comes with payloadfield.  Raises LibraryError for a malformed entry."""
    sources = _read("sources")
    tables = {kind: _read(name) for kind, name in _FILES.items()}
    defaults = {kind: _entry(kind, _DEFAULT, each.pop(_DEFAULT, {}), sources) for kind, each in tables.items()}
    entries = {kind: _load_kind(kind, each, defaults[kind], sources) for kind, each in tables.items()}
    found = Library({"conjugate": {}, **entries}, defaults)
    conjugates = {name: _conjugate(name, table, found, sources) for name, table in _read("conjugates").items()}
    return Library({"conjugate": conjugates, **entries}, defaults)


def _spell(kind: str | None) -> str:
    return (kind or "entry").replace("_", " ")


def _read(name: str) -> dict[str, Any]:
    text = files("payloadfield.library").joinpath("data", f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _load_kind(kind: str, tables: dict[str, Any], default: Entry, sources: Mapping[str, Any]) -> dict[str, Entry]:
    entries = {}
    for name, table in tables.items():
        own = _entry(kind, name, table, sources)
        entries[name] = Entry(kind, name, own.doc, own.aliases, {**default.values, **own.values}, own.labels)
    return entries


def _entry(kind: str, name: str, table: dict[str, Any], sources: Mapping[str, Any]) -> Entry:
    values, labels = {}, {}
    for path, leaf in _leaves(table):
        if isinstance(leaf, dict):
            values[path] = _quantity(f"{kind}.{name}.{path}", leaf, sources)
        elif isinstance(leaf, str):
            labels[path] = leaf
    return Entry(kind, name, labels.pop("doc", ""), tuple(table.get("aliases", ())), values, labels)


def _leaves(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Quantities (tables with a value) and words below a table, by dotted path."""
    for key, value in table.items():
        if isinstance(value, dict) and "value" not in value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _quantity(place: str, leaf: dict[str, Any], sources: Mapping[str, Any]) -> Quantity:
    source = sources.get(leaf["source"])
    if source is None:
        raise LibraryError(f"library, {place}: got source {leaf['source']!r}, which sources.toml does not list")
    conditions = f"; conditions: {leaf['conditions']}" if "conditions" in leaf else ""
    return Quantity(
        value=float(leaf["value"]),
        unit=leaf["unit"],
        low=float(leaf["low"]) if "low" in leaf else None,
        high=float(leaf["high"]) if "high" in leaf else None,
        grade=leaf["grade"],
        citation=source["citation"],
        doi=source["doi"],
        note=leaf["note"] + conditions,
        key=leaf.get("key", place),
    )


def _conjugate(name: str, table: dict[str, Any], library: Library, sources: Mapping[str, Any]) -> Entry:
    own = _entry("conjugate", name, table, sources)
    values = {path.removeprefix(_PART): value for path, value in own.values.items()}
    antibody, linker, payload = (library.find(own.labels[role], role) for role in ("antibody", "linker", "payload"))
    made = make_conjugate(name, antibody, linker, payload, values)
    return Entry("conjugate", name, own.doc, own.aliases, made.values, made.labels)

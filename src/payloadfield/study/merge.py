"""Library entries with the values that a study puts in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from payloadfield.library import UNITS, Entry, Library, limits_of, unit_of
from payloadfield.study.leaves import Leaf, LeafReader
from payloadfield.study.merged import PARTS, Merged
from payloadfield.study.overrides import Path
from payloadfield.study.problems import Problems, did_you_mean, join_path
from payloadfield.study.resistance import KEY as RESISTANCE
from payloadfield.study.resistance import apply_resistances
from payloadfield.units import parse_quantity

# Keys that hold words, by kind of entry.
_WORDS = {
    "conjugate": ("doc", "antibody.antigen", "payload.target_protein", *(f"{role}.name" for role in PARTS)),
    "cell_type": ("doc",),
    "material": ("doc", "kind"),
    "protease": ("doc",),
    "setup": ("doc", "cell_type"),
    **dict.fromkeys(("inhibitor", "senolytic", "effector", "vesicle", "bridge", "fate", "secreted"), ("doc",)),
}
_ABOVE_ZERO = ("volume", "radius")
_RESISTANT = ("conjugate", "cell_type")
_BY_FIELD = ("relative_diffusivity", "diffusivity", "accessible_fraction", "permeability")


class Merger:
    """Puts the tables of a study over the library."""

    def __init__(self, library: Library, reader: LeafReader, more_units: Mapping[str, Mapping[str, str]]) -> None:
        """more_units: units of values that only the mechanism knows, by kind and path."""
        self.library = library
        self.reader = reader
        self.problems: Problems = reader.problems
        self._more_units = more_units
        self.payload_target: str | None = None  # what the study's payload binds, once the agent is known
        self.warnings: list[str] = []

    def merge(self, kind: str, table: str, name: str, tables: Mapping[str, Any]) -> Merged | None:
        """The entry `name`: from the library, `based_on` another, or new; None where it is nowhere to be found.

        tables: all tables of this kind in the study, by name.
        """
        return self._merge(kind, table, name, tables, ())

    def _merge(
        self, kind: str, table: str, name: str, tables: Mapping[str, Any], seen: tuple[str, ...]
    ) -> Merged | None:
        own = tables.get(name, {})
        base = own.get("based_on") if isinstance(own, Mapping) else None
        if base is not None and base != name:
            merged = self._based_on(kind, table, name, base, tables, seen)
        elif self.library.has(name, kind):
            merged = _of_library(self.library.find(name, kind), table, name)
        elif name in tables:
            merged = _of_library(self.library.defaults.get(kind) or Entry(kind, name), table, name, "default")
        else:
            return None
        if merged is not None:
            self._put_over(merged, kind, own, (table, name))
            if RESISTANCE in own:
                self.warnings += apply_resistances(
                    merged, kind, own[RESISTANCE], self.library, self.problems, self.payload_target
                )
        return merged if kind != "conjugate" or merged is None or self._is_whole(merged) else None

    def _is_whole(self, merged: Merged) -> bool:
        """Whether an agent has its parts: a payload alone, or all of them; notes what is missing."""
        lacking = [role for role in PARTS if role not in merged.parts]
        if lacking and lacking != ["antibody", "linker"]:
            whole = "an agent is antibody, linker, payload and DAR, or a payload alone"
            near = get_close_matches(merged.name, self.library.names("conjugate"), n=1)
            hint = f"; did you mean {near[0]!r}?" if near and near[0] != merged.name else ""
            for role in lacking:
                self.problems.add(merged.key(role), f"is missing: {whole}{hint}")
            return False
        if not lacking and "DAR" not in merged.leaves:
            self.problems.add(merged.key("DAR"), "is missing: how many payloads an antibody carries, such as 8")
            return False
        return True

    def _based_on(
        self, kind: str, table: str, name: str, base: Any, tables: Mapping[str, Any], seen: tuple[str, ...]
    ) -> Merged | None:
        key = f"{table}.{name}.based_on"
        if not isinstance(base, str) or base in (*seen, name):
            self.problems.add(key, f"got {base!r}; the name of another entry is needed, not one based on this one")
            return None
        merged = self._merge(kind, table, base, tables, (*seen, name))
        if merged is None:
            if base not in tables:  # else its own refusal was noted
                known = (*tables, *self.library.names(kind))
                self.problems.add(key, f"there is no {kind.replace('_', ' ')} {base!r}; {did_you_mean(base, known)}")
            return None
        return Merged(table, name, dict(merged.leaves), dict(merged.labels))

    def merge_single(self, kind: str, table: str, name: str, own: Mapping[str, Any]) -> Merged | None:
        """The entry of a table that holds one thing, such as [protease]; `based_on` names another of the library."""
        base = own.get("based_on", name)
        if not isinstance(base, str) or not self.library.has(base, kind):
            self.problems.add(f"{table}.based_on", f"got {base!r}; {did_you_mean(base, self.library.names(kind))}")
            return None
        merged = _of_library(self.library.find(base, kind), table, "")
        self._put_over(merged, kind, own, (table,))
        return merged

    def canonical(self, kind: str, name: str) -> str:
        """The library's name for an alias; any other name as it is."""
        return self.library.find(name, kind).name if self.library.has(name, kind) else name

    def _put_over(self, merged: Merged, kind: str, own: Mapping[str, Any], path: Path) -> None:
        reserved = ("based_on", RESISTANCE) if kind in _RESISTANT else ("based_on",)
        rest = {key: value for key, value in own.items() if key not in reserved}
        if kind == "conjugate":
            for role in PARTS:
                if role in rest:
                    rest[role] = self._replace_part(merged, role, rest[role], (*path, role))
        if kind == "material":
            for key in _BY_FIELD:
                if key in rest and not _is_branch(rest[key]):
                    _drop(merged, key)
                    rest[key] = {"default": rest[key]}
        for leaf_path, given in _leaves(rest):
            self._put_leaf(merged, kind, leaf_path, given, path)

    def _replace_part(self, merged: Merged, role: str, given: Any, path: Path) -> dict[str, Any]:
        """Replace a part of a conjugate by another of the library; what is left to put over it."""
        table = {"based_on": given} if isinstance(given, str) else given
        if not isinstance(table, Mapping):
            self.problems.add(join_path(*path), f"got {given!r}; the name of a {role} or a table is needed")
            return {}
        base = table.get("based_on")
        if base is not None and base != merged.labels.get(role):
            if not isinstance(base, str) or not self.library.has(base, role):
                known = did_you_mean(str(base), self.library.names(role))
                self.problems.add(join_path(*path), f"there is no {role} {base!r}; {known}")
                return {}
            _drop(merged, role)
            merged.leaves.pop("molecular_weight", None)  # that of the whole was with the other part
            part = self.library.find(base, role)
            merged.leaves |= {f"{role}.{p}": Leaf(quantity, "library") for p, quantity in part.values.items()}
            merged.labels |= {f"{role}.{p}": text for p, text in part.labels.items()} | {role: part.name}
        elif role not in merged.parts and table:  # of its own: what it does not say is as for any
            values = self.library.defaults[role].values.items()
            merged.leaves |= {f"{role}.{p}": Leaf(quantity, "default") for p, quantity in values}
        return {key: value for key, value in table.items() if key != "based_on"}

    def _put_leaf(self, merged: Merged, kind: str, leaf_path: str, given: Any, path: Path) -> None:
        place = (*path, *leaf_path.split("."))
        if leaf_path in _WORDS[kind]:
            if isinstance(given, str):
                merged.labels[_word_path(leaf_path)] = given
            else:
                self.problems.add(join_path(*place), f"got {given!r}; a text in quotes is needed")
            return
        unit = unit_of(kind, leaf_path) or self._more_units.get(kind, {}).get(leaf_path)
        if unit is None:
            self.problems.add(join_path(*place), f"unknown key; {did_you_mean(leaf_path, self._known(kind))}")
            return
        leaf = self.reader.read(given, unit, place)
        if leaf is None:
            return
        if leaf.quantity.value < 0 or (leaf.quantity.value == 0 and leaf_path in _ABOVE_ZERO):
            limit = "above" if leaf_path in _ABOVE_ZERO else "of at least"
            self.problems.add(join_path(*place), f"got {leaf.quantity.text!r}; a number {limit} 0 is needed")
            return
        self._refuse_impossible(leaf, leaf_path, unit, join_path(*place))
        merged.leaves[leaf_path] = leaf

    def _refuse_impossible(self, leaf: Leaf, path: str, unit: str, key: str) -> None:
        limits = limits_of(path, unit)
        if not limits.hold(parse_quantity(leaf.quantity.text, unit, key)):
            self.problems.add(key, f"got {leaf.quantity.text!r}; {limits.text(unit)} is possible: check it")

    def _known(self, kind: str) -> tuple[str, ...]:
        parts = PARTS if kind == "conjugate" else ()
        units = (path.replace("*", "NAME") for path in UNITS[kind])
        more = (RESISTANCE,) if kind in _RESISTANT else ()
        return (*units, *self._more_units.get(kind, {}), *parts, *_WORDS[kind], "based_on", *more)


def _of_library(entry: Entry, table: str, name: str, origin: str = "library") -> Merged:
    leaves = {path: Leaf(quantity, origin) for path, quantity in entry.values.items()}
    return Merged(table, name, leaves, dict(entry.labels))


def _drop(merged: Merged, prefix: str) -> None:
    for values in (merged.leaves, merged.labels):
        for path in [each for each in values if each == prefix or each.startswith(f"{prefix}.")]:
            del values[path]


def _is_branch(value: Any) -> bool:
    """Whether a table holds further keys, rather than one value with its source."""
    return isinstance(value, Mapping) and "value" not in value


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if _is_branch(value):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _word_path(path: str) -> str:
    """A part of a conjugate is labelled by its name: antibody.name -> antibody."""
    head, _, last = path.rpartition(".")
    return head if last == "name" and head else path

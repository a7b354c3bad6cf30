"""Composition: the tables of a mechanism and of its modules put together into one, before anything is read.

An entry may say `when` or `unless`: names of modules (or "MODULE.CHOICE") that are all on, or of which none is; and
`after`: the entry behind which it stands in the arrays, otherwise the end; and `called`: its name, where two that
exclude each other share one.  [scale.reactions.SCOPE] multiplies the rate
of a reaction that another file declares (NAME_back: of the way back), [scale.fields] the diffusivity of a field.
[definitions] gives names to parts of expressions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from payloadfield.errors import MechanismError
from payloadfield.mechanism.expressions import FUNCTIONS, MAX_LENGTH
from payloadfield.mechanism.model import CONSTANTS
from payloadfield.mechanism.modules import Module, Setting
from payloadfield.mechanism.tables import near

_NESTED = ("reactions",)  # their entries are one level deeper
_SCALED = {"reactions": "rate", "fields": "diffusivity"}
_SCALE, _DEFINITIONS = "scale", "definitions"
_MODES = ("fate",)  # modules whose choice is a key of the mechanism itself
_HINTS = ("when", "unless", "after", "called")
_EXPRESSIONS = ("rate", "back", "initial", "typical", "diffusivity", "hazard", "lysis", "strength", "reach")
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_MAX_ROUNDS = 20  # of definitions within definitions
Place = tuple[str, ...]


@dataclass
class Composition:
    """The tables of all files together; origin: the file's module by place of the entry, "" for the main file."""

    data: dict[str, Any] = field(default_factory=dict)
    origin: dict[Place, str] = field(default_factory=dict)


def compose(
    main: Mapping[str, Any], file: str, modules: Iterable[Module], settings: Mapping[str, Setting]
) -> Composition:
    """The main file and the modules that are on, in this order, as one table; the choice of a mode stands at its name.

    Raises MechanismError for an entry that is there twice and for a scale of a reaction that is not there.
    """
    composer = _Composer(settings)
    composer.add(main, file, "")
    on = [module for module in modules if settings.get(module.name)]
    for module in on:
        composer.add(module.data, module.file, module.name)
        if module.name in _MODES:
            composer.result.data[module.name] = settings[module.name]
    composer.order_all()
    composer.scale_all()
    _expand_definitions(composer.result.data, composer.files)
    return composer.result


class _Composer:
    def __init__(self, settings: Mapping[str, Setting]) -> None:
        self.settings = settings
        self.result = Composition()
        self.files: dict[Place, str] = {}
        self.anchors: dict[Place, dict[str, str]] = {}
        self.scales: list[tuple[str, Place, str, str]] = []

    def add(self, data: Mapping[str, Any], file: str, module: str) -> None:
        for key, value in data.items():
            if key == _SCALE:
                self._note_scales(value, file)
            elif not isinstance(value, Mapping):
                if module or key in (_DEFINITIONS, *_SCALED):
                    raise MechanismError(f"{file}, {key}: got {value!r:.80}; only tables are added here")
                self.result.data[key] = value
            else:
                for group, entries in _groups(key, value, file):
                    self._add_group(group, entries, file, module)

    def _add_group(self, group: Place, entries: Mapping[str, Any], file: str, module: str) -> None:
        target = self.result.data
        for part in group:
            target = target.setdefault(part, {})
        for name, entry in entries.items():
            where = f"{file}, {'.'.join((*group, name))}"
            own = dict(entry) if isinstance(entry, Mapping) else entry
            hints = {key: own.pop(key, None) for key in _HINTS} if isinstance(own, dict) else {}
            if not self._is_wanted(hints, where):
                continue
            name = name if hints.get("called") is None else _word(hints["called"], f"{where}.called")
            place = (*group, name)
            if place in self.files:
                raise MechanismError(f"{where}: is declared in {self.files[place]} already; names are used once")
            self.files[place], self.result.origin[place] = file, module
            target[name] = own
            if hints.get("after") is not None:
                self.anchors.setdefault(group, {})[name] = _word(hints["after"], f"{where}.after")

    def _is_wanted(self, hints: Mapping[str, Any], where: str) -> bool:
        when, unless = (_listed(hints.get(key), f"{where}.{key}") for key in ("when", "unless"))
        return all(self._is_on(name, where) for name in when) and not any(self._is_on(name, where) for name in unless)

    def _is_on(self, name: str, where: str) -> bool:
        module, _, choice = name.partition(".")
        if module not in self.settings:
            raise MechanismError(f"{where}: {module!r} is no module; {near(module, self.settings)}")
        setting = self.settings[module]
        return setting == choice if choice else bool(setting)

    def order_all(self) -> None:
        """Put every entry with `after` behind the one it names; where that is off, the entry stays where it is."""
        for group, anchors in self.anchors.items():
            table = self.result.data
            for part in group:
                table = table[part]
            names = [name for name in table if anchors.get(name) not in table]
            _place_behind(names, {name: after for name, after in anchors.items() if after in table})
            ordered = {name: table[name] for name in (*names, *table)}  # those in a circle stay at the end
            table.clear()
            table |= ordered

    def _note_scales(self, table: Any, file: str) -> None:
        for key, value in _table(table, f"{file}, {_SCALE}").items():
            if key not in _SCALED:
                allowed = "[scale.reactions.cell] and the like, and [scale.fields] for diffusivities"
                raise MechanismError(f"{file}, {_SCALE}.{key}: cannot be scaled; allowed: {allowed}")
            for group, entries in _groups(key, _table(value, f"{file}, {_SCALE}.{key}"), f"{file}, {_SCALE}"):
                for name, entry in entries.items():
                    where = f"{file}, {'.'.join((_SCALE, *group, name))}"
                    own = dict(entry) if isinstance(entry, Mapping) else {"factor": entry}
                    if self._is_wanted(own, where):
                        self.scales.append((where, group, name, _factor(own, where)))

    def scale_all(self) -> None:
        """Multiply rates and diffusivities by the factors of other files."""
        for where, group, name, factor in self.scales:
            entries: dict[str, Any] = self.result.data
            for key in group:
                entries = entries.get(key, {})
            entry, part = entries.get(name), _SCALED[group[0]]
            if entry is None and name.endswith("_back"):
                entry, part = entries.get(name.removesuffix("_back")), "back"
            if not isinstance(entry, dict) or part not in entry:
                raise MechanismError(f"{where}: there is nothing of this name to scale; {near(name, entries)}")
            entry[part] = f"({entry[part]}) * ({factor})"


def _groups(key: str, value: Mapping[str, Any], file: str) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    if key not in _NESTED:
        yield (key,), value
        return
    for scope, entries in value.items():
        yield (key, scope), _table(entries, f"{file}, {key}.{scope}")


def _place_behind(names: list[str], anchors: Mapping[str, str]) -> None:
    """Insert each name behind its anchor, in the order in which they come where they share one."""
    waiting = dict(anchors)
    while ready := [name for name, anchor in waiting.items() if anchor in names]:
        for name in reversed(ready):
            names.insert(names.index(waiting.pop(name)) + 1, name)


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise MechanismError(f"{where}: got {value!r:.80}; a table is needed")
    return value


def _listed(value: Any, where: str) -> list[str]:
    names = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise MechanismError(f"{where}: got {value!r:.80}; the name of a module, or a list of names, is needed")
    return names


def _word(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise MechanismError(f"{where}: got {value!r:.80}; a name is needed")
    return value


def _factor(own: Mapping[str, Any], where: str) -> str:
    for key in own:
        if key not in ("factor", "when", "unless"):
            raise MechanismError(f"{where}.{key}: unknown key; allowed: factor, when, unless")
    factor = own.get("factor")
    if not isinstance(factor, str) or not factor.strip():
        raise MechanismError(f"{where}: got {factor!r:.80}; an expression is needed")
    return factor


def _expand_definitions(data: dict[str, Any], files: Mapping[Place, str]) -> None:
    """Write the expression of every definition in place of its name, in parentheses, and drop the definitions."""
    table = data.pop(_DEFINITIONS, {})
    definitions = {}
    for name, entry in table.items():
        where = f"{files[_DEFINITIONS, name]}, {_DEFINITIONS}.{name}"
        _check_free(name, data, where)
        definitions[name] = _definition(entry, where)
    _expand_in(data, {name: _resolved(name, definitions, files) for name in definitions})


def _resolved(name: str, definitions: Mapping[str, str], files: Mapping[Place, str]) -> str:
    """A definition without the names of others."""
    text = definitions[name]
    for _ in range(_MAX_ROUNDS):
        if not set(_NAME.findall(text)) & set(definitions):
            return text
        text = _expanded(text, definitions)
        if len(text) > MAX_LENGTH:
            break
    where = f"{files[_DEFINITIONS, name]}, {_DEFINITIONS}.{name}"
    raise MechanismError(f"{where}: names itself, in a circle of definitions, or is too long")


def _check_free(name: str, data: Mapping[str, Any], where: str) -> None:
    """Refuse a definition whose name cannot stand in an expression, or means something else there."""
    if not _NAME.fullmatch(name) or name in (*FUNCTIONS, *CONSTANTS):
        raise MechanismError(f"{where}: '{name:.80}' is no name for a part of expressions")
    taken = [group for group, entries in data.items() if isinstance(entries, Mapping) and name in entries]
    if taken:
        raise MechanismError(f"{where}: the name is taken by one of {taken[0]}; names are used once")


def _definition(entry: Any, where: str) -> str:
    text = entry.get("expression") if isinstance(entry, Mapping) else entry
    if not isinstance(text, str) or (isinstance(entry, Mapping) and set(entry) - {"expression", "doc"}):
        raise MechanismError(f"{where}: got {entry!r:.80}; an expression, or a table of expression and doc, is needed")
    return text


def _expanded(text: str, definitions: Mapping[str, str]) -> str:
    return _NAME.sub(lambda found: f"({definitions[found[0]]})" if found[0] in definitions else found[0], text)


def _expand_in(table: dict[str, Any], definitions: Mapping[str, str]) -> None:
    for key, value in table.items():
        if isinstance(value, dict):
            _expand_in(value, definitions)
        elif isinstance(value, str) and key in _EXPRESSIONS:
            table[key] = _expanded(value, definitions)

"""Modules of a mechanism: parts of its file that are on or off by name, each in a file of its own with a head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from payloadfield.errors import MechanismError
from payloadfield.mechanism.tables import near

HEAD = ("name", "doc", "default", "needs", "excludes", "choices")
Setting = bool | str
"""Whether a module is on; where it has choices, which of them."""


@dataclass(frozen=True)
class Module:
    """One file: what it adds (`data`, without its head), whether it is on by default, and what it goes with.

    needs: modules that have to be on with it.  excludes: modules that cannot be.  choices: ways to be on, the first of
    which `true` stands for.
    """

    name: str
    doc: str
    is_default: bool
    needs: tuple[str, ...]
    excludes: tuple[str, ...]
    choices: tuple[str, ...]
    data: dict[str, Any]
    file: str


def read_module(data: Mapping[str, Any], file: str, name: str) -> Module:
    """A module from the tables of its file.  Raises MechanismError for a head that cannot be read."""
    own = data.get("name", name)
    if own != name:
        raise MechanismError(f"{file}, name: got {own!r}; a module is named like its file, {name!r}")
    return Module(
        name=name,
        doc=_text(data, file),
        is_default=_flag(data, file),
        needs=_names(data, "needs", file),
        excludes=_names(data, "excludes", file),
        choices=_names(data, "choices", file),
        data={key: value for key, value in data.items() if key not in HEAD},
        file=file,
    )


def _text(data: Mapping[str, Any], file: str) -> str:
    doc = data.get("doc", "")
    if not isinstance(doc, str):
        raise MechanismError(f"{file}, doc: got {doc!r:.80}; a text is needed")
    return doc


def _flag(data: Mapping[str, Any], file: str) -> bool:
    value = data.get("default", False)
    if not isinstance(value, bool):
        raise MechanismError(f"{file}, default: got {value!r:.80}; true or false is needed")
    return value


def _names(data: Mapping[str, Any], key: str, file: str) -> tuple[str, ...]:
    names = data.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise MechanismError(f"{file}, {key}: got {names!r:.80}; a list of names is needed")
    return tuple(names)


def settle(
    modules: Mapping[str, Module], chosen: Mapping[str, Any]
) -> tuple[dict[str, Setting], list[tuple[str, str]]]:
    """Which modules are on, and everything that is wrong with the choice, as (module, reason).

    chosen: `true`, `false` or one of its choices, by name; the others are as by default.
    """
    settings: dict[str, Setting] = {}
    wrong = [(name, f"unknown module; {near(name, modules)}") for name in chosen if name not in modules]
    for name, module in modules.items():
        settings[name] = _setting(module, module.is_default)
        if name in chosen:
            reason = _refusal(module, chosen[name])
            if reason:
                wrong.append((name, reason))
            else:
                settings[name] = _setting(module, chosen[name])
    for name, setting in settings.items():
        if setting:
            wrong += [(name, reason) for reason in _conflicts(modules[name], settings, chosen)]
    return settings, wrong


def _setting(module: Module, value: Setting) -> Setting:
    return module.choices[0] if value is True and module.choices else value


def _refusal(module: Module, value: Any) -> str:
    if isinstance(value, bool) or (isinstance(value, str) and value in module.choices):
        return ""
    ways = "".join(f", {choice!r}" for choice in module.choices)
    return f"got {value!r:.80}; allowed: true, false{ways}"


def _conflicts(module: Module, settings: Mapping[str, Setting], chosen: Mapping[str, Any]) -> list[str]:
    found = []
    for other in module.needs:
        if other not in settings:
            found.append(f"needs the module {other!r}, which is not there")
        elif not settings[other]:
            state = "is off by default" if other not in chosen else "is turned off"
            found.append(f"needs the module {other!r}, which {state}; set modules.{other} = true")
    for other in module.excludes:
        if settings.get(other):
            found.append(f"cannot be on together with {other!r}; set modules.{other} or modules.{module.name} = false")
    return found

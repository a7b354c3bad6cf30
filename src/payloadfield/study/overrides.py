"""`--set key=value`: changes one key of a study by its dotted path, before anything is checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from payloadfield.errors import StudyError
from payloadfield.library import Library

Path = tuple[str | int, ...]

#: Tables whose keys are names, which may themselves hold dots, and the kind of library entry they name.
NAMED_TABLES = {"agents": "conjugate", "cell_types": "cell_type", "materials": "material"}
NAMED_TABLES |= {f"{kind}s": kind for kind in ("inhibitor", "senolytic", "effector", "vesicle", "bridge", "fate")}
NAMED_TABLES |= {"secreted": "secreted"}

_SEGMENT = re.compile(r'"([^"]*)"|\[(\d+)\]|([^.\["]+)')
_PARTS = ("antibody", "linker", "payload")


def apply_overrides(raw: dict[str, Any], overrides: Sequence[str], library: Library) -> frozenset[Path]:
    """Write each `key=value` into the tables in place; the paths that were set.

    overrides: texts such as "agents.T-DXd.linker.kcat_over_km=1e5 / M / s".  A value is TOML, or else plain text.
    Raises StudyError for a text without "=", for a path through something that is no table, and for two values of one.
    """
    paths: list[Path] = []
    said: dict[tuple[str, ...], tuple[str, Any]] = {}
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise StudyError(f"--set {text}: key=value is needed, such as solver.rtol=1e-3")
        path = split_path(key.strip(), raw, library)
        new = _value(value.strip())
        before, known = said.setdefault(tuple(map(str, path)), (text, new))
        if known != new:
            raise StudyError(f"--set {text}: --set {before} gives another value for the same key; keep one of them")
        _write(raw, path, new, f"--set {text}")
        paths.append(path)
    return frozenset(paths)


def apply_changes(raw: dict[str, Any], changes: Mapping[str, Any], library: Library, where: str) -> frozenset[Path]:
    """Write values into the tables in place, by dotted key; the paths that were set.

    where: how messages refer to the changes.  Raises StudyError for a path through something that is no table.
    """
    paths = []
    for key, value in changes.items():
        path = split_path(key.strip(), raw, library)
        if not path:
            raise StudyError(f"{where}: got an empty key; a dotted key such as agents.T-DXd.DAR is needed")
        _write(raw, path, value, f"{where}, {key}")
        paths.append(path)
    return frozenset(paths)


def split_path(key: str, raw: dict[str, Any], library: Library) -> Path:
    """Dotted key as a path; names of agents, cell types and materials are matched whole, the longest first."""
    head, _, rest = key.partition(".")
    if head in NAMED_TABLES and rest and not rest.startswith('"'):
        kind = NAMED_TABLES[head]
        tables = raw.get(head)
        known = [*(tables if isinstance(tables, dict) else ()), *_library_names(library, kind)]
        name = _longest_prefix(rest, known)
        if name:
            return (head, name, *_segments(rest[len(name) + 1 :]))
    return _segments(key)


def _library_names(library: Library, kind: str) -> Iterable[str]:
    for entry in library.entries[kind].values():
        yield from (entry.name, *entry.aliases)


def _longest_prefix(text: str, names: Iterable[str]) -> str:
    matches = [name for name in names if text == name or text.startswith(f"{name}.")]
    return max(matches, key=len, default="")


def _segments(key: str) -> Path:
    found: list[str | int] = []
    for quoted, index, plain in _SEGMENT.findall(key):
        found.append(int(index) if index else (quoted or plain))
    return tuple(found)


def _value(text: str) -> Any:
    """A TOML value if it is one, else the text itself: `10 um` needs no quotes."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return table["value"] if list(table) == ["value"] else text


def _write(table: Any, path: Path, value: Any, where: str) -> None:
    *parents, last = path
    for part, following in zip(parents, path[1:], strict=True):
        table = _step(table, part, following, where)
    if isinstance(table, dict) and isinstance(last, str):
        table[last] = value
        return
    index = _index(last, table) if isinstance(table, list) else None
    if index is None:
        raise StudyError(f"{where}: there is no {last!r} to set there")
    table[index] = value


def _step(table: Any, part: str | int, following: str | int, where: str) -> Any:
    if isinstance(table, dict) and isinstance(part, str):
        if part in _PARTS and isinstance(table.get(part), str):  # agents.NAME.linker = "SMCC", then one value of it
            table[part] = {"based_on": table[part]}
        return table.setdefault(part, {})
    if isinstance(table, list):
        index = _index(part, table)
        if index is not None:
            return table[index]
        raise StudyError(f"{where}: there is no entry {part!r}; there are {len(table)}, counted from 0")
    raise StudyError(f"{where}: {part!r} is inside a value, not inside a table; {following!r} cannot be set")


def _index(part: str | int, table: list[Any]) -> int | None:
    number = int(part) if isinstance(part, int) or part.isdecimal() else -1
    return number if 0 <= number < len(table) else None

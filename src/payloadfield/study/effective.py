"""The effective study: what was resolved, written as a study that loads to the same again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from payloadfield.geometry import SIDES
from payloadfield.library import Library
from payloadfield.study.lookup import PARAMETERS, Lookup
from payloadfield.study.merged import Merged
from payloadfield.study.schema import StudyTable
from payloadfield.study.setups import EXPANDED
from payloadfield.study.slots import SLOTS
from payloadfield.study.study import OutputSettings

_WHAT = ("title", "variant", "duration", "seed", "mechanism", "agent", "setup", "grid", "boundary", "bath", "scaffold")
_HOW = ("accessible_profile", "cells", "schedule", "design", "scenario", "initial", "solver", "output")
_SLOTS = (*SLOTS, *dict.fromkeys(slot.table for slot in SLOTS.values()))
_ORDER = (*_WHAT, *_HOW, "modules", "parameters", "agents", "cell_types", "materials", "protease", *_SLOTS)


@dataclass(frozen=True)
class Resolved:
    """The entries that a study came to use."""

    lookup: Lookup
    cell_types: Mapping[str, Merged]
    materials: Sequence[Merged]
    modules: Mapping[str, bool | str]
    curves: Sequence[Mapping[str, Any]]
    setup: Merged | None


def make_effective(
    table: StudyTable, resolved: Resolved, mechanism: str, folder: Path, boundary: Mapping[str, str],
    output: OutputSettings,
) -> dict[str, Any]:  # fmt: skip
    """The table of the study with every default, library value and --set written into it.

    mechanism: name of a built-in one, or the full path of a file.
    """
    lookup, library = resolved.lookup, resolved.lookup.merger.library
    effective: dict[str, Any] = _plain(table.model_dump(exclude_none=True, by_alias=True))
    effective |= {"mechanism": mechanism, "modules": dict(resolved.modules)}
    effective |= {"boundary": {side: boundary[side] for side in SIDES}}
    effective["output"] |= {"fields": list(output.fields), "cells": list(output.cells)}
    for row, curves in zip(effective["schedule"], resolved.curves, strict=True):
        row["curve"] = curves
    _make_paths_full(effective, folder)
    parameters = {**lookup.given, **lookup.defaults}
    effective[PARAMETERS] = {name: leaf.as_table() for name, leaf in parameters.items()}
    effective["agents"] = {}
    if lookup.agent is not None:
        effective["agent"] = lookup.agent.name
        effective["agents"] = {lookup.agent.name: lookup.agent.as_table(library)}
    effective["cell_types"] = {name: _cell_type(each, library, lookup) for name, each in resolved.cell_types.items()}
    effective["materials"] = {each.name: each.as_table(library) for each in resolved.materials}
    effective["protease"] = lookup.protease.as_table(library) if lookup.protease else {}
    for slot in SLOTS.values():
        if slot.kind != "material":  # of which there are others
            effective[slot.table] = {}
    for name, merged in lookup.slots.items():
        effective[name] = merged.name
        effective[SLOTS[name].table][merged.name] = merged.as_table(library)
    effective["setup"] = {**resolved.setup.as_table(library), **EXPANDED} if resolved.setup else {}
    filled = _without_empty(effective)
    return {key: filled[key] for key in _ORDER if key in filled}


def _cell_type(merged: Merged, library: Library, lookup: Lookup) -> dict[str, Any]:
    """A cell type with the values that concern the agent's antigen, and none of other antigens."""
    return merged.as_table(library, {path: path for path in merged.leaves if not path.startswith("antigens.")})


def _without_empty(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table without tables and lists that hold nothing."""
    kept = {key: _without_empty(value) if isinstance(value, Mapping) else value for key, value in table.items()}
    for key, value in kept.items():
        if isinstance(value, list):
            kept[key] = [_without_empty(each) if isinstance(each, Mapping) else each for each in value]
    return {key: value for key, value in kept.items() if value not in (None, {}, [])}


def tables_with_files(effective: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tables of an effective study that name a file under the key `file`."""
    rows = [*effective.get("scaffold", ()), *effective.get("cells", ())]
    rows += [curve for event in effective.get("schedule", ()) for curve in event.get("curve", {}).values()]
    for row in rows:
        rows += row.get("parts", ())  # met by this loop in its turn
        rows += [inner for inner in (row.get("image"), row.get("types")) if isinstance(inner, dict)]
    return [row for row in rows if "file" in row]


def _make_paths_full(effective: dict[str, Any], folder: Path) -> None:
    for row in tables_with_files(effective):
        row["file"] = str(folder / row["file"])


def _plain(value: Any) -> Any:
    """Lists for tuples, so that it can be written as TOML."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value

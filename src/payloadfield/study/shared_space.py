"""What the designs of a study must have in common: the grid, what is printed in it, and the cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from payloadfield.study.overrides import Path
from payloadfield.study.problems import Problems, join_path

_SHARED = ("grid", "boundary", "scaffold", "cells", "seed", "materials")
_WORDS = frozenset({"low", "high", "grade", "citation", "doi", "note", "key", "origin"})


def refuse_other_space(base: Mapping[str, Any], own: Mapping[str, Any], problems: Problems) -> None:
    """Note what a design changes of geometry and cells, given the effective studies of another design and its own."""
    before, after = dict(_leaves(base)), dict(_leaves(own))
    for path in sorted({*before, *after}, key=str):
        if before.get(path) != after.get(path):
            problems.add(
                join_path(*path),
                f"got {after.get(path)!r}, where another design has {before.get(path)!r}; designs share geometry and "
                "cells, so that only the design makes the difference: make another study for another scaffold",
            )


def _leaves(effective: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Every value that decides geometry, placement or footprints, with its place."""
    for section in _SHARED:
        yield from _values((section,), effective.get(section))
    for name, table in effective.get("cell_types", {}).items():
        yield from _values(("cell_types", name, "volume"), table.get("volume"))


def _values(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            if key not in _WORDS or "value" not in value:
                yield from _values((*path, key), each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _values((*path, index), each)
    elif value is not None:
        yield path, value

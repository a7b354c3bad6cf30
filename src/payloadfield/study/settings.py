"""Where the plain numbers of a study come from: grid, bath, shapes, cells, schedule, solver and output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from payloadfield.errors import UnitsError
from payloadfield.study.leaves import LeafReader
from payloadfield.study.overrides import Path
from payloadfield.study.problems import join_path
from payloadfield.study.study import Source
from payloadfield.units import number_and_unit

#: Grade of a number that is a choice of the study, not a fact of the literature.
SETTING = "setting"
_SECTIONS = (
    "duration",
    "seed",
    "grid",
    "bath",
    "scaffold",
    "accessible_profile",
    "cells",
    "schedule",
    "initial",
    "solver",
    "output",
)


def setting_sources(effective: Mapping[str, Any], raw: Mapping[str, Any], reader: LeafReader) -> Iterator[Source]:
    """A source for every number of the sections that no library knows.

    effective: the study with its defaults written in.  raw: as it was given, to tell which are defaults.
    """
    for section in _SECTIONS:
        for path, value, unit in _numbers((section,), effective.get(section)):
            origin = reader.origin(path) if _is_given(raw, path) else "default"
            yield Source(join_path(*path), value, unit, SETTING, "none (chosen in this study)", origin, "")


def _numbers(path: Path, value: Any) -> Iterator[tuple[Path, float, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _numbers((*path, key), each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _numbers((*path, index), each)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, float(value), "1"
    elif isinstance(value, str):
        try:
            number, unit = number_and_unit(value, join_path(*path))
        except UnitsError:
            return
        yield path, number, unit


def _is_given(raw: Any, path: Path) -> bool:
    for part in path:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True

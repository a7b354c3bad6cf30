"""Designs of a study: variants that share its geometry and its cells, so that only the design makes the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from payloadfield.library import load_library
from payloadfield.study.load import load_study, load_variant
from payloadfield.study.overrides import apply_overrides
from payloadfield.study.problems import Problems
from payloadfield.study.reading import StudyText, read_study
from payloadfield.study.schema import DesignTable
from payloadfield.study.study import Study
from payloadfield.study.validate import validate

AS_GIVEN = "as given"
"""Name of the one design of a study without [[design]]."""


@dataclass(frozen=True)
class Design:
    """A variant of a study.

    name: of the design.  changes: what it sets, by dotted key.  study: the study with that set; its geometry, pockets
    and cells are those of every other design of the same study, the very same objects.
    """

    name: str
    changes: Mapping[str, Any]
    study: Study


def load_designs(study: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> tuple[Design, ...]:
    """Every [[design]] of a study, resolved; the study as it is where it has none.

    study: path of a study file, or its tables.  overrides: texts "key=value" for all designs, as given to --set; what a
    design sets comes after them.
    Raises StudyError that names everything wrong in any of them: a name given twice, unknown keys, values that do not
    fit, and changes to the geometry or the cells.
    """
    text = read_study(study)
    tables = _designs_of(text, overrides)
    if not tables:
        return (Design(AS_GIVEN, {}, load_study(study, overrides)),)
    return _make(text, {each.name: each.set for each in tables}, overrides)


def make_variants(
    study: str | Path | Mapping[str, Any], variants: Mapping[str, Mapping[str, Any]], overrides: Sequence[str] = ()
) -> tuple[Design, ...]:
    """A study once for each variant, name -> (dotted key -> value), instead of the designs that it may list itself.

    Raises StudyError as `load_designs` does.
    """
    return _make(read_study(study), variants, overrides)


def _make(text: StudyText, variants: Mapping[str, Mapping[str, Any]], overrides: Sequence[str]) -> tuple[Design, ...]:
    text.raw.pop("design", None)
    problems, made, base = Problems(text.file), [], None
    for name, changes in variants.items():
        with problems.noting():
            resolved = load_variant(text, overrides, name, changes, base)
            base = base or resolved
            made.append(Design(name, dict(changes), resolved))
    problems.raise_any()
    return tuple(made)


def _designs_of(text: StudyText, overrides: Sequence[str]) -> list[DesignTable]:
    """The [[design]] tables; no name twice."""
    raw = deepcopy(text.raw)
    apply_overrides(raw, overrides, load_library())
    tables = validate(raw, text.file).design
    problems, seen = Problems(text.file), set[str]()
    for index, each in enumerate(tables):
        if each.name in seen:
            problems.add(f"design[{index}].name", f"got {each.name!r} a second time; each design needs its own name")
        seen.add(each.name)
    problems.raise_any()
    return tables

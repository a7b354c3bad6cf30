"""Designs of a study: variants that share its geometry and its cells, so that only the design makes the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from payloadfield.library import load_library
from payloadfield.study.load import load_variant
from payloadfield.study.overrides import apply_overrides
from payloadfield.study.problems import Problems
from payloadfield.study.reading import StudyText, read_study
from payloadfield.study.schema import DesignTable
from payloadfield.study.study import Study
from payloadfield.study.validate import validate

AS_GIVEN = "as given"
"""Name of the one design, or scenario, of a study that lists none."""

Changes = Mapping[str, Any]
"""Values to set, by dotted key."""


@dataclass(frozen=True)
class Design:
    """A variant of a study.

    name: of the design.  changes: what it sets, by dotted key.  study: the study with that set; its geometry, pockets
    and cells are those of every other design of the same study, the very same objects.
    """

    name: str
    changes: Changes
    study: Study


def load_designs(study: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> tuple[Design, ...]:
    """Every [[design]] of a study, resolved; the study as it is where it has none.

    study: path of a study file, or its tables.  overrides: texts "key=value" for all designs, as given to --set; what a
    design sets comes after them.
    Raises StudyError that names everything wrong in any of them: a name given twice, unknown keys, values that do not
    fit, and changes to the geometry or the cells.
    """
    return make_variants(study, read_variants(study, overrides)["design"], overrides)


def read_variants(
    study: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()
) -> dict[str, dict[str, Changes]]:
    """What a study lists under "design" and "scenario": name -> values to set; `AS_GIVEN`, which sets none, if nothing.

    Raises StudyError for a study that does not fit the schema, and for a name given twice.
    """
    text = read_study(study)
    apply_overrides(text.raw, overrides, load_library())
    table, problems = validate(text.raw, text.file), Problems(text.file)
    found = {"design": _by_name(table.design, "design", problems)}
    found["scenario"] = _by_name(table.scenario, "scenario", problems)
    problems.raise_any()
    return {kind: each or {AS_GIVEN: {}} for kind, each in found.items()}


def make_variants(
    study: str | Path | Mapping[str, Any], variants: Mapping[str, Changes], overrides: Sequence[str] = ()
) -> tuple[Design, ...]:
    """A study once for each variant, name -> values to set, instead of the designs that it may list itself.

    Raises StudyError as `load_designs` does.
    """
    text = _without_variants(study)
    problems, made, base = Problems(text.file), list[Design](), None
    for name, changes in variants.items():
        with problems.noting():
            resolved = load_variant(text, overrides, name, changes, base)
            base = base or resolved
            made.append(Design(name, dict(changes), resolved))
    problems.raise_any()
    return tuple(made)


def make_variant(
    study: str | Path | Mapping[str, Any], name: str, changes: Changes, base: Study, overrides: Sequence[str] = ()
) -> Study:
    """One more variant of a study, beside another one whose geometry and cells it shares.

    Raises StudyError as `load_designs` does.
    """
    return load_variant(_without_variants(study), overrides, name, changes, base)


def _without_variants(study: str | Path | Mapping[str, Any]) -> StudyText:
    """The tables of a study without the variants that it lists itself."""
    text = read_study(study)
    for kind in ("design", "scenario"):
        text.raw.pop(kind, None)
    return text


def _by_name(tables: Sequence[DesignTable], kind: str, problems: Problems) -> dict[str, Changes]:
    found: dict[str, Changes] = {}
    for index, each in enumerate(tables):
        if each.name in found:
            problems.add(f"{kind}[{index}].name", f"got {each.name!r} a second time; each {kind} needs its own name")
        found[each.name] = each.set
    return found

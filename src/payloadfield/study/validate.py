"""Checks a study table against the schema, and puts every refusal into our words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from typing import Any

from pydantic import ValidationError

from payloadfield.study.problems import Problems, did_you_mean, join_path
from payloadfield.study.scaffold_tables import SHAPES
from payloadfield.study.schema import TABLES, StudyTable

_LONGEST_SHOWN = 80


def validate(raw: Mapping[str, Any], file: str) -> StudyTable:
    """The study table, checked.  Raises StudyError with all refusals, each with its key."""
    try:
        return StudyTable.model_validate(raw)
    except ValidationError as error:
        problems = Problems(file)
        for item in error.errors():
            place = _place(item["loc"])
            if item["type"] in _OF_MATERIAL:
                place = (*place, "material")
            problems.add(join_path(*place), _message(item, place))
        problems.raise_any()
        raise AssertionError("a failed validation without a problem") from error


def _place(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Key path of the file; pydantic puts the shapes of a scaffold, and of parts of them, into its own."""
    return tuple(part for index, part in enumerate(location) if not _is_tag(location, index))


def _is_tag(location: tuple[int | str, ...], index: int) -> bool:
    return (index > 1 and location[index] in SHAPES and isinstance(location[index - 1], int)
            and location[index - 2] in ("scaffold", "parts"))  # fmt: skip


def _message(item: Any, place: tuple[int | str, ...]) -> str:
    kind, context, got = item["type"], item.get("ctx", {}), _show(item["input"])
    if kind == "value_error":
        return str(context["error"])
    if kind in _OF_MATERIAL:
        return _OF_MATERIAL[kind]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return _unknown_key(item["loc"])
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _unknown_shape(item["input"])
    if kind == "literal_error":
        return f"got {got}; {context['expected']} is needed"
    if kind == "list_type" and isinstance(item["input"], Mapping) and len(place) == 1:
        return f"is one table; a list of them is needed: write [[{place[0]}]], in double brackets"
    if kind in ("model_type", "model_attributes_type") and isinstance(item["input"], list) and len(place) == 1:
        return f"is a list of tables; one table is needed: write [{place[0]}], in single brackets"
    return f"got {got}; {_NEEDED.get(kind, item['msg'])}"


_OF_MATERIAL = {
    "no_material": "is missing",
    "material_of_part": "a part of a shape has none; the whole shape has a material",
    "two_materials": "is given beside materials; keep one of them",
}
_NEEDED = {
    "string_type": "a text in quotes is needed",
    "int_type": "a whole number is needed",
    "bool_type": "true or false is needed",
    "list_type": "a list is needed",
    "dict_type": "a table is needed",
    "model_type": "a table is needed",
    "model_attributes_type": "a table is needed",
    "tuple_type": 'three values such as ["640 um", "640 um", "320 um"] are needed (x, y, z)',
    "too_long": "three values are needed (x, y, z)",
    "too_short": "three values are needed (x, y, z)",
    "greater_than": "a whole number above 0 is needed",
    "greater_than_equal": "a whole number of at least 0 is needed",
    "less_than": "a smaller whole number is needed",
}


def _unknown_key(location: tuple[int | str, ...]) -> str:
    tags = [index for index in range(len(location)) if _is_tag(location, index)]
    inner = ("scaffold", *location[tags[-1] :]) if tags else location
    table = tuple(part for part in inner[:-1] if isinstance(part, str))
    if tags and table[-1] == "repeat":
        table = ("scaffold", "repeat")
    allowed = [item.alias or name for name, item in TABLES[table].model_fields.items()]
    return f"unknown key; {did_you_mean(str(location[-1]), allowed)}"


def _unknown_shape(table: Any) -> str:
    there = ", ".join(SHAPES)
    if not isinstance(table, Mapping) or "shape" not in table:
        return f"'shape' is missing; there are: {there}"
    shape = table["shape"]
    return f"unknown shape {_show(shape)}; {did_you_mean(str(shape), SHAPES)}"


def _show(value: Any) -> str:
    shown = value.isoformat() if isinstance(value, (date, time)) else repr(value)  # TOML has dates and times
    return shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + "..."

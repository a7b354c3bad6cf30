"""Types of the keys of a print: lengths by head, widths, and the commands that open and close a head."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, StrictStr

from payloadfield.study.fields import Length, quantity_text

_HEAD = re.compile(r"T\d{1,4}")
_COMMAND = re.compile(r"([GM])0*(\d{1,5}(?:\.\d+)?)((?:\s+[A-Z]-?\d+(?:\.\d+)?)*)")
_WIDTHS = ("nozzle", "volume", "comment")
_AXES = ("E", "volumetric")
_EXAMPLE = '{ on = "M760", off = "M761" }'

_read_length = get_args(Length)[1].func


def _head(value: str) -> str:
    if not _HEAD.fullmatch(value):
        raise ValueError(f"got {value!r}; the name of a head such as 'T0' is needed")
    return value


def _by_head(value: Any) -> float | dict[str, float]:
    if not isinstance(value, Mapping):
        return _read_length(value)
    if not value:
        raise ValueError('got an empty table; a length, or one by head such as { T0 = "0.4 mm" }, is needed')
    return {_head(str(head)): _read_length(length) for head, length in value.items()}


def _lengths_text(value: float | dict[str, float]) -> Any:
    if isinstance(value, dict):
        return {head: quantity_text(length, "um") for head, length in value.items()}
    return quantity_text(value, "um")


def _width(value: Any) -> str | float:
    if value in _WIDTHS:
        return str(value)
    if isinstance(value, str) and not re.match(r"\s*[-+.\d]", value):
        raise ValueError(f"got {value!r}; {', '.join(map(repr, _WIDTHS))} or a length such as '0.4 mm' is needed")
    return _read_length(value)


def _extrusion(value: Any) -> Any:
    if value in _AXES:
        return value
    if isinstance(value, Mapping) and value:
        if set(value) == {"on", "off"}:
            return {key: _commands(value[key]) for key in ("on", "off")}
        if all(_HEAD.fullmatch(str(head)) for head in value):
            return {head: _extrusion(codes) for head, codes in value.items() if _is_pair(codes)}
    raise ValueError(f"got {value!r}; 'E', 'volumetric' or {_EXAMPLE} is needed, the last one by head if heads differ")


def _is_pair(value: Any) -> bool:
    if not (isinstance(value, Mapping) and set(value) == {"on", "off"}):
        raise ValueError(f"got {value!r}; {_EXAMPLE} is needed for each head")
    return True


def _commands(value: Any) -> list[str]:
    found = [value] if isinstance(value, str) else value
    if not (isinstance(found, list) and found and all(isinstance(text, str) for text in found)):
        raise ValueError(f"got {value!r}; a command such as 'M760', or a list of them, is needed")
    for text in found:
        if not is_command(text):
            raise ValueError(f"got {text!r}; a command such as 'M760' or 'M42 P4 S255' is needed")
    return found


def is_command(text: str) -> bool:
    """Whether a text is a command such as "M760" or "M42 P4 S255"."""
    return _COMMAND.fullmatch(text.strip().upper()) is not None


def parse_command(text: str) -> tuple[str, tuple[tuple[str, float], ...]]:
    """A command such as "M42 P4 S255" as its code and its words; one that a key of this type let pass."""
    found = _COMMAND.fullmatch(text.strip().upper())
    assert found is not None  # refused before
    words = tuple((word[0], float(word[1:])) for word in found[3].split())
    return found[1] + found[2], words


Head = Annotated[StrictStr, AfterValidator(_head)]
LengthByHead = Annotated[Any, BeforeValidator(_by_head), PlainSerializer(_lengths_text)]
Width = Annotated[
    Any,
    BeforeValidator(_width),
    PlainSerializer(lambda value: value if isinstance(value, str) else quantity_text(value, "um")),
]
Extrusion = Annotated[Any, BeforeValidator(_extrusion)]

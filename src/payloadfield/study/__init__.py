"""Studies: the schema of study.toml, its merge with the library, and the resolved `Study`.

What reads study files is imported when it is asked for: a `Study` made from its parts needs neither pydantic nor pint.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from payloadfield.study.curve import Curve, Decay, Tabulated
from payloadfield.study.study import Bath, Event, OutputSettings, SolverSettings, Source, Study

if TYPE_CHECKING:
    from payloadfield.study.designs import Design, load_designs, make_variants, read_variants
    from payloadfield.study.load import load_study

_HOMES = {"load_study": "load"} | dict.fromkeys(("Design", "load_designs", "make_variants", "read_variants"), "designs")

__all__ = [
    "Bath", "Curve", "Decay", "Design", "Event", "OutputSettings", "SolverSettings", "Source", "Study", "Tabulated",
    "load_designs", "load_study", "make_variants", "read_variants",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

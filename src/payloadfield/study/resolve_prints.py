"""Scaffolds of shape "gcode": from the keys of a study to the strands of a print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from payloadfield.errors import GeometryError
from payloadfield.geometry import (
    Code,
    Print,
    PrintedStrands,
    PrintSettings,
    PrintSummary,
    Switch,
    Toolpath,
    make_strands,
    place_print,
    read_gcode,
    summarise_print,
)
from payloadfield.study.gcode_keys import is_command, parse_command
from payloadfield.study.problems import Problems
from payloadfield.study.reading import read_study
from payloadfield.study.scaffold_tables import GcodeTable
from payloadfield.study.validate import validate

Triple = tuple[float, float, float]


def make_prints(table: GcodeTable, material: str | None, folder: Path, size: Triple) -> list[Print]:
    """The print in one material, or one shape for each head that `materials` names.

    size: of the grid along x, y, z [um].  Raises GeometryError for a file or for keys that do not make a print.
    """
    strands = _placed(table, _strands(table, _toolpath(table, folder)), size)
    if material is not None:
        return [Print(material, strands)]
    printing = {strands.heads[i] for i in strands.head}
    lacking = sorted(printing - table.materials.keys())
    if lacking:
        raise GeometryError(
            f"{strands.name}: head {lacking[0]} prints, but materials names only {', '.join(table.materials)}; give "
            "it a material, or say in heads which heads are taken"
        )
    parts = [strands.of_head(head) for head in table.materials]
    told = [parts[0], *(replace(part, notes=()) for part in parts[1:])]  # of the file, once
    return [Print(name, part) for name, part in zip(table.materials.values(), told, strict=True)]


def read_prints(study: str | Path | Mapping[str, Any]) -> list[PrintSummary]:
    """What was understood of every G-code file of a study, or of a study's tables, whatever else may be wrong with it.

    Raises StudyError for tables that are not a study's, and for a file that cannot be read.
    """
    text = read_study(study)
    table = validate(text.raw, text.file)
    problems = Problems(text.file)
    found: list[PrintSummary] = []
    for index, each in enumerate(_gcode_tables(table.scaffold)):
        with problems.noting(f"scaffold, print {index + 1}"):
            path = _toolpath(each, text.folder)
            found.append(summarise_print(path, _placed(each, _strands(each, path), table.grid.size)))
    problems.raise_any()
    return found


def read_print(file: Path, unit: str | None = None, on: str | None = None, off: str | None = None) -> PrintSummary:
    """What is understood of a G-code file alone.

    unit, on, off: as the keys of a study.  Raises GeometryError for a file that cannot be read, or says nothing.
    """
    switches = []
    if on is not None and off is not None:
        for text in (on, off):
            if not is_command(text):
                raise GeometryError(f"got {text!r}; a command such as 'M760' or 'M42 P4 S255' is needed")
        switches = [Switch(_codes([on]), _codes([off]))]
    return summarise_print(read_gcode(file, unit=unit, switches=switches))


def _gcode_tables(tables: Sequence[Any]) -> list[GcodeTable]:
    """The prints among shapes and their parts."""
    inner = [(each, _gcode_tables(getattr(each, "parts", ()))) for each in tables]
    return [each for table, parts in inner for each in ([table] if isinstance(table, GcodeTable) else parts)]


def _toolpath(table: GcodeTable, folder: Path) -> Toolpath:
    is_axis = isinstance(table.extrusion, str)
    switches = () if is_axis else tuple(_switches(table.extrusion))
    is_volume = table.extrusion == "volumetric"
    return read_gcode(folder / table.file, unit=table.unit, switches=switches, volumetric=is_volume)


def _switches(extrusion: Mapping[str, Any]) -> list[Switch]:
    if "on" in extrusion:
        return [Switch(_codes(extrusion["on"]), _codes(extrusion["off"]))]
    return [Switch(_codes(each["on"]), _codes(each["off"]), head) for head, each in extrusion.items()]


def _codes(texts: Sequence[str]) -> tuple[Code, ...]:
    return tuple(Code(*parse_command(text)) for text in texts)


def _strands(table: GcodeTable, path: Toolpath) -> PrintedStrands:
    return make_strands(
        path,
        PrintSettings(
            table.nozzle_diameter, table.filament_diameter, table.layer_height, table.width,
            tuple(table.heads), table.first_layer, table.last_layer, tuple(table.leave_out),
        ),
    )  # fmt: skip


def _placed(table: GcodeTable, strands: PrintedStrands, size: Triple) -> PrintedStrands:
    if table.centre and table.at is not None:
        raise GeometryError(f"{strands.name}: at and centre both say where it stands; keep one of them")
    x, y, _ = size
    at = None if table.at is None else (table.at[2], table.at[1], table.at[0])
    return place_print(strands, at, (y / 2, x / 2) if table.centre else None)

"""G-code files: judged before they are read, then followed line by line."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.gcode.machine import COLUMNS, UNITS, Machine
from payloadfield.geometry.gcode.toolpath import Switch, Toolpath
from payloadfield.geometry.gcode.words import LONGEST_CODE, LONGEST_LINE, split_comment, without_number

MOST_LINES = 50_000_000
_HEAD = 2**16
# Codes that turn pumps, valves and pressure on, for a hint where nothing seems to come out.
_VALVES = ("M760", "M762", "M106", "M42", "M8", "M3", "M7", "M10", "M126", "M340")


def read_gcode(
    path: str | Path, *, unit: str | None = None, switches: Sequence[Switch] = (), volumetric: bool = False
) -> Toolpath:
    """What a G-code file prints.

    unit: of its lengths, a key of GCODE_UNITS; None to follow G20 and G21, with millimetres before either
    switches: commands that open and close heads driven by pressure; none where the E axis says what comes out
    volumetric: whether E counts volume (in the unit cubed) instead of length of filament
    Raises GeometryError for a file that cannot be read, was cut off, or extrudes nothing.
    """
    path = Path(path)
    name = f"gcode {path}"
    if unit is not None and unit not in UNITS:
        raise GeometryError(f"{name}: unit {unit!r} is unknown; there are: {', '.join(UNITS)}")
    machine = Machine(name, unit=unit, switches=switches, volumetric=volumetric)
    number = 0
    try:
        with path.open("rb") as file:
            _judge(file, name)
            for number, line in enumerate(_lines(file, name), start=1):
                _follow(machine, line, number)
    except OSError as error:
        raise GeometryError(f"{name}: cannot be read ({error.strerror})") from error
    missing = machine.comments.what_is_missing()
    if missing:
        raise GeometryError(f"{name}: was cut off: {missing}; export it again")
    if not machine.moves:
        raise GeometryError(f"{name}: extrudes nothing in {number:,} lines{_why_nothing(machine)}")
    return _toolpath(machine, number)


def _judge(file: BinaryIO, name: str) -> None:
    """Refuse what is no text, by its first bytes."""
    head = file.read(_HEAD)
    file.seek(0)
    if not head:
        raise GeometryError(f"{name}: the file is empty")
    if head[:4] == b"GCDE":
        raise GeometryError(f"{name}: is binary G-code; export it as text (in PrusaSlicer: no binary G-code)")
    if head[:2] == b"PK":
        raise GeometryError(f"{name}: is an archive; take the .gcode file out of it")
    if b"\0" in head:
        raise GeometryError(f"{name}: is no text, so it is no G-code")


def _lines(file: BinaryIO, name: str) -> Iterator[str]:
    for number in range(1, MOST_LINES + 1):
        line = file.readline(LONGEST_LINE + 1)
        if not line:
            return
        if len(line) > LONGEST_LINE or b"\0" in line:
            what = f"longer than {LONGEST_LINE:,} bytes" if len(line) > LONGEST_LINE else "not text"
            raise GeometryError(f"{name}, line {number:,}: is {what}, so this is no G-code")
        yield line.decode("utf-8", "replace").strip().lstrip("\ufeff")
    raise GeometryError(f"{name}: more than {MOST_LINES:,} lines; is it one print?")


def _follow(machine: Machine, line: str, number: int) -> None:
    text, comment = split_comment(line)
    if comment:
        machine.comments.read(comment)
    if not text or text == "%":
        return
    if len(text) > LONGEST_CODE:
        raise GeometryError(
            f"{machine.name}, line {number:,}: {len(text):,} letters of code; at most {LONGEST_CODE} are read"
        )
    text = without_number(text, f"{machine.name}, line {number:,}")
    if text:
        machine.feed(text, number)


def _why_nothing(machine: Machine) -> str:
    """What the file has instead of extrusion."""
    if not machine.n_understood:
        return ", of which not one is a move; is it G-code?"
    if machine.switches:
        wanted = ", ".join(code.name for each in machine.switches for code in each.on)
        return f": {machine.n_travels:,} moves, none of them after {wanted}; set extrusion to what opens the head"
    seen = [code for code in _VALVES if code in machine.ignored]
    if seen:
        return (
            f": its E axis never pushes along {machine.n_travels:,} moves, but it has {', '.join(seen)}; for a head "
            f'driven by pressure set extrusion = {{ on = "{seen[0]}", off = "..." }}'
        )
    return (
        f": {machine.n_travels:,} moves, and its E axis never pushes along one; set extrusion = {{ on, off }}, or heads"
    )


def _toolpath(machine: Machine, n_lines: int) -> Toolpath:
    table = np.frombuffer(machine.moves, np.float64).reshape(-1, COLUMNS)
    whole = table[:, 10:].astype(np.int32)
    filament, volume = table[:, 6], table[:, 7]
    if machine.switches:  # pressure says that something comes out, not how much
        filament, volume = np.zeros(len(table)), np.full(len(table), np.nan)
    layer = whole[:, 2] if machine.comments.names_layers else _layers_by_height(table[:, [2, 5]])
    ignored = dict(sorted(machine.ignored.items(), key=lambda item: (-item[1], item[0])))
    return Toolpath(
        machine.name, machine.comments.program, n_lines, machine.unit,
        table[:, :3], table[:, 3:6], filament, volume, table[:, 8], table[:, 9],
        whole[:, 0], whole[:, 1], layer, tuple(machine.heads), tuple(machine.comments.kinds),
        machine.unknown_start, machine.n_standing, ignored,
        tuple(_notes(machine)),
    )  # fmt: skip


def _layers_by_height(z: np.ndarray) -> np.ndarray:
    """Layers of a file that does not name them: one for each height, from below; rising moves belong to their start."""
    heights = np.round(z[:, 0], 3)
    return np.unique(heights, return_inverse=True)[1].astype(np.int32) + 1


def _notes(machine: Machine) -> Iterator[str]:
    if machine.is_on:
        yield f"{machine.name}: the head is still open at its end; was it cut off?"

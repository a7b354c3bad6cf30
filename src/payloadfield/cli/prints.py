"""What was understood of G-code files, for `geometry read` and `check`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payloadfield.cli.output import count, make_console, make_table, number

if TYPE_CHECKING:
    from payloadfield.geometry import PrintSummary
    from payloadfield.study import Study

_IGNORED_SHOWN = 12


def read_summaries(file: Path, unit: str | None, on: str | None, off: str | None) -> list[PrintSummary]:
    """Summary of a G-code file as it stands, or of those of a study (.toml) with the study's keys."""
    from payloadfield.study.resolve_prints import read_print, read_prints

    return read_prints(file) if file.suffix == ".toml" else [read_print(file, unit, on, off)]


def prints_of(study: Study) -> list[dict[str, Any]]:
    """What was understood of the G-code files of a study."""
    from payloadfield.study.resolve_prints import read_prints

    return [as_data(summary) for summary in read_prints(study.effective)]


def as_data(summary: PrintSummary) -> dict[str, Any]:
    """The summary as plain data; lengths in um."""
    return asdict(summary)


def print_summary(facts: dict[str, Any]) -> None:
    """Show the summary of a file to people."""
    console = make_console()
    for line in summary_lines(facts):
        console.print(line, markup=False)
    rows = [
        (
            head["head"], f"{head['n_strands']:,}", number(head["path_length"] / 1e3), _volume(head["extruded_volume"]),
            _spread(head["width"]), _spread(head["height"]),
        )
        for head in facts["heads"]
    ]  # fmt: skip
    columns = ("head", "strands", "path [mm]", "volume [uL]", "width [um]", "height [um]")
    console.print(make_table("Heads", columns, rows, right=range(1, 6)))
    kinds = [(kind, number(length / 1e3)) for kind, length in facts["path_length_by_type"].items()]
    console.print(make_table("Kinds of lines in the file", ("type", "path [mm]"), kinds, right=(1,)))
    for note in facts["notes"]:
        console.print(f"Warning: {note}", markup=False)


def summary_lines(facts: dict[str, Any]) -> list[str]:
    """A few lines on a file: what it has, where it lies, what had no effect."""
    low, high = (", ".join(number(value / 1e3) for value in facts[key]) for key in ("low", "high"))
    by = f" by {facts['program']}" if facts["program"] else ""
    standing = f"; {count(facts['n_standing'], 'extrusion')} standing still left out" if facts["n_standing"] else ""
    lines = [
        f"{facts['name']}{by}: {count(facts['n_lines'], 'line')}, {facts['n_taken']:,} of "
        f"{count(facts['n_strands'], 'strand')} taken in {count(facts['n_layers'], 'layer')}, in {facts['unit']}",
        f"  box from ({low}) to ({high}) mm{standing}",
    ]
    total = sum(facts["ignored"].values())
    if total:
        shown = [f"{code} ({amount:,})" for code, amount in facts["ignored"].items()]
        more = f" and {len(shown) - _IGNORED_SHOWN} more" if len(shown) > _IGNORED_SHOWN else ""
        lines.append(f"  {count(total, 'command')} without effect: {', '.join(shown[:_IGNORED_SHOWN])}{more}")
    return lines


def _volume(volume: float | None) -> str:
    return "-" if volume is None else number(volume / 1e9)


def _spread(values: tuple[float, float, float] | None) -> str:
    """One number where all are alike, else smallest to largest."""
    if values is None:
        return "-"
    low, _, high = values
    return number(low) if high - low < 1e-6 * high else f"{number(low)} to {number(high)}"

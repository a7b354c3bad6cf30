"""What a run came to: exposure per cell type, the balance sheet, what it cost, what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from payloadfield.cli.output import count, duration, in_shell, make_console, make_table, number

if TYPE_CHECKING:
    from payloadfield.store.reader import Run

_QUARTILES = (25, 50, 75)
_SHOWN_UNITS = {"nM*s": ("nM h", 3600.0), "s*nM": ("nM h", 3600.0), "s": ("h", 3600.0)}


def summarise(run: Run) -> dict[str, Any]:
    """The summary of a run as plain data; exposures in the unit that is given beside them."""
    from payloadfield.store.manifest import is_balanced

    manifest = run.manifest
    return {
        "run": str(run.directory),
        "title": run.title,
        "state": run.state,
        "reason": manifest["reason"],
        "time_reached_s": run.time_reached,
        "duration_s": manifest["duration_s"],
        "mechanism": manifest["mechanism"],
        "backend": manifest["backend"],
        "backend_reason": manifest["backend_reason"],
        "n_outputs": len(run.indices),
        "fields": run.field_names,
        "n_cells": cells_per_type(run),
        "exposure": exposure_per_type(run),
        "peaks": peaks_per_type(run),
        "balance": run.ledger if run.indices else {},
        "precision": manifest.get("precision", "mixed"),
        "largest_defect": manifest.get("largest_defect", 0.0),
        "is_balanced": is_balanced(manifest),
        "notes": manifest.get("notes", []),
        "n_steps": run.log[-1]["step"] if run.log else 0,
        "cpu_seconds": manifest["cpu_seconds"],
        "wall_seconds": manifest["wall_seconds"],
        "n_inputs": sum(manifest["inputs_by_grade"].values()),
        "n_assumed": manifest["inputs_by_grade"]["assumed"],
        "inputs_by_grade": manifest["inputs_by_grade"],
        "drivers": run.drivers,
        "bytes": run.size(),
        "versions": manifest["versions"],
        "machine": manifest["machine"],
    }


def cells_per_type(run: Run) -> dict[str, int]:
    """Number of cells of each type, in the order they first appear."""
    types = run.cells["type"].tolist()
    return {name: types.count(name) for name in dict.fromkeys(types)}


def exposure_per_type(run: Run) -> list[dict[str, Any]]:
    """Median and quartiles of every exposure over the cells of each type, at the newest output or checkpoint."""
    return _per_type(run, "exposure", {name: run.newest(name) for name in run.manifest["exposures"]})


def peaks_per_type(run: Run) -> list[dict[str, Any]]:
    """The same of every peak, of when it was and of times above thresholds, at the newest checkpoint."""
    return _per_type(run, "result", {name: run.cells[name] for name in run.manifest.get("peaks", ())})


def _per_type(run: Run, what: str, columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each column (n_cell,) and type of cells; times in hours."""
    import numpy as np

    rows = []
    for name, column in columns.items():
        unit, divisor = _SHOWN_UNITS.get(run.cells.units[name], (run.cells.units[name], 1.0))
        for cell_type, n_cells in cells_per_type(run).items():
            values = column[run.cells["type"] == cell_type] / divisor
            lower, median, upper = (float(value) for value in np.percentile(values, _QUARTILES))
            rows.append(
                {
                    what: name,
                    "unit": unit,
                    "type": cell_type,
                    "n_cells": n_cells,
                    "lower_quartile": lower,
                    "median": median,
                    "upper_quartile": upper,
                }
            )
    return rows


def print_summary(run: Run) -> None:
    """Print the summary of a run."""
    console = make_console()
    facts = summarise(run)
    for line in _headline(facts):
        console.print(line, markup=False)
    if facts["exposure"]:
        console.print(_quartile_table("Exposure of the cells", "exposure", facts["exposure"]))
    if facts["peaks"]:
        console.print(_quartile_table("Peaks of what the cells are exposed to", "result", facts["peaks"]))
    if facts["balance"]:
        console.print(_balance_table(facts))
    for line in _closing_lines(run, facts):
        console.print(line, markup=False)


def _headline(facts: dict[str, Any]) -> list[str]:
    reached = f"{duration(facts['time_reached_s'])} of {duration(facts['duration_s'])}"
    cells = ", ".join(f"{amount:,} {name}" for name, amount in facts["n_cells"].items())
    lines = [f"{facts['title']}: {facts['state']}, {reached}"]
    lines += [f"Reason: {facts['reason']}"] if facts["reason"] else []
    defect = f"{facts['largest_defect']:.1e} of its amount"
    if not facts["is_balanced"]:
        lines.append(f"Do not trust this run: a balance does not close, by {defect}")
    elif facts["precision"] == "float32":
        lines.append(f"The state is in single precision: each balance closes to {defect}, which its rounding explains")
    lines += [f"Note: {note}" for note in facts["notes"]]
    return [*lines, f"Cells: {cells}", ""] if cells else [*lines, ""]


def _quartile_table(title: str, what: str, found: list[dict[str, Any]]) -> Any:
    rows = [
        (
            f"{row[what]} [{row['unit']}]",
            row["type"],
            f"{row['n_cells']:,}",
            number(row["lower_quartile"]),
            number(row["median"]),
            number(row["upper_quartile"]),
        )
        for row in found
    ]
    columns = (what, "cell type", "cells", "lower quartile", "median", "upper quartile")
    return make_table(title, columns, rows, right=(2, 3, 4, 5))


def _balance_table(facts: dict[str, Any]) -> Any:
    """Every column of the ledger that is not zero throughout, and how well the sum closes."""
    balance = facts["balance"]
    names = [name for name in next(iter(balance.values())) if not name.endswith("defect")]
    names = [name for name in names if any(row[name] for row in balance.values())]
    rows = [
        (moiety, *(number(row[name]) for name in names), f"{row['relative_defect']:.1e}")
        for moiety, row in balance.items()
    ]
    columns = ("moiety", *(name.replace("_", " ") for name in names), "relative defect")
    return make_table("Balance [molecules]", columns, rows, right=range(1, len(columns)))


def _closing_lines(run: Run, facts: dict[str, Any]) -> list[str]:
    from payloadfield.store.files import format_bytes

    where = in_shell(run.directory)
    grades = ", ".join(f"{amount:,} {grade}" for grade, amount in facts["inputs_by_grade"].items())
    return [
        f"{count(facts['n_steps'], 'step')}, {duration(facts['cpu_seconds'])} of CPU time, "
        f"{duration(facts['wall_seconds'])} elapsed, backend {facts['backend']} ({facts['backend_reason']})",
        f"{count(facts['n_inputs'], 'input')}: {grades}; see {run.directory}/sources.json",
        *_driver_lines(facts["drivers"]),
        f"Files: {run.directory} ({count(facts['n_outputs'], 'snapshot')}, {format_bytes(facts['bytes'])}); "
        f"series.vtkhdf opens in ParaView, `payloadfield plot {where}` draws",
    ]


def _driver_lines(drivers: Sequence[Mapping[str, Any]]) -> list[str]:
    """The assumed numbers that drive a result, each with what it does."""
    from payloadfield.store.drivers import THRESHOLD, Driver, describe_driver

    found = [Driver(**each) for each in drivers]
    named = [f"  {describe_driver(each)}" for each in found if each.matters]
    if not named:
        return [f"No assumed number changes an exposure by more than {THRESHOLD:.0%} within its range"] if found else []
    return [f"Assumed numbers that change an exposure by more than {THRESHOLD:.0%} within their range:", *named]

"""The tables of a report, as plain rows of text."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from payloadfield.report.page.document import Case, Document
from payloadfield.report.page.words import label, number

GRADES = ("assumed", "estimated", "fitted", "measured")


@dataclass(frozen=True)
class Table:
    """A table: what it shows, column names, rows of text; `numbers` are the columns set flush right."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()


def unfinished(document: Document) -> list[Case]:
    """Runs that were cut short, and count nowhere."""
    return [case for case in document.cases if not case.is_finished]


def balance(document: Document) -> Table:
    """The books of every run at its end."""
    columns = ["run", "moiety", "came in", "in fields", "in cells", "in bath", "lost", "left", "defect, relative"]
    rows = []
    for case in document.cases:
        if not case.is_finished:
            continue
        for moiety, line in case.run.ledger.items():
            came = line["initial"] + line["dosed"] + line["entered"]
            left = line["left"] + line["washed"]
            amounts = [came, line["in_fields"], line["in_cells"], line["in_bath"], line["lost"], left]
            rows.append([case.name, moiety, *(number(value, 5) for value in amounts), f"{line['relative_defect']:.1e}"])
    return Table("Molecules at the end of each run", columns, rows, frozenset(range(2, 9)))


def effort(document: Document) -> Table:
    """What solving took."""
    columns = [
        "run",
        "backend",
        "steps",
        "rejected",
        "iterations",
        "largest error",
        "CPU time [s]",
        "largest balance defect",
    ]
    rows = []
    for case in document.cases:
        log, manifest = case.run.log, case.run.manifest
        if not log:
            continue
        worst = max((abs(v) for line in log for v in line["balance"].values() if v is not None), default=0.0)
        rows.append(
            [
                case.name,
                manifest["backend"],
                str(log[-1]["step"]),
                str(sum(line["rejected"] for line in log)),
                str(sum(line["iterations"] for line in log)),
                number(max(line["error"] for line in log)),
                number(manifest["cpu_seconds"]),
                f"{worst:.1e}",
            ]
        )
    return Table("Error is relative to the tolerance: 1 just meets it", columns, rows, frozenset(range(2, 8)))


def assumptions(document: Document) -> Table:
    """Inputs of all designs by grade, the least known first, and the designs whose runs use each."""
    cases = document.main or list(document.cases)
    used: dict[tuple[str, ...], list[str]] = {}
    for case in cases:
        for source in case.run.sources:
            if str(source["grade"]).split(" ")[0] in GRADES:
                unit = source["unit"] if source["unit"] != "1" else ""
                value = f"{number(source['value'], 4)} {unit}".strip()
                row = (str(source["grade"]), source["key"], value, source["citation"], source["origin"])
                used.setdefault(row, []).append(case.name)
    names = [case.name for case in cases]
    rows = [[*row, "all" if len(set(by)) == len(names) else "; ".join(dict.fromkeys(by))] for row, by in used.items()]
    order = {grade: place for place, grade in enumerate(GRADES)}
    rows.sort(key=lambda row: (order[row[0].split(" ")[0]], row[1]))
    return Table("Inputs that the model used", ["grade", "input", "value", "source", "set by", "used by"], rows)


def grades(document: Document) -> Mapping[str, int]:
    """How many inputs of all designs together have each grade, the least known first."""
    keys: dict[str, set[str]] = {}
    for row in assumptions(document).rows:
        keys.setdefault(row[0].split(" ")[0], set()).add(row[1])
    return {grade: len(found) for grade, found in keys.items()}


def designs(document: Document) -> Table:
    """What each design and scenario sets."""
    rows = [
        [case.design, case.scenario, "; ".join(f"{key} = {value}" for key, value in case.changes.items()) or "nothing"]
        for case in document.cases
        if case.dose_factor == 1.0
    ]
    return Table("What each design sets in the study", ["design", "scenario", "sets"], rows)


def refinement(document: Document) -> Table:
    """How far results move with finer steps and coarser voxels."""
    columns = [
        "scenario",
        "design",
        "cell type",
        "metric",
        "value",
        "with a tenth of the tolerance",
        "with voxels twice as large",
    ]
    rows = [
        [row["scenario"], row["design"], row["cell_type"], label(row["metric"]), number(float(row["value"])),
         _change(row["value"], row["finer_steps"]), _change(row["value"], row["coarser_voxels"])]
        for row in document.refinement
    ]  # fmt: skip
    return Table("Change of a result, in percent of it", columns, rows, frozenset({4, 5, 6}))


def backends(document: Document) -> Table:
    """Speed of the backends on one case, and how far their results lie apart."""
    columns = ["backend", "wall time over the fastest", "wall time [s]", "CPU time [s]", "steps", "largest difference"]
    rows = [
        [row["backend"], number(row["ratio"]), number(row["wall_seconds"]), number(row["cpu_seconds"]),
         str(row["n_steps"]), f"{row['largest_difference']:.1e}"]
        for row in document.benchmark["rows"]
    ]  # fmt: skip
    caption = f"{document.benchmark['case']}; relative difference of exposures and fates from the first backend's"
    return Table(caption, columns, rows, frozenset(range(1, 6)))


def _is_number(text: str) -> bool:
    return text not in ("", "nan")


def _change(value: str, other: str) -> str:
    if not _is_number(other) or float(value) == 0:
        return "–"
    return f"{100 * (float(other) - float(value)) / float(value):+.2f}%"


def provenance(document: Document) -> list[tuple[str, Any]]:
    """Where the numbers come from: versions, machine, commands."""
    manifest = document.cases[0].run.manifest
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    machine = manifest["machine"]
    facts = [
        ("study", document.facts.get("study", manifest["title"])),
        ("mechanism", manifest["mechanism"]),
        ("backend", f"{manifest['backend']} ({manifest['backend_reason']})"),
        ("versions", versions),
        ("machine", f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"),
        ("begun", manifest["started"]),
    ]
    return facts


def commands(document: Document) -> list[str]:
    """What to type to get the same again."""
    if not document.facts:
        return [
            f"payloadfield run {case.run.directory.name}/study.toml -o again-{i}"
            for i, case in enumerate(document.cases)
        ]
    compare = ["payloadfield", "compare", document.facts["study"], "-o", "again", *document.facts["options"]]
    return [shlex.join(compare), "payloadfield report again -o report.html"]

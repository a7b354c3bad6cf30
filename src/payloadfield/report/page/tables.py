"""The tables of a report, as plain rows of text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from payloadfield.compare.ranking import therapeutic_window
from payloadfield.report.page.document import Case, Document
from payloadfield.report.style import readable

GRADES = ("assumed", "estimated", "fitted", "measured")


@dataclass(frozen=True)
class Table:
    """A table: what it shows, column names, rows of text; `numbers` are the columns set flush right."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()


def number(value: float, digits: int = 3) -> str:
    """A number for people; a dash where there is none, and words for what never happens."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "never"
    return f"{value:.{digits}g}"


def summary(document: Document, scenario: str) -> Table:
    """Ranks of the designs in one scenario, and what they cost."""
    ranked = {row["design"]: row for row in document.ranks if row["scenario"] == scenario}
    price, is_sampled = document.neighbour_metric, any(_is_number(row["stability"]) for row in ranked.values())
    columns = ["rank", "design", _head(document, document.rank_by, "targets"), _head(document, price, "neighbours")]
    more = [name for name in ("fraction_senescent", "time_to_effect") if document.has_fates]
    columns += [_head(document, name, "targets") for name in more]
    has_window = len(document.dose_factors) > 1 and bool(document.neighbours)
    columns += ["effect at the neighbours' limit"] if has_window else []
    columns += ["same rank in samples", "5% to 95%"] if is_sampled else []
    rows = []
    for place, design in _order(document, scenario, ranked):
        case = document.find(scenario, design)
        if case is None:
            continue
        row = [place, design, number(document.value(case, document.rank_by, document.targets))]
        row.append(number(document.value(case, price, document.neighbours)))
        row += [number(document.value(case, name, document.targets)) for name in more]
        row += [number(window(document, scenario, design))] if has_window else []
        row += _stability(ranked.get(design)) if is_sampled else []
        rows.append(row)
    return Table(scenario or "Runs", columns, rows, frozenset(range(2, len(columns))) | {0})


def window(document: Document, scenario: str, design: str) -> float:
    """Effect on the targets at the dose where neighbours are exposed as by the first design at the study's dose."""
    limit_case = document.find(scenario, document.designs[0])
    cases = [document.find(scenario, design, factor) for factor in document.dose_factors]
    known = [case for case in cases if case is not None]
    if limit_case is None or not known:
        return math.nan
    price = [document.value(case, document.neighbour_metric, document.neighbours) for case in known]
    effect = [document.value(case, document.rank_by, document.targets) for case in known]
    limit = document.value(limit_case, document.neighbour_metric, document.neighbours)
    return therapeutic_window(price, effect, limit)


def _order(document: Document, scenario: str, ranked: Mapping[str, Mapping[str, str]]) -> list[tuple[str, str]]:
    if ranked:
        return [(row["rank"], design) for design, row in ranked.items()]
    values = []
    for design in document.designs:
        case = document.find(scenario, design)
        if case is not None:
            values.append((-document.value(case, document.rank_by, document.targets), design))
    return [(str(place), design) for place, (_, design) in enumerate(sorted(values), start=1)]


def _is_number(text: str) -> bool:
    return text not in ("", "nan")


def _stability(row: Mapping[str, str] | None) -> list[str]:
    if row is None or not _is_number(row["stability"]):
        return ["–", "–"]
    return [f"{float(row['stability']):.0%}", f"{number(float(row['p05']))} to {number(float(row['p95']))}"]


def _head(document: Document, name: str, who: str) -> str:
    unit = document.unit(name)
    return f"{who}: {readable(name)}" + ("" if unit == "1" else f" [{unit}]")


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
    """Inputs of the first run by grade, the least known first."""
    rows, seen = [], set()
    for case in document.cases[:1]:
        for source in case.run.sources:
            grade = str(source["grade"]).split(" ")[0]
            if grade not in GRADES or source["key"] in seen:
                continue
            seen.add(source["key"])
            value = f"{number(source['value'], 4)} {source['unit'] if source['unit'] != '1' else ''}".strip()
            rows.append([str(source["grade"]), source["key"], value, source["citation"], source["origin"]])
    order = {grade: place for place, grade in enumerate(GRADES)}
    rows.sort(key=lambda row: (order[row[0].split(" ")[0]], row[1]))
    return Table("Inputs that the model used", ["grade", "input", "value", "source", "set by"], rows)


def grades(document: Document) -> Mapping[str, int]:
    """How many inputs have each grade, in the first run."""
    return document.cases[0].run.manifest["inputs_by_grade"] if document.cases else {}


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
        [row["scenario"], row["design"], row["cell_type"], readable(row["metric"]), number(float(row["value"])),
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
    parts = ["payloadfield", "compare", document.facts["study"], "-o", "again"]
    for override in document.facts.get("overrides", []):
        parts += ["--set", f"'{override}'"]
    for factor in document.dose_factors:
        parts += ["--dose", f"{factor:g}"] if factor != 1.0 else []
    for key in ("samples", "placements"):
        parts += [f"--{key}", str(document.facts[f"n_{key}"])] if document.facts.get(f"n_{key}") else []
    return [" ".join(parts), "payloadfield report again -o report.html"]

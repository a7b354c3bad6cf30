"""Puts a document into one HTML file: text, tables, pictures and style, nothing that is fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from payloadfield.compare.metrics import TAKEN_UP
from payloadfield.report.page import charts, results, tables
from payloadfield.report.page.document import Document
from payloadfield.report.page.sections import draw_sections
from payloadfield.report.page.svg import style, to_svg
from payloadfield.report.page.words import axis_label, label, metric
from payloadfield.report.style import hours
from payloadfield.store.drivers import Driver, describe_driver

_MOST_TIMES = 4
_MOST_DRIVERS = 12


@dataclass(frozen=True)
class Picture:
    """A picture of the page: its SVG, what it shows for those who see it, and in words for those who do not."""

    svg: Markup
    caption: str


def build_page(document: Document, times: Sequence[float] = ()) -> str:
    """The HTML of a report; the same document gives the same text.

    times: of the field sections [s]; the start, the events and the end where none are given.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    here = files("payloadfield.report.page")
    template = environment.from_string(here.joinpath("page.html.j2").read_text(encoding="utf-8"))
    look = Markup(here.joinpath("page.css").read_text(encoding="utf-8"))
    with style():
        return template.render(**_content(document, times), css=look)


def _content(document: Document, times: Sequence[float]) -> dict[str, Any]:
    main = document.main
    return {
        "document": document,
        "headline": results.headline(document) if main else "",
        "summaries": [results.summary(document, scenario) for scenario in document.scenarios] if main else [],
        "notes": results.notes(document) if main else [],
        "by_cell_type": [table for scenario in document.scenarios for table in _by_cell_type(document, scenario)],
        "unfinished": tables.unfinished(document),
        "pareto": _pareto(document),
        "dose_response": _dose_response(document),
        "fates": _fates(document),
        "sources": _sources(document),
        "distances": _distances(document),
        "sections": _sections(document, times),
        "balances": _balances(document),
        "designs": tables.designs(document),
        "balance": tables.balance(document),
        "effort": tables.effort(document),
        "refinement": tables.refinement(document) if document.refinement else None,
        "assumptions": tables.assumptions(document),
        "grades": tables.grades(document),
        "drivers": _drivers(document),
        "backends": tables.backends(document) if document.benchmark else None,
        "provenance": tables.provenance(document) if document.cases else [],
        "commands": tables.commands(document),
    }


def _by_cell_type(document: Document, scenario: str) -> list[tables.Table]:
    if not document.main:
        return []
    found = (results.fates_by_cell_type(document, scenario), results.exposures_by_cell_type(document, scenario))
    return [table for table in found if table is not None]


def _picture(name: str, caption: str, words: str, draw: Callable[[], Figure]) -> Picture:
    return Picture(Markup(to_svg(draw(), name, words)), caption)


def _pareto(document: Document) -> Picture | None:
    if len(document.main) < 2 or not document.neighbours:
        return None
    points = []
    for case in document.main:
        effect = document.value(case, document.rank_by, document.targets)
        price = document.value(case, document.neighbour_metric, document.neighbours)
        names = (document.rank_by, document.neighbour_metric)
        points.append(f"{case.name}: effect {metric(names[0], effect)}, price {metric(names[1], price)}")
    caption = (
        "Effect on the targets against the price in the neighbours. Up and to the left is better; the line joins "
        "designs that no other beats in both."
        + (" Thin lines: 5th to 95th percentile over the samples." if document.spread else "")
    )
    words = "Effect against price. " + "; ".join(points)
    return _picture("pareto", caption, words, lambda: charts.draw_pareto(document))


def _dose_response(document: Document) -> Picture | None:
    if len(document.dose_factors) < 2 or not document.main:
        return None
    n_doses, n_designs = len(document.dose_factors), len(document.designs)
    words = f"{axis_label(document.rank_by, '1', 'targets')} at {n_doses} doses for {n_designs} designs"
    caption = "Effect on the targets with every dose of the schedule multiplied by the same factor."
    return _picture("doses", caption, words, lambda: charts.draw_dose_response(document))


def _fates(document: Document) -> Picture | None:
    if not document.has_fates:
        return None
    ends = "; ".join(
        f"{case.name}: {charts.fate_share(case, case.kinds.dead, document.targets)[-1]:.0%} dead, "
        f"{charts.fate_share(case, ['senescent'], document.targets)[-1]:.0%} senescent at the end"
        for case in document.main
    )
    caption = "What becomes of the target cells. Solid: dead; dotted: senescent; thin dashes: later doses and washes."
    return _picture("fates", caption, "Fates of the target cells. " + ends, lambda: charts.draw_fates(document))


def _sources(document: Document) -> Picture | None:
    found = list(dict.fromkeys(name for case in document.main for name in case.run.cells if name.startswith(TAKEN_UP)))
    if not found:
        return None
    words = "Shares of the payload taken up by source: " + ", ".join(label(name) for name in found)
    caption = (
        "Where the payload that each cell type took up came from, by the number of molecules; no bar: none taken up."
    )
    return _picture("sources", caption, words, lambda: charts.draw_sources(document, found))


def _distances(document: Document) -> list[Picture]:
    if not document.main:
        return []
    wanted = [name for name in ("payload_exposure", "bound_payload_exposure") if name in document.main[0].run.cells]
    return [
        _picture(
            f"distance-{name}",
            f"{_title(name)} against distance, medians over bins of equal numbers of cells. Solid: targets; dotted: "
            "neighbours. Where exposures span decades the axis is logarithmic.",
            f"Median {label(name)} against distance, a line for each of {len(document.designs)} designs",
            lambda name=name: charts.draw_distances(document, name),  # type: ignore[misc]
        )
        for name in wanted
    ]


def _sections(document: Document, times: Sequence[float]) -> list[tuple[str, list[Picture]]]:
    if not document.main:
        return []
    chosen = list(times)[:_MOST_TIMES] or _times(document)
    found = []
    for place, scenario in enumerate(document.scenarios):
        cases = [case for case in document.main if case.scenario == scenario]
        pictures = [
            _picture(
                f"field-{place}-{field}",
                f"Concentration of {label(field)} in a vertical section, all on one colour scale; solid is grey.",
                f"{label(field)} of {len(cases)} designs at {', '.join(hours(time) for time in chosen)}",
                lambda scenario=scenario, field=field: draw_sections(document, scenario, field, chosen),  # type: ignore[misc]
            )
            for field in (cases[0].run.field_names if cases else [])
        ]
        found.append((scenario, pictures))
    return found


def _title(name: str) -> str:
    words = label(name)
    return words[0].upper() + words[1:]


def _times(document: Document) -> list[float]:
    """First output after the start, the last two events, and the end."""
    run = document.main[0].run
    end = float(run.times[-1])
    events = [time for time in run.manifest["events_s"] if 0 < time < end]
    early = float(run.times[np.searchsorted(run.times, 0.05 * end)])
    return sorted({early, *events[-2:], end})[-_MOST_TIMES:]


def _balances(document: Document) -> list[Picture]:
    if not document.main:
        return []
    case = document.main[0]
    return [
        _picture(
            f"balance-{moiety}", f"Where the {moiety} is in {case.name}.", f"Amount of {moiety} by place over time",
            lambda moiety=moiety: charts.draw_balance(case, moiety),  # type: ignore[misc]
        )
        for moiety in case.run.ledger
    ]  # fmt: skip


def _drivers(document: Document) -> list[str]:
    """Assumed numbers that move a result by more than `THRESHOLD`, as each run's own summary names them."""
    found = [Driver(**each) for case in document.main for each in case.run.drivers]
    return list(dict.fromkeys(describe_driver(each) for each in found if each.matters))[:_MOST_DRIVERS]

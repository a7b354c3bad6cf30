"""The tables of results: ranks of the designs, and what came of each cell type."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from payloadfield.compare.metrics import Metric
from payloadfield.compare.summary import ALL_OF, NEIGHBOURS, TARGETS
from payloadfield.report.page.document import Case, Document
from payloadfield.report.page.tables import Table
from payloadfield.report.page.words import axis_label, label, metric, number, with_spread

_SHARES = ("fraction_killed", "fraction_senescent", "fraction_spared")
_TIMES = ("time_to_effect", "time_to_regrowth")
_OUTSIDE = "share_released_outside"


def headline(document: Document) -> str:
    """Which design is first, scenario by scenario, in one sentence."""
    first = {}
    for scenario in document.scenarios:
        places = [design for place, design in _order(document, scenario) if place == "1"]
        if places:
            first[scenario] = " and ".join(places)
    if not first or len(document.designs) < 2:
        return ""
    what = "targets killed" if document.rank_by == "fraction_killed" else f"the targets' {label(document.rank_by)}"
    told = ", ".join(f"{design} ({scenario})" if scenario else design for scenario, design in first.items())
    change = " Which is best depends on the scenario." if len(set(first.values())) > 1 else ""
    return f"Best by {what}: {told}.{change}"


def summary(document: Document, scenario: str) -> Table:
    """Ranks of the designs in one scenario, and what they cost."""
    price, rank_by = document.neighbour_metric, document.rank_by
    ranked = {row["design"]: row for row in document.ranks if row["scenario"] == scenario}
    windows = {row["design"]: row for row in document.windows if row["scenario"] == scenario}
    is_sampled, has_outside = bool(document.spread), document.has_metric(_OUTSIDE)
    columns = ["rank", "design", axis_label(rank_by, document.unit(rank_by), "targets")]
    columns += ["same rank in samples"] if is_sampled else []
    columns += [axis_label(price, document.unit(price), "neighbours")] if document.neighbours else []
    at_limit = axis_label(rank_by, document.unit(rank_by), "at the limit, targets")
    columns += [at_limit, "dose there, times the study's"] if windows else []
    columns += [axis_label(_OUTSIDE, "1")] if has_outside else []
    rows = []
    for place, design in _order(document, scenario):
        case = document.find(scenario, design)
        if case is None:
            continue
        row = [place, design, _grouped(document, case, rank_by, TARGETS)]
        row += [_stability(ranked.get(design))] if is_sampled else []
        row += [_grouped(document, case, price, NEIGHBOURS)] if document.neighbours else []
        row += _window(rank_by, windows.get(design)) if windows else []
        row += [_of_run(document, case, _OUTSIDE)] if has_outside else []
        rows.append(row)
    return Table(scenario or "Runs", columns, rows, frozenset(range(2, len(columns))) | {0})


def notes(document: Document) -> list[str]:
    """What has to be known to read the summary."""
    found = []
    if document.spread:
        counts = (document.facts.get("n_samples", 0), document.facts.get("n_placements", 0))
        drawn = document.spread[0]["n_samples"]
        found.append(
            f"In brackets: 5th to 95th percentile over {drawn} samples ({counts[0]} of the numbers within their ranges "
            f"and {counts[1]} of the cells' places were asked for); the value before them is that of the study itself. "
            "Same rank: share of the samples in which a design has the rank that it has in the study."
        )
    if document.windows:
        found.append(_limit_in_words(document))
    return found


def _limit_in_words(document: Document) -> str:
    price = document.neighbour_metric
    head = "At the limit: at the dose at which the neighbours'"
    what = axis_label(price, "1").replace(" [%]", "")
    given = document.facts.get("neighbour_limit")
    if given is not None:
        limit = f"is {metric(price, float(given))} {document.unit(price)}"
    else:
        each = {row["scenario"]: metric(price, float(row["neighbour_limit"])) for row in document.windows}
        values = ", ".join(f"{scenario}: {value}" if scenario else value for scenario, value in each.items())
        limit = f"is that under {document.designs[0]} at the study's own dose ({values} {document.unit(price)})"
    return (
        f"{head} {what} {limit}; between the doses that were solved on straight lines over its logarithm. ≥: not even "
        "the highest dose reaches the limit, and the value is that of the highest; –: even the lowest exceeds it."
    )


def fates_by_cell_type(document: Document, scenario: str) -> Table | None:
    """What became of each cell type under each design; None without fates."""
    names = [name for name in (*_SHARES, *_TIMES) if document.has_metric(name)]
    return _by_cell_type(document, scenario, f"{scenario}: fates" if scenario else "Fates", names) if names else None


def exposures_by_cell_type(document: Document, scenario: str) -> Table:
    """What each cell type was exposed to under each design, how deep that reached, and where it came from."""
    price = document.neighbour_metric
    names = [price, "payload_exposure_mean", price.replace("_mean", "_penetration_depth")]
    names += [m.name for case in document.main for m in case.metrics if m.name.startswith("share_from_")]
    names = [name for name in dict.fromkeys(names) if document.has_metric(name)]
    return _by_cell_type(document, scenario, f"{scenario}: exposures" if scenario else "Exposures", names)


def _by_cell_type(document: Document, scenario: str, caption: str, names: Sequence[str]) -> Table:
    columns = ["design", "cells"]
    for name in names:
        columns.append(axis_label(name, document.unit(name)))
        columns += ["of 90% of the cells"] if name.endswith("_mean") else []
    rows = []
    for case in (case for case in document.main if case.scenario == scenario):
        values = {(m.cell_type, m.name): m.value for m in case.metrics}
        for cell_type in (*document.targets, *document.neighbours):
            row = [case.design, cell_type]
            for name in names:
                spread = document.spread_of(case, cell_type, name)
                row.append(with_spread(name, values.get((cell_type, name), math.nan), spread))
                row += [_range(values, cell_type, name.removesuffix("_mean"))] if name.endswith("_mean") else []
            rows.append(row)
    return Table(caption, columns, rows, frozenset(range(2, len(columns))))


def _range(values: Mapping[tuple[str, str], float], cell_type: str, exposure: str) -> str:
    low, high = (values.get((cell_type, f"{exposure}_{each}"), math.nan) for each in ("p05", "p95"))
    return f"{number(low)} to {number(high)}"


def _grouped(document: Document, case: Case, name: str, kind: str) -> str:
    types: Sequence[str] = document.targets if kind == TARGETS else document.neighbours
    return with_spread(name, document.value(case, name, types), document.spread_of(case, ALL_OF[kind], name))


def _of_run(document: Document, case: Case, name: str) -> str:
    value = next((each.value for each in _whole(case) if each.name == name), math.nan)
    return with_spread(name, value, document.spread_of(case, "", name))


def _whole(case: Case) -> list[Metric]:
    return [each for each in case.metrics if not each.cell_type]


def _window(rank_by: str, row: Mapping[str, str] | None) -> list[str]:
    if row is None or row["limit"] == "exceeded":
        return ["–", "–"]
    sign = "≥ " if row["limit"] == "not reached" else ""
    return [sign + metric(rank_by, float(row[rank_by])), sign + number(float(row["dose_factor"]))]


def _order(document: Document, scenario: str) -> list[tuple[str, str]]:
    """Rank and name of every design that has finished, the best first; equal values share a rank."""
    ranked = [(row["rank"], row["design"]) for row in document.ranks if row["scenario"] == scenario]
    if ranked:
        return ranked
    cases = [case for case in document.main if case.scenario == scenario]
    values = {case.design: document.value(case, document.rank_by, document.targets) for case in cases}
    return [(str(each.rank), each.design) for each in document.rank(values)]


def _stability(row: Mapping[str, str] | None) -> str:
    share = math.nan if row is None else float(row["stability"])
    return "–" if math.isnan(share) else f"{share:.0%}"

"""The charts of a comparison: price against effect, dose response, fates, sources, exposure against distance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from payloadfield.compare.metrics import SECONDS_PER_HOUR
from payloadfield.report.page.document import Case, Document
from payloadfield.report.page.svg import PALETTE, look, new_figure
from payloadfield.report.style import mark_events, readable

_BINS = 8
_LOG_FROM = 30.0  # spread of a chart's values above which its axis is logarithmic


def _panels(document: Document, height: float, *, share_y: bool = True) -> tuple[Figure, list[Any]]:
    """A figure with one panel for each scenario."""
    count = len(document.scenarios)
    figure = new_figure(4.2 * count + 0.8, height)
    panels = list(figure.subplots(1, count, squeeze=False, sharey=share_y)[0])
    for axes, scenario in zip(panels, document.scenarios, strict=True):
        axes.set_title(scenario)
        axes.grid(visible=True)
    return figure, panels


def _legend(figure: Figure, panels: Sequence[Any]) -> None:
    found: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    if found:
        figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=min(len(found), 4))


def _spreads(values: Sequence[float]) -> bool:
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    return len(positive) == len(values) > 1 and max(positive) / min(positive) > _LOG_FROM


def draw_pareto(document: Document) -> Figure:
    """Effect on the targets against the price in the neighbours; designs that no other beats in both are joined."""
    figure, panels = _panels(document, 4.0)
    price = document.neighbour_metric
    for axes, scenario in zip(panels, document.scenarios, strict=True):
        points = []
        for index, design in enumerate(document.designs):
            case = document.find(scenario, design)
            if case is None:
                continue
            x = document.value(case, price, document.neighbours)
            y = document.value(case, document.rank_by, document.targets)
            points.append((x, y))
            axes.plot(x, y, **{**look(index), "linestyle": "none"}, markersize=9, label=design)
        front = pareto_front(points)
        axes.plot([x for x, _ in front], [y for _, y in front], color="#808080", linewidth=1.0, zorder=0)
        if _spreads([x for x, _ in points]):
            axes.set_xscale("log")
        axes.set_xlabel(f"neighbours: {readable(price)} [{document.unit(price)}]")
    panels[0].set_ylabel(_labelled(document, document.rank_by, "targets"))
    _legend(figure, panels)
    return figure


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points (price, effect) that no other has both a lower price and a higher effect than, by rising price."""
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front


def _labelled(document: Document, name: str, who: str) -> str:
    unit = document.unit(name)
    return f"{who}: {readable(name)}" + ("" if unit == "1" else f" [{unit}]")


def draw_dose_response(document: Document) -> Figure:
    """Effect on the targets at every dose, a line a design."""
    figure, panels = _panels(document, 3.8)
    for axes, scenario in zip(panels, document.scenarios, strict=True):
        for index, design in enumerate(document.designs):
            cases = [(factor, document.find(scenario, design, factor)) for factor in document.dose_factors]
            known = [(factor, case) for factor, case in cases if case is not None]
            values = [document.value(case, document.rank_by, document.targets) for _, case in known]
            axes.plot([factor for factor, _ in known], values, **look(index), label=design)
        axes.set_xscale("log")
        axes.set_xlabel("dose over the study's own")
    panels[0].set_ylabel(_labelled(document, document.rank_by, "targets"))
    _legend(figure, panels)
    return figure


def draw_fates(document: Document) -> Figure:
    """Share of the target cells that are dead or senescent over time, a line a design."""
    figure, panels = _panels(document, 3.8)
    for axes, scenario in zip(panels, document.scenarios, strict=True):
        for index, design in enumerate(document.designs):
            case = document.find(scenario, design)
            if case is None:
                continue
            style = look(index)
            for names, dash in ((case.kinds.dead, "-"), (["senescent"], ":")):
                share = fate_share(case, names, document.targets)
                label = f"{design}, {'dead' if dash == '-' else 'senescent'}"
                axes.plot(case.run.times / SECONDS_PER_HOUR, share, color=style["color"], linestyle=dash, label=label)
            mark_events(axes, case.run.manifest["events_s"])
        axes.set_xlabel("time [h]")
        axes.set_ylim(0, 1)
    panels[0].set_ylabel("share of the target cells")
    _legend(figure, panels)
    return figure


def fate_share(case: Case, names: Sequence[str], types: Sequence[str]) -> np.ndarray:
    """Share of some fates among all cells of some types at every output (n_time,)."""
    chosen = np.isin(case.run.cells["type"].astype(str), list(types))
    count = {name: case.run.cell_series(name)[:, chosen].sum(axis=1) for name in case.kinds.fates}
    total = sum(count.values())
    share: np.ndarray = sum((count[name] for name in names if name in count), np.zeros(len(case.run.times))) / total
    return share


def draw_sources(document: Document, sources: Sequence[str]) -> Figure:
    """Payload that reached each cell type, by where it came from, as shares of the whole."""
    types = [*document.targets, *document.neighbours]
    figure = new_figure(8.0, 1.2 + 0.34 * len(document.main) * len(types))
    axes = figure.subplots()
    labels: list[str] = []
    for case in document.main:
        cells = case.run.cells
        for cell_type in types:
            chosen = cells["type"] == cell_type
            amounts = np.array([float(cells[name][chosen].sum()) for name in sources])
            total = amounts.sum()
            left, place = 0.0, len(labels)
            for index, amount in enumerate(amounts / total if total > 0 else amounts):
                colour, hatch = PALETTE[index % len(PALETTE)], _HATCHES[index % len(_HATCHES)]
                label = readable(sources[index]) if place == 0 else None
                axes.barh(
                    place, amount, left=left, color=colour, hatch=hatch, label=label, edgecolor="white", linewidth=0
                )
                left += float(amount)
            labels.append(f"{cell_type}: {case.name}")
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the payload taken up")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


_HATCHES = ("", "//", "..", "xx")


def draw_distances(document: Document, exposure: str) -> Figure:
    """Median exposure of the cells against their distance to the bath, or to the surface, a line a design."""
    figure, panels = _panels(document, 3.8)
    label = "distance to the bath [µm]"
    for axes, scenario in zip(panels, document.scenarios, strict=True):
        for index, design in enumerate(document.designs):
            case = document.find(scenario, design)
            if case is None:
                continue
            distance, label = _distance(case)
            values, of_type = case.run.cells[exposure] / SECONDS_PER_HOUR, case.run.cells["type"].astype(str)
            for who, types, line in (("", document.targets, "-"), (", neighbours", document.neighbours, ":")):
                chosen = np.isfinite(distance) & np.isin(of_type, list(types))
                centres, medians = binned(distance[chosen], values[chosen])
                axes.plot(centres, medians, **{**look(index), "linestyle": line}, markersize=4, label=design + who)
        axes.set_xlabel(label)
        axes.set_ylim(bottom=0)
    panels[0].set_ylabel(f"{readable(exposure)}, median [nM h]")
    _legend(figure, panels)
    return figure


def _distance(case: Case) -> tuple[np.ndarray, str]:
    if case.kinds.bath_distance is not None:
        return case.kinds.bath_distance, "distance to the bath [µm]"
    return case.run.cells["surface_distance_um"], "distance to the surface [µm]"


def binned(distance: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median distance and median value over bins of about equal numbers of cells."""
    if not len(distance):
        return np.zeros(0), np.zeros(0)
    bins = [each for each in np.array_split(np.argsort(distance, kind="stable"), _BINS) if len(each)]
    return np.array([np.median(distance[b]) for b in bins]), np.array([np.median(values[b]) for b in bins])


def draw_balance(case: Case, moiety: str) -> Figure:
    """Where a moiety is over time, in one run."""
    figure = new_figure(5.0, 3.0)
    axes = figure.subplots()
    rows = case.run.series.ledger[moiety]
    places = [name for name in ("in_fields", "in_cells", "in_bath", "lost") if np.any(rows[name])]
    if places:
        amounts = [np.maximum(rows[name], 0.0) for name in places]
        axes.stackplot(case.run.times / SECONDS_PER_HOUR, amounts, labels=[readable(p) for p in places], colors=PALETTE)
        axes.legend(fontsize=8)
    axes.set_xlabel("time [h]")
    axes.set_ylabel(f"{moiety} [molecules]")
    return figure

"""The charts of a comparison: price against effect, dose response, fates, sources, exposure against distance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from payloadfield.compare.metrics import SECONDS_PER_HOUR
from payloadfield.compare.summary import ALL_OF, NEIGHBOURS, TARGETS
from payloadfield.report.page.document import Case, Document
from payloadfield.report.page.svg import PALETTE, look, new_figure
from payloadfield.report.page.words import axis_label, is_share, label, number
from payloadfield.report.style import mark_events, readable

_BINS = 8
_MOST_IN_A_ROW = 3
_LONGEST_NAME = 32
_DECADES = 5
_LOG_FROM = 30.0  # spread of a chart's values above which its axis is logarithmic


def _panels(document: Document, height: float, *, share_y: bool = True) -> tuple[Figure, list[Any]]:
    """A figure with one panel for each scenario, at most three in a row."""
    count = len(document.scenarios)
    columns = min(count, _MOST_IN_A_ROW)
    n_rows = math.ceil(count / columns)
    figure = new_figure(4.2 * columns + 0.8, height * n_rows)
    panels = list(figure.subplots(n_rows, columns, squeeze=False, sharey=share_y).ravel())
    for axes in panels[count:]:
        axes.set_visible(False)
    for axes, scenario in zip(panels, document.scenarios, strict=False):
        axes.set_title(scenario)
        axes.grid(visible=True)
    return figure, panels[:count]


def _legend(figure: Figure, panels: Sequence[Any]) -> None:
    """One legend of the designs below all panels."""
    found: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    if found:
        shown = [name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…" for name in found]
        columns = max(1, min(len(found), int(figure.get_size_inches()[0] / (0.6 + 0.085 * max(map(len, shown))))))
        figure.legend(list(found.values()), shown, loc="outside lower center", ncols=columns)


def _in_percent(axis: Any) -> None:
    """Ticks of a share in percent, as its label says."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.10g}"))


def _plain(axis: Any) -> None:
    """Ticks of a logarithmic axis as plain numbers, also where there is less than a decade."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_formatter(NullFormatter())


def _spreads(values: Sequence[float]) -> bool:
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    return len(positive) == len(values) > 1 and max(positive) / min(positive) > _LOG_FROM


def draw_pareto(document: Document) -> Figure:
    """Effect on the targets against the price in the neighbours; designs that no other beats in both are joined."""
    figure, panels = _panels(document, 4.0)
    price, rank_by = document.neighbour_metric, document.rank_by
    is_log = _spreads(_prices(document))
    for axes, scenario in zip(panels, document.scenarios, strict=True):
        points = []
        for index, design in enumerate(document.designs):
            case = document.find(scenario, design)
            if case is None:
                continue
            x = document.value(case, price, document.neighbours)
            y = document.value(case, rank_by, document.targets)
            points.append((x, y))
            axes.plot(x, y, **{**look(index), "linestyle": "none"}, markersize=9, label=design)
            _bars(axes, x, y, document, case, look(index)["color"])
        front = pareto_front(points)
        axes.plot([x for x, _ in front], [y for _, y in front], color="#808080", linewidth=1.0, zorder=0)
        if is_log:
            axes.set_xscale("log")
            _plain(axes.xaxis)
        if is_share(rank_by):
            _in_percent(axes.yaxis)
        if is_share(price):
            _in_percent(axes.xaxis)
        axes.set_xlabel(axis_label(price, document.unit(price), "neighbours"), fontsize=9)
    panels[0].set_ylabel(axis_label(rank_by, document.unit(rank_by), "targets"))
    _legend(figure, panels)
    return figure


def _prices(document: Document) -> list[float]:
    """Everything that the axis of prices shows."""
    name = document.neighbour_metric
    found = [document.value(case, name, document.neighbours) for case in document.main]
    return found + [x for c in document.main for x in document.spread_of(c, ALL_OF[NEIGHBOURS], name) or ()]


def _bars(axes: Any, x: float, y: float, document: Document, case: Case, colour: str) -> None:
    """Thin lines from the 5th to the 95th percentile over the samples, where there are some."""
    across = document.spread_of(case, ALL_OF[NEIGHBOURS], document.neighbour_metric)
    upwards = document.spread_of(case, ALL_OF[TARGETS], document.rank_by)
    thin = {"color": colour, "linewidth": 0.9, "alpha": 0.7, "zorder": 1}
    if across is not None and all(map(math.isfinite, across)):
        axes.plot(across, (y, y), **thin)
    if upwards is not None and all(map(math.isfinite, upwards)):
        axes.plot((x, x), upwards, **thin)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points (price, effect) that no other has both a lower price and a higher effect than, by rising price."""
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front


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
        axes.set_xticks(document.dose_factors)
        _plain(axes.xaxis)
        if is_share(document.rank_by):
            _in_percent(axes.yaxis)
        axes.set_xlabel("dose, times the study's own")
    panels[0].set_ylabel(axis_label(document.rank_by, document.unit(document.rank_by), "targets"))
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
            for names, dash in ((case.kinds.dead, "-"), (["senescent"], ":")):
                share = fate_share(case, names, document.targets)
                style = {**look(index), "linestyle": dash, "markevery": _every(len(share), index), "markersize": 5}
                axes.plot(case.run.times / SECONDS_PER_HOUR, share, **style, label=design if dash == "-" else None)
            mark_events(axes, case.run.manifest["events_s"])
        axes.set_xlabel("time [h]")
        axes.set_ylim(0, 1)
        _in_percent(axes.yaxis)
    panels[0].set_ylabel("targets [%]")
    _legend(figure, panels)
    return figure


def _every(n_points: int, index: int) -> tuple[int, int]:
    """Where a line of so many points bears its marker: some four times, elsewhere for each design."""
    step = max(1, n_points // 4)
    return (index % step, step)


def fate_share(case: Case, names: Sequence[str], types: Sequence[str]) -> np.ndarray:
    """Share of some fates among all cells of some types at every output (n_time,)."""
    chosen = np.isin(case.run.cells["type"].astype(str), list(types))
    count = {name: case.run.cell_series(name)[:, chosen].sum(axis=1) for name in case.kinds.fates}
    total = sum(count.values())
    share: np.ndarray = sum((count[name] for name in names if name in count), np.zeros(len(case.run.times))) / total
    return share


def draw_sources(document: Document, sources: Sequence[str]) -> Figure:
    """Payload that each cell type took up, by where it came from, as shares: a row of panels for each cell type."""
    types, count = [*document.targets, *document.neighbours], len(document.scenarios)
    figure = new_figure(3.6 * count + 1.6, (0.7 + 0.26 * len(document.designs)) * len(types) + 0.6)
    panels = figure.subplots(len(types), count, squeeze=False, sharex=True, sharey=True)
    for row, cell_type in enumerate(types):
        for column, scenario in enumerate(document.scenarios):
            axes = panels[row, column]
            _draw_shares(axes, document, scenario, cell_type, sources)
            axes.set_title(f"{cell_type}, {scenario}" if scenario else cell_type, fontsize=10)
    panels[0, 0].set_yticks(range(len(document.designs)), document.designs, fontsize=9)
    panels[0, 0].set_ylim(len(document.designs) - 0.5, -0.5)
    panels[0, 0].set_xlim(0, 1)
    _in_percent(panels[0, 0].xaxis)
    for axes in panels[-1]:
        axes.set_xlabel("payload taken up [%]")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _draw_shares(axes: Any, document: Document, scenario: str, cell_type: str, sources: Sequence[str]) -> None:
    """A bar for each design; none where cells took nothing up, or where a run has not finished."""
    lefts = np.zeros(len(document.designs))
    shares = np.zeros((len(sources), len(document.designs)))
    for place, design in enumerate(document.designs):
        case = document.find(scenario, design)
        if case is None:
            continue
        chosen = case.run.cells["type"] == cell_type
        amounts = np.array(
            [float(case.run.cells[name][chosen].sum()) if name in case.run.cells else 0.0 for name in sources]
        )
        shares[:, place] = amounts / amounts.sum() if amounts.sum() > 0 else 0.0
    for index, share in enumerate(shares):
        colour, hatch = PALETTE[index % len(PALETTE)], _HATCHES[index % len(_HATCHES)]
        axes.barh(range(len(share)), share, left=lefts, color=colour, hatch=hatch, label=label(sources[index]),
                  edgecolor="white", linewidth=0)  # fmt: skip
        lefts += share


_HATCHES = ("", "//", "..", "xx")


def draw_distances(document: Document, exposure: str) -> Figure:
    """Median exposure of the cells against their distance to the bath, or to the surface, a line a design."""
    figure, panels = _panels(document, 3.8)
    shown: list[float] = []
    words = "distance to the bath [µm]"
    for axes, scenario in zip(panels, document.scenarios, strict=True):
        for index, design in enumerate(document.designs):
            case = document.find(scenario, design)
            if case is None:
                continue
            distance, words = _distance(case)
            values, of_type = case.run.cells[exposure] / SECONDS_PER_HOUR, case.run.cells["type"].astype(str)
            for types, line in ((document.targets, "-"), (document.neighbours, ":")):
                chosen = np.isfinite(distance) & np.isin(of_type, list(types))
                centres, medians = binned(distance[chosen], values[chosen])
                style = {**look(index), "linestyle": line, "markersize": 4}
                axes.plot(centres, medians, **style, label=design if line == "-" else None)
                shown += medians.tolist()
        axes.set_xlabel(words)
    _scale(panels, shown)
    panels[0].set_ylabel(f"{label(exposure)} [nM h]", fontsize=9)
    _legend(figure, panels)
    return figure


def _scale(panels: Sequence[Any], shown: Sequence[float]) -> None:
    """A logarithmic axis where exposures span decades, cut `_DECADES` below the largest; else one from 0."""
    positive = [value for value in shown if value > 0]
    if not positive or max(positive) / min(positive) <= _LOG_FROM:
        panels[0].set_ylim(bottom=0)
        return
    for axes in panels:
        axes.set_yscale("log")
        _plain(axes.yaxis)
    panels[0].set_ylim(bottom=max(min(positive) / 1.5, max(positive) / 10**_DECADES))


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

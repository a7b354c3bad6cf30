"""Time courses: the kept states and exposures of each cell type, the bath, and where each moiety is."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from payloadfield.report.style import COLOURS, colour_of_types, make_figure, mark_events, readable, shown
from payloadfield.store.reader import Run

_COLUMNS = 3
_SUBTITLE = "median and quartiles over the cells of each type; dashed: doses and washes"
_PLACES = ("in_fields", "in_cells", "in_bath", "lost")


def draw_courses(run: Run) -> Figure:
    """Figure with a panel for every kept state and exposure, and one for each moiety's whereabouts."""
    names, moieties = list(run.series.cells) if run.cells.n_rows else [], list(run.series.ledger)
    n_panels = len(names) + len(moieties)
    n_columns = min(_COLUMNS, n_panels)
    n_rows = -(-n_panels // n_columns)
    figure = make_figure(3.6 * n_columns, 0.8 + 2.8 * n_rows, f"{run.title}\n{_SUBTITLE}")
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        _draw_state(axes, run, name)
    for axes, moiety in zip(panels[len(names) :], moieties, strict=False):
        _draw_moiety(axes, run, moiety)
    for axes in panels[:n_panels]:
        axes.set_xlabel("time [h]")
        axes.grid(alpha=0.3)
        mark_events(axes, run.manifest["events_s"])
    for axes in panels[n_panels:]:
        axes.set_axis_off()
    return figure


def _draw_state(axes: Any, run: Run, name: str) -> None:
    """Median over the cells of each type, the quartiles as a band."""
    values, unit = shown(run.cell_series(name), run.series.cell_units[name])
    for cell_type, colour in colour_of_types(run.cells["type"].tolist()).items():
        lower, middle, upper = np.percentile(values[:, run.cells["type"] == cell_type], (25, 50, 75), axis=1)
        axes.fill_between(run.times / 3600, lower, upper, color=colour, alpha=0.25, linewidth=0)
        axes.plot(run.times / 3600, middle, color=colour, label=cell_type, linewidth=1.6)
    axes.set_title(readable(name), fontsize=9)
    axes.set_ylabel(f"[{unit}]")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8, frameon=False)


def _draw_moiety(axes: Any, run: Run, moiety: str) -> None:
    """Amounts of one moiety by place, stacked."""
    rows = run.series.ledger[moiety]
    places = [place for place in _PLACES if np.any(rows[place])]
    amounts = [np.maximum(rows[place], 0.0) for place in places]
    if places:
        labels = [readable(place) for place in places]
        axes.stackplot(run.times / 3600, amounts, labels=labels, colors=COLOURS[: len(places)], alpha=0.85, linewidth=0)
        axes.legend(fontsize=8, framealpha=0.8)
    axes.set_title(f"where the {readable(moiety)} is", fontsize=9)
    axes.set_ylabel("[molecules]")

"""Sections through a field: a column a design, a row a time, one colour scale for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from payloadfield.report.page.document import Case, Document
from payloadfield.report.page.svg import new_figure
from payloadfield.report.page.words import label, number
from payloadfield.report.slices import choose_layer, cut, scale_of
from payloadfield.report.style import MAP, SOLID, hours

AXIS = "y"


def draw_sections(document: Document, scenario: str, field: str, times: Sequence[float]) -> Figure:
    """One field of every design of a scenario at the outputs nearest to some times [s]."""
    cases = [case for case in document.main if case.scenario == scenario]
    layer = choose_layer(cases[0].run, AXIS, None)
    images = [[_image(case, field, time, layer) for case in cases] for time in times]
    scale = scale_of([image for row in images for image in row])
    nz, _, nx = cases[0].run.frame.shape
    panel = 1.7
    figure = new_figure(1.6 + panel * len(cases), 0.9 + (panel * min(nz / nx, 2.0) + 0.1) * len(times))
    panels = figure.subplots(len(times), len(cases), squeeze=False, sharex=True, sharey=True)
    for row, (time, drawn) in enumerate(zip(times, images, strict=True)):
        for column, (case, image) in enumerate(zip(cases, drawn, strict=True)):
            picture = _draw(panels[row, column], case, image, scale)
            if row == 0:
                panels[row, column].set_title("\n".join(wrap(case.design, 20)[:3]), fontsize=9)
        panels[row, 0].set_ylabel(hours(_nearest(cases[0], time)[1]), fontsize=9)
    beyond = "min" if isinstance(scale, LogNorm) else "neither"
    bar = figure.colorbar(picture, ax=panels, shrink=0.9, pad=0.02, aspect=15 * len(times), extend=beyond)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.set_label(f"{label(field)} [nM]")
    if bar.solids is not None:
        bar.solids.set_rasterized(True)
    return figure


def _nearest(case: Case, time: float) -> tuple[int, float]:
    index = int(np.argmin(np.abs(case.run.times - time)))
    return index, float(case.run.times[index])


def _image(case: Case, field: str, time: float, layer: int) -> np.ndarray:
    found: np.ndarray = cut(case.run.field(field, _nearest(case, time)[0]), AXIS, layer)
    return found


def _draw(axes: Any, case: Case, image: np.ndarray, scale: Normalize) -> Any:
    nz, _, nx = case.run.frame.shape
    h = case.run.frame.spacing
    axes.set_facecolor(SOLID)
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(
        np.ma.masked_invalid(image), origin="lower", extent=(0, nx * h, 0, nz * h), norm=scale, cmap=MAP,
        interpolation="none",
    )  # fmt: skip

"""Figures as pictures inside the page: text stays text, lines take the page's colour, the same bytes each time."""

from __future__ import annotations

import re
from html import escape
from io import StringIO
from typing import Any, cast

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Okabe & Ito 2008 without its yellow and black, which vanish on white or on black
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
LINES = ("-", "--", "-.", ":")

_PIXELS = 90.0  # of the page to an inch of a figure
_LEAST = 0.7  # of its width that a figure keeps on a small screen, where it is scrolled

INK = "#010203"
"""Drawn in the page's own text colour, light or dark."""

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a $ in a name is a $
    "svg.hashsalt": "payloadfield",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.labelcolor": INK,
    "legend.frameon": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#808080",
    "grid.alpha": 0.35,
}


def style() -> Any:
    """A context in which figures are made for the page."""
    return mpl.rc_context(cast(Any, _STYLE))


def new_figure(width: float, height: float) -> Figure:
    """An empty figure [inches]."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def to_svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an SVG element with its description for those who cannot see it.

    name: unique on the page; it keeps the ids of one figure apart from those of another.
    """
    stream = StringIO()
    with style():
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' id="image[^"]*"', "", text)  # of its content, so that two alike have the same
    text = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = text.replace(INK, "currentColor")
    text = re.sub(r'font: ([^;"]*)\'sans-serif\'', r"font: \1system-ui, sans-serif", text)
    width = figure.get_size_inches()[0]
    head = f'<svg role="img" aria-label="{escape(description, quote=True)}" style="width: {width * _PIXELS:.0f}px; '
    head += f'min-width: {width * _PIXELS * _LEAST:.0f}px"'
    text = re.sub(r"<svg", head, text, count=1)
    return re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2).strip()


def look(index: int) -> dict[str, Any]:
    """Colour, marker and line of the design number `index`: told apart without colour too."""
    return {
        "color": PALETTE[index % len(PALETTE)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": LINES[(index // len(PALETTE)) % len(LINES)],
    }

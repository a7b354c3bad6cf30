"""How every figure looks: colours that colour-blind readers can tell apart, units as people write them, no display."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from payloadfield.store.files import refusing_bad_disk

# Okabe & Ito 2008, the blind-safe set, ordered by contrast with each other
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#000000")
SOLID = "#9a9a9a"
MAP = "viridis"
_DPI = 150
_SHOWN = {
    "nM*s": ("nM h", 3600.0),
    "s*nM": ("nM h", 3600.0),
    "molecules": ("molecules per cell", 1.0),
    "um": ("µm", 1.0),
}


def make_figure(width: float, height: float, title: str) -> Figure:
    """An empty figure [inches] with its title, drawn without a display."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11, fontweight="bold")
    return figure


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a PNG file; letters that the font lacks are drawn as boxes, without a warning each."""
    with warnings.catch_warnings(), refusing_bad_disk(path, 0):
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(path, dpi=_DPI)
    return path


def shown(values: np.ndarray, unit: str) -> tuple[np.ndarray, str]:
    """Values in the unit that people read, and that unit: an exposure in nM h instead of nM s."""
    name, divisor = _SHOWN.get(unit, (unit, 1.0))
    return np.asarray(values) / divisor, name


def colour_of_types(types: Sequence[str]) -> dict[str, str]:
    """A colour for every cell type, the same in every figure of a run."""
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(dict.fromkeys(types))}


def readable(name: str) -> str:
    """A name of the mechanism as a title: `payload_cytosol` -> `payload cytosol`."""
    return name.replace("_", " ")


def hours(seconds: float) -> str:
    """A time as a title: `36 h`, `12 min`, `5 s`."""
    if seconds >= 3600 or seconds == 0:
        return f"{seconds / 3600:.4g} h"
    return f"{seconds / 60:.3g} min" if seconds >= 60 else f"{seconds:.3g} s"


def mark_events(axes: Any, events: Sequence[float]) -> None:
    """A thin dashed line at every dose and wash after the start."""
    for time in events:
        if time > 0:
            axes.axvline(time / 3600, color="0.5", linewidth=0.8, linestyle="--", zorder=0)

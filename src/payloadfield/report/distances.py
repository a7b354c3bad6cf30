"""Exposure of every cell against its distance to the surface and to the nearest antigen-positive cell."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from payloadfield.compare.places import antigen_positive, distance_to_sides
from payloadfield.report.style import colour_of_types, make_figure, readable, shown
from payloadfield.store.reader import Run

_BINS = 8


def draw_distances(run: Run, exposure: str) -> Figure:
    """Figure of one exposure against distances: a dot a cell, median and quartiles over bins of about equal number."""
    values, unit = shown(run.cells[exposure], run.cells.units[exposure])
    distances = _distances(run)
    figure = make_figure(
        1.0 + 4.4 * len(distances), 4.6, f"{run.title}\n{readable(exposure)} of every cell against distance"
    )
    panels = figure.subplots(1, len(distances), squeeze=False, sharey=True)[0]
    for axes, (label, distance) in zip(panels, distances.items(), strict=True):
        _draw_panel(axes, run, distance, values)
        axes.set_xlabel(label)
    panels[0].set_ylabel(f"{readable(exposure)} [{unit}]")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    return figure


def distance_to_nearest(run: Run, chosen: np.ndarray) -> np.ndarray:
    """Distance of every cell to the nearest other cell of those chosen (n_cell,) [um], across periodic sides."""
    from scipy.spatial import cKDTree

    size = np.asarray(run.frame.shape) * run.frame.spacing
    box = np.where(run.manifest["periodic_zyx"], size, 0.0)  # 0 is an open axis to the tree
    points = np.stack([run.cells[f"{axis}_um"] for axis in "zyx"], axis=1)
    inside = np.where(box > 0, np.mod(points, np.where(box > 0, box, 1.0)), points)
    distance, _ = cKDTree(inside[chosen], boxsize=box).query(inside, k=2)
    return np.where(chosen, distance[:, 1], distance[:, 0])


def _distances(run: Run) -> dict[str, np.ndarray]:
    found = {}
    to_surface = run.cells["surface_distance_um"]
    if np.isfinite(to_surface).any():
        found["distance to the surface [µm]"] = to_surface
    positive = antigen_positive(run.cells)
    if positive:
        chosen = np.isin(run.cells["type"], positive)
        found[f"distance to the nearest antigen-positive cell [µm]\n({', '.join(positive)})"] = distance_to_nearest(
            run, chosen
        )
    sides = run.manifest["bath_sides"]
    if sides:
        found[f"distance to the bath [µm]\n({', '.join(sides).replace('_', ' ')})"] = distance_to_sides(
            run.cells, sides, run.frame.shape, run.frame.spacing
        )
    return found or {"height above the floor [µm]": run.cells["z_um"]}


def _draw_panel(axes: Any, run: Run, distance: np.ndarray, values: np.ndarray) -> None:
    for name, colour in colour_of_types(run.cells["type"].tolist()).items():
        chosen = (run.cells["type"] == name) & np.isfinite(distance)
        axes.plot(distance[chosen], values[chosen], ".", markersize=2.5, color=colour, alpha=0.35, rasterized=True)
        _draw_medians(axes, distance[chosen], values[chosen], name, colour)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)


def _draw_medians(axes: Any, distance: np.ndarray, values: np.ndarray, name: str, colour: str) -> None:
    """Median and quartiles over bins of about equal number."""
    if not len(distance):
        return
    edges = np.unique(np.quantile(distance, np.linspace(0, 1, _BINS + 1)))
    bin_of = np.searchsorted(edges[1:-1], distance, side="right")
    bins = [np.flatnonzero(bin_of == number) for number in np.unique(bin_of)]
    centres = [float(np.median(distance[chunk])) for chunk in bins]
    lower, middle, upper = np.asarray([np.percentile(values[chunk], (25, 50, 75)) for chunk in bins]).T
    axes.errorbar(
        centres, middle, yerr=(middle - lower, upper - middle), color=colour, marker="o", markersize=5, capsize=2.5,
        linewidth=1.4, markeredgecolor="white", label=f"{name} (median, quartiles)",
    )  # fmt: skip

"""Slices through the fields at chosen times: one row a field, one column a time, one colour scale a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm, Normalize, to_rgb
from matplotlib.figure import Figure

from payloadfield.report.style import MAP, SOLID, colour_of_types, hours, make_figure, readable
from payloadfield.store.reader import Run

_AXES = "zyx"
_COLUMNS = 4
_DECADES = 3  # a logarithmic scale spans these below the largest value
_ENOUGH_OPEN = 0.2  # open share of the middle layer below which another layer shows more
_DECADES_FOR_LOG = 1.5  # spread between times above which a linear scale would hide the low ones


def draw_slices(run: Run, fields: Sequence[str], indices: Sequence[int], axis: str, position: float | None) -> Figure:
    """Figure of `fields` at the outputs `indices`, cut normal to `axis` at the share `position` of it.

    Without a position the cut goes through the middle, or where most is open if little is open there.
    """
    layer = choose_layer(run, axis, position)
    height, width = _extent(run, axis)
    panel = 2.6
    figure = make_figure(
        1.2 + panel * len(indices),
        0.6 + (panel * min(height / width, 2.0) + 0.35) * len(fields),
        f"{run.title}\nfields in the plane {axis} = {(layer + 0.5) * run.frame.spacing:.4g} µm{_legend(run)}",
    )
    panels = figure.subplots(len(fields), len(indices), squeeze=False, sharex=True, sharey=True)
    for row, name in enumerate(fields):
        images = [cut(run.field(name, index), axis, layer) for index in indices]
        scale = scale_of(images)
        for column, image in enumerate(images):
            picture = _draw_panel(panels[row, column], run, image, axis, scale)
            _shade_solid(panels[row, column], run, axis, layer)
            _outline_gel(panels[row, column], run, axis, layer)
        lowest = min((float(np.nanmin(image)) for image in images if np.isfinite(image).any()), default=0.0)
        extend = "min" if isinstance(scale, LogNorm) and lowest < (scale.vmin or 0.0) else "neither"
        bar = figure.colorbar(picture, ax=panels[row, :], shrink=0.9, pad=0.01, extend=extend)
        bar.set_label(f"{readable(name)} [nM]")
    _label(panels, run, indices, axis)
    _draw_cells(figure, panels, run, axis, layer)
    return figure


def choose_outputs(run: Run, times: Sequence[float]) -> list[int]:
    """Outputs nearest to `times` [s]; without any: the first after the start, those before events, and the last."""
    if not times:
        end = float(run.times[-1])
        events = [time for time in run.manifest["events_s"] if 0 < time < end]
        last_event = events[-1] if events else 0.0
        times = [float(run.times[min(1, len(run.times) - 1)]), *events[-2:], 0.5 * (last_event + end), end]
    nearest = sorted({int(np.argmin(np.abs(run.times - time))) for time in times})
    return nearest if len(nearest) <= _COLUMNS else [nearest[0], *nearest[-(_COLUMNS - 1) :]]


def choose_layer(run: Run, axis: str, position: float | None) -> int:
    """The layer at a share of the axis, or the middle one if it is open, else the most open one."""
    number = _AXES.index(axis)
    n_layers = run.frame.shape[number]
    if position is not None:
        return min(int(position * n_layers), n_layers - 1)
    return most_telling_layer(run.geometry("open_fraction"), number)


def most_telling_layer(open_fraction: np.ndarray, axis: int) -> int:
    """The middle layer of (nz, ny, nx) normal to an axis (0 z, 1 y, 2 x) if it is open, else the most open one."""
    openness = open_fraction.mean(axis=tuple(k for k in range(3) if k != axis))
    middle = len(openness) // 2
    return middle if openness[middle] > _ENOUGH_OPEN else int(np.argmax(openness))


def cut(values: np.ndarray, axis: str, layer: int) -> np.ndarray:
    """The layer of an array (nz, ny, nx) normal to an axis."""
    return np.take(values, layer, axis=_AXES.index(axis))


def _extent(run: Run, axis: str) -> tuple[float, float]:
    """Height and width of the slice [um]."""
    sizes = [count * run.frame.spacing for name, count in zip(_AXES, run.frame.shape, strict=True) if name != axis]
    return sizes[0], sizes[1]


def scale_of(images: Sequence[np.ndarray]) -> Normalize:
    """One scale for all times: linear, or logarithmic where the times differ too much to show both."""
    typical = [float(np.nanmax(image)) if np.isfinite(image).any() else 0.0 for image in images]
    largest = max(max(typical), 1e-30)
    positive = [value for value in typical if value > 0]
    if positive and largest / min(positive) > 10**_DECADES_FOR_LOG:
        return LogNorm(largest * 10.0**-_DECADES, largest, clip=True)
    return Normalize(0.0, largest, clip=True)


def _draw_panel(axes: Any, run: Run, image: np.ndarray, axis: str, scale: Normalize) -> Any:
    height, width = _extent(run, axis)
    axes.set_facecolor(SOLID)
    shown = np.ma.masked_invalid(image)
    return axes.imshow(shown, origin="lower", extent=(0, width, 0, height), norm=scale, cmap=MAP, interpolation="none")


def _shade_solid(axes: Any, run: Run, axis: str, layer: int) -> None:
    """Grey in the share of each voxel that is solid, so that a round strand looks round."""
    solid = 1.0 - cut(run.geometry("open_fraction"), axis, layer)
    height, width = _extent(run, axis)
    grey = np.empty((*solid.shape, 4))
    grey[..., :3], grey[..., 3] = to_rgb(SOLID), np.clip(solid, 0.0, 1.0)
    axes.imshow(grey, origin="lower", extent=(0, width, 0, height), interpolation="none")


def _legend(run: Run) -> str:
    """What solid and gel look like, where there are any."""
    is_open, label = run.geometry("open_fraction") > 0, run.geometry("material")
    solid = "" if is_open.all() else "; solid is grey"
    return solid + ("; gel is outlined" if np.any(is_open & (label > 0) & (run.geometry("open_fraction") == 1)) else "")


def _outline_gel(axes: Any, run: Run, axis: str, layer: int) -> None:
    """A white line around the gel: open voxels of another material than the medium."""
    is_gel = cut((run.geometry("material") > 0) & (run.geometry("open_fraction") == 1), axis, layer)
    if is_gel.any() and not is_gel.all():
        height, width = _extent(run, axis)
        padded = np.pad(is_gel.astype(float), 1, mode="edge")  # so that the line reaches the sides
        centres = [(np.arange(count) - 0.5) * run.frame.spacing for count in padded.shape]
        axes.contour(centres[1], centres[0], padded, levels=[0.5], colors="white", linewidths=0.9)
        axes.set(xlim=(0, width), ylim=(0, height))


def _label(panels: np.ndarray, run: Run, indices: Sequence[int], axis: str) -> None:
    vertical, horizontal = (name for name in _AXES if name != axis)
    for column, index in enumerate(indices):
        panels[0, column].set_title(hours(float(run.times[index])), fontsize=10)
        panels[-1, column].set_xlabel(f"{horizontal} [µm]")
    for row in panels:
        row[0].set_ylabel(f"{vertical} [µm]")


def _draw_cells(figure: Figure, panels: np.ndarray, run: Run, axis: str, layer: int) -> None:
    """Cells whose centre lies in the layer, one colour a type."""
    if not run.cells.n_rows:
        return
    place = (layer + 0.5) * run.frame.spacing
    near = run.cells.rows(np.abs(run.cells[f"{axis}_um"] - place) <= 0.5 * run.frame.spacing)
    vertical, horizontal = (name for name in _AXES if name != axis)
    for name, colour in colour_of_types(run.cells["type"].tolist()).items():
        cells = near.rows(near["type"] == name)
        for axes in panels.ravel():
            axes.plot(
                cells[f"{horizontal}_um"], cells[f"{vertical}_um"], "o", markersize=2.6, markerfacecolor=colour,
                markeredgecolor="white", markeredgewidth=0.3, label=name,
            )  # fmt: skip
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False, markerscale=2, fontsize=9)

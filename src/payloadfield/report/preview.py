"""A study before it is run: sections through its scaffold and cells, and a shaded view of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.collections import EllipseCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from payloadfield.geometry import Geometry
from payloadfield.report.render import SMALLEST_CELL, Scene, View, render
from payloadfield.report.slices import most_telling_layer
from payloadfield.report.style import COLOURS, SOLID, make_figure
from payloadfield.study import Study

_AXES = "zyx"
# Solids are greys and browns, baths pale blue, gels pale tints: cells keep the strong colours.
_SOLIDS = (SOLID, "#b59f86", "#6d7680", "#cfc7b8")
_BATH = "#c4dcec"
_GELS = ("#efcf9a", "#bfe0c2", "#d9c8e8", "#f2c3c0")
_PIXELS = 1000
# Closed share of the sides towards the eye above which a part is cut away.
_HIDDEN = 0.6
# Smallest radius of a cell in a section, as a share of the longer side of the section.
_SMALLEST_DOT = 0.006
Rgb = tuple[float, float, float]


def draw_preview(study: Study, *, azimuth: float = -58.0, elevation: float = 28.0) -> Figure:
    """Figure of a study: a shaded view from the direction [degrees], and sections normal to x, y and z."""
    geometry, size = study.geometry, study.geometry.grid.size
    colours = _colours_of_materials(geometry)
    cells = _colours_of_cells(study)
    nz, ny, nx = geometry.grid.shape
    edges = " x ".join(_length(length) for length in size[::-1])
    title = (
        f"{study.title}\n{edges}, {nx} x {ny} x {nz} voxels (x, y, z) of {geometry.grid.spacing:g} µm, "
        f"porosity {geometry.open_fraction.mean():.1%}, {study.cells.n_cells:,} cells"
    )
    figure = make_figure(12.5, 7.6, title)
    halves: Any = figure.subfigures(1, 2, width_ratios=(1.15, 1.0))
    view, sections = halves
    drawn = _draw_view(view.subplots(), study, colours, cells, View(size, azimuth, elevation, _PIXELS))
    corner = _draw_sections(sections, study, colours, cells)
    handles = _handles(study, colours)
    if corner is None:
        sections.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    else:
        corner.legend(handles=handles, loc="center", frameon=False, fontsize=9)
    if drawn:
        view.supxlabel(drawn, fontsize=8, color="0.35")
    return figure


def _length(um: float) -> str:
    return f"{um / 1000:.4g} mm" if um >= 1000 else f"{um:.4g} µm"


def _colours_of_materials(geometry: Geometry) -> dict[int, Rgb]:
    """Colour of each material but the medium, by its index."""
    found, used = {}, {"impermeable": 0, "gel": 0}
    for index, material in enumerate(geometry.materials):
        if material.kind == "bath":
            found[index] = to_rgb(_BATH)
        elif material.kind in used:
            palette = _GELS if material.kind == "gel" else _SOLIDS
            found[index] = to_rgb(palette[used[material.kind] % len(palette)])
            used[material.kind] += 1
    return found


def _colours_of_cells(study: Study) -> np.ndarray:
    """Colour of each cell by its type, (n, 3)."""
    palette = np.array([to_rgb(COLOURS[i % len(COLOURS)]) for i in range(max(1, len(study.cells.type_names)))])
    return palette[study.cells.type_index]


def _handles(study: Study, colours: dict[int, Rgb]) -> list[Any]:
    """Rows of the legend: materials, then types of cells with their numbers."""
    present = {int(index) for index in np.unique(study.geometry.label)}
    rows: list[Any] = [
        Patch(facecolor=colours[index], edgecolor="0.4", linewidth=0.5, label=material.name)
        for index, material in enumerate(study.geometry.materials)
        if index in colours and index in present
    ]
    counts = np.bincount(study.cells.type_index, minlength=len(study.cells.type_names))
    for number, (name, count) in enumerate(zip(study.cells.type_names, counts, strict=True)):
        colour, label = COLOURS[number % len(COLOURS)], f"{name} ({count:,})"
        rows.append(Line2D([], [], linestyle="none", marker="o", color=colour, markersize=6, label=label))
    return rows


# ---------------------------------------------------------------- sections


def _draw_sections(figure: Any, study: Study, colours: dict[int, Rgb], cells: np.ndarray) -> Any:
    """Sections normal to z, y and x; the panel that is left over for the legend, None if there is none."""
    nz, ny, nx = study.geometry.grid.size
    corner = None
    if _is_compact(study):
        panels = figure.subplots(2, 2, width_ratios=(nx, ny), height_ratios=(ny, nz))
        places, corner = {"z": panels[0, 0], "y": panels[1, 0], "x": panels[1, 1]}, panels[0, 1]
        corner.set_axis_off()
        panels[0, 0].set_anchor("S")
    else:
        places = dict(zip("zyx", figure.subplots(3, 1, height_ratios=(max(ny, nz), nz, nz)), strict=True))
    for axis, panel in places.items():
        _draw_section(panel, study, axis, colours, cells)
        if corner is not None and axis != "z":
            panel.set_anchor("N")
    return corner


def _is_compact(study: Study) -> bool:
    """Whether the three sections fit beside and above one another, none of them a thin line."""
    size = study.geometry.grid.size
    return max(size) < 2.5 * min(size)


def _draw_section(panel: Any, study: Study, axis: str, colours: dict[int, Rgb], cells: np.ndarray) -> None:
    geometry, number = study.geometry, _AXES.index(axis)
    layer = most_telling_layer(geometry.open_fraction, number)
    vertical, horizontal = (name for name in _AXES if name != axis)
    height, width = (geometry.grid.size[_AXES.index(name)] for name in (vertical, horizontal))
    extent = (0.0, width, 0.0, height)
    panel.imshow(_section_image(geometry, number, layer, colours), origin="lower", extent=extent, interpolation="none")
    _outline_gels(panel, geometry, number, layer, colours)
    place = (layer + 0.5) * geometry.grid.spacing
    _dot_cells(panel, study, cells, axis, place, _SMALLEST_DOT * max(width, height))
    panel.set(xlim=(0, width), ylim=(0, height), xlabel=f"{horizontal} [µm]", ylabel=f"{vertical} [µm]")
    panel.set_title(f"{axis} = {place:.4g} µm", fontsize=9)
    panel.tick_params(labelsize=8)


def _section_image(geometry: Geometry, axis: int, layer: int, colours: dict[int, Rgb]) -> np.ndarray:
    """Colours of a layer: what is open, and over it the solid by its share."""
    palette = np.ones((len(geometry.materials), 3))
    for index, colour in colours.items():
        palette[index] = colour
    label, open_label = (np.take(each, layer, axis) for each in (geometry.label, geometry.open_label))
    share = 1 - np.take(geometry.open_fraction, layer, axis)[..., None]
    return np.asarray(palette[open_label] * (1 - share) + palette[_closed_label(geometry, label)] * share)


def _closed_label(geometry: Geometry, label: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Material that closes each voxel: that of the nearest one whose centre is closed."""
    from scipy.ndimage import distance_transform_edt

    is_open = np.array([material.is_open for material in geometry.materials])[label]
    if is_open.all() or not is_open.any() or sum(not material.is_open for material in geometry.materials) < 2:
        first = [index for index, material in enumerate(geometry.materials) if not material.is_open]
        return np.where(is_open, np.uint8(first[0] if first else 0), label)
    nearest = distance_transform_edt(is_open, return_distances=False, return_indices=True)
    return np.asarray(label[tuple(nearest)])


def _outline_gels(panel: Any, geometry: Geometry, axis: int, layer: int, colours: dict[int, Rgb]) -> None:
    """A line around each gel, in a darker shade of its tint."""
    label = np.take(geometry.open_label, layer, axis)
    is_open = np.take(geometry.open_fraction, layer, axis) > 0
    h = geometry.grid.spacing
    for index, material in enumerate(geometry.materials):
        inside = (label == index) & is_open
        if material.kind != "gel" or not inside.any() or inside[is_open].all():
            continue
        rows, columns = ((np.arange(count) + 0.5) * h for count in inside.shape)
        if min(inside.shape) > 1:
            dark = tuple(0.6 * part for part in colours[index])
            panel.contour(columns, rows, inside.astype(float), levels=[0.5], colors=[dark], linewidths=0.8)


def _dot_cells(panel: Any, study: Study, colours: np.ndarray, axis: str, place: float, smallest: float) -> None:
    """Cells that the plane cuts, each as large as it is there, or large enough to be seen."""
    cells = study.cells
    radius, away = cells.radius, np.abs(cells.position[:, _AXES.index(axis)] - place)
    cut = away <= np.maximum(radius, study.geometry.grid.spacing / 2)
    vertical, horizontal = (_AXES.index(name) for name in _AXES if name != axis)
    inside = np.sqrt(np.maximum(radius[cut] ** 2 - away[cut] ** 2, 0))
    diameter = 2 * np.maximum(np.maximum(inside, 0.3 * radius[cut]), smallest)
    panel.add_collection(
        EllipseCollection(
            diameter, diameter, np.zeros(len(diameter)), units="xy", facecolors=colours[cut], edgecolors="white",
            linewidths=0.3, offsets=cells.position[cut][:, [horizontal, vertical]], offset_transform=panel.transData,
        )
    )  # fmt: skip


# ---------------------------------------------------------------- the shaded view


def _draw_view(axes: Any, study: Study, colours: dict[int, Rgb], cells: np.ndarray, view: View) -> str:
    """The shaded view within the edges of its box; a sentence on what is not to scale."""
    scene = _scene(study.geometry, study, colours, cells)
    is_hidden = _hides_inside(scene.solid, view)
    picture = render(_cut_away(scene, view) if is_hidden else scene, view)
    extent = np.array([-view.half_width, view.half_width, -view.half_height, view.half_height])
    front, back = _edges(study.geometry.grid.size, view)
    for edge in back:
        axes.plot(*edge, color="0.75", linewidth=0.8, zorder=1)
    axes.imshow(picture, extent=extent, zorder=2, interpolation="antialiased")
    for edge in front:
        axes.plot(*edge, color="0.35", linewidth=0.8, zorder=3)
    _name_edges(axes, study.geometry.grid.size, view)
    margin = 0.06 * max(view.half_width, view.half_height)
    left, right, low, high = extent
    axes.set(xlim=(left - margin, right + margin), ylim=(low - 2 * margin, high + margin), aspect="equal")
    axes.set_axis_off()
    notes = ["The eighth of the solid nearest to the eye is cut away."] if is_hidden else []
    if study.cells.n_cells and float(study.cells.radius.min()) < SMALLEST_CELL * view.pixel:
        notes.append("Small cells are drawn larger than they are.")
    return " ".join(notes)


def _hides_inside(solid: np.ndarray, view: View) -> bool:
    """Whether the sides of the box that face the eye are mostly closed."""
    faces = [np.take(solid, -1 if view.towards_eye[axis] > 0 else 0, axis).ravel() for axis in range(3)]
    return float(np.concatenate(faces).mean()) > _HIDDEN


def _cut_away(scene: Scene, view: View) -> Scene:
    """The scene without the solid in the eighth of its box nearest to the eye."""
    near = tuple(
        slice(n // 2, None) if towards > 0 else slice(None, (n + 1) // 2)
        for n, towards in zip(scene.solid.shape, view.towards_eye, strict=True)
    )
    solid = scene.solid.copy()
    solid[near] = 0
    return replace(scene, solid=solid)


def _scene(geometry: Geometry, study: Study, colours: dict[int, Rgb], cells: np.ndarray) -> Scene:
    numbers = {index: place for place, index in enumerate(colours)}
    of_material = np.array([numbers.get(index, 0) for index in range(len(geometry.materials))], np.int8)
    is_gel = np.array([material.kind == "gel" for material in geometry.materials])
    tints = np.array(list(colours.values()) or [to_rgb(SOLID)])
    return Scene(
        solid=1 - geometry.open_fraction.astype(np.float32),
        colour_of_solid=of_material[_closed_label(geometry, geometry.label)],
        solid_colours=tints,
        gel=np.where(is_gel, of_material, -1).astype(np.int8)[geometry.open_label],
        gel_colours=tints,
        spacing=geometry.grid.spacing,
        cells=study.cells.position,
        radius=study.cells.radius,
        cell_colours=cells,
    )


def _edges(size: Sequence[float], view: View) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Edges of the box as lines in the picture: those that meet at its nearest corner, and the others behind."""
    corners = np.array(list(product((0, 1), repeat=3)))
    right, up, depth = view.project(corners * np.array(size))
    nearest = corners[int(np.argmin(depth))]
    front: list[np.ndarray] = []
    back: list[np.ndarray] = []
    for i, j in product(range(8), repeat=2):
        if i < j and np.abs(corners[i] - corners[j]).sum() == 1:
            is_hidden = ((corners[i] != nearest) & (corners[j] != nearest)).sum() >= 2
            (back if is_hidden else front).append(np.array([[right[i], right[j]], [up[i], up[j]]]))
    return front, back


def _name_edges(axes: Any, size: Sequence[float], view: View) -> None:
    """Names and lengths of the box's edges: x and y along its bottom, z on its left."""
    nz, ny, nx = size
    flat = (view.towards_eye[1] > 0, view.towards_eye[2] > 0)
    y_near, x_near = ny * flat[0], nx * flat[1]
    lines = {
        f"x {_length(nx)}": np.array([0.0, y_near, nx / 2]),
        f"y {_length(ny)}": np.array([0.0, ny / 2, x_near]),
    }
    corners = np.array([[nz / 2, y, x] for y in (0.0, ny) for x in (0.0, nx)])
    left = int(np.argmin(view.project(corners)[0]))
    lines[f"z {_length(nz)}"] = corners[left]
    away = 0.035 * 2 * max(view.half_width, view.half_height)
    for text, point in lines.items():
        right, up, _ = (float(value[0]) for value in view.project(point[None]))
        if text.startswith("z"):
            axes.text(right - away, up, text, rotation=90, ha="center", va="center", fontsize=9, color="0.3")
        else:
            axes.text(right + np.sign(right) * away, up - away, text, ha="center", va="center", fontsize=9, color="0.3")

"""Strands of a print: which moves are taken, how wide and high they lie, and where the print stands."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.gcode.toolpath import BoolArray, IntArray, Toolpath
from payloadfield.geometry.grid import FloatArray, Triple
from payloadfield.geometry.mesh.checking import describe_place

# Two metres [um]: what is larger was read in the wrong unit.
LARGEST_PRINT = 2e6
# Layers whose heights differ by more than this have gaps, or the first lies on something; a strand is no ribbon.
MOST_UNLIKE, WIDEST = 3.0, 20.0
# Heights closer than this are one layer; a move that rises by less is level [um].
LEVEL = 1e-3


@dataclass(frozen=True)
class PrintSettings:
    """How the strands of a print are made from the moves of its file.

    nozzle_diameter, filament_diameter: of all heads, or by head [um]
    layer_height: height of a strand; None for that of the file's layers [um]
    width: "nozzle", "volume" (what comes out, over the length), "comment" (;WIDTH:), or a width [um]
    heads: those taken; none for all.  first_layer, last_layer: taken, counted from 1; 0 is before the first
    leave_out: ;TYPE: comments whose strands are left out
    """

    nozzle_diameter: float | Mapping[str, float] | None = None
    filament_diameter: float | Mapping[str, float] | None = None
    layer_height: float | None = None
    width: str | float = "nozzle"
    heads: tuple[str, ...] = ()
    first_layer: int = 0
    last_layer: int | None = None
    leave_out: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class PrintedStrands:
    """Straight strands: the places whose offset (u in the plane, v upwards) from an axis has (2u/w)^2 + (2v/h)^2 < 1.

    start, end: (n, 3) of the axis, z, y, x [um]; width, height: (n,) [um]
    head, layer: (n,) position in heads, and number of the layer; volume: (n,) that E says, NaN where unknown [um^3]
    """

    name: str
    start: FloatArray
    end: FloatArray
    width: FloatArray
    height: FloatArray
    head: IntArray
    layer: IntArray
    volume: FloatArray
    heads: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def length(self) -> FloatArray:
        """Of each strand, along its axis [um]."""
        return np.linalg.norm(self.end - self.start, axis=1)

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest coordinates z, y, x of the strands [um]."""
        around = np.stack([self.height, self.width, self.width], axis=1) / 2
        return (np.minimum(self.start, self.end) - around).min(axis=0), (np.maximum(self.start, self.end) + around).max(
            axis=0
        )

    def moved(self, shift: FloatArray) -> "PrintedStrands":
        """The same strands elsewhere; shift: z, y, x [um]."""
        return replace(self, start=self.start + shift, end=self.end + shift)

    def taken(self, which: BoolArray) -> "PrintedStrands":
        """Some of the strands."""
        arrays = ("start", "end", "width", "height", "head", "layer", "volume")
        return replace(self, **{name: getattr(self, name)[which] for name in arrays})

    def of_head(self, head: str) -> "PrintedStrands":
        """The strands of one head.  Raises GeometryError where it prints nothing."""
        which = self.head == self.heads.index(head) if head in self.heads else np.zeros(len(self.head), bool)
        if not which.any():
            printing = ", ".join(self.heads[i] for i in np.unique(self.head))
            raise GeometryError(f"{self.name}: head {head} prints nothing that is taken; there are: {printing}")
        return self.taken(which)


def make_strands(path: Toolpath, settings: PrintSettings) -> PrintedStrands:
    """The strands of a print, as far as they are taken, where the file has them.

    The nozzle glides on the top of a strand: its axis lies half its height below the tip.
    Raises GeometryError for settings that take nothing or do not say how wide or high a strand is, and for a print
    that is too large to be one.
    """
    kept = np.flatnonzero(_is_taken(path, settings))
    _refuse_nothing(path, kept)
    start, end = path.start[kept], path.end[kept]
    head = path.head[kept]
    _refuse_wrong_unit(path, start, end)
    height = _heights(path, kept, settings)
    length = np.linalg.norm(end - start, axis=1)
    volume = _volumes(path, kept, settings)
    width, height = _widths(path, kept, settings, length, height, volume)
    down = np.zeros_like(start)
    down[:, 2] = height / 2
    begin, finish = ((place - down)[:, ::-1].copy() for place in (start, end))
    layer, notes = path.layer[kept], [*path.notes]
    if path.unknown_start in kept:
        place = describe_place(path.start[path.unknown_start, ::-1])
        notes.append(
            f"{path.name}: a strand starts at a place that the file does not give, taken as {place}: a prime line, "
            "perhaps, which first_layer or leave_out can leave out"
        )
    n_wide = int((width > WIDEST * height).sum())
    if n_wide:
        notes.append(f"{path.name}: {n_wide:,} strands are more than {WIDEST:g} times as wide as high; blobs, perhaps")
    return PrintedStrands(path.name, begin, finish, width, height, head, layer, volume, path.heads, tuple(notes))


def place_print(strands: PrintedStrands, at: Triple | None, middle: tuple[float, float] | None) -> PrintedStrands:
    """The strands moved so that the lower corner of their box is `at` (z, y, x), or that they stand around `middle`.

    middle: y, x of the middle of their box, whose bottom comes to z = 0 [um]
    """
    low, high = strands.bounds
    if at is not None:
        return strands.moved(np.array(at) - low)
    if middle is not None:
        return strands.moved(np.array([-low[0], *(m - c for m, c in zip(middle, (low + high)[1:] / 2, strict=True))]))
    return strands


def _is_taken(path: Toolpath, settings: PrintSettings) -> BoolArray:
    for what, given, known in (
        ("heads", settings.heads, path.heads),
        ("leave_out", settings.leave_out, path.kinds),
    ):
        unknown = [name for name in given if name not in known]
        if unknown:
            raise GeometryError(f"{path.name}: {what}: there is no {unknown[0]!r}; the file has: {', '.join(known)}")
    taken = path.layer >= settings.first_layer
    if settings.last_layer is not None:
        taken &= path.layer <= settings.last_layer
    if settings.heads:
        taken &= np.isin(path.head, [path.heads.index(name) for name in settings.heads])
    return taken & ~np.isin(path.kind, [path.kinds.index(name) for name in settings.leave_out])


def _refuse_nothing(path: Toolpath, kept: IntArray) -> None:
    if not len(kept):
        raise GeometryError(
            f"{path.name}: heads, first_layer, last_layer and leave_out take none of its {len(path.head):,} strands; "
            f"it has layers {path.layer.min()} to {path.layer.max()}, heads {', '.join(path.heads)}"
        )


def _refuse_wrong_unit(path: Toolpath, start: FloatArray, end: FloatArray) -> None:
    extent = np.maximum(start, end).max(axis=0) - np.minimum(start, end).min(axis=0)
    if extent.max() > LARGEST_PRINT:
        raise GeometryError(
            f"{path.name}: is {extent.max() / 1e6:.4g} m long, which no print is: its coordinates count as "
            f'{path.unit}; set unit to what they are ("um", "mm", "inch")'
        )


def _heights(path: Toolpath, kept: IntArray, settings: PrintSettings) -> FloatArray:
    """Height of each strand: as the study says, as ;HEIGHT: says, or from layer to layer."""
    if settings.layer_height is not None:
        return np.full(len(kept), settings.layer_height)
    said = path.height[kept]
    if np.isfinite(said).all():
        return said
    ask = "set layer_height"
    z = path.end[kept, 2]
    if (np.abs(z - path.start[kept, 2]) > LEVEL).any():
        raise GeometryError(f"{path.name}: rises while it prints, so its layers have no one height; {ask}")
    levels = np.unique(np.round(z / LEVEL)) * LEVEL
    levels = levels[np.concatenate([[True], np.diff(levels) > 2 * LEVEL])]
    if len(levels) == 1:
        raise GeometryError(f"{path.name}: prints at one height only, which does not say how high a strand is; {ask}")
    steps = np.diff(levels, prepend=0.0 if levels[0] > LEVEL else 2 * levels[0] - levels[1])
    if steps.max() > MOST_UNLIKE * steps.min():
        raise GeometryError(
            f"{path.name}: the tip of the nozzle rises by {steps.min():.4g} to {steps.max():.4g} um from layer to "
            f"layer (from 0 to the first), so the height of a strand is unclear; {ask}"
        )
    return steps[np.clip(np.searchsorted(levels, z - LEVEL), 0, len(levels) - 1)]


def _by_head(path: Toolpath, kept: IntArray, value: float | Mapping[str, float] | None, key: str) -> FloatArray:
    """A length of the study for each strand, by its head.  Raises GeometryError where there is none."""
    used = [path.heads[i] for i in np.unique(path.head[kept])]
    lengths = value if isinstance(value, Mapping) else dict.fromkeys(used, value)
    lacking = [head for head in used if lengths.get(head) is None]
    if lacking:
        raise GeometryError(f"{path.name}: {key} of head {lacking[0]} is missing; set {key}, of all heads or by head")
    return np.array([lengths.get(head) or np.nan for head in path.heads])[path.head[kept]]


def _volumes(path: Toolpath, kept: IntArray, settings: PrintSettings) -> FloatArray:
    """Extruded volume of each strand as E has it [um^3]; NaN where the width of the filament is not said."""
    volume, filament = path.volume[kept], path.filament[kept]
    if settings.filament_diameter is None:
        return np.where(filament > 0, np.nan, volume)
    diameter = _by_head(path, kept, settings.filament_diameter, "filament_diameter")
    return volume + np.pi / 4 * diameter**2 * filament


def _widths(
    path: Toolpath, kept: IntArray, settings: PrintSettings, length: FloatArray, height: FloatArray,
    volume: FloatArray,
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """Width of each strand, and its height, which is less where so little comes out that the strand is round."""
    if settings.width == "nozzle":
        return _by_head(path, kept, settings.nozzle_diameter, "nozzle_diameter"), height
    if settings.width == "comment":
        width = path.width[kept]
        lacking = int(np.isnan(width).sum())
        if lacking:
            raise GeometryError(
                f"{path.name}: {lacking:,} of {len(width):,} strands come before any ;WIDTH: comment; set width "
                'otherwise (such as "nozzle"), or leave them out by first_layer or leave_out'
            )
        return width, height
    if settings.width != "volume":
        return np.full(len(kept), float(settings.width)), height
    return _widths_by_volume(path, kept, settings, volume / length, height)


def _widths_by_volume(
    path: Toolpath, kept: IntArray, settings: PrintSettings, area: FloatArray, height: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """From area = pi/4 width height; round where that would be less wide than high."""
    if np.isnan(area).any():
        _by_head(path, kept, settings.filament_diameter, "filament_diameter")
        raise GeometryError(f'{path.name}: width = "volume" needs an E axis; with on and off codes say how wide it is')
    across = np.sqrt(4 / np.pi * area)
    is_round = across < height
    width, height = np.where(is_round, across, across**2 / height), np.where(is_round, across, height)
    if np.median(width / height) > WIDEST:
        raise GeometryError(
            f"{path.name}: by the volume that comes out, strands {np.median(height):.4g} um high are "
            f"{np.median(width):.4g} um wide; check filament_diameter, layer_height and unit"
        )
    return width, height

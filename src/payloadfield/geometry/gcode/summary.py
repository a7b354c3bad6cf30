"""What was understood of a print, as plain data: for `payloadfield geometry read` and `check`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from payloadfield.geometry.gcode.strands import PrintedStrands
from payloadfield.geometry.gcode.toolpath import Toolpath
from payloadfield.geometry.grid import FloatArray, Triple


@dataclass(frozen=True)
class HeadSummary:
    """What one head prints; None where the file or the study does not say it.

    path_length: along the strands [um]; extruded_volume: as E has it [um^3]
    width, height: smallest, middle and largest of its strands [um]
    """

    head: str
    n_strands: int
    path_length: float
    extruded_volume: float | None
    width: Triple | None
    height: Triple | None


@dataclass(frozen=True)
class PrintSummary:
    """What was understood of a G-code file.

    n_taken: strands that the settings take, of n_strands in the file; n_layers: those with strands taken
    low, high: corners x, y, z of the box of the strands taken, or of their axes where widths are unknown [um]
    path_length_by_type: of the whole file, by ;TYPE: comment [um]
    n_standing: times that something comes out while the nozzle stands still, which is left out
    ignored: commands without effect, by code
    """

    name: str
    program: str
    unit: str
    n_lines: int
    n_strands: int
    n_taken: int
    n_layers: int
    low: Triple
    high: Triple
    heads: tuple[HeadSummary, ...]
    path_length_by_type: Mapping[str, float]
    n_standing: int
    ignored: Mapping[str, int]
    notes: tuple[str, ...]


def summarise_print(path: Toolpath, strands: PrintedStrands | None = None) -> PrintSummary:
    """Summary of a file, and of the strands made from it where settings are known."""
    length = np.linalg.norm(path.end - path.start, axis=1)
    by_type = np.bincount(path.kind, length, len(path.kinds))
    if strands is None:
        ends = np.concatenate([path.start, path.end])
        low, high, layer = ends.min(axis=0), ends.max(axis=0), path.layer
        heads = [_head_of_file(path, length, i) for i in range(len(path.heads))]
    else:
        (low, high), layer = strands.bounds, strands.layer
        low, high = low[::-1], high[::-1]
        heads = [_head_of_strands(strands, i) for i in np.unique(strands.head)]
    return PrintSummary(
        path.name, path.program, path.unit, path.n_lines, len(length), len(layer), len(np.unique(layer)),
        _triple(low), _triple(high), tuple(heads),
        {kind: float(total) for kind, total in zip(path.kinds, by_type, strict=True) if total > 0},
        path.n_standing, dict(path.ignored), path.notes if strands is None else strands.notes,
    )  # fmt: skip


def _head_of_file(path: Toolpath, length: FloatArray, head: int) -> HeadSummary:
    own = path.head == head
    volume = float(path.volume[own].sum()) if not path.filament[own].any() else None
    spread = [_spread(values[own]) for values in (path.width, path.height)]
    return HeadSummary(path.heads[head], int(own.sum()), float(length[own].sum()), _known(volume), *spread)


def _head_of_strands(strands: PrintedStrands, head: int) -> HeadSummary:
    own = strands.head == head
    spread = [_spread(values[own]) for values in (strands.width, strands.height)]
    total, volume = float(strands.length[own].sum()), float(strands.volume[own].sum())
    return HeadSummary(strands.heads[head], int(own.sum()), total, _known(volume), *spread)


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else value


def _spread(values: FloatArray) -> Triple | None:
    if not np.isfinite(values).all():
        return None
    return float(values.min()), float(np.median(values)), float(values.max())


def _triple(values: FloatArray) -> Triple:
    x, y, z = (float(value) for value in values)
    return x, y, z

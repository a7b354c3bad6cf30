"""What a G-code file prints: the moves along which something comes out, and what was not read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from payloadfield.geometry.grid import FloatArray

IntArray = npt.NDArray[np.integer]
BoolArray = npt.NDArray[np.bool_]

#: Name of what is printed before the first ;TYPE: comment.
NO_TYPE = "no type"


class Code(NamedTuple):
    """A command such as "M42 P4 S1": its code, and the words that have to be on its line."""

    name: str
    words: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Switch:
    """Commands that open and close a head driven by pressure.

    head: which one; None for the head that the last T chose
    """

    on: tuple[Code, ...]
    off: tuple[Code, ...]
    head: str | None = None


@dataclass(frozen=True, eq=False)
class Toolpath:
    """Straight moves of the nozzle along which it extrudes, arcs as chords, in the order of the file.

    start, end: (n, 3) of the tip of the nozzle, x, y, z [um]
    filament: (n,) length of filament or plunger pushed in [um]; volume: what E gave as a volume [um^3]
    width, height: (n,) as ;WIDTH: and ;HEIGHT: say, NaN where they do not [um]
    head, kind: (n,) positions in heads and kinds; layer: (n,) counted from 1, 0 before the first
    heads: names such as "T0"; kinds: of ;TYPE: comments
    unknown_start: the first strand from a place that the file does not give, taken as 0; -1 for none
    n_standing: how often something comes out while the nozzle stands still
    ignored: commands without effect here, by code; notes: sentences on what is legal but probably not meant
    """

    name: str
    program: str
    n_lines: int
    unit: str
    start: FloatArray
    end: FloatArray
    filament: FloatArray
    volume: FloatArray
    width: FloatArray
    height: FloatArray
    head: IntArray
    kind: IntArray
    layer: IntArray
    heads: tuple[str, ...]
    kinds: tuple[str, ...]
    unknown_start: int = -1
    n_standing: int = 0
    ignored: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

"""What an output keeps of a run, and how it is handed over while the run goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALWAYS_KEPT = ("exposure", "fate", "transition")
"""Kinds of states that every output has."""

Kept = tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float64]]]
"""Fields on the grid (nz, ny, nx) [nM], nan in closed voxels; states of the cells (n_cell,)."""


def kept_states(study: Any) -> dict[str, str]:
    """Per-cell states kept at every output, with their units: those chosen in `output.cells`, and what always is."""
    chosen = set(study.output.cells)
    return {item.name: item.unit for item in study.mechanism.states if item.name in chosen or item.kind in ALWAYS_KEPT}


class Held:
    """What an output keeps of one moment, and may still be on its way: to be taken once, by any thread, or dropped."""

    def __init__(self, take: Callable[[], Kept], drop: Callable[[], None] = lambda: None) -> None:
        self.take, self.drop = take, drop

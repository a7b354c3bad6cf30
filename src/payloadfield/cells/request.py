"""What a study asks for: so many cells of a type, here or there, or a list of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from payloadfield.cells.listed import ListedCells
from payloadfield.errors import CellsError
from payloadfield.geometry import FloatArray

PLACES = ("surface", "gel", "medium", "anywhere")


@dataclass(frozen=True, eq=False)
class CellRequest:
    """Cells of one type, to be placed at random or as listed.

    type: name of the cell type
    radius: [um]
    count: number of cells, or
    density: cells per open volume of the place [1/um^3], or
    positions: listed cells, or an array (n, 3) of z, y, x [um]
    place: "surface", "gel", "medium", "anywhere", or the name of an open material; by default the surface, and
        anywhere for listed cells
    variation: coefficient of variation among cells, by parameter name [1]
    where: how messages refer to the request, such as "study.toml, cells[0]"
    Raises CellsError unless exactly one of count, density and positions is given, and all numbers make sense.
    """

    type: str
    radius: float
    count: int | None = None
    density: float | None = None
    positions: ListedCells | FloatArray | None = None
    place: str | None = None
    variation: Mapping[str, float] = field(default_factory=dict)
    where: str = "cells"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.radius) and self.radius > 0):
            raise CellsError(f"{self.name}: radius {self.radius:g} um; a positive length is needed")
        given = [key for key in ("count", "density", "positions") if getattr(self, key) is not None]
        if len(given) != 1:
            raise CellsError(
                f"{self.name}: {' and '.join(given) or 'nothing'} given; exactly one of count, density "
                "and a list of positions is needed"
            )
        if self.count is not None and (self.count != int(self.count) or self.count < 0):
            raise CellsError(f"{self.name}: count {self.count}; a whole number of at least 0 is needed")
        if self.density is not None and not (math.isfinite(self.density) and self.density >= 0):
            raise CellsError(f"{self.name}: density {self.density:g} /um^3; a number of at least 0 is needed")
        for parameter, cv in self.variation.items():
            if not (math.isfinite(cv) and cv >= 0):
                raise CellsError(f"{self.name}: variation.{parameter} = {cv:g}; a coefficient of at least 0 is needed")

    @property
    def name(self) -> str:
        """How messages refer to the request."""
        return f"{self.where} ({self.type})"

    @property
    def listed(self) -> ListedCells | None:
        """The list of positions, if there is one."""
        if self.positions is None or isinstance(self.positions, ListedCells):
            return self.positions
        array = np.asarray(self.positions, float).reshape(-1, 3)
        return ListedCells(array, np.arange(len(array)), "positions, from 0")

    @property
    def chosen_place(self) -> str:
        """Where the cells belong."""
        return self.place or ("surface" if self.positions is None else "anywhere")

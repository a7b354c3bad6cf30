"""What a study asks for: so many cells of a type, or of several, here or there, or a list of them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from payloadfield.cells.layout import PATTERNS, CellShare, Gradient, Spheroids
from payloadfield.cells.listed import ListedCells
from payloadfield.errors import CellsError
from payloadfield.geometry import FloatArray

SPHEROID = "spheroid"
PLACES = ("surface", "gel", "medium", "anywhere")
AMOUNTS = ("count", "density", "area_density", "coverage", "interstitial_fraction", "positions")

# Shares of types may miss 1 by this.
SHARE_TOLERANCE = 1e-6
# Flat cells fill a surface completely; more of them lie on each other.
CONFLUENT = 1.0


@dataclass(frozen=True, eq=False)
class CellRequest:
    """Cells of one type or of several, to be placed at random or as listed.

    type: name of the cell type, the first one of several
    radius: of that type [um]
    How many is exactly one of
    count: number of cells
    density: cells per open volume of the place [1/um^3]
    area_density: cells per area of the surface [1/um^2]
    coverage: share of the surface that they cover, 1 where they are confluent [1]
    positions: listed cells, or an array (n, 3) of z, y, x [um]
    or the interstitial fraction of spheroids.
    place: "surface", "gel", "medium", "anywhere", "spheroid", or the name of an open material; by default the surface,
        and anywhere for listed cells
    material: open material to which a place of other name is limited
    spread_area: what one cell covers of a surface [um^2]; its cross-section where nothing is said
    minimum_distance: no centre of any other cell comes closer to one of these [um]
    gradient: how the likelihood of places changes
    spheroids: the balls of place "spheroid"
    shares: other types in the same places; what they leave of 1 is the share of the first type
    pattern: "mixed"; "patches", of which correlation_length [um] is the size; in spheroids also "core" and "shell",
        where the first type lies innermost or outermost
    excludes_volume: whether the cells' volume is taken from what fields may enter
    variation: coefficient of variation among cells, by parameter name [1]
    where: how messages refer to the request, such as "study.toml, cells[0]"
    Raises CellsError unless exactly one of the amounts is given, and everything makes sense together.
    """

    type: str
    radius: float
    count: int | None = None
    density: float | None = None
    positions: ListedCells | FloatArray | None = None
    place: str | None = None
    variation: Mapping[str, float] = field(default_factory=dict)
    where: str = "cells"
    area_density: float | None = None
    coverage: float | None = None
    material: str | None = None
    spread_area: float | None = None
    minimum_distance: float = 0.0
    gradient: Gradient | None = None
    spheroids: Spheroids | None = None
    shares: tuple[CellShare, ...] = ()
    pattern: str = "mixed"
    correlation_length: float | None = None
    excludes_volume: bool = False

    def __post_init__(self) -> None:
        for problem in (*_amounts(self), *_numbers(self), *_places(self), *_types(self)):
            raise CellsError(f"{self.name}: {problem}")

    @property
    def name(self) -> str:
        """How messages refer to the request."""
        return f"{self.where} ({', '.join(kind.type for kind in self.kinds)})"

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
        if self.place is not None:
            return self.place
        return SPHEROID if self.spheroids is not None else "surface" if self.positions is None else "anywhere"

    @property
    def interstitial_fraction(self) -> float | None:
        """That of its spheroids."""
        return self.spheroids.interstitial_fraction if self.spheroids is not None else None

    @property
    def kinds(self) -> tuple[CellShare, ...]:
        """All types, the first one first."""
        return (CellShare(self.type, self.radius, 1.0 - sum(kind.share for kind in self.shares)), *self.shares)

    @property
    def mean_volume(self) -> float:
        """Volume of a cell, in the mean over the types [um^3]."""
        return 4 / 3 * math.pi * self.mean_radius**3

    @property
    def mean_radius(self) -> float:
        """Radius of a cell of mean volume [um]."""
        if not self.shares:
            return self.radius
        return float(sum(kind.share * kind.radius**3 for kind in self.kinds) ** (1 / 3))

    @property
    def area_of_cell(self) -> float:
        """What one cell covers of a surface [um^2]."""
        return self.spread_area if self.spread_area is not None else math.pi * self.mean_radius**2


def _amounts(request: CellRequest) -> Iterator[str]:
    given = [key for key in AMOUNTS if getattr(request, key) is not None]
    if len(given) != 1:
        yield (
            f"{' and '.join(given) or 'nothing'} given; exactly one of count, density, coverage, interstitial_fraction "
            "and a list of positions is needed"
        )
    if request.count is not None and (request.count != int(request.count) or request.count < 0):
        yield f"count {request.count}; a whole number of at least 0 is needed"
    for key, unit in (("density", "/um^3"), ("area_density", "/um^2")):
        value = getattr(request, key)
        if value is not None and not (math.isfinite(value) and value >= 0):
            yield f"{key.replace('_', ' ')} {value:g} {unit}; a number of at least 0 is needed"
    if request.coverage is not None and not 0 < request.coverage <= CONFLUENT:
        yield f"coverage {request.coverage:g}; a number above 0 and at most {CONFLUENT:g} (confluent) is needed"


def _numbers(request: CellRequest) -> Iterator[str]:
    for kind in request.kinds:
        if not (math.isfinite(kind.radius) and kind.radius > 0):
            yield f"radius {kind.radius:g} um; a positive length is needed"
    for key, unit in (("spread_area", "um^2"), ("correlation_length", "um")):
        value = getattr(request, key)
        if value is not None and not (math.isfinite(value) and value > 0):
            yield f"{key} {value:g} {unit}; a number above 0 is needed"
    if not (math.isfinite(request.minimum_distance) and request.minimum_distance >= 0):
        yield f"minimum_distance {request.minimum_distance:g} um; a length of at least 0 is needed"
    for parameter, cv in request.variation.items():
        if not (math.isfinite(cv) and cv >= 0):
            yield f"variation.{parameter} = {cv:g}; a coefficient of at least 0 is needed"


def _places(request: CellRequest) -> Iterator[str]:
    place, balls = request.chosen_place, request.spheroids
    fixed = "a list" if request.positions is not None else "spheroids" if balls is not None else None
    for key in ("area_density", "coverage", "spread_area"):
        if getattr(request, key) is not None and place != "surface":
            yield f"{key.replace('_', ' ')} with place {place!r}; only the place 'surface' has an area"
    if request.spread_area is not None and request.coverage is None:
        yield "spread_area without coverage; it says how much of the surface one cell covers"
    if balls is not None and place != SPHEROID:
        yield f"spheroids with place {place!r}; place = 'spheroid' is needed"
    if balls is not None and (problem := balls.problem()):
        yield problem
    if balls is not None and request.density is not None:
        yield "density of spheroids; give interstitial_fraction or count"
    if request.material is not None and (place == "surface" or fixed):
        yield f"material {request.material!r} with {fixed or 'the surface'}; it limits gel, medium or anywhere"
    if request.gradient is not None and fixed:
        yield f"gradient with {fixed}, whose cells lie where they lie"
    if request.gradient is not None and (problem := request.gradient.problem()):
        yield problem


def _types(request: CellRequest) -> Iterator[str]:
    if request.pattern not in PATTERNS:
        yield f"pattern {request.pattern!r}; one of {', '.join(PATTERNS)} is needed"
    names = [kind.type for kind in request.kinds]
    if len(set(names)) < len(names):
        yield f"types {', '.join(names)}; each of them once is needed"
    if any(not (math.isfinite(kind.share) and kind.share > -SHARE_TOLERANCE) for kind in request.kinds):
        yield "shares of types; numbers of at least 0 that add up to 1 are needed"
    if request.shares and request.positions is not None:
        yield "several types with a list of cells, which has types of its own"
    if request.pattern != "mixed" and not request.shares:
        yield f"pattern {request.pattern!r} with one type; two types or more make a pattern"
    if (request.pattern == "patches") != (request.correlation_length is not None):
        yield "pattern 'patches' and a correlation_length, the size of the patches, belong together; give both"
    if request.pattern in ("core", "shell") and request.spheroids is None:
        yield f"pattern {request.pattern!r} with place {request.chosen_place!r}; only a spheroid has a core and a shell"

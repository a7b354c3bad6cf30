"""[[cells]]: its keys, and which of them go together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, StrictBool, StrictStr

from payloadfield.study.fields import Area, CellDensity, Fraction, Length, NotNegative, Porosity, Spread
from payloadfield.study.scaffold_tables import STRICT, Count, FileName, Point, StackTable

#: Keys that say how many cells there are; a table has one of them.
AMOUNTS = ("count", "density", "coverage", "interstitial_fraction", "file", "image")
#: Keys of cells from an AnnData file.
OF_H5AD = ("unit", "columns", "type_column", "height")
#: Keys of spheroids.
OF_SPHEROIDS = ("centre", "centres", "radius", "radii", "interstitial_fraction")
LENGTH_UNITS = {"um": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "nm": 1e-3}
# Shares of types may miss 1 by this.
_SHARE_TOLERANCE = 1e-6


class GradientTable(BaseModel):
    """Relative density of cells from side to side of the grid, or from the surface to a distance."""

    model_config = STRICT
    axis: Literal["x", "y", "z", "surface"]
    low: NotNegative
    high: NotNegative
    length: Length | None = None


def _image(value: object) -> object:
    return {"file": value} if isinstance(value, str) else value


class LabelsTable(StackTable):
    """An image of labels, each of which is a cell; types by label, or by a file with the columns label and type."""

    types: dict[str, StrictStr] = Field(default_factory=dict)


class CellsTable(BaseModel):
    """[[cells]]: how many cells of a type or of several, and where."""

    model_config = STRICT
    type: StrictStr | None = None
    types: dict[str, Fraction] = {}
    count: Count | None = None
    density: CellDensity | None = None
    coverage: Fraction | None = None
    spread_area: Area | None = None
    file: FileName | None = None
    image: Annotated[LabelsTable | None, BeforeValidator(_image)] = None
    unit: Literal["um", "mm", "cm", "m", "nm"] | None = None
    columns: list[StrictStr] | None = None
    type_column: StrictStr | None = None
    height: Length | None = None
    place: StrictStr | None = None
    material: StrictStr | None = None
    centre: Point | None = None
    centres: list[Point] | None = None
    radius: Length | None = None
    radii: list[Length] | None = None
    interstitial_fraction: Porosity | None = None
    minimum_distance: Length | None = None
    gradient: GradientTable | None = None
    pattern: Literal["mixed", "patches", "core", "shell"] | None = None
    correlation_length: Length | None = None
    excludes_volume: StrictBool = False
    variation: dict[str, Spread] = {}

    @property
    def type_names(self) -> tuple[str, ...]:
        """The types that it names, the first one first."""
        return tuple(self.types) or ((self.type,) if self.type is not None else ())

    @property
    def balls(self) -> tuple[list[tuple[float, float, float]], list[float]]:
        """Centres x, y, z and radii of its spheroids; as many of each where `problems_of` finds nothing wrong."""
        centres = list(self.centres or ([self.centre] if self.centre is not None else []))
        return centres, list(self.radii or ([self.radius] * len(centres) if self.radius is not None else []))


def problems_of(row: CellsTable) -> Iterator[tuple[str, str]]:
    """Keys that contradict each other or lack another: (key in the table or "", what is wrong)."""
    given = _given(row, AMOUNTS)
    if len(given) != 1:
        yield "", f"exactly one of {_listed(AMOUNTS)} is needed; got {' and '.join(given) or 'none of them'}"
    yield from _problems_of_types(row)
    yield from _problems_of_file(row)
    yield from _problems_of_spheroids(row)


def _problems_of_types(row: CellsTable) -> Iterator[tuple[str, str]]:
    if row.type is not None and row.types:
        yield "", "'type' and 'types' are both given; keep one of them"
    if row.types and row.file is not None:
        yield "types", "the file says which cell is of which type; use type to take those of one"
    of_labels = row.image.types if row.image is not None else {}
    if row.image is not None and row.types:
        yield "types", "the image's own types, image.types, say which label is of which type"
    if row.type is not None and of_labels:
        yield "", "'type' and 'image.types' are both given; keep one of them"
    if not row.type_names and not of_labels and row.file is None:
        yield "type", "is missing"
    total = sum(row.types.values())
    if row.types and abs(total - 1) > _SHARE_TOLERANCE:
        yield "types", f"the shares add up to {total:g}; 1 is needed"


def _problems_of_file(row: CellsTable) -> Iterator[tuple[str, str]]:
    is_h5ad = row.file is not None and row.file.lower().endswith(".h5ad")
    for key in _given(row, OF_H5AD):
        if not is_h5ad:
            yield key, "belongs to a file of cells in AnnData format (.h5ad)"
    if is_h5ad and row.unit is None:
        yield "unit", f"is missing; an .h5ad file does not say its unit of length: {_listed(tuple(LENGTH_UNITS))}"
    if row.columns is not None and len(row.columns) not in (2, 3):
        yield "columns", f"got {len(row.columns)} names; those of x, y and z are needed, or of x and y with a height"


def _problems_of_spheroids(row: CellsTable) -> Iterator[tuple[str, str]]:
    given = _given(row, OF_SPHEROIDS)
    if not given:
        return
    if row.place not in (None, "spheroid"):
        yield "place", f'got {row.place!r} with {" and ".join(given)}; place = "spheroid" is needed'
    if row.file is not None or row.image is not None:
        yield "", f"{' and '.join(given)} with a file of cells, which says where they are; keep one of them"
    for one, many in (("centre", "centres"), ("radius", "radii")):
        if (getattr(row, one) is None) == (getattr(row, many) is None):
            yield "", f"exactly one of {one} and {many} is needed for spheroids"
            return
    centres, radii = row.balls
    if len(centres) != len(radii) or not centres:
        yield "", f"{len(centres)} centres and {len(radii)} radii of spheroids; as many of each are needed"


def _given(row: CellsTable, keys: Sequence[str]) -> list[str]:
    return [key for key in keys if getattr(row, key) is not None]


def _listed(keys: Sequence[str]) -> str:
    return f"{', '.join(keys[:-1])} and {keys[-1]}"

"""Cell types and the requests to place cells, and the numbers of every cell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from payloadfield.cells import (
    CellRequest,
    Cells,
    CellShare,
    Gradient,
    H5adColumns,
    ListedCells,
    Spheroids,
    read_cells_csv,
    read_cells_h5ad,
    read_labelled_cells,
    types_by_range,
    types_by_table,
)
from payloadfield.cells.labelled import TypeOf
from payloadfield.library import Quantity
from payloadfield.mechanism import Mechanism
from payloadfield.study.cells_table import LENGTH_UNITS, CellsTable, LabelsTable, problems_of
from payloadfield.study.leaves import Leaf
from payloadfield.study.lookup import CELL_TYPE, Lookup
from payloadfield.study.merge import Merger
from payloadfield.study.merged import Merged
from payloadfield.study.problems import Problems, did_you_mean
from payloadfield.study.resolve_images import place_image
from payloadfield.study.schema import StudyTable
from payloadfield.study.study import FloatArray

#: No cell is larger; more is a wrong unit [um].
LARGEST_RADIUS = 1000.0
_CELL_TYPE, _TABLE = "cell_type", "cell_types"
_TRAFFICKING = ("trafficking.k_endo", "trafficking.k_rec", "trafficking.k_deg")


class CellResolver:
    """Finds cell types by name, and turns [[cells]] into requests."""

    def __init__(self, table: StudyTable, mechanism: Mechanism, lookup: Lookup, folder: Path) -> None:
        self._table, self._mechanism, self._lookup, self._folder = table, mechanism, lookup, folder
        self._merger: Merger = lookup.merger
        self._problems: Problems = lookup.merger.problems
        self._tables = {self._merger.canonical(_CELL_TYPE, name): own for name, own in table.cell_types.items()}
        self.types: dict[str, Merged] = {}

    def requests(self) -> list[CellRequest]:
        """What is to be placed, in order; problems noted for unknown types, places and files."""
        found = []
        for index, row in enumerate(self._table.cells):
            key = f"cells[{index}]"
            if self._is_wrong(row, key):
                self._kinds(row.type_names, row, key)  # so that unknown names are heard of at once
                continue
            with self._problems.noting(key):
                found += [self._request(row, names, listed, key) for names, listed in self._rows(row, key)]
        for name in self._tables:  # what is not used is checked all the same
            if name not in self.types:
                self._merger.merge(_CELL_TYPE, _TABLE, name, self._tables)
        return [request for request in found if request is not None]

    def _is_wrong(self, row: CellsTable, key: str) -> bool:
        n_before = len(self._problems.keys)
        for inner, message in problems_of(row):
            self._problems.add(f"{key}.{inner}" if inner else key, message)
        known = self._mechanism.cell_parameters
        for name in row.variation:
            if name not in known:
                self._problems.add(f"{key}.variation.{name}", f"no parameter of a cell; {did_you_mean(name, known)}")
        return len(self._problems.keys) > n_before

    def _rows(self, row: CellsTable, key: str) -> list[tuple[tuple[str, ...], ListedCells | None]]:
        """The types of the row, together; or those of its file or image, one by one, each with its cells."""
        if row.image is not None:
            return self._labelled(row, row.image, key)
        if row.file is None:
            return [(row.type_names, None)]
        listed = self._read(row, row.file)
        if row.type is None:
            return [((name,), cells) for name, cells in listed.items()]
        names = {self._merger.canonical(_CELL_TYPE, name): name for name in listed}
        wanted = self._merger.canonical(_CELL_TYPE, row.type)
        if wanted not in names:
            self._problems.add(f"{key}.file", f"has no cells of type {row.type!r}; it has: {', '.join(listed)}")
            return []
        if len(listed) > 1:
            self._lookup.warnings.append(f"{key}: only the cells of type {row.type!r} of {row.file} are used")
        return [((wanted,), listed[names[wanted]])]

    def _labelled(
        self, row: CellsTable, image: LabelsTable, key: str
    ) -> list[tuple[tuple[str, ...], ListedCells | None]]:
        where = self._problems.at(f"{key}.image.types")
        type_of: TypeOf = lambda _: row.type  # noqa: E731
        if list(image.types) == ["file"]:
            type_of = types_by_table(self._folder / image.types["file"])
        elif image.types:
            type_of = types_by_range(image.types, where)
        x, y, z = self._table.grid.size
        listed = read_labelled_cells(place_image(image, self._folder), (z, y, x), type_of)
        return [((name,), cells) for name, cells in listed.items()]

    def _read(self, row: CellsTable, file: str) -> dict[str, ListedCells]:
        if row.unit is None:
            return read_cells_csv(self._folder / file)
        where = H5adColumns(LENGTH_UNITS[row.unit], row.columns, row.height, row.type_column)
        return read_cells_h5ad(self._folder / file, where, row.type)

    def _kinds(self, names: Sequence[str], row: CellsTable, key: str) -> list[CellShare] | None:
        """The types with their radii and shares; None, and a problem noted, where one is unknown."""
        found = []
        for name in names:
            cell_type = self._type(name, f"{key}.types.{name}" if row.types else f"{key}.type")
            if cell_type is not None:
                found.append(CellShare(cell_type.name, self._radius(cell_type), row.types.get(name, 1.0)))
        return found if len(found) == len(names) else None

    def _request(
        self, row: CellsTable, names: Sequence[str], listed: ListedCells | None, key: str
    ) -> CellRequest | None:
        kinds = self._kinds(names, row, key)
        if kinds is None:
            return None
        per_volume = row.density is not None and row.density.unit == "1/um^3"
        # The volume of a label over that of its type follows from radii of spheres, whatever the radius of the type.
        radius = self._radius_of_sphere(self.types[kinds[0].type]) if row.image is not None else kinds[0].radius
        return CellRequest(
            type=kinds[0].type,
            radius=radius,
            count=row.count,
            density=row.density.value if row.density is not None and per_volume else None,
            positions=listed,
            place=row.place,
            variation=row.variation,
            where=self._problems.at(key),
            area_density=row.density.value if row.density is not None and not per_volume else None,
            coverage=row.coverage,
            material=row.material,
            spread_area=row.spread_area,
            minimum_distance=row.minimum_distance or 0.0,
            gradient=Gradient(**dict(row.gradient)) if row.gradient is not None else None,
            spheroids=_spheroids(row),
            shares=tuple(kinds[1:]),
            pattern=row.pattern or "mixed",
            correlation_length=row.correlation_length,
            excludes_volume=row.excludes_volume,
        )

    def _type(self, name: str, key: str) -> Merged | None:
        canonical = self._merger.canonical(_CELL_TYPE, name)
        if canonical not in self.types:
            merged = self._merger.merge(_CELL_TYPE, _TABLE, canonical, self._tables)
            if merged is None:
                if canonical not in self._tables:
                    known = (*self._tables, *self._merger.library.names(_CELL_TYPE))
                    self._problems.add(key, f"there is no cell type {name!r}; {did_you_mean(name, known)}")
                return None
            self.types[canonical] = merged
        return self.types[canonical]

    def _radius(self, cell_type: Merged) -> float:
        """Radius [um]: as given, or that of a sphere of the cell's volume."""
        unit, path = "um", "radius"
        if path not in cell_type.leaves:
            cell_type.leaves[path] = self._radius_of_volume(cell_type)
        leaf = cell_type.leaves[path]
        value = leaf.value_in(unit, self._problems.at(cell_type.key(path)))
        if not 0 < value <= LARGEST_RADIUS:
            needed = f"a length above 0 and at most {LARGEST_RADIUS:g} um is needed"
            self._problems.add(cell_type.key(path), f"got {leaf.quantity.text!r}; {needed}")
            return 1.0
        self._lookup.note_source(cell_type.key(path), leaf, value, unit)
        return value

    def _radius_of_volume(self, cell_type: Merged) -> Leaf:
        radius, quantity = self._radius_of_sphere(cell_type), cell_type.leaves["volume"].quantity
        note = "[C] of a sphere of the cell's volume"
        key = cell_type.key("radius")
        made = Quantity(radius, "um", None, None, quantity.grade, quantity.citation, quantity.doi, note, key)
        return Leaf(made, "default")

    def _radius_of_sphere(self, cell_type: Merged) -> float:
        """Radius of a sphere of the cell's volume [um]."""
        volume = cell_type.leaves["volume"].value_in("um^3", self._problems.at(cell_type.key("volume")))
        return float((3 * max(volume, 1e-9) / (4 * math.pi)) ** (1 / 3))

    def warnings(self) -> Iterator[str]:
        """Sentences on tables of the study about cell types that occur nowhere."""
        for name in self._tables:
            if name not in self.types:
                yield f"cell_types.{name}: no cells of this type are in the study"


def _spheroids(row: CellsTable) -> Spheroids | None:
    centres, radii = row.balls
    if not centres:
        return None
    z_y_x = np.array(centres, float)[:, ::-1]
    return Spheroids(np.ascontiguousarray(z_y_x), np.array(radii, float), row.interstitial_fraction)


def cell_values(mechanism: Mechanism, types: Mapping[str, Merged], lookup: Lookup) -> dict[str, dict[str, float]]:
    """Value of every cell parameter of every type; problems noted where there is none, or a negative one."""
    values: dict[str, dict[str, float]] = {}
    parameters = [parameter for parameter in mechanism.parameters if parameter.per == "cell"]
    for name, cell_type in types.items():
        values[name] = {parameter.name: lookup.cell_value(parameter, cell_type) for parameter in parameters}
        _warn(name, cell_type, [parameter.source for parameter in parameters], lookup)
    return values


def _warn(name: str, cell_type: Merged, paths: Sequence[str | None], lookup: Lookup) -> None:
    read = {(path or "").removeprefix(f"{CELL_TYPE}.") for path in paths}
    receptors = cell_type.leaves.get("receptors")
    if receptors is not None and receptors.origin == "default" and "receptors" in read:
        lookup.warnings.append(
            f"cell_types.{name}.receptors: the library has no number of {lookup.antigen} for this cell type; taken as 0"
        )
    rates = [cell_type.leaves.get(path) for path in _TRAFFICKING if path in read]
    origins = {leaf.origin != "library" for leaf in rates if leaf is not None}
    if len(origins) > 1:
        lookup.warnings.append(
            f"cell_types.{name}.trafficking: k_endo, k_rec and k_deg belong together as one set of one source; "
            "here some come from the study and some from the library"
        )


def cell_parameters(mechanism: Mechanism, values: Mapping[str, Mapping[str, float]], cells: Cells) -> FloatArray:
    """Every parameter of every cell (n_cell_param, n_cell): that of its type, times the cell's own factor."""
    table = np.empty((len(mechanism.cell_parameters), len(cells.type_index)))
    for row, name in zip(table, mechanism.cell_parameters, strict=True):
        of_type = np.array([values[each][name] for each in cells.type_names])
        row[:] = of_type[cells.type_index] if len(of_type) else 0.0
        if name in cells.variation:
            row *= cells.variation[name]
    return table

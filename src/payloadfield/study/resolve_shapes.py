"""Shapes of a study: from their tables, with coordinates as x, y, z, to the geometry's, as z, y, x."""

from __future__ import annotations

from pathlib import Path

from payloadfield.errors import GeometryError
from payloadfield.geometry import (
    Box,
    Cylinder,
    Difference,
    Droplets,
    Intersection,
    LabelArray,
    Mesh,
    MinimalSurface,
    Moved,
    Repeated,
    Rotated,
    Shape,
    Sphere,
    Union,
    Well,
    Woodpile,
    read_mesh,
)
from payloadfield.study.scaffold_tables import (
    AnyShapeTable,
    ArrayTable,
    BoxTable,
    CombinedTable,
    CylinderTable,
    DropletsTable,
    LatticeTable,
    MeshTable,
    ShapeTable,
    SphereTable,
    WellTable,
    WoodpileTable,
)
from payloadfield.study.schema import StudyTable

UNTOUCHED = "untouched"  # label of an array that leaves what earlier shapes put there

Triple = tuple[float, float, float]


def resolve_shapes(table: StudyTable, folder: Path) -> list[Shape | LabelArray]:
    """Shapes of [[scaffold]], in order, with coordinates as z, y, x.  Raises GeometryError for an impossible one."""
    return [_shape(each, folder) for each in table.scaffold]


def _zyx(point: Triple) -> Triple:
    x, y, z = point
    return z, y, x


def _shape(table: AnyShapeTable | ArrayTable, folder: Path) -> Shape | LabelArray:
    if isinstance(table, ArrayTable):
        labels = {int(key): None if name == UNTOUCHED else name for key, name in table.labels.items()}
        return LabelArray(folder / table.file, labels)
    assert table.material is not None  # refused before
    return _placed(table, table.material, folder)


def _placed(table: AnyShapeTable, material: str, folder: Path) -> Shape:
    """A shape turned, moved and repeated, in this order."""
    shape = _round(table, material) or _patterned(table, material) or _assembled(table, material, folder)
    if table.rotate is not None:
        shape = Rotated(shape, table.rotate, _zyx(table.rotate_about or (0.0, 0.0, 0.0)))
    if table.translate is not None:
        shape = Moved(shape, _zyx(table.translate))
    if table.repeat is not None:
        nx, ny, nz = table.repeat.count
        shape = Repeated(shape, _zyx(table.repeat.step), (nz, ny, nx))
    return shape


def _round(table: ShapeTable, material: str) -> Shape | None:
    match table:
        case BoxTable():
            return Box(material, _zyx(table.low), _zyx(table.high), table.outside)
        case SphereTable():
            return Sphere(material, _zyx(table.centre), table.radius, table.outside)
        case CylinderTable():
            centre = _zyx(table.centre)
            return Cylinder(material, table.axis, centre, table.radius, table.length, table.outside)
        case DropletsTable():
            return Droplets(material, tuple(_zyx(centre) for centre in table.centres), _radii(table))
        case WellTable():
            x, y = table.centre
            insert = (table.insert_diameter, table.insert_wall, table.insert_gap)
            return Well(material, (y, x), table.diameter, table.floor, *insert)
    return None


def _radii(table: DropletsTable) -> tuple[float, ...]:
    if (table.radius is None) == (table.radii is None):
        raise GeometryError("droplets: exactly one of radius (of all) and radii (of each) is needed")
    return tuple(table.radii) if table.radii is not None else (table.radius or 0.0,)


def _patterned(table: ShapeTable, material: str) -> Shape | None:
    match table:
        case WoodpileTable():
            return Woodpile(
                material, table.strand_diameter, table.strand_spacing, _layer_height(table), _zyx(table.offset),
                table.first_direction, table.n_layers, tuple(table.angles), tuple(table.layer_offsets),
                table.flattening, table.lumen_diameter or 0.0,
            )  # fmt: skip
        case LatticeTable():
            amount = (table.porosity, table.thickness)
            return MinimalSurface(material, table.shape, table.cell, table.kind, *amount, _zyx(table.offset))
    return None


def _layer_height(table: WoodpileTable) -> float:
    """Given, or the height of a strand less the share by which layers sink into each other."""
    if (table.layer_height is None) == (table.overlap is None):
        raise GeometryError("woodpile: exactly one of layer_height and overlap is needed")
    return table.layer_height or (1 - (table.overlap or 0.0)) * table.flattening * table.strand_diameter


def _assembled(table: ShapeTable, material: str, folder: Path) -> Shape:
    if isinstance(table, MeshTable):
        path = folder / table.file
        return Mesh(material, read_mesh(path, table.unit, repair=table.repair), f"mesh {path}")
    assert isinstance(table, CombinedTable)
    parts = tuple(_placed(part, material, folder) for part in table.parts)
    match table.shape:
        case "union":
            return Union(material, parts)
        case "intersection":
            return Intersection(material, parts)
    return Difference(material, parts)

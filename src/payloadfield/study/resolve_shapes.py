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
    VoxelImage,
    Well,
    Woodpile,
    read_mesh,
)
from payloadfield.study.resolve_images import make_image
from payloadfield.study.resolve_prints import make_prints
from payloadfield.study.scaffold_tables import (
    UNTOUCHED,
    AnyShapeTable,
    ArrayTable,
    BoxTable,
    CombinedTable,
    CylinderTable,
    DropletsTable,
    GcodeTable,
    ImageTable,
    LatticeTable,
    MeshTable,
    ShapeTable,
    SphereTable,
    WellTable,
    WoodpileTable,
)
from payloadfield.study.schema import StudyTable

Triple = tuple[float, float, float]


def resolve_shapes(table: StudyTable, folder: Path) -> list[Shape | LabelArray | VoxelImage]:
    """Shapes of [[scaffold]], in order, with coordinates as z, y, x.  Raises GeometryError for an impossible one."""
    size = table.grid.size
    return [shape for each in table.scaffold for shape in _shapes(each, folder, size)]


def _zyx(point: Triple) -> Triple:
    x, y, z = point
    return z, y, x


def _shapes(table: AnyShapeTable | ArrayTable, folder: Path, size: Triple) -> list[Shape | LabelArray | VoxelImage]:
    """The shape of a table; one for each material where it has several."""
    if isinstance(table, ArrayTable):
        labels = {int(key): None if name == UNTOUCHED else name for key, name in table.labels.items()}
        return [LabelArray(folder / table.file, labels)]
    if isinstance(table, GcodeTable):
        return [_placed(table, shape) for shape in make_prints(table, table.material, folder, size)]
    if isinstance(table, ImageTable):
        image = make_image(table, table.material, folder)
        return [image if isinstance(image, VoxelImage) else _placed(table, image)]
    assert table.material is not None  # refused before
    return [_made(table, table.material, folder, size)]


def _made(table: AnyShapeTable, material: str, folder: Path, size: Triple) -> Shape:
    shape = _round(table, material) or _patterned(table, material) or _assembled(table, material, folder, size)
    return _placed(table, shape)


def _placed(table: ShapeTable, shape: Shape) -> Shape:
    """A shape turned, moved and repeated, in this order."""
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


def _assembled(table: ShapeTable, material: str, folder: Path, size: Triple) -> Shape:
    if isinstance(table, MeshTable):
        path = folder / table.file
        return Mesh(material, read_mesh(path, table.unit, repair=table.repair), f"mesh {path}")
    if isinstance(table, GcodeTable):
        return make_prints(table, material, folder, size)[0]
    if isinstance(table, ImageTable):
        image = make_image(table, material, folder)
        if isinstance(image, VoxelImage):
            raise GeometryError(f'{image.where}: voxels are no part of another shape; take surface = "level"')
        return image
    assert isinstance(table, CombinedTable)
    parts = tuple(_made(part, material, folder, size) for part in table.parts)
    match table.shape:
        case "union":
            return Union(material, parts)
        case "intersection":
            return Intersection(material, parts)
    return Difference(material, parts)

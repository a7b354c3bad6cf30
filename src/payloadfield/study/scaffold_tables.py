"""[[scaffold]]: the keys of every shape, with a material of its own or as a part of another shape."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr
from pydantic_core import PydanticCustomError

from payloadfield.study.fields import Angle, Fraction, Length, Porosity, Position, Positive

Point = tuple[Position, Position, Position]
Axis = Literal["x", "y", "z"]
Count = Annotated[StrictInt, Field(gt=0)]


def _file_name(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise ValueError(f"got {value!r}; the name of a file is needed")
    return value


FileName = Annotated[StrictStr, AfterValidator(_file_name)]


STRICT = ConfigDict(extra="forbid", frozen=True)


class RepeatTable(BaseModel):
    """Copies along x, y, z: how many, the shape itself counted, and how far apart."""

    model_config = STRICT
    count: tuple[Count, Count, Count]
    step: Point


class ShapeTable(BaseModel):
    """A shape that can be turned about x, y, z in turn, then moved, then repeated; only a part has no material."""

    model_config = STRICT
    material: StrictStr | None = None
    rotate: tuple[Angle, Angle, Angle] | None = None
    rotate_about: Point | None = None
    translate: Point | None = None
    repeat: RepeatTable | None = None


class WoodpileTable(ShapeTable):
    """A woodpile of strands: round, flattened or hollow, crossed or at given angles."""

    shape: Literal["woodpile"]
    strand_diameter: Length
    strand_spacing: Length
    layer_height: Length | None = None
    overlap: Fraction | None = None
    offset: Point = (0.0, 0.0, 0.0)
    first_direction: Literal["x", "y"] = "x"
    n_layers: Count | None = None
    angles: list[Angle] = []
    layer_offsets: list[Position] = []
    flattening: Positive = 1.0
    lumen_diameter: Length | None = None


class LatticeTable(ShapeTable):
    """A lattice along a minimal surface."""

    shape: Literal["gyroid", "diamond", "schwarz_p"]
    cell: Length
    kind: Literal["sheet", "skeletal"] = "sheet"
    porosity: Porosity | None = None
    thickness: Length | None = None
    offset: Point = (0.0, 0.0, 0.0)


class BoxTable(ShapeTable):
    """A box between two corners, or everything around it."""

    shape: Literal["box"]
    low: Point
    high: Point
    outside: StrictBool = False


class SphereTable(ShapeTable):
    """A ball, or everything around it."""

    shape: Literal["sphere"]
    centre: Point
    radius: Length
    outside: StrictBool = False


class CylinderTable(ShapeTable):
    """A cylinder along an axis, of infinite or finite length, or everything around it."""

    shape: Literal["cylinder"]
    axis: Axis
    centre: Point
    radius: Length
    length: Length | None = None
    outside: StrictBool = False


class DropletsTable(ShapeTable):
    """Balls at listed centres, of one radius or of one each."""

    shape: Literal["droplets"]
    centres: list[Point]
    radius: Length | None = None
    radii: list[Length] | None = None


class WellTable(ShapeTable):
    """A well along z, and the tube of an insert."""

    shape: Literal["well"]
    centre: tuple[Position, Position]
    diameter: Length
    floor: Position = 0.0
    insert_diameter: Length | None = None
    insert_wall: Length | None = None
    insert_gap: Length | None = None


class MeshTable(ShapeTable):
    """A closed surface of triangles from a file, in a unit that has to be said."""

    shape: Literal["mesh", "stl"]
    file: FileName
    unit: Literal["um", "mm", "cm", "m", "inch"]
    repair: StrictBool = False


class CombinedTable(ShapeTable):
    """Shapes as one: all of them, what they share, or the first without the others."""

    shape: Literal["union", "intersection", "difference"]
    parts: list[PartTable]


class ArrayTable(BaseModel):
    """A label per voxel from a .npy file, and the material of each label."""

    model_config = STRICT
    shape: Literal["array"]
    file: FileName
    labels: dict[str, StrictStr]


def _without_material(table: ShapeTable) -> ShapeTable:
    if table.material is not None:
        raise PydanticCustomError("material_of_part", "material of a part")
    return table


def _with_material(table: ShapeTable | ArrayTable) -> ShapeTable | ArrayTable:
    if isinstance(table, ShapeTable) and table.material is None:
        raise PydanticCustomError("no_material", "no material")
    return table


AnyShapeTable = (
    WoodpileTable
    | LatticeTable
    | BoxTable
    | SphereTable
    | CylinderTable
    | DropletsTable
    | WellTable
    | MeshTable
    | CombinedTable
)
PartTable = Annotated[Annotated[AnyShapeTable, Field(discriminator="shape")], AfterValidator(_without_material)]
ScaffoldTable = Annotated[
    Annotated[AnyShapeTable | ArrayTable, Field(discriminator="shape")], AfterValidator(_with_material)
]
CombinedTable.model_rebuild()

#: Model of each shape, by its name in a study.
SHAPES: dict[str, type[BaseModel]] = {
    "woodpile": WoodpileTable,
    "gyroid": LatticeTable,
    "diamond": LatticeTable,
    "schwarz_p": LatticeTable,
    "box": BoxTable,
    "sphere": SphereTable,
    "cylinder": CylinderTable,
    "droplets": DropletsTable,
    "well": WellTable,
    "mesh": MeshTable,
    "stl": MeshTable,
    "union": CombinedTable,
    "intersection": CombinedTable,
    "difference": CombinedTable,
    "array": ArrayTable,
}
SHAPES_TO_COME = ("image", "gcode")

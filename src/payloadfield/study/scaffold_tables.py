"""[[scaffold]]: the keys of every shape, with a material of its own or as a part of another shape."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)
from pydantic_core import PydanticCustomError

from payloadfield.study.fields import Angle, Fraction, Length, Porosity, Position, Positive
from payloadfield.study.gcode_keys import Extrusion, Head, LengthByHead, Width

Point = tuple[Position, Position, Position]
Axis = Literal["x", "y", "z"]
Count = Annotated[StrictInt, Field(gt=0)]


def _file_name(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise ValueError(f"got {value!r}; the name of a file is needed")
    return value


FileName = Annotated[StrictStr, AfterValidator(_file_name)]


#: Label of an array or an image that leaves what earlier shapes put there.
UNTOUCHED = "untouched"
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


class GcodeTable(ShapeTable):
    """The strands of a print, from the G-code that prints it; materials: one for each head, in place of material."""

    shape: Literal["gcode"]
    file: FileName
    materials: dict[Head, StrictStr] = {}
    nozzle_diameter: LengthByHead | None = None
    filament_diameter: LengthByHead | None = None
    layer_height: Length | None = None
    extrusion: Extrusion = "E"
    width: Width = "nozzle"
    unit: Literal["um", "mm", "cm", "m", "inch"] | None = None
    heads: list[Head] = []
    first_layer: Annotated[StrictInt, Field(ge=0)] = 0
    last_layer: Annotated[StrictInt, Field(ge=0)] | None = None
    leave_out: list[StrictStr] = []
    at: Point | None = None
    centre: StrictBool = False


def _threshold(value: object) -> object:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number and value != "otsu":
        raise ValueError(f'got {value!r}; a grey level, or "otsu", is needed')
    return value


Threshold = Annotated[float | Literal["otsu"], BeforeValidator(_threshold)]
Number = Annotated[StrictInt, Field(ge=0)]


class StackTable(BaseModel):
    """An image file, which part of it is meant, and where it lies."""

    model_config = STRICT
    file: FileName
    channel: Number | None = None
    time: Number | None = None
    series: Number | None = None
    spacing: tuple[Length, Length, Length] | None = None
    at: Point = (0.0, 0.0, 0.0)
    centre: StrictBool = False


class ImageTable(ShapeTable, StackTable):
    """A stack of images: what its labels stand for, or what is brighter than a threshold."""

    shape: Literal["image"]
    labels: dict[str, StrictStr] | None = None
    threshold: Threshold | None = None
    invert: StrictBool = False
    surface: Literal["level", "voxels"] | None = None
    outside: Literal["medium"] | None = None

    @model_validator(mode="after")
    def _labels_or_threshold(self) -> ImageTable:
        if (self.labels is None) == (self.threshold is None):
            raise ValueError("exactly one of labels (of materials) and threshold (of a material) is needed")
        if self.labels is not None and (self.invert or self.surface is not None or self.material is not None):
            raise ValueError("labels name their materials; material, invert and surface go with a threshold")
        return self


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
    if table.material is not None or getattr(table, "materials", None) or getattr(table, "labels", None):
        raise PydanticCustomError("material_of_part", "material of a part")
    return table


def _with_material(table: ShapeTable | ArrayTable) -> ShapeTable | ArrayTable:
    materials = getattr(table, "materials", None)
    has_labels = isinstance(table, ImageTable) and table.labels is not None
    if isinstance(table, ShapeTable) and table.material is None and not materials and not has_labels:
        raise PydanticCustomError("no_material", "no material")
    if isinstance(table, ShapeTable) and table.material is not None and materials:
        raise PydanticCustomError("two_materials", "two materials")
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
    | GcodeTable
    | ImageTable
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
    "gcode": GcodeTable,
    "image": ImageTable,
    "union": CombinedTable,
    "intersection": CombinedTable,
    "difference": CombinedTable,
    "array": ArrayTable,
}

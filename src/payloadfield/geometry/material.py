"""Materials of a scaffold: what is open to the medium, and how molecules move in it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from payloadfield.errors import GeometryError

OPEN_KINDS = ("medium", "gel")
CLOSED_KINDS = ("impermeable", "bath")
KINDS = OPEN_KINDS + CLOSED_KINDS

# Labels are stored in one byte; its last value means "no material here" while a geometry is built.
MAX_MATERIALS = 255


@dataclass(frozen=True)
class Material:
    """A material, and how each field moves in it.

    name: how shapes refer to it
    kind: "medium" and "gel" are open; "impermeable" and "bath" (held at the bath's concentration) are closed
    relative_diffusivity: diffusivity over that in medium, by field name, or "default" [1]
    accessible_fraction: share of the volume that a field may enter, by field name, or "default" [1]
    permeability: of its surface, by field name, or "default" [um/s]; absent means infinite
    """

    name: str
    kind: str
    relative_diffusivity: Mapping[str, float] = field(default_factory=dict)
    accessible_fraction: Mapping[str, float] = field(default_factory=dict)
    permeability: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise GeometryError(f"materials.{self.name}.kind: got {self.kind!r}; one of {', '.join(KINDS)} is needed")
        self._check("relative_diffusivity", upper=math.inf)
        self._check("accessible_fraction", upper=1.0)
        self._check("permeability", upper=math.inf)

    @property
    def is_open(self) -> bool:
        """Whether molecules of the medium may enter it."""
        return self.kind in OPEN_KINDS

    def relative_diffusivity_of(self, field_name: str) -> float:
        """Diffusivity of a field over that in medium; 1 where nothing is said."""
        return _by_field(self.relative_diffusivity, field_name, 1.0)

    def accessible_fraction_of(self, field_name: str) -> float:
        """Share of the open volume that a field may enter; 1 where nothing is said."""
        return _by_field(self.accessible_fraction, field_name, 1.0)

    def permeability_of(self, field_name: str) -> float:
        """Permeability of the surface to a field [um/s]; infinite where nothing is said."""
        return _by_field(self.permeability, field_name, math.inf)

    def _check(self, table: str, upper: float) -> None:
        for key, value in getattr(self, table).items():
            if not 0 <= value <= upper:
                limit = "" if upper == math.inf else f" and at most {upper:g}"
                raise GeometryError(
                    f"materials.{self.name}.{table}.{key}: got {value:g}; a number of at least 0{limit} is needed"
                )


MEDIUM = Material("medium", "medium")


def _by_field(table: Mapping[str, float], field_name: str, absent: float) -> float:
    return float(table.get(field_name, table.get("default", absent)))


def check_materials(materials: Sequence[Material]) -> dict[str, int]:
    """Index of each material by its name, after checking the list.

    Raises GeometryError for an empty or too long list, a name that occurs twice, or a first material that is no medium.
    """
    if not materials or materials[0].kind != "medium":
        raise GeometryError("materials: the first one fills the grid and must be of kind 'medium'")
    if len(materials) > MAX_MATERIALS:
        raise GeometryError(f"materials: {len(materials)} given; at most {MAX_MATERIALS} are possible in one grid")
    index: dict[str, int] = {}
    for i, material in enumerate(materials):
        if material.name in index:
            raise GeometryError(f"materials.{material.name}: given twice; give each material its own name")
        index[material.name] = i
    return index

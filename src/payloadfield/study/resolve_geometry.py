"""Grid, boundary, bath and materials of a study."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np

from payloadfield.errors import ResourceError
from payloadfield.geometry import (
    AXES,
    SIDES,
    Material,
    VoxelGrid,
    make_grid,
)
from payloadfield.geometry.grid import SLAB_CORNERS
from payloadfield.mechanism import Field, Mechanism
from payloadfield.study.lookup import Lookup
from payloadfield.study.merge import Merger
from payloadfield.study.merged import Merged
from payloadfield.study.problems import Problems, did_you_mean
from payloadfield.study.scaffold_tables import UNTOUCHED, ArrayTable, GcodeTable, ImageTable
from payloadfield.study.schema import BathTable, BoundaryTable, StudyTable
from payloadfield.study.study import Bath, FloatArray

MEDIUM = "medium"

#: Bytes for each voxel of the grid while its geometry is made and cells find their places in it, and those more for
#: each voxel of the slab that is worked on. Measured as the highest allocation while studies load on 64^3 to 160^3
#: voxels: 177 for the T-DXd study with a scaffold of gel at 64^3, 107 for cells all over free medium at 160^3.
GEOMETRY_BYTES, SLAB_BYTES = 110, 80

# Which key of a material's table a field reads where the table does not name the field itself.
_FIELD_CLASS = {"conjugate": "adc", "antibody": "antibody", "payload": "payload"}
_TABLES = {"accessible_fraction": "1", "permeability": "um/s"}


def resolve_boundary(table: BoundaryTable, problems: Problems) -> Mapping[str, str]:
    """What is outside each side: the side's own key, else its axis's, else a wall."""
    sides = {}
    for axis in ("x", "y", "z"):
        both = getattr(table, axis)
        for side in (f"{axis}_low", f"{axis}_high"):
            own = getattr(table, side)
            if own is not None and both is not None and own != both:
                problems.add(f"boundary.{side}", f"got {own!r}, but {axis} = {both!r} says otherwise; keep one of them")
            sides[side] = own or both or "wall"
        low, high = sides[f"{axis}_low"], sides[f"{axis}_high"]
        if (low == "periodic") != (high == "periodic"):
            problems.add(f"boundary.{axis}", f'periodic on one side only; write {axis} = "periodic"')
    return MappingProxyType({side: sides[side] for side in SIDES})


def resolve_grid(table: StudyTable, boundary: Mapping[str, str]) -> VoxelGrid:
    """The grid, z, y, x.

    Raises GeometryError for a size that is not a whole number of voxels, ResourceError for one that memory cannot hold.
    """
    x, y, z = table.grid.size
    periodic = [boundary[f"{axis}_low"] == "periodic" for axis in AXES]
    grid = make_grid((z, y, x), table.grid.voxel, periodic)
    _refuse_too_many_voxels(grid)
    return grid


def geometry_memory(n_voxels: int) -> int:
    """Memory that a geometry of so many voxels takes while it is made [bytes]."""
    return GEOMETRY_BYTES * n_voxels + SLAB_BYTES * min(n_voxels, SLAB_CORNERS)


def _refuse_too_many_voxels(grid: VoxelGrid) -> None:
    """Raise ResourceError where the tables of the geometry alone would not fit, before any of them is made."""
    import psutil

    need, free = geometry_memory(grid.n_voxels), psutil.virtual_memory().available
    if need > free:
        coarser = grid.spacing * (need / free) ** (1 / 3)
        raise ResourceError(
            f"grid.voxel: {grid.n_voxels:,} voxels of {grid.spacing:g} um need {need / 1e9:.3g} GB of memory for the "
            f"geometry alone, and {free / 1e9:.3g} GB are free; take voxels of {coarser:.3g} um or more, or a smaller "
            "grid.size"
        )


def resolve_bath(
    table: BathTable, grid: VoxelGrid, boundary: Mapping[str, str], mechanism: Mechanism, problems: Problems
) -> Bath:
    """The bath's share of this grid, the sides that touch it, and their permeability."""
    sides = frozenset(side for side, kind in boundary.items() if kind == "bath")
    names = mechanism.field_names
    for name in table.permeability:
        if name not in names:
            problems.add(f"bath.permeability.{name}", f"unknown field; {did_you_mean(name, names)}")
    alike = [item.like or item.name for item in mechanism.fields]
    given = table.permeability
    permeability = np.array([given.get(n, given.get(like, math.inf)) for n, like in zip(names, alike, strict=True)])
    permeability.setflags(write=False)
    return Bath(table.volume / _copies(table, grid, problems), sides, permeability if table.permeability else None)


def resolve_profile(table: StudyTable, grid: VoxelGrid) -> FloatArray | None:
    """phi = inner + rise min(r / radius, 1)^power at every voxel's centre; None if nothing is said."""
    given = table.accessible_profile
    if given is None:
        return None
    away = [grid.centres(axis) - centre for axis, centre in enumerate(reversed(given.centre))]
    squares = [np.moveaxis(np.square(each)[:, None, None], 0, axis) for axis, each in enumerate(away)]
    share = np.minimum(np.sqrt(squares[0] + squares[1] + squares[2]) / given.radius, 1.0)
    profile: FloatArray = given.inner + given.rise * share**given.power
    return profile


def bath_warnings(table: BathTable, grid: VoxelGrid, boundary: Mapping[str, str]) -> Iterator[str]:
    """A grid that goes on sideways but has the whole of a finite bath for itself."""
    is_repeated = "periodic" in boundary.values()
    if is_repeated and math.isfinite(table.volume) and table.copies is None and table.construct_size is None:
        ratio = table.volume / math.prod(grid.size)
        yield (
            f"bath.volume: all of it, {ratio:.3g} times the volume of the grid, belongs to this one grid, which its "
            "periodic sides repeat; bath.copies or bath.construct says how many grids share it"
        )


def _copies(table: BathTable, grid: VoxelGrid, problems: Problems) -> float:
    """How many grids share the bath."""
    if table.construct_size is None:
        return table.copies or 1.0
    if table.copies is not None:
        problems.add("bath", "'copies' and 'construct' are both given; keep one of them")
    copies = math.prod(table.construct_size) / math.prod(grid.size)
    if copies < 1 - 1e-9:
        problems.add("bath.construct", f"is smaller than the grid (by a factor of {copies:.3g}), which is a part of it")
    return copies


def material_names(table: StudyTable, problems: Problems) -> list[tuple[str, str]]:
    """Materials that the shapes name, each with the key that names it first; the medium leads."""
    found = {MEDIUM: "materials.medium"}
    for index, each in enumerate(table.scaffold):
        key = f"scaffold[{index}]"
        if isinstance(each, GcodeTable) and each.materials:
            for head, name in each.materials.items():
                found.setdefault(name, f"{key}.materials.{head}")
            continue
        labels = each.labels if isinstance(each, (ArrayTable, ImageTable)) else None
        if labels is None and not isinstance(each, ArrayTable):
            found.setdefault(str(each.material), f"{key}.material")
            continue
        for label, name in (labels or {}).items():
            if not label.isdecimal():
                problems.add(f"{key}.labels.{label}", "a label is a whole number of at least 0, in quotes")
            if name != UNTOUCHED:
                found.setdefault(name, f"{key}.labels.{label}")
    return list(found.items())


def resolve_materials(
    table: StudyTable, mechanism: Mechanism, merger: Merger, lookup: Lookup, in_medium: Mapping[str, float]
) -> tuple[list[Material], list[Merged]]:
    """Materials in use, with a number for every field of the mechanism; and the entries they come from.

    in_medium: diffusivity of each field in medium [um^2/s].
    """
    tables = {merger.canonical("material", name): own for name, own in table.materials.items()}
    materials, entries = [], []
    used = {merger.canonical("material", name) for name, _ in material_names(table, Problems(""))}
    for name in tables:  # what is not used is checked all the same
        if name not in used:
            merger.merge("material", "materials", name, tables)
    for name, key in material_names(table, merger.problems):
        merged = merger.merge("material", "materials", merger.canonical("material", name), tables)
        if merged is None:
            known = (*tables, *merger.library.names("material"))
            merger.problems.add(key, f"there is no material {name!r}; {did_you_mean(name, known)}")
            continue
        material = _material(name, merged, mechanism, lookup, in_medium)
        if material is not None:
            materials.append(material)
            entries.append(merged)
    return materials, entries


def _material(
    name: str, merged: Merged, mechanism: Mechanism, lookup: Lookup, in_medium: Mapping[str, float]
) -> Material | None:
    problems = lookup.merger.problems
    kind = merged.labels.get("kind")
    if kind is None:
        problems.add(f"{merged.table}.{merged.name}.kind", "is missing; medium, gel, impermeable or bath is needed")
        return None
    if kind == "gel" and not any(path.startswith(("relative_diffusivity.", "diffusivity.")) for path in merged.leaves):
        problems.add(f"{merged.table}.{merged.name}.relative_diffusivity", "is missing; a gel needs it, such as 0.5")
    values = {each: _by_field(merged, each, unit, mechanism, lookup) for each, unit in _TABLES.items()}
    values["relative_diffusivity"] = _relative_diffusivity(merged, mechanism, lookup, in_medium)
    if kind == "medium" and not all(values["accessible_fraction"].values()):
        problems.add(
            f"{merged.table}.{merged.name}.accessible_fraction", "got 0; a number above 0 is needed for a medium"
        )
        return None
    with problems.noting():
        return Material(name, kind, **values)
    return None


def _relative_diffusivity(
    merged: Merged, mechanism: Mechanism, lookup: Lookup, in_medium: Mapping[str, float]
) -> Mapping[str, float]:
    """Diffusivity over that in medium for every field: as given so, or from a diffusivity in the material itself."""
    found = {}
    for item in mechanism.fields:
        for name in _names_of(item):
            given, own = f"relative_diffusivity.{name}", f"diffusivity.{name}"
            if given in merged.leaves and own in merged.leaves:
                lookup.merger.problems.add(merged.key(own), f"{merged.key(given)} says it too; keep one of them")
            path, unit = (own, "um^2/s") if own in merged.leaves else (given, "1")
            if path in merged.leaves:
                leaf = merged.leaves[path]
                value = leaf.value_in(unit, merged.key(path))
                lookup.note_source(merged.key(path), leaf, value, unit)
                over = in_medium[item.name] if path == own else 1.0
                found[item.name] = value / over if over > 0 else 0.0
                break
    return MappingProxyType(found)


def _names_of(item: Field) -> tuple[str, ...]:
    """Names under which a material may say something of a field: its own, that of its class of molecule or of the field
    it is like, or the default."""
    return item.name, _FIELD_CLASS.get(item.dosed_by or "", item.name), item.like or item.name, "default"


def _by_field(merged: Merged, table: str, unit: str, mechanism: Mechanism, lookup: Lookup) -> Mapping[str, float]:
    """A number for every field that anything is said of."""
    found = {}
    for item in mechanism.fields:
        for name in _names_of(item):
            path = f"{table}.{name}"
            if path in merged.leaves:
                leaf = merged.leaves[path]
                found[item.name] = leaf.value_in(unit, merged.key(path))
                lookup.note_source(merged.key(path), leaf, found[item.name], unit)
                break
    return MappingProxyType(found)

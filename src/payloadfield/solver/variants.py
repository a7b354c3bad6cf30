"""Plans of several studies that share geometry and cells: one set of maps, coefficients of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from payloadfield.backends.plan import Plan
from payloadfield.errors import StudyError
from payloadfield.solver.contacts import make_contact_tables
from payloadfield.solver.discretisation import (
    find_idle_pockets,
    make_bath_contact,
    make_moiety_contents,
    make_plan,
    skin_depths,
)

_SOLVER = ("rtol", "precision", "first_step", "max_step", "max_steps")
_CELLS = ("type_index", "entry_start", "entry_voxel", "entry_weight")


def make_plans(studies: Sequence[Any]) -> list[Plan]:
    """One plan for each study; maps, conductances, hierarchies and footprints are made once and shared.

    Raises StudyError for studies that differ in more than parameters, diffusivities, doses, start values and contents.
    """
    refuse_unlike(studies)
    idle = np.logical_and.reduce([find_idle_pockets(study) for study in studies])
    first = make_plan(studies[0], idle)
    return [first, *(_make_variant(first, studies[0], study) for study in studies[1:])]


def plan_beside(plan: Plan, first: Any, study: Any) -> Plan | None:
    """The plan of a study that shares the maps of `plan`, which is that of `first`; None where it needs its own."""
    if _differences(first, study) or not np.array_equal(find_idle_pockets(first), find_idle_pockets(study)):
        return None
    return _make_variant(plan, first, study)


def refuse_unlike(studies: Sequence[Any]) -> None:
    """Raise StudyError naming what a study does not share with the first one."""
    if not studies:
        raise StudyError("a batch: got no study; at least one is needed")
    first = studies[0]
    for number, study in enumerate(studies[1:], start=2):
        name = f"design {number}" + (f" ({study.variant})" if getattr(study, "variant", "") else "")
        for what in _differences(first, study):
            raise StudyError(
                f"a batch: {name} differs from the first one in {what}; designs that are solved together share the "
                "geometry, the cells, the mechanism and the solver's settings: run it on its own"
            )


def _differences(first: Any, study: Any) -> list[str]:
    """What may not differ and does."""
    pairs = {
        "mechanism": (first.mechanism.digest, study.mechanism.digest),
        "grid": (first.geometry.grid, study.geometry.grid),
        "geometry": (first.geometry, study.geometry),
        "boundary": (dict(first.boundary), dict(study.boundary)),
        "duration": (first.duration, study.duration),
        "bath.volume, finite or not": (np.isfinite(first.bath.volume), np.isfinite(study.bath.volume)),
    }
    pairs |= {f"cells ({name})": (getattr(first.cells, name), getattr(study.cells, name)) for name in _CELLS}
    pairs |= {f"solver.{name}": (getattr(first.solver, name), getattr(study.solver, name)) for name in _SOLVER}
    pairs["depth of skins on the walls"] = (skin_depths(first), skin_depths(study))
    pairs["diffusivity, zero or not"] = (first.diffusivity == 0.0, study.diffusivity == 0.0)
    found = [what for what, (a, b) in pairs.items() if not _is_same(a, b)]
    if not found and _has_films(first) and not _is_same(first.diffusivity, study.diffusivity):
        found.append("diffusivity, which changes the faces of a material with a permeability of its own")
    return found


def _has_films(study: Any) -> bool:
    """Whether a material's surface resists, so that conductances are not proportional to the diffusivity."""
    names = [field.name for field in study.mechanism.fields]
    return any(np.isfinite(m.permeability_of(name)) for m in study.geometry.materials for name in names)


def _is_same(a: Any, b: Any) -> bool:
    """Whether two values, arrays or dataclasses of such hold the same numbers."""
    if a is b:
        return True
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if is_dataclass(a) and type(a) is type(b):
        return all(_is_same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a) if f.name != "warnings")
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        return all(_is_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def _make_variant(plan: Plan, first: Any, study: Any) -> Plan:
    """The plan of a study that differs from the first one in coefficients."""
    contact = plan.bath
    if not _is_same(first.bath, study.bath) or not _is_same(first.diffusivity, study.diffusivity):
        contact = make_bath_contact(study, plan.voxel)
        if not np.array_equal(contact.voxel, plan.bath.voxel):
            raise StudyError("a batch: the designs differ in the voxels that a bath touches: run them on their own")
    contents: dict[str, Any] = make_moiety_contents(study)
    return replace(
        plan,
        diffusivity=np.where(study.diffusivity > 0.0, study.diffusivity, 1.0),
        bath=contact,
        parameters=np.asarray(study.parameters, float),
        cell_parameters=np.ascontiguousarray(study.cell_parameters, float),
        contacts=make_contact_tables(study),
        **contents,
    )

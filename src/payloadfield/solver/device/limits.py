"""What of a study the program on a device does not solve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from payloadfield.errors import BackendError
from payloadfield.solver.device.pockets import MOST_UNKNOWNS, count_unknowns, reason_against_loop
from payloadfield.solver.discretisation import make_plan


def reason_against(study: Any) -> str | None:
    """What of a study the device program does not do yet; None if it does all of it."""
    wanted = list(_large_loops(study))
    return f"the GPU does not yet solve {' or '.join(wanted)}" if wanted else None


def _large_loops(study: Any) -> Iterator[str]:
    """Loops of too many fields, or of fields that do not share their pockets and have too many."""
    names, plan = study.mechanism.field_names, None
    for group in study.mechanism.field_groups:
        n_unknowns = len(group)
        if 1 < len(group) <= MOST_UNKNOWNS and len(set(_reaches(study, group))) > 1:
            plan = make_plan(study) if plan is None else plan
            n_unknowns = count_unknowns([plan], group)
        reason = reason_against_loop([names[f] for f in group], n_unknowns)
        if reason is not None:
            yield reason


def _reaches(study: Any, fields: Sequence[int]) -> Iterator[tuple[bool, ...]]:
    """What decides the pockets of each field that moves: whether it does in each material there is, and into it."""
    geometry = study.geometry
    present = np.flatnonzero(np.bincount(geometry.open_label[geometry.open_fraction > 0.0]))
    for field in fields:
        if study.diffusivity[field] == 0.0:
            continue  # its voxels are pockets of their own, and none of the unknowns
        name, found = study.mechanism.field_names[field], []
        for material in (geometry.materials[number] for number in present):
            mobility = material.relative_diffusivity_of(name) * material.accessible_fraction_of(name)
            found += [bool(mobility > 0.0), bool(material.permeability_of(name) > 0.0)]
        yield tuple(found)


def refuse_unsolved(study: Any) -> None:
    """Raise BackendError for a study that the device program does not solve."""
    reason = reason_against(study)
    if reason is not None:
        raise BackendError(f"backend cupy: {reason}. Use --backend numba, or auto, which chooses it")

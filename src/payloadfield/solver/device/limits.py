"""What of a study the program on a device does not solve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from payloadfield.errors import BackendError
from payloadfield.solver.device.arrays import MOST_FIELDS_IN_A_LOOP


def reason_against(study: Any) -> str | None:
    """What of a study the device program does not do yet; None if it does all of it."""
    wanted = list(_uneven_loops(study))
    return f"the GPU does not yet solve {' or '.join(wanted)}" if wanted else None


def _uneven_loops(study: Any) -> Iterator[str]:
    """Loops of fields that do not share their pockets, or of too many fields."""
    names = study.mechanism.field_names
    for group in study.mechanism.field_groups:
        if len(group) == 1:
            continue
        listed = ", ".join(names[f] for f in group)
        if len(group) > MOST_FIELDS_IN_A_LOOP:
            yield f"a loop of more than {MOST_FIELDS_IN_A_LOOP} fields ({listed})"
        elif len(set(_reaches(study, group))) > 1:
            yield f"a loop of the fields {listed}, some of which reach other pockets than others"


def _reaches(study: Any, fields: Sequence[int]) -> Iterator[tuple[bool, ...]]:
    """What decides the pockets of each field: whether it moves at all, in each material that is there, and into it."""
    geometry = study.geometry
    present = np.flatnonzero(np.bincount(geometry.open_label[geometry.open_fraction > 0.0]))
    for field in fields:
        name, found = study.mechanism.field_names[field], [bool(study.diffusivity[field] > 0.0)]
        for material in (geometry.materials[number] for number in present):
            mobility = material.relative_diffusivity_of(name) * material.accessible_fraction_of(name)
            found += [bool(mobility > 0.0), bool(material.permeability_of(name) > 0.0)]
        yield tuple(found)


def refuse_unsolved(study: Any) -> None:
    """Raise BackendError for a study that the device program does not solve."""
    reason = reason_against(study)
    if reason is not None:
        raise BackendError(f"backend cupy: {reason}. Use --backend numba, or auto, which chooses it")

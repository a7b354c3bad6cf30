"""What a run follows and keeps of a study beside its unknowns: peaks, curves of the bath, fates, outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payloadfield.errors import StudyError
from payloadfield.solver.fates import find_identities
from payloadfield.solver.outputs import kept_states


@dataclass(frozen=True)
class Followed:
    """What is followed from step to step: slots of exposures, which of them each threshold is of, and its values.

    threshold: (n_designs, n_thresholds) [unit of the exposure / s]. exponentials: most terms of a curve that an
    infinite bath follows, None where there is no curve. seeds: of each design, and who: what each cell is for the
    generator (n_designs, n_cell), where fates are drawn. kept: rows of the fields, and of the states,
    that the outputs of each design keep.
    """

    rows: tuple[int, ...] = ()
    of_threshold: tuple[int, ...] = ()
    threshold: tuple[tuple[float, ...], ...] = ((),)
    exponentials: int | None = None
    seeds: tuple[int, ...] = ()
    who: NDArray[np.uint64] | None = None
    kept: tuple[tuple[list[int], list[int]], ...] = ()


def find_followed(studies: Sequence[Any]) -> Followed:
    """What is followed of the exposures, and by the bath; the same of all designs, with thresholds of each.

    Raises StudyError.
    """
    names = [tuple(study.output.peaks) for study in studies]
    of = [tuple(study.output.thresholds) for study in studies]
    if len(set(names)) > 1 or len(set(of)) > 1:
        raise StudyError("a batch on a GPU: the designs differ in output.peaks or in what output.thresholds are of")
    states = studies[0].mechanism.state_names
    curves = [curve for study in studies for event in study.schedule for curve in event.curve.values()]
    exponentials = [len(curve.piece(0.0).rates) for curve in curves]
    return Followed(
        tuple(states.index(name) for name in names[0]),
        tuple(names[0].index(name) for name in of[0]),
        tuple(tuple(float(v) for v in study.output.thresholds.values()) for study in studies),
        max(exponentials, default=None),
        tuple(int(study.seed) for study in studies),
        np.stack([find_identities(study) for study in studies]) if studies[0].mechanism.is_sampled else None,
        tuple(_find_kept(study) for study in studies),
    )


def _find_kept(study: Any) -> tuple[list[int], list[int]]:
    """Rows of the fields, and of the states, that outputs keep."""
    fields, states = list(study.mechanism.field_names), list(study.mechanism.state_names)
    return [fields.index(name) for name in study.output.fields], [states.index(name) for name in kept_states(study)]

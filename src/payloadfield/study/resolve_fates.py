"""Fates at the start of a study: shares that add up to one, and hazards that are numbers of at least 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from payloadfield.mechanism import Mechanism, evaluate
from payloadfield.study.problems import Problems
from payloadfield.study.study import FloatArray

ROUNDING = 1e-9
"""Shares that add up to one within this are taken to do so."""


def check_fates(
    mechanism: Mechanism, values: Mapping[str, Any], fields: FloatArray, states: FloatArray, problems: Problems
) -> None:
    """Note what is wrong with the fates and hazards of the cells.

    values: of all parameters, by name.  fields: concentrations at the start (F,) [nM].  states: (S, n_cell).
    """
    if not mechanism.fates or not states.shape[1]:
        return
    by_name = dict(zip(mechanism.state_names, states, strict=True))
    total = sum((by_name[fate.name] for fate in mechanism.fates), np.zeros(states.shape[1]))
    wrong = ~(np.abs(total - 1.0) <= ROUNDING)
    if wrong.any():
        names = ", ".join(fate.name for fate in mechanism.fates)
        problems.add(
            "initial.states",
            f"the shares of the fates ({names}) add up to {total[wrong][0]:.6g} in {int(wrong.sum())} cells, not to 1",
        )
    everything = {**values, **dict(zip(mechanism.field_names, fields, strict=True)), **by_name}
    for item in mechanism.transitions:
        hazard = np.broadcast_to(evaluate(item.hazard, everything), total.shape)
        wrong = ~(np.isfinite(hazard) & (hazard >= 0))
        if wrong.any():
            problems.add(
                f"mechanism, transitions.{item.name}.hazard",
                f"{item.hazard} is {hazard[wrong][0]:g} /s at the start in {int(wrong.sum())} cells; "
                "a finite number of at least 0 is needed",
            )

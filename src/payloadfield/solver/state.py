"""The unknowns of a run at one time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payloadfield.backends.plan import Plan

_Floats = NDArray[np.float64]


@dataclass
class State:
    """All unknowns at `time` [s].

    fields (n_field, n_open) [nM]; states (n_state, n_cell) [molecules; exposures in their own unit]; bath (n_field,)
    [nM]; accumulators (n_accumulator,): losses in voxels and bath so far [nM um^3]; inflow (n_field,): net amount that
    entered from an infinite bath so far [nM um^3].
    """

    time: float
    fields: _Floats
    states: _Floats
    bath: _Floats
    accumulators: _Floats
    inflow: _Floats

    @classmethod
    def zeros(cls, plan: Plan) -> State:
        """An empty state with the shapes of a plan."""
        return cls(
            0.0,
            np.zeros((plan.n_fields, plan.n_open)),
            np.zeros((plan.n_states, plan.cells.n_cells)),
            np.zeros(plan.n_fields),
            np.zeros(len(plan.mechanism.accumulators)),
            np.zeros(plan.n_fields),
        )

    def copy(self) -> State:
        """An independent copy."""
        return State(self.time, *(getattr(self, name).copy() for name in ARRAYS))

    def arrays(self) -> dict[str, _Floats]:
        """The arrays by name, not copied."""
        return {name: getattr(self, name) for name in ARRAYS}


ARRAYS = ("fields", "states", "bath", "accumulators", "inflow")

"""The error norm of a step: root mean squares per quantity, the worst quantity decides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from payloadfield.backends.base import Backend
from payloadfield.backends.plan import Plan
from payloadfield.solver.state import State

FLOOR_FRACTION = 0.1
"""Errors are relative to |u| plus this fraction of the quantity's typical size."""

_Floats = NDArray[np.float64]


class ErrorNorm:
    """Scales the error of a step by rtol * (floor + |u|) and finds the worst quantity.

    floor = 0.1 * typical size; where a study gives no typical size (nan), the largest value met so far stands for it,
    in the medium or the bath. A quantity that has just appeared counts with what it would reach in the first step's
    length at its present rate: relative to itself, the error of one that starts as t^2 is the same for every step.
    Losses and exposures are integrals that nothing depends on: they do not steer the step.
    """

    def __init__(self, plan: Plan, backend: Backend, study: Any) -> None:
        self._plan, self._backend, self._rtol = plan, backend, float(study.solver.rtol)
        self._typical_fields = np.asarray(study.typical_fields, float)
        self._typical_states = np.asarray(study.typical_states, float)
        self._first_step, self._growth = float(study.solver.first_step), 1.0
        self.seen_fields = np.zeros(plan.n_fields)
        self.seen_states = np.zeros(plan.n_states)
        self._steering = np.array([s.kind in ("state", "fate") for s in plan.mechanism.states], bool)
        self._has_cells = plan.cells.n_cells > 0
        self.known_field_floors = FLOOR_FRACTION * np.nan_to_num(self._typical_fields, nan=0.0)

    def __call__(self, error: State, old: State, new: State) -> tuple[float, str]:
        """Scaled error of a step and the name of the quantity that has it; nan if any quantity is not finite."""
        names = [f.name for f in self._plan.mechanism.fields]
        self._growth = max(1.0, self._first_step / (new.time - old.time))
        values = self._field_errors(error, old, new)
        labels = list(names)
        if self._plan.bath.is_finite:
            values += self._bath_errors(error, old, new)
            labels += [f"{name} in the bath" for name in names]
        if self._has_cells:
            values += self._state_errors(error, old, new)
            labels += [s.name for s in self._plan.mechanism.states]
        worst = int(np.argmax(np.where(np.isfinite(values), values, np.inf)))
        return float(values[worst]) / self._rtol, labels[worst]

    def remember(self, new: State) -> None:
        """Keep the largest values met, which stand for typical sizes that were not given."""
        self.seen_fields = np.maximum(self.seen_fields, _largest(new.fields))
        self.seen_states = np.maximum(self.seen_states, _largest(new.states))

    def _floors(self, typical: _Floats, seen: _Floats, new: _Floats) -> _Floats:
        automatic = np.isnan(typical)
        size = np.where(automatic, np.maximum(seen, self._growth * _largest(new) if automatic.any() else 0.0), typical)
        return FLOOR_FRACTION * np.where(size > 0.0, size, 1.0)

    def _field_errors(self, error: State, old: State, new: State) -> list[float]:
        seen = np.maximum(self.seen_fields, np.abs(new.bath))
        floors = self._field_floors = self._floors(self._typical_fields, seen, new.fields)
        rows = zip(error.fields, old.fields, new.fields, floors, strict=True)
        return [self._backend.error_norm(f, e, o, n, float(w)) for f, (e, o, n, w) in enumerate(rows)]

    def _bath_errors(self, error: State, old: State, new: State) -> list[float]:
        scale = self._field_floors + np.maximum(np.abs(old.bath), np.abs(new.bath))
        return [float(v) for v in np.abs(error.bath) / scale]

    def _state_errors(self, error: State, old: State, new: State) -> list[float]:
        floors = self._floors(self._typical_states, self.seen_states, new.states)
        norms = self._backend.state_error_norms(error.states, old.states, new.states, floors)
        return [float(v) for v in np.where(self._steering | ~np.isfinite(norms), norms, 0.0)]


def _largest(values: _Floats) -> _Floats:
    """Largest magnitude of each row."""
    return np.maximum(values.max(axis=1), -values.min(axis=1)) if values.shape[1] else np.zeros(len(values))

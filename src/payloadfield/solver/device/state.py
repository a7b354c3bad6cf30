"""The unknowns of a design on a device, and what the ledger asks of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from payloadfield.backends.plan import Plan
from payloadfield.solver.device.engine import DesignLine, DeviceEngine
from payloadfield.solver.state import ARRAYS, State

_Floats = NDArray[np.float64]


class DeviceState:
    """The unknowns of one design: small ones on the host, fields and cells fetched from the device when asked for."""

    def __init__(self, engine: DeviceEngine, design: int, start: State) -> None:
        self._engine, self._design, self._held = engine, design, start
        self._is_stale = False
        self.push()

    time = property(lambda self: self._held.time, lambda self, value: setattr(self._held, "time", value))
    bath = property(lambda self: self._held.bath)
    accumulators = property(lambda self: self._held.accumulators)
    inflow = property(lambda self: self._held.inflow)
    fields = property(lambda self: self._fetched().fields)
    states = property(lambda self: self._fetched().states)

    def _fetched(self) -> State:
        if self._is_stale:
            a = self._engine.arrays
            self._held.fields[...] = self._engine.read(a.fields[self._design])
            if a.n_cells:
                self._held.states[...] = self._engine.read(a.states[self._design])
            self._is_stale = False
        return self._held

    def take(self, time: float, small: _Floats) -> None:
        """A step was taken on the device: time and small quantities after it; the rest is fetched when asked for."""
        n_fields, n_losses = len(self._held.bath), len(self._held.accumulators)
        parts = np.split(small, [n_fields, n_fields + n_losses])
        self._held.time = time
        for array, values in zip((self.bath, self.accumulators, self.inflow), parts, strict=True):
            array[...] = values
        self._is_stale = True

    def small(self) -> _Floats:
        """Bath, losses and inflow in one."""
        return np.concatenate([self.bath, self.accumulators, self.inflow])

    def push(self) -> None:
        """Give everything to the device."""
        self._engine.load(self._design, self._held.fields, self._held.states, self.small())

    def arrays(self) -> dict[str, _Floats]:
        """The arrays by name, not copied."""
        return {name: getattr(self, name) for name in ARRAYS}

    def copy(self) -> State:
        """An independent copy on the host."""
        return self._fetched().copy()


class Totals:
    """Stands for a backend where the ledger adds up a state: the device has added it up already."""

    def __init__(self) -> None:
        self.line: DesignLine | None = None

    def amount(self, field: int, value: _Floats) -> float:
        """Amount of a field after the last step."""
        assert self.line is not None
        return float(self.line.amounts[field])

    def sums(self, values: _Floats) -> _Floats:
        """Sum of each state over the cells after the last step."""
        assert self.line is not None
        return self.line.state_sums


class HostTotals:
    """The same for the state that a run begins with, in NumPy."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def amount(self, field: int, value: _Floats) -> float:
        """Amount of a field."""
        return float(self._plan.field_capacity(field) @ value)

    def sums(self, values: _Floats) -> _Floats:
        """Sum of each state over the cells."""
        return np.asarray(values.sum(axis=1))

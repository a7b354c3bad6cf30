"""The balance sheet: where the amount of every moiety is, and how far the books are from closing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payloadfield.backends.base import Backend
from payloadfield.backends.plan import Plan
from payloadfield.solver.state import State
from payloadfield.units import AVOGADRO_NM_UM3

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LedgerLine:
    """One moiety's balance [molecules]: initial + dosed + entered - left - washed = in fields, cells and bath + lost.

    entered and left are net amounts from and to an infinite bath, of the fields that came in and of those that went
    out; dosed and washed concern a finite bath. defect is what is missing; relative_defect is the defect over the
    largest amount handled so far.
    """

    moiety: str
    initial: float
    dosed: float
    entered: float
    left: float
    washed: float
    in_fields: float
    in_cells: float
    in_bath: float
    lost: float
    defect: float
    relative_defect: float


class Ledger:
    """Keeps what was there at the start, dosed and washed, and compares it with what is there now."""

    def __init__(self, plan: Plan, backend: Backend, initial: State) -> None:
        self._plan, self._backend = plan, backend
        self._in_states = self._split_states()
        self.dosed = np.zeros(plan.n_fields)
        self.washed = np.zeros(plan.n_fields)
        self.handled = np.zeros(len(plan.mechanism.moieties))
        self.initial = np.zeros(len(plan.mechanism.moieties))
        self.initial = self._content(initial).sum(axis=0)
        self.handled = np.abs(self.initial)

    def _split_states(self) -> tuple[_Floats, _Floats]:
        """Contents of the moieties in live states, and in the losses kept per cell."""
        kinds = np.array([s.kind for s in self._plan.mechanism.states])
        contents = self._plan.moiety_of_state / AVOGADRO_NM_UM3
        return contents * (kinds == "state"), contents * (kinds == "accumulator")

    def change_bath(self, before: _Floats, after: _Floats, washed: _Floats) -> None:
        """Book an event on a finite bath: concentrations [nM] before and after, and what a wash took of them."""
        if self._plan.bath.is_finite:
            volume = self._plan.bath.volume
            self.washed += washed * volume
            self.dosed += (after - before + washed) * volume

    def balance(self, state: State) -> list[LedgerLine]:
        """One line for each moiety."""
        in_fields, in_cells, in_bath, lost = self._content(state)
        of_field = self._plan.moiety_of_field
        dosed, washed = of_field @ self.dosed, of_field @ self.washed
        entered, left = of_field @ np.maximum(state.inflow, 0.0), of_field @ np.maximum(-state.inflow, 0.0)
        present = in_fields + in_cells + in_bath + lost
        self.handled = np.maximum.reduce([self.handled, np.abs(present), np.abs(dosed), entered])
        defect = present - (self.initial + dosed + entered - left - washed)
        relative = np.divide(defect, self.handled, out=np.zeros_like(defect), where=self.handled > 0.0)
        columns = np.stack([self.initial, dosed, entered, left, washed, in_fields, in_cells, in_bath, lost, defect])
        molecules = columns * AVOGADRO_NM_UM3
        return [
            LedgerLine(name, *(float(v) for v in (*molecules[:, m], relative[m])))
            for m, name in enumerate(self._plan.mechanism.moieties)
        ]

    def _content(self, state: State) -> _Floats:
        """Amounts of each moiety [nM um^3] in fields, cells, a finite bath, and losses: (4, n_moiety)."""
        plan, backend = self._plan, self._backend
        amounts = np.array([backend.amount(f, state.fields[f]) for f in range(plan.n_fields)])
        per_state = backend.sums(state.states) if plan.cells.n_cells else np.zeros(plan.n_states)
        live, spent = self._in_states
        bath = plan.bath.volume * state.bath if plan.bath.is_finite else np.zeros(plan.n_fields)
        lost = spent @ per_state + plan.moiety_of_accumulator @ state.accumulators
        return np.stack([plan.moiety_of_field @ amounts, live @ per_state, plan.moiety_of_field @ bath, lost])

"""Exchange between touching cells, as part of a step.

A contact links cells across the whole grid, so it stays out of the Jacobian, and what one cell loses another gains to
the last digit (differences of rates, times a strength that is the same for both). The Rosenbrock-W method allows that:
its order stays 3, but a step is stable only while
    2 M q' sum_j g_ij < 0.63,   M = (sg I - J)^-1 of the cell at the state given, sg = 1 / (gamma dt),   q' = dq/ds,
g_ij with the share of both that is alive:
without other losses, while the rate constant of all contacts of a cell together, times the step, is below 0.72. A
longer step is rejected. Found from the stability function of ROS34PW2 with -a in the Jacobian and -e outside of it:
|R| <= 1 for every a while e / (sg + a) < 0.63; the fastest mode of the exchange decays at e = 2 q' sum_j g_ij.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from payloadfield.backends.base import Backend
from payloadfield.backends.plan import ContactTable, Plan
from payloadfield.cells import Cells, touching_pairs
from payloadfield.mechanism import Mechanism, evaluate
from payloadfield.mechanism.calculus import derivative, simplify
from payloadfield.mechanism.nodes import Expr
from payloadfield.solver.tableau import ERROR_ORDER
from payloadfield.units import AVOGADRO_NM_UM3

STABLE_SHARE = 0.63
"""Largest e / (sg + a) at which a decay at rate e outside of the Jacobian, beside a inside of it, is stable."""

OF_CONTACTS = "the exchange between touching cells"
"""What limits a step that is too long for the contacts."""

_Floats = NDArray[np.float64]


def make_contact_tables(study: Any) -> tuple[ContactTable, ...]:
    """Cells that touch each other, for each contact of the mechanism; those alike share one table."""
    mechanism = study.mechanism
    values = {"N_A": AVOGADRO_NM_UM3, **dict(zip(mechanism.study_parameters, study.parameters, strict=True))}
    of_cell = {**values, **dict(zip(mechanism.cell_parameters, study.cell_parameters, strict=True))}
    tables: dict[tuple[Expr, Expr], ContactTable] = {}
    for item in mechanism.contacts:
        if (item.reach, item.strength) not in tables:
            reach, strength = float(evaluate(item.reach, values)), evaluate(item.strength, of_cell)
            tables[item.reach, item.strength] = make_contact_table(study.cells, reach, strength)
    return tuple(tables[item.reach, item.strength] for item in mechanism.contacts)


def make_contact_table(cells: Cells, reach: float, strength: _Floats | float) -> ContactTable:
    """Cells within `reach` times the sum of their radii; strength: of every cell, its product that of the pair."""
    first, second = touching_pairs(cells, reach).T
    row, touching = np.concatenate([first, second]), np.concatenate([second, first])
    order = np.lexsort((touching, row))
    row, touching = row[order], touching[order]
    of_cell = np.broadcast_to(np.asarray(strength, float), (cells.n_cells,))
    start = np.searchsorted(row, np.arange(cells.n_cells + 1)).astype(np.int64)
    return ContactTable(start, np.ascontiguousarray(touching, np.int64), of_cell[row] * of_cell[touching])


def measured_contacts(mechanism: Mechanism) -> list[int]:
    """Contacts whose speed is looked at: all but those of shares given as fast as what they are of."""
    kinds = {state.name: state.kind for state in mechanism.states}
    seen: set[Expr] = set()
    found = []
    for number, contact in enumerate(mechanism.contacts):
        slope = derivative(simplify(contact.rate), contact.gives)
        if kinds[contact.gives] != "tag" or slope not in seen:
            found.append(number)
        seen.add(slope)
    return found


class ContactExchange:
    """What the contacts of a plan add to the rates of the states."""

    def __init__(self, plan: Plan, backend: Backend) -> None:
        self.plan, self.backend = plan, backend
        rows = {name: row for row, name in enumerate(plan.mechanism.state_names)}
        self._contacts = [(rows[c.gives], [rows[name] for name in c.takes]) for c in plan.mechanism.contacts]
        self._measured = measured_contacts(plan.mechanism)
        self._flux, self._gain, self._present, self._share = (np.zeros(plan.cells.n_cells) for _ in range(4))

    def add_rates(self, arguments: tuple[Any, ...], d_states: _Floats) -> None:
        """d_states += what every cell gives and takes; arguments: as for the generated functions of the cells."""
        given = self._flux, self._present
        exchange = self.backend.exchange
        for number, (gives, takes) in enumerate(self._contacts):
            self.backend.code.cell_contacts(*arguments, number, self._flux, self._present)
            kept = gives == takes[0]
            exchange(number, *given, 1.0, 1.0 if kept else 0.0, d_states[takes[0]])
            if not kept:
                exchange(number, *given, 0.0, 1.0, d_states[gives])
            for counter in takes[1:]:
                exchange(number, *given, 1.0, 0.0, d_states[counter])

    def haste(self, arguments: tuple[Any, ...], lu: _Floats) -> float:
        """How far a step is beyond what is stable, as a scaled error: above 1 it has to be rejected.

        arguments: as for the generated functions of the cells, and lu their factors, at the base of the step.
        """
        worst = 0.0
        for number in self._measured:
            self.backend.code.cell_contact_gains(*arguments, lu, number, self._gain, self._present)
            self._share[...] = 0.0
            self.backend.exchange(number, self._gain, self._present, 0.0, -2.0, self._share)
            worst = max(worst, float(abs(self._share).max()))
        return (worst / STABLE_SHARE) ** ERROR_ORDER

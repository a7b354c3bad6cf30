"""Exchange between touching cells on a device: tables of all contacts and designs, and the launches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from payloadfield.backends.cuda.machine import Machine
from payloadfield.backends.plan import ContactTable, Plan
from payloadfield.solver.contacts import measured_contacts


class DeviceContacts:
    """The contacts of a batch; a pair that touches in one design touches in all, with strength 0 where it does not.

    flux, present: (D, contacts, n_cell); in the place of flux stand the gains while a step is linearised.
    """

    def __init__(self, machine: Machine, plans: Sequence[Plan]) -> None:
        mechanism, n_cells = plans[0].mechanism, plans[0].cells.n_cells
        rows = {name: row for row, name in enumerate(mechanism.state_names)}
        kinds, self._of_contact = _alike(plans)
        tables = [_joined(each) for each in kinds]
        self.n_links = sum(len(table.touching) for table, _ in tables)
        self.exists = self.n_links > 0
        self._n_contacts, self._n_states = len(mechanism.contacts), len(rows)
        if not self.exists:
            return
        real = machine.build.dtype("real")
        offset = np.cumsum([0, *(len(table.touching) for table, _ in tables)])
        starts = [table.row_start + first for (table, _), first in zip(tables, offset, strict=False)]

        def up(values: Any, dtype: Any) -> Any:
            return machine.upload("contacts", np.ascontiguousarray(values), dtype)

        self._row_start = up(np.stack(starts), np.int64)
        self._touching = up(np.concatenate([table.touching for table, _ in tables]), np.int32)
        self._strength = up(np.concatenate([strength for _, strength in tables], axis=1), real)
        self.flux, self.present = (
            machine.zeros("contacts", (len(plans), self._n_contacts, n_cells), real) for _ in range(2)
        )
        moved = [
            (number, rows[state], other, own)
            for number, contact in enumerate(mechanism.contacts)
            for state, other, own in _transfers(contact.gives, contact.takes)
        ]
        columns = list(zip(*((self._of_contact[number], number, *rest) for number, *rest in moved), strict=True))
        self._moved = [up(column, np.int32) for column in columns[:3]] + [up(column, real) for column in columns[3:]]
        measured = measured_contacts(mechanism)
        self._measured = [up(column, np.int32) for column in ([self._of_contact[k] for k in measured], measured)]

    def _tables(self) -> tuple[Any, ...]:
        return self._row_start, self._touching, self._strength

    def add_rates(self, do: Callable[..., None], cells: tuple[Any, ...], d_states: Any) -> None:
        """Add to the rates of the states (D, S, n_cell) what cells give and take; cells: as for `cell_rates`."""
        if not self.exists:
            return
        sizes = cells[0], self.n_links, self._n_contacts, self._n_states, len(self._moved[0])
        do("cell_contacts", *cells, self.flux, self.present)
        do("exchange", *sizes, *self._moved, *self._tables(), self.flux, self.present, d_states)

    def measure_haste(self, do: Callable[..., None], cells: tuple[Any, ...], lu: Any, partial: Any, haste: Any) -> None:
        """How far the step is beyond what is stable, of every design (D,); lu: factors of the cells."""
        if not self.exists:
            return
        table, contact = self._measured
        n_cells, n_measured = cells[0], len(contact)
        do("cell_contact_gains", *cells, lu, n_measured, contact, self.flux, self.present)
        sizes = n_cells, self.n_links, self._n_contacts, n_measured
        do("contact_shares", *sizes, table, contact, *self._tables(), self.flux, self.present, partial)
        do("contact_haste", *partial.shape, partial, haste)


def _transfers(gives: str, takes: Sequence[str]) -> list[tuple[str, float, float]]:
    """What a contact does to which slots: how much of what the others, and the cell itself, give."""
    if gives == takes[0]:
        return [(gives, 1.0, 1.0), *((counter, 1.0, 0.0) for counter in takes[1:])]
    return [(takes[0], 1.0, 0.0), (gives, 0.0, 1.0), *((counter, 1.0, 0.0) for counter in takes[1:])]


def _alike(plans: Sequence[Plan]) -> tuple[list[list[ContactTable]], list[int]]:
    """Tables of the designs, (kind, design), and the kind of each contact: those that share a table in every design."""
    kinds: dict[tuple[int, ...], int] = {}
    tables: list[list[ContactTable]] = []
    of_contact = []
    for each in zip(*(plan.contacts for plan in plans), strict=True):
        key = tuple(id(table) for table in each)
        if key not in kinds:
            kinds[key] = len(tables)
            tables.append(list(each))
        of_contact.append(kinds[key])
    return tables, of_contact


def _joined(tables: Sequence[ContactTable]) -> tuple[ContactTable, np.ndarray]:
    """The pairs of all designs in one table, and the strength in each, (D, n_link)."""
    first, n_cells = tables[0], len(tables[0].row_start) - 1
    if all(_has_same_pairs(first, table) for table in tables):
        return first, np.stack([table.strength for table in tables])
    keys = [_row_of(table) * n_cells + table.touching for table in tables]
    every = np.unique(np.concatenate(keys))
    strength = np.zeros((len(tables), len(every)))
    for row, key, table in zip(strength, keys, tables, strict=True):
        row[np.searchsorted(every, key)] = table.strength
    row_of, touching = np.divmod(every, n_cells)
    start = np.searchsorted(row_of, np.arange(n_cells + 1))
    return ContactTable(start, touching, strength[0]), strength


def _has_same_pairs(a: ContactTable, b: ContactTable) -> bool:
    return np.array_equal(a.row_start, b.row_start) and np.array_equal(a.touching, b.touching)


def _row_of(table: ContactTable) -> np.ndarray:
    """The cell in whose row each pair stands."""
    return np.repeat(np.arange(len(table.row_start) - 1), np.diff(table.row_start))

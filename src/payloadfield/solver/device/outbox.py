"""Outputs on their way from a device to the host, while the device goes on with the steps that follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np

from payloadfield.backends.cuda.machine import Machine
from payloadfield.solver.outputs import Kept

BUFFERS = 2
"""Outputs on their way at a time: with so many, the next one waits until one of them has been read."""

Buffers = tuple[np.ndarray, np.ndarray]
Rows = tuple[Sequence[int], Sequence[int]]
"""Of a design: rows of the fields, and of the states, that outputs keep."""


class Outbox:
    """Copies of what outputs keep of a design.

    Two launches put it aside, behind all steps that were asked for; from there it travels to page-locked memory of the
    host beside the steps that are asked for later. On a device it is there once, on the host in `BUFFERS` buffers.
    """

    def __init__(self, machine: Machine, arrays: Any, kept: Sequence[Rows]) -> None:
        """kept: of each design; arrays: with fields (D, F, n) and states (D, S, n_cell)."""
        self._machine = machine
        n_fields, n_states = (max(len(rows[kind]) for rows in kept) for kind in (0, 1))
        n_states = n_states if arrays.n_cells else 0
        shapes = ((n_fields, arrays.n), np.dtype(np.float32)), ((n_states, arrays.n_cells), arrays.real)
        self._aside = [machine.zeros("outputs", *each) for each in shapes]
        self._programs = [self._prepare(arrays, design, rows) for design, rows in enumerate(kept)]
        self._sizes = [(len(fields), len(states) if arrays.n_cells else 0) for fields, states in kept]
        self._free: SimpleQueue[Buffers] = SimpleQueue()
        for _ in range(BUFFERS):
            fields, states = (machine.lock_host(*each) for each in shapes)
            self._free.put((fields, states))

    def _prepare(self, a: Any, design: int, rows: Rows) -> Any:
        """The launches that put aside what is kept of a design."""
        launches = []
        kinds = zip(("fields", "states"), (a.fields, a.states), self._aside, rows, strict=True)
        for kind, values, out, own in kinds:
            n_designs, n_rows, n = values.shape
            if not (own and n):
                continue
            which = self._machine.upload("outputs", np.array(own) + design * n_rows, np.int32)
            flat = values.reshape(n_designs * n_rows, n)
            sizes = n, len(own), n_designs * n_rows
            launches.append(self._machine.prepare(f"put_{kind}_aside", *sizes, which, flat, out[: len(own)]))
        return self._machine.record(launches)

    def send(self, design: int) -> Parcel:
        """Send what is kept of a design now; waits while as many as there are buffers are on their way."""
        buffers = self._free.get()
        sizes = zip(self._aside, buffers, self._sizes[design], strict=True)
        pairs = [(aside[:n_rows], buffer[:n_rows]) for aside, buffer, n_rows in sizes]
        try:
            ticket = self._machine.send(self._programs[design], pairs)
        except BaseException:
            self._free.put(buffers)
            raise
        return Parcel(self._machine, ticket, pairs, lambda: self._free.put(buffers))


class Parcel:
    """One output on its way: its buffers are free again once it has been taken or dropped, which any thread may do."""

    def __init__(self, machine: Machine, ticket: Any, pairs: Sequence[Any], free: Callable[[], None]) -> None:
        self._machine, self._ticket, self._free = machine, ticket, free
        self._buffers = [buffer for _, buffer in pairs]

    def take(self, read: Callable[[np.ndarray, np.ndarray], Kept]) -> Kept:
        """What `read` makes of fields (F, n) and states (S, n_cell) once they have come; it must not keep them."""
        try:
            self._machine.wait_for(self._ticket)
            return read(*self._buffers)
        finally:
            self._free()

    def drop(self) -> None:
        """Do without; later copies come after this one, so that nobody has to wait for it."""
        self._free()

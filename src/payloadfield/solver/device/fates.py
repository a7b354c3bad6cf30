"""Transitions between fates on a device: their arrays, and what a step does about them (solver/fates.py).

Drawn fates need no host: thresholds are drawn by the kernel that moves the cells, from the same generator.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payloadfield.backends.cuda.machine import Machine
from payloadfield.mechanism import Mechanism
from payloadfield.solver.device.followed import Followed

EXPECTED = ("value", "rate", "time")
"""Arrays of the transitions, in the order of follow_fates: slots and their rates at the last step's end, times."""

DRAWN = (*EXPECTED, "threshold", "draws")
"""... and, where fates are drawn, the thresholds and how many were drawn."""

MEMORY = {"time": "fate_times", "threshold": "fate_thresholds", "draws": "fate_draws"}
"""Those that the host's fates keep too, and their names there."""


class DeviceFates:
    """The transitions of every cell of a batch; arrays (D, transitions, n_cell)."""

    def __init__(
        self, machine: Machine, mechanism: Mechanism, n_designs: int, n_cells: int, n_lines: int, followed: Followed
    ) -> None:
        names, transitions = list(mechanism.state_names), mechanism.transitions if n_cells else ()
        self._machine, self.n, self.n_lines = machine, len(transitions), n_lines
        self.is_drawn = mechanism.is_sampled and self.n > 0
        shape = n_designs, self.n, n_cells
        self.rows = self._numbers([names.index(item.name) for item in transitions])
        self.arrays = {name: machine.zeros("fates", shape, np.float64) for name in EXPECTED}
        if not self.is_drawn:
            return
        fates = [fate.name for fate in mechanism.fates]
        self._fate_rows = self._numbers([names.index(name) for name in fates])
        self._before = self._numbers([fates.index(item.before) for item in transitions])
        self._after = self._numbers([fates.index(item.after) for item in transitions])
        purposes = [zlib.crc32(item.name.encode()) for item in transitions]
        self._purpose = machine.upload("fates", np.array(purposes, np.int64), np.int64)
        seeds = np.array([seed % 2**64 for seed in followed.seeds or (0,) * n_designs], np.uint64)
        self._seed = machine.upload("fates", seeds.view(np.int64), np.int64)
        who = np.zeros((n_designs, n_cells), np.uint64) if followed.who is None else followed.who
        self._who = machine.upload("fates", who.view(np.int64), np.int64)
        self.arrays["threshold"] = machine.zeros("fates", shape, np.float64)
        self.arrays["draws"] = machine.zeros("fates", shape, np.int64)
        self._moved = machine.zeros("fates", shape, np.int32)
        self.moves = machine.zeros("fates", (n_lines, n_designs, self.n), np.int32)

    def _numbers(self, values: list[int]) -> Any:
        return self._machine.upload("fates", np.array(values, np.int32), np.int32)

    # -- launches -----------------------------------------------------------------------------------------------

    def follow(self, do: Callable[..., None], a: Any) -> None:
        """Launches after a step, when a.cell_rates are those of the state after it."""
        sizes = a.n_cells, a.n_states
        if not self.is_drawn:
            followed = self.rows, a.verdict, a.clock, a.states, a.cell_rates
            do("follow_fates", *sizes, self.n, a.clock.size, *followed, *(self.arrays[name] for name in EXPECTED))
            return
        value, rate, *changed = (self.arrays[name] for name in DRAWN)
        numbers = self.rows, self._fate_rows, self._before, self._after, self._purpose, self._seed, self._who
        given = a.verdict, a.clock, a.cell_rates, value, rate, a.states
        counts = self._fate_rows.size, self.n, a.clock.size
        do("move_fates", *sizes, *counts, *numbers, *given, *changed, self._moved)
        lines = self.n_lines, a.clock.size, a.verdict, a.clock
        do("count_moves", self.n, a.n_cells, *lines, self._moved, self.moves)

    def keep(self, do: Callable[..., None], a: Any) -> None:
        """Launches once cells have moved, when a.cell_rates are those of the state that the next step begins with."""
        kept = self.rows, a.states, a.cell_rates, self.arrays["value"], self.arrays["rate"]
        do("keep_fates", a.n_cells, a.n_states, self.n, *kept)

    # -- what the host knows ------------------------------------------------------------------------------------

    def push(self, design: int, value: NDArray[np.float64], rate: NDArray[np.float64], memory: dict[str, Any]) -> None:
        """Begin a design from slots of the transitions, their rates, and what the host's fates keep."""
        values = {"value": value, "rate": rate} | {name: memory[MEMORY[name]] for name in self.arrays if name in MEMORY}
        for name, array in self.arrays.items():
            self._machine.write(array[design], np.ascontiguousarray(values[name]))

    def memory(self, design: int) -> dict[str, Any]:
        """What the host's fates keep."""
        return {MEMORY[name]: self._machine.read(self.arrays[name][design]) for name in self.arrays if name in MEMORY}

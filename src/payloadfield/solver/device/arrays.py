"""The arrays of the step's program on a device, for a batch of designs over one geometry.

Design first, then species, then space. The small quantities of a design are the bath's concentrations, the losses and
the inflow, in this order. Arrays of a group of fields that are solved together have its fields first, then the design.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from payloadfield.backends.base import smoother_weights
from payloadfield.backends.cuda.machine import Machine
from payloadfield.backends.cuda.tables import (
    WORD,
    LevelTable,
    WordTable,
    first_small_level,
    join_levels,
    lower_faces,
    make_levels,
    make_pocket_chunks,
    make_words,
)
from payloadfield.backends.plan import Plan, TransportGroup
from payloadfield.solver.device.contacts import DeviceContacts
from payloadfield.solver.device.fates import DeviceFates
from payloadfield.solver.device.followed import Followed
from payloadfield.solver.device.outbox import Outbox
from payloadfield.solver.device.pockets import GroupPockets
from payloadfield.solver.tableau import Tableau

N_STAGES = 4
LINE_HEAD, DESIGN_HEAD = 9, 3
"""Columns of a line of the log before those of the designs, and before a design's quantities (kernels/control.cu)."""
N_LINES = 32
"""Lines of the log: attempts between two looks of the host."""
CLOCK = (
    "time", "dt", "proposal", "accepted_dt", "accepted_error", "just_rejected", "target", "cut_short", "active",
    "longest", "rounding", "lines", "rtol", "first_step", "stopped", "share", "residual_limit",
)  # fmt: skip
"""Places of the clock, in the order of kernels/control.cu."""
MOST_SMALL_NODES = 5000
"""Nodes of the levels that one block works on alone: those of 16^3 and all coarser ones."""


class GroupTables:
    """Index maps and conductances of one transport group: levels above shared memory, the others joined, pockets.

    Of the voxels only what they need: places in the table of words and conductances on the lower side.
    """

    def __init__(self, machine: Machine, group: TransportGroup, plan: Plan, table: WordTable, words: Any) -> None:
        real, small = machine.build.dtype("real"), machine.build.dtype("small")
        levels = make_levels(group, plan.neighbour)
        most = min(machine.shared_limit // max(3 * small.itemsize, real.itemsize), MOST_SMALL_NODES)
        self.first_small = first_small_level(levels, most)
        self.sizes = [level.n for level in levels]
        up = machine.upload
        self.around = len(words), words, up("tables", lower_faces(group), np.float32)
        above, coarse = levels[: self.first_small], levels[1 : self.first_small + 1]
        self.neighbour = [None, *(up("tables", k.neighbour, np.int32) for k in coarse)]
        self.g = [None, *(up("tables", k.g, np.float32) for k in coarse)]
        self.row_sum = [None, *(up("tables", k.row_sum, real) for k in coarse)]
        self.parent = [up("tables", k.parent, np.int32) for k in above]
        self.child_start = [up("tables", k.child_start, np.int64) for k in above]
        children = (table.place[k.child] if level == 0 else k.child for level, k in enumerate(above))
        self.child = [up("tables", child, np.int32) for child in children]
        self._join(machine, levels[self.first_small :])
        self._cut_pockets(machine, group)

    def _join(self, machine: Machine, levels: tuple[LevelTable, ...]) -> None:
        j, real = join_levels(levels), machine.build.dtype("real")
        up = machine.upload
        self.n_small_levels, self.n_small_nodes = len(levels), int(j.offset[-1])
        self.offset, self.width = up("tables", j.offset, np.int64), up("tables", j.width, np.int32)
        self.table_start = up("tables", j.table_start, np.int64)
        self.small_neighbour, self.small_g = up("tables", j.neighbour, np.int32), up("tables", j.g, np.float32)
        self.small_parent = up("tables", j.parent, np.int32)
        self.small_child_start = up("tables", j.child_start, np.int64)
        self.small_child = up("tables", j.child, np.int32)
        self.small_row_sum = up("tables", np.concatenate([k.row_sum for k in levels]), real)

    def _cut_pockets(self, machine: Machine, group: TransportGroup) -> None:
        self.n_pockets, self.n_chunks, given = group.n_pockets, 0, slice(None if group.n_pockets > 1 else 0)
        self.pocket = machine.upload("tables", group.pocket[given], np.int32)
        self.is_single = 1 < group.n_pockets == len(group.pocket)
        if self.is_single:  # each voxel is its pocket's sum
            return
        chunks = make_pocket_chunks(group)
        self.n_chunks = len(chunks.chunk_start) - 1
        self.order = machine.upload("tables", chunks.order[given], np.int32)
        self.chunk_start = machine.upload("tables", chunks.chunk_start, np.int64)
        self.pocket_start = machine.upload("tables", chunks.pocket_start, np.int64)


PEAKS = ("now", "peak", "peak_time", "time_above")
"""Arrays of what is followed, as solver/peaks.py names them."""

CURVE_HEAD = 6
"""Numbers of a curve before those of its exponentials (kernels/bath.cu)."""


class DeviceArrays:
    """Everything that the program reads and writes, allocated once."""

    def __init__(
        self, machine: Machine, plans: Sequence[Plan], code: Any, tableau: Tableau, followed: Followed | None = None
    ) -> None:
        """plans: of the designs, which share their maps; code: the mechanism's generated CUDA module."""
        self.followed = followed or Followed()
        self.machine, self.plans, self.plan, self.code = machine, plans, plans[0], code
        plan = self.plan
        self.n_designs, self.n_fields, self.n = len(plans), plan.n_fields, plan.n_open
        self.n_accumulators = len(plan.mechanism.accumulators)
        self.n_small = 2 * self.n_fields + self.n_accumulators
        self.n_cells, self.n_entries = plan.cells.n_cells, len(plan.cells.entry_voxel)
        self.n_states = plan.n_states if self.n_cells else 0
        self.is_finite = plan.bath.is_finite
        self.real, self.small_type = machine.build.dtype("real"), machine.build.dtype("small")
        self.contacts = DeviceContacts(machine, plans)
        self.weights = [float(self.small_type.type(w)) for w in smoother_weights()]
        self._upload_plan()
        self._allocate_unknowns()
        self._upload_method(tableau)
        self._allocate_operators()
        self._allocate_control()
        self._allocate_peaks()
        sizes = self.n_designs, self.n_cells, N_LINES
        self.fates = DeviceFates(machine, plan.mechanism, *sizes, self.followed)
        self._allocate_curves()
        self.outbox = Outbox(machine, self, self.followed.kept) if self.followed.kept else None
        self._starts: dict[tuple[int, int], Any] = {}
        self._integers: dict[tuple[int, ...], Any] = {}

    # -- unknowns -----------------------------------------------------------------------------------------------

    def _reals(self, name: str, *shape: int) -> Any:
        return self.machine.zeros(name, shape, self.real)

    def _doubles(self, name: str, *shape: int) -> Any:
        return self.machine.zeros(name, shape, np.float64)

    def _allocate_unknowns(self) -> None:
        d, f, n, s, c = self.n_designs, self.n_fields, self.n, self.n_states, self.n_cells
        self.fields, self.value = (self._reals(k, d, f, n) for k in ("state", "stage value"))
        self.states, self.state_value = (self._reals("cells", d, s, c) for _ in range(2))
        self.small, self.small_value = (self._reals("small", d, self.n_small) for _ in range(2))
        self.terms = self._reals("increments", N_STAGES, d, f, n)
        self.state_terms = self._reals("cells", N_STAGES, d, s, c)
        self.small_terms = self._reals("small", N_STAGES, d, self.n_small)
        self.rhs = self._reals("right-hand sides", d, f, n)
        self.cell_rates, self.cell_rhs = self._reals("cells", d, s, c), self._reals("cells", d, s, c)
        self.r, self.image = (self._reals("vectors of a solve", d, n) for _ in range(2))
        rows = max(d * f * self.blocks(n), d * max(s, 1) * self.blocks(c), d * self.blocks(self.n_places))
        rows = max(rows, d * self.n_accumulators * self.blocks(n), d * f * self.blocks(len(self.plan.bath.voxel)))
        chunks = max(tables.n_chunks for tables in self.groups)
        self._done = [self.machine.zeros("sums", (d * max(f, s, 1),), np.int32) for _ in range(2)]
        self._partial = [self._doubles("partial sums", max(rows, d * chunks)) for _ in range(2)]

    def blocks(self, n: int) -> int:
        """Blocks of a launch over n items."""
        return -(-n // self.machine.build.block)

    def partial(self, *shape: int, which: int = 0) -> Any:
        """Room for partial sums of this shape."""
        return self._partial[which][: int(np.prod(shape))].reshape(shape)

    def total(self, rows: int, n: int, which: int = 0) -> tuple[Any, Any]:
        """Room for the partial sums of so many rows of n items, and the counts of their blocks that are done."""
        return self.partial(rows, self.blocks(n), which=which), self._done[which][:rows]

    def starts(self, n_sums: int, length: int) -> Any:
        """First value of each of so many sums of the same length."""
        if (n_sums, length) not in self._starts:
            values = np.arange(n_sums + 1) * length
            self._starts[n_sums, length] = self.machine.upload("tables", values, np.int64)
        return self._starts[n_sums, length]

    def integers(self, values: tuple[int, ...]) -> Any:
        """A list of indices."""
        if values not in self._integers:
            self._integers[values] = self.machine.upload("tables", np.array(values, np.int32), np.int32)
        return self._integers[values]

    # -- what is given ------------------------------------------------------------------------------------------

    def _upload_plan(self) -> None:
        plan, up, real = self.plan, self.machine.upload, self.real
        table = make_words(plan)
        words = up("tables", table.words, np.int32)
        self.n_places = WORD * len(table.words)
        self.groups = [GroupTables(self.machine, group, plan, table, words) for group in plan.groups]
        self.capacity = up("tables", plan.capacity, real)
        self.capacity_row, self.capacity_index = plan.capacity_index, up("tables", plan.capacity_index, np.int64)
        self.capacity_of = up("tables", plan.capacity_index, np.int32)
        self.D = up("coefficients", np.stack([p.diffusivity for p in self.plans], axis=1), real)
        self.parameters = up("coefficients", np.stack([p.parameters for p in self.plans]), real)
        cells = plan.cells
        self.cell_parameters = up("cells", np.stack([p.cell_parameters for p in self.plans]), real)
        self.entry_start = up("cells", cells.entry_start, np.int64)
        self.entry_voxel = up("cells", cells.entry_voxel, np.int64)
        self.entry_weight = up("cells", cells.entry_weight, real)
        touched = cells.touched_voxel, cells.touched_start, cells.touched_entry
        self.n_touched, self.touched = len(cells.touched_voxel), [up("cells", t, np.int64) for t in touched]
        self.contact = up("tables", plan.bath.voxel, np.int64)
        self.n_contact = len(plan.bath.voxel)
        conductance = np.stack([p.bath.conductance for p in self.plans])
        self.conductance = up("coefficients", conductance, real)
        self.conductance_sum = up("coefficients", conductance.sum(axis=2), np.float64)
        volume = [[p.bath.volume if self.is_finite else 0.0] for p in self.plans]
        self.volume = up("coefficients", volume, real)
        self.no_index = up("tables", np.zeros(self.n_fields), np.int64)

    def _upload_method(self, tableau: Tableau) -> None:
        up = self.machine.upload
        self.a = up("method", tableau.a, self.real)
        self.m, self.error = up("method", tableau.m, self.real), up("method", tableau.error, self.real)
        self.c, self.gamma = up("method", tableau.c.ravel(), np.float64), tableau.gamma
        self.stage_times = [
            (float(a.sum()), float(g.sum())) for a, g in zip(tableau.alpha, tableau.gammas, strict=True)
        ]
        self.last_m = float(tableau.m[-1])
        self.sg, self.history = self._reals("method", 1), self._reals("method", N_STAGES * N_STAGES)
        self.ones = up("method", np.ones((self.n_designs, 1)), self.real)
        self.no_small = self._reals("method", self.n_designs, self.n_small)

    # -- operators ----------------------------------------------------------------------------------------------

    def _allocate_operators(self) -> None:
        d, n, code = self.n_designs, self.n, self.code
        self.zeroth = [self._reals("zeroth-order terms", d, n) for _ in range(self.n_fields)]
        self.inverse, self.small_inverse = [], []
        for f in range(self.n_fields):
            tables = self.tables(f)
            sizes = tables.sizes[: tables.first_small + 1]
            if tables.first_small == 0 and tables.n_small_levels > 1:
                sizes = []  # one block has them all
            make = self.machine.zeros
            self.inverse.append([make("smoother diagonals", (d, size), self.small_type) for size in sizes])
            self.small_inverse.append(make("smoother diagonals", (d, tables.n_small_nodes), self.small_type))
        self._allocate_cycle()
        self.lu = self._reals("cells", d, code.N_LU, self.n_cells)
        self.entry_source = self._reals("cells", d, len(code.EXCHANGED), self.n_entries)
        self.entry_schur = self._reals("cells", d, code.N_SCHUR, self.n_entries)
        self.entry = self._reals("cells", d, self.n_entries)
        self.jacobian = self._reals("reactions' slopes", d, len(code.VOXEL_PAIRS), n)
        self._allocate_sums()
        self._allocate_bath()

    def _allocate_cycle(self) -> None:
        """Vectors of the V-cycle on every level above shared memory, and on the first one in it.

        On the voxels there are four: the right-hand side, and three that take turns as x, t and a direction.
        """
        deepest = max((tables.first_small + 1 for tables in self.groups), default=1)
        sizes = [max(t.sizes[k] for t in self.groups if k <= t.first_small) for k in range(deepest)]
        make, small, d = self.machine.zeros, self.small_type, self.n_designs
        counts = [4] + [3] * (len(sizes) - 1)
        self._cycle = [
            [make("vectors of a V-cycle", (d * size,), small) for _ in range(count)]
            for size, count in zip(sizes, counts, strict=True)
        ]
        self._work = [self._reals("vectors of a V-cycle", d * size) for size in sizes[1:]]

    def cycle_vectors(self, level: int, size: int) -> list[Any]:
        """b, x and t of a level, and one more on the voxels."""
        return [vector[: self.n_designs * size].reshape(self.n_designs, size) for vector in self._cycle[level]]

    def diagonal_work(self, level: int, size: int) -> Any:
        """Zeroth-order terms of a level above the voxels, while the diagonals are made."""
        return self._work[level - 1][: self.n_designs * size].reshape(-1, size)

    def _allocate_sums(self) -> None:
        d, f = self.n_designs, self.n_fields
        self.first, self.last = (self._doubles("sums", f, N_STAGES, d, 1) for _ in range(2))
        self.rr = [self._doubles("sums", d, 1) for _ in range(5)]
        self.rho = [self._doubles("sums", d, 1) for _ in range(2)]
        self.p_image = [self._doubles("sums", d, 1) for _ in range(2)]
        self.dot, self.no_image = self._doubles("sums", d, 1), self._doubles("sums", d)
        self.inflow, self.inflow_change = self._doubles("sums", d, f), self._doubles("sums", d, f)
        self.losses, self.bath_losses = (self._doubles("sums", d, self.n_accumulators) for _ in range(2))
        self.all_inner = self._doubles("sums", f, d)
        groups = self.plan.mechanism.field_groups
        pairs = {*self.code.VOXEL_PAIRS, *(self.code.SCHUR_PAIRS if self.n_cells else ())}
        self.no_residual = [self._doubles("sums", d, 1) for _ in range(2)]
        self.pockets = {group: GroupPockets(self.machine, self.plans, group, pairs) for group in groups}
        self.inner, place = {}, 0
        for group in groups:
            self.inner[group] = self.all_inner[place : place + len(group)].reshape(len(group), d, 1)
            place += len(group)
        self.looped = {field for group in groups if len(group) > 1 for field in group}
        if self.looped:
            self.extra, self.x = (self._reals("vectors of a solve", d, self.n) for _ in range(2))
        else:
            self.extra = self.image

    def _allocate_bath(self) -> None:
        d, f, pairs = self.n_designs, self.n_fields, self.code.BATH_PAIRS
        self.bath_jacobian = self._reals("small", d, len(pairs))
        self.bath_rates, self.bath_rhs = self._reals("small", d, f), self._doubles("small", d, f)
        rows = np.full((f, f), -1)
        for row, (a, b) in enumerate(pairs):
            rows[a, b] = row
        self.pair_row, self.b = self.machine.upload("tables", rows, np.int32), self._doubles("small", d)
        self.border = [self._reals("answers to the bath", d, self.n) for _ in range(f)] if self.is_finite else []
        self.border_dot = [self._doubles("small", d, 1) for _ in self.border]
        self.border_residual = [
            self._doubles("pockets", d, self.tables(k).n_pockets) if self.is_answered(k) else self.no_residual[0]
            for k, _ in enumerate(self.border)
        ]

    def is_answered(self, field: int) -> bool:
        """Whether what a field's answer to its bath leaves matters: it has a way to that, and is in no loop."""
        return field not in self.looped and self.pockets[field,].n_tied > 0

    def _allocate_peaks(self) -> None:
        """Peaks of exposures and times above thresholds, (D, n, n_cell)."""
        d, c, up, followed = self.n_designs, self.n_cells, self.machine.upload, self.followed
        self.n_peaks, self.n_thresholds = len(followed.rows) if c else 0, len(followed.of_threshold)
        sizes = {name: self.n_thresholds if name == "time_above" else self.n_peaks for name in PEAKS}
        self.peaks = {name: self._doubles("peaks", d, size, c) for name, size in sizes.items()}
        self.peak_rows = up("peaks", np.array(followed.rows[: self.n_peaks], np.int32), np.int32)
        self.of_threshold = up("peaks", np.array(followed.of_threshold, np.int32), np.int32)
        values = np.array(followed.threshold, float) if self.n_thresholds else np.zeros((d, 0))
        self.threshold = up("peaks", values, np.float64)

    def _allocate_curves(self) -> None:
        """What an infinite bath follows, in rows as kernels/bath.cu reads them, (D, F, n_curve); no rows if nothing."""
        terms = self.followed.exponentials
        width = 0 if terms is None or self.is_finite else CURVE_HEAD + 2 * terms
        self.curves = self._doubles("small", self.n_designs, self.n_fields, width)

    def tables(self, field: int) -> GroupTables:
        """Tables of a field's transport group."""
        return self.groups[int(self.plan.group_of_field[field])]

    # -- control ------------------------------------------------------------------------------------------------

    def _allocate_control(self) -> None:
        d, f, s, up = self.n_designs, self.n_fields, self.n_states, self.machine.upload
        steers = [int(state.kind in ("state", "fate")) for state in self.plan.mechanism.states]
        self.clock = self._doubles("control", len(CLOCK))
        self.verdict = self.machine.zeros("control", (1,), np.int32)
        self.n_columns = LINE_HEAD + d * (DESIGN_HEAD + f + s + self.n_small)
        self.log = self._doubles("control", N_LINES, self.n_columns)
        self.steers = up("control", np.array(steers)[: self.n_states], np.int32)
        weight = [self.plan.field_capacity(k).sum() for k in range(f)]
        self.field_weight = up("control", weight, np.float64)
        self.cell_weight = up("control", np.ones((1, self.n_cells)), self.real)
        self.cell_weight_of = up("control", np.zeros(s), np.int32)
        shapes = {"field": (d, f), "state": (d, s)}
        names = ("total", "sum", "floor", "largest", "seen", "typical")
        self.of = {kind: {name: self._doubles("control", *shape) for name in names} for kind, shape in shapes.items()}
        self.negligible, self.haste = self._doubles("control", d, f), self._doubles("control", d)

"""The shifts of the pockets of each group of fields on a device: tables, arrays, and the launches that fill them.

What solver/conservation.py solves. The fields of a group mostly share their pockets; then a pocket has one unknown for
each field. Where they do not, pockets overlap (kernels/pockets.cu): a component is what hangs together by pockets, its
unknowns are slots, and voxels that are pockets of their own are eliminated one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from payloadfield.backends.cuda.machine import Machine
from payloadfield.backends.cuda.tables import make_pocket_chunks
from payloadfield.backends.plan import Plan
from payloadfield.errors import BackendError

MOST_UNKNOWNS = 40
"""Fields in a loop, and slots of a component (MOST_FIELDS in kernels/bath.cu)."""

_Ints = NDArray[Any]
_Do = Callable[..., None]


@dataclass(frozen=True)
class Pieces:
    """How the pockets of the fields of a group overlap.

    piece (n,): of each voxel. slot (m, n_pieces): the unknown of field k in piece r, -1 where its voxels are pockets of
    their own. slots_of (m + 1,): first slot of each field. first_piece (n_components + 1,): pieces by component.
    """

    piece: _Ints
    slot: _Ints
    slots_of: _Ints
    first_piece: _Ints

    @property
    def n_slots(self) -> int:
        """Unknowns of a component."""
        return int(self.slots_of[-1])

    @property
    def component(self) -> _Ints:
        """Of each piece."""
        return np.repeat(np.arange(len(self.first_piece) - 1), np.diff(self.first_piece))


def share_pockets(plan: Plan, group: Sequence[int]) -> bool:
    """Whether the fields of a group reach the same pockets."""
    first = plan.group(group[0]).pocket
    return all(np.array_equal(first, plan.group(f).pocket) for f in group[1:])


def find_pieces(plans: Sequence[Plan], group: Sequence[int]) -> Pieces:
    """Pieces, components and slots of a group of fields."""
    label = _labels(plans, group)
    rows, piece = np.unique(label, axis=1, return_inverse=True)
    n_pockets = label.max(axis=1) + 1
    start = np.concatenate([[0], np.cumsum(n_pockets)])
    n_pieces, nodes = rows.shape[1], int(start[-1])
    k, r = np.nonzero(rows >= 0)
    node = start[k] + rows[k, r]
    links = sparse.coo_array((np.ones(len(k), np.int8), (r, n_pieces + node)), shape=(n_pieces + nodes,) * 2)
    _, found = csgraph.connected_components(links, directed=False)
    _, component = np.unique(found[:n_pieces], return_inverse=True)
    of_node = np.zeros(nodes, np.int64)
    of_node[node] = component[r]
    order = np.argsort(component, kind="stable")
    rank, counts = np.zeros(nodes, np.int64), []
    for first, last in pairwise(start):
        own = of_node[first:last]
        by_component = np.argsort(own, kind="stable")
        rank[first + by_component] = np.arange(len(own)) - np.searchsorted(own[by_component], own[by_component])
        counts.append(int(rank[first:last].max(initial=-1)) + 1)
    slots_of = np.concatenate([[0], np.cumsum(counts)])
    slot = np.full(rows.shape, -1)
    slot[k, r] = slots_of[k] + rank[node]
    number = np.empty(n_pieces, np.int64)
    number[order] = np.arange(n_pieces)
    first_piece = np.searchsorted(component[order], np.arange(component.max() + 2))
    return Pieces(number[piece.ravel()], slot[:, order], slots_of, first_piece)


def _labels(plans: Sequence[Plan], group: Sequence[int]) -> _Ints:
    """Pocket of each field in each voxel, (m, n); -1 for a voxel that is one by itself, without a way to the bath.

    Where every field that moves has such a voxel they keep it: a small pocket as any other.
    """
    plan = plans[0]
    label = np.stack([plan.group(f).pocket.astype(np.int64) for f in group])
    single = np.zeros(label.shape, bool)
    for k, f in enumerate(group):
        single[k] = np.bincount(label[k])[label[k]] == 1
        given = np.any([each.bath.conductance[f] > 0.0 for each in plans], axis=0)
        single[k, plan.bath.voxel[given]] = False
    stays = single.all(axis=1)
    single[~stays] &= ~single[~stays].all(axis=0, keepdims=True)
    label[single] = -1
    for row in label:  # pockets that are left, from 0
        row[row >= 0] = np.unique(row[row >= 0], return_inverse=True)[1]
    return label


def count_unknowns(plans: Sequence[Plan], group: Sequence[int]) -> int:
    """Unknowns that hang together in a group of fields."""
    return len(group) if share_pockets(plans[0], group) else find_pieces(plans, group).n_slots


def reason_against_loop(names: Sequence[str], n_unknowns: int) -> str | None:
    """Why a loop of so many fields, or of so many pockets that overlap, is not solved; None if it is."""
    if max(len(names), n_unknowns) <= MOST_UNKNOWNS:
        return None
    listed = ", ".join(names)
    if len(names) > MOST_UNKNOWNS:
        return f"a loop of more than {MOST_UNKNOWNS} fields ({listed})"
    return (
        f"a loop of the fields {listed}, which reach different pockets, of which {n_unknowns} hang together "
        f"(more than {MOST_UNKNOWNS})"
    )


def _refuse(plan: Plan, group: Sequence[int], pieces: Pieces) -> None:
    """Raise BackendError for a loop that is too large."""
    reason = reason_against_loop([plan.mechanism.field_names[f] for f in group], pieces.n_slots)
    if reason is not None:
        raise BackendError(f"backend cupy: the GPU does not yet solve {reason}. Use --backend numba")


def _even_pieces(plan: Plan, group: Sequence[int]) -> Pieces:
    """Fields that share their pockets: each pocket is a piece and a component."""
    pocket, n = plan.group(group[0]), len(group)
    slot = np.repeat(np.arange(n)[:, None], pocket.n_pockets, axis=1)
    return Pieces(pocket.pocket, slot, np.arange(n + 1), np.arange(pocket.n_pockets + 1))


class GroupPockets:
    """Arrays of one group of fields, and the launches that make its matrices, its right-hand sides and its shifts.

    matrix, inverse (slots, slots, D, components); residual, shift, g, the conductances to the bath, (slots, D,
    components); of_bath, the shifts of a finite bath, (m, D). n_tied: components, or 0 where none has a way to that.
    Where the fields share their pockets, slots are the fields and components the pockets.
    """

    def __init__(
        self, machine: Machine, plans: Sequence[Plan], group: tuple[int, ...], coupled: Container[tuple[int, int]]
    ) -> None:
        """coupled: pairs of fields of which one loses by the other."""
        self.group, self.n, self.n_designs = group, plans[0].n_open, len(plans)
        self.is_even = share_pockets(plans[0], group)
        self._machine, self._coupled = machine, coupled
        pieces = _even_pieces(plans[0], group) if self.is_even else find_pieces(plans, group)
        _refuse(plans[0], group, pieces)
        self.pieces, self.n_slots, self.n_components = pieces, pieces.n_slots, len(pieces.first_piece) - 1
        d, w, c = self.n_designs, self.n_slots, self.n_components
        self.matrix, self.inverse = (self._doubles(w, w, d, c) for _ in "ab")
        self.residual, self.shift = self._doubles(w, d, c), self._reals(w, d, c)
        g = self._bath_conductance(plans)
        self.g, self.n_tied = machine.upload("pockets", g, np.float64), self.n_components if g.any() else 0
        self.of_bath = self._doubles(len(group), d)
        self.members = machine.upload("tables", np.array(group), np.int32)
        self.slots_of = machine.upload("tables", pieces.slots_of, np.int32)
        if not self.is_even:
            self._make_pieces(plans[0])

    def _doubles(self, *shape: int) -> Any:
        return self._machine.zeros("pockets", shape, np.float64)

    def _reals(self, *shape: int) -> Any:
        return self._machine.zeros("pockets", shape, self._machine.build.dtype("real"))

    def _bath_conductance(self, plans: Sequence[Plan]) -> NDArray[np.float64]:
        """Conductance of every unknown to a finite bath; zero for an infinite one, which does not change."""
        total, bath = np.zeros((self.n_slots, len(plans), self.n_components)), plans[0].bath
        if bath.is_finite:
            piece = self.pieces.piece[bath.voxel]
            for k, f in enumerate(self.group):
                slot, component = self.pieces.slot[k, piece], self.pieces.component[piece]
                own = slot >= 0
                for d, each in enumerate(plans):
                    np.add.at(total, (slot[own], d, component[own]), each.bath.conductance[f][own])
        return total

    # -- pockets that overlap -----------------------------------------------------------------------------------

    def _make_pieces(self, plan: Plan) -> None:
        """Tables of the pieces, sums over them, and what the elimination of single voxels takes."""
        up, pieces, d, n = self._machine.upload, self.pieces, self.n_designs, self.n
        self.n_pieces = pieces.slot.shape[1]
        chunks = make_pocket_chunks(replace(plan.groups[0], pocket=pieces.piece, n_pockets=self.n_pieces))
        given = slice(None) if self.n_pieces > 1 else slice(0)
        self._piece, self._order = (up("tables", k[given], np.int32) for k in (pieces.piece, chunks.order))
        self._chunk_start, self._first_chunk = (
            up("tables", k, np.int64) for k in (chunks.chunk_start, chunks.pocket_start)
        )
        self._slot, self._first_piece = up("tables", pieces.slot, np.int32), up("tables", pieces.first_piece, np.int64)
        self._n_chunks = len(chunks.chunk_start) - 1
        self._partial = self._doubles(d, self._n_chunks)
        self._single = {int(k): row for row, k in enumerate(np.flatnonzero((pieces.slot < 0).any(axis=1)))}
        large = [int(k) for k in np.flatnonzero((pieces.slot >= 0).any(axis=1))]
        q, singles = len(self._single), tuple(self._single)
        self._own, self._own_inverse = (self._doubles(q, q, d, n) for _ in "ab")
        self._left = self._doubles(q, d, n)
        self._back = {k: self._doubles(q, d, n) for k in large if any(self._couples(k, s) for s in singles)}
        self._across = {k: self._doubles(q, d, n) for k in large if any(self._couples(s, k) for s in singles)}
        self._direct = [(k, j) for k in large for j in large if k == j or self._couples(k, j)]
        self._pairs = [*self._direct, *((k, j) for k in self._back for j in self._across)]
        self._rows, self._columns = (
            up("tables", np.array(column), np.int32) for column in zip(*self._pairs, strict=True)
        )
        self._pair_sums = self._doubles(len(self._pairs), d, self.n_pieces)
        self._large = [*large, *self._back]
        self._sums, self._of_sum = (
            self._doubles(len(self._large), d, self.n_pieces), up("tables", np.array(self._large), np.int32)
        )  # fmt: skip
        self._shifts = self._reals(len(self.group), d, self.n_pieces)

    def _couples(self, k: int, j: int) -> bool:
        """Whether a field of the group loses by another."""
        return k != j and (self.group[k], self.group[j]) in self._coupled

    def _sum(self, do: _Do, values: Any, out: Any) -> None:
        """Sums of values (D, n) over the pieces, (D, R)."""
        sizes = self._n_chunks, self.n, self.n_pieces
        do("pocket_sums", *sizes, self._chunk_start, self._order, values, self._partial)
        do("segment_sums", self.n_pieces, self._n_chunks, self._first_chunk, self._partial, out)

    def _take(self, do: _Do, one: int, other: int, other_single: int, values: Any, out: Any) -> None:
        """What of values (D, n) concerns single voxels of a field and those of another, or its pockets."""
        do("take_single", self.n, self.n_pieces, one, other, other_single, self._piece, self._slot, values, out)

    def _eliminate(self, do: _Do, k: int, right: Any, work: Any, out: Any) -> None:
        """Sums over the pieces of what single voxels add to the equation of a field by their right-hand side."""
        do("eliminate", self.n, len(self._single), self._back[k], self._own_inverse, right, work)
        self._sum(do, work, out)

    def set_matrix(self, do: _Do, coupling: Callable[[int, int], Any], work: Any) -> None:
        """The matrices of the components, inverted.

        coupling: makes the launches of a field's zeroth-order terms, or of its loss by another, and gives the array.
        """
        group, single, invert = self.group, self._single, "invert_pockets"
        for k, row in single.items():
            for j in range(len(group)):
                if k != j and not self._couples(k, j):
                    continue
                values = coupling(group[k], group[j])
                if j in single:
                    self._take(do, k, j, 1, values, self._own[row, single[j]])
                if k != j and j in self._across:
                    self._take(do, k, j, 0, values, self._across[j][row])
        for k, back in self._back.items():
            for j, row in single.items():
                if self._couples(k, j):
                    self._take(do, j, k, 0, coupling(group[k], group[j]), back[row])
        if single:
            do(invert, self.n, len(single), self._own, self._own_inverse)
        for t, (k, j) in enumerate(self._pairs):
            if t < len(self._direct):
                self._sum(do, coupling(group[k], group[j]), self._pair_sums[t])
            else:
                self._eliminate(do, k, self._across[j], work, self._pair_sums[t])
        sizes = self.n_components, self.n_slots, self.n_pieces, len(self._pairs)
        tables = self._rows, self._columns, self._first_piece, self._slot
        do("collect_matrix", *sizes, *tables, self._pair_sums, self.matrix)
        do(invert, self.n_components, self.n_slots, self.matrix, self.inverse)

    def measure(self, do: _Do, k: int, left: Any) -> None:
        """Take what is left of a field's right-hand side, (D, n)."""
        if k in self._single:
            self._take(do, k, k, 1, left, self._left[self._single[k]])
        if k in self._large:
            self._sum(do, left, self._sums[self._large.index(k)])

    def set_right(self, do: _Do, work: Any) -> None:
        """Residuals of the components, once all fields are measured."""
        n_direct = len(self._large) - len(self._back)
        for row, k in enumerate(self._back):
            self._eliminate(do, k, self._left, work, self._sums[n_direct + row])
        sizes = self.n_components, self.n_slots, self.n_pieces, len(self._large)
        do("collect_residuals", *sizes, self._of_sum, self._first_piece, self._slot, self._sums, self.residual)

    def spread(self, do: _Do) -> None:
        """The shifts of all pieces, and what they leave of the residuals of single voxels."""
        sizes = self.n_components, len(self.group), self.n_pieces
        do("spread_shifts", *sizes, self._first_piece, self._slot, self.shift, self._shifts)
        for k, across in self._across.items():
            sizes = self.n, len(self._single), self.n_pieces
            do("leave_single", *sizes, self._piece, across, self._shifts[k], self._left)

    def move(self, do: _Do, k: int, terms: Any) -> None:
        """Shift a field's increment, a row of terms (D, F, n)."""
        sizes = self.n, terms.shape[1], self.group[k]
        if k in self._large:
            do("shift_pockets", *sizes, self.n_pieces, self._piece, self._shifts[k], terms)
        if k in self._single:
            given = len(self._single), self._single[k], self._own_inverse, self._left
            do("shift_single", *sizes, *given, terms)

"""A plan's index maps in the layouts that the kernels read side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payloadfield.backends.plan import X_PLUS, Y_MINUS, Hierarchy, Plan, TransportGroup
from payloadfield.errors import BackendError

WORD = 32
"""Cells of the grid in a word: as many as threads that go together on a GPU, and as bits in an int."""

MOST_PLACES = 2**31 - 1
"""Cells of all words, which an int numbers."""

CHUNK = 4096
"""Voxels of one partial sum over a pocket."""


@dataclass(frozen=True)
class LevelTable:
    """One multigrid level: n nodes with a padded table of neighbours, and the links to the next level.

    neighbour, g [um]: (width, n), padding is the node itself with g = 0. row_sum (n,) [um]. parent (n,): node of the
    next level, 0 on the last. child_start (n_coarse + 1,), child (n,): nodes of this level by node of the next; empty
    on the last.
    """

    neighbour: NDArray[np.int32]
    g: NDArray[np.float32]
    row_sum: NDArray[np.float64]
    parent: NDArray[np.int32]
    child_start: NDArray[np.int64]
    child: NDArray[np.int32]

    @property
    def n(self) -> int:
        """Number of nodes."""
        return self.neighbour.shape[1]

    @property
    def width(self) -> int:
        """Entries of a node in the table of neighbours."""
        return self.neighbour.shape[0]


@dataclass(frozen=True)
class SmallLevels:
    """Levels laid end to end for the kernel that holds them in one block's shared memory; see small_levels.cu."""

    offset: NDArray[np.int64]
    width: NDArray[np.int32]
    table_start: NDArray[np.int64]
    neighbour: NDArray[np.int32]
    g: NDArray[np.float32]
    parent: NDArray[np.int32]
    child_start: NDArray[np.int64]
    child: NDArray[np.int32]


@dataclass(frozen=True)
class PocketChunks:
    """Voxels ordered by pocket (order, (n,)), cut into chunks that lie in one pocket each, and the pockets' chunks.

    chunk_start (n_chunk + 1,): first place of each chunk. pocket_start (n_pocket + 1,): first chunk of each pocket.
    """

    order: NDArray[np.int32]
    chunk_start: NDArray[np.int64]
    pocket_start: NDArray[np.int64]


@dataclass(frozen=True)
class WordTable:
    """Where the open voxels are: rows of the grid along x cut into words of 32 cells, those kept that have an open one.

    words: (n_words, 8), see kernels/common.cuh: open cells as bits, first voxel, voxels beyond the low and the high
    end, words beside it along -y, +y, -z, +z. place: (n_open,) 32 times its word, plus its cell, of each open voxel.
    """

    words: NDArray[np.int32]
    place: NDArray[np.int32]


def make_words(plan: Plan) -> WordTable:
    """The table of words of a plan.  Raises BackendError for more cells than an int can number."""
    x = plan.voxel % plan.shape[2]
    key = plan.voxel // plan.shape[2] * -(-plan.shape[2] // WORD) + x // WORD
    found, first, word = np.unique(key, return_index=True, return_inverse=True)
    if WORD * len(found) > MOST_PLACES:
        raise BackendError(
            f"backend cupy: got {WORD * len(found)} cells in words with an open voxel; a GPU takes {MOST_PLACES}. "
            "Use larger voxels or --backend numba"
        )
    lane, words = x % WORD, np.full((len(found), 8), -1, np.int64)
    words[:, 0] = np.bincount(word, weights=2.0**lane)
    words[:, 1] = first
    own = np.arange(plan.n_open)
    at_low, at_high = lane == 0, (lane == WORD - 1) | (x == plan.shape[2] - 1)
    for direction, other in enumerate(plan.neighbour):  # -x, +x, -y, +y, -z, +z, as the columns from the third on
        there = other != own
        if direction < Y_MINUS:
            there &= (at_low, at_high)[direction]
        words[word[there], 2 + direction] = (other if direction < Y_MINUS else word[other])[there]
    return WordTable(words.astype(np.uint32).view(np.int32), (WORD * word + lane).astype(np.int32))


def lower_faces(group: TransportGroup) -> NDArray[np.float32]:
    """Conductance of every face with the voxel on its lower side, (3, n_open): along x, y, z [um]."""
    return np.ascontiguousarray(group.conductance[X_PLUS::2])


def make_levels(group: TransportGroup, neighbour: NDArray[np.int32]) -> tuple[LevelTable, ...]:
    """Tables of all levels of a transport group, the voxels first."""
    h = group.hierarchy
    return tuple(_make_level(group, neighbour, level) for level in range(h.n_levels))


def _make_level(group: TransportGroup, neighbour: NDArray[np.int32], level: int) -> LevelTable:
    h = group.hierarchy
    table = (neighbour, group.conductance) if level == 0 else _pad_rows(h, level)
    here = slice(int(h.offset[level]), int(h.offset[level + 1]))
    parent, start, child = np.zeros(table[0].shape[1], np.int32), np.zeros(1, np.int64), np.zeros(0, np.int32)
    if level + 1 < h.n_levels:
        parent = h.parent[here].astype(np.int32)
        rows = h.child_start[h.offset[level + 1] - h.offset[1] : h.offset[level + 2] - h.offset[1] + 1]
        start, child = rows - rows[0], h.child[rows[0] : rows[-1]]
    return LevelTable(
        neighbour=np.ascontiguousarray(table[0], np.int32), g=np.ascontiguousarray(table[1], np.float32),
        row_sum=h.row_sum[here].copy(), parent=parent, child_start=start.astype(np.int64), child=child.copy(),
    )  # fmt: skip


def _pad_rows(h: Hierarchy, level: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Rows of a coarse level as a table as wide as the longest of them."""
    rows = h.row_start[h.offset[level] - h.offset[1] : h.offset[level + 1] - h.offset[1] + 1]
    length = np.diff(rows)
    n, width = len(length), int(length.max(initial=0))
    neighbour = np.tile(np.arange(n, dtype=np.int32), (width, 1))
    g = np.zeros((width, n), np.float32)
    row = np.repeat(np.arange(n), length)
    place = np.arange(rows[0], rows[-1]) - np.repeat(rows[:-1], length)
    neighbour[place, row] = h.column[rows[0] : rows[-1]]
    g[place, row] = h.conductance[rows[0] : rows[-1]]
    return neighbour, g


def first_small_level(levels: tuple[LevelTable, ...], most_nodes: int) -> int:
    """First level from which all together have at most so many nodes; the last level if none is small enough."""
    remaining = np.cumsum([level.n for level in levels][::-1])[::-1]
    fits = np.flatnonzero(remaining <= most_nodes)
    return int(fits[0]) if fits.size else len(levels) - 1


def join_levels(levels: tuple[LevelTable, ...]) -> SmallLevels:
    """Levels laid end to end."""
    sizes, entries = [level.n for level in levels], [level.neighbour.size for level in levels]
    starts, total = [np.zeros(sizes[0] + 1, np.int64)], 0
    for level in levels[:-1]:
        starts.append(level.child_start[1:] + total)
        total += level.child.size
    return SmallLevels(
        offset=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        width=np.array([level.width for level in levels], np.int32),
        table_start=np.concatenate([[0], np.cumsum(entries)]).astype(np.int64),
        neighbour=np.concatenate([level.neighbour.ravel() for level in levels]),
        g=np.concatenate([level.g.ravel() for level in levels]),
        parent=np.concatenate([level.parent for level in levels]),
        child_start=np.concatenate(starts),
        child=np.concatenate([level.child for level in levels[:-1]] or [np.zeros(0, np.int32)]),
    )


def make_pocket_chunks(group: TransportGroup, size: int = CHUNK) -> PocketChunks:
    """Chunks of at most `size` voxels for the sums over the pockets of a transport group."""
    order = np.argsort(group.pocket, kind="stable").astype(np.int32)
    count = np.bincount(group.pocket, minlength=group.n_pockets)
    chunks = -(-count // size)
    pocket_start = np.concatenate([[0], np.cumsum(chunks)]).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(count)])
    number = np.arange(pocket_start[-1]) - np.repeat(pocket_start[:-1], chunks)
    starts = np.repeat(first[:-1], chunks) + size * number
    return PocketChunks(order, np.concatenate([starts, first[-1:]]).astype(np.int64), pocket_start)

"""Aggregation hierarchy of the multigrid preconditioner.

Voxels are aggregated in 2 x 2 x 2 blocks, but only those that are connected through open faces inside the block, so
that an aggregate never straddles a thin wall. Coarsening goes on until no faces are left: one node for each connected
pocket, where the preconditioner is exact for constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from payloadfield.backends.plan import Hierarchy

OVER_CORRECTION = 0.5
"""Coarse conductances per sum of fine ones: piecewise-constant prolongation overestimates coarse fluxes twofold."""

_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Level:
    """One level under construction: coordinates of the nodes, and each face between two nodes once (i < j)."""

    position: _Ints
    first: _Ints
    second: _Ints
    conductance: NDArray[np.float64]

    @property
    def size(self) -> int:
        return len(self.position)


def build_hierarchy(
    position: _Ints, first: _Ints, second: _Ints, conductance: NDArray[np.float64], pocket: NDArray[np.int32]
) -> Hierarchy:
    """Aggregate a graph of voxels down to one node per connected pocket.

    position: (n, 3) z, y, x of the voxels. first, second, conductance: faces, each once, with conductance > 0 [um].
    pocket: (n,) connected pocket of each voxel; the last level has one node for each.
    """
    levels = [_Level(position, first, second, conductance)]
    parents: list[_Ints] = []
    while levels[-1].first.size:
        parent = _aggregate(levels[-1])
        if parent is None:
            parent = _collapse(pocket, parents)
        parents.append(parent)
        levels.append(_coarsen(levels[-1], parent))
    return _flatten(levels, parents)


def _aggregate(level: _Level) -> _Ints | None:
    """Aggregate of each node: the connected parts of each 2 x 2 x 2 block; None once blocks no longer shrink."""
    block = level.position // 2
    inside = np.all(block[level.first] == block[level.second], axis=1)
    if not inside.any() and not block.any():
        return None
    links = sparse.coo_array(
        (np.ones(int(inside.sum()), np.int8), (level.first[inside], level.second[inside])),
        shape=(level.size, level.size),
    )
    label = csgraph.connected_components(links, directed=False)[1].astype(np.int64)
    return _in_grid_order(block, label)


def _in_grid_order(block: _Ints, label: _Ints) -> _Ints:
    """Renumber aggregates by their block's place in the grid, so that rows of blocks stay consecutive."""
    first = np.unique(label, return_index=True)[1]
    order = np.lexsort((first, block[first, 2], block[first, 1], block[first, 0]))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank[label]


def _collapse(pocket: NDArray[np.int32], parents: list[_Ints]) -> _Ints:
    """The last aggregation: every node of a pocket together."""
    node = np.arange(len(pocket))
    for parent in parents:
        node = parent[node]
    last = np.empty(int(node.max()) + 1, np.int64)
    last[node] = pocket
    return np.unique(last, return_inverse=True)[1].astype(np.int64)


def _coarsen(level: _Level, parent: _Ints) -> _Level:
    """Nodes and faces of the next level: faces between two aggregates are summed and halved."""
    n_coarse = int(parent.max()) + 1
    position = np.zeros((n_coarse, 3), np.int64)
    position[parent] = level.position // 2
    a, b = parent[level.first], parent[level.second]
    between = a != b
    low, high = np.minimum(a, b)[between], np.maximum(a, b)[between]
    key, where = np.unique(low * n_coarse + high, return_inverse=True)
    total = OVER_CORRECTION * np.bincount(where, weights=level.conductance[between], minlength=len(key))
    rounded = total.astype(np.float32).astype(np.float64)
    return _Level(position, key // n_coarse, key % n_coarse, rounded)


def _flatten(levels: list[_Level], parents: list[_Ints]) -> Hierarchy:
    """Lay the levels end to end."""
    sizes = [level.size for level in levels]
    rows = [_neighbour_lists(level) for level in levels[1:]]
    children = [_children(parent, sizes[k + 1]) for k, parent in enumerate(parents)]
    return Hierarchy(
        offset=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        parent=np.concatenate([*parents, np.zeros(sizes[-1], np.int64)]).astype(np.int32),
        child_start=_join_starts([c[0] for c in children]),
        child=_join([c[1] for c in children], np.int32),
        position=np.concatenate([np.zeros((0, 3), np.int64), *(k.position for k in levels[1:])]).astype(np.int32),
        row_start=_join_starts([r[0] for r in rows]),
        column=_join([r[1] for r in rows], np.int32),
        conductance=_join([r[2] for r in rows], np.float32),
        row_sum=np.concatenate([_row_sum(level) for level in levels]),
    )


def _neighbour_lists(level: _Level) -> tuple[_Ints, _Ints, NDArray[np.float64]]:
    """Compressed rows of the symmetric neighbour lists of a level."""
    row = np.concatenate([level.first, level.second])
    column = np.concatenate([level.second, level.first])
    order = np.lexsort((column, row))
    start = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=level.size))]).astype(np.int64)
    return start, column[order], np.concatenate([level.conductance, level.conductance])[order]


def _children(parent: _Ints, n_coarse: int) -> tuple[_Ints, _Ints]:
    """Compressed rows of the nodes of each aggregate, in ascending order."""
    order = np.argsort(parent, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(parent, minlength=n_coarse))]).astype(np.int64)
    return start, order.astype(np.int64)


def _row_sum(level: _Level) -> NDArray[np.float64]:
    """Sum of the conductances of each node."""
    total = np.bincount(level.first, weights=level.conductance, minlength=level.size)
    return np.asarray(total + np.bincount(level.second, weights=level.conductance, minlength=level.size))


def _join_starts(starts: list[_Ints]) -> _Ints:
    """Join row starts of several levels into one, shared by their joined entries."""
    joined = [np.zeros(1, np.int64)]
    for start in starts:
        joined.append(start[1:] + joined[-1][-1])
    return np.concatenate(joined)


def _join(parts: list[NDArray[np.int64]] | list[NDArray[np.float64]], dtype: type) -> NDArray[Any]:
    """Join arrays of several levels, possibly none."""
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype)

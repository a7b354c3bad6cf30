"""The multigrid levels of one transport group as the compiled loops walk over them: segments on every level."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from payloadfield.backends.compiled.segments import make_chunks, make_segments
from payloadfield.backends.plan import X_MINUS, X_PLUS, TransportGroup

VOXELS_PER_CHUNK = 16_384
_N_DIRECTIONS = 6

_Ints = NDArray[np.int64]
_Extras = tuple[_Ints, _Ints, NDArray[np.float32]]
_Table = tuple[NDArray[np.int32], NDArray[np.float32], _Extras]


class Levels(NamedTuple):
    """All levels in flat arrays; node indices in segments, extras, parents and children count from their own level.

    offset (n_level + 1,): first node of each level. g (6, n_node): conductance per direction. segments (n, 8), those of
    level k in segment_start[k] .. segment_start[k + 1]. chunks: first segment of each share of work, of level k in
    chunk_start[k] .. chunk_start[k + 1], each level closed by its end. extra_start, extra_node, extra_neighbour,
    extra_g: faces that the stencil leaves out, periodic ones along x and those of coarse nodes that have two neighbours
    in one direction. The rest: see plan.Hierarchy.
    """

    offset: _Ints
    g: NDArray[np.float32]
    segments: _Ints
    chunk_start: _Ints
    chunks: _Ints
    extra_start: _Ints
    extra_node: _Ints
    extra_neighbour: _Ints
    extra_g: NDArray[np.float32]
    parent: NDArray[np.int32]
    child_start: _Ints
    child: NDArray[np.int32]


def make_levels(group: TransportGroup, neighbour: NDArray[np.int32], dtype: type) -> Levels:
    """Levels of a transport group, conductances in the precision of the preconditioner."""
    h = group.hierarchy
    tables = [_without_wraps(neighbour, group.conductance, _no_extras())]
    tables += [_without_wraps(*_coarse_table(group, level)) for level in range(1, h.n_levels)]
    segments = [make_segments(table[0], table[1]) for table in tables]
    firsts = np.concatenate([[0], np.cumsum([len(s) for s in segments])])
    chunks = [make_chunks(s, VOXELS_PER_CHUNK) + first for s, first in zip(segments, firsts, strict=False)]
    extras = [table[2] for table in tables]
    return Levels(
        offset=h.offset,
        g=np.concatenate([table[1] for table in tables], axis=1).astype(dtype),
        segments=np.concatenate(segments),
        chunk_start=np.concatenate([[0], np.cumsum([len(c) for c in chunks])]).astype(np.int64),
        chunks=np.concatenate(chunks),
        extra_start=np.concatenate([[0], np.cumsum([len(e[0]) for e in extras])]).astype(np.int64),
        extra_node=np.concatenate([e[0] for e in extras]),
        extra_neighbour=np.concatenate([e[1] for e in extras]),
        extra_g=np.concatenate([e[2] for e in extras]).astype(dtype),
        parent=h.parent,
        child_start=h.child_start,
        child=h.child,
    )


def _without_wraps(neighbour: NDArray[np.int32], conductance: NDArray[np.float32], extras: _Extras) -> _Table:
    """Move faces along x whose nodes are not consecutive (periodic ones) to the extras: they would cut every row."""
    conductance = conductance.copy()
    nodes, others, values = [extras[0]], [extras[1]], [extras[2]]
    own = np.arange(neighbour.shape[1])
    for direction, step in ((X_MINUS, -1), (X_PLUS, 1)):
        wrap = np.flatnonzero((conductance[direction] > 0.0) & (neighbour[direction] - own != step))
        nodes.append(wrap)
        others.append(neighbour[direction, wrap].astype(np.int64))
        values.append(conductance[direction, wrap])
        conductance[direction, wrap] = 0.0
    return neighbour, conductance, (np.concatenate(nodes), np.concatenate(others), np.concatenate(values))


def _no_extras() -> _Extras:
    return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)


def _coarse_table(group: TransportGroup, level: int) -> _Table:
    """Neighbour and conductance per direction of a coarse level, and the faces that find their direction taken."""
    h = group.hierarchy
    nodes = slice(h.offset[level] - h.offset[1], h.offset[level + 1] - h.offset[1])
    size = nodes.stop - nodes.start
    start = h.row_start[nodes.start : nodes.stop + 1]
    row = np.repeat(np.arange(size), np.diff(start))
    column = h.column[start[0] : start[-1]].astype(np.int64)
    conductance = h.conductance[start[0] : start[-1]]
    direction = _direction(h.position[nodes], row, column)
    _, first = np.unique(row * _N_DIRECTIONS + direction, return_index=True)
    taken = np.ones(len(row), bool)
    taken[first] = False
    neighbour = np.tile(np.arange(size, dtype=np.int32), (_N_DIRECTIONS, 1))
    table = np.zeros((_N_DIRECTIONS, size), np.float32)
    neighbour[direction[first], row[first]] = column[first]
    table[direction[first], row[first]] = conductance[first]
    return neighbour, table, (row[taken], column[taken], conductance[taken])


def _direction(position: NDArray[np.int32], row: _Ints, column: _Ints) -> _Ints:
    """Direction of each face: the axis along which its nodes differ most, low side even, high side odd."""
    step = position[column] - position[row]
    axis = np.argmax(np.abs(step), axis=1)
    positive = np.take_along_axis(step, axis[:, None], axis=1)[:, 0] > 0
    return (2 * (2 - axis) + positive).astype(np.int64)

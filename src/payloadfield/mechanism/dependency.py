"""Which field depends on which, and the order in which the solver takes them.

f depends on g if a voxel or bath reaction links them directly, or a cell does: a flow into f has a slope by a state
that can be reached, through the Jacobian of the states, from a state that g drives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from payloadfield.mechanism.flows import Flow, cell_flows, field_flows
from payloadfield.mechanism.model import Field, Reaction, State

Pairs = set[tuple[int, int]]


def order_fields(
    fields: Sequence[Field], states: Sequence[State], reactions: Sequence[Reaction]
) -> tuple[tuple[int, ...], ...]:
    """Fields in the order in which they can be solved; those that depend on each other in a loop share a group."""
    names = [item.name for item in fields]
    pairs = cell_couplings(cell_flows(fields, states, reactions), names, [item.name for item in states])
    for scope in ("voxel", "bath"):
        pairs |= direct_couplings(field_flows(fields, reactions, scope), names)
    return grouped_order(len(names), pairs)


def direct_couplings(flows: Iterable[Flow], names: Sequence[str]) -> Pairs:
    """Pairs (f, g) for which a flow changes f and depends on g."""
    return {
        (f, g)
        for flow in flows
        for f, changed in enumerate(names)
        for g, driver in enumerate(names)
        if changed in flow.changes and driver in flow.slopes
    }


def cell_couplings(flows: Sequence[Flow], fields: Sequence[str], states: Sequence[str]) -> Pairs:
    """Pairs (f, g) of fields that the cells link: directly, or through their states."""
    reach = reachable(len(states), direct_couplings(flows, states))
    links: dict[tuple[str, str], bool] = {}
    for f in fields:
        seen = {i for i, state in enumerate(states) for flow in flows if f in flow.changes and state in flow.slopes}
        for g in fields:
            acting = [flow for flow in flows if g in flow.slopes]
            driven = {i for i, state in enumerate(states) for flow in acting if state in flow.changes}
            links[f, g] = any((i, j) in reach for i in seen for j in driven)
    through_states = {(a, b) for a, f in enumerate(fields) for b, g in enumerate(fields) if links[f, g]}
    return through_states | direct_couplings(flows, fields)


def reachable(n: int, pairs: Pairs) -> Pairs:
    """Transitive closure with the identity: the nonzeros of the inverse of a matrix with these and a diagonal."""
    rows = [1 << i for i in range(n)]
    for i, j in pairs:
        rows[i] |= 1 << j
    for k in range(n):
        for i in range(n):
            if rows[i] >> k & 1:
                rows[i] |= rows[k]
    return {(i, j) for i in range(n) for j in range(n) if rows[i] >> j & 1}


def grouped_order(n: int, pairs: Pairs) -> tuple[tuple[int, ...], ...]:
    """Strongly connected components, each after those that it depends on; ties in the order of the file."""
    reach = reachable(n, pairs)
    groups = sorted({tuple(j for j in range(n) if (i, j) in reach and (j, i) in reach) for i in range(n)})
    ordered: list[tuple[int, ...]] = []
    while groups:
        waiting = {member for group in groups for member in group}
        ready = next(group for group in groups if all((group[0], j) not in reach for j in waiting - set(group)))
        ordered.append(ready)
        groups.remove(ready)
    return tuple(ordered)

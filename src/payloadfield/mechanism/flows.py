"""Reactions of one scope with their derivatives: what the code generator and the dependency order both start from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from payloadfield.mechanism.calculus import ONE, ZERO, derivative, let_go, simplify
from payloadfield.mechanism.model import Field, Reaction, State
from payloadfield.mechanism.nodes import Expr, symbols


@dataclass(frozen=True)
class Flow:
    """A rate, what it changes, and its slopes by every field and state that it depends on."""

    name: str
    text: str
    rate: Expr
    changes: dict[str, Expr]
    slopes: dict[str, Expr]
    is_local: bool

    def change(self, species: str) -> Expr:
        """Net stoichiometric coefficient of a species."""
        return self.changes.get(species, ZERO)

    def slope(self, species: str) -> Expr:
        """d rate / d species."""
        return self.slopes.get(species, ZERO)


def cell_flows(fields: Sequence[Field], states: Sequence[State], reactions: Sequence[Reaction]) -> tuple[Flow, ...]:
    """Cell reactions, then exposures as flows that change only their own slot."""
    names = [item.name for item in fields]
    species = names + [state.name for state in states]
    flows = [_flow(item, item.stoichiometry, species, names) for item in reactions if item.scope == "cell"]
    for state in states:
        if state.rate is not None:
            item = Reaction(state.name, "cell", {state.name: ONE}, state.rate, f"d/dt {state.name} = {state.rate}")
            flows.append(_flow(item, item.stoichiometry, species, names))
    return tuple(flows)


def field_flows(fields: Sequence[Field], reactions: Sequence[Reaction], scope: str) -> tuple[Flow, ...]:
    """Reactions of the voxels or of the bath."""
    names = [item.name for item in fields]
    return tuple(_flow(item, item.stoichiometry, names, names) for item in reactions if item.scope == scope)


def _flow(item: Reaction, changes: dict[str, Expr], species: Collection[str], fields: Collection[str]) -> Flow:
    rate = simplify(item.rate)
    present = symbols(rate)
    slopes = {name: derivative(rate, name) for name in species if name in present - item.lagging}
    slopes = {name: let_go(slope) for name, slope in slopes.items() if slope != ZERO}
    return Flow(item.name, item.text, let_go(rate), changes, slopes, bool(present.intersection(fields)))

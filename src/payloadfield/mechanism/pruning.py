"""What can never leave zero is not solved for: found by a structural fixed point, and taken out of the mechanism.

A species is absent if it is not there at the start, nothing doses it, and every reaction that changes it has a rate
that vanishes term by term: with a factor that is zero in this study, or one that is absent itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

from payloadfield.mechanism.calculus import simplify
from payloadfield.mechanism.dependency import order_fields
from payloadfield.mechanism.model import Mechanism, Reaction, State
from payloadfield.mechanism.nodes import Call, Expr, Number, Symbol, with_symbols

_ZERO = Number(0.0)
_PRUNED_KINDS = ("state", "accumulator")


def find_absent(
    mechanism: Mechanism, present: Collection[str], zero: Collection[str], *, has_cells: bool = True
) -> tuple[str, ...]:
    """Fields and slots of cells that stay at zero for good, in the order of the arrays.

    present: species that are there at the start, are dosed, or are to be kept.  zero: parameters that are exactly zero.
    """
    candidates = [item.name for item in mechanism.fields]
    candidates += [state.name for state in mechanism.states if state.kind in _PRUNED_KINDS]
    for followed in mechanism.followed:  # their shares are slots of their own
        candidates = [name for name in candidates if name != followed.state]
    absent = set(candidates) - set(present)
    reactions = [item for item in mechanism.reactions if has_cells or item.scope != "cell"]
    while found := set(_made(mechanism, reactions, {*absent, *zero})) & absent:
        absent -= found
    return tuple(name for name in candidates if name in absent)


def _made(mechanism: Mechanism, reactions: Iterable[Reaction], nothing: Collection[str]) -> Iterator[str]:
    """Species that some reaction or contact changes while `nothing` is zero."""
    for reaction in reactions:
        if not vanishes(reaction.rate, nothing):
            yield from reaction.stoichiometry
    for contact in mechanism.contacts:
        if contact.gives not in nothing and not vanishes(contact.rate, nothing):
            yield from contact.takes


def vanishes(expr: Expr, nothing: Collection[str]) -> bool:
    """Whether an expression is zero, whatever the rest, if these names are; False where that is not plain to see."""
    if isinstance(expr, Number):
        return expr.value == 0.0
    if isinstance(expr, Symbol):
        return expr.name in nothing
    assert isinstance(expr, Call)
    every = all(vanishes(arg, nothing) for arg in expr.args)
    rules: dict[str, Callable[[], bool]] = {
        "*": lambda: any(vanishes(arg, nothing) for arg in expr.args),
        "/": lambda: vanishes(expr.args[0], nothing) and not vanishes(expr.args[1], nothing),
        "**": lambda: vanishes(expr.args[0], nothing) and _is_positive(expr.args[1]),
        "hill": lambda: vanishes(expr.args[0], nothing) and not vanishes(expr.args[1], nothing),
        "exp": lambda: False,
        "log": lambda: False,
    }
    return rules.get(expr.op, lambda: every)()


def _is_positive(expr: Expr) -> bool:
    return isinstance(expr, Number) and expr.value > 0


def without(mechanism: Mechanism, absent: Collection[str]) -> Mechanism:
    """The mechanism without these species and the reactions that change them; elsewhere they count as zero.

    What is left and its digest depend on the names alone, so that designs with the same ones share generated code.
    """
    if not absent:
        return mechanism
    meaning: dict[str, Expr] = dict.fromkeys(absent, _ZERO)
    fields = tuple(item for item in mechanism.fields if item.name not in absent)
    states = tuple(_state(item, meaning) for item in mechanism.states if item.name not in absent)
    left = (item for item in mechanism.reactions if not set(item.stoichiometry) & set(absent))
    reactions = tuple(item for item in (_reaction(item, meaning) for item in left) if item.rate != _ZERO)
    text = f"{mechanism.digest} without {' '.join(absent)}"
    return replace(
        mechanism,
        fields=fields,
        states=states,
        reactions=reactions,
        contacts=tuple(
            replace(item, rate=_filled(item.rate, meaning))
            for item in mechanism.contacts
            if not {item.gives, *item.takes} & set(absent)
        ),
        transitions=tuple(replace(item, hazard=_filled(item.hazard, meaning)) for item in mechanism.transitions),
        field_groups=order_fields(fields, states, reactions),
        digest=hashlib.sha256(text.encode()).hexdigest(),
        left_out=tuple(absent),
    )


def _reaction(item: Reaction, meaning: dict[str, Expr]) -> Reaction:
    rate = _filled(item.rate, meaning)
    return item if rate is item.rate else replace(item, rate=rate)


def _state(item: State, meaning: dict[str, Expr]) -> State:
    return item if item.rate is None else replace(item, rate=_filled(item.rate, meaning))


def _filled(expr: Expr, meaning: dict[str, Expr]) -> Expr:
    filled = with_symbols(expr, meaning)
    return expr if filled == expr else simplify(filled)

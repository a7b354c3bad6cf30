"""Reactions of a mechanism file: equations, rates, and the checks of species, units and moieties."""

from __future__ import annotations

from collections.abc import Iterable

from payloadfield.errors import MechanismError
from payloadfield.mechanism.calculus import simplify
from payloadfield.mechanism.model import Reaction
from payloadfield.mechanism.nodes import Expr, symbols
from payloadfield.mechanism.stoichiometry import imbalance, net_change, parse_equation
from payloadfield.mechanism.tables import Names, Table, near
from payloadfield.units import dimension

SCOPES = {"cell": "molecules/s", "voxel": "nM/s", "bath": "nM/s"}
"""Unit of the rates of each scope; a cell reaction that changes states of another unit has its rate in that one."""
_SPECIES = {
    "cell": ("fields", "states", "fates", "accumulators"),
    "voxel": ("fields", "accumulators"),
    "bath": ("fields", "accumulators"),
    "dying": ("fields", "accumulators"),
}


def read_reactions(table: Table, names: Names) -> tuple[Reaction, ...]:
    """All reactions, those of cells first; a reversible one gives two, the second named NAME_back."""
    table.allow(tuple(SCOPES))
    reactions: list[Reaction] = []
    for scope in SCOPES:
        for name, entry in table.children(scope):
            names.check_spelling(name, entry.where)
            reactions.extend(_read(name, scope, entry, names))
    _refuse_repeated(reactions, table)
    return tuple(reactions)


def _read(name: str, scope: str, table: Table, names: Names) -> Iterable[Reaction]:
    table.allow(("equation", "rate", "back", "doc", "tag"))
    text = table.text("equation")
    left, right, reversible = parse_equation(text, f"{table.where}.equation")
    if reversible != ("back" in table.data):
        reason = "missing: '<=>' needs the rate of the way back" if reversible else "given, but '->' has no way back"
        raise table.refuse("back", reason)
    _check_species([*left, *right], scope, table, names)
    changes = net_change(left, right)
    if not changes:
        raise table.refuse("equation", f"'{text}' changes nothing")
    _check_balance(changes, text, table, names)
    yield _one_way(name, scope, changes, "rate", table, names)
    if reversible:
        yield _one_way(f"{name}_back", scope, net_change(right, left), "back", table, names)


def read_release(name: str, table: Table, names: Names) -> dict[str, Expr] | None:
    """What becomes of a state's contents when its cell dies, under `released_as`: fields and losses, balanced."""
    key = "released_as"
    text = table.optional_text(key)
    if text is None:
        return None
    left, right, _ = parse_equation(f"{name} -> {text}", f"{table.where}.{key}")
    _check_species(right, "dying", table, names, key)
    changes = net_change(left, right)
    _check_balance(changes, f"{name} -> {text}", table, names, key)
    return changes


def _rate_unit(scope: str, changes: Iterable[str], table: Table, names: Names) -> str:
    """Unit of the rate of a reaction: in cells that of what it changes, per second."""
    if scope != "cell":
        return SCOPES[scope]
    units = {name: names.unit_of(name) for name in changes if names.kinds[name] != "fields"}
    if len(set(units.values())) > 1:
        listed = ", ".join(f"{name} in {unit}" for name, unit in units.items())
        raise table.refuse("equation", f"changes quantities of unlike units ({listed}); write a reaction for each")
    amount = SCOPES["cell"].removesuffix("/s")
    unit = next(iter(units.values()), amount)
    if unit != amount and len(units) < len(list(changes)):
        raise table.refuse("equation", f"fields exchange molecules with cells, but {', '.join(units)} is in {unit}")
    return f"{unit}/s"


def _one_way(name: str, scope: str, changes: dict[str, Expr], key: str, table: Table, names: Names) -> Reaction:
    allowed = names.cell_rate_names if scope == "cell" else names.voxel_rate_names
    rate = names.expression(table, key, _rate_unit(scope, changes, table, names), allowed)
    if scope != "cell" and not any(names.kinds[species] == "fields" for species in (*changes, *symbols(rate))):
        raise table.refuse("equation", "neither the equation nor the rate names a field")
    return Reaction(name, scope, changes, rate, f"{equation_text(changes)}  at  {rate}", table.optional_text("tag"))


def equation_text(changes: dict[str, Expr]) -> str:
    """Net changes as an equation."""
    sides: tuple[list[str], list[str]] = ([], [])
    for species, change in changes.items():
        text = str(change)
        side = sides[0] if text.startswith("-") else sides[1]
        text = text.removeprefix("-").removesuffix(".0")
        side.append(species if text == "1" else f"{text} {species}")
    return f"{' + '.join(sides[0])} -> {' + '.join(sides[1])}".strip()


def _check_species(
    terms: list[tuple[Expr, str]], scope: str, table: Table, names: Names, key: str = "equation"
) -> None:
    kinds = _SPECIES[scope]
    for coefficient, species in terms:
        if names.kinds.get(species) not in kinds:
            known = names.of_kind(*kinds)
            reason = "is neither a species nor an accumulator"
            if species in names.kinds:
                reason = f"is one of {names.kinds[species]}; a {scope} reaction changes {', '.join(kinds)} only"
            raise table.refuse(key, f"'{species}' {reason}; {near(species, known)}")
        for name in symbols(coefficient):
            _check_coefficient(name, species, table, names, key)


def _check_coefficient(name: str, species: str, table: Table, names: Names, key: str) -> None:
    if names.kinds.get(name) != "study":
        known = [item for item in names.of_kind("study") if names.dimensions[item] == ()]
        reason = f"'{name}' before '{species}' is no parameter of the study; {near(name, known)}"
        raise table.refuse(key, reason)
    if names.dimensions[name] != dimension("1"):
        unit = names.unit_of(name)
        raise table.refuse(key, f"'{name}' before '{species}' must be a pure number, but is in {unit}")


def _check_balance(changes: dict[str, Expr], text: str, table: Table, names: Names, key: str = "equation") -> None:
    contents = {
        species: {moiety: simplify(content) for moiety, content in names.contents[species].items()}
        for species in changes
    }
    for moiety in names.moieties:
        gain = imbalance(changes, contents, moiety)
        if gain:
            parts = ", ".join(f"{item} contains {contents[item].get(moiety, 'none')}" for item in changes)
            raise table.refuse(
                key,
                f"'{text}' does not conserve the moiety '{moiety}': it gains {gain} per turn ({parts}). "
                "Add the missing product, or an accumulator that contains it",
            )


def _refuse_repeated(reactions: list[Reaction], table: Table) -> None:
    seen: set[tuple[str, str]] = set()
    for reaction in reactions:
        key = (reaction.scope, reaction.name)
        if key in seen:
            raise MechanismError(f"{table.file}, reactions.{reaction.scope}: the name '{reaction.name}' occurs twice")
        seen.add(key)

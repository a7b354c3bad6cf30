"""Fates of a cell: the states that it can come to, what takes it from one to another, and how that becomes reactions.

A row of cells (an agent) starts as one cell; n_f is the number of its cells in fate f, and n_f = initial at the start.
Expected: d n_f/dt = sum of hazard n_from over what leads to f, less what leads away; a dying cell gives back what it
    holds at once, so that each content c shrinks by c (sum of hazard n_from over what leads to death) / living.
    Fates change within days: the Jacobian leaves out how contents depend on them; else all fields were in one loop.
Sampled: the agent is in one fate, with all its cells; each transition has its cumulative hazard, and the solver moves
    the agent at a threshold drawn for it (solver/fates.py). A dead agent does nothing but give back its contents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from payloadfield.errors import MechanismError
from payloadfield.mechanism.calculus import ONE, ZERO, add, div, mul, neg, simplify
from payloadfield.mechanism.model import Contact, Fate, Field, Parameter, Reaction, State, Transition
from payloadfield.mechanism.nodes import Call, Expr, Number, Symbol, symbols, with_symbols
from payloadfield.mechanism.reactions import equation_text
from payloadfield.mechanism.stoichiometry import polynomial
from payloadfield.mechanism.tables import Names, Table, near

LIVING = "living"
"""Name of the number of an agent's living cells, wherever a rate of the cell may be written."""

REMNANT = 1e-4
"""Share of a dead cell that still counts as volume where a mean over an agent's living cells is taken: what is left of
an agent that has died out stays finite, and the mean of one of whose cells p survive is off by 1e-4 (1 - p) / p."""

FATE_SIZE = 0.01
"""Typical size of a fate for the error norm, where the file says nothing: one survivor in a hundred is resolved."""

MODES = ("expected", "sampled")
FATE, TRANSITIONS = "fate", "transitions"
"""Keys of a mechanism file: how transitions are carried out, and the transitions."""


def read_fates(top: Table, names: Names) -> tuple[Fate, ...]:
    """The fates declared in a file, with `living` as a name for the sum of those that are not dead."""
    children = top.children("fates")
    for name, table in children:
        names.declare_species(name, "fates", "1", table.where)
    if children:
        names.declare_species(LIVING, "living", "1", f"{top.file}, fates")
    return tuple(_fate(name, table, names) for name, table in children)


def _fate(name: str, table: Table, names: Names) -> Fate:
    table.allow(("initial", "lysis", "typical", "doc"))
    allowed = names.parameter_names
    return Fate(
        name=name,
        initial=names.optional_expression(table, "initial", "1", allowed) or ZERO,
        lysis=names.optional_expression(table, "lysis", "1/s", allowed),
        typical=names.optional_expression(table, "typical", "1", allowed) or Number(FATE_SIZE),
        doc=table.text("doc", ""),
    )


def read_mode(top: Table, names: Names) -> str:
    """How transitions are carried out: "expected" or "sampled"."""
    mode = top.text(FATE, MODES[0])
    if mode not in MODES:
        raise top.refuse(FATE, f"got '{mode}'; allowed: {', '.join(MODES)}")
    if FATE in top.data and not names.of_kind("transitions"):
        raise top.refuse(FATE, f"got '{mode}', but the mechanism has no [transitions] to carry out in this way")
    return mode


def declare_transitions(top: Table, names: Names) -> list[tuple[str, Table]]:
    """Names of the transitions, known before any expression is read."""
    children = top.children(TRANSITIONS)
    for name, table in children:
        names.declare_species(name, "transitions", "1", table.where)
    return children


def read_transitions(children: Iterable[tuple[str, Table]], names: Names) -> tuple[Transition, ...]:
    """The transitions: between which fates, and with which hazard [1/s]."""
    return tuple(_transition(name, table, names) for name, table in children)


def _transition(name: str, table: Table, names: Names) -> Transition:
    table.allow(("from", "to", "hazard", "doc"))
    known = names.of_kind("fates")
    ends = [table.text(key) for key in ("from", "to")]
    for key, fate in zip(("from", "to"), ends, strict=True):
        if fate not in known:
            raise table.refuse(key, f"'{fate}' is no fate; {near(fate, known)}")
    if ends[0] == ends[1]:
        raise table.refuse("to", f"leads from '{ends[0]}' to itself")
    hazard = names.expression(table, "hazard", "1/s", names.cell_rate_names)
    return Transition(name, ends[0], ends[1], hazard, table.text("doc", ""))


class FateLowering:
    """Writes fates and transitions as slots and reactions of the cell; without fates everything stays as it is."""

    def __init__(
        self,
        fates: Sequence[Fate],
        transitions: Sequence[Transition],
        parameters: Sequence[Parameter],
        *,
        is_sampled: bool,
        file: str,
    ) -> None:
        self.fates, self.is_sampled, self.file = fates, is_sampled, file
        self.dead = {fate.name: fate.lysis for fate in fates if fate.lysis is not None}
        self._check_ways_out(transitions)
        self._slow = frozenset(fate.name for fate in fates)
        self.living = _total(fate.name for fate in fates if fate.name not in self.dead)
        self.number = _total(fate.name for fate in fates) if is_sampled else self._number_with_remnants()
        extensive = {item.name: mul(Symbol(item.name), self.number) for item in parameters if item.is_extensive}
        self.meaning: Mapping[str, Expr] = {LIVING: self.living, **extensive} if fates else {}
        self.transitions = tuple(replace(item, hazard=self.meant(item.hazard)) for item in transitions)

    def _check_ways_out(self, transitions: Sequence[Transition]) -> None:
        for item in transitions:
            if item.before in self.dead:
                raise MechanismError(
                    f"{self.file}, transitions.{item.name}.from: '{item.before}' is death (it has a 'lysis'); "
                    "nothing leads out of it"
                )

    def _number_with_remnants(self) -> Expr:
        """Cells over which a content is spread: the living, and what is left of the dead."""
        if not self.dead:
            return self.living
        remnants = mul(Number(REMNANT), _total(self.dead))
        return add(Call("max", (self.living, ZERO)), remnants)

    def meant(self, expr: Expr) -> Expr:
        """An expression of one agent: amounts of one cell times the number of cells, `living` written out."""
        return with_symbols(expr, self.meaning) if self.meaning else expr

    def slots(self) -> tuple[State, ...]:
        """A slot for every fate, and one for every transition: its moves by now, or its cumulative hazard.

        Moves are per starting cell: above 1 where cells divide, or go back and take the transition again.
        """
        own = [State(f.name, "fate", {}, f.initial, f.typical, "1", f.doc) for f in self.fates]
        rates = [item.hazard if self.is_sampled else None for item in self.transitions]
        for item, rate in zip(self.transitions, rates, strict=True):
            own.append(State(item.name, "transition", {}, ZERO, ONE, "1", item.doc, rate))
        return tuple(own)

    def exposures(self, states: Iterable[State]) -> tuple[State, ...]:
        """Exposures with their rates for an agent."""
        return tuple(replace(item, rate=self.meant(item.rate)) if item.rate else item for item in states)

    def reactions(
        self,
        given: Sequence[Reaction],
        states: Sequence[State],
        fields: Sequence[Field],
        releases: Mapping[str, dict[str, Expr] | None],
    ) -> tuple[Reaction, ...]:
        """All reactions: those given, of living cells; the transitions; and what dying cells give back.

        releases: by state, what becomes of it then, where the file says.
        """
        if not self.fates:
            return tuple(given)
        own = [self._of_living(item) if item.scope == "cell" else item for item in given]
        if not self.is_sampled:
            own += [self._flow(item) for item in self.transitions]
        if self.dead:
            loss = self._loss_of_contents()
            amounts = [state for state in states if state.unit == "molecules"]
            own += [self._release(state, loss, releases[state.name] or self._alike(state, fields)) for state in amounts]
        return tuple(own)

    def contacts(self, given: Iterable[Contact]) -> tuple[Contact, ...]:
        """Contacts of an agent, which take two living cells; one that stands for many has those of one cell."""
        if not self.fates:
            return tuple(given)
        present = Call("max", (Call("min", (self.living, ONE)), ZERO))
        return tuple(replace(item, rate=self.meant(item.rate), present=present) for item in given)

    def _of_living(self, item: Reaction) -> Reaction:
        rate = self.meant(item.rate)
        if self.is_sampled and self.dead:
            rate = mul(div(self.living, self.number), rate)
        is_of_fates = any(fate.name in item.stoichiometry for fate in self.fates)
        return replace(item, rate=rate, lagging=frozenset() if is_of_fates else self._slow)

    def _flow(self, item: Transition) -> Reaction:
        changes: dict[str, Expr] = {item.before: neg(ONE), item.after: ONE, item.name: ONE}
        text = f"{item.before} -> {item.after}  at  ({item.hazard}) * {item.before}"
        return Reaction(item.name, "cell", changes, mul(item.hazard, Symbol(item.before)), text)

    def _loss_of_contents(self) -> Expr:
        """Share of the contents that dying cells give back per time [1/s]."""
        if self.is_sampled:
            flux = add(*(mul(lysis, Symbol(name)) for name, lysis in self.dead.items()))
        else:
            deaths = [item for item in self.transitions if item.after in self.dead]
            flux = add(*(mul(item.hazard, Symbol(item.before)) for item in deaths))
        return div(flux, self.number)

    def _release(self, state: State, loss: Expr, changes: dict[str, Expr]) -> Reaction:
        text, rate = f"{equation_text(changes)}  at  death", mul(loss, Symbol(state.name))
        lagging = symbols(rate) - {state.name}
        return Reaction(f"release_{state.name}", "cell", changes, rate, text, lagging=lagging)

    def _alike(self, state: State, fields: Sequence[Field]) -> dict[str, Expr]:
        """A content becomes the field of the same contents, and nothing where it has none."""
        alike = [field.name for field in fields if _contents(field) == _contents(state)]
        if not _contents(state):
            return {state.name: neg(ONE)}
        if len(alike) != 1:
            found = f"{', '.join(alike)} contain the same: name one" if alike else "no field contains the same"
            where = f"{self.file}, states.{state.name}.released_as"
            raise MechanismError(f"{where}: missing; a dying cell gives back '{state.name}', but {found}")
        return {state.name: neg(ONE), alike[0]: ONE}


def _total(names: Iterable[str]) -> Expr:
    return add(*(Symbol(name) for name in names))


def _contents(item: Field | State) -> dict[str, object]:
    """Moieties per molecule, in a form that can be compared."""
    found = {moiety: polynomial(simplify(amount)) for moiety, amount in item.contains.items()}
    return {moiety: amount for moiety, amount in found.items() if any(amount.values())}

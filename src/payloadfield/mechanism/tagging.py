"""Tagged sources: a state followed by where it came from, as one share for each source beside the state itself.

The model stays as it is; a followed state s gains shares s_t, one for each source t, with s = sum_t s_t:
    made from what is not followed, by a reaction with the tag t:  ds_t/dt = nu rate
    used by a reaction of rate s h:                                ds_t/dt = -nu s_t h,  and what is made of it keeps t
    given to a touching cell:                                      the same, unless the contact has a tag of its own
Nothing depends on the shares and they do not steer the step, so that everything else keeps its digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from payloadfield.errors import MechanismError
from payloadfield.mechanism.calculus import ONE, ZERO, add, div, mul, power, simplify
from payloadfield.mechanism.model import Contact, Followed, Mechanism, Reaction, State
from payloadfield.mechanism.nodes import Call, Expr, Number, Symbol, symbols
from payloadfield.mechanism.tables import Names, Table, near

TAG = "tag"


def read_tagged(top: Table, names: Names) -> dict[str, str | None]:
    """States to be followed, and the source of what they hold at the start."""
    followed = {}
    for state, table in top.children("tagged"):
        table.allow(("initial",))
        if names.kinds.get(state) != "states":
            raise table.refuse("", f"'{state}' is no state of the cells; {near(state, names.of_kind('states'))}")
        followed[state] = table.optional_text("initial")
    return followed


def with_tags(mechanism: Mechanism, followed: Mapping[str, str | None]) -> Mechanism:
    """The mechanism with the shares of every followed state; as it is where none is followed.

    followed: names of states, with the source of what they hold at the start (None where they start empty).
    Raises MechanismError for what is made without a source, and for a rate that cannot be shared out.
    """
    return _Tagging(mechanism, followed).tagged() if followed else mechanism


class _Tagging:
    def __init__(self, mechanism: Mechanism, followed: Mapping[str, str | None]) -> None:
        self.mechanism, self.followed = mechanism, followed
        self.tags = self._find_tags()

    def tagged(self) -> Mechanism:
        mechanism = self.mechanism
        reactions = tuple(item for reaction in mechanism.reactions for item in self._reaction(reaction))
        shares = tuple(self._share(state, tag) for state in self._states() for tag in self.tags)
        exposures = tuple(item for state in mechanism.states for item in self._exposures(state))
        counters = tuple(_counter(tag) for tag in self.tags)
        self._refuse_taken([*shares, *exposures, *counters])
        return replace(
            mechanism,
            states=(*mechanism.states, *shares, *exposures, *counters),
            reactions=reactions,
            contacts=tuple(item for contact in mechanism.contacts for item in self._contact(contact)),
            tags=self.tags,
            followed=tuple(Followed(name, tuple(part_name(name, tag) for tag in self.tags)) for name in self.followed),
        )

    def _find_tags(self) -> tuple[str, ...]:
        """Every source that something which goes on gives, in the order of the file."""
        given = [item.tag for item in self.mechanism.reactions if item.tag and self._made(item)]
        given += [item.tag for item in self.mechanism.contacts if item.tag and item.gives in self.followed]
        given += [tag for tag in self.followed.values() if tag]
        return tuple(dict.fromkeys(given))

    def _states(self) -> Iterator[State]:
        for name, tag in self.followed.items():
            state = next(item for item in self.mechanism.states if item.name == name)
            if tag is None and simplify(state.initial) != Number(0.0):
                raise self._refuse(f"tagged.{name}", f"it starts with {state.initial}: name its source as 'initial'")
            yield state

    def _share(self, state: State, tag: str) -> State:
        initial = state.initial if self.followed[state.name] == tag else Number(0.0)
        doc = f"{state.doc}, the part from: {tag}"
        return replace(state, name=part_name(state.name, tag), kind=TAG, contains={}, initial=initial, doc=doc)

    def _made(self, reaction: Reaction) -> dict[str, Expr]:
        changes = reaction.stoichiometry.items() if reaction.scope == "cell" else ()
        return {name: change for name, change in changes if name in self.followed and not _is_loss(change)}

    def _used(self, reaction: Reaction) -> list[str]:
        changes = reaction.stoichiometry.items() if reaction.scope == "cell" else ()
        return [name for name, change in changes if name in self.followed and _is_loss(change)]

    def _reaction(self, reaction: Reaction) -> Iterable[Reaction]:
        made, used = self._made(reaction), self._used(reaction)
        where = f"reactions.cell.{reaction.name}"
        if not made and not used:
            return (reaction,)
        if len(used) > 1:
            raise self._refuse(where, f"uses {' and '.join(used)}, both followed by source; one at a time can be")
        if not used:
            if reaction.tag is None:
                raise self._refuse(where, f'makes {" and ".join(made)}, followed by source: name it, as tag = "..."')
            return (self._counted(reaction, made, {part_name(name, reaction.tag): made[name] for name in made}),)
        share = self._share_of(reaction.rate, used[0], where)
        core = self._counted(reaction, made, {}) if reaction.tag else reaction
        return (core, *(self._of_source(reaction, made, used[0], share, tag) for tag in self.tags))

    def _counted(self, reaction: Reaction, made: Mapping[str, Expr], parts: Mapping[str, Expr]) -> Reaction:
        """The reaction with what arrives by it counted."""
        count = {counter_name(reaction.tag): add(*made.values())} if made and reaction.tag else {}
        return replace(reaction, stoichiometry={**reaction.stoichiometry, **parts, **count})

    def _of_source(self, reaction: Reaction, made: Mapping[str, Expr], used: str, share: Expr, tag: str) -> Reaction:
        after = reaction.tag or tag
        changes = {part_name(used, tag): reaction.stoichiometry[used]}
        for name, change in made.items():
            part = part_name(name, after)
            changes[part] = add(changes.get(part, Number(0.0)), change)
        text = f"{reaction.text}, of {tag}"
        rate = mul(share, Symbol(part_name(used, tag)))
        name = f"{reaction.name}_of_{tag}"
        return replace(reaction, name=name, stoichiometry=changes, rate=rate, text=text, tag=None)

    def _contact(self, contact: Contact) -> Iterable[Contact]:
        if contact.gives not in self.followed:
            return (contact,)
        share = self._share_of(contact.rate, contact.gives, f"contacts.{contact.name}")
        core = replace(contact, takes=(*contact.takes, counter_name(contact.tag))) if contact.tag else contact
        parts = [(tag, part_name(contact.gives, tag)) for tag in self.tags]
        return (
            core,
            *(
                replace(
                    contact, name=f"{contact.name}_of_{tag}", gives=part, rate=mul(share, Symbol(part)),
                    takes=(part_name(contact.gives, contact.tag or tag),),
                )
                for tag, part in parts
            ),
        )  # fmt: skip

    def _exposures(self, state: State) -> Iterable[State]:
        """An exposure to one followed state, by source."""
        if state.kind != "exposure" or state.rate is None:
            return
        read = [name for name in self.followed if name in symbols(state.rate)]
        share = divided(simplify(state.rate), read[0]) if len(read) == 1 else None
        for tag in self.tags if share is not None else ():
            assert share is not None
            rate, doc = mul(share, Symbol(part_name(read[0], tag))), f"{state.doc}, the part from: {tag}"
            yield replace(state, name=part_name(state.name, tag), rate=rate, doc=doc)

    def _share_of(self, rate: Expr, name: str, where: str) -> Expr:
        share = divided(simplify(rate), name)
        if share is None:
            raise self._refuse(
                where,
                f"its rate, {rate}, uses {name}, which is followed by source, but does not have it as a factor; write "
                f"it as {name} times something, or as hill({name}, ...)",
            )
        return share

    def _refuse_taken(self, added: Iterable[State]) -> None:
        mechanism = self.mechanism
        taken = {*mechanism.field_names, *mechanism.state_names, *(item.name for item in mechanism.parameters)}
        for state in added:
            if state.name in taken:
                raise self._refuse(
                    "tagged", f"the name '{state.name}' is needed for what came from a source, but taken"
                )

    def _refuse(self, where: str, reason: str) -> MechanismError:
        return MechanismError(f"{self.mechanism.file}, {where}: {reason}")


def part_name(state: str, tag: str) -> str:
    """Name of the share of a state that came from a source."""
    return f"{state}_from_{tag}"


def counter_name(tag: str | None) -> str:
    """Name of the count of everything that came from a source so far."""
    return f"taken_up_from_{tag}"


def _counter(tag: str) -> State:
    doc = f"payload that came from: {tag}, in all so far"
    return State(counter_name(tag), "exposure", {}, Number(0.0), None, "molecules", doc)


def _is_loss(change: Expr) -> bool:
    return str(change).startswith("-")


def divided(expr: Expr, name: str) -> Expr | None:
    """An expression in normal form over a name that is a factor of it; None where it is none."""
    if not isinstance(expr, Call):
        return ONE if expr == Symbol(name) else None
    if expr.op == "*":
        return _product_divided(expr, name)
    if expr.op == "/":
        above = divided(expr.args[0], name)
        return None if above is None else div(above, expr.args[1])
    if expr.op == "+":
        terms = [divided(term, name) for term in expr.args]
        return None if None in terms else add(*(term for term in terms if term is not None))
    if expr.op == "**" and isinstance(expr.args[1], Number) and expr.args[1].value >= 1.0:
        return power(expr.args[0], Number(expr.args[1].value - 1.0)) if expr.args[0] == Symbol(name) else None
    return _hill_divided(expr, name) if expr.op == "hill" else None


def _hill_divided(expr: Call, name: str) -> Expr | None:
    """hill(x, K, n) over a factor s of x: (x / s) x^(n - 1) / (K^n + x^n), and 0 for s < 0 as hill is."""
    x, half, exponent = expr.args
    above = divided(x, name)
    if above is None:
        return None
    quotient = div(mul(above, power(x, add(exponent, Number(-1.0)))), add(power(half, exponent), power(x, exponent)))
    return Call("if_less", (Symbol(name), ZERO, ZERO, quotient))


def _product_divided(expr: Call, name: str) -> Expr | None:
    for place, factor in enumerate(expr.args):
        part = divided(factor, name)
        if part is not None:
            return mul(part, *expr.args[:place], *expr.args[place + 1 :])
    return None

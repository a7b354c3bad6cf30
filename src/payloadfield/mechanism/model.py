"""A mechanism as data: fields, cell states, reactions and what they conserve. All of it frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from payloadfield.mechanism.nodes import Expr

CONSTANTS = ("N_A",)
"""Names with a fixed value in every expression: N_A = 0.602214076 molecules per nM um^3."""

SLOTS = ("inhibitor", "senolytic", "effector", "vesicle")
"""What a study chooses besides the agent and the cell types: roots of `from`, and what `dosed_by` may name."""

DOSED_BY = ("conjugate", "antibody", "payload", *SLOTS)
"""What fills a field when it is dosed: the agent, its parts, or what a slot holds."""


@dataclass(frozen=True)
class Parameter:
    """A number that a study supplies, in internal unit `unit`, once (`per` = "study") or for every cell ("cell").

    is_extensive: what belongs to one living cell, so that an agent of n cells has n times as much.
    """

    name: str
    unit: str
    per: str
    source: str | None
    value: float | None
    doc: str
    is_extensive: bool = False


@dataclass(frozen=True)
class Field:
    """A concentration per voxel [nM]; `contains` gives molecules of each moiety per molecule.

    like: the field whose values of materials it takes where these say nothing of its own.  depth: [um], for what is in
    the walls and not in the medium: the skin that holds it, so that a voxel has room for it by its wall area.
    """

    name: str
    contains: dict[str, Expr]
    diffusivity: Expr
    typical: Expr | None
    dosed_by: str | None
    doc: str
    like: str | None = None
    depth: Expr | None = None


@dataclass(frozen=True)
class State:
    """A slot per cell: an amount [molecules], a loss ("accumulator", molecules), an integral ("exposure"), a share.

    "tag": the share of a followed state that came from one source.  "fate": a number of cells.  "transition": its
    moves by now per starting cell, above 1 where cells divide or come back; sampled, its cumulative hazard.
    """

    name: str
    kind: str
    contains: dict[str, Expr]
    initial: Expr
    typical: Expr | None
    unit: str
    doc: str
    rate: Expr | None = None


COLLECTING = ("accumulator", "exposure", "transition", "tag")
"""Kinds of slots on which nothing depends."""


@dataclass(frozen=True)
class Fate:
    """What a cell can come to: `initial`, its share at the start; `lysis` [1/s] where it is death, as it dissolves."""

    name: str
    initial: Expr
    lysis: Expr | None
    typical: Expr
    doc: str


@dataclass(frozen=True)
class Transition:
    """The way from fate `before` to fate `after`, with its hazard [1/s]."""

    name: str
    before: str
    after: str
    hazard: Expr
    doc: str


@dataclass(frozen=True)
class Accumulator:
    """Where losses are counted, so that the ledger closes."""

    name: str
    contains: dict[str, Expr]
    typical: Expr | None
    doc: str


@dataclass(frozen=True)
class Reaction:
    """One direction of one reaction; `stoichiometry` holds the net change of each species that changes.

    tag: the source that it gives to what it makes of a followed state (tagging.py).  lagging: what changes so slowly
    that the Jacobian does without the rate's slope by it, which the method allows (ROS34PW2 is a W-method).
    """

    name: str
    scope: str
    stoichiometry: dict[str, Expr]
    rate: Expr
    text: str
    tag: str | None = None
    lagging: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Contact:
    """Exchange between touching cells: each gives `rate` [molecules/s] of the state `gives` to every cell it touches.

    d takes_i / dt = sum_j g_ij rate_j,   d gives_i / dt = -rate_i sum_j g_ij,   g_ij = s_i s_j present_i present_j.
    rate: of parameters and states of the giving cell.  s: `strength` of a cell.  present: the share of an agent that is
    alive, since it takes two living cells.  reach: cells touch within it times the sum of their radii.
    takes: slots of the receiving cell that gain; all but the first only count what arrives.
    """

    name: str
    gives: str
    takes: tuple[str, ...]
    rate: Expr
    strength: Expr
    reach: Expr
    present: Expr
    doc: str
    tag: str | None = None


@dataclass(frozen=True)
class Followed:
    """A state, and the tagged states that it is the sum of: one for each source, in the order of `Mechanism.tags`."""

    state: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Mechanism:
    """Fields, states and reactions, checked; the order of each tuple is the order in every array.

    source_text: the file, or the one table that the file and its modules make together.  modules: which are on (or in
    which of their ways), by name.  origin: the module that declares an entry, by place such as ("fields", "adc"); ""
    for the main file.  left_out: names of what a study does without, because it never leaves zero there.  is_sampled:
    whether each cell is in one of the fates, drawn by the solver, or in all of them with its share of each.
    """

    name: str
    doc: str
    moieties: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    fields: tuple[Field, ...]
    states: tuple[State, ...]
    accumulators: tuple[Accumulator, ...]
    reactions: tuple[Reaction, ...]
    field_groups: tuple[tuple[int, ...], ...]
    source_text: str
    digest: str
    file: str
    modules: Mapping[str, bool | str] = field(default_factory=dict)
    origin: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    contacts: tuple[Contact, ...] = ()
    tags: tuple[str, ...] = ()
    followed: tuple[Followed, ...] = ()
    fates: tuple[Fate, ...] = ()
    transitions: tuple[Transition, ...] = ()
    is_sampled: bool = False

    @cached_property
    def study_parameters(self) -> tuple[str, ...]:
        """Names of the parameters of the whole study, in array order."""
        return tuple(parameter.name for parameter in self.parameters if parameter.per == "study")

    @cached_property
    def cell_parameters(self) -> tuple[str, ...]:
        """Names of the parameters of each cell, in array order."""
        return tuple(parameter.name for parameter in self.parameters if parameter.per == "cell")

    @cached_property
    def field_names(self) -> tuple[str, ...]:
        """Names of the fields, in array order."""
        return tuple(field.name for field in self.fields)

    @cached_property
    def state_names(self) -> tuple[str, ...]:
        """Names of the slots of a cell, in array order."""
        return tuple(state.name for state in self.states)

    @cached_property
    def accumulator_names(self) -> tuple[str, ...]:
        """Names of the accumulators, in array order."""
        return tuple(accumulator.name for accumulator in self.accumulators)

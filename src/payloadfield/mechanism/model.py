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
    """A number that a study supplies, in internal unit `unit`, once (`per` = "study") or for every cell ("cell")."""

    name: str
    unit: str
    per: str
    source: str | None
    value: float | None
    doc: str


@dataclass(frozen=True)
class Field:
    """A concentration per voxel [nM]; `contains` gives molecules of each moiety per molecule."""

    name: str
    contains: dict[str, Expr]
    diffusivity: Expr
    typical: Expr | None
    dosed_by: str | None
    doc: str


@dataclass(frozen=True)
class State:
    """A slot per cell: an amount [molecules], a loss ("accumulator", molecules) or a time integral ("exposure")."""

    name: str
    kind: str
    contains: dict[str, Expr]
    initial: Expr
    typical: Expr | None
    unit: str
    doc: str
    rate: Expr | None = None


@dataclass(frozen=True)
class Accumulator:
    """Where losses are counted, so that the ledger closes."""

    name: str
    contains: dict[str, Expr]
    typical: Expr | None
    doc: str


@dataclass(frozen=True)
class Reaction:
    """One direction of one reaction; `stoichiometry` holds the net change of each species that changes."""

    name: str
    scope: str
    stoichiometry: dict[str, Expr]
    rate: Expr
    text: str


@dataclass(frozen=True)
class Mechanism:
    """Fields, states and reactions, checked; the order of each tuple is the order in every array.

    source_text: the file, or the one table that the file and its modules make together.  modules: which are on (or in
    which of their ways), by name.  origin: the module that declares an entry, by place such as ("fields", "adc"); ""
    for the main file.  left_out: names of what a study does without, because it never leaves zero there.
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

"""Kernels as lists of assignments: what every target of the code generator is printed from.

A kernel runs over items (cells or voxels). Its blocks run once per item, or once per entry of the item's footprint;
each block is straight-line code in single assignment. Levels say how often a value changes: STUDY (never), ITEM, ENTRY.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from payloadfield.mechanism.nodes import Call, Expr, Number, Symbol, symbols

STUDY, ITEM, ENTRY = range(3)


@dataclass(frozen=True)
class Access:
    """Where an input is read: `array` at `row`, and at "item", "entry" or "gather" (by voxel); None: no such index."""

    array: str
    row: str | None
    index: str | None
    level: int


@dataclass(frozen=True)
class Assign:
    """name = value"""

    name: str
    value: Expr
    comment: str = ""


@dataclass(frozen=True)
class Add:
    """name = sum of value over the entries of an item (block of entries) or over all items (block of items)."""

    name: str
    value: Expr
    comment: str = ""


@dataclass(frozen=True)
class Store:
    """array[row, item or entry] = value, or += where `increment`."""

    array: str
    row: int
    value: Expr
    comment: str = ""
    increment: bool = False


Statement = Assign | Add | Store


@dataclass
class Block:
    """Straight-line code, once per item (level ITEM) or per entry (level ENTRY)."""

    level: int
    statements: list[Statement] = field(default_factory=list)


@dataclass
class Kernel:
    """One generated function, or one branch of it.

    inputs: how every name that is not assigned is read. totals: names summed over all items, in order of the output.
    """

    name: str
    doc: str
    arguments: tuple[str, ...]
    item: str
    inputs: dict[str, Access]
    blocks: list[Block]
    totals: tuple[str, ...] = ()
    prelude: list[Statement] = field(default_factory=list)


@dataclass(frozen=True)
class Function:
    """A public generated function: one kernel, or one per value of the integer argument `selector`."""

    name: str
    doc: str
    arguments: tuple[str, ...]
    kernels: tuple[Kernel, ...]
    selector: str | None = None


class Sheet:
    """Collects the statements of a block; values that need no statement of their own are passed through."""

    def __init__(self, level: int) -> None:
        self.block = Block(level)

    def define(self, name: str, value: Expr, comment: str = "") -> Expr:
        """Assign a value to a name, and return what stands for it."""
        if isinstance(value, Number) or not (isinstance(value, Call) or comment):
            return value
        self.block.statements.append(Assign(name, value, comment))
        return Symbol(name)

    def total(self, name: str, value: Expr, comment: str = "") -> Expr:
        """Sum a value over the entries, and return what stands for the sum."""
        if value == Number(0.0):
            return value
        self.block.statements.append(Add(name, value, comment))
        return Symbol(name)

    def store(self, array: str, row: int, value: Expr, comment: str = "", increment: bool = False) -> None:
        """Write a value to an output array."""
        self.block.statements.append(Store(array, row, value, comment, increment))


def names_read(statements: Iterable[Statement]) -> set[str]:
    """Names that occur on the right of any statement."""
    return {name for statement in statements for name in symbols(statement.value)}

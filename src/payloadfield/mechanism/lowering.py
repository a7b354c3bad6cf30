"""Passes over a kernel: drop what nobody reads, take constants out of loops and sums, compute repeated parts once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from payloadfield.mechanism.assignments import ENTRY, ITEM, STUDY, Add, Assign, Block, Kernel, Statement, Store
from payloadfield.mechanism.calculus import add, mul
from payloadfield.mechanism.nodes import Call, Expr, Number, Symbol, symbols


def lower(kernel: Kernel) -> Kernel:
    """The kernel with its passes applied, ready to print; `prelude` then holds what depends on the study only."""
    kernel = _without_unread(kernel)
    kernel = _Hoist(kernel).run()
    kernel = _with_bare_sums(kernel)
    kernel = _Share(kernel).run()
    return _without_unread(kernel)


def _without_unread(kernel: Kernel) -> Kernel:
    """Keep stores, sums over all items, and the statements that these need."""
    needed = set(kernel.totals)
    blocks = []
    for block in reversed(kernel.blocks):
        blocks.append(Block(block.level, _needed(block.statements, needed)))
    prelude = _needed(kernel.prelude, needed)
    return replace(kernel, blocks=blocks[::-1], prelude=prelude)


def _needed(statements: list[Statement], needed: set[str]) -> list[Statement]:
    kept: list[Statement] = []
    for statement in reversed(statements):
        if isinstance(statement, Store) or statement.name in needed:
            kept.append(statement)
            needed |= symbols(statement.value)
    return kept[::-1]


class _Hoist:
    """Moves parts of expressions to the outermost place where they can be computed."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.levels = {name: access.level for name, access in kernel.inputs.items()} | {"N_A": STUDY}
        self.lists: dict[int, list[Statement]] = {STUDY: []}
        self.moved: dict[Expr, Expr] = {}
        self.alias: dict[str, Expr] = {}
        self.memo: dict[Expr, int] = {}

    def run(self) -> Kernel:
        blocks: list[Block] = []
        for block in self._alternating():
            if block.level == ITEM:
                self.lists[ITEM] = []
                blocks.append(Block(ITEM, self.lists[ITEM]))
                for statement in block.statements:
                    self.lists[ITEM].append(self._rewritten(statement, ITEM))
            else:
                statements = [self._rewritten(statement, block.level) for statement in block.statements]
                blocks.append(Block(block.level, statements))
        return replace(self.kernel, blocks=blocks, prelude=self.lists[STUDY])

    def _alternating(self) -> list[Block]:
        """Blocks such that one of items stands before every one of entries."""
        blocks: list[Block] = []
        for block in self.kernel.blocks:
            if block.level != ITEM and (not blocks or blocks[-1].level != ITEM):
                blocks.append(Block(ITEM))
            blocks.append(block)
        return blocks

    def _rewritten(self, statement: Statement, level: int) -> Statement:
        value = self._rewrite(statement.value, level)
        if isinstance(statement, Assign) and not isinstance(value, Call) and not statement.comment:
            self.alias[statement.name] = value
            self.levels[statement.name] = self._level(value)
        elif isinstance(statement, Assign):
            self.levels[statement.name] = level
        elif isinstance(statement, Add):
            self.levels[statement.name] = level - 1
        return replace(statement, value=value)

    def _level(self, expr: Expr) -> int:
        if isinstance(expr, Symbol):
            return self.levels[expr.name]
        if not isinstance(expr, Call):
            return STUDY
        if expr not in self.memo:
            self.memo[expr] = max(self._level(arg) for arg in expr.args)
        return self.memo[expr]

    def _rewrite(self, expr: Expr, level: int) -> Expr:
        if isinstance(expr, Symbol):
            return self.alias.get(expr.name, expr)
        if not isinstance(expr, Call):
            return expr
        own = self._level(expr)
        if own < level:
            return self._move(expr, own)
        if expr.op in ("+", "*"):
            return self._rewrite_flat(expr, level)
        return Call(expr.op, tuple(self._rewrite(arg, level) for arg in expr.args))

    def _rewrite_flat(self, call: Call, level: int) -> Expr:
        """A sum or product with the part that does not change at this level taken out as one value."""
        combine = add if call.op == "+" else mul
        outer = [arg for arg in call.args if self._level(arg) < level]
        inner = [self._rewrite(arg, level) for arg in call.args if self._level(arg) >= level]
        if not outer:
            return combine(*inner)
        return combine(self._rewrite(combine(*outer), level), *inner)

    def _move(self, expr: Expr, own: int) -> Expr:
        sign = isinstance(expr, Call) and expr.op == "*" and expr.args[0] == Number(-1.0)
        if sign and isinstance(expr, Call):
            rest = expr.args[1] if len(expr.args) == 2 else Call("*", expr.args[1:])
            return mul(Number(-1.0), self._move(rest, own) if isinstance(rest, Call) else self._rewrite(rest, own))
        if expr not in self.moved:
            name = f"const.{len(self.moved)}" if own == STUDY else f"part.{len(self.moved)}"
            value = self._rewrite(expr, own)
            self.levels[name] = own
            self.lists[own].append(Assign(name, value))
            self.moved[expr] = Symbol(name)
        return self.moved[expr]


def _with_bare_sums(kernel: Kernel) -> Kernel:
    """Sums over entries without the factors that are the same at every entry: many then are one sum.

    sum_e a b_e becomes a sum_e b_e, computed after the loop.
    """
    constant = {name for name, access in kernel.inputs.items() if access.level < ENTRY} | {"N_A"}
    constant |= {statement.name for statement in kernel.prelude if not isinstance(statement, Store)}
    blocks: list[Block] = []
    due: list[Statement] = []
    for block in kernel.blocks:
        if block.level != ENTRY:
            statements, due = due + block.statements, []
            constant |= {statement.name for statement in statements if not isinstance(statement, Store)}
            blocks.append(Block(block.level, statements))
        else:
            statements, due = _bare(block.statements, constant)
            blocks.append(Block(block.level, statements))
    return replace(kernel, blocks=[*blocks, Block(ITEM, due)] if due else blocks)


def _bare(statements: list[Statement], constant: set[str]) -> tuple[list[Statement], list[Statement]]:
    """The statements of a loop over entries with bare sums, and what is left to do with these after it."""
    kept: list[Statement] = []
    after: list[Statement] = []
    known: dict[Expr, str] = {}
    values = {item.name: item.value for item in statements if isinstance(item, Assign)}
    for statement in statements:
        if not isinstance(statement, Add):
            kept.append(statement)
            continue
        # A sum of a named product is looked at as the product: the name may be needed for the entries' own sake.
        value = statement.value
        value = values.get(value.name, value) if isinstance(value, Symbol) else value
        factors = value.args if isinstance(value, Call) and value.op == "*" else (value,)
        outer = [factor for factor in factors if symbols(factor) <= constant]
        inner = mul(*(factor for factor in factors if not symbols(factor) <= constant))
        if inner in known:
            after.append(Assign(statement.name, mul(*outer, Symbol(known[inner]))))
        elif outer:
            known[inner] = f"bare.{statement.name}"
            kept.append(Add(known[inner], inner, statement.comment))
            after.append(Assign(statement.name, mul(*outer, Symbol(known[inner]))))
        else:
            known[inner] = statement.name
            kept.append(statement)
    return kept, after


class _Share:
    """Gives a name to every operation that occurs more than once."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.count: Counter[Expr] = Counter()
        self.number = 0

    def run(self) -> Kernel:
        known: dict[Expr, Expr] = {}
        prelude = self._block(self.kernel.prelude, known)
        blocks = []
        for block in self.kernel.blocks:
            scope = known if block.level == ITEM else dict(known)
            blocks.append(Block(block.level, self._block(block.statements, scope)))
        return replace(self.kernel, prelude=prelude, blocks=blocks)

    def _block(self, statements: list[Statement], known: dict[Expr, Expr]) -> list[Statement]:
        self.count = Counter()
        seen: set[Expr] = set()
        for statement in statements:
            self._tally(statement.value, seen)
        result: list[Statement] = []
        for statement in statements:
            value = self._visit(statement.value, known, result, top=isinstance(statement, Assign))
            if isinstance(statement, Assign) and isinstance(statement.value, Call):
                known.setdefault(statement.value, Symbol(statement.name))
            result.append(replace(statement, value=value))
        return result

    def _tally(self, expr: Expr, seen: set[Expr]) -> None:
        if not isinstance(expr, Call):
            return
        self.count[expr] += 1
        if expr not in seen:
            seen.add(expr)
            for arg in expr.args:
                self._tally(arg, seen)

    def _visit(self, expr: Expr, known: dict[Expr, Expr], result: list[Statement], top: bool = False) -> Expr:
        if not isinstance(expr, Call):
            return expr
        if expr in known:
            return known[expr]
        rebuilt = Call(expr.op, tuple(self._visit(arg, known, result) for arg in expr.args))
        if top or self.count[expr] < 2 or _is_trivial(expr):
            return rebuilt
        name = f"t.{self.number}"
        self.number += 1
        result.append(Assign(name, rebuilt))
        known[expr] = Symbol(name)
        return known[expr]


def _is_trivial(call: Call) -> bool:
    """A change of sign costs nothing."""
    return (
        call.op == "*" and len(call.args) == 2 and call.args[0] == Number(-1.0) and not isinstance(call.args[1], Call)
    )

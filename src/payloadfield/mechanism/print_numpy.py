"""Printer for NumPy: whole arrays of cells, voxels or footprint entries at once, written for reading."""

from __future__ import annotations

from collections.abc import Callable

from payloadfield.mechanism.assignments import ENTRY, ITEM, STUDY, Access, Add, Assign, Block, Function, Kernel, Store
from payloadfield.mechanism.naming import Names
from payloadfield.mechanism.nodes import expression_text, symbols
from payloadfield.mechanism.source import Lines, docstring, inputs_at

PREAMBLE = """
import numpy as np
"""
HELPERS = '''
def hill(x, half, exponent):
    """x^n / (K^n + x^n), and 0 for x <= 0."""
    with np.errstate(over="ignore", divide="ignore"):
        return np.where(x > 0.0, 1.0 / (1.0 + (half / np.where(x > 0.0, x, 1.0)) ** exponent), 0.0)


def hill_slope(x, half, exponent):
    """d hill / dx, taken no nearer to zero than a trillionth of K."""
    ratio = np.maximum(x / half, 1e-12)
    power = ratio**exponent
    with np.errstate(over="ignore", divide="ignore"):
        return np.where(x < 0.0, 0.0, exponent / (half * ratio * (1.0 + power) * (1.0 + 1.0 / power)))
'''
_FORMATS = {
    "exp": "np.exp({0})",
    "log": "np.log({0})",
    "sqrt": "np.sqrt({0})",
    "min": "np.minimum({0}, {1})",
    "max": "np.maximum({0}, {1})",
    "if_less": "np.where({0} < {1}, {2}, {3})",
}


def print_function(function: Function, names: Names, lines: Lines) -> None:
    """One public function; its branches, if there are any, as functions of their own."""
    for kernel in function.kernels if function.selector else ():
        _print_kernel(kernel, f"_{kernel.name}", f"{function.name} for {kernel.doc}.", names, lines)
    if function.selector is None:
        _print_kernel(function.kernels[0], function.name, function.doc, names, lines)
        return
    arguments = ", ".join(function.arguments)
    lines.put()
    lines.put()
    lines.put(f"def {function.name}({arguments}):")
    lines.put(docstring(function.doc), 1)
    branches = ", ".join(f"_{kernel.name}" for kernel in function.kernels)
    lines.put(f"branches = ({branches},)" if branches else "branches = ()", 1)
    lines.put(f"branches[{function.selector}]({arguments})", 1)


def _print_kernel(kernel: Kernel, name: str, doc: str, names: Names, lines: Lines) -> None:
    lines.put()
    lines.put()
    lines.put(f"def {name}({', '.join(kernel.arguments)}):")
    lines.put(docstring(doc), 1)
    _Body(kernel, names, lines).print()


class _Body:
    """Prints the statements of one kernel; in entries, values of a cell are read as name[cell]."""

    def __init__(self, kernel: Kernel, names: Names, lines: Lines) -> None:
        self.kernel, self.names, self.lines = kernel, names, lines
        self.levels = {name: access.level for name, access in kernel.inputs.items()} | {"N_A": STUDY}

    def print(self) -> None:
        blocks = self.kernel.blocks
        self._loads(STUDY, blocks)
        self._loads(ITEM, blocks)
        for statement in self.kernel.prelude:
            self._statement(statement, STUDY)
        if any(block.level == ENTRY and block.statements for block in blocks):
            self.lines.put("n_cell = start.size - 1", 1)
            self.lines.put("cell = np.repeat(np.arange(n_cell), np.diff(start))", 1)
        for block in blocks:
            self._block(block)
        for row, name in enumerate(self.kernel.totals):
            self.lines.put(f"out[{row}] = {self.names.of(name) if name in self.levels else '0.0'}", 1)

    def _block(self, block: Block) -> None:
        if block.level == ENTRY:
            self._loads(ENTRY, [block])
        for statement in block.statements:
            self._statement(statement, block.level)

    def _loads(self, level: int, blocks: list[Block]) -> None:
        for name, access in inputs_at(self.kernel, level, blocks):
            text = self._element(access)
            if text != self.names.of(name):
                self.lines.put(f"{self.names.of(name)} = {text}", 1)

    def _element(self, access: Access) -> str:
        inside = [access.row] if access.row is not None else []
        inside += ["voxel"] if access.index == "gather" else []
        return f"{access.array}[{', '.join(inside)}]" if inside else access.array

    def _statement(self, statement: Assign | Add | Store, level: int) -> None:
        value = expression_text(statement.value, self._reader(level), _FORMATS)
        if isinstance(statement, Store):
            mark = "+=" if statement.increment else "="
            line = f"{statement.array}[{':' if statement.row < 0 else statement.row}] {mark} {value}"
            self.lines.put_with_note(line, statement.comment, 1)
            return
        self.lines.comment(statement.comment, 1)
        if isinstance(statement, Assign):
            self.levels[statement.name] = max((self.levels[item] for item in symbols(statement.value)), default=STUDY)
        else:
            self.levels[statement.name] = level - 1
            value = f"np.bincount(cell, {value}, n_cell)" if level == ENTRY else f"np.sum({value})"
        self.lines.put(f"{self.names.of(statement.name)} = {value}", 1)

    def _reader(self, level: int) -> Callable[[str], str]:
        def read(name: str) -> str:
            identifier = self.names.of(name)
            return f"{identifier}[cell]" if level == ENTRY and self.levels[name] == ITEM else identifier

        return read

"""Printer for Numba: one straight-line loop over cells or voxels, an inner loop over entries, no temporary arrays."""

from __future__ import annotations

from payloadfield.mechanism.assignments import (
    ENTRY,
    ITEM,
    STUDY,
    Access,
    Add,
    Block,
    Function,
    Kernel,
    Statement,
    Store,
)
from payloadfield.mechanism.naming import Names
from payloadfield.mechanism.nodes import Expr, expression_text
from payloadfield.mechanism.source import Lines, docstring, inputs_at

PREAMBLE = """
import numpy as np
from numba import njit, prange
"""
HELPERS = '''
@njit(cache=True, error_model="numpy")
def raised(x, exponent):
    """x^n; the two commonest exponents without a call of pow."""
    if exponent == 1.0:
        return x
    if exponent == 2.0:
        return x * x
    return x**exponent


@njit(cache=True, error_model="numpy")
def hill(x, half, exponent):
    """x^n / (K^n + x^n), and 0 for x <= 0."""
    if x > 0.0:
        return 1.0 / (1.0 + raised(half / x, exponent))
    return 0.0


@njit(cache=True, error_model="numpy")
def hill_slope(x, half, exponent):
    """d hill / dx, taken no nearer to zero than a trillionth of K."""
    if x < 0.0:
        return 0.0
    ratio = max(x / half, 1e-12)
    power = raised(ratio, exponent)
    return exponent / (half * ratio * (1.0 + power) * (1.0 + 1.0 / power))
'''
_FORMATS = {
    "exp": "np.exp({0})",
    "log": "np.log({0})",
    "sqrt": "np.sqrt({0})",
    "if_less": "({2} if {0} < {1} else {3})",
}
_NJIT = '@njit(cache=True, error_model="numpy")'
_NJIT_PARALLEL = '@njit(cache=True, error_model="numpy", parallel=True)'
_LARGE = ("cell_", "voxel_")
_COUNTS = ("base_states", "states", "rhs", "base_fields", "fields")


def print_function(function: Function, names: Names, lines: Lines) -> None:
    """One public function, its parallel twin, and the loops that both call."""
    for kernel in function.kernels:
        _Loop(kernel, names, lines).print()
    for parallel in (False, True) if function.name.startswith(_LARGE) else (False,):
        if function.kernels and function.kernels[0].totals:
            _print_reduction(function, parallel, lines)
        else:
            _print_driver(function, parallel, lines)


def _print_header(function: Function, decorator: str, lines: Lines) -> str:
    lines.put()
    lines.put()
    if decorator:
        lines.put(decorator)
    parallel = decorator == _NJIT_PARALLEL
    lines.put(f"def {function.name}{'_parallel' if parallel else ''}({', '.join(function.arguments)}):")
    lines.put(docstring(function.doc), 1)
    count = next(name for name in _COUNTS if name in function.arguments)
    lines.put(f"n = {count}.shape[1]", 1)
    return "CELL_CHUNK" if function.name.startswith("cell_") else "VOXEL_CHUNK"


def _print_driver(function: Function, parallel: bool, lines: Lines) -> None:
    """The call of the compiled loop; the serial one stays Python, since compiling it would cost half as much again."""
    chunk = _print_header(function, _NJIT_PARALLEL if parallel else "", lines)
    limits, indent = "0, n", 1
    if parallel:
        lines.put(f"for k in prange((n + {chunk} - 1) // {chunk}):", indent)
        limits, indent = f"k * {chunk}, min((k + 1) * {chunk}, n)", 2
    for number, kernel in enumerate(function.kernels):
        call = f"_{kernel.name}({limits}, {', '.join(function.arguments)})"
        if function.selector is None:
            lines.put(call, indent)
            continue
        lines.put(f"{'if' if number == 0 else 'elif'} {function.selector} == {number}:  # {kernel.doc}", indent)
        lines.put(call, indent + 1)
    if not function.kernels:
        lines.put("pass", indent)


def _print_reduction(function: Function, parallel: bool, lines: Lines) -> None:
    """Sums by chunks of fixed size, combined in order: the same digits for any number of threads."""
    chunk = _print_header(function, _NJIT_PARALLEL if parallel else _NJIT, lines)
    kernel = function.kernels[0]
    arguments = ", ".join("partial[k]" if name == "out" else name for name in function.arguments)
    lines.put(f"n_chunk = (n + {chunk} - 1) // {chunk}", 1)
    lines.put(f"partial = np.zeros((n_chunk, {len(kernel.totals)}))", 1)
    lines.put(f"for k in {'prange' if parallel else 'range'}(n_chunk):", 1)
    lines.put(f"_{kernel.name}(k * {chunk}, min((k + 1) * {chunk}, n), {arguments})", 2)
    lines.put("out[:] = 0.0", 1)
    lines.put("for k in range(n_chunk):", 1)
    lines.put(f"for a in range({len(kernel.totals)}):", 2)
    lines.put("out[a] += partial[k, a]", 3)


class _Loop:
    """Prints one kernel as a loop from `first` to `last`."""

    def __init__(self, kernel: Kernel, names: Names, lines: Lines) -> None:
        self.kernel, self.names, self.lines = kernel, names, lines

    def print(self) -> None:
        kernel, put = self.kernel, self.lines.put
        put()
        put()
        put(_NJIT)
        put(f"def _{kernel.name}(first, last, {', '.join(kernel.arguments)}):")
        self._loads(STUDY, kernel.blocks, 1)
        for statement in kernel.prelude:
            self._statement(statement, 1)
        added = self._added(kernel.blocks, ITEM)
        for name in added:
            put(f"{self.names.of(name)} = 0.0", 1)
        if any(block.statements for block in kernel.blocks):
            put(f"for {kernel.item} in range(first, last):", 1)
            self._loads(ITEM, kernel.blocks, 2)
            for block in kernel.blocks:
                self._block(block)
        for row, name in enumerate(kernel.totals):
            put(f"out[{row}] = {self.names.of(name) if name in added else '0.0'}", 1)
        if not kernel.totals and not any(block.statements for block in kernel.blocks):
            put("pass", 1)

    def _added(self, blocks: list[Block], level: int) -> list[str]:
        chosen = [block for block in blocks if block.level == level]
        return [item.name for block in chosen for item in block.statements if isinstance(item, Add)]

    def _block(self, block: Block) -> None:
        if block.level == ITEM:
            for statement in block.statements:
                self._statement(statement, 2)
            return
        if not block.statements:
            return
        for name in self._added([block], ENTRY):
            self.lines.put(f"{self.names.of(name)} = 0.0", 2)
        self.lines.put("for e in range(start[c], start[c + 1]):", 2)
        if any(access.index == "gather" for _, access in inputs_at(self.kernel, ENTRY, [block])):
            self.lines.put("v = voxel[e]", 3)
        self._loads(ENTRY, [block], 3)
        for statement in block.statements:
            self._statement(statement, 3)

    def _loads(self, level: int, blocks: list[Block], indent: int) -> None:
        for name, access in inputs_at(self.kernel, level, blocks):
            text = self._element(access)
            if text != self.names.of(name):
                self.lines.put(f"{self.names.of(name)} = {text}", indent)

    def _element(self, access: Access) -> str:
        index = {"item": self.kernel.item, "entry": "e", "gather": "v", None: None}[access.index]
        inside = [part for part in (access.row, index) if part is not None]
        return f"{access.array}[{', '.join(inside)}]" if inside else access.array

    def _statement(self, statement: Statement, indent: int) -> None:
        self.lines.comment("" if isinstance(statement, Store) else statement.comment, indent)
        value = self._text(statement.value)
        if isinstance(statement, Store):
            row = [] if statement.row < 0 else [str(statement.row)]
            index = "e" if indent == 3 else self.kernel.item
            mark = "+=" if statement.increment else "="
            target = f"{statement.array}[{', '.join([*row, index])}]"
            self.lines.put_with_note(f"{target} {mark} {value}", statement.comment, indent)
        else:
            mark = "+=" if isinstance(statement, Add) else "="
            self.lines.put(f"{self.names.of(statement.name)} {mark} {value}", indent)

    def _text(self, value: Expr) -> str:
        return expression_text(value, self.names.of, _FORMATS)

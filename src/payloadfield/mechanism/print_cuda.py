"""Printer for CUDA: one device function per generated function, the work of one thread on one cell or voxel.

The kernels around them, with guards, shapes and units, are kernels/cells.cu and kernels/voxels.cu.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import replace

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
    names_read,
)
from payloadfield.mechanism.naming import Names
from payloadfield.mechanism.nodes import Expr, expression_text
from payloadfield.mechanism.source import WIDTH, Lines, inputs_at

_WORDS = """
real small item own smaller larger power block_sum block_partial accumulate divergence inflow fabs v n_open n_entry
threadIdx blockIdx blockDim gridDim warpSize BLOCK DYNAMIC_SHARED N_FIELDS N_STATES N_EXCHANGED N_SCHUR N_VOXEL_PAIRS
N_BATH_PAIRS N_PARAMETERS N_CELL_PARAMETERS N_ACCUMULATORS N_CONTACTS and or not xor asm catch const_cast compl decltype
dynamic_cast explicit export friend mutable namespace noexcept nullptr protected reinterpret_cast static_cast
static_assert thread_local throw try typeid typename using virtual wchar_t char8_t char16_t char32_t alignas alignof
concept constexpr consteval constinit co_await co_return co_yield requires bitand bitor and_eq or_eq not_eq xor_eq
final override NULL NAN INFINITY assert linux unix
"""
RESERVED = tuple(_WORDS.split())
_FORMATS = {
    "**": "power({0}, {1})",
    "min": "smaller({0}, {1})",
    "max": "larger({0}, {1})",
    "if_less": "({0} < {1} ? {2} : {3})",
}
_NUMBER = "real({})"
Shares = Mapping[int, tuple[int, int]]
_CLAMPED = ("base_fields", "base_states")
_INTEGERS = ("start", "voxel", "cap_index")
_SCALARS = {"sg": "const real sg", "sign": "const real sign", "f": "const int f"}


class CudaLines(Lines):
    """Lines of CUDA: comments after //, long lines broken at spaces."""

    def put(self, text: str = "", indent: int = 0) -> None:
        """One logical line."""
        lead = "    " * indent
        parts = [text] if len(lead) + len(text) <= WIDTH else textwrap.wrap(text, WIDTH - len(lead) - 4)
        self.lines.extend((lead + ("    " if number else "") + part).rstrip() for number, part in enumerate(parts))

    def put_with_note(self, text: str, note: str, indent: int) -> None:
        """One logical line with a comment before it."""
        self.comment(note, indent)
        self.put(text, indent)

    def comment(self, text: str, indent: int = 0) -> None:
        """A comment of its own line, if there is one."""
        if text:
            self.lines.append("    " * indent + f"// {text}"[: WIDTH - 4 * indent].rstrip("\\ "))


def print_constants(constants: Mapping[str, int], lines: Lines) -> None:
    """Sizes of the mechanism's arrays."""
    for name, value in constants.items():
        lines.put(f"#define {name} {value}")


def print_function(function: Function, names: Names, lines: Lines, shares: Shares | None = None) -> None:
    """One generated function; its branches, if there are any, as functions of their own.

    shares: row of the followed state, and how many shares it has, by row of each share.
    """
    if function.selector is None:
        _Body(function.kernels[0], names, lines, shares or {}).print(function.name, function.doc)
        return
    for kernel in function.kernels:
        _Body(kernel, names, lines, shares or {}).print(kernel.name, f"{function.name} for {kernel.doc}.")
    lines.put()
    lines.comment(function.doc)
    outputs = {name for kernel in function.kernels for name in _written(kernel)}
    _print_header(function.name, function.arguments, "c", outputs, lines)
    passed = ", ".join([*_sizes(function.arguments, "c"), *function.arguments])
    for number, kernel in enumerate(function.kernels):
        lines.put(f"if ({function.selector} == {number}) {kernel.name}_at({passed});", 1)
    lines.put("}")


def _sizes(arguments: tuple[str, ...], item: str) -> list[str]:
    """The item's number, and the lengths of what is indexed by items, voxels and entries."""
    if item == "v":
        return ["v", "n"]
    return ["c", "n_cell", "n_open", "n_entry"] if "start" in arguments else ["c", "n_cell"]


def _print_header(name: str, arguments: tuple[str, ...], item: str, outputs: set[str], lines: Lines) -> None:
    declared = [f"const long long {size}" for size in _sizes(arguments, item)]
    declared += [_declaration(argument, argument in outputs) for argument in arguments]
    lines.put(f"__device__ __forceinline__ void {name}_at(")
    whole = ", ".join(text.replace(" ", "~") for text in declared)  # broken between declarations, not within
    for part in textwrap.wrap(whole, WIDTH - 4, break_long_words=False, break_on_hyphens=False):
        lines.put(part.replace("~", " "), 1)
    lines.put(") {")


def _declaration(argument: str, is_output: bool) -> str:
    if argument in _SCALARS:
        return _SCALARS[argument]
    if argument in _INTEGERS:
        return f"const long long* __restrict__ {argument}"
    return f"{'' if is_output else 'const '}real* __restrict__ {argument}"


def _written(kernel: Kernel) -> set[str]:
    """Arrays that a kernel writes."""
    stored = {item.array for block in kernel.blocks for item in block.statements if isinstance(item, Store)}
    return stored | ({"out"} if kernel.totals else set())


class _Body:
    """Prints one kernel as what a thread does for item c or v."""

    def __init__(self, kernel: Kernel, names: Names, lines: Lines, shares: Shares) -> None:
        self.kernel, self.names, self.lines, self.shares = kernel, names, lines, shares
        self.waiting: dict[str, Access] = {}

    def print(self, name: str, doc: str) -> None:
        kernel, lines = self.kernel, self.lines
        lines.put()
        lines.comment(doc)
        _print_header(name, kernel.arguments, kernel.item, _written(kernel), lines)
        self._loads(STUDY, kernel.blocks, 1)
        for statement in kernel.prelude:
            self._statement(statement, 1)
        self.waiting = dict(inputs_at(kernel, ITEM, kernel.blocks))
        for block in kernel.blocks:
            self._block(block)
        lines.put("}")

    def _block(self, block: Block) -> None:
        if block.level == ITEM:
            for statement in block.statements:
                self._load_for([statement])
                self._statement(statement, 1)
        elif block.statements:
            self._entries(block)

    def _entries(self, block: Block) -> None:
        """The loop over the entries of a cell's footprint."""
        put = self.lines.put
        self._load_for(block.statements)
        for statement in block.statements:
            if isinstance(statement, Add):
                put(f"real {self.names.of(statement.name)} = real(0);", 1)
        put("for (long long e = start[c]; e < start[c + 1]; ++e) {", 1)
        if any(access.index == "gather" for _, access in inputs_at(self.kernel, ENTRY, [block])):
            put("const long long v = voxel[e];", 2)
        self._loads(ENTRY, [block], 2)
        for statement in block.statements:
            self._statement(statement, 2)
        put("}", 1)

    def _load_for(self, statements: list[Statement]) -> None:
        """Load what is read here for the first time: what were loaded all at once would need more registers."""
        read = names_read(statements)
        self._load([(name, self.waiting.pop(name)) for name in list(self.waiting) if name in read], 1)

    def _loads(self, level: int, blocks: list[Block], indent: int) -> None:
        self._load(inputs_at(self.kernel, level, blocks), indent)

    def _load(self, inputs: Iterable[tuple[str, Access]], indent: int) -> None:
        for name, access in inputs:
            text = self._base(access) if access.array in _CLAMPED else self._element(access)
            if text != self.names.of(name):
                self.lines.put(f"const real {self.names.of(name)} = {text};", indent)

    def _base(self, access: Access) -> str:
        """Where Jacobians are taken, which is not stored on a GPU: not below zero; shares so that they add up to it."""
        text = self._element(access)
        if access.array != "base_states" or access.row is None or int(access.row) not in self.shares:
            return f"larger({text}, real(0))"
        row, count = self.shares[int(access.row)]
        total = self._element(replace(access, row=str(row)))
        return f"{text} + (larger({total}, real(0)) - {total}) / real({count})"

    def _element(self, access: Access) -> str:
        index, stride = {
            "item": (self.kernel.item, "n_cell" if self.kernel.item == "c" else "n"),
            "entry": ("e", "n_entry"),
            "gather": ("v", "n_open"),
            None: (None, ""),
        }[access.index]
        if index is None:
            return access.array if access.row is None else f"{access.array}[{access.row}]"
        return (
            f"{access.array}[{index}]" if access.row is None else f"{access.array}[{access.row} * {stride} + {index}]"
        )

    def _statement(self, statement: Statement, indent: int) -> None:
        value, put = self._text(statement.value), self.lines.put
        if isinstance(statement, Store):
            level, row = ("entry" if indent == 2 else "item"), None if statement.row < 0 else str(statement.row)
            target = self._element(Access(statement.array, row, level, ITEM))
            mark = "+=" if statement.increment else "="
            self.lines.put_with_note(f"{target} {mark} {value};", statement.comment, indent)
            return
        self.lines.comment(statement.comment, indent)
        if isinstance(statement, Add) and indent == 1:
            put(f"out[{self.kernel.totals.index(statement.name)}] = {value};", indent)
        elif isinstance(statement, Add):
            put(f"{self.names.of(statement.name)} += {value};", indent)
        else:
            put(f"const real {self.names.of(statement.name)} = {value};", indent)

    def _text(self, value: Expr) -> str:
        return expression_text(value, self.names.of, _FORMATS, _NUMBER)

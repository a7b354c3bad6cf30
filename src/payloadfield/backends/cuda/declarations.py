"""Declarations of the kernels, read from their sources: parameter list and the comment above are the one truth.

A comment has the equation, then a sentence, then
    over: n | n by n_rows | 32 n        what the threads are spread over
    over: blocks of n | one block       ... or the blocks; one wide block has four times the threads
    shared: 3 n_node small              dynamic shared memory, if any
    twin: NAME                          the NumPy operation that the kernel equals
and one line for each parameter: name, shape or `scalar`, [unit], note. In the note, `in place` says that an output is
also read, `moves (shape)` that no more than this of the array is moved, `up to NAME` and `below NAME` bound an integer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from payloadfield.errors import BackendError
from payloadfield.resources import find_folder

_KERNEL = re.compile(
    r'((?://[^\n]*\n)+)extern "C" __global__ void __launch_bounds__\((?:4 \* )?BLOCK(?:, 1)?\) (\w+)\((.*?)\) \{',
    re.DOTALL,
)
_PARAMETER = re.compile(r"(const )?(long long|int|real|small|float|double)(\*)?( __restrict__)? (\w+)")
_LINE = re.compile(r"//   (\w+)\s+(scalar|\([^)]*\))\s+\[([^\]]*)\] ?(.*)")
_KEY = re.compile(r"// (over|shared|twin): (.*)")
_MOVES = re.compile(r"moves \(([^)]*)\)")


@dataclass(frozen=True)
class Parameter:
    """One parameter: C type, whether array and whether written, dimensions by name, unit; see the module's text.

    shape: names, numbers or `name+1` of an array. moved: the same of what is moved where that is less, else shape.
    """

    name: str
    ctype: str
    is_array: bool
    is_written: bool
    shape: tuple[str, ...]
    moved: tuple[str, ...]
    unit: str
    note: str

    @property
    def is_read(self) -> bool:
        """Whether the kernel reads it."""
        return not self.is_written or "in place" in self.note


@dataclass(frozen=True)
class Kernel:
    """One kernel: file, equation, text, what it runs over, its twin, parameters in order; see the module's text."""

    name: str
    file: str
    equation: str
    text: str
    over: str
    shared: str
    twin: str
    parameters: tuple[Parameter, ...]


def kernel_files() -> tuple[str, ...]:
    """Names of the source files, without their ending."""
    return tuple(sorted(path.stem for path in find_folder("kernels").glob("*.cu")))


def read_file(name: str) -> str:
    """Text of a file of the kernels' folder."""
    return Path(find_folder("kernels") / name).read_text(encoding="utf-8")


@cache
def read_kernels(file: str) -> dict[str, Kernel]:
    """The kernels of one source file by name, in its order.  Raises BackendError for a comment that does not fit."""
    text = read_file(f"{file}.cu")
    kernels = [_read_kernel(file, *match.groups()) for match in _KERNEL.finditer(text)]
    if len(kernels) != text.count("__global__"):
        raise BackendError(f"kernels/{file}.cu: a kernel is not declared as the others are, or has no comment above it")
    return {kernel.name: kernel for kernel in kernels}


def _read_kernel(file: str, comment: str, name: str, parameters: str) -> Kernel:
    where = f"kernels/{file}.cu, {name}"
    lines = comment.splitlines()
    keys = {match[1]: match[2].strip() for match in map(_KEY.fullmatch, lines) if match}
    described = {match[1]: match for match in map(_LINE.fullmatch, lines) if match}
    declared = [_PARAMETER.fullmatch(part.strip()) for part in parameters.split(",")]
    if any(match is None for match in declared) or not {"over", "twin"} <= set(keys):
        raise BackendError(f"{where}: a parameter's type is unknown, or `over` or `twin` is missing")
    names = [match[5] for match in declared if match]
    if sorted(names) != sorted(described):
        raise BackendError(f"{where}: the comment describes {sorted(described)}; declared are {sorted(names)}")
    empty = lines.index("//")
    prose = [line[3:] for line in lines[empty + 1 :] if not (_KEY.fullmatch(line) or _LINE.fullmatch(line))]
    return Kernel(
        name=name, file=file, equation=" ".join(line[3:] for line in lines[:empty]), text=" ".join(prose),
        over=keys["over"], shared=keys.get("shared", ""), twin=keys["twin"],
        parameters=tuple(_read_parameter(match, described[match[5]], where) for match in declared if match),
    )  # fmt: skip


def _read_parameter(declared: re.Match[str], described: re.Match[str], where: str) -> Parameter:
    is_const, ctype, star, _, name = declared.groups()
    _, shape, unit, note = described.groups()
    if bool(star) == (shape == "scalar") or not (star or is_const):
        raise BackendError(f"{where}: {name} is declared as {declared[0]!r} and described as {shape}")
    dimensions = _dimensions(shape) if star else ()
    moves = _MOVES.search(note)
    moved = _dimensions(moves[0].removeprefix("moves ")) if moves else dimensions
    return Parameter(name, ctype, bool(star), not is_const, dimensions, moved, unit, note)


def _dimensions(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.strip("()").split(",") if part.strip())

"""The check of every launch: CuPy compares neither types nor shapes, and a wrong one is a wrong result or a crash.

An argument is refused unless its dtype is that of the declaration, it has as many dimensions, is C-contiguous, agrees
with the other arguments in every dimension of the same name, and, where it is written, shares memory with no other.
Scalars are turned into exactly the declared type: to a kernel a Python float is a double and an int a long long.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from payloadfield.backends.cuda.declarations import Kernel, Parameter
from payloadfield.errors import BackendError

_DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(code) for name, code in (("double", "f8"), ("float", "f4"), ("int", "i4"), ("long long", "i8"))
}
WIDE, WIDER = "one wide block", 4
"""What a block is called that has more threads than the others, and how many times as many."""

_BOUND = re.compile(r"(up to|below) (\w+)")


@dataclass(frozen=True)
class Build:
    """What a source is compiled for: types of the state and of the preconditioner, threads in a block.

    real, small: "double" or "float". block: a power of two.
    """

    real: str = "double"
    small: str = "float"
    block: int = 256

    def __post_init__(self) -> None:
        """Refuse types and block sizes that the kernels are not written for."""
        if {self.real, self.small} - {"double", "float"}:
            raise BackendError(f"kernels: got real = {self.real}, small = {self.small}; allowed: double, float")
        if self.block & (self.block - 1) or not 2 <= self.block <= 256:
            raise BackendError(f"kernels: got {self.block} threads a block; a power of two from 2 to 256 is needed")

    def dtype(self, ctype: str) -> np.dtype[Any]:
        """NumPy's type for a type of the sources."""
        return _DTYPES[self.real if ctype == "real" else self.small if ctype == "small" else ctype]


@dataclass(frozen=True)
class Launch:
    """A checked launch: grid in blocks (x, y), threads a block, bytes of dynamic shared memory, arguments to pass."""

    kernel: str
    grid: tuple[int, int]
    block: int
    shared: int
    arguments: tuple[Any, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do; a grid without blocks must not be launched."""
        return 0 in self.grid


def check_launch(
    kernel: Kernel, arguments: Sequence[Any], build: Build, constants: Mapping[str, int] | None = None
) -> Launch:
    """Check the arguments of a kernel and find its grid.

    constants: sizes of the mechanism's arrays, such as N_STATES. Raises BackendError for an argument that does not fit.
    """
    where = f"kernel {kernel.name}"
    if len(arguments) != len(kernel.parameters):
        raise BackendError(f"{where}: got {len(arguments)} arguments; {len(kernel.parameters)} are needed")
    sizes = {"n_designs": 1} | dict(constants or {})
    pairs = list(zip(kernel.parameters, arguments, strict=True))
    values = [value if p.is_array else _cast(where, p, value, build) for p, value in pairs]
    sizes |= {p.name: int(v) for p, v in zip(kernel.parameters, values, strict=True) if _is_size(p)}
    grid = _grid(where, kernel.over, sizes, build.block)
    sizes["n_blocks"] = grid[0]
    for parameter, value in pairs:
        if parameter.is_array:
            _check_array(where, parameter, value, build, sizes)
    _check_bounds(where, kernel, sizes)
    _check_overlap(where, pairs)
    threads = build.block * (WIDER if kernel.over.startswith(WIDE) else 1)
    return Launch(kernel.name, grid, threads, _shared_bytes(kernel.shared, sizes, build), tuple(values))


def _is_size(parameter: Parameter) -> bool:
    return not parameter.is_array and parameter.ctype in ("int", "long long")


def _cast(where: str, parameter: Parameter, value: Any, build: Build) -> Any:
    """A scalar in exactly the declared type."""
    dtype = build.dtype(parameter.ctype)
    if dtype.kind == "f":
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise BackendError(f"{where}, {parameter.name}: got {value!r:.60}; a number is needed [{parameter.unit}]")
        return dtype.type(value)
    limits = np.iinfo(dtype)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise BackendError(f"{where}, {parameter.name}: got {value!r:.60}; a whole number is needed")
    if not 0 <= operator.index(value) <= limits.max:
        raise BackendError(f"{where}, {parameter.name}: got {value}; allowed: 0 .. {limits.max}")
    return dtype.type(value)


def _grid(where: str, over: str, sizes: Mapping[str, int], block: int) -> tuple[int, int]:
    """Blocks along x and y."""
    items, _, rows = over.partition(" by ")
    if items in ("one block", WIDE):
        blocks = 1
    elif items.startswith("blocks of "):
        blocks = sizes[items.removeprefix("blocks of ")]
    else:
        factor, _, name = items.rpartition(" ")
        blocks = -(-int(factor or 1) * sizes[name] // block)
    grid = blocks, sizes[rows] if rows else 1
    if grid[0] >= 2**31 or grid[1] >= 2**16:
        raise BackendError(f"{where}: a grid of {grid[0]} x {grid[1]} blocks is more than a GPU takes")
    return grid


def _check_array(where: str, parameter: Parameter, value: Any, build: Build, sizes: dict[str, int]) -> None:
    dtype = build.dtype(parameter.ctype)
    if not hasattr(value, "dtype") or not hasattr(value, "flags"):
        raise _refuse(where, parameter, dtype, type(value).__name__)
    shape = parameter.shape
    if shape[:1] == ("n_designs",) and sizes["n_designs"] == 1 and value.ndim == len(shape) - 1:
        shape = shape[1:]  # a lone design may leave out its axis
    if value.dtype != dtype or value.ndim != len(shape):
        raise _refuse(where, parameter, dtype, f"{value.dtype} {tuple(value.shape)}")
    if not value.flags.c_contiguous:
        raise _refuse(where, parameter, dtype, f"{value.dtype} {tuple(value.shape)} with gaps or in another order")
    for name, size in zip(shape, value.shape, strict=True):
        expected = _size(name, sizes, size)
        if expected != size:
            got = f"{value.dtype} {tuple(value.shape)}, and {name} = {expected}"
            raise _refuse(where, parameter, dtype, got)


def _refuse(where: str, parameter: Parameter, dtype: np.dtype[Any], got: str) -> BackendError:
    shape = ", ".join(parameter.shape)
    return BackendError(
        f"{where}, {parameter.name}: got {got}; an array {dtype} ({shape}), C-contiguous, [{parameter.unit}], is needed"
    )


def _size(name: str, sizes: dict[str, int], found: int) -> int:
    """What a dimension has to be; one that is named for the first time becomes what was found."""
    if name.isdigit():
        return int(name)
    base, _, more = name.partition("+")
    return sizes.setdefault(base, found - int(more or 0)) + int(more or 0)


def _check_bounds(where: str, kernel: Kernel, sizes: Mapping[str, int]) -> None:
    """Refuse a count or an index that would reach outside of an array."""
    for parameter in kernel.parameters:
        bound = _BOUND.search(parameter.note) if _is_size(parameter) else None
        if bound is None:
            continue
        value, limit = sizes[parameter.name], sizes[bound[2]]
        if value > limit or (value == limit and bound[1] == "below"):
            raise BackendError(f"{where}, {parameter.name}: got {value}; allowed: {bound[0]} = {limit}")


def _check_overlap(where: str, pairs: Sequence[tuple[Parameter, Any]]) -> None:
    """Refuse an output in whose memory another argument lies: the kernels promise the compiler that none does."""
    spans = [(p, *_span(value)) for p, value in pairs if p.is_array and value.size]
    for output, first, last in spans:
        for other, start, end in spans:
            if output.is_written and other is not output and first < end and start < last:
                raise BackendError(f"{where}: {output.name} is written and shares memory with {other.name}")


def _span(array: Any) -> tuple[int, int]:
    table = getattr(array, "__cuda_array_interface__", None) or array.__array_interface__
    first = int(table["data"][0])
    return first, first + int(array.nbytes)


def _shared_bytes(text: str, sizes: Mapping[str, int], build: Build) -> int:
    if not text:
        return 0
    count, name, ctype = text.split()
    return int(count) * sizes[name] * build.dtype(ctype).itemsize

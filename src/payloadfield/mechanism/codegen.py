"""Code generated from a mechanism, and its cache.

The generated file is a module like any other, to be read, stepped through and imported; it lies in the cache directory
under a name that its content decides, so that Numba keeps its machine code beside it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sized
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import cast

from payloadfield.errors import MechanismError
from payloadfield.mechanism import print_cuda, print_numba, print_numpy
from payloadfield.mechanism.assignments import ENTRY, STUDY, Block, Function, Kernel
from payloadfield.mechanism.cell_kernels import CellKernels
from payloadfield.mechanism.field_kernels import FieldKernels
from payloadfield.mechanism.lowering import lower
from payloadfield.mechanism.model import Mechanism
from payloadfield.mechanism.naming import Names
from payloadfield.mechanism.nodes import Call, Expr, walk
from payloadfield.mechanism.source import Lines
from payloadfield.units import AVOGADRO_NM_UM3

GENERATOR = 1
"""Version of the generator; it is written into every generated file."""
CELL_CHUNK = 256
VOXEL_CHUNK = 4096
PYTHON_TARGETS = {"numpy": print_numpy, "numba": print_numba}
TARGETS = (*PYTHON_TARGETS, "cuda")
_MODULES = "payloadfield_generated"  # how the names of generated modules begin


@dataclass(frozen=True)
class GeneratedCode:
    """Generated source, the file that it lies in, the module imported from it, and counts of what it does per cell.

    For CUDA the module holds the constants alone; the source waits to be compiled together with kernels/.
    """

    source: str
    path: Path
    module: ModuleType
    counts: dict[str, int]


@dataclass(frozen=True)
class Program:
    """All generated functions of a mechanism in the form that every target is printed from."""

    mechanism: Mechanism
    functions: tuple[Function, ...]
    constants: dict[str, object]
    counts: dict[str, int]


def generate(mechanism: Mechanism, target: str) -> GeneratedCode:
    """Generate, cache and import the functions of a mechanism.

    target: "numpy", "numba" or "cuda". The cache is PAYLOADFIELD_CACHE, or else the user's cache directory.
    Raises MechanismError if the target is unknown or the cache cannot be written.
    """
    if target not in TARGETS:
        raise MechanismError(f"generate: got target '{target}'; allowed: {', '.join(TARGETS)}")
    key = (mechanism.digest, mechanism.name, mechanism.file, target, cache_directory())
    made = _MADE.get(key)
    if made is None or not _holds(made.path, made.source):
        if len(_MADE) >= _MOST_MADE:
            _MADE.clear()
        made = _MADE[key] = _generate(mechanism, target)
    return made


_MADE: dict[tuple[str, str, str, str, Path], GeneratedCode] = {}
_MOST_MADE = 32  # mechanisms kept by one process, whose designs differ in numbers far more often than in reactions


def _generate(mechanism: Mechanism, target: str) -> GeneratedCode:
    program = make_program(mechanism)
    source = print_program(program, target)
    path = _write_once(mechanism.name, target, source)
    module = _import(path) if target in PYTHON_TARGETS else _constants_alone(path, program)
    return GeneratedCode(source, path, module, program.counts)


def cache_directory() -> Path:
    """Where generated code is kept."""
    chosen = os.environ.get("PAYLOADFIELD_CACHE")
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("payloadfield"))


def make_program(mechanism: Mechanism) -> Program:
    """Derive, eliminate and lower: everything but the printing."""
    cells, voxel, bath = CellKernels(mechanism), FieldKernels(mechanism, "voxel"), FieldKernels(mechanism, "bath")
    functions = tuple(_lowered(item) for item in (*cells.functions(), *voxel.functions(), *bath.functions()))
    constants = {
        "FIELDS": mechanism.field_names,
        "STATES": mechanism.state_names,
        "EXCHANGED": cells.exchanged,
        "ANSWERING": cells.answering,
        "ABSORBING": cells.absorbing,
        "N_LU": len(cells.slots),
        "SCHUR_PAIRS": cells.schur_pairs,
        "N_SCHUR": cells.n_schur,
        "VOXEL_PAIRS": voxel.pairs,
        "BATH_PAIRS": bath.pairs,
    }
    counts = {"n_jacobian": cells.plan.n_nonzero, "n_lu": cells.plan.n_lu}
    for function in functions:
        counts[f"flops_{function.name}"] = sum(_flops(kernel, at_entry=False) for kernel in function.kernels)
        counts[f"flops_{function.name}_entry"] = sum(_flops(kernel, at_entry=True) for kernel in function.kernels)
    return Program(mechanism, functions, constants, counts)


def print_program(program: Program, target: str) -> str:
    """The source of a module for one target."""
    if target == "cuda":
        return _print_cuda(program)
    printer, mechanism = PYTHON_TARGETS[target], program.mechanism
    lines = Lines()
    lines.put(f'"""Mechanism {_one_line(mechanism.name)!r} for {target}: generated, do not edit.')
    lines.put()
    lines.put(f"From {_one_line(mechanism.file)}, sha256 {mechanism.digest}, by generator {GENERATOR}.")
    lines.put("Fields in nM, states in molecules, lengths in um, times in s; arrays are float64 and C-contiguous.")
    lines.put('"""')
    lines.put(printer.PREAMBLE.rstrip())
    lines.put()
    _print_constants(program, lines)
    if _uses_hill(program):
        lines.put()
        lines.put(printer.HELPERS.rstrip())
    names = Names([*mechanism.field_names, *mechanism.state_names, *(item.name for item in mechanism.parameters)])
    for function in program.functions:
        printer.print_function(function, names, lines)
    return lines.text()


def _print_cuda(program: Program) -> str:
    mechanism, lines = program.mechanism, print_cuda.CudaLines()
    lines.comment(f"Mechanism '{_one_line(mechanism.name)}' for cuda: generated, do not edit.")
    lines.comment(f"From {_one_line(mechanism.file)}, sha256 {mechanism.digest}, by generator {GENERATOR}.")
    lines.comment("Fields in nM, states in molecules, lengths in um, times in s; arrays are C-contiguous.")
    lines.put(f"#define N_A real({AVOGADRO_NM_UM3!r})")
    print_cuda.print_constants(array_sizes(program), lines)
    own = [*mechanism.field_names, *mechanism.state_names, *(item.name for item in mechanism.parameters)]
    names = Names(own, print_cuda.RESERVED)
    row = {name: number for number, name in enumerate(mechanism.state_names)}
    shares = {row[part]: (row[item.state], len(item.parts)) for item in mechanism.followed for part in item.parts}
    for function in program.functions:
        print_cuda.print_function(function, names, lines, shares)
    return lines.text()


def array_sizes(program: Program) -> dict[str, int]:
    """Sizes of the arrays that the generated functions work on, by the names that CUDA sources use."""
    mechanism, known = program.mechanism, program.constants
    lengths: dict[str, Sized] = {
        "N_FIELDS": mechanism.fields,
        "N_STATES": mechanism.states,
        "N_PARAMETERS": mechanism.study_parameters,
        "N_CELL_PARAMETERS": mechanism.cell_parameters,
        "N_ACCUMULATORS": mechanism.accumulators,
        "N_CONTACTS": mechanism.contacts,
    }
    of_constants = {"N_EXCHANGED": "EXCHANGED"}
    of_constants |= {"N_VOXEL_PAIRS": "VOXEL_PAIRS", "N_BATH_PAIRS": "BATH_PAIRS"}
    lengths |= {name: cast(Sized, known[constant]) for name, constant in of_constants.items()}
    return {name: len(items) for name, items in lengths.items()} | {k: cast(int, known[k]) for k in ("N_LU", "N_SCHUR")}


def _constants_alone(path: Path, program: Program) -> ModuleType:
    """A module with the constants that the Python targets have, and the sizes of the arrays."""
    module = ModuleType(path.stem)
    vars(module).update(program.constants, N_A=AVOGADRO_NM_UM3, **array_sizes(program))
    return module


def _uses_hill(program: Program) -> bool:
    return any(
        isinstance(node, Call) and node.op in ("hill", "hill_slope")
        for function in program.functions
        for kernel in function.kernels
        for block in (*kernel.blocks, Block(STUDY, kernel.prelude))
        for statement in block.statements
        for node in walk(statement.value)
    )


def _one_line(text: str) -> str:
    """A name that can stand in a docstring."""
    return "".join(mark if mark.isprintable() and mark not in "\\\"'" else "?" for mark in text)[:80]


def _print_constants(program: Program, lines: Lines) -> None:
    lines.put(f"N_A = {AVOGADRO_NM_UM3!r}  # molecules per nM um^3")
    for name, value in program.constants.items():
        lines.put(f"{name} = {value!r}")
    lines.put(f"CELL_CHUNK = {CELL_CHUNK}")
    lines.put(f"VOXEL_CHUNK = {VOXEL_CHUNK}")


def _lowered(function: Function) -> Function:
    kernels = tuple(lower(kernel) for kernel in function.kernels)
    return Function(function.name, function.doc, function.arguments, kernels, function.selector)


def _flops(kernel: Kernel, at_entry: bool) -> int:
    """Operations per cell, or per footprint entry."""
    chosen = [block for block in kernel.blocks if (block.level == ENTRY) == at_entry]
    return sum(_operations(item.value) for block in chosen for item in block.statements)


def _operations(expr: Expr) -> int:
    if not isinstance(expr, Call):
        return 0
    own = Counter({"+": len(expr.args) - 1, "*": len(expr.args) - 1}).get(expr.op, 1)
    return own + sum(_operations(arg) for arg in expr.args)


def _write_once(name: str, target: str, source: str) -> Path:
    """The file with this source; written under a temporary name and moved, so that no half of it is ever read."""
    key = hashlib.sha256((_MODULES + source).encode()).hexdigest()[:16]
    stem = "".join(character if character.isalnum() and character.isascii() else "_" for character in name)[:40]
    directory = cache_directory() / "mechanisms"
    path = directory / f"{stem}_{target}_{key}.{'cu' if target == 'cuda' else 'py'}"
    try:
        if _holds(path, source):
            return path
        directory.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=directory, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(source)
        os.replace(temporary, path)
    except (OSError, UnicodeDecodeError) as error:
        raise MechanismError(
            f"generated code cannot be kept in {directory}: {error}; "
            "set PAYLOADFIELD_CACHE to a directory that can be written"
        ) from error
    return path


def _holds(path: Path, source: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == source


def _import(path: Path) -> ModuleType:
    # Named by content alone: Numba keeps the name in its machine code, which has to hold where the cache was moved.
    name = f"{_MODULES}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module

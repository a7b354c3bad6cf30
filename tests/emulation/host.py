"""The kernels built for the host by g++ and called through ctypes, every launch checked as on a GPU."""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from payloadfield.backends.cuda.declarations import read_file
from payloadfield.backends.cuda.loader import list_kernels, make_preamble
from payloadfield.backends.cuda.signature import Build, check_launch
from payloadfield.mechanism.codegen import cache_directory

HEADER = Path(__file__).with_name("host_cuda.h")
WARNINGS = ("-Wall", "-Werror", "-Wno-unused-variable", "-Wno-unknown-pragmas", "-Wno-array-bounds")
# -Bsymbolic: a kernel named as a function of the C library (advance) is our own.
OPTIONS = ("-std=c++17", "-O1", "-ffp-contract=off", "-fPIC", "-shared", "-Wl,-Bsymbolic", *WARNINGS)
BLOCK = 32
BARRIERS = ("__syncthreads", "block_sum", "block_partial", "block_total", "block_largest", "accumulate", "smooth_level")
TOLERANCE = {"double": 1e-12, "float": 1e-5}


def require_compiler():
    """g++, or a skip that says so; with PAYLOADFIELD_REQUIRE_GXX=1 a failure."""
    if shutil.which("g++"):
        return
    reason = "g++ is not installed: the kernels are not run on the host"
    if os.environ.get("PAYLOADFIELD_REQUIRE_GXX") == "1":
        pytest.fail(f"{reason}, and PAYLOADFIELD_REQUIRE_GXX=1 asks for it")
    pytest.skip(reason)


class HostKernels:
    """One build of the kernels for the host: those around a mechanism's functions if there is one, or the others."""

    def __init__(self, build, code=None, once=False):
        """once: run every launch once, upwards only; otherwise twice."""
        self.build, self.once = build, once
        self.kernels = list_kernels(of_mechanism=code is not None)
        self.constants = {} if code is None else {k: v for k, v in vars(code.module).items() if k.startswith("N_")}
        self.library = ctypes.CDLL(str(compile_library(make_unit(build, self.kernels, code))))

    def launch(self, name, *arguments):
        """Run a kernel twice, threads upwards and downwards: the same bits, or an error."""
        checked = check_launch(self.kernels[name], arguments, self.build, self.constants)
        if not checked.is_empty:
            self.run_checked(checked)
        return checked

    def run_checked(self, checked):
        """Run a checked launch, once or twice."""
        if self.once:
            self.call(checked, descending=False)
            return
        name = checked.kernel
        pairs = zip(self.kernels[name].parameters, checked.arguments, strict=True)
        outputs = [array for parameter, array in pairs if parameter.is_written]
        before = [array.copy() for array in outputs]
        self.call(checked, descending=True)
        downwards = [array.copy() for array in outputs]
        for array, values in zip(outputs, before, strict=True):
            array[...] = values
        self.call(checked, descending=False)
        for array, values in zip(outputs, downwards, strict=True):
            np.testing.assert_array_equal(array, values, err_msg=f"{name}: the order of threads matters")

    def call(self, checked, descending):
        """One run of a checked launch."""
        shape = (ctypes.c_longlong * 4)(*checked.grid, checked.block, checked.shared)
        passed = [as_c(value) for value in checked.arguments]
        if getattr(self.library, f"host_{checked.kernel}")(shape, ctypes.c_int(descending), *passed):
            raise RuntimeError(f"{checked.kernel}: the threads of a block disagree about a barrier")


def as_c(value):
    """A checked argument as ctypes passes it."""
    if isinstance(value, np.ndarray):
        return ctypes.c_void_p(value.ctypes.data)
    return np.ctypeslib.as_ctypes_type(value.dtype)(value.item())


def make_unit(build, kernels, code):
    """One translation unit: the header, every source as it is compiled for a GPU, and a C function per kernel."""
    files = dict.fromkeys(kernel.file for kernel in kernels.values())
    texts = [read_file(f"{file}.cu") for file in files]
    wrappers = [make_wrapper(kernel, build) for kernel in kernels.values()]
    preamble = make_preamble(build, "" if code is None else code.source)
    return "\n".join([f'#include "{HEADER.name}"', preamble, *texts, *wrappers])


def has_barriers(kernel):
    """Whether a kernel meets barriers: not told by its declaration, so read from its body; true if there is none."""
    body = re.search(rf"void __launch_bounds__[^{{]* {kernel.name}\(.*?\n\}}\n", find_text(kernel), re.DOTALL)
    return body is None or any(word in body[0] for word in BARRIERS)


def find_text(kernel):
    """The source of a kernel, or nothing for one made up by a test."""
    return read_file(f"{kernel.file}.cu") if kernel.file else ""


def make_wrapper(kernel, build):
    """A C function that runs a kernel over a grid."""
    plain = {"real": build.real, "small": build.small}
    declared = [f"{plain.get(p.ctype, p.ctype)}{'*' if p.is_array else ''} {p.name}" for p in kernel.parameters]
    fibres = "true" if has_barriers(kernel) else "false"
    names, given = ", ".join(p.name for p in kernel.parameters), ", ".join(declared)
    fields, values = "; ".join(declared), ", ".join(f"all->{p.name}" for p in kernel.parameters)
    return (
        f'extern "C" int host_{kernel.name}(const long long* host_shape, int host_descending, {given}) {{\n'
        f"    struct all_{kernel.name} {{ {fields}; }} arguments = {{ {names} }};\n"
        f"    auto body = [](void* given) {{ auto* all = (all_{kernel.name}*)given; {kernel.name}({values}); }};\n"
        f"    return host_launch(host_shape, host_descending, {fibres}, body, &arguments);\n}}\n"
    )


def compile_library(unit):
    """The shared library of a unit, kept under a name that its content decides."""
    require_compiler()
    key = hashlib.sha256("\n".join([unit, HEADER.read_text(), *OPTIONS]).encode()).hexdigest()[:16]
    folder = cache_directory() / "emulation"
    folder.mkdir(parents=True, exist_ok=True)
    library, source = folder / f"kernels_{key}.so", folder / f"kernels_{key}.{os.getpid()}.cpp"
    if not library.exists():
        source.write_text(unit)
        built = source.with_suffix(".so")
        command = ["g++", *OPTIONS, f"-I{HEADER.parent}", str(source), "-o", str(built)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:4000]
        os.replace(built, library)
    return library


def make_build(precision):
    """The build of a precision: "float64" or "float32" for state and preconditioner, "mixed" for the default."""
    real, small = {"float64": ("double",) * 2, "float32": ("float",) * 2, "mixed": ("double", "float")}[precision]
    return Build(real, small, BLOCK)


def as_arrays(build, *arrays):
    """Copies with floating-point values in the type of the state."""
    return tuple(np.ascontiguousarray(a, build.dtype("real")) if a.dtype.kind == "f" else a.copy() for a in arrays)


def close(got, expected, build):
    """Each row against its twin, relative to the row's largest value: 1e-12 in double, 1e-5 in single precision."""
    got, expected = np.atleast_2d(got).astype(float), np.atleast_2d(expected).astype(float)
    assert got.shape == expected.shape
    scale = np.maximum(np.abs(expected).max(axis=1, initial=0.0, keepdims=True), 1e-300)
    worst = (np.abs(got - expected) / scale).max(initial=0.0)
    tolerance = TOLERANCE["double" if (build.real, build.small) == ("double", "double") else "float"]
    assert worst < tolerance, f"relative difference {worst:.2e}"
    return worst

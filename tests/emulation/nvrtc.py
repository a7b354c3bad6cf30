"""NVRTC from its wheel, without a driver: compile a source for an architecture, and what its kernels take."""

import ctypes
import hashlib
import json
import os
import re
import threading
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

from payloadfield.mechanism.codegen import cache_directory

WHEELS = ("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12")
FIRST, LAST = 75, 120
OPTIONS = ("-ftz=true", "--ptxas-options=-v")  # -ftz=true: CuPy adds it to every compilation
STANDARD = ("--std=c++17",)
_ENTRY = re.compile(r"Compiling entry function '(\w+)' for")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


@dataclass(frozen=True)
class Resources:
    """What a kernel takes: registers of a thread, bytes of its stack and of spills, bytes of static shared memory."""

    registers: int
    stack: int
    spills: int
    shared: int


@cache
def find_library():
    """The NVRTC library of an installed wheel and its version, or None."""
    for wheel in WHEELS:
        try:
            files = metadata.files(wheel) or []
        except metadata.PackageNotFoundError:
            continue
        for file in files:
            if re.fullmatch(r"libnvrtc\.so\.\d+", file.name):
                return Path(file.locate()), metadata.version(wheel)
    return None


@cache
def load():
    """NVRTC, or a skip that says what to install; with PAYLOADFIELD_REQUIRE_NVRTC=1 a failure."""
    found = find_library()
    if found is None:
        reason = f"NVRTC is not installed ({' or '.join(WHEELS)}): pip install 'payloadfield[nvrtc]'"
        if os.environ.get("PAYLOADFIELD_REQUIRE_NVRTC") == "1":
            pytest.fail(f"{reason}; PAYLOADFIELD_REQUIRE_NVRTC=1 asks for it")
        pytest.skip(reason)
    library = ctypes.CDLL(str(found[0]))
    library.nvrtcGetErrorString.restype = ctypes.c_char_p
    return library


def architectures():
    """Architectures that this NVRTC compiles for, within those supported."""
    library, count = load(), ctypes.c_int()
    check(library.nvrtcGetNumSupportedArchs(ctypes.byref(count)))
    found = (ctypes.c_int * count.value)()
    check(library.nvrtcGetSupportedArchs(found))
    return [arch for arch in found if FIRST <= arch <= LAST]


def check(code):
    """Raise for an error code of NVRTC."""
    if code:
        raise RuntimeError(f"NVRTC: {load().nvrtcGetErrorString(code).decode()}")


def resources_of(source, name, arch, options=STANDARD):
    """Resources of every kernel of a source, kept under a key of all that decides them."""
    key = hashlib.sha256(f"{find_library()[1]} {arch} {(*options, *OPTIONS)} {source}".encode()).hexdigest()[:24]
    path = cache_directory() / "nvrtc" / f"{key}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        found = {kernel: asdict(r) for kernel, r in compile_source(source, name, arch, options).items()}
        temporary = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        temporary.write_text(json.dumps(found))
        os.replace(temporary, path)
    return {kernel: Resources(**r) for kernel, r in json.loads(path.read_text()).items()}


def compile_source(source, name, arch, options=STANDARD):
    """Compile for one architecture: resources of every kernel by name."""
    library, program = load(), ctypes.c_void_p()
    check(library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), f"{name}.cu".encode(), 0, None, None))
    options = [f"--gpu-architecture=sm_{arch}", *options, *OPTIONS]
    passed = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    failed = library.nvrtcCompileProgram(program, len(options), passed)
    size = ctypes.c_size_t()
    check(library.nvrtcGetProgramLogSize(program, ctypes.byref(size)))
    log = ctypes.create_string_buffer(size.value)
    check(library.nvrtcGetProgramLog(program, log))
    check(library.nvrtcDestroyProgram(ctypes.byref(program)))
    text = log.value.decode()
    if failed:
        raise RuntimeError(f"{name}.cu for sm_{arch}: {text}")
    return read_log(text)


def assembly_of(source, options):
    """What is made of a source, as PTX."""
    library, program, size = load(), ctypes.c_void_p(), ctypes.c_size_t()
    check(library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"part.cu", 0, None, None))
    passed = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    check(library.nvrtcCompileProgram(program, len(options), passed))
    check(library.nvrtcGetPTXSize(program, ctypes.byref(size)))
    text = ctypes.create_string_buffer(size.value)
    check(library.nvrtcGetPTX(program, text))
    check(library.nvrtcDestroyProgram(ctypes.byref(program)))
    return text.value.decode()


def read_log(text):
    """Resources by kernel from what ptxas tells."""
    parts = _ENTRY.split(text)[1:]
    return {name: _resources(body) for name, body in zip(parts[::2], parts[1::2], strict=True)}


def _resources(body):
    stack, shared = _STACK.search(body), _SHARED.search(body)
    return Resources(
        registers=int(_USED.search(body)[1]),
        stack=int(stack[1]),
        spills=int(stack[2]) + int(stack[3]),
        shared=int(shared[1]) if shared else 0,
    )

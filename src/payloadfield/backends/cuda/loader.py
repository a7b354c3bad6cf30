"""Sources made whole, compiled and launched: defines and common.cuh are pasted in front, not included.

CuPy keeps compiled code under a key of the text that it is given; an included header is no part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from payloadfield.backends.cuda.declarations import Kernel, kernel_files, read_file, read_kernels
from payloadfield.backends.cuda.signature import Build, Launch, check_launch
from payloadfield.errors import BackendError

MECHANISM_FILES = ("cells", "voxels")
"""Sources around generated functions; the others are the same for every mechanism."""

_OPTIONS = ("--std=c++17",)


def make_preamble(build: Build, generated: str = "") -> str:
    """What stands in front of every source: defines, common.cuh, and the mechanism's generated functions, if any."""
    defines = f"#define real {build.real}\n#define small {build.small}\n#define BLOCK {build.block}\n"
    return "\n".join(part for part in (defines, read_file("common.cuh"), generated) if part)


def make_source(file: str, build: Build, generated: str = "") -> str:
    """Whole text of one source file, ready to compile."""
    if (file in MECHANISM_FILES) != bool(generated):
        raise BackendError(f"kernels/{file}.cu: generated functions belong to {' and '.join(MECHANISM_FILES)} alone")
    return f"{make_preamble(build, generated)}\n{read_file(f'{file}.cu')}"


def list_kernels(*, of_mechanism: bool) -> dict[str, Kernel]:
    """All kernels by name: those around generated functions, or the others."""
    files = [file for file in kernel_files() if (file in MECHANISM_FILES) == of_mechanism]
    return {name: kernel for file in files for name, kernel in read_kernels(file).items()}


class KernelLibrary:
    """Kernels compiled by CuPy for the current device; every launch is checked.

    Written from CuPy's documentation; no part of a backend before it has run on a GPU.
    """

    def __init__(self, build: Build, generated: str = "", constants: Mapping[str, int] | None = None) -> None:
        """Compile all sources; generated, constants: a mechanism's CUDA functions and sizes of its arrays."""
        self.build, self.constants = build, dict(constants or {})
        self._kernels = list_kernels(of_mechanism=False)
        modules = {file: _compile(make_source(file, build)) for file in kernel_files() if file not in MECHANISM_FILES}
        if generated:
            self._kernels |= list_kernels(of_mechanism=True)
            modules |= {file: _compile(make_source(file, build, generated)) for file in MECHANISM_FILES}
        self._functions = {k.name: modules[k.file].get_function(k.name) for k in self._kernels.values()}

    def launch(self, name: str, *arguments: Any) -> Launch:
        """Check and enqueue one kernel on CuPy's current stream."""
        if name not in self._kernels:
            raise BackendError(f"there is no kernel {name!r}; there are: {', '.join(sorted(self._kernels))}")
        checked = check_launch(self._kernels[name], arguments, self.build, self.constants)
        if not checked.is_empty:
            grid, block = checked.grid, (checked.block,)
            self._functions[name](grid, block, checked.arguments, shared_mem=checked.shared)
        return checked


def _compile(source: str) -> Any:
    try:
        import cupy
    except ImportError as error:
        raise BackendError(
            "the GPU kernels need CuPy, which is not installed; use --backend numba, or see `payloadfield devices`"
        ) from error
    return cupy.RawModule(code=source, backend="nvrtc", options=_OPTIONS)

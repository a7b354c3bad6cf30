"""Sources made whole, ready to compile: defines and common.cuh are pasted in front, not included.

CuPy keeps compiled code under a key of the text that it is given; an included header is no part of it.
"""

from __future__ import annotations

from payloadfield.backends.cuda.declarations import Kernel, kernel_files, read_file, read_kernels
from payloadfield.backends.cuda.signature import Build
from payloadfield.errors import BackendError

MECHANISM_FILES = ("cells", "voxels")
"""Sources around generated functions; the others are the same for every mechanism."""

UNFUSED = (*MECHANISM_FILES, "contacts")
"""Sources compiled without fused multiply-adds. In generated functions a compiler would choose them one way or another
by what stands around: with sources followed or not, everything else has the same bits. What passes between two cells is
rounded alike on both sides."""

_OPTIONS = ("--std=c++17",)


def compile_options(file: str) -> tuple[str, ...]:
    """Options of the compiler for a source."""
    return (*_OPTIONS, "--fmad=false") if file in UNFUSED else _OPTIONS


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

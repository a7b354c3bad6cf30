"""Types of the kernels by solver.precision."""

from __future__ import annotations

from payloadfield.backends.cuda.signature import Build

_TYPES = {"mixed": ("double", "float"), "float64": ("double", "double"), "float32": ("float", "float")}


def make_build(precision: str) -> Build:
    """State and preconditioner: "mixed", "float64", or "float32" for cards with slow doubles."""
    return Build(*_TYPES[precision])

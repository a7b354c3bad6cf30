"""Bytes that a launch has to move at least: every array once, neighbours that threads share counted once."""

from __future__ import annotations

from collections.abc import Mapping

from payloadfield.backends.cuda.declarations import Kernel
from payloadfield.backends.cuda.signature import Build, Launch

Traffic = dict[tuple[str, ...], int]
"""Bytes by the dimensions that they are multiplied with."""


def count_traffic(kernel: Kernel, build: Build) -> Traffic:
    """Bytes read and written by one launch, by dimensions: {("n",): 24, ("width", "n"): 8} is 24 n + 8 width n."""
    total: Traffic = {}
    for parameter in kernel.parameters:
        if not parameter.is_array:
            continue
        numbers = [int(name) for name in parameter.moved if name.isdigit()]
        names = tuple(name.partition("+")[0] for name in parameter.moved if not name.isdigit())
        size = build.dtype(parameter.ctype).itemsize * (parameter.is_read + parameter.is_written)
        for number in numbers:
            size *= number
        if names:
            total[names] = total.get(names, 0) + size
    return total


def bytes_moved(kernel: Kernel, build: Build, sizes: Mapping[str, int]) -> int:
    """Bytes of a launch with these sizes of its dimensions; one design unless said otherwise."""
    total = 0
    for names, size in count_traffic(kernel, build).items():
        for name in names:
            size *= sizes.get(name, 1) if name == "n_designs" else sizes[name]
        total += size
    return total


def traffic_text(kernel: Kernel, build: Build) -> str:
    """The same as a formula, for one design."""
    terms: Traffic = {}
    for names, size in count_traffic(kernel, build).items():
        others = tuple(name for name in names if name != "n_designs")
        terms[others] = terms.get(others, 0) + size
    ordered = sorted(terms.items(), key=lambda item: (len(item[0]), item[0]))
    return " + ".join(" ".join([str(size), *names]) for names, size in ordered) or "0"


def launch_bytes(kernel: Kernel, build: Build, launch: Launch, constants: Mapping[str, int]) -> int:
    """Bytes of a checked launch; constants: sizes of the mechanism's arrays."""
    sizes = dict(constants) | {
        "n_designs": launch.grid[1] if kernel.over.endswith("by n_designs") else 1,
        "n_blocks": launch.grid[0],
    }
    for parameter, value in zip(kernel.parameters, launch.arguments, strict=True):
        if parameter.is_array:
            pairs = zip(parameter.shape[::-1], value.shape[::-1], strict=False)
            sizes |= {name.partition("+")[0]: int(size) - ("+" in name) for name, size in pairs if not name.isdigit()}
        elif isinstance(value.item(), int):
            sizes[parameter.name] = int(value)
    return bytes_moved(kernel, build, sizes)

"""Bytes that a launch has to move at least: every array once, neighbours that threads share counted once."""

from __future__ import annotations

from collections.abc import Mapping

from payloadfield.backends.cuda.declarations import Kernel
from payloadfield.backends.cuda.signature import Build

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
    """Bytes of a launch with these sizes of its dimensions."""
    total = 0
    for names, size in count_traffic(kernel, build).items():
        for name in names:
            size *= sizes[name]
        total += size
    return total


def traffic_text(kernel: Kernel, build: Build) -> str:
    """The same as a formula."""
    terms = sorted(count_traffic(kernel, build).items(), key=lambda item: (len(item[0]), item[0]))
    return " + ".join(f"{size} {' '.join(names)}" for names, size in terms) or "0"

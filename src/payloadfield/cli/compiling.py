"""A word before Numba compiles a mechanism, which takes a while, once on each machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from payloadfield.study import Study


def announce_compiling(study: Study, backend: str) -> None:
    """Say that the mechanism is being compiled, where Numba will run it and has not kept its machine code yet."""
    from payloadfield.backends.registry import resolve
    from payloadfield.mechanism.codegen import generate

    if resolve(backend)[0] != "numba":
        return
    path = generate(study.mechanism, "numba").path
    if not any((path.parent / "__pycache__").glob(f"{path.stem}.*.nbi")):
        click.echo(f"Compiling the mechanism {study.mechanism.name} for this machine, once ...", err=True)

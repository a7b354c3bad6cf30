"""`payloadfield info`: what a run directory holds."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from payloadfield.cli.output import json_option


@click.command(short_help="Show what a run directory holds.", epilog="Example: payloadfield info my-run --json")
@click.argument("run", type=click.Path(path_type=Path))
@json_option
def info(run: Path, as_json: bool) -> None:
    """Show what RUN holds: how far it came, exposure per cell type, balance, cost, versions and machine."""
    from payloadfield.cli.output import duration, in_shell, make_console, print_json
    from payloadfield.cli.summary import print_summary, summarise
    from payloadfield.store.reader import open_run

    found = open_run(run)
    if as_json:
        print_json({**summarise(found), "times_s": found.times})
        return
    print_summary(found)
    manifest = found.manifest
    console = make_console()
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    times = [duration(float(time)) for time in found.times[[0, -1]]] if len(found.times) else []
    if times:
        console.print(f"Outputs: {len(found.times)} from {times[0]} to {times[1]} of {', '.join(found.field_names)}")
    console.print(f"Command: {shlex.join(manifest['command'])}", markup=False)
    console.print(f"Machine: {manifest['machine']['host']}, {manifest['machine']['system']}", markup=False)
    console.print(f"Versions: {versions}", markup=False)
    if found.state in ("interrupted", "failed"):
        mended = ", once the reason is mended" if found.state == "failed" else ""
        console.print(f"To go on{mended}: payloadfield resume {in_shell(run)}", markup=False)

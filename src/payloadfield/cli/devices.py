"""`payloadfield devices`: where a run could compute, and why or why not."""

from __future__ import annotations

from typing import Any

import click

from payloadfield.cli.output import json_option


@click.command(short_help="Show what this machine can compute on.", epilog="Example: payloadfield devices --json")
@json_option
def devices(as_json: bool) -> None:
    """Show the processors and GPUs that payloadfield can use here, and why it cannot use the others."""
    from payloadfield.backends.devices import find_devices
    from payloadfield.cli.output import make_console, make_table, print_json
    from payloadfield.store.files import format_bytes

    found = find_devices()
    if as_json:
        print_json(found)
        return
    rows: list[tuple[Any, ...]] = [
        (item["backend"], "yes" if item["is_usable"] else "no", item["device"], item["reason"])
        for item in found["backends"]
    ]
    console = make_console()
    console.print(make_table("Backends", ("backend", "usable", "device", "why"), rows))
    memory = f"{format_bytes(found['memory_free'])} of {format_bytes(found['memory_total'])} free"
    console.print(f"CPU: {found['cores_usable']} of {found['cores']} cores usable; memory: {memory}", markup=False)

"""`payloadfield plot`: pictures of a run."""

from __future__ import annotations

from pathlib import Path

import click

from payloadfield.cli.output import json_option


@click.command(
    short_help="Draw the fields, cells and balance of a run.",
    epilog="Example: payloadfield plot my-run --at '1 h' --at '24 h' --field payload --axis y",
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder for the PNG files.  [default: RUN/figures]"
)
@click.option("--at", "times", multiple=True, metavar="TIME", help="Time of a slice, such as '24 h'; repeatable.")
@click.option("--field", "fields", multiple=True, help="Field to draw; repeatable.  [default: every stored field]")
@click.option(
    "--axis", type=click.Choice(["x", "y", "z"]), default="y", show_default=True, help="Normal of the slices."
)
@click.option("--position", type=click.FloatRange(0, 1), help="Place of the slice along that axis, as a share of it.")
@json_option
def plot(
    run: Path,
    output: Path | None,
    times: tuple[str, ...],
    fields: tuple[str, ...],
    axis: str,
    position: float | None,
    as_json: bool,
) -> None:
    """Draw RUN: slices of the fields, exposure against distance, and time courses of the cells and the balance."""
    from payloadfield.cli.output import print_json
    from payloadfield.report.figures import draw_run
    from payloadfield.store.reader import open_run
    from payloadfield.units import parse_quantity

    seconds = [parse_quantity(text, "s", "--at") for text in times]
    made = draw_run(
        open_run(run), output or run / "figures", times=seconds, fields=fields, axis=axis, position=position
    )
    if as_json:
        print_json({"files": made})
        return
    for path in made:
        click.echo(path)

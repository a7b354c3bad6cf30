"""`payloadfield report`: one page of a comparison, or of runs."""

from __future__ import annotations

from pathlib import Path

import click

from payloadfield.cli.output import json_option


@click.command(
    short_help="Make a page of a comparison, or of runs.",
    epilog="Example: payloadfield report my-comparison -o report.html",
)
@click.argument("folders", metavar="COMPARISON|RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="HTML file to write.")
@click.option(
    "--at", "times", multiple=True, metavar="TIME", help="Time of the field sections, such as '24 h'; repeatable."
)
@click.option("--pdf", is_flag=True, help="Also a PDF beside it, printed by a Chromium or Chrome that is installed.")
@json_option
def report(folders: tuple[Path, ...], output: Path, times: tuple[str, ...], pdf: bool, as_json: bool) -> None:
    """Write one self-contained HTML file about COMPARISON, or about RUNs over one geometry with the same cells.

    Beside it lies a JSON file with the numbers of its tables.
    """
    from payloadfield.cli.output import print_json
    from payloadfield.report.page.writing import write_report
    from payloadfield.units import parse_quantity

    seconds = [parse_quantity(text, "s", "--at") for text in times]
    made = write_report(folders, output, times=seconds, with_pdf=pdf)
    if as_json:
        print_json({"files": made})
        return
    for path in made:
        click.echo(path)

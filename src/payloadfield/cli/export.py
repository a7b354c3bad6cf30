"""`payloadfield export`: a run in another format."""

from __future__ import annotations

from pathlib import Path

import click

from payloadfield.cli.output import json_option

_SUFFIX = {"csv": "-csv", "npz": ".npz", "hdf5": ".h5", "h5ad": ".h5ad"}


@click.command(
    short_help="Write a run as csv, npz, hdf5 or h5ad.", epilog="Example: payloadfield export my-run --to csv -o tables"
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--to", "format_name", type=click.Choice(list(_SUFFIX)), required=True, help="Format to write.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File or folder to make.  [default: beside RUN]")
@json_option
def export(run: Path, format_name: str, output: Path | None, as_json: bool) -> None:
    """Write RUN as csv (a folder of tables), npz or hdf5 (one file with everything), or h5ad (cells, for scanpy)."""
    from payloadfield.cli.output import print_json
    from payloadfield.store.export import export_run
    from payloadfield.store.reader import open_run

    found = open_run(run)
    path = output or run.resolve().with_name(run.resolve().name + _SUFFIX[format_name])
    made = export_run(found, format_name, path)
    if as_json:
        print_json({"files": made})
        return
    for item in made:
        click.echo(item)

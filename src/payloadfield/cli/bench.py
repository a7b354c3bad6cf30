"""`payloadfield bench`: how fast this machine is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from payloadfield.cli.output import json_option
from payloadfield.cli.run import BackendName, choose_device


@click.command(
    short_help="Measure how fast this machine is.",
    epilog="Example: payloadfield bench --backend numba --sizes 32,48,64 --json",
)
@click.option("--backend", type=BackendName(), help="Where to compute.  [default: auto]")
@click.option("--device", type=click.IntRange(min=0), help="Number of the GPU, as `payloadfield devices` counts them.")
@click.option("--sizes", default="32,48,64", show_default=True, help="Voxels along a side of the whole runs.")
@click.option(
    "--precision", type=click.Choice(("mixed", "float64", "float32")), default="mixed", show_default=True,
    help="As solver.precision of a study.",
)  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to keep the figures in, as JSON.")
@json_option
def bench(
    backend: str | None, device: int | None, sizes: str, precision: str, output: Path | None, as_json: bool
) -> None:
    """Measure bandwidth by a copy, then each operation's bytes, time and share of it, then whole runs at three sizes.

    Figures are of this machine at this moment: on a busy one they say little. The copy is of arrays far beyond any
    cache; operations on grids that fit into one exceed it. On a GPU operations are those of the largest size that
    fits into its memory, replayed as graphs; on a CPU those of the middle one.
    """
    import json

    from payloadfield.compare.bench import measure

    chosen = choose_device(device, backend)
    found = measure(chosen, _parse_sizes(sizes), precision)
    if output is not None:
        output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if as_json:
        click.echo(json.dumps(found))
    else:
        _print(found)


def _parse_sizes(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and 8 <= int(part) <= 1024 for part in parts):
        raise click.BadParameter(
            f"got {text!r}; numbers from 8 to 1024 with commas between are needed", param_hint="--sizes"
        )
    return tuple(int(part) for part in parts)


def _print(found: dict[str, Any]) -> None:
    """Plain lines, so that a machine without rich can print them too."""
    click.echo(f"Backend {found['backend']} ({found['reason']}), precision {found['precision']}")
    click.echo(f"Copy: {found['bandwidth_bytes_per_second'] / 1e9:.1f} GB/s\n")
    click.echo(f"{'operation':<34}{'calls':>6}{'MB':>10}{'us':>12}{'of copy':>9}{'of step':>9}")
    for item in found["operations"]:
        step = "" if item["share_of_step"] is None else f"{item['share_of_step']:.1%}"
        click.echo(
            f"{item['name']:<34}{item['calls']:>6}{item['bytes'] / 1e6:>10.2f}{item['seconds'] * 1e6:>12.1f}"
            f"{item['share_of_bandwidth']:>9.2f}{step:>9}"
        )
    click.echo(f"\n{'run':<8}{'open voxels':>12}{'steps':>7}{'rejected':>9}{'wall s':>10}{'CPU s':>10}{'Mvoxel/s':>10}")
    for item in found["runs"]:
        click.echo(
            f"{item['n']:>3}^3  {item['n_open']:>12,}{item['steps']:>7}{item['rejected']:>9}{item['wall']:>10.2f}"
            f"{item['cpu']:>10.2f}{item['voxels_per_second'] / 1e6:>10.2f}"
        )

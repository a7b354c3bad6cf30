"""`payloadfield run`: solve a study into a run directory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from payloadfield.cli.output import json_option

if TYPE_CHECKING:
    from payloadfield.solver import Simulation
    from payloadfield.store.reader import Run
    from payloadfield.store.runner import Spent
    from payloadfield.store.writer import RunWriter

BACKENDS = ("auto", "numpy", "numba", "cupy")


class BackendName(click.Choice):
    """A backend by name."""

    def __init__(self) -> None:
        super().__init__(BACKENDS)


def choose_device(number: int | None, backend: str | None) -> str | None:
    """The backend with a GPU's number taken into account: to name one is to ask for it."""
    if number is None:
        return backend
    if backend in ("numpy", "numba"):
        raise click.UsageError(f"--device chooses a GPU, and --backend {backend} computes on the CPU; leave one out.")
    import os

    from payloadfield.backends.cuda.backend import DEVICE_VARIABLE

    os.environ[DEVICE_VARIABLE] = str(number)
    return "cupy"


@click.command(
    short_help="Solve a study into a run directory.",
    epilog="Example: payloadfield run study.toml -o my-run --set 'grid.voxel=\"20 um\"'",
)
@click.argument("study", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Run directory to make.")
@click.option("--backend", type=BackendName(), help="Where to compute.  [default: solver.backend of the study]")
@click.option("--device", type=click.IntRange(min=0), help="Number of the GPU, as `payloadfield devices` counts them.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Replace a value of the study; repeatable."
)
@click.option("--until", metavar="TIME", help="Stop at this model time, such as '24 h'; `resume` goes on from there.")
@click.option("-q", "--quiet", is_flag=True, help="No progress; errors and the summary only.")
@json_option
def run(
    study: Path,
    output: Path,
    backend: str | None,
    device: int | None,
    overrides: tuple[str, ...],
    until: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Solve STUDY and write everything into a run directory.

    Ctrl-C writes a checkpoint and stops; a second Ctrl-C stops at once.
    """
    backend = choose_device(device, backend)
    from payloadfield.cli.progress import show_log_messages
    from payloadfield.solver import make_simulation
    from payloadfield.store.estimate import refuse_too_large
    from payloadfield.store.runner import refuse_until, start_run
    from payloadfield.store.writer import refuse_existing
    from payloadfield.study import load_study

    show_log_messages(is_quiet=quiet)
    refuse_existing(output)
    end = parse_time(until)
    refuse_until(end)
    resolved = load_study(study, overrides)
    refuse_too_large(resolved)
    if not quiet:
        for warning in resolved.warnings:
            click.echo(f"Warning: {warning}", err=True)
    sim = make_simulation(resolved, backend)
    command = ["payloadfield", *sys.argv[1:]]
    go(sim, start_run(sim, output, backend=backend, command=command), until=end, is_quiet=quiet, as_json=as_json)


def parse_time(text: str | None) -> float | None:
    """A model time [s] from text such as "24 h"."""
    from payloadfield.units import parse_quantity

    return None if text is None else parse_quantity(text, "s", "--until")


def go(
    sim: Simulation,
    writer: RunWriter,
    *,
    spent: Spent | None = None,
    until: float | None = None,
    is_quiet: bool = False,
    as_json: bool = False,
) -> None:
    """Step a simulation to its end with progress on the screen, then print what it came to."""
    from payloadfield.cli.output import in_shell
    from payloadfield.cli.progress import ProgressLine
    from payloadfield.errors import PayloadfieldError
    from payloadfield.store.drivers import keep_drivers
    from payloadfield.store.interrupt import listening
    from payloadfield.store.reader import open_run
    from payloadfield.store.runner import execute

    observer = ProgressLine(is_quiet=is_quiet)
    with listening(_say_stopping, _stop_at_once) as stop:
        try:
            state = execute(sim, writer, until=until, observer=observer, stop=stop, spent=spent)
        except PayloadfieldError as error:
            if str(writer.directory) in str(error):
                raise
            raise type(error)(f"{writer.directory}: {error}") from error
    if state == "finished" and sim.study.output.sensitivity:
        keep_drivers(writer.directory, sim.study)
    print_end(open_run(writer.directory), as_json=as_json)
    if state == "interrupted":
        click.echo(f"To go on: payloadfield resume {in_shell(writer.directory)}", err=True)
        if stop.is_set:
            raise KeyboardInterrupt


def print_end(result: Run, *, as_json: bool) -> None:
    """Print what a run came to, for people or for a program."""
    from payloadfield.cli.output import print_json
    from payloadfield.cli.summary import print_summary, summarise

    if as_json:
        print_json(summarise(result))
    else:
        print_summary(result)


def _say_stopping() -> None:
    click.echo("\nStopping after this step and writing a checkpoint; once more stops at once.", err=True)


def _stop_at_once() -> None:
    """End the process here and now: what was renamed into place stays whole."""
    import os

    from payloadfield.cli.program import INTERRUPTED

    os._exit(INTERRUPTED)

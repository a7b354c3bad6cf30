"""`payloadfield resume`: go on with an interrupted run."""

from __future__ import annotations

from pathlib import Path

import click

from payloadfield.cli.output import json_option
from payloadfield.cli.run import BackendName, choose_device


@click.command(short_help="Go on with an interrupted run.", epilog="Example: payloadfield resume my-run")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--backend", type=BackendName(), help="Where to compute.  [default: as the run began]")
@click.option("--device", type=click.IntRange(min=0), help="Number of the GPU, as `payloadfield devices` counts them.")
@click.option("--until", metavar="TIME", help="Stop at this model time, such as '48 h'.")
@click.option("-q", "--quiet", is_flag=True, help="No progress; errors and the summary only.")
@json_option
def resume(run: Path, backend: str | None, device: int | None, until: str | None, quiet: bool, as_json: bool) -> None:
    """Go on with RUN from its newest checkpoint.

    After an interruption or a kill the result is the same, bit for bit, as without it. After --until it is so where
    that time was one of an output or an event; at another time the last step was cut short to end there, and the rest
    agrees to the tolerance of the solver.
    """
    from payloadfield.cli.progress import show_log_messages
    from payloadfield.cli.run import go, parse_time
    from payloadfield.store.runner import resume_run

    show_log_messages(is_quiet=quiet)
    end = parse_time(until)
    sim, writer, spent = resume_run(run, backend=choose_device(device, backend), until=end)
    go(sim, writer, spent=spent, until=end, is_quiet=quiet, as_json=as_json)

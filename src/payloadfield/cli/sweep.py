"""`payloadfield sweep`: solve many points of a study on many workers."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from payloadfield.cli.output import json_option
from payloadfield.cli.run import BackendName

if TYPE_CHECKING:
    from payloadfield.compare.sweep.job import Job
    from payloadfield.store.interrupt import StopRequest

_EVERY = 5.0  # s between lines of progress


@click.command(
    short_help="Solve many points of a study on many workers.",
    epilog="Example: payloadfield sweep sweep.toml -o my-sweep --workers 4",
)
@click.argument("sweep_file", metavar="SWEEP", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the sweep.")
@click.option("--backend", type=BackendName(), help="Where each point is computed.  [default: of the study]")
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes or SLURM jobs.  [default: one a core]")
@click.option("--scheduler", metavar="ADDRESS", help="Use the Dask scheduler there, such as tcp://host:8786.")
@click.option(
    "--slurm", "slurm", multiple=True, metavar="KEY=VALUE", help="Use SLURM jobs, such as queue=gpu; repeatable."
)
@click.option("--part", metavar="N/COUNT", help="Solve this part in this process, as a job of an array does.")
@click.option("--parquet", is_flag=True, help="Write the table as Parquet too.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
def sweep(
    sweep_file: Path, output: Path, backend: str | None, workers: int | None, scheduler: str | None,
    slurm: tuple[str, ...], part: str | None, parquet: bool, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Solve every point of SWEEP and write a table with one row a point.

    A sweep that was stopped or killed goes on with the same command: points that are solved are not solved again, those
    that failed are tried again. Without a scheduler, an array of jobs solves a part each (--part 1/20 to 20/20), and
    each writes the table of what is there when it ends.
    """
    if sum(bool(each) for each in (scheduler, slurm, part)) > 1:
        raise click.UsageError("--scheduler, --slurm and --part exclude each other.")
    from payloadfield.cli.progress import show_log_messages
    from payloadfield.compare.parquet import refuse_without_parquet, write_parquet
    from payloadfield.compare.sweep.job import open_job
    from payloadfield.compare.sweep.table import read_failures, write_table
    from payloadfield.store.interrupt import listening

    if parquet:
        refuse_without_parquet()
    show_log_messages(is_quiet=quiet)
    job = open_job(sweep_file, output)
    progress = _Progress(_waiting(job, part), is_quiet=quiet)
    with listening(
        lambda: click.echo("\nStopping after the points at work; once more stops at once.", err=True)
    ) as stop:
        _solve(job, progress, stop, backend, part, _workers(workers, scheduler, slurm))
    table = write_table(job)
    if parquet:
        write_parquet(table)
    failures = read_failures(job)
    left = len(job.remaining())
    facts: dict[str, Any] = {
        "table": str(table),
        "n_points": len(job.points),
        "n_solved": len(job.points) - left,
        "failures": failures,
    }
    _print_end(facts, left, as_json=as_json)
    if stop.is_set:
        raise KeyboardInterrupt


def _waiting(job: Job, part: str | None) -> int:
    """How many points this process, or its workers, have before them."""
    from payloadfield.compare.sweep.part import parse_part, part_of

    return len(job.remaining()) if part is None else len(part_of(job, *parse_part(part)))


def _workers(count: int | None, scheduler: str | None, slurm: tuple[str, ...]) -> Any:
    from payloadfield.compare.sweep.cluster import Workers

    pairs = [text.partition("=") for text in slurm]
    if any(not (key and equals) for key, equals, _ in pairs):
        raise click.UsageError("--slurm: KEY=VALUE is needed, such as queue=gpu or cores=1.")
    options = {key: int(value) if value.isdecimal() else value for key, _, value in pairs}
    return Workers(count, scheduler, options or None)


def _solve(
    job: Job, progress: _Progress, stop: StopRequest, backend: str | None, part: str | None, workers: Any
) -> None:
    if part is not None:
        from payloadfield.compare.sweep.part import parse_part, solve_part

        solve_part(job, *parse_part(part), backend=backend, stop=stop, report=progress.report)
        return
    from payloadfield.compare.sweep.cluster import solve_points

    solve_points(job, workers, backend=backend, stop=stop, report=progress.report)


def _print_end(facts: dict[str, Any], left: int, *, as_json: bool) -> None:
    from payloadfield.cli.output import print_json

    if as_json:
        print_json(facts)
        return
    click.echo(
        f"{facts['n_solved']} of {facts['n_points']} points solved, {len(facts['failures'])} failed: {facts['table']}"
    )
    for name, reason in list(facts["failures"].items())[:5]:
        click.echo(f"  {name}: {reason}", err=True)
    if left:
        click.echo("The same command goes on with the rest.", err=True)


class _Progress:
    """Says how far a sweep is, and how long the rest will take."""

    def __init__(self, n_points: int, *, is_quiet: bool) -> None:
        """n_points: that wait to be solved here."""
        self._n_points = n_points
        self._began, self._shown, self._ended, self._is_quiet = monotonic(), monotonic(), 0, is_quiet

    def report(self, index: int, reason: str | None) -> None:
        """Hear of a point that ended."""
        from payloadfield.cli.output import duration

        self._ended += 1
        if self._is_quiet or monotonic() - self._shown < _EVERY:
            return
        self._shown = monotonic()
        rest = self._n_points - self._ended
        seconds = (self._shown - self._began) * rest / self._ended
        click.echo(f"{self._ended} of {self._n_points} points, {duration(seconds)} left", err=True)

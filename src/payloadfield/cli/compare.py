"""`payloadfield compare`: run the designs of a study and rank them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from payloadfield.cli.output import json_option
from payloadfield.cli.run import BackendName

if TYPE_CHECKING:
    from payloadfield.compare.cases import Case
    from payloadfield.compare.comparison import Compared
    from payloadfield.compare.ranking import Rank
    from payloadfield.store.runner import Observer


@click.command(
    short_help="Run the designs of a study and rank them.",
    epilog="Example: payloadfield compare study.toml -o my-comparison --dose 0.1 --dose 10 --samples 8",
)
@click.argument("study", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the comparison.")
@click.option("--backend", type=BackendName(), help="Where to compute.  [default: solver.backend of the study]")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Replace a value of the study; repeatable."
)
@click.option(
    "--dose",
    "doses",
    multiple=True,
    type=float,
    metavar="FACTOR",
    help="Solve also at so many times the dose; repeatable.",
)
@click.option(
    "--target", "targets", multiple=True, metavar="TYPE", help="Cell type to be hit; repeatable.  [default: by antigen]"
)
@click.option(
    "--rank-by",
    metavar="METRIC",
    help="Metric of the targets that ranks, the higher the better.  [default: share killed]",
)
@click.option("--samples", type=click.IntRange(min=0), default=0, help="Samples of the numbers within their ranges.")
@click.option("--placements", type=click.IntRange(min=0), default=0, help="Samples of where the cells lie.")
@click.option(
    "--neighbour-limit",
    metavar="EXPOSURE",
    help="Exposure of the neighbours up to which doses count, such as '30 nM h'.  [default: the first design's]",
)
@click.option(
    "--batch", type=click.IntRange(min=1), help="Designs solved together.  [default: 64 on a GPU, 1 on a CPU]"
)
@click.option("--refine", is_flag=True, help="Also solve with finer steps and coarser voxels, to see how results move.")
@click.option(
    "--benchmark", is_flag=True, help="Also time every backend at hand on one case, and compare their results."
)
@click.option("--parquet", is_flag=True, help="Write the tables as Parquet too.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
def compare(
    study: Path, output: Path, backend: str | None, overrides: tuple[str, ...], doses: tuple[float, ...],
    targets: tuple[str, ...], rank_by: str | None, samples: int, placements: int, neighbour_limit: str | None,
    batch: int | None, refine: bool, benchmark: bool, parquet: bool, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Run every [[design]] of STUDY under every [[scenario]], measure each run and rank the designs.

    All designs share the geometry and the very same cells. A comparison that was stopped goes on with the same command.
    `payloadfield report` makes a page of the folder.
    """
    from payloadfield.cli.progress import show_log_messages
    from payloadfield.compare.comparison import Request, compare_designs
    from payloadfield.compare.parquet import refuse_without_parquet, write_tables
    from payloadfield.store.interrupt import listening
    from payloadfield.units import parse_quantity

    if parquet:
        refuse_without_parquet()
    show_log_messages(is_quiet=quiet)
    request = Request(
        study, overrides, (1.0, *doses), targets, rank_by, samples, placements, refine, benchmark,
        None if neighbour_limit is None else parse_quantity(neighbour_limit, "nM*h", "--neighbour-limit"),
    )  # fmt: skip
    with listening(lambda: click.echo("\nStopping after this step; once more stops at once.", err=True)) as stop:
        compared = compare_designs(
            request,
            output,
            backend=backend,
            together=batch,
            stop=stop,
            announce=lambda index, case: _announce(index, case, is_quiet=quiet),
            tell=lambda text: None if quiet else click.echo(text, err=True),
        )
    if parquet:
        write_tables(output)
    _print(compared, as_json=as_json)
    if stop.is_set:
        click.echo("The same command goes on with the rest.", err=True)
        raise KeyboardInterrupt


def _announce(index: int, case: Case, *, is_quiet: bool) -> Observer:
    from payloadfield.cli.progress import ProgressLine

    if not is_quiet:
        click.echo(f"{index + 1}: {case.name}", err=True)
    return ProgressLine(is_quiet=is_quiet)


def _print(compared: Compared, *, as_json: bool) -> None:
    from payloadfield.cli.output import print_json

    unfinished = [each for each in compared.outcomes if each.state != "finished"]
    if as_json:
        print_json(_facts(compared))
    else:
        _print_ranks(compared)
    for each in unfinished:
        click.echo(f"{each.case.name} {each.state}: {each.reason}", err=True)


def _facts(compared: Compared) -> dict[str, Any]:
    return {
        "folder": str(compared.folder),
        "rank_by": compared.rank_by,
        "ranks": {scenario: [vars(each) for each in found] for scenario, found in compared.ranks.items()},
        "runs": [
            {
                "scenario": each.case.scenario,
                "design": each.case.design,
                "dose_factor": each.case.dose_factor,
                "folder": each.case.folder,
                "state": each.state,
                "reason": each.reason,
            }
            for each in compared.outcomes
        ],
    }


def _print_ranks(compared: Compared) -> None:
    from payloadfield.cli.output import make_console, make_table, number

    console = make_console()
    is_sampled = any(each.stability == each.stability for found in compared.ranks.values() for each in found)
    more = ("same rank in samples", "5%", "95%") if is_sampled else ()
    for scenario, found in compared.ranks.items():
        rows = [(each.rank, each.design, number(each.value), *_spread(each, is_sampled=is_sampled)) for each in found]
        columns = ("rank", "design", compared.rank_by, *more)
        console.print(make_table(scenario, columns, rows, right=(0, 2, 3, 4, 5)))
    console.print(f"Comparison: {compared.folder}", soft_wrap=True)


def _spread(rank: Rank, *, is_sampled: bool) -> tuple[str, ...]:
    from payloadfield.cli.output import number

    return (f"{rank.stability:.0%}", number(rank.low), number(rank.high)) if is_sampled else ()

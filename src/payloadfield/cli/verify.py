"""`payloadfield verify`: what the literature says, solved again on this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from payloadfield.cli.output import json_option

if TYPE_CHECKING:
    from payloadfield.compare.verify import Check, Target


@click.command(epilog="Example: payloadfield verify pulse-chase IC50")
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option("--all", "is_all", is_flag=True, help="Also those that take longer than some seconds.")
@click.option("--backend", help="Where to compute: numpy, numba or cupy; by default each study's own choice.")
@click.option("--list", "is_list", is_flag=True, help="List the targets and solve nothing.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a table for a page.")
@json_option
@click.pass_context
def verify(
    context: click.Context, targets: tuple[str, ...], is_all: bool, backend: str | None, is_list: bool,
    as_markdown: bool, as_json: bool,
) -> None:  # fmt: skip
    """Solve targets of the literature on this machine and compare.

    TARGET is a name or a number, by default all quick ones. Ends with exit code 1 where a deviation is more than
    is allowed. docs/validation.md says what each target is and which numbers were fitted.
    """
    from payloadfield.compare import verify as package

    chosen = package.find_targets(targets, is_all=is_all or is_list)
    if is_list:
        _print_list(chosen, as_json=as_json)
        return
    checks: list[Check] = []
    for target in chosen:
        if not (as_json or as_markdown):
            click.echo(f"{target.number} {target.name}: {target.doc} ({target.source})", err=True)
        checks += package.verify([target], backend)
    if as_json:
        from payloadfield.cli.output import print_json

        print_json([asdict(check) | {"deviation": check.deviation, "passed": check.passed} for check in checks])
    elif as_markdown:
        click.echo(package.as_markdown(checks))
    else:
        _print_table(checks)
    if not all(check.passed for check in checks):
        context.exit(1)


def _print_list(chosen: tuple[Target, ...], *, as_json: bool) -> None:
    from payloadfield.cli.output import make_console, make_table, print_json

    if as_json:
        keys = ("number", "name", "doc", "source", "is_long")
        print_json([{key: getattr(target, key) for key in keys} for target in chosen])
        return
    rows = [(each.number, each.name, each.doc, each.source, "--all" if each.is_long else "") for each in chosen]
    make_console().print(make_table("Targets", ("", "name", "what", "source", "only with"), rows, right=(0,)))


def _print_table(checks: list[Check]) -> None:
    from payloadfield.cli.output import make_console, make_table
    from payloadfield.compare.verify import row_of

    columns = ("target", "what", "expected", "got", "deviation", "allowed", "holds")
    console = make_console()
    console.print(make_table("Targets of the literature", columns, map(row_of, checks), right=(2, 3, 4, 5)))
    failed = sum(not check.passed for check in checks)
    console.print(f"{len(checks) - failed} of {len(checks)} hold.")

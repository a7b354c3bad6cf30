"""`payloadfield library`: the values of the literature, with their sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from payloadfield.cli.output import json_option

if TYPE_CHECKING:
    from payloadfield.library import ValueRow


@click.group(short_help="Look up what the literature says.", epilog="Example: payloadfield library show T-DXd")
def library() -> None:
    """Look up molecules, cell types, materials, set-ups and more: value, unit, range, grade and source."""


@library.command("list", epilog="Example: payloadfield library list --kind cell_type")
@click.option("--kind", help="Only entries of this kind, such as conjugate or cell_type.")
@json_option
def list_entries(kind: str | None, as_json: bool) -> None:
    """List what the library knows."""
    from payloadfield.cli.output import make_console, make_table, print_json
    from payloadfield.library import KINDS, load_library

    if kind is not None and kind not in KINDS:
        raise click.BadParameter(f"got {kind!r}; there are: {', '.join(KINDS)}", param_hint="--kind")
    known = load_library()
    chosen = [entry for each in KINDS if kind in (None, each) for entry in known.entries[each].values()]
    if as_json:
        print_json([{"kind": e.kind, "name": e.name, "aliases": e.aliases, "doc": e.doc} for e in chosen])
        return
    rows = [(entry.kind, entry.name, ", ".join(entry.aliases), entry.doc) for entry in chosen]
    make_console().print(make_table("Library", ("kind", "name", "also called", "what it is"), rows))


@library.command("show", epilog="Example: payloadfield library show SK-BR-3 --json")
@click.argument("name")
@click.option("--kind", help="Kind of the entry, where two share a name.")
@json_option
def show(name: str, kind: str | None, as_json: bool) -> None:
    """Show every value of the entry NAME with its range, grade and source."""
    from payloadfield.cli.output import count, make_console, make_table, print_json
    from payloadfield.library import describe

    entry = describe(name, kind)
    if as_json:
        print_json(entry.as_dict())
        return
    console = make_console()
    console.print(f"{entry.name} ({entry.kind}): {entry.doc}", markup=False)
    for label, text in entry.labels:
        console.print(f"  {label}: {text}", markup=False)
    columns = ("value of", "value", "unit", "range", "grade", "source")
    console.print(make_table("", columns, [_row(row) for row in entry.rows], right=(1,)))
    console.print(f"{entry.n_assumed} of {count(len(entry.rows), 'value')} are assumed. Notes: --json")


def _row(row: ValueRow) -> tuple[Any, ...]:
    from payloadfield.cli.output import number

    limits = [number(limit) if limit is not None else "" for limit in (row.low, row.high)]
    return (
        row.path,
        number(row.value, 6),
        row.unit,
        " to ".join(limits) if any(limits) else "",
        row.standing,
        row.citation,
    )

"""How the command line shows things: tables, numbers, durations, and JSON for programs."""

from __future__ import annotations

import json
import math
import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WIDTH_OF_A_PIPE = 140
_WIDE = 120  # columns of a terminal from which a long key in one line leaves room for the others

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")


def make_console(*, stderr: bool = False) -> Console:
    """A console for text and tables; wide where the output is not a terminal, so that nothing is cut."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDTH_OF_A_PIPE
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=False)


def make_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    right: Iterable[int] = (),
    whole: Iterable[int] = (),
) -> Table:
    """A table with a title; `right` lists the columns of numbers, `whole` those kept in one line if they fit."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    numbers = set(right)
    unbroken = set(whole) if make_console().width >= _WIDE else set()
    for index, name in enumerate(columns):
        justify: Literal["left", "right"] = "right" if index in numbers else "left"
        table.add_column(escape(name), justify=justify, overflow="fold", no_wrap=index in unbroken)
    for row in rows:
        table.add_row(*(escape(str(item)) for item in row))
    return table


def print_json(value: Any) -> None:
    """Print finite JSON; NaN and infinities become null."""
    click.echo(json.dumps(plain(value), indent=2, allow_nan=False, ensure_ascii=False))


def plain(value: Any) -> Any:
    """The same value in types that JSON has."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def number(value: float, digits: int = 4) -> str:
    """A number for people: `0.001234`, `1.235e+06`."""
    return f"{value:.{digits}g}"


def duration(seconds: float) -> str:
    """A time for people: `42 s`, `3.5 min`, `72 h`."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.4g} h"


def in_shell(path: object) -> str:
    """A path as it is typed in a shell: in quotes where it needs them."""
    return shlex.quote(str(path))


def count(amount: int, thing: str) -> str:
    """`1 cell`, `3,000 cells`."""
    return f"{amount:,} {thing}{'' if amount == 1 else 's'}"

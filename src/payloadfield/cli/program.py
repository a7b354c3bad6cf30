"""The program `payloadfield`: its verbs, and how each way of ending becomes an exit code."""

from __future__ import annotations

import importlib
import sys
from io import TextIOWrapper

import click

from payloadfield.errors import PayloadfieldError

REFUSED, WRONG_USAGE, INTERRUPTED = 1, 2, 130

# verb -> (module, name in it); the order of the help page
VERBS = {
    "check": ("check", "check"),
    "run": ("run", "run"),
    "resume": ("resume", "resume"),
    "info": ("info", "info"),
    "plot": ("plot", "plot"),
    "export": ("export", "export"),
    "compare": ("compare", "compare"),
    "sweep": ("sweep", "sweep"),
    "verify": ("verify", "verify"),
    "report": ("report", "report"),
    "geometry": ("geometry", "geometry"),
    "library": ("library", "library"),
    "seeds": ("seeds", "seeds"),
    "mechanism": ("mechanism", "mechanism"),
    "devices": ("devices", "devices"),
    "bench": ("bench", "bench"),
}


class LazyGroup(click.Group):
    """A group that imports the file of a verb when the verb is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, in the order a study goes through them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of one verb, or None where there is none of that name."""
        if cmd_name not in VERBS:
            return None
        module, name = VERBS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"payloadfield.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest verb named for a misspelt one."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}.{_suggestion(args[0])}")
        return super().resolve_command(ctx, args)


def _suggestion(word: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, VERBS, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(VERBS)}."


def _show_version(ctx: click.Context, parameter: click.Parameter, is_asked: bool) -> None:
    if not is_asked or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    click.echo(f"payloadfield {version('payloadfield')}")
    ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: payloadfield run seeds/t-dxd-scaffold/study.toml -o my-run",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
def program() -> None:
    """Predict where an antibody-drug conjugate releases its payload in a printed scaffold, and what each cell gets.

    A study file describes scaffold, cells and doses; `check` shows what it means, `run` solves it, `plot` draws it.
    """


def run_program(arguments: list[str] | None = None) -> int:
    """Run one command and say how it ended: 0 done, 1 refused by us, 2 wrong usage, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console without our letters shows "?" in their place
    try:
        return int(program.main(arguments, prog_name="payloadfield", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except PayloadfieldError as error:
        click.echo(f"Error: {error}", err=True)
        return REFUSED
    except OSError as error:  # what no verb expects: its output cannot be written, a file changes under it
        click.echo(f"Error: {error.filename or 'the output'}: {error.strerror or error}", err=True)
        return REFUSED
    except MemoryError as error:
        click.echo(f"Error: not enough memory ({error}). Coarsen grid.voxel or shrink grid.size.", err=True)
        return REFUSED
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED

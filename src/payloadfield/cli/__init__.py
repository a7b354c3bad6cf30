"""The command line: one thin file per verb, each loaded when it is asked for."""

from __future__ import annotations


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process: exit code 0 done, 1 refused, 2 wrong usage, 130 interrupted."""
    from payloadfield.cli.program import run_program

    raise SystemExit(run_program(arguments))

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from payloadfield.cli.program import VERBS, program

HEAVY = {"numpy", "scipy", "matplotlib", "numba", "pint", "pydantic", "h5py", "rich", "psutil"}


def commands(group=program, path=()):
    """Every command and group below the program, with the words that lead to it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = {" ".join(words): command for words, command in commands()}


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_help_with_an_example_of_itself(name, call):
    words, command = name.split(), ALL[name]
    assert command.help and command.help[0].isupper()
    assert f"payloadfield {words[0]}" in command.epilog and command.epilog.startswith("Example:")
    outcome = call(*words, "--help")
    assert outcome.code == 0 and "Example:" in outcome.out
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name}: {parameter.name} has no help"


def test_the_first_page_names_every_verb_with_its_whole_sentence(call):
    page = call("--help").out
    for verb in VERBS:
        assert f"  {verb} " in page
    listed = page[page.index("Commands:") :]
    assert "..." not in listed and listed.count(".\n") == len(VERBS)


def test_help_loads_no_heavy_library():
    code = "import sys; from payloadfield.cli.program import run_program; run_program(['--help']); print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(printed.splitlines()[-1].split())
    assert "click" in loaded
    assert HEAVY & loaded == set()


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, payloadfield; payloadfield.__version__; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert HEAVY & set(printed.split()) == set()


def test_the_version_is_shown(call):
    assert call("--version").out.startswith("payloadfield 0.")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["run", "study.toml"], "Missing option '-o'"),
        (["run", "study.toml", "-o", "x", "--backend", "cray"], "'cray' is not one of"),
        (["run", "study.toml", "-o", "x", "--device", "-1"], "-1 is not in the range"),
        (
            ["run", "study.toml", "-o", "x", "--backend", "numba", "--device", "0"],
            "--backend numba computes on the CPU",
        ),
        (["export", "x", "--to", "xlsx"], "'xlsx' is not one of"),
        (["library", "list", "--kind", "planet"], "there are: conjugate"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_allowed(arguments, says, call):
    outcome = call(*arguments)
    assert outcome.code == 2
    assert says in outcome.err

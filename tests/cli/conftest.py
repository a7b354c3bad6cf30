from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from payloadfield.cli.program import run_program

STUDY = Path(__file__).parent / "small.toml"


@dataclass
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def call(capsys):
    """Run one command in this process: exit code, standard output, standard error."""

    def invoke(*arguments):
        capsys.readouterr()
        code = run_program([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return invoke


@pytest.fixture(scope="session")
def shared_run(tmp_path_factory):
    """The small study run to its end with the reference backend; not to be changed."""
    path = tmp_path_factory.mktemp("runs") / "small"
    assert run_program(["run", str(STUDY), "-o", str(path), "--backend", "numpy", "-q"]) == 0
    return path


@pytest.fixture
def own_run(shared_run, tmp_path):
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(shared_run, tmp_path / "run"))

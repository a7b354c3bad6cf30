"""The backend of a run: the one asked for on the command line, else that of the study."""

from __future__ import annotations

import importlib.util

import numba
import pytest
from tests.cli.conftest import STUDY

import payloadfield
from payloadfield.backends.compiled import compiling
from payloadfield.errors import BackendError, StudyError


@pytest.mark.parametrize(
    ("given", "asked", "expected"),
    [("numpy", None, "numpy"), ("numba", "numpy", "numpy"), ("auto", "numpy", "numpy")],
)
def test_a_run_uses_the_backend_of_the_study_unless_one_is_asked_for(given, asked, expected, call, tmp_path):
    option = () if asked is None else ("--backend", asked)
    until = ("--until", "1 h", "-q")
    assert call("run", STUDY, "-o", tmp_path / "run", "--set", f"solver.backend={given}", *option, *until).code == 0
    manifest = payloadfield.open_run(tmp_path / "run").manifest
    assert (manifest["backend"], manifest["backend_reason"]) == (expected, "asked for by name")


def test_simulate_uses_the_backend_of_the_study(tmp_path):
    study = payloadfield.load_study(STUDY, ["solver.backend=numpy"])
    assert payloadfield.simulate(study, tmp_path / "run", until=1800.0).manifest["backend"] == "numpy"


def test_a_run_resumed_on_another_backend_says_so(call, tmp_path):
    assert call("run", STUDY, "-o", tmp_path / "run", "--backend", "numba", "--until", "1 h", "-q").code == 0
    assert call("resume", tmp_path / "run", "--backend", "numpy", "-q").code == 0
    manifest = payloadfield.open_run(tmp_path / "run").manifest
    assert (manifest["backend"], manifest["backend_reason"]) == ("numpy", "asked for by name")


def test_the_gpu_backend_is_refused_before_a_study_is_built(tmp_path):
    with pytest.raises(StudyError, match=r"solver\.backend: got 'cupy'; the GPU backend is not part of this version"):
        payloadfield.load_study(STUDY, ["solver.backend=cupy"])
    with pytest.raises(BackendError, match="the GPU backend is not part of this version; use auto or numba"):
        payloadfield.simulate(tmp_path / "no-such-study.toml", backend="cupy")


def test_machine_code_is_found_where_numba_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "machine-code"))
    path = tmp_path / "code.py"
    path.write_text("import numba\n\n\n@numba.njit(cache=True)\ndef twice(x):\n    return 2 * x\n")
    specification = importlib.util.spec_from_file_location("code_of_a_test", path)
    code = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(code)
    assert not compiling.is_compiled(code)
    code.twice(1.0)
    assert compiling.is_compiled(code)


def test_run_resume_and_simulate_announce_that_they_compile(call, caplog, monkeypatch, tmp_path):
    monkeypatch.setattr(compiling, "is_compiled", lambda code: False)
    notice = "Compiling the mechanism adc for this machine, once"
    assert notice in call("run", STUDY, "-o", tmp_path / "run", "--backend", "numba", "--until", "60 s", "-q").err
    assert notice in call("resume", tmp_path / "run", "--until", "120 s", "-q").err
    caplog.clear()
    payloadfield.simulate(STUDY, backend="numba", until=60.0)
    assert notice in caplog.text
    caplog.clear()
    monkeypatch.setattr(compiling, "is_compiled", lambda code: True)
    payloadfield.simulate(STUDY, backend="numba", until=60.0)
    assert caplog.text == ""

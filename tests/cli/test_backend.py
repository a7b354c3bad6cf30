"""The backend of a run: the one asked for on the command line, else that of the study."""

from __future__ import annotations

import importlib.util
import json

import numba
import pytest
from tests.cli.conftest import STUDY

import payloadfield
from payloadfield.backends.compiled import compiling
from payloadfield.backends.cuda import status
from payloadfield.errors import BackendError


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


@pytest.fixture
def no_gpu(monkeypatch):
    """A machine without CuPy, wherever this runs."""
    monkeypatch.setattr(status, "find_spec", lambda name: None)


def test_a_gpu_that_is_not_there_is_refused_before_a_study_is_built(no_gpu, tmp_path):
    with pytest.raises(
        BackendError, match=r"backend cupy: CuPy is not installed \(pip install .*Or use --backend numba"
    ):
        payloadfield.simulate(tmp_path / "no-such-study.toml", backend="cupy")


def test_auto_takes_numba_where_there_is_no_gpu_and_says_why(no_gpu, call, tmp_path):
    options = ("--backend", "auto", "--until", "1 h", "-q")
    assert call("run", STUDY, "-o", tmp_path / "run", *options).code == 0
    manifest = payloadfield.open_run(tmp_path / "run").manifest
    assert manifest["backend"] == "numba"
    assert manifest["backend_reason"].startswith("auto: Numba on the CPU, since CuPy is not installed")


def test_a_device_goes_with_the_gpu_alone(no_gpu, call, tmp_path, monkeypatch):
    monkeypatch.setenv("PAYLOADFIELD_DEVICE", "")
    outcome = call("run", STUDY, "-o", tmp_path / "run", "--backend", "numba", "--device", "0")
    assert outcome.code == 2 and "--backend numba computes on the CPU" in outcome.err
    outcome = call("run", STUDY, "-o", tmp_path / "run", "--device", "0")
    assert outcome.code == 1 and "CuPy is not installed" in outcome.err and not (tmp_path / "run").exists()


def test_check_counts_the_memory_of_a_gpu_without_having_one(no_gpu, call):
    assert "gpu" not in json.loads(call("check", STUDY, "--json").out)
    found = json.loads(call("check", STUDY, "--backend", "cupy", "--json").out)["gpu"]
    assert 2e4 < found["memory"] < 1e9 and "CuPy is not installed" in found["reason_against"]
    assert "of the host's locked for outputs" in " ".join(call("check", STUDY, "--backend", "cupy").out.split())


def test_a_state_in_single_precision_is_refused_on_a_cpu(tmp_path):
    study = payloadfield.load_study(STUDY, ['solver.precision="float32"', "solver.backend=numba"])
    with pytest.raises(BackendError, match=r'solver.precision: got "float32" on backend numba'):
        payloadfield.simulate(study)


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

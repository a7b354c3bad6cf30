from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import STUDY

import payloadfield
from payloadfield.errors import RunError, UnitsError
from payloadfield.store import layout


def test_a_run_prints_exposure_balance_cost_and_files(call, tmp_path):
    outcome = call("run", STUDY, "-o", tmp_path / "run", "--backend", "numpy")
    assert outcome.code == 0
    results = ("payload_exposure [nM h]", "payload_peak [nM]", "payload_peak_time [h]")
    for words in (*results, "SK-BR-3", "median", "antibody", "steps", "assumed", "series.vtkhdf"):
        assert words in outcome.out


def test_json_of_a_run_and_of_info_agree_and_the_books_close(call, tmp_path):
    outcome = call("run", STUDY, "-o", tmp_path / "run", "--backend", "numpy", "-q", "--json")
    made = json.loads(outcome.out, parse_constant=pytest.fail)
    told = json.loads(call("info", tmp_path / "run", "--json").out, parse_constant=pytest.fail)
    assert made["state"] == told["state"] == "finished"
    assert made["exposure"] == told["exposure"] and len(told["times_s"]) == 25
    assert 0 < made["n_assumed"] < made["n_inputs"]
    for line in made["balance"].values():
        assert abs(line["relative_defect"]) < 1e-11


def test_antigen_positive_cells_are_exposed_more_than_the_others(shared_run):
    run = payloadfield.open_run(shared_run)
    exposure, types = run.cells["payload_exposure"], run.cells["type"]
    assert exposure[types == "SK-BR-3"].min() > exposure[types == "fibroblast"].max() > 0


def test_info_names_versions_machine_and_outputs(call, shared_run):
    shown = call("info", shared_run).out
    for words in ("Outputs: 25 from 0 s to 12 h", "numpy", "Machine:", "Command: payloadfield"):
        assert words in shown


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("grid.voxel=10 s", "grid.voxel"),
        ("cells[0].count=100000", "SK-BR-3"),
        ("solver.backend=abacus", "solver.backend"),
        ("mechanism=unheard-of.toml", "unheard-of"),
    ],
)
def test_a_study_that_is_refused_leaves_nothing_and_one_message(change, says, call, tmp_path):
    outcome = call("run", STUDY, "-o", tmp_path / "run", "--set", change)
    assert outcome.code == 1
    assert says in outcome.err and outcome.err.startswith("Error: ") and "Traceback" not in outcome.err
    assert not (tmp_path / "run").exists()


def test_a_study_that_is_not_there_is_refused(call, tmp_path):
    outcome = call("check", tmp_path / "no.toml")
    assert outcome.code == 1 and "no.toml" in outcome.err


def test_an_output_that_exists_is_refused_before_the_study_is_read(call, own_run):
    outcome = call("run", "no-such-study.toml", "-o", own_run)
    assert outcome.code == 1
    assert "not empty" in outcome.err and "resume" in outcome.err


def test_too_little_memory_is_refused_before_anything_is_built(call, tmp_path, monkeypatch):
    import psutil

    real = psutil.virtual_memory()
    for free, says in ((1e8, "of memory needed, 100 MB free"), (1000, "of memory for the geometry alone")):
        monkeypatch.setattr(psutil, "virtual_memory", lambda free=free: real._replace(available=int(free)))
        outcome = call("run", STUDY, "-o", tmp_path / "run", "--backend", "numpy")
        assert outcome.code == 1
        assert says in outcome.err and not (tmp_path / "run").exists()


def test_a_directory_that_is_no_run_is_refused(call, tmp_path):
    (tmp_path / "file").write_text("")
    for verb in (["info"], ["resume"], ["plot"], ["export", "--to", "csv"]):
        for path in (tmp_path, tmp_path / "file", tmp_path / "none", tmp_path / "file" / "inside"):
            outcome = call(*verb, path)
            assert outcome.code == 1 and "not a run directory" in outcome.err


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
def test_a_place_that_cannot_be_written_is_refused(call, tmp_path):
    outcome = call("run", STUDY, "-o", "/proc/run-of-a-test", "--backend", "numpy")
    assert outcome.code == 1 and "/proc/run-of-a-test: cannot be written" in outcome.err


def test_until_stops_there_and_resume_goes_on_to_the_end(call, tmp_path):
    outcome = call("run", STUDY, "-o", tmp_path / "run", "--backend", "numpy", "--until", "4 h", "-q")
    assert outcome.code == 0 and "payloadfield resume" in outcome.err
    run = payloadfield.open_run(tmp_path / "run")
    assert run.state == "interrupted" and run.time_reached == 4 * 3600 and len(run.times) == 9
    assert call("resume", tmp_path / "run", "-q").code == 0
    run = payloadfield.open_run(tmp_path / "run")
    assert run.state == "finished" and len(run.times) == 25
    again = call("resume", tmp_path / "run")
    assert again.code == 1 and "nothing to continue" in again.err


def test_warnings_of_a_study_are_seen_before_it_runs_unless_quiet(call, tmp_path):
    for more, shown in (([], True), (["-q"], False)):
        outcome = call("run", STUDY, "-o", tmp_path / f"run{shown}", "--backend", "numpy", "--until", "1 h", *more)
        assert ("Warning: " in outcome.err and "inputs are assumed" in outcome.err.partition("step ")[0]) == shown


def test_the_backend_and_why_it_was_chosen_are_said_unless_quiet(call, tmp_path):
    for more, shown in (([], True), (["-q"], False)):
        outcome = call("run", STUDY, "-o", tmp_path / f"run{shown}", "--backend", "numpy", "--until", "1 h", *more)
        assert ("Backend numpy (asked for by name)" in outcome.err) == shown


def test_an_end_that_is_not_ahead_is_refused(call, tmp_path):
    outcome = call("run", STUDY, "-o", tmp_path / "run", "--until", "-3 h")
    assert outcome.code == 1 and "until: got -10800 s" in outcome.err and not (tmp_path / "run").exists()
    call("run", STUDY, "-o", tmp_path / "run", "--backend", "numpy", "--until", "4 h", "-q")
    outcome = call("resume", tmp_path / "run", "--until", "2 h")
    assert outcome.code == 1 and "a time after 14400 s" in outcome.err
    assert payloadfield.open_run(tmp_path / "run").state == "interrupted"


def test_a_signal_that_comes_with_the_last_step_leaves_a_finished_run(tmp_path, monkeypatch):
    from payloadfield.cli import run as verb
    from payloadfield.cli.program import run_program
    from payloadfield.cli.progress import ProgressLine

    monkeypatch.setattr(ProgressLine, "finish", lambda self, sim: os.kill(os.getpid(), signal.SIGINT))
    monkeypatch.setattr(verb, "_say_stopping", lambda: None)
    assert run_program(["run", str(STUDY), "-o", str(tmp_path / "run"), "--backend", "numpy", "-q"]) == 0
    assert payloadfield.open_run(tmp_path / "run").state == "finished"


def test_paths_in_advice_are_quoted_for_the_shell(call, tmp_path):
    outcome = call("run", STUDY, "-o", tmp_path / "my [run]", "--backend", "numpy", "-q", "--until", "1 h")
    assert f"payloadfield resume '{tmp_path}/my [run]'" in outcome.err


def test_an_interrupted_run_resumed_is_the_run_uninterrupted_bit_for_bit(shared_run, tmp_path, call):
    process = start(tmp_path / "run")
    wait_for(tmp_path / "run" / layout.snapshot_name(2), process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"payloadfield resume {tmp_path / 'run'}" in err
    halfway = payloadfield.open_run(tmp_path / "run")
    assert halfway.state == "interrupted" and halfway.time_reached < 12 * 3600
    assert call("resume", tmp_path / "run", "-q").code == 0
    same_results(payloadfield.open_run(shared_run), payloadfield.open_run(tmp_path / "run"))


def test_a_killed_run_is_resumed_from_its_last_checkpoint(shared_run, tmp_path, call):
    process = start(tmp_path / "run")
    wait_for(tmp_path / "run" / layout.snapshot_name(3), process)
    process.kill()
    process.wait()
    assert payloadfield.open_run(tmp_path / "run").state == "interrupted"
    assert call("resume", tmp_path / "run", "-q").code == 0
    same_results(payloadfield.open_run(shared_run), payloadfield.open_run(tmp_path / "run"))


def start(output):
    command = [sys.executable, "-m", "payloadfield", "run", STUDY, "-o", output, "--backend", "numpy"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))


def wait_for(path, process, limit=120.0):
    began = time.monotonic()
    while not path.exists():
        assert process.poll() is None, f"the run ended before it could be stopped: {process.communicate()[1]}"
        assert time.monotonic() - began < limit
        time.sleep(0.001)


def same_results(first, second):
    assert first.times.tolist() == second.times.tolist()
    for index in range(len(first.times)):
        for name in first.field_names:
            assert first.field(name, index).tobytes() == second.field(name, index).tobytes()
    for name in first.cells:
        assert np.array_equal(first.cells[name], second.cells[name])
    for name in first.series.cells:
        assert np.array_equal(first.cell_series(name), second.cell_series(name))
    logs = [[{**entry, "wall_s": 0} for entry in run.log] for run in (first, second)]
    assert logs[0] == logs[1]


def test_simulate_in_memory_gives_what_the_run_directory_holds(shared_run):
    result = payloadfield.simulate(STUDY, backend="numpy")
    run = payloadfield.open_run(shared_run)
    assert result.times.tolist() == run.times.tolist()
    assert np.array_equal(result.cells["payload_exposure"], run.cells["payload_exposure"])
    assert np.array_equal(result.field("adc", 5), run.field("adc", 5), equal_nan=True)
    assert result.ledger == run.ledger


def test_in_python_an_end_may_be_text_and_what_is_not_there_is_refused(tmp_path):
    result = payloadfield.simulate(STUDY, backend="numpy", until="1 h")
    assert result.times.tolist() == [0, 1800, 3600] and "3 outputs to 3600 s, 10 cells" in repr(result)
    with pytest.raises(RunError, match="no output 99"):
        result.field("adc", 99)
    with pytest.raises(UnitsError, match="until: got '3 nM'"):
        payloadfield.simulate(STUDY, until="3 nM")
    payloadfield.simulate(STUDY, tmp_path / "run", backend="numpy", until="30 min")
    run = payloadfield.resume(tmp_path / "run", until="1 h")
    assert run.time_reached == 3600
    with pytest.raises(RunError, match=r"no 'porosity'; stored are .*open_fraction"):
        run.geometry("porosity")
    assert len(repr(run.study)) < 300


def test_a_run_that_fails_on_the_way_is_named_in_the_message(call, tmp_path):
    outcome = call("run", STUDY, "-o", tmp_path / "run", "--backend", "numpy", "-q", "--set", "solver.max_steps=2")
    assert outcome.code == 1 and outcome.err.startswith(f"Error: {tmp_path}/run: the integration stopped")
    shown = call("info", tmp_path / "run").out
    assert "failed" in shown and "once the reason is mended: payloadfield resume" in shown


def test_the_study_of_a_run_loads_to_the_same_study_again(shared_run):
    from payloadfield.store.digest import study_digest

    run = payloadfield.open_run(shared_run)
    assert study_digest(run.study) == run.manifest["study_digest"] == study_digest(payloadfield.load_study(STUDY))


def test_a_run_with_a_mechanism_of_the_users_goes_on_without_the_original_file(call, tmp_path):
    shutil.copytree(STUDY.parents[2] / "examples/two_fields", tmp_path / "mine")
    arguments = ("--backend", "numpy", "-q", "--until", "3 h")
    assert call("run", tmp_path / "mine/study.toml", "-o", tmp_path / "run", *arguments).code == 0
    shutil.rmtree(tmp_path / "mine")
    outcome = call("resume", tmp_path / "run", "-q")
    assert outcome.code == 0, outcome.err
    run = payloadfield.open_run(tmp_path / "run")
    assert run.state == "finished" and run.study.mechanism.name == "two_fields"
    assert max(abs(line["relative_defect"]) for line in run.ledger.values()) < 1e-11

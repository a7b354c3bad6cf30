from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from tests.store.fakes import FakeSimulation, make_study

import payloadfield.store.runner as runner
from payloadfield.errors import RunError
from payloadfield.store import layout
from payloadfield.store.checkpoint import Checkpoint, checkpoint_bytes, read_checkpoint, write_checkpoint
from payloadfield.store.interrupt import StopRequest
from payloadfield.store.reader import open_run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def stand_in(monkeypatch):
    """Let `resume_run` build the stand-in simulation."""
    import types

    solver = types.ModuleType("payloadfield.solver")
    solver.make_simulation = FakeSimulation
    solver.choose_backend = lambda study, backend=None: ("numba", "asked for by name")
    study = types.ModuleType("payloadfield.study")
    study.load_study = lambda path: make_study()
    monkeypatch.setitem(sys.modules, "payloadfield.solver", solver)
    monkeypatch.setitem(sys.modules, "payloadfield.study", study)
    return study


def interrupted_run(path, at_step):
    study = make_study()
    sim = FakeSimulation(study)
    stop = StopRequest()

    class Stops(runner.Observer):
        def step(self, sim, record):
            stop.is_set = record.index == at_step

    assert runner.execute(sim, runner.start_run(sim, path), observer=Stops(), stop=stop) == "interrupted"


def same_results(a, b):
    first, second = open_run(a), open_run(b)
    assert first.times.tolist() == second.times.tolist()
    for index in range(len(first.times)):
        for name in first.field_names:
            assert first.field(name, index).tobytes() == second.field(name, index).tobytes()
    for name in first.series.cells:
        assert np.array_equal(first.cell_series(name), second.cell_series(name))
    steps = [[{**entry, "wall_s": 0} for entry in run.log] for run in (first, second)]
    assert steps[0] == steps[1]


@pytest.mark.parametrize("at_step", [1, 17, 30, 55])
def test_a_run_continued_is_the_run_uninterrupted_bit_for_bit(tmp_path, finished, stand_in, at_step):
    interrupted_run(tmp_path / "halves", at_step)
    sim, writer, spent = runner.resume_run(tmp_path / "halves")
    assert runner.execute(sim, writer, spent=spent) == "finished"
    same_results(finished, tmp_path / "halves")


def test_the_older_checkpoint_serves_where_the_newer_is_damaged(tmp_path, finished, stand_in):
    interrupted_run(tmp_path / "halves", 30)
    (tmp_path / "halves" / layout.CHECKPOINT).write_bytes(b"cut off")
    sim, writer, spent = runner.resume_run(tmp_path / "halves")
    assert spent.steps == 0  # the one made at the start
    assert runner.execute(sim, writer, spent=spent) == "finished"
    same_results(finished, tmp_path / "halves")


def test_time_spent_adds_up_over_the_legs(tmp_path, stand_in):
    interrupted_run(tmp_path / "halves", 30)
    first = open_run(tmp_path / "halves").manifest["wall_seconds"]
    sim, writer, spent = runner.resume_run(tmp_path / "halves")
    runner.execute(sim, writer, spent=spent)
    assert open_run(tmp_path / "halves").manifest["wall_seconds"] > first > 0


def test_a_finished_run_is_not_resumed(finished, stand_in):
    with pytest.raises(RunError, match="is finished; there is nothing to continue"):
        runner.resume_run(finished)


def test_a_changed_study_is_refused(tmp_path, stand_in):
    interrupted_run(tmp_path / "halves", 30)
    changed = make_study()
    changed.cell_parameters[0, 0] *= 2
    stand_in.load_study = lambda path: changed
    with pytest.raises(RunError, match="differs from the one that the checkpoint belongs to"):
        runner.resume_run(tmp_path / "halves")


def test_a_run_without_a_checkpoint_says_so(tmp_path, stand_in):
    interrupted_run(tmp_path / "halves", 30)
    for name in (layout.CHECKPOINT, layout.CHECKPOINT_PREVIOUS):
        (tmp_path / "halves" / name).unlink()
    with pytest.raises(RunError, match="no usable checkpoint"):
        runner.resume_run(tmp_path / "halves")


def test_a_checkpoint_keeps_every_bit_and_every_type(tmp_path):
    values = {
        "fields": np.asarray([[1 / 3, 5e-324, -0.0, np.nan]]),
        "index": 3,
        "dt": 0.1,
        "name": "numba",
        "nothing": None,
        "flag": True,
        "inner": {"counts": np.arange(3)},
    }
    write_checkpoint(tmp_path, checkpoint_bytes(Checkpoint(values, steps=5, snapshots=2, time=7.5)))
    back = read_checkpoint(tmp_path)
    assert back.solver["fields"].tobytes() == values["fields"].tobytes()
    assert np.array_equal(back.solver["inner"]["counts"], np.arange(3))
    assert {key: back.solver[key] for key in ("index", "dt", "name", "nothing", "flag")} == {
        "index": 3, "dt": 0.1, "name": "numba", "nothing": None, "flag": True,
    }  # fmt: skip
    assert (back.steps, back.snapshots, back.time) == (5, 2, 7.5)


def test_a_run_killed_while_writing_leaves_its_snapshots_readable_and_goes_on(tmp_path, finished, stand_in):
    code = f"""
        import sys, time
        sys.path.insert(0, {str(ROOT)!r})
        from tests.store.fakes import FakeSimulation, make_study
        from payloadfield.store import files
        from payloadfield.store.runner import execute, start_run
        write = files.os.fsync
        def slow(handle):
            time.sleep(0.004)
            write(handle)
        files.os.fsync = slow
        study = make_study(checkpoint_every=0.0)
        sim = FakeSimulation(study)
        execute(sim, start_run(sim, {str(tmp_path / "killed")!r}))
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    wait_for(tmp_path / "killed" / layout.snapshot_name(3), process)
    process.kill()
    process.wait()
    run = open_run(tmp_path / "killed")
    assert run.state == "interrupted" and len(run.indices) >= 4
    assert all(np.isfinite(run.field("adc", index)[2]).all() for index in range(len(run.indices)))
    assert run.cell_series("receptor").shape[0] == len(run.indices)
    sim, writer, spent = runner.resume_run(tmp_path / "killed")
    assert spent.steps > 0
    runner.execute(sim, writer, spent=spent)
    same_results(finished, tmp_path / "killed")


def wait_for(path, process, limit=60.0):
    start = time.monotonic()
    while not path.exists():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() - start < limit
        time.sleep(0.001)


def test_a_run_that_somebody_is_still_writing_is_not_resumed(finished, stand_in):
    from payloadfield.store.manifest import claim, read_manifest, write_manifest

    manifest = read_manifest(finished)
    claim(manifest)
    write_manifest(finished, manifest)
    with pytest.raises(RunError, match="still writing this run"):
        runner.resume_run(finished)


def test_snapshots_never_lag_behind_the_checkpoint(tmp_path, stand_in):
    interrupted_run(tmp_path / "halves", 30)
    with h5py.File(tmp_path / "halves" / layout.CHECKPOINT) as file:
        assert file.attrs["snapshots"] == len(open_run(tmp_path / "halves").indices)

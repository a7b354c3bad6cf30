"""Run directories of the real solver: what a stand-in for it would hide."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
from tests import tolerances
from tests.store.real import STUDY, StopsAt, begin, interrupted, load

import payloadfield
from payloadfield.errors import ResourceError, RunError, SolverError
from payloadfield.store import checkpoint, files, layout, step_log
from payloadfield.store.lock import RunLock
from payloadfield.store.manifest import read_manifest
from payloadfield.store.reader import open_run
from payloadfield.store.runner import Observer, execute, resume_run
from payloadfield.store.writer import create_run


def steps_kept(directory):
    with h5py.File(directory / layout.CHECKPOINT) as file:
        return int(file.attrs["steps"])


def test_every_dataset_of_a_checkpoint_has_a_unit_that_was_chosen_for_it(tmp_path):
    directory = interrupted(tmp_path / "run", load("bath.volume=1 uL"))
    with h5py.File(directory / layout.CHECKPOINT) as file:
        assert set(file["solver"]) == {name for name in checkpoint.UNITS if not name.startswith("fate_")}
        assert file["solver/state_fields"].attrs["units"] == file["solver/state_bath"].attrs["units"] == "nM"
        assert file["solver/state_inflow"].attrs["units"] == "nM*um^3"


# -- failing --------------------------------------------------------------------------------------------------------


def test_a_failed_run_keeps_the_state_that_it_says_it_keeps(tmp_path):
    sim, writer = begin(tmp_path / "run", load("solver.max_steps=15"))
    with pytest.raises(SolverError, match="The state at that time is kept"):
        execute(sim, writer)
    assert steps_kept(tmp_path / "run") == 15
    assert open_run(tmp_path / "run").state == "failed"


def test_a_state_that_the_disk_did_not_take_is_not_said_to_be_kept(tmp_path, monkeypatch):
    write = files._write_synced

    def full(path, data):
        if layout.CHECKPOINT in path.name:
            raise OSError(28, "No space left on device")
        write(path, data)

    class FillsUp(Observer):
        def step(self, sim, record):
            writer.drain()
            monkeypatch.setattr(files, "_write_synced", full)

    sim, writer = begin(tmp_path / "run", load("solver.max_steps=15"))
    with pytest.raises(SolverError, match=r"could not be kept: .*checkpoint\.h5: the disk is full") as caught:
        execute(sim, writer, observer=FillsUp())
    assert "The state at that time is kept" not in str(caught.value)
    assert steps_kept(tmp_path / "run") == 0
    monkeypatch.undo()
    run = open_run(tmp_path / "run")
    assert run.state == "failed" and "could not be kept" in run.manifest["reason"]


def test_a_balance_that_does_not_close_is_told_loudly(tmp_path, caplog):
    sim, writer = begin(tmp_path / "run")
    advance = sim._advance

    def leaky(end):
        record = advance(end)
        leak = 1e-6 if record.index >= 5 else 0.0
        return replace(record, balance={**record.balance, "payload": leak})

    sim._advance = leaky
    with caplog.at_level(logging.WARNING, logger="payloadfield"):
        execute(sim, writer, until=3600.0)
    assert caplog.text.count("The balance of payload does not close at t = ") == 1
    assert read_manifest(tmp_path / "run")["largest_defect"] == 1e-6


def test_a_balance_that_closes_is_not_told_of(tmp_path, caplog):
    directory = interrupted(tmp_path / "run")
    assert caplog.text == "" and 0.0 < read_manifest(directory)["largest_defect"] < tolerances.BALANCE


# -- one writer -----------------------------------------------------------------------------------------------------


def test_of_two_that_resume_at_once_one_is_refused(tmp_path):
    directory = interrupted(tmp_path / "run")
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        outcomes = pool.map(try_to_resume, [str(directory)] * 2, chunksize=1)
    assert sorted(outcomes) == ["finished", "refused"]


def try_to_resume(directory):
    """Resume and dwell on the first step, so that the other one comes while this one writes."""
    import time

    observer = StopsAt(-1)
    observer.start = lambda sim: time.sleep(3.0)
    try:
        sim, writer, spent = resume_run(directory)
        return execute(sim, writer, spent=spent, observer=observer)
    except RunError as error:
        assert "still writing this run" in str(error) or "finished" in str(error)
        return "refused"


def test_a_second_writer_is_refused_and_changes_nothing(tmp_path):
    directory = interrupted(tmp_path / "run")
    before = {path.name: path.stat().st_mtime_ns for path in directory.iterdir()}
    manifest = (directory / layout.MANIFEST).read_text()
    with RunLock(directory), pytest.raises(RunError, match="still writing this run"):
        resume_run(directory)
    assert {path.name: path.stat().st_mtime_ns for path in directory.iterdir()} == before
    assert (directory / layout.MANIFEST).read_text() == manifest
    sim, writer, spent = resume_run(directory)
    assert execute(sim, writer, spent=spent) == "finished"


def test_a_refused_resume_leaves_the_run_free_for_the_next(tmp_path):
    directory = interrupted(tmp_path / "run")
    with pytest.raises(RunError, match="until"):
        resume_run(directory, until=1.0)
    RunLock(directory).release()


def test_of_two_runs_into_one_directory_the_second_leaves_the_first_alone(tmp_path):
    sim, _writer = begin(tmp_path / "run")
    with pytest.raises(RunError, match="not empty"):
        create_run(tmp_path / "run", sim.study, {})
    (tmp_path / "other").mkdir()
    with RunLock(tmp_path / "other"), pytest.raises(RunError, match=r"writing|not empty"):
        create_run(tmp_path / "other", sim.study, {})
    assert (tmp_path / "run" / layout.MANIFEST).exists() and (tmp_path / "other").exists()


def test_two_who_write_one_file_do_not_share_a_temporary_name(tmp_path, monkeypatch):
    names = []
    monkeypatch.setattr(files, "_write_synced", lambda path, data: (names.append(path.name), path.write_bytes(data)))
    for data in (b"1", b"2"):
        files.write_atomically(tmp_path / "file", data)
    assert len(set(names)) == 2 and all(name.endswith(layout.TEMPORARY_SUFFIX) for name in names)


def test_what_a_kill_left_half_written_is_removed_when_the_run_goes_on(tmp_path):
    directory = interrupted(tmp_path / "run")
    (directory / "snapshots/000003.vtkhdf.ab.part").write_bytes(b"half")
    sim, writer, spent = resume_run(directory)
    execute(sim, writer, spent=spent)
    assert not list(directory.rglob("*.part"))


# -- durability -----------------------------------------------------------------------------------------------------


def test_the_log_is_durable_before_the_checkpoint_that_counts_its_lines(tmp_path, monkeypatch):
    done = []
    sync, write = step_log.StepLog.sync, files._write_synced
    monkeypatch.setattr(step_log.StepLog, "sync", lambda log: (done.append("log"), sync(log)))
    monkeypatch.setattr(files, "_write_synced", lambda path, data: (done.append(path.name), write(path, data)))
    interrupted(tmp_path / "run")
    at = [index for index, name in enumerate(done) if name.startswith(f"next.{layout.CHECKPOINT}")]
    assert len(at) == 2 and all(done[index - 1] == "log" for index in at)


def test_the_folder_of_a_new_run_is_made_durable(tmp_path, monkeypatch):
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *options: (opened.append(str(path)), real(path, *options))[1])
    begin(tmp_path / "run")
    assert str(tmp_path) in opened


def test_a_checkpoint_does_not_read_the_snapshots_again(tmp_path, monkeypatch):
    from payloadfield.store import snapshot, writer

    reads = []

    def noting(directory, index, *, fields):
        reads.append(index)
        return snapshot.read_snapshot(directory, index, fields=fields)

    monkeypatch.setattr(writer, "read_snapshot", noting)
    sim, run = begin(tmp_path / "run", load("output.checkpoint_every=1 ms"))
    execute(sim, run, until=6 * 3600.0)
    assert len(reads) <= 1
    sim, run, spent = resume_run(tmp_path / "run")
    reads.clear()
    execute(sim, run, spent=spent)
    assert len(reads) == len(set(reads))
    result = open_run(tmp_path / "run")
    assert result.series.times.tolist() == result.times.tolist() == [0.0, 10800.0, 21600.0, 32400.0, 43200.0]


def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path):
    sim, writer = begin(tmp_path / "whole")
    execute(sim, writer)
    sim, writer, spent = resume_run(interrupted(tmp_path / "halves"))
    execute(sim, writer, spent=spent)
    whole, halves = open_run(tmp_path / "whole"), open_run(tmp_path / "halves")
    assert np.array_equal(whole.cells["payload_exposure"], halves.cells["payload_exposure"])
    for name in whole.series.cells:
        assert np.array_equal(whole.series.cells[name], halves.series.cells[name])
    assert whole.series.ledger["payload"].keys() == halves.series.ledger["payload"].keys()


# -- input files ----------------------------------------------------------------------------------------------------


@pytest.fixture
def with_files(tmp_path):
    """A study that reads its cells and its scaffold from files."""
    folder = tmp_path / "mine"
    folder.mkdir()
    labels = np.zeros((5, 3, 4), dtype=np.uint8)
    labels[0] = 1
    np.save(folder / "labels.npy", labels)
    (folder / "cells.csv").write_text("x_um,y_um,z_um,type\n30,30,50,SK-BR-3\n50,30,70,fibroblast\n")
    text = STUDY.read_text()
    head, tail = text[: text.index("[[scaffold]]")], text[text.index("[[schedule]]") :]
    middle = (
        '[[scaffold]]\nshape = "array"\nfile = "labels.npy"\nlabels = { "0" = "medium", "1" = "PCL" }\n\n'
        '[[cells]]\nfile = "cells.csv"\n\n'
    )
    (folder / "study.toml").write_text(head + middle + tail)
    return folder


def test_a_run_goes_on_and_its_study_is_read_where_its_input_files_are_gone(with_files, tmp_path):
    study = payloadfield.load_study(with_files / "study.toml")
    directory = interrupted(tmp_path / "run", study)
    shutil.rmtree(with_files)
    moved = directory.rename(tmp_path / "elsewhere")
    text = (moved / layout.STUDY).read_text()
    assert str(tmp_path) not in text and 'file = "inputs/0-labels.npy"' in text
    sim, writer, spent = resume_run(moved)
    assert execute(sim, writer, spent=spent) == "finished"
    assert len(open_run(moved).study.cells.type_index) == 2


def test_an_input_file_that_went_away_before_the_run_began_is_named(with_files, tmp_path):
    study = payloadfield.load_study(with_files / "study.toml")
    (with_files / "cells.csv").unlink()
    with pytest.raises(RunError, match=r"cells\.csv: cannot be read any more"):
        begin(tmp_path / "run", study)
    assert not (tmp_path / "run").exists()


def test_a_disk_that_fills_up_while_inputs_are_copied_leaves_nothing(with_files, tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_write_synced", full)
    with pytest.raises(ResourceError, match="disk is full"):
        begin(tmp_path / "run", payloadfield.load_study(with_files / "study.toml"))
    assert not (tmp_path / "run").exists()


def test_the_manifest_is_json_of_plain_numbers(tmp_path):
    directory = interrupted(tmp_path / "run")
    json.loads((directory / layout.MANIFEST).read_text(), parse_constant=pytest.fail)

"""Run directories of studies with fates: what is kept of them, and that a run goes on as if it had not been stopped."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from tests.store.real import begin, interrupted

import payloadfield
from payloadfield.store import checkpoint, layout
from payloadfield.store.reader import open_run
from payloadfield.store.runner import execute, resume_run

TABLE = {
    "duration": "60 h",
    "grid": {"size": ["60 um", "40 um", "40 um"], "voxel": "20 um"},
    "boundary": {"z_high": "bath"},
    "cells": [{"type": "SK-BR-3", "count": 12, "place": "medium"}],
    "schedule": [{"at": "0 h", "dose": {"T-DXd": "20 nM"}}],
    "output": {"every": "20 h"},
    "seed": 5,
}
OWN = Path(__file__).parents[1] / "mechanisms" / "fates.toml"
TRANSITIONS = ("dooming", "dying", "senescing")


def study(mode):
    return payloadfield.load_study({**TABLE, "modules": {"fate": mode}})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("fates") / "run"
    sim, writer = begin(directory, study("sampled"))
    assert execute(sim, writer) == "finished"
    return directory


def test_exposures_hold_fates_at_every_output_and_times_of_commitment(finished):
    run = open_run(finished)
    fates = np.array([run.cell_series(name) for name in ("cycling", "damaged", "senescent", "dead")])
    assert fates.shape == (4, 4, 12) and np.array_equal(fates.sum(axis=0), np.ones((4, 12)))
    with h5py.File(finished / layout.EXPOSURE) as file:
        times = {name: file[f"cells/{name}_time"] for name in TRANSITIONS}
        assert all(item.attrs["units"] == "s" for item in times.values())
        came = {name: item[()] for name, item in times.items()}
    assert np.array_equal(np.isfinite(came["senescing"]), fates[2, -1] == 1.0)
    assert np.isfinite(came["senescing"]).any() and np.isfinite(came["dooming"]).any()


def test_the_log_counts_the_cells_that_moved_in_every_step(finished):
    run = open_run(finished)
    for name in TRANSITIONS:
        moved = sum(entry["moves"].get(name, 0) for entry in run.log)
        assert moved == np.isfinite(run.cells[f"{name}_time"]).sum()


@pytest.mark.parametrize("at_step", [15, 35])
def test_a_run_with_sampled_fates_goes_on_bit_for_bit(finished, tmp_path, at_step):
    directory = interrupted(tmp_path / "halves", study("sampled"), at_step=at_step)
    with h5py.File(directory / layout.CHECKPOINT) as file:
        kept = {name for name in file["solver"] if name.startswith("fate_")}
        assert kept == {name for name in checkpoint.UNITS if name.startswith("fate_")}
        assert file["solver/fate_times"].attrs["units"] == "s"
    sim, writer, spent = resume_run(directory)
    assert execute(sim, writer, spent=spent) == "finished"
    first, second = open_run(finished), open_run(directory)
    assert len(first.log) == len(second.log) > at_step
    for name in first.series.cells:
        assert np.array_equal(first.cell_series(name), second.cell_series(name)), name
    for name in TRANSITIONS:
        assert np.array_equal(first.cells[f"{name}_time"], second.cells[f"{name}_time"], equal_nan=True)


def test_a_checkpoint_of_expected_fates_is_not_taken_for_one_of_sampled_ones(tmp_path):
    directory = interrupted(tmp_path / "run", study("expected"), at_step=20)
    text = (directory / layout.STUDY).read_text()
    assert 'fate = "expected"' in text or "fate = true" in text
    (directory / layout.STUDY).write_text(
        text.replace('fate = "expected"', 'fate = "sampled"').replace("fate = true", 'fate = "sampled"')
    )
    with pytest.raises(payloadfield.errors.RunError, match="differs from the one that the checkpoint belongs to"):
        resume_run(directory)


def test_a_mechanism_of_ones_own_is_sampled_by_the_study_and_goes_on(tmp_path):
    table = {key: TABLE[key] for key in ("grid", "output")} | {"duration": "30 h", "modules": {"fate": "sampled"}}
    cells = [{"type": "SK-BR-3", "count": 20, "place": "medium"}]
    fields = {"fields": {"drug": "50 nM"}}
    mine = payloadfield.load_study({**table, "mechanism": str(OWN), "cells": cells, "initial": fields})
    assert mine.mechanism.is_sampled
    whole, writer = begin(tmp_path / "whole", mine)
    assert execute(whole, writer) == "finished"
    directory = interrupted(tmp_path / "halves", mine, at_step=15)
    sim, writer, spent = resume_run(directory)
    assert execute(sim, writer, spent=spent) == "finished"
    for name, times in whole.commitments().items():
        assert np.array_equal(times, sim.commitments()[name], equal_nan=True)
    assert np.isfinite(whole.commitments()["dooming"]).any()

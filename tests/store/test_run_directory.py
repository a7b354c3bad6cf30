from __future__ import annotations

import json
import math

import h5py
import numpy as np
import pytest
from tests.store.fakes import DURATION, SHAPE, FakeSimulation, make_study

from payloadfield.errors import ResourceError, RunError, SolverError
from payloadfield.store import files, layout
from payloadfield.store.interrupt import StopRequest
from payloadfield.store.manifest import read_manifest, write_manifest
from payloadfield.store.reader import open_run
from payloadfield.store.runner import Observer, execute, start_run
from payloadfield.store.series import rebuild_series


def run_into(path, study, **options):
    sim = FakeSimulation(study, **options)
    return sim, start_run(sim, path, command=["test"])


def test_a_finished_run_holds_every_file_of_the_layout(finished):
    names = {item.name for item in finished.iterdir()}
    assert names == {
        "study.toml", "sources.json", "manifest.json", "log.jsonl", "snapshots", "series.vtkhdf", "geometry.vtkhdf",
        "exposure.h5", "checkpoint.h5", "checkpoint.prev.h5", "writer.lock",
    }  # fmt: skip
    assert read_manifest(finished)["state"] == "finished"


def test_a_snapshot_gives_back_the_fields_with_nan_in_closed_voxels(tmp_path, study):
    sim, writer = run_into(tmp_path / "run", study)
    execute(sim, writer)
    run = open_run(tmp_path / "run")
    field = run.field("payload", -1)
    assert field.shape == SHAPE
    assert np.array_equal(np.isnan(field), study.geometry.open_fraction == 0)
    assert np.array_equal(field, sim.field_on_grid("payload").astype(np.float32), equal_nan=True)


def test_times_cells_and_series_come_back_in_full_precision(finished, study):
    run = open_run(finished)
    assert run.times.tolist() == list(study.output.times)
    assert run.cells["type"].tolist() == ["SK-BR-3", "fibroblast", "SK-BR-3", "fibroblast"]
    assert run.cells["x_um"].tolist() == [5.0, 35.0, 45.0, 15.0]
    assert run.cells["receptors"].tolist() == [1e6, 0.0, 2e6, 0.0]
    assert run.cells.units["payload_exposure"] == "nM*s"
    assert run.cell_series("payload_exposure").shape == (7, 4)
    np.testing.assert_allclose(run.cell_series("receptor")[:, 0], 1 + 0.1 * run.times, rtol=1e-13)
    assert np.array_equal(run.cell_series("payload_exposure")[-1], run.cells["payload_exposure"])


def test_the_ledger_is_kept_at_every_output(finished):
    run = open_run(finished)
    steps = run.series.ledger["payload"]["dosed"]
    assert steps.shape == (7,) and (np.diff(steps) > 0).all()
    assert run.ledger["payload"]["dosed"] == steps[-1]


def test_the_log_has_a_line_of_finite_json_for_every_step(finished):
    lines = (finished / layout.LOG).read_text().splitlines()
    entries = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [entry["step"] for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[0]["balance"] == {"payload": None}  # the stand-in reports NaN there
    assert math.isclose(sum(entry["dt_s"] for entry in entries), DURATION)


@pytest.mark.parametrize(
    "name", ["snapshots/000003.vtkhdf", "series.vtkhdf", "exposure.h5", "checkpoint.h5", "geometry.vtkhdf"]
)
def test_every_dataset_says_its_unit(finished, name):
    missing = []

    def visit(path, item):
        if isinstance(item, h5py.Dataset) and "units" not in item.attrs:
            missing.append(path)

    with h5py.File(finished / name) as file:
        file.visititems(visit)
    assert missing == []


def test_snapshots_follow_the_vtkhdf_conventions(finished):
    with h5py.File(finished / "snapshots/000001.vtkhdf") as file:
        root = file["VTKHDF"]
        assert root.attrs["Version"].tolist() == [2, 3]
        assert root.attrs.get_id("Type").dtype == np.dtype("S9") and root.attrs["Type"] == b"ImageData"
        nz, ny, nx = SHAPE
        assert root.attrs["WholeExtent"].tolist() == [0, nx, 0, ny, 0, nz]
        assert root["CellData/adc"].shape == SHAPE
        assert root["CellData/adc"].attrs["units"] == "nM"


def test_the_series_is_a_view_of_the_snapshots_that_survives_moving_the_run(finished, tmp_path):
    moved = finished.rename(tmp_path / "elsewhere")
    with h5py.File(moved / layout.SERIES) as file:
        steps = file["VTKHDF/Steps"]
        adc = file["VTKHDF/CellData/adc"]
        assert steps.attrs["NSteps"] == 7 and steps["CellDataOffsets/adc"][()].tolist() == list(range(7))
        assert adc.is_virtual
        assert np.array_equal(adc[4], open_run(moved).field("adc", 4), equal_nan=True)


def test_a_snapshot_that_is_missing_reads_as_nan_and_not_as_zero(finished):
    (finished / layout.snapshot_name(2)).unlink()
    with h5py.File(finished / layout.SERIES) as file:
        adc = file["VTKHDF/CellData/adc"]
        assert np.isnan(adc[2]).all()
        assert np.isfinite(adc[3, 2]).all()


def test_the_series_can_be_rebuilt_from_the_snapshots(finished):
    before = (finished / layout.SERIES).read_bytes()
    (finished / layout.SERIES).unlink()
    assert rebuild_series(finished) == 7
    with h5py.File(finished / layout.SERIES) as file:
        assert file["VTKHDF/Steps/Values"][-1] == DURATION
    assert len((finished / layout.SERIES).read_bytes()) == len(before)


def test_vtk_opens_the_snapshots_and_the_series(finished):
    vtk = pytest.importorskip("vtk")
    from vtk.util.numpy_support import vtk_to_numpy

    reader = vtk.vtkHDFReader()
    reader.SetFileName(str(finished / layout.SERIES))
    reader.UpdateInformation()
    assert reader.GetNumberOfSteps() == 7
    reader.UpdateTimeStep(DURATION)
    values = vtk_to_numpy(reader.GetOutput().GetCellData().GetArray("adc")).reshape(SHAPE)
    assert np.array_equal(values, open_run(finished).field("adc", -1), equal_nan=True)


def test_an_existing_directory_is_refused_and_left_alone(finished, study):
    before = sorted(path.name for path in finished.iterdir())
    with pytest.raises(RunError, match=r"not empty.*-o"):
        run_into(finished, study)
    assert sorted(path.name for path in finished.iterdir()) == before


def test_an_empty_directory_is_used(tmp_path, study):
    (tmp_path / "run").mkdir()
    sim, writer = run_into(tmp_path / "run", study)
    assert execute(sim, writer) == "finished"


def test_a_study_that_cannot_be_written_leaves_no_directory(tmp_path, study):
    study.effective["grid"] = {"voxel": object()}
    with pytest.raises(TypeError):
        run_into(tmp_path / "run", study)
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_refused_with_path_and_need_and_keeps_the_last_good_state(tmp_path, study, monkeypatch):
    write = files._write_synced

    def full(path, data):
        if "000003" in path.name:
            path.write_bytes(bytes(data)[:100])
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(files, "_write_synced", full)
    sim, writer = run_into(tmp_path / "run", study)
    with pytest.raises(ResourceError, match=r"000003\.vtkhdf: the disk is full \(.*\): \S+ kB needed"):
        execute(sim, writer)
    run = open_run(tmp_path / "run")
    assert run.state == "failed" and "disk is full" in run.manifest["reason"]
    assert run.indices == [0, 1, 2]
    assert np.isfinite(run.field("adc", 2)[2]).all()
    assert np.array_equal(run.newest("payload_exposure"), run.cell_series("payload_exposure")[2])
    assert (run.newest("payload_exposure") > run.cells["payload_exposure"]).all()  # the table is of the checkpoint
    assert not list((tmp_path / "run").rglob("*.part"))
    assert h5py.is_hdf5(tmp_path / "run" / layout.CHECKPOINT)


def test_a_disk_that_is_full_for_every_file_still_ends_in_one_clear_refusal(tmp_path, study, monkeypatch):
    class FillsUp(Observer):
        def output(self, sim, index):
            if index == 2:
                monkeypatch.setattr(files, "_write_synced", self.full)

        @staticmethod
        def full(path, data):
            raise OSError(28, "No space left on device")

    sim, writer = run_into(tmp_path / "run", study)
    with pytest.raises(ResourceError, match="disk is full"):
        execute(sim, writer, observer=FillsUp())
    monkeypatch.undo()
    assert read_manifest(tmp_path / "run")["state"] == "running"  # nothing could be written any more


def test_a_run_that_fails_keeps_its_last_good_state_and_says_why(tmp_path, study):
    sim, writer = run_into(tmp_path / "run", study, fail_at=25)
    with pytest.raises(SolverError, match="adc is not finite"):
        execute(sim, writer)
    run = open_run(tmp_path / "run")
    assert run.state == "failed" and "not finite" in run.manifest["reason"]
    assert run.log[-1]["step"] == 24
    with h5py.File(tmp_path / "run" / layout.CHECKPOINT) as file:
        assert file.attrs["steps"] == 24
        assert np.array_equal(file["solver/fields"][()], sim.state.fields)


def test_a_run_whose_process_is_gone_reads_as_interrupted(finished):
    manifest = read_manifest(finished)
    manifest["state"] = "running"
    write_manifest(finished, manifest)
    assert open_run(finished).state == "running"  # this process, which is alive
    manifest["machine"]["process_started"] -= 100.0
    write_manifest(finished, manifest)
    assert open_run(finished).state == "interrupted"


def test_a_directory_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"not a run directory: manifest\.json is missing"):
        open_run(tmp_path)


def test_a_newer_layout_is_refused(finished):
    manifest = read_manifest(finished)
    manifest["layout_version"] = 99
    write_manifest(finished, manifest)
    with pytest.raises(RunError, match="layout_version is 99"):
        open_run(finished)


def test_unknown_fields_and_outputs_are_refused_by_name(finished):
    run = open_run(finished)
    with pytest.raises(RunError, match="no field 'oxygen'; stored are adc, payload"):
        run.field("oxygen")
    with pytest.raises(RunError, match="no output 7"):
        run.field("adc", 7)
    with pytest.raises(RunError, match="no time series of 'damage'"):
        run.cell_series("damage")


def test_a_damaged_snapshot_is_named(finished):
    (finished / layout.snapshot_name(1)).write_bytes(b"nonsense")
    with pytest.raises(RunError, match=r"000001\.vtkhdf: not a readable HDF5 file"):
        _ = open_run(finished).times


def test_a_stop_request_leaves_a_checkpoint_at_the_step_it_came(tmp_path):
    study = make_study()
    sim, writer = run_into(tmp_path / "run", study)
    stop = StopRequest()

    class StopsAt20(Observer):
        def step(self, sim, record):
            stop.is_set = record.index == 20

    assert execute(sim, writer, observer=StopsAt20(), stop=stop) == "interrupted"
    with h5py.File(tmp_path / "run" / layout.CHECKPOINT) as file:
        assert file.attrs["steps"] == 20 and file.attrs["time"] == sim.time

"""Sweeps: points solved by real processes, some of them killed, and the table that is left."""

import csv
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from payloadfield.compare.solve import solve_and_measure
from payloadfield.compare.sweep import cluster
from payloadfield.compare.sweep.cluster import Workers, solve_points
from payloadfield.compare.sweep.job import open_job
from payloadfield.compare.sweep.part import parse_part, solve_part
from payloadfield.compare.sweep.table import read_failures, write_table
from payloadfield.errors import RunError, StudyError
from payloadfield.study import load_study

pytest.importorskip("distributed")


def in_this_process(sweep, folder):
    job = open_job(sweep, folder)
    solve_part(job, 1, 1)
    return write_table(job).read_bytes()


def rows(table):
    return list(csv.DictReader(table.decode().splitlines()))


@pytest.fixture
def table(small_sweep, tmp_path):
    return in_this_process(small_sweep, tmp_path / "reference")


def test_each_row_is_the_study_solved_alone_with_the_values_of_the_row(small_sweep, table):
    found = rows(table)
    assert len(found) == 6
    for row in (found[0], found[5]):
        changes = [f"{key}={row[key]}" for key in ("agents.T-DXd.DAR", "agents.T-DXd.linker.kcat_over_km")]
        study = load_study(small_sweep.parent / "study.toml", changes)
        for metric in solve_and_measure(study).metrics:
            label = f"{metric.cell_type}: {metric.name}" if metric.cell_type else metric.name
            label += "" if metric.unit == "1" else f" [{metric.unit}]"
            assert float(row[label]) == pytest.approx(metric.value, rel=1e-12, nan_ok=True, abs=1e-15), label
    exposure = [float(row["SK-BR-3: payload_exposure_mean [nM h]"]) for row in found]
    assert exposure[0] < exposure[2] < exposure[4]  # more payloads per antibody, more exposure


def test_parts_of_an_array_make_up_the_whole(small_sweep, table, tmp_path):
    for number in (2, 1, 3):
        job = open_job(small_sweep, tmp_path / "parts")
        solve_part(job, number, 3)
    assert write_table(job).read_bytes() == table


def start(small_sweep, folder, *more):
    command = [sys.executable, "-m", "payloadfield", "sweep", str(small_sweep), "-o", str(folder), "--workers", "2"]
    return subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


def wait_for_results(folder, count, process):
    end = time.monotonic() + 120
    while len(list(folder.glob("results/*.json"))) < count:
        assert process.poll() is None and time.monotonic() < end, process.stdout.read()
        time.sleep(0.01)


def test_a_sweep_killed_at_a_random_moment_goes_on_to_the_same_bits(small_sweep, table, tmp_path):
    folder = tmp_path / "killed"
    process = start(small_sweep, folder)
    wait_for_results(folder, 1, process)
    time.sleep(random.uniform(0.0, 0.3))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "table.csv").exists()
    finished = {path.name: path.stat().st_mtime_ns for path in folder.glob("results/*.json")}
    job = open_job(small_sweep, folder)
    assert len(job.remaining()) == 6 - len(finished)
    solve_points(job, Workers(count=1))
    assert write_table(job).read_bytes() == table
    for name, written in finished.items():  # and no point was solved twice
        assert (folder / "results" / name).stat().st_mtime_ns == written


def test_points_of_a_killed_worker_are_solved_by_another(small_sweep, table, tmp_path):
    import psutil

    folder = tmp_path / "one-died"
    process = start(small_sweep, folder, "-q")
    wait_for_results(folder, 1, process)
    workers = [p for p in psutil.Process(process.pid).children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
    workers[0].send_signal(signal.SIGKILL)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert (folder / "table.csv").read_bytes() == table


def test_an_interrupt_keeps_what_is_solved_and_says_how_to_go_on(small_sweep, tmp_path):
    folder = tmp_path / "stopped"
    process = start(small_sweep, folder)
    wait_for_results(folder, 1, process)
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=300)[0].decode()
    assert process.returncode == 130, out
    assert "goes on with the rest" in out or "6 of 6 points solved" in out
    assert "Traceback" not in out
    assert (folder / "table.csv").exists()


def test_a_point_that_fails_is_kept_with_its_reason_and_the_rest_is_solved(small_sweep, tmp_path):
    text = small_sweep.read_text().replace('"agents.T-DXd.DAR" = [2, 4, 8]', '"solver.max_steps" = [2, 1000]')
    small_sweep.write_text(text)
    job = open_job(small_sweep, tmp_path / "failing")
    solve_part(job, 1, 1)
    assert [row["solver.max_steps"] for row in rows(write_table(job).read_bytes())] == ["1000", "1000"]
    failures = read_failures(job)
    assert list(failures) == ["0", "1"]
    assert all("max_steps" in reason for reason in failures.values())
    assert len(rows((job.folder / "failures.csv").read_bytes())) == 2
    assert job.remaining() == [0, 1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[2, 4, 8]", "[2, -4]", "agents.T-DXd.DAR = -4"),
        ("agents.T-DXd.DAR", "agents.T-DXd.DRA", "did you mean"),
        ("agents.T-DXd.DAR", "grid.voxel", "grid.voxel"),
        ('"1e3 / M / s"', '"1e3 / s"', "kcat_over_km"),
        ('study = "study.toml"', 'study = "nowhere.toml"', "there is no such file"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_before_anything_is_made(small_sweep, tmp_path, old, new, message):
    small_sweep.write_text(small_sweep.read_text().replace(old, new))
    with pytest.raises(StudyError, match=message):
        open_job(small_sweep, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_another_sweep_is_refused_untouched(small_sweep, tmp_path):
    open_job(small_sweep, tmp_path / "out")
    small_sweep.write_text(small_sweep.read_text().replace("[2, 4, 8]", "[2, 4, 7]"))
    with pytest.raises(RunError, match="points or study have changed"):
        open_job(small_sweep, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("")
    with pytest.raises(RunError, match="is not empty and holds no sweep"):
        open_job(small_sweep, tmp_path / "mine")


def test_a_sweep_begun_by_another_version_is_refused(small_sweep, tmp_path, monkeypatch):
    open_job(small_sweep, tmp_path / "out")
    monkeypatch.setattr("payloadfield.compare.sweep.job.version", lambda: "0.0.1")
    with pytest.raises(RunError, match=r"was begun by payloadfield .*, and this is 0\.0\.1"):
        open_job(small_sweep, tmp_path / "out")


def test_workers_with_another_version_are_refused(small_sweep, tmp_path, monkeypatch):
    job = open_job(small_sweep, tmp_path / "out")
    monkeypatch.setattr(cluster, "version", _told_apart(cluster.version))
    with pytest.raises(RunError, match=r"workers have payloadfield"):
        solve_points(job, Workers(count=1))


def _told_apart(version):
    """The version of this process as another one's; workers get the function itself and answer with theirs."""

    class Here:
        def __call__(self):
            return "0.0.1"

        def __reduce__(self):
            return (_give, (version,))

    return Here()


def _give(value):
    return value


def test_a_scheduler_that_does_not_answer_is_refused_in_words(small_sweep, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE", "1s")
    job = open_job(small_sweep, tmp_path / "out")
    with pytest.raises(RunError, match=r"scheduler tcp://127\.0\.0\.1:9: does not answer within 1s"):
        solve_points(job, Workers(scheduler="tcp://127.0.0.1:9"))


SBATCH = """#!/bin/sh
cp "$1" {folder}/script
setsid bash {folder}/script >{folder}/log 2>&1 &
echo $! >{folder}/pid
echo "Submitted batch job 1"
"""
SCANCEL = """#!/bin/sh
kill -- -$(cat {folder}/pid)
"""


def test_slurm_jobs_are_submitted_with_the_options_given_and_solve_the_points(
    small_sweep, table, tmp_path, monkeypatch
):
    pytest.importorskip("dask_jobqueue")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (programs / name).write_text(text.format(folder=programs))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    job = open_job(small_sweep, tmp_path / "slurm")
    options = {"cores": 1, "memory": "2 GB", "queue": "gpu", "walltime": "1:00:00", "interface": "lo"}
    solve_points(job, Workers(count=1, slurm=options))
    assert write_table(job).read_bytes() == table
    script = (programs / "script").read_text()
    assert "#SBATCH -p gpu" in script and "NUMBA_NUM_THREADS=1" in script


def test_slurm_without_its_programs_is_refused_in_words(small_sweep, tmp_path, monkeypatch):
    pytest.importorskip("dask_jobqueue")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match="there is no sbatch on this machine"):
        solve_points(open_job(small_sweep, tmp_path / "out"), Workers(slurm={"cores": 1, "memory": "1 GB"}))


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "-1/3", "1/0"])
def test_a_part_that_is_none_is_refused(text):
    with pytest.raises(RunError, match="a number and a count such as 3/20"):
        parse_part(text)


def test_each_worker_of_this_machine_gets_a_gpu_of_its_own():
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as made, Client(made) as client:
        client.register_plugin(cluster.one_device_each([0, 3]))
        found = client.run(lambda: os.environ[cluster.DEVICE_VARIABLE])
    assert sorted(found.values()) == ["0", "3"]

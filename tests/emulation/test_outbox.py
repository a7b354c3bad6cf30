"""Outputs that travel to the host while the device goes on: what comes, in which order, and what waits for what."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.emulation.fake_cupy import CUDARuntimeError, FakeCupy, Stream, installed
from tests.emulation.machine import HostMachine
from tests.emulation.test_cupy_machine import make_launcher_of, no_launcher, small_blocks  # noqa: F401 - a fixture
from tests.emulation.test_whole_runs import make_case, make_designs, make_machine

import payloadfield
from payloadfield.errors import BackendError, ResourceError
from payloadfield.solver import make_simulation
from payloadfield.solver.device.followed import find_followed
from payloadfield.solver.device.memory import count_bytes, count_device_memory
from payloadfield.solver.device.outbox import BUFFERS
from payloadfield.solver.device.simulation import DeviceBatch, simulate_on_device
from payloadfield.solver.discretisation import make_plan
from payloadfield.solver.outputs import kept_states
from payloadfield.store import writer as store_writer
from payloadfield.store.capture import take_snapshot
from payloadfield.store.runner import execute, execute_batch, start_run

STUDY = Path(__file__).parents[1] / "cli" / "small.toml"
PATIENCE = 60.0
"""After so many seconds of waiting a test has failed."""


def load_study():
    return payloadfield.load_study(STUDY, ["solver.precision=float64", "output.every='200 s'"])


# --- what comes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_what_is_put_aside_is_the_state_of_each_design(precision):
    """Some fields of one design, others of the next; threads upwards and downwards."""
    studies = [replace(s, solver=replace(s.solver, precision=precision)) for s in make_designs(6e5)[:2]]
    names = studies[0].mechanism.field_names
    kept = [names[::-1], names[1:2]]
    studies = [replace(s, output=replace(s.output, fields=k)) for s, k in zip(studies, kept, strict=True)]

    def make_twice(mechanism, precision, n_designs):
        machine = HostMachine(mechanism, precision, n_designs, once=False)
        return machine, machine.code.module

    batch, random = DeviceBatch(studies, make_twice), np.random.default_rng(1)
    a = batch.engine.arrays
    for values in (a.fields, a.states):
        values[...] = random.uniform(0.0, 1.0, values.shape)
    for d, sim in enumerate(batch.designs):
        fields, states = sim.hold().take()
        assert list(fields) == list(kept[d]) and list(states) == list(kept_states(sim.study)) != []
        for name, grid in fields.items():
            assert grid.dtype == np.float32 and grid.shape == sim.plan.shape
            expected = a.fields[d, names.index(name)].astype(np.float32)
            np.testing.assert_array_equal(grid.ravel()[sim.plan.voxel], expected)
            assert np.isnan(grid).sum() == grid.size - sim.plan.n_open
        for name, values in states.items():
            row = list(sim.study.mechanism.state_names).index(name)
            np.testing.assert_array_equal(values, a.states[d, row].astype(float))


def test_an_output_is_that_of_the_cpu_and_stays_while_steps_follow():
    study = make_case("loop_of_fields", duration=3.0, outputs=[1.0, 2.0])
    sim, twin = simulate_on_device(study, make_machine), make_simulation(study, "numpy")
    sim.run(until=1.0)
    twin.restore(sim.checkpoint())
    held, now = sim.hold(), sim.state
    sim.run()
    for ours, theirs in zip(held.take(), twin.hold().take(), strict=True):
        assert list(ours) == list(theirs)
        for name, values in theirs.items():
            np.testing.assert_array_equal(ours[name], values)
            assert ours[name].dtype == values.dtype
    assert (sim.state.fields != now.fields).any()


def test_a_run_through_cupy_leaves_the_outputs_that_a_run_in_memory_has(monkeypatch, small_blocks, tmp_path):  # noqa: F811
    """Copies are made as late as CUDA may make them; each waits for its launches, and the next launches for it."""
    study = load_study()
    with installed(monkeypatch, FakeCupy(make_launcher_of(study.mechanism))) as cupy:
        run = payloadfield.simulate(study, tmp_path / "run", backend="cupy", until=800.0)
        assert cupy.log.count("wait_event") == 2 * 5 - 1 and len(cupy.locked) == 2 * BUFFERS
        kept = payloadfield.simulate(study, backend="cupy", until=800.0)
    assert len(kept.times) == 5
    for k in range(5):
        for name in study.output.fields:
            np.testing.assert_array_equal(run.field(name, k), kept.field(name, k))
    for name, values in kept.series.cells.items():
        np.testing.assert_array_equal(run.cell_series(name), values)


def test_without_waiting_for_each_other_outputs_would_be_mixed_up(monkeypatch, small_blocks):  # noqa: F811
    """A control of the test above."""
    study = load_study()
    monkeypatch.setattr(Stream, "wait_event", lambda self, event: None)
    with installed(monkeypatch, FakeCupy(make_launcher_of(study.mechanism))):
        sim = make_simulation(study, "cupy")
        first = sim.hold()
        sim.run(until=200.0)
        second = sim.hold()
        (one, _), (other, _) = first.take(), second.take()
    assert all(np.array_equal(one[name], other[name], equal_nan=True) for name in study.output.fields)


# --- how many wait ---------------------------------------------------------------------------------------


@pytest.fixture
def sim():
    return simulate_on_device(make_case("loop_of_fields", duration=3.0, outputs=[]), make_machine)


@pytest.mark.parametrize("how", ["take", "drop"])
def test_with_all_buffers_on_their_way_the_solver_waits_until_one_is_free(sim, how):
    held = [sim.hold() for _ in range(BUFFERS)]
    more = []
    thread = threading.Thread(target=lambda: more.append(sim.hold()), daemon=True)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive() and not more
    getattr(held[0], how)()
    thread.join(PATIENCE)
    assert len(more) == 1


def test_a_failed_copy_keeps_no_buffer(sim, monkeypatch):
    def lose(ticket):
        raise BackendError("GPU 0 stopped answering")

    with monkeypatch.context() as patch:
        patch.setattr(sim.engine.machine, "wait_for", lose)
        patch.setattr(sim.engine.machine, "send", lambda program, pairs: None)
        for _ in range(3 * BUFFERS):
            with pytest.raises(BackendError, match="stopped answering"):
                sim.hold().take()
        patch.setattr(sim.engine.machine, "send", lambda program, pairs: lose(None))
        for _ in range(3 * BUFFERS):
            with pytest.raises(BackendError, match="stopped answering"):
                sim.hold()
    assert [len(sim.hold().take()) for _ in range(3 * BUFFERS)] == [2] * 3 * BUFFERS


# --- the writer ------------------------------------------------------------------------------------------


def start(study, directory):
    """A run of the program on the host, with its directory."""
    sim = simulate_on_device(study, make_machine)
    return sim, start_run(sim, directory, backend="numpy")


def test_the_solver_goes_on_while_a_slow_disk_writes(monkeypatch, tmp_path):
    """The second output's file is only written once the run has got two outputs further; it does not get three."""
    study = load_study()
    sim, writer = start(study, tmp_path / "run")
    went_on, ahead, write = threading.Event(), [], store_writer.snapshot_bytes

    def slow(snapshot):
        if snapshot.index == 1:
            went_on.wait(PATIENCE)
        ahead.append(sim.outputs_taken - 1 - snapshot.index)
        return write(snapshot)

    monkeypatch.setattr(store_writer, "snapshot_bytes", slow)
    hold = type(sim).hold

    def counted(self):
        self.outputs_taken += 1
        if self.outputs_taken > 3:
            went_on.set()
        return hold(self)

    sim.outputs_taken = 0
    monkeypatch.setattr(type(sim), "hold", counted)
    execute(sim, writer, until=1200.0)
    assert went_on.is_set() and max(ahead) == 2
    assert payloadfield.open_run(tmp_path / "run").times.tolist() == [200.0 * k for k in range(7)]


def test_designs_of_a_batch_share_the_buffers_and_leave_a_run_each(tmp_path):
    """More designs than buffers: every one writes what it holds, as in memory."""
    study = load_study()
    event, output = study.schedule[0], replace(study.output, times=(200.0, 400.0))
    doses = [{field: share * dose for field, dose in event.dose.items()} for share in (1.0, 0.5, 0.1)]
    studies = [replace(study, duration=400.0, output=output, schedule=(replace(event, dose=dose),)) for dose in doses]
    batch, twin = DeviceBatch(studies, make_machine), DeviceBatch(studies, make_machine)
    names = [tmp_path / str(design) for design in range(3)]
    writers = [start_run(sim, name, backend="numpy") for sim, name in zip(batch.designs, names, strict=True)]
    assert execute_batch(batch, writers) == "finished"
    runs, n_outputs = [payloadfield.open_run(name) for name in names], 0
    for record in twin.steps():
        for design, own, run in zip(twin.designs, record.records, runs, strict=True):
            for index in own.outputs:
                expected, n_outputs = take_snapshot(design, index), n_outputs + 1
                for name, values in expected.fields.items():
                    np.testing.assert_array_equal(run.field(name, index), values)
                assert run.times[index] == expected.time
    assert n_outputs == 6
    largest = [np.nanmax(run.field(study.output.fields[0])) for run in runs]
    assert largest[0] > 1.5 * largest[1] > 4.0 * largest[2] > 0.0


def test_an_error_of_the_disk_is_told_once_and_loses_nothing_that_was_written(monkeypatch, tmp_path):
    """And no output that was on its way keeps a buffer."""
    study = load_study()
    sim, writer = start(study, tmp_path / "run")
    write = store_writer.snapshot_bytes

    def full(snapshot):
        if snapshot.index == 2:
            raise ResourceError("snapshots: the disk is full. What was written before is whole")
        return write(snapshot)

    monkeypatch.setattr(store_writer, "snapshot_bytes", full)
    with pytest.raises(ResourceError, match="the disk is full"):
        execute(sim, writer)
    assert sim.engine.arrays.outbox._free.qsize() == BUFFERS
    run = payloadfield.open_run(tmp_path / "run")
    assert run.manifest["state"] == "failed" and run.times.tolist() == [0.0, 200.0]
    monkeypatch.undo()
    again = payloadfield.resume(tmp_path / "run", backend="numpy", until=800.0)
    assert again.times.tolist() == [0.0, 200.0, 400.0, 600.0, 800.0]


def test_a_device_that_is_lost_with_an_output_on_its_way_keeps_the_checkpoint(monkeypatch, small_blocks, tmp_path):  # noqa: F811
    study = load_study()
    with installed(monkeypatch, FakeCupy(make_launcher_of(study.mechanism))) as cupy:
        payloadfield.simulate(study, tmp_path / "run", backend="cupy", until=400.0)
        cupy.failures |= {"event": CUDARuntimeError("cudaErrorECCUncorrectable")}
        with pytest.raises(BackendError, match="stopped answering: cudaErrorECCUncorrectable"):
            payloadfield.resume(tmp_path / "run", until=1200.0)
        cupy.failures.clear()
    run = payloadfield.resume(tmp_path / "run", backend="numba", until=800.0)
    assert run.manifest["state"] == "interrupted" and run.times.tolist() == [0.0, 200.0, 400.0, 600.0, 800.0]


# --- memory ----------------------------------------------------------------------------------------------


def test_too_little_memory_to_lock_is_one_clear_message(monkeypatch, small_blocks):  # noqa: F811
    failures = {"pinned": CUDARuntimeError("cudaErrorMemoryAllocation: out of memory")}
    with (
        installed(monkeypatch, FakeCupy(no_launcher, failures=failures)),
        pytest.raises(ResourceError, match=r"the host has no .* GB of memory that could be locked .*output\.fields"),
    ):
        make_simulation(load_study(), "cupy")


def test_check_counts_what_outputs_take_on_both_sides():
    """One array aside of each on the device, in single precision for fields; two buffers of the host."""
    study = load_study()
    memory, locked = count_device_memory(study)
    plan = make_plan(study)
    n_fields, n_states = len(study.output.fields), len(kept_states(study))
    one = 4 * n_fields * plan.n_open + 8 * n_states * plan.cells.n_cells
    assert locked == BUFFERS * one > 1000
    followed = find_followed([study])
    counted = count_bytes([plan], study.solver.precision, followed)
    assert counted["outputs"] == one + 4 * (n_fields + n_states) and sum(counted.values()) == memory
    assert "outputs" not in count_bytes([plan], study.solver.precision, replace(followed, kept=()))


def test_take_snapshot_of_a_device_needs_no_whole_state(sim, monkeypatch):
    """Only what is kept travels."""
    sim.run(until=1.0)
    monkeypatch.setattr(sim.engine, "read", lambda array: pytest.fail("read"))
    snapshot = take_snapshot(sim, 0)
    assert set(snapshot.fields) == set(sim.study.output.fields) and snapshot.time == 1.0 and snapshot.bath

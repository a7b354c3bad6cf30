"""The GPU backend's side of CuPy: what it calls, in which order, and what it says when something fails.

With a CuPy of the tests' own (fake_cupy.py), whose kernels are the host's. That a real one does as documented, only a
GPU can show.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests import handmade, scenarios
from tests.emulation.fake_cupy import (
    After,
    CompileException,
    CUDADriverError,
    CUDARuntimeError,
    FakeCupy,
    OutOfMemoryError,
    installed,
)
from tests.emulation.host import HostKernels
from tests.emulation.machine import HostMachine

import payloadfield
from payloadfield.backends.cuda import backend as cuda_backend
from payloadfield.backends.cuda.backend import choose_device, make_cupy_machine
from payloadfield.backends.cuda.signature import Build, Launch
from payloadfield.backends.cuda.status import examine
from payloadfield.backends.devices import find_devices
from payloadfield.backends.registry import resolve
from payloadfield.compare import bench
from payloadfield.errors import BackendError, ResourceError
from payloadfield.mechanism import generate, load_mechanism
from payloadfield.solver import choose_backend, make_batch, make_simulation
from payloadfield.solver.device import pockets
from payloadfield.solver.device.engine import ITERATIONS
from payloadfield.solver.device.limits import reason_against
from payloadfield.solver.device.memory import count_device_memory
from payloadfield.solver.device.simulation import simulate_on_device
from payloadfield.solver.discretisation import make_plan
from payloadfield.store.runner import execute_batch, start_run

DURATION = 3.0
STUDY = Path(__file__).parents[1] / "cli" / "small.toml"


def make_study(**options):
    standard = {"duration": DURATION, "outputs": [], "schedule": [(0.0, {"lactone": 30.0}, 0.0)]}
    return scenarios.loop_of_fields(**(standard | {"solver": handmade.make_solver(precision="float64")} | options))


def make_launcher_of(mechanism, block=32):
    """Runs kernels by the host's build, with the block size that the sources are given."""
    build = Build("double", "double", block)
    hosts = HostKernels(build, once=True), HostKernels(build, generate(mechanism, "cuda"), once=True)
    host_of = {name: host for host in hosts for name in host.kernels}

    def make_launcher(code, name):
        def run(grid, block, arguments, shared):
            host_of[name].run_checked(Launch(name, grid, block[0], shared, tuple(arguments)))

        return run

    return make_launcher


def no_launcher(code, name):
    return lambda *arguments: None


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks as small as the host's tests have them."""
    monkeypatch.setattr(cuda_backend, "make_build", lambda precision: Build("double", "double", 32))


def test_a_run_through_cupy_is_that_of_the_same_launches_on_the_host(monkeypatch, small_blocks):
    study = make_study()
    with installed(monkeypatch, FakeCupy(make_launcher_of(study.mechanism))) as cupy:
        sim = make_simulation(study, "cupy")
        records = sim.run()
        found, kept = sim.state, sim.checkpoint()
        assert cupy.launches >= len(records) > 3  # as a graph, once an attempt
        assert sim.backend.name == "cupy"

    def make_machine(mechanism, precision, n_designs):
        machine = HostMachine(mechanism, precision, n_designs, most_nodes=5000)
        return machine, machine.code.module

    twin = simulate_on_device(study, make_machine)
    twin.run()
    for name, values in twin.state.arrays().items():
        np.testing.assert_array_equal(getattr(found, name), values)
    assert set(kept) == set(twin.checkpoint())


def test_without_graphs_launches_are_made_one_by_one(monkeypatch, small_blocks):
    study = make_study(duration=1.0)
    monkeypatch.setenv("PAYLOADFIELD_GRAPHS", "0")
    with installed(monkeypatch, FakeCupy(make_launcher_of(study.mechanism))) as cupy:
        assert make_simulation(study, "cupy").run()
        assert cupy.launches == 0


def test_a_batch_through_cupy_has_one_run_for_each_design(monkeypatch, small_blocks):
    studies = [make_study(duration=1.0), make_study(duration=1.0, schedule=[(0.0, {"lactone": 10.0}, 0.0)])]
    with installed(monkeypatch, FakeCupy(make_launcher_of(studies[0].mechanism))):
        batch = make_batch(studies, "cupy")
        assert batch.run() and batch.time == 1.0
        first, second = (design.state.fields.max() for design in batch.designs)
    assert first == pytest.approx(3 * second, rel=1e-2)


@pytest.fixture
def small_copy(monkeypatch):
    monkeypatch.setattr(bench, "COPIED", 1 << 20)
    monkeypatch.setattr(bench, "LEAST_COPIED", 1 << 18)


@pytest.mark.usefixtures("small_copy")
def test_bench_measures_every_kernel_of_a_step_at_the_largest_size_as_graphs(monkeypatch):
    """Times are made up; that everything is counted and adds up is not."""
    with installed(monkeypatch, FakeCupy(no_launcher)) as cupy:
        monkeypatch.setattr(bench, "_run", lambda study: bench.WholeRun(8, 1, 2, 1, 0, 1.0, 1.0, 1.0))
        found = bench.measure("cupy", (8, 10, 9))
        assert cupy.launches == (bench.ROUNDS + 1) * len(found["operations"])  # one graph for each kernel
    assert found["bandwidth_bytes_per_second"] == pytest.approx(2 * 2**20 / 2e-3)
    names = {item["name"] for item in found["operations"]}
    assert {"smooth", "small_levels", "apply_dot", "end_step", "cell_factor"} - names == {"smooth"}  # too small for it
    assert sum(item["share_of_step"] for item in found["operations"]) == pytest.approx(1.0)
    assert found["machine"]["gpus"][0]["name"] == "Fake GPU"
    settings = handmade.make_solver()
    assert found["operations_at"] == make_plan(bench.make_bench_study(10, settings)).n_open
    assert len(found["runs"]) == 3 and found["sizes_beyond_memory"] == []


@pytest.mark.usefixtures("small_copy")
def test_bench_takes_what_fits_into_memory(monkeypatch):
    """The largest size that does, and a smaller copy."""
    settings = handmade.make_solver()
    small, large = (count_device_memory(bench.make_bench_study(n, settings))[0] for n in (8, 16))
    with installed(monkeypatch, FakeCupy(no_launcher, free=(small + large) // 2)) as cupy:
        monkeypatch.setattr(bench, "_run", lambda study: bench.WholeRun(8, 1, 2, 1, 0, 1.0, 1.0, 1.0))
        zeros = cupy.zeros

        def refuse(shape, dtype):
            if shape == 1 << 17:
                raise OutOfMemoryError("Out of memory")
            return zeros(shape, dtype)

        cupy.zeros = refuse
        found = bench.measure("cupy", (8, 16))
        assert found["sizes_beyond_memory"] == [16] and len(found["runs"]) == 1
        assert found["bandwidth_bytes_per_second"] == pytest.approx(2 * 2**19 / 2e-3)
        with pytest.raises(ResourceError, match="too little memory"):
            bench.measure("cupy", (16,))


def test_bench_keeps_the_clocks_as_found(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bench.describe_machine()["clocks"] == []
    command = tmp_path / "nvidia-smi"
    said = "name, driver_version, clocks.current.sm [MHz]\\nA GPU, 580.1, 1980 MHz\\n"
    command.write_text(f"#!/bin/sh\nprintf '{said}'\n")
    command.chmod(0o755)
    expected = {"name": "A GPU", "driver_version": "580.1", "clocks.current.sm [MHz]": "1980 MHz"}
    assert bench.describe_machine()["clocks"] == [expected]
    command.write_text("#!/bin/sh\nexit 9\n")
    assert bench.describe_machine()["clocks"] == []


# --- what is usable, and why not ----------------------------------------------------------------------------


def test_auto_takes_a_usable_gpu_and_says_so(monkeypatch):
    with installed(monkeypatch, FakeCupy(no_launcher)):
        assert resolve("auto") == ("cupy", "auto: Fake GPU")
        found = find_devices()["backends"][2]
        assert found["is_usable"] and "0: Fake GPU, 1.0 of 2.0 GB free" in found["reason"]
        assert "driver for CUDA 13.0" in found["reason"] and "CuPy 14.0.0" in found["reason"]


def test_auto_names_the_gpu_that_it_takes(monkeypatch):
    """Not the first one, where that is unusable or another is asked for."""
    with installed(monkeypatch, FakeCupy(no_launcher, count=3)) as cupy:
        kinds = [{"name": b"Old", "major": 6, "minor": 0}, *({"name": n, "major": 9, "minor": 0} for n in (b"A", b"B"))]
        cupy.cuda.runtime.getDeviceProperties = kinds.__getitem__
        assert resolve("auto") == ("cupy", "auto: A")
        monkeypatch.setenv("PAYLOADFIELD_DEVICE", "2")
        assert resolve("auto") == ("cupy", "auto: B")


UNUSABLE = {
    "no driver": ({"driver": 0}, "no NVIDIA driver is found; install one"),
    "old driver": ({"driver": 11040}, r"the NVIDIA driver is too old: it supports CUDA 11.4, and 12.0 is needed"),
    "wrong CuPy": (
        {"driver": 12080, "runtime": 13020},
        r"CuPy is built for CUDA 13.2, and the NVIDIA driver supports CUDA 12.8: pip uninstall cupy-cuda13x, then pip "
        r"install 'payloadfield\[cuda12\]'",
    ),
    "no compiler": (
        {"failures": {"nvrtc": RuntimeError("Failure finding libnvrtc.so.13")}},
        r"CuPy finds no CUDA compiler \(NVRTC: Failure finding .*pip install 'payloadfield\[cuda13\]'",
    ),
    "no device": (
        {"failures": {"getDeviceCount": CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")}},
        "no GPU is found: cudaErrorNoDevice",
    ),
    "old device": ({"major": 6}, r"Fake GPU has compute capability 6.0; 7.5 or more is needed"),
    "dead device": (
        {"failures": {"getDeviceProperties": CUDARuntimeError("cudaErrorDevicesUnavailable")}},
        "GPU 0 does not answer: cudaErrorDevicesUnavailable",
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_is_in_the_way_of_a_gpu_is_said_in_one_message(case, monkeypatch):
    options, message = UNUSABLE[case]
    with installed(monkeypatch, FakeCupy(no_launcher, **options)):
        with pytest.raises(BackendError, match=rf"backend cupy: {message}.*Or use --backend numba"):
            resolve("cupy")
        name, reason = resolve("auto")
        assert name == "numba" and reason.startswith("auto: Numba on the CPU, since ")
        assert not find_devices()["backends"][2]["is_usable"]


def test_a_broken_cupy_is_told(monkeypatch):
    def broken():
        raise ImportError("libcudart.so.12: cannot open shared object file\nmore")

    with installed(monkeypatch, FakeCupy(no_launcher)):
        monkeypatch.setattr("payloadfield.backends.cuda.status.load_cupy", broken)
        with pytest.raises(BackendError, match=r"does not load: libcudart.so.12: cannot open shared object file\. "):
            resolve("cupy")


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    with installed(monkeypatch, FakeCupy(no_launcher, count=2)):
        assert choose_device(examine()) == 0
        assert choose_device(examine(), 1) == 1
        with pytest.raises(BackendError, match=r"--device: got 4; there is no such GPU; there are: 0 \(Fake GPU\), 1 "):
            choose_device(examine(), 4)
        monkeypatch.setenv("PAYLOADFIELD_DEVICE", "7")
        with pytest.raises(BackendError, match="got 7; there is no such GPU"):
            make_cupy_machine(load_mechanism("adc"), "mixed", 1)
        monkeypatch.setenv("PAYLOADFIELD_DEVICE", "first")
        with pytest.raises(BackendError, match="PAYLOADFIELD_DEVICE: got 'first'; the number of a GPU is needed"):
            choose_device(examine())


def test_a_study_that_the_gpu_does_not_solve_yet_goes_to_numba_or_is_refused(monkeypatch):
    """Gels that let some fields of a loop in and others not: so many pockets may hang together, and no more."""
    study = make_study()
    geometry, loop = study.geometry, study.mechanism.field_groups[0]
    shut = handmade.make_gel(1.0, 0.9, {study.mechanism.field_names[loop[0]]: 0.0, "default": 0.1})
    split = replace(study, geometry=replace(geometry, materials=(*geometry.materials[:-1], shut)))
    with installed(monkeypatch, FakeCupy(no_launcher)):
        assert choose_backend(split, "auto")[0] == "cupy"
        monkeypatch.setattr(pockets, "MOST_UNKNOWNS", len(loop))
        assert choose_backend(study, "auto")[0] == "cupy"
        what = "does not yet solve a loop of the fields .* different pockets"
        name, reason = choose_backend(split, "auto")
        assert name == "numba" and re.search(f"the GPU {what}", reason)
        with pytest.raises(BackendError, match=what):
            choose_backend(split, "cupy")


def test_what_is_seen_in_a_study_beforehand_is_what_the_pockets_of_a_loop_then_are(monkeypatch):
    monkeypatch.setattr(pockets, "MOST_UNKNOWNS", 2)  # as many as fields in the loop
    study = make_study()
    geometry, loop = study.geometry, study.mechanism.field_groups[0]
    name = study.mechanism.field_names[loop[0]]
    shut, skin = handmade.make_gel(1.0, {name: 0.0, "default": 0.9}), handmade.make_gel(1.0, 0.9, {name: 0.0})
    for materials, differs, allowed in (
        (geometry.materials, False, True),
        ((*geometry.materials[:-1], shut), True, True),
        ((*geometry.materials[:-1], skin), True, False),
    ):
        changed = replace(study, geometry=replace(geometry, materials=materials))
        plan = make_plan(changed)
        assert pockets.share_pockets(plan, loop) != differs
        assert (pockets.count_unknowns([plan], loop) <= 2) == allowed
        assert ("pockets" not in (reason_against(changed) or "")) == allowed


# --- trouble on the way -----------------------------------------------------------------------------------------

TROUBLE = {
    "no memory": (
        {"zeros": OutOfMemoryError("Out of memory allocating 512 bytes")},
        ResourceError,
        r"GPU 0 has too little memory: .* or more are needed \(Out of memory allocating 512 bytes; 1\.00 GB are free"
        r"\)\. Nothing that was written is lost\. Coarsen grid\.voxel",
    ),
    "no memory left half way": (
        {"zeros": After(40, OutOfMemoryError("Out of memory allocating 512 bytes"))},
        ResourceError,
        r"GPU 0 has too little memory: .* GB or more are needed \(Out of memory",
    ),
    "no memory for a graph": (
        {"graph": CUDARuntimeError("cudaErrorMemoryAllocation: out of memory")}, ResourceError, "too little memory",
    ),
    "lost": (
        {"graph": CUDARuntimeError("cudaErrorLaunchFailure: unspecified launch failure")},
        BackendError,
        r"GPU 0 stopped answering: cudaErrorLaunchFailure.*What the run directory holds is kept, up to its last "
        r"checkpoint; `payloadfield resume`",
    ),
    "lost while it is written to": (
        {"set": After(60, CUDARuntimeError("cudaErrorLaunchFailure"))}, BackendError, "GPU 0 stopped answering: cuda",
    ),
    "lost while it is waited for": (
        {"wait": After(70, CUDARuntimeError("cudaErrorLaunchFailure"))}, BackendError, "GPU 0 stopped answering: cuda",
    ),
    "cannot be opened": (
        {"stream": CUDARuntimeError("cudaErrorDevicesUnavailable")}, BackendError, "GPU 0 could not be opened: cuda",
    ),
    "lost, says the driver": (
        {"graph": CUDADriverError("CUDA_ERROR_ILLEGAL_ADDRESS")}, BackendError, "stopped answering: CUDA_ERROR_ILLEGAL",
    ),
    "no compilation": (
        {"compile": CompileException("cells.cu(3): error: it\nmore")},
        BackendError,
        r"a kernel does not compile on GPU 0: cells.cu\(3\): error: it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TROUBLE)
def test_trouble_on_the_device_is_one_clear_message(case, monkeypatch, small_blocks):
    failures, kind, message = TROUBLE[case]
    study = make_study(duration=1.0)
    with (
        installed(monkeypatch, FakeCupy(no_launcher, failures=failures)),
        pytest.raises(kind, match=message),
    ):
        make_simulation(study, "cupy").run()


def test_too_little_memory_is_told_before_anything_is_allocated(monkeypatch, small_blocks):
    failures = {"zeros": AssertionError("allocated")}
    with (
        installed(monkeypatch, FakeCupy(no_launcher, free=10_000, failures=failures)),
        pytest.raises(ResourceError, match=r"GB or more are needed \(0\.00 GB are free\)"),
    ):
        make_simulation(make_study(), "cupy")


def test_what_kernels_spill_is_counted_for_all_threads_that_a_gpu_runs_at_once(monkeypatch):
    study = payloadfield.load_study(STUDY)
    free = count_device_memory(study)[0] + 2 * 1024 * 500
    with installed(monkeypatch, FakeCupy(no_launcher, free=free)) as cupy:
        cupy.spilled = 400
        make_simulation(study, "cupy")
        cupy.spilled = 600
        with pytest.raises(ResourceError, match="too little memory"):
            make_simulation(study, "cupy")


def test_a_run_takes_the_memory_that_was_counted_and_no_more_later(monkeypatch):
    """Of CuPy: with its outputs, and with the programs of more iterations that it may come to need."""
    study = payloadfield.load_study(STUDY)
    with installed(monkeypatch, FakeCupy(no_launcher)) as cupy:
        sim = make_simulation(study, "cupy")
        assert cupy.n_bytes == count_device_memory(study)[0] == sum(sim.engine.machine.allocated.values()) > 1e4
        sim.hold().take()
        sim.checkpoint()
        sim.engine.program(2 * ITERATIONS)
        assert cupy.n_bytes == count_device_memory(study)[0]


def test_a_run_whose_device_is_lost_keeps_its_checkpoint_and_goes_on_elsewhere(monkeypatch, small_blocks, tmp_path):
    study = payloadfield.load_study(STUDY, ["solver.precision=float64"])
    mechanism = study.mechanism
    with installed(monkeypatch, FakeCupy(make_launcher_of(mechanism))) as cupy:
        sim_until = payloadfield.simulate(study, tmp_path / "run", backend="cupy", until=600.0)
        assert sim_until.manifest["backend"] == "cupy"
        cupy.failures |= {name: CUDARuntimeError("cudaErrorECCUncorrectable") for name in ("graph", "get")}
        with pytest.raises(BackendError, match="stopped answering: cudaErrorECCUncorrectable"):
            payloadfield.resume(tmp_path / "run", until=1200.0)
        cupy.failures.clear()
    run = payloadfield.resume(tmp_path / "run", backend="numba", until=1200.0)
    assert run.manifest["backend"] == "numba" and run.manifest["state"] == "interrupted"


def test_a_device_lost_in_the_middle_of_a_run_leaves_what_was_written(monkeypatch, small_blocks, tmp_path):
    """And the run that goes on elsewhere comes to the same end as one that nothing happened to."""
    settings = ["solver.precision=float64", "output.every='10 min'", "output.checkpoint_every='1 ms'"]
    study, backend = payloadfield.load_study(STUDY, settings), "numpy"
    with installed(monkeypatch, FakeCupy(make_launcher_of(study.mechanism))) as cupy:
        cupy.lose_at = 45
        message = "stopped answering: cudaErrorLaunchFailure.*lost with the device. The checkpoint before it stays"
        with pytest.raises(BackendError, match=message):
            payloadfield.simulate(study, tmp_path / "run", backend="cupy", until=7200.0)
        assert cupy.launches == 45
    left = payloadfield.open_run(tmp_path / "run")
    reached = left.manifest["time_reached_s"]
    assert left.manifest["state"] == "failed" and 600.0 < reached < 7200.0
    assert left.times.tolist() == [600.0 * k for k in range(int(reached // 600.0) + 1)]
    run = payloadfield.resume(tmp_path / "run", backend=backend, until=7200.0)
    whole = payloadfield.simulate(study, tmp_path / "whole", backend=backend, until=7200.0)
    assert run.times.tolist() == whole.times.tolist()
    for name in study.output.fields:
        a, b = run.field(name), whole.field(name)
        np.testing.assert_allclose(a, b, rtol=0.05, atol=1e-3 * np.nanmax(b))


def test_a_run_that_does_not_fit_leaves_no_directory(monkeypatch, small_blocks, tmp_path):
    failures = {"zeros": After(40, OutOfMemoryError("Out of memory allocating 512 bytes"))}
    with (
        installed(monkeypatch, FakeCupy(no_launcher, failures=failures)),
        pytest.raises(ResourceError, match="GPU 0 has too little memory"),
    ):
        payloadfield.simulate(STUDY, tmp_path / "run", backend="cupy")
    assert not (tmp_path / "run").exists()


def test_a_batch_whose_device_is_lost_keeps_the_checkpoint_of_every_design(monkeypatch, small_blocks, tmp_path):
    study = payloadfield.load_study(STUDY, ["solver.precision=float64", "output.checkpoint_every='1 ms'"])
    names = [tmp_path / name for name in ("one", "other")]
    with installed(monkeypatch, FakeCupy(make_launcher_of(study.mechanism))) as cupy:
        cupy.lose_at = 30
        batch = make_batch([study, study], "cupy")
        writers = [start_run(sim, name, backend="cupy") for sim, name in zip(batch.designs, names, strict=True)]
        with pytest.raises(BackendError, match="stopped answering: cudaErrorLaunchFailure"):
            execute_batch(batch, writers)
    for name in names:
        manifest = payloadfield.open_run(name).manifest
        assert manifest["state"] == "failed" and "stopped answering" in manifest["reason"]
        reached = manifest["time_reached_s"]
        assert reached > 0.0
        run = payloadfield.resume(name, backend="numpy", until=reached + 300.0)
        assert run.manifest["time_reached_s"] == reached + 300.0

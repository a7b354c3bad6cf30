"""The report on a GPU's speed: its reference problem is the loaded one's, and all that is asked for is in it."""

import re
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
from benchmarks import gpu, ours
from tests import handmade
from tests.emulation.fake_cupy import FakeCupy, installed
from tests.emulation.test_cupy_machine import make_launcher_of, small_blocks  # noqa: F401 - a fixture

from payloadfield.compare import bench
from payloadfield.solver import Simulation
from payloadfield.solver.device.memory import count_bytes, count_device_memory
from payloadfield.solver.discretisation import make_plan


def test_the_reference_problem_without_a_study_file_is_the_loaded_one(monkeypatch):
    loaded = ours.make_reference_study(16)
    monkeypatch.setitem(sys.modules, "pydantic", None)
    made = gpu.make_reference_study(16, handmade.make_solver())
    for name in ("parameters", "cell_parameters", "diffusivity", "initial_states", "typical_fields", "typical_states"):
        np.testing.assert_allclose(getattr(made, name), getattr(loaded, name), rtol=1e-14, err_msg=name)
    for name in ("open_fraction", "aperture_z", "aperture_y", "aperture_x"):
        np.testing.assert_array_equal(getattr(made.geometry, name), getattr(loaded.geometry, name))
    for field in fields(made.cells):
        if field.name.startswith("entry") or field.name == "position":
            np.testing.assert_array_equal(getattr(made.cells, field.name), getattr(loaded.cells, field.name))
    short = [replace(study, solver=handmade.make_solver()) for study in (made, loaded)]
    ends = [Simulation(study, "numpy") for study in short]
    for sim in ends:
        sim.run(until=600.0)
    np.testing.assert_allclose(ends[0].state.fields, ends[1].state.fields, rtol=1e-12, atol=1e-15)


def test_the_report_has_every_target(monkeypatch):
    """Tiny sizes, on the CPU: kernels are no GPU's, the rest is measured alike."""
    monkeypatch.setattr(gpu, "ROUNDS", 1)
    monkeypatch.setattr(bench, "ROUNDS", 1)
    found = gpu.report("numba", (8, 10), small=8, n_designs=2, threads=1)
    results = {each["name"]: each for each in found["results"]}
    assert {each["limit"] for each in results.values()} == {0.85, 0.2, 8.0, 3.0, 2e8, 50.0}
    assert all(each["value"] > 0 for name, each in results.items() if name != "smallest share of the copy")
    assert results["8^3 over 24 h"]["detail"]["steps"] > 20 and found["machine"]["clocks"] is not None


def test_kernels_that_the_copy_bounds_are_judged_by_the_slowest():
    kernel = {"name": "apply_dot", "bytes": 1e9, "share_of_bandwidth": 0.5}
    small = {"name": "end_step", "bytes": 1e3, "share_of_bandwidth": 0.01}
    found = {"bandwidth_bytes_per_second": 4e12, "operations": [kernel, small], "operations_at": 1}
    judged = gpu.judge_kernels(found)
    assert judged.value == 0.5 and not judged.holds and list(judged.detail["kernels"]) == ["apply_dot"]
    assert gpu.judge_kernels(found | {"operations": [small]}).value is None


def test_memory_of_a_run_on_a_gpu_is_told(monkeypatch, small_blocks):  # noqa: F811
    study = replace(make_short(), solver=handmade.make_solver(precision="float64", backend="cupy"))
    with installed(monkeypatch, FakeCupy(make_launcher_of(study.mechanism))):
        found = gpu.time_run(study, 1)
    assert found["steps"] > 0
    assert found["bytes"] == pytest.approx(count_device_memory(study)[0], rel=0.02)  # of larger blocks


@pytest.mark.parametrize(("volume", "words"), [(np.inf, "{} bytes an open voxel"), (1e9, "{} under a finite one")])
def test_memory_under_both_kinds_of_bath_is_what_the_readme_says(volume, words):
    """Answers to a finite bath are kept in the state's precision: 8 bytes a voxel and field."""
    study = gpu.make_reference_study(64, handmade.make_solver())
    plan = make_plan(replace(study, bath=replace(study.bath, volume=volume)))
    memory = sum(count_bytes([plan], "mixed").values()) / plan.n_open / plan.n_fields
    stated = re.search(words.format(r"(\d+)"), (gpu.MECHANISM.parents[2] / "README.md").read_text())
    assert memory == pytest.approx(int(stated[1]), abs=1.0)


def make_short():
    return replace(gpu.make_reference_study(8, handmade.make_solver()), duration=2.0, schedule=())

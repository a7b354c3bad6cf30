"""Bytes and launches by counting, as kernels/README.md states them, and against what the targets of speed imply."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tests import handmade, scenarios
from tests.emulation import readme
from tests.footprints import draw_footprints

from payloadfield.backends.cuda.loader import list_kernels
from payloadfield.backends.cuda.machine import CountingMachine
from payloadfield.backends.cuda.signature import Build
from payloadfield.backends.cuda.traffic import bytes_moved
from payloadfield.mechanism import generate
from payloadfield.solver.device.engine import CORRECTIONS, DeviceEngine
from payloadfield.solver.device.program import StepProgram
from payloadfield.solver.discretisation import make_plan

KERNELS = list_kernels(of_mechanism=False)
CYCLE = ("first_guess", "smooth", "residual_restrict", "prolong_smooth", "smooth")
ITERATION = ("dot_cycle", "direction", "apply_dot", "advance")
FINE, COARSE = 64**3, 32**3
REFERENCE = str(Path(__file__).parents[2] / "benchmarks" / "reference" / "mechanism.toml")
SHARED = 220 * 1024
"""Bytes of shared memory that a block may ask for on sm_90."""


def bytes_per_voxel(names):
    """Bytes of launches on the finest level, for each voxel; partial sums left out."""
    sizes = {"n": FINE, "n_coarse": COARSE, "width": 6, "n_blocks": 0}
    return sum(bytes_moved(KERNELS[name], Build(), sizes) for name in names) / FINE


def test_bytes_of_a_cycle_and_of_an_iteration_are_those_of_the_readme():
    cycle, iteration = bytes_per_voxel(CYCLE), bytes_per_voxel(ITERATION)
    text = readme.PATH.read_text()
    assert f"a V-cycle moves {cycle:.0f} bytes a voxel on the finest level" in text
    assert f"the rest of an iteration {iteration:.0f}" in text


@cache
def count(n, n_designs=1, shared=SHARED, real="double", mechanism="adc"):
    """The engine of a mechanism in an open box of n^3 voxels, without computing anything."""
    geometry = handmade.make_box((n, n, n), 10.0)
    if mechanism == "adc":
        study = scenarios.make_adc(geometry, {"z_high": "bath"}, n_cells=6, among=np.arange(100))
    else:
        cells = handmade.make_cells(draw_footprints(geometry, 6, 1), geometry.grid.shape, 10.0)
        of_cells = {"volume": 1000.0, "receptors": 1e6, "secretion": 10.0}
        given = {"duration": 3600.0, "cells": cells, "of_cells": of_cells, "boundary": {"z_high": "bath"}}
        study = handmade.make_study(mechanism, geometry, **given)
    plan, code = make_plan(study), generate(study.mechanism, "cuda")
    machine = CountingMachine(Build(real, "float"), vars(code.module), n_designs, shared)
    return DeviceEngine(machine, [plan] * n_designs, code.module)


def count_reference():
    """The three fields of the reference problem, with two levels above shared memory, as at 64^3."""
    return count(16, shared=6000, mechanism=REFERENCE)


def count_launches(engine, iterations):
    return len(StepProgram(engine.arrays, iterations=iterations, corrections=CORRECTIONS).launches)


@pytest.mark.parametrize("shared", [SHARED, 6000])
def test_launches_of_an_iteration_are_those_of_the_readme(shared):
    engine = count(16, shared=shared)
    groups = engine.arrays.plan.mechanism.field_groups
    solves = 4 * sum(len(group) * (1 + (len(group) > 1) * CORRECTIONS) for group in groups)
    first_small = engine.arrays.tables(0).first_small
    assert first_small == (0 if shared == SHARED else 2)
    assert count_launches(engine, 3) - count_launches(engine, 2) == solves * (9 + 4 * first_small)
    assert "9 launches, and 4 for each level above those in shared memory" in readme.PATH.read_text()


def test_a_batch_takes_no_more_launches_than_one_design():
    assert count_launches(count(8, n_designs=16), 2) == count_launches(count(8), 2)


def test_launches_of_a_step_are_few_enough_for_the_small_problem():
    """64^3 over 24 h in 0.2 s and about 65 attempts leave 3 ms a step: 1,200 launches of 2.5 us in a graph."""
    launches = len(count_reference()._program[0].launches)
    assert launches == 681  # as kernels/README.md says
    assert launches < 1200 and "681 launches" in readme.PATH.read_text()


def test_bytes_of_a_step_are_few_enough_for_the_large_problem():
    """256^3 (42% open) in 3 s and about 65 attempts, at 85% of 4 TB/s: 22 kB for each open voxel and step."""
    engine = count_reference()
    per_voxel = sum(engine._program[0].bytes(Build()).values()) / engine.arrays.n
    assert 14e3 < per_voxel < 17e3 and "16 kB" in readme.PATH.read_text()
    assert per_voxel < 22e3


def test_memory_of_a_step_grows_with_the_open_voxels_and_the_designs_alone():
    small, large, batch = (count(n, d) for n, d in ((12, 1), (16, 1), (16, 4)))
    per_value = {
        engine: sum(v for k, v in engine.machine.allocated.items() if k != "cells") / engine.arrays.n / 4
        for engine in (small, large, batch)
    }
    assert per_value[large] < 155  # asked: 128; what is short is named in kernels/README.md
    assert per_value[large] < 1.02 * per_value[small]
    assert per_value[batch] / 4 < per_value[large]
    in_single = count(16, real="float")
    ratio = sum(in_single.machine.allocated.values()) / sum(large.machine.allocated.values())
    assert ratio == pytest.approx(0.66, abs=0.01)  # tables stay as they are

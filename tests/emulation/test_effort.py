"""Launches, bytes and memory by counting: as kernels/README.md states them, and against what targets of speed imply.

What a target implies follows from assumptions about an H200-class card, to be replaced by what is measured on one:
a copy of large arrays moves COPY bytes a second; kernels reach SHARE of that, which is itself a target; a launch in a
graph takes LAUNCH seconds beside its bytes. One block that has levels alone takes ROUND seconds from the index of a
neighbour to its value, for all its threads at once, and goes PASSES times over each level. The last block of a sum,
too, takes ROUND, and the partial sums, of which one block gets GATHER bytes a second.
"""

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from benchmarks import ours
from tests import handmade, scenarios
from tests.emulation import readme
from tests.footprints import draw_footprints

from payloadfield.backends.cuda.loader import list_kernels
from payloadfield.backends.cuda.machine import CountingMachine
from payloadfield.backends.cuda.signature import WIDER, Build
from payloadfield.backends.cuda.traffic import bytes_moved
from payloadfield.mechanism import generate
from payloadfield.solver.device.engine import CORRECTIONS, DeviceEngine
from payloadfield.solver.device.program import StepProgram
from payloadfield.solver.discretisation import make_plan

COPY, SHARE, LAUNCH, ROUND, PASSES, GATHER = 4.0e12, 0.85, 3e-6, 0.6e-6, 5, 1e11
ATTEMPTS = 65
"""Of 24 h of the reference problem: 51 steps on the CPU, and some that are rejected or idle."""

GROWTH, MORE_LEVELS = 64, 2
"""From 64^3 to 256^3 voxels: open voxels, and levels above shared memory."""

KERNELS = list_kernels(of_mechanism=False)
KERNELS_OF_ALL = KERNELS | list_kernels(of_mechanism=True)
CYCLE = ("begin_cycle", "restrict_finest", "prolong_finest", "end_cycle")
ITERATIONS = ("apply_dot", "step_residual"), ("apply_next", "advance_last")
ROOT = Path(__file__).parents[2]
REFERENCE = str(ROOT / "benchmarks" / "reference" / "mechanism.toml")
CPU = ROOT / "benchmarks" / "results" / "2026-11-20-main.json"
SHARED = 220 * 1024
"""Bytes of shared memory that a block may ask for on sm_90."""


def stated():
    """The README's text, lines joined."""
    return " ".join(readme.PATH.read_text().split())


# --- the reference problem -------------------------------------------------------------------------------


@cache
def reference_plan():
    """Plan and code of the reference problem at 64^3: three fields, an infinite bath."""
    study = ours.make_reference_study(64)
    return make_plan(study), generate(study.mechanism, "cuda").module


@cache
def count_reference(n_designs=1):
    """The engine of the reference problem at 64^3, without computing anything."""
    plan, code = reference_plan()
    machine = CountingMachine(Build(), vars(code), n_designs, SHARED)
    return DeviceEngine(machine, [plan] * n_designs, code)


def count_step(n_designs=1):
    """(launches, those of one block's V-cycles among them, bytes) of a step."""
    program = count_reference(n_designs)._program[0]
    return len(program.launches), program.count()["small_levels"], sum(program.bytes(Build()).values())


def seconds_of_one_block():
    """What a V-cycle takes over the levels that one block has alone."""
    tables, threads = count_reference().arrays.tables(0), WIDER * Build().block
    return PASSES * ROUND * sum(-(-size // threads) for size in tables.sizes[tables.first_small : -1])


def seconds_of_sums(growth=1):
    """What the last blocks of all sums of a step take, with so many times the voxels."""
    return sum(ROUND + growth * 8 * blocks / GATHER for blocks in blocks_of_sums())


def blocks_of_sums():
    """Blocks that leave a partial sum, of every sum in a step."""
    return [
        launch.grid[0]
        for launch in count_reference()._program[0].launches
        for p in KERNELS_OF_ALL[launch.kernel].parameters
        if p.name.endswith("done")
    ]


def seconds_of(launches, of_one_block, moved, growth=1):
    """What a step takes by the assumptions."""
    one_block = of_one_block * seconds_of_one_block() + seconds_of_sums(growth)
    return launches * LAUNCH + one_block + moved / (SHARE * COPY)


def seconds_of_large_step():
    """The same at 256^3: bytes grow with the voxels, launches with the levels."""
    launches, of_one_block, moved = count_step()
    more = count_reference().arrays.n_fields + 4 * of_one_block  # diagonals, and passes of a V-cycle, for each level
    return seconds_of(launches + MORE_LEVELS * more, of_one_block, GROWTH * moved, GROWTH)


@cache
def reached():
    """What is reached of each target by the assumptions: seconds, ratios, billions of voxels a second.

    Voxels go through a whole step of one field, its four stages and its share of all else. The CPU is taken as measured
    at 64^3 on one core, as if two were twice as fast and larger problems no worse, with its own number of steps.
    """
    arrays, large = count_reference().arrays, seconds_of_large_step()
    result = json.loads(CPU.read_text())["results"][0]
    assert result["name"] == "reference problem 64^3, one core"
    on_cpu = result["value"] * GROWTH / 2 / result["detail"]["steps"]
    return {
        "small": ATTEMPTS * seconds_of(*count_step()),
        "large": ATTEMPTS * large,
        "designs": seconds_of(*count_step(64)) / seconds_of(*count_step()),
        "voxels": GROWTH * arrays.n * arrays.n_fields / large / 1e9,
        "CPU": on_cpu / large,
    }


TARGETS = {
    "small": ("at most", 0.2, r"64\^3 over 24 h in ([\d.]+) s \(0.2 asked\)"),
    "large": ("at most", 3.0, r"256\^3 in ([\d.]+) s \(3\)"),
    "designs": ("at most", 8.0, r"64 designs in ([\d.]+) times the time of one \(8\)"),
    "voxels": ("at least", 0.2, r"([\d.]+) billion open voxels a second through a step of one field \(0.2\)"),
    "CPU": ("at least", 50.0, r"(\d+) times two CPU cores at 256\^3 \(50\)"),
}


@pytest.mark.parametrize("target", TARGETS)
def test_targets_of_speed_are_within_reach_and_the_readme_says_by_how_much(target):
    value, (sense, asked, words) = reached()[target], TARGETS[target]
    assert value <= asked if sense == "at most" else value >= asked
    assert value == pytest.approx(float(re.search(words, stated())[1]), rel=0.05)


def test_memory_is_at_most_128_bytes_for_each_open_voxel_and_field():
    assert memory_of(count_reference()) < 128


def memory_of(engine):
    """Bytes for each open voxel and field of each design."""
    arrays = engine.arrays
    return sum(engine.machine.allocated.values()) / arrays.n / arrays.n_fields / arrays.n_designs


def test_counts_of_the_reference_problem_are_those_of_the_readme():
    """To two hundredths, parts of the memory to a byte: what grows further is to be said, or not to grow."""
    engine, (launches, _, moved) = count_reference(), count_step()
    n, n_fields, memory = engine.arrays.n, engine.arrays.n_fields, engine.machine.allocated
    said = re.search(r"is (\d+) launches and moves ([\d.]+) kB for each open voxel", stated())
    assert (launches, moved / n / 1e3) == pytest.approx([float(number) for number in said.groups()], rel=0.02)
    said = re.search(r"(\d+) bytes for each open voxel and field of the reference problem", stated())
    assert memory_of(engine) == pytest.approx(float(said[1]), rel=0.02)
    for name in ("increments", "tables", "reactions' slopes", "cells"):
        said = re.search(rf"{name} (\d+),", stated())
        assert memory[name] / n / n_fields == pytest.approx(float(said[1]), abs=1.0), name


def test_bytes_of_a_cycle_and_of_iterations_are_those_of_the_readme():
    """On the voxels of the reference problem, partial sums left out."""
    tables = count_reference().arrays.tables(0)
    sizes = {
        "n": tables.sizes[0],
        "n_coarse": tables.sizes[1],
        "n_words": tables.around[0],
        "n_fields": 3,
        "n_blocks": 0,
    }
    cycle, first, second = (
        sum(bytes_moved(KERNELS[name], Build(), sizes) for name in names) / sizes["n"] for names in (CYCLE, *ITERATIONS)
    )
    text = stated()
    assert f"a V-cycle moves {cycle:.0f} bytes a voxel on the finest level" in text
    assert f"the rest of the first iteration {first:.0f}, of the second {second:.0f}" in text


def test_the_last_blocks_of_all_sums_take_little_beside_the_rest():
    """As they would not with one read of a thread on its way at a time, at 0.16 us each."""
    large = seconds_of_large_step()
    assert seconds_of_sums(GROWTH) < 0.05 * large
    assert sum(0.16e-6 * GROWTH * blocks / Build().block for blocks in blocks_of_sums()) > 0.1 * large


# --- how counts grow ---------------------------------------------------------------------------------------


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


def count_launches(engine, iterations):
    return len(StepProgram(engine.arrays, iterations=iterations, corrections=CORRECTIONS).launches)


@pytest.mark.parametrize(("shared", "of_iteration"), [(SHARED, 5), (6000, 7 + 4)])
def test_launches_of_an_iteration_are_those_of_the_readme(shared, of_iteration):
    engine = count(16, shared=shared)
    groups = engine.arrays.plan.mechanism.field_groups
    solves = 4 * sum(len(group) * (1 + (len(group) > 1) * CORRECTIONS) for group in groups)
    assert engine.arrays.tables(0).first_small == (0 if shared == SHARED else 2)
    assert count_launches(engine, 4) - count_launches(engine, 2) == 2 * solves * of_iteration
    text = "5 launches; 7 where the voxels are more than one block takes, and 4 more for each level between"
    assert text in stated()


def test_a_batch_takes_no_more_launches_than_one_design():
    assert count_launches(count(8, n_designs=16), 2) == count_launches(count(8), 2)


def test_memory_of_a_step_grows_with_the_open_voxels_and_the_designs_alone():
    small, large, batch = (count(n, d) for n, d in ((12, 1), (16, 1), (16, 4)))
    per_value = {
        engine: sum(v for k, v in engine.machine.allocated.items() if k != "cells") / engine.arrays.n / 4
        for engine in (small, large, batch)
    }
    assert per_value[large] < 1.02 * per_value[small]
    assert per_value[batch] / 4 < per_value[large]
    in_single = count(16, real="float")
    ratio = sum(in_single.machine.allocated.values()) / sum(large.machine.allocated.values())
    assert ratio == pytest.approx(0.63, abs=0.01)  # indices and conductances stay as they are

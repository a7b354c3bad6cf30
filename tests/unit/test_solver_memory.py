"""Memory: what a simulation holds and what a step adds, per open voxel and field; nothing compiled twice."""

import os
import subprocess
import sys
import tracemalloc

import pytest
from tests import handmade, scenarios

from payloadfield.geometry import Cylinder
from payloadfield.solver import Simulation

LIMIT = 250  # bytes per open voxel and field


@pytest.mark.parametrize("volume", [float("inf"), 1e9])
def test_building_and_stepping_take_less_than_the_promised_memory(volume):
    n, spacing = 48, 10.0
    rods = [Cylinder("solid", "z", (0.0, y, x), 75.0) for x in (120.0, 360.0) for y in (120.0, 360.0)]
    geometry = handmade.make_box((n, n, n), spacing, shapes=rods)
    cells, of_cells = handmade.make_cells([{0: 1.0}], geometry.grid.shape, spacing), scenarios.cell_values(1)
    options = {"cells": cells, "of_cells": of_cells, "parameters": scenarios.ADC}
    options |= {"boundary": {"z_high": "bath"}, "bath_volume": volume}
    study = handmade.make_study("adc", geometry, duration=10.0, schedule=[(0.0, {"adc": 50.0}, 0.0)], **options)
    Simulation(scenarios.finite_bath(), "numba").run(until=1.0)  # compile first
    tracemalloc.start()
    try:
        sim = Simulation(study, "numba")
        sim.run(until=1.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    per_value = peak / (sim.plan.n_open * sim.plan.n_fields)
    assert sim.plan.n_open < 0.8 * n**3
    assert 8 * 9 < per_value < LIMIT


SOLVE = """
from tests import conftest
import test_solver_memory
test_solver_memory.solve_on_two_threads()
"""


def solve_on_two_threads():
    """Ten seconds of a small study."""
    study = scenarios.loop_of_fields(solver=handmade.make_solver(threads=2))
    Simulation(study, "numba").run(until=10.0)


def test_a_second_process_finds_everything_compiled():
    solve_on_two_threads()
    path = os.pathsep.join([os.environ.get("PYTHONPATH", "."), ".", "tests/unit"])
    environment = os.environ | {"NUMBA_DEBUG_CACHE": "1", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", SOLVE], env=environment, capture_output=True, text=True, check=True)
    assert "data loaded from" in done.stdout
    assert "data saved to" not in done.stdout

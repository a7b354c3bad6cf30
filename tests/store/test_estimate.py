"""What a run is said to take, against what was measured."""

from __future__ import annotations

import tracemalloc
from functools import cache

import pytest

import payloadfield
from payloadfield.resources import find_seed
from payloadfield.store.estimate import estimate_run
from payloadfield.study.resolve_geometry import geometry_memory

# CPU time [s] that the T-DXd study took with one thread, by its voxels [um], on one core of a server.
MEASURED = {20: 1.8, 10: 10.8}


@cache
def seed(voxel, *overrides):
    return payloadfield.load_study(find_seed("t-dxd-scaffold") / "study.toml", [f'grid.voxel="{voxel} um"', *overrides])


@pytest.mark.parametrize("material", ["PCL", "GelMA"])
def test_loading_a_study_takes_no_more_memory_than_is_said_beforehand(material):
    seed.__wrapped__(20)  # what is loaded once
    tracemalloc.start()
    try:
        study = seed.__wrapped__(10, f'scaffold[0].material="{material}"')
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    said = geometry_memory(study.geometry.label.size)
    assert 0.5 * said < peak <= said < estimate_run(study).memory


@pytest.mark.parametrize("voxel", MEASURED)
def test_the_time_that_is_estimated_is_that_which_was_measured(voxel):
    estimate = estimate_run(seed(voxel))
    assert estimate.n_steps == pytest.approx(116, rel=0.2)
    assert estimate.seconds == pytest.approx(MEASURED[voxel], rel=0.25)

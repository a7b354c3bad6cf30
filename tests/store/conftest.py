from __future__ import annotations

import pytest
from tests.store.fakes import FakeSimulation, make_study

from payloadfield.store.runner import execute, start_run


@pytest.fixture
def study():
    return make_study()


@pytest.fixture
def finished(tmp_path, study):
    """A run directory of the stand-in simulation, run to its end."""
    sim = FakeSimulation(study)
    writer = start_run(sim, tmp_path / "run", command=["test"])
    assert execute(sim, writer) == "finished"
    return tmp_path / "run"

"""Small runs of the real solver, for what a stand-in would hide."""

from __future__ import annotations

from pathlib import Path

import payloadfield
from payloadfield.solver import Simulation
from payloadfield.store.interrupt import StopRequest
from payloadfield.store.runner import Observer, execute, start_run

STUDY = Path(__file__).resolve().parents[1] / "cli/small.toml"


class StopsAt(Observer):
    """Asks a run to stop after a number of steps."""

    def __init__(self, step):
        self.at, self.stop = step, StopRequest()

    def step(self, sim, record):
        self.stop.is_set = record.index == self.at


def load(*overrides):
    """The small study with two fields on 60 voxels, in 12 h."""
    return payloadfield.load_study(STUDY, ["output.every=3 h", *overrides])


def begin(directory, study=None):
    """A simulation and the writer of its new run directory."""
    sim = Simulation(study or load(), "numpy")
    return sim, start_run(sim, directory, backend="numpy", command=["test"])


def interrupted(directory, study=None, *, at_step=12):
    """A run directory that was stopped after some steps."""
    sim, writer = begin(directory, study)
    observer = StopsAt(at_step)
    assert execute(sim, writer, observer=observer, stop=observer.stop) == "interrupted"
    return directory

"""Running a study inside a test: the simulation, its step records, and copies of its values at the output times."""

from dataclasses import dataclass, field

import numpy as np
from tests import tolerances

from payloadfield.solver import Simulation

BACKENDS = ("numpy", "numba")


@dataclass
class Trace:
    """A finished simulation and what it passed through: records of steps, values at the output times."""

    sim: Simulation
    records: list = field(default_factory=list)
    times: list = field(default_factory=list)
    fields: list = field(default_factory=list)
    states: list = field(default_factory=list)
    baths: list = field(default_factory=list)

    def keep(self, record):
        """Keep a record whose moieties are balanced, and the values of the output times that it landed on."""
        for moiety, defect in record.balance.items():
            assert abs(defect) <= tolerances.BALANCE, f"{moiety} at {record.time:g} s: {defect:g}"
        self.records.append(record)
        for _ in record.outputs:
            state = self.sim.state
            self.times.append(state.time)
            self.fields.append(state.fields)
            self.states.append(state.states)
            self.baths.append(state.bath)

    def exposure(self, name):
        """A state of the cells at the end, (n_cell,)."""
        return self.sim.cell_state(name)


def run(study, backend="numba", start=None):
    """Run a study to its end, in balance at every step.

    start: {field: values in open voxels} to begin with instead of the study's own.
    """
    trace = Trace(Simulation(study, backend=backend))
    if start:
        set_fields(trace.sim, start)
    for record in trace.sim.steps():
        trace.keep(record)
    return trace


def set_fields(sim, start):
    """Begin with fields that vary in space, through the checkpoint: {field: (n_open,) [nM]}."""
    data, plan = sim.checkpoint(), sim.plan
    for name, values in start.items():
        field = sim.study.mechanism.field_names.index(name)
        gained = plan.field_capacity(field) @ (values - data["state_fields"][field])
        data["ledger_initial"] = data["ledger_initial"] + plan.moiety_of_field[:, field] * gained
        data["state_fields"][field] = values
    sim.restore(data)


def relative_error(found, expected):
    """Largest deviation over the largest value."""
    return np.abs(np.asarray(found) - expected).max() / np.abs(expected).max()


def observed_order(errors, sizes):
    """Slope of log error over log size, between each two neighbours."""
    return np.diff(np.log(errors)) / np.diff(np.log(sizes))

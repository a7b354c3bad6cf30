"""The solver: a study lowered to a plan, advanced by a Rosenbrock-W method over the operations of a backend."""

from payloadfield.solver.batch import BatchRecord, BatchSimulation
from payloadfield.solver.make import choose_backend, make_batch, make_simulation
from payloadfield.solver.simulation import Simulation, StepRecord
from payloadfield.solver.state import State

__all__ = [
    "BatchRecord",
    "BatchSimulation",
    "Simulation",
    "State",
    "StepRecord",
    "choose_backend",
    "make_batch",
    "make_simulation",
]

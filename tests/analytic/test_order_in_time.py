"""The error of the time integration falls with the third power of the step."""

from dataclasses import replace
from functools import cache

import numpy as np
from tests import handmade, scenarios, tolerances
from tests.references.dense import DenseSystem
from tests.running import observed_order, relative_error, run

from payloadfield.solver import Simulation, State
from payloadfield.solver.rosenbrock import Stepper

DURATION = 3600.0
STEPS = np.array([12, 24, 48, 96])
QUANTITIES = ("fields", "states", "bath")
EXACT = 1e-24  # a tolerance at which linear problems are solved to rounding


def smooth_study(solver=None):
    """A loop of two fields, cells with footprints and a small bath, started from a dose spread everywhere."""
    study = scenarios.loop_of_fields(schedule=[], outputs=[DURATION], initial={"lactone": 30.0}, solver=solver)
    return replace(study, duration=DURATION)


@cache
def reference():
    """The tight solution at the end, by quantity."""
    solution = DenseSystem(smooth_study()).solve([DURATION], relative=1e-9)
    return {name: getattr(solution, name)[-1] for name in QUANTITIES}


def errors_with_equal_steps(n_steps):
    """Relative errors at the end with n equal steps, no error control, and linear problems solved to the end."""
    sim = Simulation(smooth_study(), "numba")
    stepper = Stepper(sim.plan, sim.backend, EXACT, np.zeros(sim.plan.n_fields))
    state, new = sim.state, State.zeros(sim.plan)
    for _ in range(n_steps):
        stepper.attempt(state, DURATION / n_steps, new)
        state, new = new, state
    return [relative_error(getattr(state, name), reference()[name]) for name in QUANTITIES]


def test_equal_steps_converge_with_order_three_in_cells_medium_and_bath():
    errors = np.array([errors_with_equal_steps(n) for n in STEPS])
    for name, column in zip(QUANTITIES, errors.T, strict=True):
        assert observed_order(column, 1 / STEPS)[-2:].min() > tolerances.ORDER_IN_TIME, (name, column)


def test_controlled_steps_converge_with_order_three_in_exposure():
    traces = [run(smooth_study(handmade.make_solver(rtol=r))) for r in (1e-3, 1e-4, 1e-5)]
    errors = [relative_error(t.exposure("exposure"), reference()["states"][-1]) for t in traces]
    average_step = [DURATION / len(t.records) for t in traces]
    assert observed_order(errors, average_step).mean() > tolerances.ORDER_CONTROLLED

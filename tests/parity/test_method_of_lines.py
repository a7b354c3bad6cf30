"""The solver against an independent integration of the same equations: exposures, states, fields, bath and losses."""

from functools import cache

import numpy as np
import pytest
from tests import scenarios, tolerances
from tests.references.dense import DenseSystem
from tests.running import relative_error

RUNS = [("numpy", 1e-2), ("numba", 1e-2), ("numba", 1e-4), pytest.param("numpy", 1e-4, marks=pytest.mark.validate)]
NOTHING = 1e-15  # rounding leaves less of a bath that was washed out, or never held it [nM]


@cache
def reference(scenario):
    """The tight solution of a scenario at its output times."""
    study = scenario()
    return DenseSystem(study).solve(study.output.times, relative=1e-7)


def exposures(study, solution):
    """Exposure of every cell at the end, from a tight solution."""
    name = scenarios.EXPOSURE[study.mechanism.name]
    return solution.states[-1, study.mechanism.state_names.index(name)]


@pytest.mark.parametrize(("backend", "rtol"), RUNS)
@pytest.mark.parametrize("scenario", scenarios.SCENARIOS, ids=lambda s: s.__name__)
def test_every_cells_exposure_is_that_of_the_method_of_lines(scenario, backend, rtol):
    trace = scenarios.solved(scenario, backend, rtol)
    study = trace.sim.study
    expected = exposures(study, reference(scenario))
    found = trace.exposure(scenarios.EXPOSURE[study.mechanism.name])
    assert expected.min() > 0.02 * expected.max()
    np.testing.assert_allclose(found, expected, rtol=tolerances.EXPOSURE[rtol])


@pytest.mark.parametrize("rtol", tolerances.FINAL_VALUE)
@pytest.mark.parametrize("scenario", scenarios.SCENARIOS, ids=lambda s: s.__name__)
def test_fields_states_and_bath_are_those_of_the_method_of_lines(scenario, rtol):
    trace, expected = scenarios.solved(scenario, "numba", rtol), reference(scenario)
    np.testing.assert_array_equal(trace.sim.plan.voxel, expected.voxel)
    np.testing.assert_array_equal(trace.times, expected.times)
    pairs = {"fields": (trace.fields, expected.fields), "states": (trace.states, expected.states),
             "bath": (np.array(trace.baths)[..., None], expected.bath[..., None])}  # fmt: skip
    for name, (found, right) in pairs.items():
        largest = np.abs(right).max(axis=(0, 2))
        error = np.abs(np.array(found) - right).max(axis=(0, 2)) / np.where(largest > NOTHING, largest, np.inf)
        assert error.max() < tolerances.FINAL_VALUE[rtol], (name, error)


def test_a_reference_with_a_twentieth_more_efflux_disagrees():
    wrong = scenarios.finite_bath(parameters={"k_out": 1.05 * scenarios.ADC["k_out"]})
    other = exposures(wrong, DenseSystem(wrong).solve(wrong.output.times, relative=1e-6))
    right = exposures(wrong, reference(scenarios.finite_bath))
    assert relative_error(other, right) > 10 * tolerances.EXPOSURE[1e-2]


def test_two_integrators_of_the_reference_agree_far_below_the_tolerances():
    study = scenarios.loop_of_fields()
    other = exposures(study, DenseSystem(study).solve(study.output.times, relative=1e-6, method="Radau"))
    assert relative_error(other, exposures(study, reference(scenarios.loop_of_fields))) < 1e-6

"""Whole runs on the kernels, by the host's build of them, against the reference backend."""

import numpy as np
import pytest
from tests import handmade, scenarios, tolerances
from tests.emulation.backend import HostBackend
from tests.running import relative_error, run

from payloadfield.solver import simulation

DURATION = 120.0
ADC = [(0.0, {"adc": 50.0, "payload": 1.0}, 0.0)]
WASHED = [*ADC, (100.0, {}, 0.9)]
CASES = {
    "gel_under_a_finite_bath": (scenarios.finite_bath, ADC),
    "infinite_bath": (scenarios.infinite_bath, ADC),
    "periodic": (scenarios.periodic_sides, ADC),
    "closed_pocket": (scenarios.closed_pocket, WASHED),
    "loop_of_fields": (scenarios.loop_of_fields, [(0.0, {"lactone": 30.0}, 0.0)]),
}


def make_case(name, precision):
    scenario, schedule = CASES[name]
    solver = handmade.make_solver(precision=precision)
    return scenario(duration=DURATION, schedule=schedule, outputs=[], solver=solver)


def run_on_kernels(study, monkeypatch):
    """A run by launches alone."""
    with monkeypatch.context() as patch:
        patch.setattr(simulation, "make_backend", lambda name, plan, settings: HostBackend(plan, settings.precision))
        return run(study)


@pytest.mark.parametrize(
    ("case", "precision"), [*((case, "float64") for case in CASES), ("gel_under_a_finite_bath", "mixed")]
)
def test_a_run_on_the_kernels_is_that_of_the_reference(case, precision, monkeypatch):
    study = make_case(case, precision)
    found, expected = run_on_kernels(study, monkeypatch), run(study, "numpy")
    assert isinstance(found.sim.backend, HostBackend)
    assert len(found.records) == len(expected.records) > 4
    for quantity in ("fields", "states", "bath", "accumulators"):
        for a, b in zip(getattr(found.sim.state, quantity), getattr(expected.sim.state, quantity), strict=True):
            if np.abs(b).max(initial=0) > 0:
                assert relative_error(a, b) < tolerances.BACKENDS[precision]
    assert max(abs(defect) for r in found.records for defect in r.balance.values()) < tolerances.BALANCE


def test_a_run_on_the_kernels_repeats_bit_for_bit(monkeypatch):
    study = make_case("loop_of_fields", "mixed")
    first, second = (run_on_kernels(study, monkeypatch).sim.state for _ in range(2))
    for quantity in ("fields", "states", "bath", "accumulators"):
        np.testing.assert_array_equal(getattr(first, quantity), getattr(second, quantity))

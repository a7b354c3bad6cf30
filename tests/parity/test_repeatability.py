"""The same study twice gives the same bits; backends and precisions differ by what they are allowed to."""

from dataclasses import replace

import numpy as np
import pytest
from tests import handmade, scenarios, tolerances
from tests.running import BACKENDS, relative_error, run


def same_bits(first, second):
    """Whether two finished runs ended in the same bits by the same steps."""
    a, b = first.sim.state, second.sim.state
    steps = [(r.time, r.dt, r.error) for r in first.records] == [(r.time, r.dt, r.error) for r in second.records]
    pairs = [(a.fields, b.fields), (a.states, b.states), (a.bath, b.bath), (a.accumulators, b.accumulators)]
    return steps and all(np.array_equal(x, y) for x, y in pairs)


def short(threads=1, dose=30.0):
    """An hour of a loop of fields in a finite bath, washed half-way."""
    schedule = [(0.0, {"lactone": dose}, 0.0), (1800.0, {}, 0.5)]
    study = scenarios.loop_of_fields(schedule=schedule, outputs=[], solver=handmade.make_solver(threads=threads))
    return replace(study, duration=3600.0)


@pytest.mark.parametrize(("backend", "threads"), [("numpy", 1), ("numba", 1), ("numba", 2)])
def test_repeated_runs_agree_bit_for_bit(backend, threads):
    assert same_bits(*(run(short(threads), backend) for _ in range(2)))


def test_numbers_of_threads_agree_bit_for_bit():
    assert same_bits(run(short(1)), run(short(2)))


def test_bits_tell_apart_runs_whose_dose_differs_in_the_last_digits():
    assert not same_bits(run(short()), run(short(dose=30.0 * (1 + 1e-14))))


def solve(scenario, solver, backend):
    """A run, shared with other tests where the settings are the usual ones."""
    usual = solver == handmade.make_solver()
    return scenarios.solved(scenario, backend) if usual else run(scenario(solver=solver), backend)


@pytest.mark.parametrize("precision", tolerances.BACKENDS)
@pytest.mark.parametrize("scenario", scenarios.SCENARIOS, ids=lambda s: s.__name__)
def test_numpy_and_numba_agree_over_a_whole_run(scenario, precision):
    solver = handmade.make_solver(precision=precision)
    traces = [solve(scenario, solver, backend) for backend in BACKENDS]
    assert len(traces[0].records) == len(traces[1].records)
    for quantity in ("fields", "states"):
        first, second = (getattr(t.sim.state, quantity) for t in traces)
        for a, b in zip(first, second, strict=True):
            if np.abs(b).max(initial=0) > 0:
                assert relative_error(a, b) < tolerances.BACKENDS[precision]

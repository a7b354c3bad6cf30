"""Steps, events, outputs, stopping and continuing."""

from dataclasses import replace

import numpy as np
import pytest
from tests import handmade, scenarios
from tests.running import BACKENDS, relative_error, run

from payloadfield.errors import SolverError
from payloadfield.solver import Simulation

HOUR = scenarios.HOUR


def short(**options):
    """Two hours in a finite bath, washed after one."""
    schedule = [(0.0, {"adc": 50.0}, 0.0), (HOUR, {}, 0.9)]
    return replace(scenarios.finite_bath(**({"schedule": schedule, "outputs": []} | options)), duration=2 * HOUR)


def test_steps_land_on_every_event_and_output_however_close_they_are():
    schedule = [(0.0, {"adc": 50.0}, 0.0), (0.0, {"payload": 1.0}, 0.0), (HOUR, {}, 1.0), (HOUR + 1, {"adc": 9.0}, 0.0),
                (HOUR + 2, {}, 0.5)]  # fmt: skip
    outputs = (0.0, 1.0, HOUR, HOUR + 0.5, HOUR + 2, 2 * HOUR)
    sim = Simulation(short(schedule=schedule, outputs=outputs))
    assert sim.outputs_now() == (0,)
    records = sim.run()
    reached = [record.time for record in records]
    assert {1.0, HOUR, HOUR + 0.5, HOUR + 1, HOUR + 2, 2 * HOUR} <= set(reached)
    assert [(r.time, *r.outputs) for r in records if r.outputs] == [(outputs[k], k) for k in range(1, 6)]
    assert [(r.time, r.event) for r in records if r.event is not None] == [(HOUR, 2), (HOUR + 1, 3), (HOUR + 2, 4)]


def test_events_at_time_zero_act_before_the_first_step():
    sim = Simulation(short(), "numpy")
    assert sim.state.bath[0] == 50.0 and sim.outputs_now() == ()


def test_outputs_every_minute_or_once_agree_to_the_tolerance():
    once, often = (run(short(outputs=times)) for times in ([2 * HOUR], 60.0 * np.arange(1, 121)))
    assert relative_error(often.exposure("payload_exposure"), once.exposure("payload_exposure")) < 1e-3
    assert len(often.records) < len(once.records) + 121


def test_a_tolerance_ten_times_tighter_takes_about_twice_the_steps():
    counts = [len(run(short(solver=handmade.make_solver(rtol))).records) for rtol in (1e-1, 1e-2, 1e-3, 1e-4)]
    ratios = np.divide(counts[1:], counts[:-1])
    assert np.all(ratios > 1.2) and np.all(ratios < 2.7)


@pytest.mark.parametrize("duration", [2.0, 60 * 24 * HOUR])
def test_very_short_and_very_long_runs_finish_in_few_steps(duration):
    study = short(schedule=[(0.0, {"adc": 50.0}, 0.0)])
    trace = run(replace(study, duration=duration))
    assert trace.sim.time == duration and len(trace.records) < 120


def same_bits(a, b):
    """Whether two simulations are at the same bits."""
    return all(np.array_equal(x, b.state.arrays()[k]) for k, x in a.state.arrays().items()) and a.n_steps == b.n_steps


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scenario", [scenarios.finite_bath, scenarios.infinite_bath, scenarios.loop_of_fields],
                         ids=lambda s: s.__name__)  # fmt: skip
def test_a_restored_run_goes_on_bit_for_bit(scenario, backend):
    study = replace(scenario(), duration=2.5 * HOUR)
    whole = Simulation(study, backend)
    kept = [whole.checkpoint() for record in whole.steps() if record.index in (3, 20)]
    for data in kept:
        again = Simulation(study, backend)
        again.restore(data)
        again.run()
        assert same_bits(again, whole)
        assert [line.defect for line in again.ledger] == [line.defect for line in whole.ledger]


def test_bits_tell_a_restored_run_from_one_whose_field_was_touched():
    whole = Simulation(short(), "numpy")
    data = whole.checkpoint()
    data["state_fields"][0, 0] += 1e-12
    other = Simulation(short(), "numpy")
    other.restore(data)
    whole.run()
    other.run()
    assert not same_bits(whole, other)


def rooted(**options):
    """A box with two cells in which a rate takes the root of something negative after some hours."""
    cells = handmade.make_cells([{7: 1.0}, {20: 0.5, 21: 0.5}], (4, 3, 5), 10.0)
    geometry = handmade.make_box((4, 3, 5), 10.0)
    standard = {"duration": 50 * HOUR, "cells": cells, "initial": {"before": 3.0}}
    return handmade.make_study("root", geometry, **(standard | options))


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("rate", "said"), [
    ("k_medium", "rate of change of before in voxel (x, y, z) = ("),
    ("k_cell", "rate of change of inside in cell 0, the first of 2,")])  # fmt: skip
@pytest.mark.parametrize("in_bath", [False, True])
def test_a_rate_that_is_no_number_stops_the_run_and_keeps_the_state_before(backend, rate, said, in_bath):
    bath = {"boundary": {"z_high": "bath"}, "bath_volume": 1e4, "initial_bath": {"before": 3.0}} if in_bath else {}
    sim = Simulation(rooted(parameters={rate: 1e-4}, **bath), backend)
    with pytest.raises(SolverError) as caught:
        sim.run()
    assert said in str(caught.value) and "not a finite number" in str(caught.value)
    assert f"t = {sim.time / HOUR:.6g} h" in str(caught.value)
    assert 9.9e3 < sim.time < 1.2e4  # K is reached after 1 nM / (1e-4 nM/s), a little later beside a bath
    assert all(np.all(np.isfinite(values)) for values in sim.state.arrays().values())
    assert max(abs(line.relative_defect) for line in sim.ledger) < 1e-11


def test_no_more_steps_are_taken_than_the_settings_allow():
    sim = Simulation(short(solver=handmade.make_solver(max_steps=7)), "numpy")
    with pytest.raises(SolverError, match=r"after 7 steps, the most that solver\.max_steps allows"):
        sim.run()
    assert sim.n_steps == 7 and sim.time > 0


def test_no_step_is_longer_than_the_settings_allow():
    solver = handmade.make_solver(max_step=95.0, first_step=200.0)
    assert max(record.dt for record in run(short(solver=solver), "numpy").records) <= 95.0

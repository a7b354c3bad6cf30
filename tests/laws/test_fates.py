"""Fates of cells: expected ones against SciPy, sampled ones against expected ones, and what must not matter to them."""

from dataclasses import replace

import numpy as np
import pytest
from tests import fate_studies, handmade
from tests.fate_studies import LARGE, SMALL, of_fates
from tests.references import fates as reference
from tests.references.fates import FATES, HOUR
from tests.references.reaction_text import AVOGADRO
from tests.running import BACKENDS, relative_error, run

from payloadfield.solver import Simulation

N_CELLS = 1500
SIGMAS = 4.0  # of a binomial: exceeded by chance in 1 of 16,000 comparisons


def sampled(backend="numpy", **changes):
    return run(fate_studies.make_study("sampled", **({"n_cells": N_CELLS} | changes)), backend)


def deviations(trace, expected):
    """Shares of the sampled fates less the expected ones, in standard deviations of a binomial, (n_time, n_fate)."""
    n_cells = trace.states[0].shape[1]
    found = np.array([of_fates(trace, k).mean(axis=1) for k in range(len(trace.times))])
    spread = np.sqrt(np.maximum(expected * (1 - expected), 1.0 / n_cells) / n_cells)
    return (found - expected) / spread


# -- expected -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edge", [LARGE, SMALL], ids=["much medium", "little medium"])
def test_expected_fates_damage_and_released_contents_are_those_of_an_independent_solution(edge):
    solver = handmade.make_solver(rtol=1e-4, precision="float64")
    drug = 20.0 if edge == LARGE else 60.0
    trace = run(fate_studies.make_study("expected", edge=edge, drug=drug, solver=solver), "numpy")
    expected = reference.solve(np.array(trace.times), drug, edge**3)
    found = fate_studies.rows(trace, "inside", "bound", "damage", *FATES)
    for column, values in enumerate(found.T, start=1):
        assert relative_error(values, expected[:, column]) < 1e-3, column
    for row, name in ((0, "drug"), (-1, "signal")):
        field = trace.sim.study.mechanism.field_names.index(name)
        concentrations = [fields[field, 0] for fields in trace.fields]
        assert relative_error(concentrations, expected[:, row]) < 1e-3
    unlike = reference.solve(np.array(trace.times), drug, edge**3, lag=3 * HOUR)
    assert relative_error(found[:, -1], unlike[:, 8]) > 0.05


@pytest.mark.parametrize("backend", BACKENDS)
def test_fates_add_up_to_one_and_every_molecule_is_accounted_for(backend):
    trace = run(fate_studies.make_study("expected", n_cells=4, edge=SMALL, drug=200.0), backend)
    for states in trace.states:
        rows = [trace.sim.study.mechanism.state_names.index(name) for name in FATES]
        assert states[rows].sum(axis=0) == pytest.approx(1.0, abs=1e-13)
    assert of_fates(trace)[-1].min() > 0.3


def test_dying_cells_give_back_what_they_hold():
    """With every cell dead, the drug is in the medium again, but for what the remnant of a cell would hold."""
    deadly = {"k_death": 1.0 / HOUR, "lag": HOUR, "k_senescence": 0.0, "k_enter": 0.0, "K_death": 0.1}
    trace = run(fate_studies.make_study("expected", edge=SMALL, drug=200.0, parameters=deadly), "numpy")
    contents = fate_studies.rows(trace, "inside", "bound").sum(axis=1)
    assert of_fates(trace)[-1] > 1 - 1e-6
    living = deadly | {"k_death": 0.0}
    alive = run(fate_studies.make_study("expected", edge=SMALL, drug=200.0, parameters=living), "numpy")
    there = fate_studies.rows(alive, "inside", "bound").sum(axis=1)[-1]
    assert contents[1] > 1e-3 * there > 5 * contents[-1] > 0


def test_a_transition_has_come_when_half_of_the_cells_have_taken_it():
    deadly = {"k_death": 1.0 / HOUR, "lag": HOUR, "k_senescence": 0.0, "k_enter": 0.0, "K_death": 0.1}
    study = fate_studies.make_study("expected", parameters=deadly, solver=handmade.make_solver(rtol=1e-3))
    times = run(study, "numpy").sim.commitments()
    fine = np.linspace(0.0, 8 * HOUR, 2001)
    expected = reference.solve(fine, 20.0, LARGE**3, **deadly)
    gone, dead = 1 - expected[:, 4], expected[:, 8]
    assert times["dooming"][0] == pytest.approx(np.interp(0.5, gone, fine), rel=2e-3)
    assert times["death"][0] == pytest.approx(np.interp(0.5, dead, fine), rel=2e-3)
    assert np.isnan([times["senescence"][0], times["tolerance"][0], times["return"][0]]).all()


def test_division_is_logistic_and_dilutes_what_cells_hold():
    still = {"k_death": 0.0, "k_senescence": 0.0, "k_enter": 0.0, "k_growth": 0.1 / HOUR}
    exact = handmade.make_solver(rtol=1e-4)
    trace = run(fate_studies.make_study("expected", parameters=still, drug=0.0, solver=exact), "numpy")
    number, t = fate_studies.rows(trace, "cycling")[:, 0], np.array(trace.times)
    logistic = 8.0 / (1 + 7.0 * np.exp(-still["k_growth"] * t))
    assert number == pytest.approx(logistic, rel=1e-4)
    fed = run(fate_studies.make_study("expected", parameters=still, solver=exact), "numpy")
    per_cell = fate_studies.rows(fed, "inside")[-1, 0] / fate_studies.rows(fed, "cycling")[-1, 0]
    steady = 5e-3 / 2e-3 * 20.0 * 2000.0 * AVOGADRO
    assert per_cell == pytest.approx(steady, rel=0.02)  # they keep up with division, which is slow


# -- sampled --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one_run():
    return sampled()


def test_sampled_fates_agree_with_expected_ones_within_their_statistics(one_run):
    expected = reference.solve(np.array(one_run.times), 20.0, LARGE**3)[:, 4:9]
    assert np.abs(deviations(one_run, expected)).max() < SIGMAS
    assert one_run.times[-1] == 48 * HOUR and (expected[-1] > 0.01).all()
    unlike = reference.solve(np.array(one_run.times), 20.0, LARGE**3, k_death=0.08 / HOUR)[:, 4:9]
    assert np.abs(deviations(one_run, unlike)).max() > SIGMAS


@pytest.mark.validate
def test_many_seeds_scatter_as_a_binomial_does():
    """The share of the dead over 40 seeds of 100 cells: mean and spread."""
    n, shares = 100, []
    loose = handmade.make_solver(rtol=3e-2, precision="float64")
    for seed in range(40):
        trace = sampled(n_cells=n, seed=seed, n_outputs=1, solver=loose)
        shares.append(of_fates(trace)[-1].mean())
    p = reference.solve(np.array([48 * HOUR]), 20.0, LARGE**3)[-1, 8]
    spread = np.sqrt(p * (1 - p) / n)
    assert abs(np.mean(shares) - p) < SIGMAS * spread / np.sqrt(40)
    assert 0.6 < np.std(shares, ddof=1) / spread < 1.5


def test_every_cell_is_in_exactly_one_fate(one_run):
    for k in range(len(one_run.times)):
        assert np.array_equal(np.sort(of_fates(one_run, k), axis=0), np.repeat([[0.0]] * 4 + [[1.0]], N_CELLS, axis=1))


def test_the_moves_of_the_records_are_those_of_the_cells(one_run):
    moved = {}
    for record in one_run.records:
        for name, count in record.moves.items():
            moved[name] = moved.get(name, 0) + count
    came = {name: int(np.isfinite(times).sum()) for name, times in one_run.sim.commitments().items()}
    assert moved["dooming"] == came["dooming"] > 100
    assert moved["death"] == came["death"] == int(of_fates(one_run)[-1].sum())
    assert moved["tolerance"] >= came["tolerance"] > moved["return"] * 0.5 > 0
    for record in one_run.records:
        assert sum(record.balance.values()) == pytest.approx(0.0, abs=1e-11)


def test_times_come_between_the_outputs_that_see_them(one_run):
    times, dead = one_run.sim.commitments()["death"], FATES.index("dead")
    for k, time in enumerate(one_run.times):
        assert np.array_equal(of_fates(one_run, k)[dead] == 1.0, times <= time)


def alike(one, other, rtol=1e-7):
    """Whether two runs moved the same cells at the same times."""
    first, second = one.sim.commitments(), other.sim.commitments()
    same_cells = all(np.array_equal(np.isnan(first[name]), np.isnan(second[name])) for name in first)
    return same_cells and all(np.allclose(first[name], second[name], rtol=rtol, equal_nan=True) for name in first)


@pytest.mark.parametrize(("backend", "threads"), [("numba", 1), ("numba", 2)])
def test_the_same_cells_move_at_the_same_times_on_every_backend(one_run, backend, threads):
    solver = handmade.make_solver(precision="float64", threads=threads)
    assert alike(one_run, sampled(backend, solver=solver))


def test_another_seed_moves_other_cells(one_run):
    other = sampled(seed=2)
    assert not alike(one_run, other, rtol=1.0)


def test_cells_in_another_order_have_the_same_fates(one_run):
    order = np.random.default_rng(4).permutation(N_CELLS)
    shuffled = sampled(order=order)
    for name, times in shuffled.sim.commitments().items():
        assert np.allclose(times, one_run.sim.commitments()[name][order], rtol=1e-9, equal_nan=True)


def test_fates_do_not_depend_on_the_steps_beyond_the_tolerance(one_run):
    """More and shorter steps: times within seconds, and no other sequence of fates but where two hazards meet."""
    short = sampled(solver=handmade.make_solver(rtol=1e-3, precision="float64"))
    assert len(short.records) > 1.5 * len(one_run.records)
    first, second = one_run.sim.commitments(), short.sim.commitments()
    changed = np.any([np.isnan(first[name]) != np.isnan(second[name]) for name in first], axis=0)
    assert changed.sum() <= 3
    for name in first:
        apart = np.abs(first[name] - second[name])[~changed & np.isfinite(first[name])]
        assert np.mean(apart) < 30.0 and np.median(apart) < 10.0


def test_a_run_continued_from_a_checkpoint_is_the_same_bit_for_bit():
    study = fate_studies.make_study("sampled", n_cells=60, hours=30.0)
    whole, resumed = Simulation(study, "numpy"), Simulation(study, "numpy")
    whole.run(until=15 * HOUR)
    kept = {key: np.copy(value) for key, value in whole.checkpoint().items()}
    whole.run()
    resumed.restore(kept)
    resumed.run()
    assert np.array_equal(resumed.state.states, whole.state.states)
    for name, times in resumed.commitments().items():
        assert np.array_equal(times, whole.commitments()[name], equal_nan=True)
    assert np.nanmax(whole.commitments()["death"]) > 15 * HOUR > np.nanmin(whole.commitments()["death"])


def test_dead_cells_do_nothing_but_give_back_what_they_hold():
    deadly = {"k_death": 10.0 / HOUR, "lag": 0.5 * HOUR, "k_senescence": 0.0, "k_enter": 0.0, "K_death": 0.01}
    trace = sampled(n_cells=20, edge=60.0, drug=100.0, parameters=deadly)
    assert of_fates(trace)[-1].sum() == 20
    names = trace.sim.study.mechanism.state_names
    held = trace.sim.state.states[[names.index("inside"), names.index("bound")]]
    peak = max(states[[names.index("inside"), names.index("bound")]].sum() for states in trace.states)
    assert held.sum() < 1e-6 * peak
    alive = sampled(n_cells=20, edge=60.0, drug=100.0, parameters=deadly | {"k_death": 0.0})
    assert alive.sim.state.states[[names.index("inside"), names.index("bound")]].sum() > 0.5 * peak


def test_a_start_in_several_fates_is_drawn_cell_by_cell():
    shares = {"cycling": 0.7, "persister": 0.3}
    trace = sampled(hours=0.1, n_outputs=1, initial_states=shares)
    start = of_fates(trace, 0)
    assert set(np.unique(start)) == {0.0, 1.0}
    assert abs(start[FATES.index("persister")].mean() - 0.3) < SIGMAS * np.sqrt(0.21 / N_CELLS)


def test_agents_that_divide_keep_one_fate_with_all_their_cells():
    """Without a capacity the mean number in every fate is the expected one, exactly in the limit of many agents."""
    growing = {"k_growth": 0.03 / HOUR, "capacity": 1e12}
    expected = run(fate_studies.make_study("expected", parameters=growing), "numpy")
    trace = sampled(parameters=growing)
    fates = of_fates(trace)
    assert ((fates > 0).sum(axis=0) == 1).all() and fates.max() > 3.0
    scatter = fates.std(axis=1) / np.sqrt(N_CELLS)
    assert (np.abs(fates.mean(axis=1) - of_fates(expected)[:, 0]) < SIGMAS * scatter).all()


def test_moves_reach_the_surroundings_at_the_end_of_the_step_with_a_small_error():
    """What senescent cells secreted, of the same cells at the same times, with long and with short steps."""

    def secreted(rtol):
        trace = sampled(n_cells=300, solver=handmade.make_solver(rtol=rtol, precision="float64"))
        return trace.sim.field_on_grid("signal").mean()

    fine = secreted(1e-3)
    assert secreted(1e-2) == pytest.approx(fine, rel=1e-2)


def test_without_transitions_every_cell_stays_what_it_is():
    still = dict.fromkeys(("k_death", "k_senescence", "k_enter"), 0.0)
    for mode in ("expected", "sampled"):
        trace = run(fate_studies.make_study(mode, n_cells=30, parameters=still), "numpy")
        assert np.array_equal(of_fates(trace), np.repeat([[1.0], [0.0], [0.0], [0.0], [0.0]], 30, axis=1))
        assert np.isnan(np.array(list(trace.sim.commitments().values()))[[0, 1, 2, 3]]).all()


def test_the_seed_of_a_study_is_what_is_drawn_by(one_run):
    again = run(replace(one_run.sim.study, seed=1), "numpy")
    assert alike(one_run, again, rtol=0.0)

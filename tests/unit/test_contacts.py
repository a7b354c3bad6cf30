"""What touching cells exchange: conserved, right, of third order, refused where a step is too long for it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from tests import fate_studies, handmade
from tests.running import observed_order, relative_error, run

from payloadfield.backends.plan import ContactTable
from payloadfield.backends.registry import make_backend
from payloadfield.errors import MechanismError
from payloadfield.mechanism import load_mechanism
from payloadfield.solver.contacts import STABLE_SHARE, make_contact_table
from payloadfield.solver.discretisation import make_plan

N_A = 0.602214076
HOUR = 3600.0
VOXEL = 40.0  # [um]
CHAIN = np.array([[20.0, 20.0, 4.0 + 15.0 * k] for k in range(5)])  # z, y, x [um]; neighbours touch, radius 8
VALUES = {"k_in": 0.5, "v_pump": 0.5, "K_pump": 4000.0, "k_on": 2e-8, "k_off": 1e-4, "volume": 2000.0, "sites": 5000.0}


def make_chain(positions=CHAIN, mechanism="contacts", of_cells=None, **options):
    """Cells in one voxel of medium that they all share; touching neighbours along x."""
    n_cells = len(positions)
    geometry = handmade.make_box((1, 1, 1), VOXEL)
    cells = replace(handmade.make_cells([{0: 1.0}] * n_cells, (1, 1, 1), VOXEL), position=np.asarray(positions, float))
    making = np.zeros(n_cells)
    making[0] = 2.0
    standard = {"duration": 20 * HOUR, "initial": {"drug": 40.0}, "of_cells": {"making": making} | (of_cells or {})}
    return handmade.make_study(mechanism, geometry, cells=cells, **(standard | options))


def pairs_of(positions, reach=1.0):
    """Neighbours by the definition, all pairs looked at."""
    near = [[np.linalg.norm(a - b) < reach * 16.0 for b in positions] for a in positions]
    return np.array(near) & ~np.eye(len(positions), dtype=bool)


def solve_alone(study, k_bridge=0.1, strength=None, at=None):
    """The same cells by SciPy: inside, bound and site of each, and the medium; the states at the end, (3, n_cell)."""
    n = study.cells.n_cells
    links = pairs_of(study.cells.position).astype(float)
    if strength is not None:
        links = links * np.outer(strength, strength)
    making, v = study.cell_parameters[study.mechanism.cell_parameters.index("making")], VALUES

    def rates(_, y):
        inside, bound, site, medium = y[:n], y[n : 2 * n], y[2 * n : 3 * n], y[-1]
        entry = v["k_in"] * N_A * medium
        pump = v["v_pump"] * inside / (v["K_pump"] + inside)
        bind = v["k_on"] * inside * site - v["k_off"] * bound
        given = k_bridge * inside / v["volume"]
        handed = links @ given - links.sum(axis=1) * given
        d_medium = np.sum(pump - entry) / (N_A * VOXEL**3)
        return np.concatenate([entry + making - pump - bind + handed, bind, -bind, [d_medium]])

    start = np.concatenate([np.zeros(2 * n), np.full(n, v["sites"]), [40.0]])
    end = study.duration if at is None else at
    found = solve_ivp(rates, (0, end), start, method="LSODA", rtol=1e-11, atol=1e-9)
    return found.y[:-1, -1].reshape(3, n)


def test_exchange_agrees_with_an_independent_solution():
    study = make_chain(solver=handmade.make_solver(1e-4))
    found = run(study).sim.state.states[:3]
    assert relative_error(found[0], solve_alone(study)[0]) < 1e-4
    without = solve_alone(study, k_bridge=0.0)
    assert relative_error(found[0], without[0]) > 0.05  # the contact matters here


def test_strength_closes_single_cells():
    strength = np.array([1.0, 1.0, 0.0, 1.0, 2.0])
    study = make_chain(of_cells={"bridging": strength}, solver=handmade.make_solver(1e-4))
    found = run(study).sim.cell_state("inside")
    assert relative_error(found, solve_alone(study, strength=strength)[0]) < 1e-4


def test_exchange_is_of_third_order_in_time():
    errors, steps = [], (200.0, 100.0, 50.0)
    exact = solve_alone(make_chain(duration=2 * HOUR))[0]
    for dt in steps:
        solver = handmade.make_solver(1e3, first_step=dt, max_step=dt)
        errors.append(relative_error(run(make_chain(duration=2 * HOUR, solver=solver)).sim.cell_state("inside"), exact))
    assert np.all(observed_order(errors, steps) > 2.85), errors


def test_what_one_cell_gives_another_gets():
    """Amounts in all cells change by what crosses membranes alone: nothing does, without entry, pump and making."""
    parameters = {"k_in": 0.0, "v_pump": 0.0}
    start = {"inside": np.array([1e5, 0.0, 10.0, 0.0, 3e3])}
    study = make_chain(parameters=parameters, initial_states=start, of_cells={"making": np.zeros(5)}, initial={})
    states = run(study).sim.state.states
    assert np.ptp(states[0]) < 0.9 * np.ptp(start["inside"])
    assert states[:2].sum() == pytest.approx(start["inside"].sum(), rel=1e-14)


def test_cells_that_do_not_touch_exchange_nothing():
    apart = CHAIN * np.array([1.0, 1.0, 2.0])
    with_bridges = run(make_chain(apart)).sim.state.states
    without = run(make_chain(apart, parameters={"k_bridge": 0.0})).sim.state.states
    np.testing.assert_array_equal(with_bridges, without)
    touching = run(make_chain()).sim.state.states
    assert relative_error(touching[0], without[0]) > 0.05


def test_reach_lets_more_cells_touch():
    study = make_chain(parameters={"reach": 2.0})
    table = make_plan(study).contacts[0]
    assert np.diff(table.row_start).tolist() == pairs_of(CHAIN, 2.0).sum(axis=1).tolist()
    np.testing.assert_array_equal(make_plan(make_chain()).contacts[0].touching, [1, 0, 2, 1, 3, 2, 4, 3])


def test_a_step_that_is_too_long_for_the_exchange_is_rejected():
    """Exchange at 0.5 /s: the step stays below its limit, and the answer is right."""
    fast = {"k_bridge": 500.0}
    study = make_chain(parameters=fast, duration=600.0, solver=handmade.make_solver(1e-2, first_step=100.0))
    trace = run(study)
    rate = 500.0 / 2000.0 * 2  # of both contacts of a cell together
    longest = max(record.dt for record in trace.records)
    assert 0.3 * STABLE_SHARE < 2 * rate * longest * 0.435867 <= 1.001 * STABLE_SHARE + 2 * 0.435867 * longest * 2e-3
    assert trace.sim.n_rejected > 0 and trace.records[0].rejected > 0
    assert {record.worst_quantity for record in trace.records[5:]} == {"the exchange between touching cells"}
    assert relative_error(trace.sim.cell_state("inside"), solve_alone(study, k_bridge=500.0, at=600.0)[0]) < 0.02


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_backends_exchange_alike(name):
    """out_i += sum_j g_ij p_i p_j (other v_j - own v_i) against a dense matrix."""
    random = np.random.default_rng(3)
    n = 12
    dense = np.triu(random.uniform(size=(n, n)) * (random.uniform(size=(n, n)) < 0.3), 1)
    dense = dense + dense.T
    row, touching = np.nonzero(dense)
    table = ContactTable(np.searchsorted(row, np.arange(n + 1)), touching, dense[row, touching])
    study = make_chain(np.repeat(CHAIN, 3, axis=0)[:n])
    plan = replace(make_plan(study), contacts=(table,))
    backend = make_backend(name, plan, study.solver)
    values, present, out = random.uniform(size=(3, n))
    dense = dense * np.outer(present, present)
    for other, own in ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, -2.0)):
        expected = out + other * dense @ values - own * dense.sum(axis=1) * values
        backend.exchange(0, values, present, other, own, out)
        np.testing.assert_allclose(out, expected, rtol=1e-13, atol=1e-14)


def test_tables_list_each_pair_both_ways_with_one_strength():
    study = make_chain()
    table = make_contact_table(study.cells, 1.0, np.arange(1.0, 6.0))
    row = np.repeat(np.arange(5), np.diff(table.row_start))
    both = {(i, j): g for i, j, g in zip(row, table.touching, table.strength, strict=True)}
    assert all(both[j, i] == g for (i, j), g in both.items()) and both[1, 2] == 6.0


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ('state = "drug"\nrate = "k_bridge * inside / volume"', "'drug' is no state of the cells"),
        ('state = "inside"\nrate = "k_bridge * drug"', "'drug' cannot be used here"),
        ('state = "inside"\nrate = "k_bridge * inside"', "molecules/s is needed"),
        ('state = "inside"', "missing"),
        ('state = "inside"\nrate = "k_off * inside"\nspeed = 1', "unknown key"),
        ('state = "inside"\nrate = "k_off * inside"\nreach = "bridging"', "'bridging' cannot be used here"),
    ],
)
def test_contacts_that_cannot_be_are_refused(entry, reason, tmp_path):
    text = (handmade.MECHANISMS / "contacts.toml").read_text().partition("[contacts.bridge]")[0]
    path = tmp_path / "mine.toml"
    path.write_text(f"{text}\n[contacts.bridge]\n{entry}\n")
    with pytest.raises(MechanismError, match=reason) as caught:
        load_mechanism(path)
    assert "contacts.bridge" in str(caught.value)


# -- with fates -----------------------------------------------------------------------------------------------------

BRIDGE = '\n[contacts.bridge]\nstate = "inside"\nrate = "k_bridge * inside / volume"\n'
STILL = dict.fromkeys(("k_in", "k_out", "k_bind", "k_death", "k_senescence", "k_enter"), 0.0)


def make_couple(mode, folder, fates, hours=6.0):
    """Two touching cells that keep their fates, the first with drug inside; fates: of both, by name."""
    text = (handmade.MECHANISMS / "fates.toml").read_text()
    text = text.replace("[parameters]", '[parameters]\nk_bridge = { unit = "um^3/s", value = "0.1 um^3/s" }', 1)
    path = folder / f"{mode}.toml"
    path.write_text(f'fate = "{mode}"\n{text}{BRIDGE}')
    start = {"inside": np.array([1e5, 0.0])} | {name: np.array(both) for name, both in fates.items()}
    study = fate_studies.make_study(
        mode, n_cells=2, hours=hours, drug=0.0, mechanism=load_mechanism(path), parameters=STILL,
        initial_states=start, solver=handmade.make_solver(1e-4, precision="float64"),
    )  # fmt: skip
    near = replace(study.cells, position=np.array([[1500.0] * 3, [1500.0, 1500.0, 1510.0]]))
    return run(replace(study, cells=near), "numpy")


def test_a_bridge_takes_two_living_cells(tmp_path):
    """Shares a and b of two agents live: contents level out at k a b / V (1 / a + 1 / b) to one concentration."""
    shares = np.array([0.5, 0.25])
    trace = make_couple("expected", tmp_path, {"cycling": shares, "dead": 1 - shares})
    cells = 2000.0 * (shares + 1e-4 * (1 - shares))  # what is left of the dead counts as volume
    rest, rate = 1e5 * cells[1] / cells.sum(), 0.1 * shares.prod() * (1 / cells).sum()
    got = fate_studies.rows(trace, "inside")[:, 0]
    np.testing.assert_allclose(1e5 - got, -rest * np.expm1(-rate * np.array(trace.times)), rtol=1e-3, atol=1.0)
    assert trace.states[-1][0].sum() == pytest.approx(1e5, rel=1e-12)
    one_sided = -rest * np.expm1(-rate / shares[1] * np.array(trace.times[1]))  # if the receiver's share did not count
    assert 1e5 - got[1] < 0.5 * one_sided


@pytest.mark.parametrize("mode", ["expected", "sampled"])
@pytest.mark.parametrize(("giving", "taking"), [("cycling", "dead"), ("dead", "cycling")])
def test_the_dead_neither_give_nor_take(mode, giving, taking, tmp_path):
    both = {"cycling": np.zeros(2), "dead": np.zeros(2)}
    both[giving][0] = both[taking][1] = 1.0
    trace = make_couple(mode, tmp_path, both, 1.0)
    assert not trace.states[-1][0, 1]
    alive = make_couple(mode, tmp_path, {"cycling": np.ones(2)}, 1.0)
    assert alive.states[-1][0, 1] > 1e3


def test_agents_of_many_cells_level_out_to_one_concentration(tmp_path):
    """Three cells beside one: in the end each holds as much."""
    trace = make_couple("expected", tmp_path, {"cycling": np.array([1.0, 3.0])}, 200.0)
    assert trace.states[-1][0, 1] / trace.states[-1][0, 0] == pytest.approx(3.0, rel=1e-3)

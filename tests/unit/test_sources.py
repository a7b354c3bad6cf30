"""Payload followed by where it came from: shares that add up, right ones, and a model that they leave as it is."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from tests import handmade
from tests.running import relative_error, run
from tests.unit.test_contacts import CHAIN, HOUR, N_A, VALUES, VOXEL, make_chain, pairs_of

from payloadfield.errors import MechanismError
from payloadfield.mechanism import find_modules, generate, load_mechanism
from payloadfield.mechanism.calculus import simplify
from payloadfield.mechanism.evaluation import evaluate
from payloadfield.mechanism.expressions import parse
from payloadfield.mechanism.tagging import divided
from payloadfield.solver import rosenbrock

SOURCES = ("outside", "own", "bridges")
FOLLOWED = ("inside", "bound")
PLAIN = (handmade.MECHANISMS / "contacts.toml").read_text()
TAGGED = f"{PLAIN}\n[tagged]\ninside = {{}}\nbound = {{}}\n"


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    """The mechanism of the chain of cells with its drug followed by source."""
    path = tmp_path_factory.mktemp("tagged") / "tagged.toml"
    path.write_text(TAGGED)
    return str(path)


def shares(sim, state):
    """The shares of a state, (n_source, n_cell)."""
    return np.array([sim.cell_state(f"{state}_from_{source}") for source in SOURCES])


def worst_sum(sim):
    """Largest difference between a followed state and the sum of its shares, over the state's largest value."""
    return max(relative_error(shares(sim, name).sum(axis=0), sim.cell_state(name)) for name in FOLLOWED)


@pytest.mark.parametrize("rtol", [3e-2, 1e-4])
def test_shares_add_up_and_leave_the_model_as_it_is(tagged, rtol):
    """Sums to round-off; every digit of fields, states and steps is that of the model without shares."""
    options = {"parameters": {"k_on": 2e-6, "k_in": 50.0}, "solver": handmade.make_solver(rtol, first_step=600.0)}
    with_shares, without = run(make_chain(mechanism=tagged, **options)), run(make_chain(**options))
    assert worst_sum(with_shares.sim) < 1e-14
    assert [r.dt for r in with_shares.records] == [r.dt for r in without.records]
    core = with_shares.sim.state
    n_core = len(without.sim.study.mechanism.states)
    np.testing.assert_array_equal(core.states[:n_core], without.sim.state.states)
    np.testing.assert_array_equal(core.fields, without.sim.state.fields)


def solve_by_source(study):
    """Every source a species of its own, by SciPy: inside and bound from each, and what was taken up from each."""
    n, links = study.cells.n_cells, pairs_of(study.cells.position).astype(float)
    making, v = study.cell_parameters[study.mechanism.cell_parameters.index("making")], VALUES
    outside, own, bridges = range(3)

    def rates(_, y):
        inside, bound = y[: 3 * n].reshape(3, n), y[3 * n : 6 * n].reshape(3, n)
        site, medium = y[6 * n : 7 * n], y[-1]
        pumped = v["v_pump"] * inside / (v["K_pump"] + inside.sum(axis=0))
        bind = v["k_on"] * inside * site - v["k_off"] * bound
        given = 0.1 * inside / v["volume"]
        arrived = links @ given.sum(axis=0)
        entry = v["k_in"] * N_A * medium
        change = -pumped - bind - links.sum(axis=1) * given
        change[outside] += entry
        change[own] += making
        change[bridges] += arrived
        d_medium = np.sum(pumped.sum(axis=0) - entry) / (N_A * VOXEL**3)
        counts = np.stack([np.full(n, entry), making, arrived])
        return np.concatenate([change.ravel(), bind.ravel(), -bind.sum(axis=0), counts.ravel(), [d_medium]])

    start = np.concatenate([np.zeros(6 * n), np.full(n, v["sites"]), np.zeros(3 * n), [40.0]])
    end = solve_ivp(rates, (0, study.duration), start, method="LSODA", rtol=1e-11, atol=1e-9).y[:, -1]
    return end[: 3 * n].reshape(3, n), end[3 * n : 6 * n].reshape(3, n), end[7 * n : 10 * n].reshape(3, n)


def test_shares_agree_with_an_independent_solution(tagged):
    study = make_chain(mechanism=tagged, solver=handmade.make_solver(1e-4))
    sim = run(study).sim
    inside, bound, counts = solve_by_source(study)
    assert np.all(inside.max(axis=1) > 0.02 * inside.max())  # every source matters somewhere
    for name, expected in (("inside", inside), ("bound", bound)):
        assert np.abs(shares(sim, name) - expected).max() < 2e-4 * expected.sum(axis=0).max()
    found = np.array([sim.cell_state(f"taken_up_from_{source}") for source in SOURCES])
    assert np.abs(found - counts).max() < 2e-4 * counts.max()


def test_exposure_is_split_by_source(tagged):
    sim = run(make_chain(mechanism=tagged)).sim
    parts = [sim.cell_state(f"inside_exposure_from_{source}") for source in SOURCES]
    assert min(part.max() for part in parts) > 0
    assert relative_error(np.sum(parts, axis=0), sim.cell_state("inside_exposure")) < 1e-13


def test_without_contacts_nothing_comes_over_bridges(tagged):
    apart = CHAIN * np.array([1.0, 1.0, 2.0])
    sim = run(make_chain(apart, mechanism=tagged)).sim
    assert not shares(sim, "inside")[2].any() and not sim.cell_state("taken_up_from_bridges").any()
    assert shares(sim, "inside")[0].min() > 0


def test_what_leaves_and_comes_back_is_from_outside(tagged):
    """A cell full of its own drug pumps it out; a second cell, and the first, find it outside."""
    start = {"inside": np.array([1e5, 0.0]), "inside_from_own": np.array([1e5, 0.0])}
    apart = CHAIN[[0, 2]]
    options = {"initial_states": start, "initial": {}, "of_cells": {"making": np.zeros(2)}, "duration": 60 * HOUR}
    sim = run(make_chain(apart, mechanism=tagged, **options)).sim
    own, outside = shares(sim, "inside")[1], shares(sim, "inside")[0]
    assert own[0] > 0 and own[1] == 0 and outside.min() > 0
    assert worst_sum(sim) < 1e-13


def negative_share(tagged):
    """A run whose shares begin at 1500 and -500 of 1000, with binding that is not linear."""
    start = {"inside": 1000.0, "inside_from_own": 1500.0, "inside_from_outside": -500.0}
    options = {"parameters": {"k_on": 2e-5}, "initial_states": start, "solver": handmade.make_solver(3e-2)}
    return run(make_chain(mechanism=tagged, duration=HOUR, **options)).sim


def test_shares_add_up_even_where_one_is_negative(tagged):
    assert worst_sum(negative_share(tagged)) < 1e-13


def test_clamped_shares_would_not_add_up(tagged, monkeypatch):
    """The negative control of how the base of the Jacobian is taken."""

    def clamp_alone(rows, states, base):
        base[...] = np.maximum(states, 0.0)

    monkeypatch.setattr(rosenbrock, "rebase_shares", clamp_alone)
    assert worst_sum(negative_share(tagged)) > 1e-8


def test_the_core_is_eliminated_as_without_shares(tagged):
    """Shares are eliminated first: they add nonzeros of their own rows alone."""
    core, whole = load_mechanism(str(handmade.MECHANISMS / "contacts.toml")), load_mechanism(tagged)
    counts, more = (generate(item, "numpy").counts for item in (core, whole))
    n_added = len(whole.states) - len(core.states)
    # of each source: inside and bound by the core and by each other, its exposure by its share
    assert more["n_lu"] - counts["n_lu"] <= n_added + 3 * (2 + 4 + 1)
    assert more["flops_cell_factor_entry"] == counts["flops_cell_factor_entry"]
    assert more["flops_cell_respond"] == counts["flops_cell_respond"]


@pytest.mark.parametrize(
    "text",
    [
        "k * s",
        "k * s * s / (a + s)",
        "s**2 / a",
        "s * k + a * s",
        "-s * k",
        "hill(s, a, 1)",
        "k * hill(s / a, k, 2)",
        "hill(s * k, a, 1.5) * k",
    ],
)
def test_a_rate_is_its_share_times_its_factor(text):
    rate = simplify(parse(text, "test"))
    share = divided(rate, "s")
    for s in (0.5, 3.0, 40.0):
        values = {"s": s, "a": 2.5, "k": 0.7}
        assert evaluate(share, values) * s == pytest.approx(evaluate(rate, values), rel=1e-13)
    if "hill" in text:
        assert evaluate(share, values | {"s": -1.0}) == 0.0


@pytest.mark.parametrize("text", ["k", "k + s", "exp(s)", "k / s", "min(s, k)", "s**0.5"])
def test_a_rate_without_the_factor_has_no_share(text):
    assert divided(simplify(parse(text, "test")), "s") is None


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (', tag = "own" }', " }", "reactions.cell.making: makes inside, followed by source"),
        ("v_pump * hill(inside, K_pump, 1)", "v_pump", "does not have it as a factor"),
        ("inside + site <=> bound", "inside + bound -> 2 lost", "both followed"),
        ("inside = {}", "insides = {}", "'insides' is no state of the cells"),
        ("[states.inside]\n", '[states.inside]\ninitial = "K_pump"\n', "name its source as 'initial'"),
        ("[states.site]", "[states.inside_from_own]\n\n[states.site]", "the name 'inside_from_own' is needed"),
    ],
)
def test_what_cannot_be_followed_is_refused(old, new, reason, tmp_path):
    text = TAGGED.replace(old, new)
    assert text != TAGGED
    if "both" in reason:
        text = text.replace(', back = "k_off * bound"', "")
        text += "[accumulators.lost]\ncontains = { drug = 1 }\n"
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(MechanismError, match=reason):
        load_mechanism(path)


def test_a_start_with_a_source_is_followed(tmp_path):
    text = TAGGED.replace("[states.inside]\n", '[states.inside]\ninitial = "K_pump"\n')
    path = tmp_path / "mine.toml"
    path.write_text(text.replace("inside = {}", 'inside = { initial = "before" }'))
    mechanism = load_mechanism(path)
    initial = {state.name: str(state.initial) for state in mechanism.states}
    assert initial["inside_from_before"] == "K_pump" and initial["inside_from_own"] == "0.0"
    assert mechanism.tags == ("outside", "own", "bridges", "before")


MODULES = find_modules("adc")


def with_needs(name):
    """A module and all that it needs, turned on."""
    on = {name: True}
    for other in MODULES[name].needs:
        on |= with_needs(other)
    return on


@pytest.mark.parametrize("name", MODULES)
def test_sources_go_with_every_module_of_the_built_in_mechanism(name):
    """What a module makes of the payload in cells has a source; a new one that forgets it is refused here."""
    mechanism = load_mechanism("adc", {"sources": True, "bridges": True, **with_needs(name)})
    assert {"conjugate", "bridges"} <= set(mechanism.tags) <= {"conjugate", "outside", "vesicles", "bridges"}
    followed = {item.state for item in mechanism.followed}
    assert {"payload_lysosome", "payload_cytosol", "payload_bound"} <= followed
    free = {state.name for state in mechanism.states if state.kind == "state" and set(state.contains) == {"payload"}}
    assert free <= followed, "payload in cells that is not followed by source"

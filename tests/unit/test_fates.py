"""Fates in mechanism files and studies: what they become, what is refused, and the built-in modules."""

import re

import numpy as np
import pytest
from tests import fate_studies, handmade
from tests.running import run

from payloadfield.errors import MechanismError, StudyError
from payloadfield.mechanism import generate, load_mechanism
from payloadfield.solver import BatchSimulation, Simulation
from payloadfield.solver.outputs import kept_states
from payloadfield.store.capture import cell_table
from payloadfield.study import load_study

TEXT = (handmade.MECHANISMS / "fates.toml").read_text()
HOUR = 3600.0


def load(folder, text):
    path = folder / "mine.toml"
    path.write_text(text)
    return load_mechanism(path)


# -- files ----------------------------------------------------------------------------------------------------------


def test_fates_and_transitions_are_slots_of_the_cell_in_their_own_unit():
    mechanism = fate_studies.make_mechanism("expected")
    kinds = {state.name: (state.kind, state.unit) for state in mechanism.states}
    assert kinds["cycling"] == ("fate", "1") and kinds["dooming"] == ("transition", "1")
    assert kinds["damage"] == ("state", "nM") and kinds["inside"] == ("state", "molecules")
    assert [(item.before, item.after) for item in mechanism.transitions][:2] == [
        ("cycling", "doomed"),
        ("doomed", "dead"),
    ]


def test_expected_transitions_are_reactions_of_first_order_and_sampled_ones_are_not():
    expected, sampled = (fate_studies.make_mechanism(mode) for mode in ("expected", "sampled"))
    reactions = {item.name: item for item in expected.reactions}
    assert set(reactions["death"].stoichiometry) == {"doomed", "dead", "death"}
    assert str(reactions["death"].rate) == "1.0 / lag * doomed"
    assert not {"dooming", "death"} & {item.name for item in sampled.reactions}
    rates = {state.name: str(state.rate) for state in sampled.states if state.kind == "transition"}
    assert rates["death"] == "1.0 / lag" and expected.digest != sampled.digest
    assert sampled.is_sampled and not expected.is_sampled


def test_what_belongs_to_one_cell_is_multiplied_by_the_number_of_living_cells_and_nothing_else():
    rates = {item.name: str(item.rate) for item in fate_studies.make_mechanism("expected").reactions}
    assert "volume * (max(cycling + doomed + senescent + persister, 0.0) + 0.0001 * dead)" in rates["membrane"]
    assert rates["secretion_out"] == "secretion * senescent"
    without = {item.name: str(item.rate) for item in load_mechanism("adc").reactions}
    assert without["entry"] == "k_in * fu * volume * N_A * payload"


def test_fates_make_no_loop_of_fields():
    """Dying cells give conjugate back at a rate that payload decides; the Jacobian leaves that out."""
    without, with_fates = load_mechanism("adc"), load_mechanism("adc", {"fate": True})
    assert without.field_groups == with_fates.field_groups
    assert generate(with_fates, "numpy").counts["n_lu"] < 2 * generate(without, "numpy").counts["n_lu"]


REFUSALS = [
    ('to = "doomed"', 'to = "domed"', "transitions.dooming.to: 'domed' is no fate; did you mean 'doomed'"),
    ('from = "doomed"', 'from = "inside"', "transitions.death.from: 'inside' is no fate; known: cycling"),
    ('from = "doomed", to = "dead"', 'from = "dead", to = "doomed"', "'dead' is death (it has a 'lysis')"),
    ('from = "doomed", to = "dead"', 'from = "dead", to = "dead"', "leads from 'dead' to itself"),
    ('hazard = "1 / lag"', 'rate = "1 / lag"', "transitions.death.rate: unknown key; allowed: from, to, hazard, doc"),
    (', hazard = "1 / lag"', "", "transitions.death.hazard: missing"),
    ('"1 / lag"', '"lag"', "'lag' is in s; 1/s is needed"),
    ('"1 / lag"', '"1 / leg"', "'leg' is neither a parameter nor a species; did you mean 'lag'"),
    ('"1 / lag"', '"death / lag"', "'death' cannot be used here: it is one of transitions"),
    ('lysis = "k_lysis"', 'lysis = "lag"', "fates.dead.lysis: 'lag' is in s; 1/s is needed"),
    ("doomed = {}", "inside = {}", "the name 'inside' is taken"),
    ("doomed = {}", "living = {}", "the name 'living' is taken"),
    ('fate = "expected"', 'fate = "drawn"', "fate: got 'drawn'; allowed: expected, sampled"),
    (
        'unit = "nM"\ntypical = "K_s',
        'unit = "nM"\ncontains = { drug = 1 }\ntypical = "K_s',
        "a state in nM is no amount",
    ),
    ('"-> damage"', '"-> damage + inside"', "does not conserve the moiety 'drug'"),
    ('"-> damage"', '"-> damage + cycling"', "changes quantities of unlike units (damage in nM, cycling in 1)"),
    ('"damage ->"', '"damage -> signal"', "fields exchange molecules with cells, but damage is in nM"),
    ('"k_damage * bound / (volume * N_A)"', '"k_damage * bound"', "is in molecules/s; nM/s is needed"),
    ('value = "6 h" }', 'value = "6 h", extensive = true }', "only what belongs to one cell"),
    ("extensive = true", 'extensive = "yes"', "got 'yes'; true or false is needed"),
    ("[states.bound]", '[states.bound]\nreleased_as = "signal"', "released_as: 'bound -> signal' does not conserve"),
    ("[states.bound]", '[states.bound]\nreleased_as = "inside"', "'inside' is one of states; a dying reaction changes"),
    (
        "[fields.signal]",
        '[fields.other]\ncontains = { drug = 1 }\ndiffusivity = "D"\n[fields.signal]',
        "states.inside.released_as: missing; a dying cell gives back 'inside', but drug, other contain the same",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), REFUSALS, ids=[case[2][:50] for case in REFUSALS])
def test_a_file_that_cannot_be_meant_is_refused_with_place_and_reason(tmp_path, old, new, message):
    text = 'fate = "expected"\n' + TEXT
    assert old in text
    with pytest.raises(MechanismError, match=re.escape(message)) as caught:
        load(tmp_path, text.replace(old, new, 1))
    assert "mine.toml" in str(caught.value)


def test_sampling_needs_something_to_sample(tmp_path):
    bare = 'fate = "sampled"\n' + (handmade.MECHANISMS / "exchange.toml").read_text()
    with pytest.raises(MechanismError, match=re.escape("has no [transitions] to carry out in this way")):
        load(tmp_path, bare)


def test_contents_are_given_back_as_the_file_says(tmp_path):
    lost = TEXT.replace(
        "[states.bound]", '[accumulators.lost]\ncontains = { drug = 1 }\n[states.bound]\nreleased_as = "lost"'
    )
    mechanism = load(tmp_path, lost)
    changes = {item.name: item.stoichiometry for item in mechanism.reactions}
    assert set(changes["release_bound"]) == {"bound", "lost"} and set(changes["release_inside"]) == {"inside", "drug"}
    assert "lost" in mechanism.state_names


# -- studies --------------------------------------------------------------------------------------------------------

BOX = {
    "duration": "72 h",
    "grid": {"size": ["60 um", "60 um", "40 um"], "voxel": "20 um"},
    "boundary": {"z_high": "bath"},
    "cells": [
        {"type": "SK-BR-3", "count": 6, "place": "medium"},
        {"type": "MDA-MB-231", "count": 6, "place": "medium"},
    ],
    "schedule": [{"at": "0 h", "dose": {"T-DXd": "20 nM"}}],
    "output": {"every": "12 h"},
}


def study(modules, **changes):
    return load_study({**BOX, "modules": modules, **changes})


def mean(trace, name, cell_type, k=-1):
    """A state, averaged over the cells of one type, at an output; 0 where the study does without it."""
    if name in trace.sim.study.mechanism.left_out:
        return 0.0
    chosen = trace.sim.study.cells.type_index == trace.sim.study.cells.type_names.index(cell_type)
    return trace.states[k][trace.sim.study.mechanism.state_names.index(name)][chosen].mean()


def test_a_study_turns_fates_on_by_a_module_and_says_how():
    for choice, is_sampled in ((True, False), ("expected", False), ("sampled", True)):
        assert study({"fate": choice}).mechanism.is_sampled is is_sampled
    assert not study({}).mechanism.fates
    with pytest.raises(StudyError, match="expected"):
        study({"fate": "drawn"})


def test_a_study_says_how_the_fates_of_a_mechanism_of_its_own_are_carried_out():
    table = {key: BOX[key] for key in ("duration", "grid", "cells")}
    own = {**table, "mechanism": str(handmade.MECHANISMS / "fates.toml")}
    for modules, is_sampled, n_ways in (({}, False, 5), ({"fate": "sampled"}, True, 5), ({"fate": False}, False, 0)):
        mechanism = load_study({**own, "modules": modules}).mechanism
        assert (mechanism.is_sampled, len(mechanism.transitions)) == (is_sampled, n_ways)
    without = {**table, "mechanism": str(handmade.MECHANISMS / "exchange.toml"), "modules": {"fate": "sampled"}}
    with pytest.raises(StudyError, match=re.escape("modules.fate: unknown module")):
        load_study(without)


def test_fates_of_the_wrong_size_at_the_start_are_refused():
    with pytest.raises(StudyError, match=re.escape("add up to 1.5 in 12 cells, not to 1")):
        study({"fate": True}, initial={"states": {"senescent": "0.5"}})
    started = study({"fate": True}, initial={"states": {"cycling": "0.5", "senescent": "0.5"}})
    assert started.initial_states[started.mechanism.state_names.index("senescent")].tolist() == [0.5] * 12


def test_a_negative_hazard_at_the_start_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace('hazard = "k_enter"', 'hazard = "k_enter - k_leave"'))
    table = {key: BOX[key] for key in ("duration", "grid", "cells")}
    with pytest.raises(
        StudyError, match=re.escape("transitions.tolerance.hazard: k_enter - k_leave is -8.33333e-06 /s")
    ):
        load_study({**table, "mechanism": str(path)})


@pytest.fixture(scope="module")
def washed():
    """T-DXd for a day, then none; with what senescent cells give off."""
    schedule = [*BOX["schedule"], {"at": "24 h", "wash": 1.0}]
    return run(study({"fate": True, "sasp": True}, schedule=schedule, duration="120 h"), "numpy")


def test_senescence_stays_after_washout_while_payload_falls(washed):
    before, after = 2, -1
    assert mean(washed, "senescent", "SK-BR-3", before) > 0.2
    assert mean(washed, "senescent", "SK-BR-3", after) >= mean(washed, "senescent", "SK-BR-3", before)
    assert mean(washed, "payload_cytosol", "SK-BR-3", after) < 0.2 * mean(washed, "payload_cytosol", "SK-BR-3", before)
    assert mean(washed, "senescent", "MDA-MB-231") < 0.7 * mean(washed, "senescent", "SK-BR-3")


def test_senescent_cells_hold_little_target_and_secrete(washed):
    untouched = run(study({"fate": True, "sasp": True}, schedule=[], agent="T-DXd", duration="120 h"), "numpy")
    per_living = [
        (mean(t, "target", "SK-BR-3") + mean(t, "payload_bound", "SK-BR-3"))
        / (1 - mean(t, "dead", "SK-BR-3")) for t in (washed, untouched)
    ]  # fmt: skip
    assert per_living[0] < 0.75 * per_living[1]
    assert mean(untouched, "senescent", "SK-BR-3") == 0.0
    signal = [t.sim.field_on_grid("sasp").mean() for t in (washed, untouched)]
    assert signal[0] > 2 * signal[1] > 0


@pytest.mark.parametrize("mode", ["expected", "sampled"])
def test_a_senolytic_removes_senescent_cells_and_no_others(mode):
    washed = [*BOX["schedule"], {"at": "40 h", "wash": 1.0}]
    dosed = [*BOX["schedule"], {"at": "40 h", "wash": 1.0, "dose": {"navitoclax": "20 uM"}}]
    modules = {"fate": mode, "senolytic": True}
    left = run(study(modules, schedule=washed, duration="100 h", senolytic="navitoclax"), "numpy")
    treated = run(study(modules, schedule=dosed, duration="100 h"), "numpy")
    assert mean(left, "senescent", "SK-BR-3") > 0.4 and mean(left, "senolysis", "SK-BR-3") < 1e-12
    assert mean(treated, "senescent", "SK-BR-3") < 0.3 * mean(left, "senescent", "SK-BR-3")
    if mode == "expected":
        assert mean(treated, "dooming", "SK-BR-3") == pytest.approx(mean(left, "dooming", "SK-BR-3"), rel=1e-2)
        alone = run(study(modules, schedule=dosed[1:], agent="T-DXd", duration="100 h"), "numpy")
        assert mean(alone, "cycling", "SK-BR-3") == mean(alone, "cycling", "MDA-MB-231") == 1.0


def test_an_inhibitor_leaves_persisters_which_come_back_after_it():
    schedule = [{"at": "0 h", "dose": {"osimertinib": "1 uM"}}, {"at": "240 h", "wash": 1.0}]
    table = {"agent": "sac-TMT", "duration": "480 h", "output": {"every": "120 h"}, "schedule": schedule}
    modules = {"fate": True, "growth": True, "tki": True}
    cells = [{"type": "PC-9", "count": 6, "place": "medium"}]
    treated = run(study(modules, cells=cells, **table), "numpy")
    persister, cycling = ([mean(treated, name, "PC-9", k) for k in range(5)] for name in ("persister", "cycling"))
    assert persister[2] > cycling[2] > 0 and persister[2] < 0.1
    assert cycling[4] > 10 * cycling[2] and persister[4] < persister[2]
    alone = run(study(modules, cells=cells, **(table | {"schedule": [], "inhibitor": "osimertinib"})), "numpy")
    assert mean(alone, "persister", "PC-9") == 0.0 and mean(alone, "cycling", "PC-9") > 10.0


def test_growth_stops_at_the_capacity_of_the_territory():
    long = {"duration": "600 h", "output": {"every": "300 h"}, "parameters": {"territory": "2e4 um^3"}}
    grown = run(study({"fate": True, "growth": True}, schedule=[], agent="T-DXd", **long), "numpy")
    assert mean(grown, "cycling", "MDA-MB-231") == pytest.approx(6e8 * 1e-12 * 2e4, rel=1e-2)


def test_cells_beyond_the_capacity_do_not_vanish():
    crowded = {"parameters": {"territory": "500 um^3"}}  # room for 0.3 of a cell
    kept = run(study({"fate": True, "growth": True}, schedule=[], agent="T-DXd", **crowded), "numpy")
    assert mean(kept, "cycling", "MDA-MB-231") == pytest.approx(1.0, rel=1e-12)


def test_what_a_degrader_dooms_by_is_the_loss_of_its_target():
    table = {"agent": "T-degrader", "schedule": [{"at": "0 h", "dose": {"T-degrader": "5 nM"}}]}
    hit = run(study({"fate": True, "degrader": True}, **table), "numpy")
    spared = run(study({"fate": True, "degrader": True}, **table, parameters={"k_degrade": "0 / s"}), "numpy")
    assert mean(hit, "dooming", "SK-BR-3") > 0.3 > 3 * mean(spared, "dooming", "SK-BR-3")


def test_the_results_of_a_cell_hold_its_fates_and_times():
    trace = run(study({"fate": True}, parameters={"k_senescence": "5 / day"}), "numpy")
    table = cell_table(trace.sim)
    assert table.units["senescing_time"] == "s" and table.units["senescent"] == "1"
    times = table["senescing_time"]
    assert np.isfinite(times).any() and np.array_equal(np.isfinite(times), table["senescing"] >= 0.5)
    assert {"cycling", "senescent", "dead", "senescing"} <= set(kept_states(trace.sim.study))


def test_a_batch_follows_fates_as_single_runs_do():
    less = [{"at": "0 h", "dose": {"T-DXd": "5 nM"}}]
    one, other = (study({"fate": "sampled"}, schedule=each, duration="30 h") for each in (BOX["schedule"], less))
    batch = BatchSimulation([one, other], "numpy")
    batch.run()
    alone = Simulation(one, "numpy")
    alone.run()
    for name, times in batch.designs[0].commitments().items():
        both = np.isfinite(times) & np.isfinite(alone.commitments()[name])
        assert both.sum() >= 0.8 * np.isfinite(times).sum()
        assert times[both] == pytest.approx(alone.commitments()[name][both], rel=1e-2)

"""Agents put together from parts, payloads alone, and resistances by name: what they come to, and what is refused."""

from copy import deepcopy

import numpy as np
import pytest

from payloadfield.errors import StudyError
from payloadfield.store.digest import study_digest
from payloadfield.store.simulate import simulate
from payloadfield.study import load_study

STUDY = {
    "duration": "6 h",
    "grid": {"size": ["60 um", "20 um", "20 um"], "voxel": "20 um"},
    "boundary": {"x_high": "bath"},
    "cells": [{"type": "SK-BR-3", "count": 1, "place": "medium"}],
}
LINKER = {"k_dec": "1.67e-8 1/s", "kcat_over_km": "1e4 1/M/s", "k_cleave": "0.00067 1/s"}
PARTS = {"antibody": "trastuzumab", "linker": LINKER, "payload": "DXd", "DAR": 8}


def study(dose="T-DXd", **changes):
    return deepcopy(STUDY) | {"schedule": [{"at": "0 h", "dose": {dose: "10 nM"}}]} | changes


def load(dose="T-DXd", **changes):
    return load_study(study(dose, **changes))


def refusal(dose="T-DXd", **changes):
    with pytest.raises(StudyError) as caught:
        load(dose, **changes)
    return str(caught.value)


def values(loaded):
    """Parameters of the study by name."""
    return dict(zip(loaded.mechanism.study_parameters, loaded.parameters, strict=True))


def of_cells(loaded, name):
    """A parameter of every cell, or of the study for all of them."""
    table = dict(zip(loaded.mechanism.cell_parameters, loaded.cell_parameters, strict=True))
    return table[name] if name in table else np.full(len(loaded.cells.type_index), values(loaded)[name])


def test_an_agent_of_the_parts_of_another_is_that_agent():
    made, known = load("NEW", agents={"NEW": PARTS | {"linker": "GGFG"}}), load()
    assert values(made) == values(known)
    assert np.array_equal(made.cell_parameters, known.cell_parameters)


def test_a_new_linker_is_one_table():
    made = values(load("NEW", agents={"NEW": PARTS}))
    assert made["k_cleave"] == 0.00067 and made["kcat_over_km"] == pytest.approx(1e-5)
    assert made["DAR"] == 8 and made["KD"] == 0.314


def test_a_payload_of_ones_own_has_the_librarys_defaults_where_it_says_nothing():
    own = {"k_in": "0.01 1/s", "k_out": "0.005 1/s", "target": {"KD": "20 nM"}}
    made = values(load("NEW", agents={"NEW": PARTS | {"payload": own}}))
    assert (made["k_in"], made["KD_target"], made["fu"]) == (0.01, 20.0, 1.0)


@pytest.mark.parametrize("role", ["antibody", "linker", "payload", "DAR"])
def test_an_agent_without_one_of_its_parts_is_refused_once(role):
    lacking = {key: value for key, value in PARTS.items() if key != role}
    message = refusal("NEW", agents={"NEW": lacking})
    assert message.startswith(f"study, agents.NEW.{role}: is missing") and "\n" not in message


def test_a_payload_alone_is_an_agent_and_does_as_the_payload_dosed_beside_a_conjugate():
    alone = simulate(load("DXd"))
    beside = simulate(load("DXd", agent="T-DXd"))
    assert set(alone.study.mechanism.field_names) <= {"payload", "protease"}
    exposure = [float(run.cells["payload_exposure"][0]) for run in (alone, beside)]
    assert exposure[0] > 0 and exposure[0] == pytest.approx(exposure[1], rel=1e-3)


def test_inputs_of_a_payload_alone_are_none_of_a_conjugate():
    keys = [source.key for source in load("DXd").sources if source.grade != "setting"]
    assert not any("antibody" in key or "linker" in key or "DAR" in key or "receptors" in key for key in keys)
    assert any(key == "agents.DXd.payload.k_in" for key in keys)


def test_two_payloads_alone_are_refused():
    events = [{"at": "0 h", "dose": {"DXd": "1 nM", "SN-38": "1 nM"}}]
    assert "two payloads in one study (DXd and SN-38)" in refusal(schedule=events)


def resistant(name, **more):
    """A sensitive and a resistant cell side by side."""
    cells = [{"type": "SK-BR-3", "count": 1, "place": "medium"}, {"type": "R", "count": 1, "place": "medium"}]
    return {"cells": cells, "cell_types": {"R": {"based_on": "SK-BR-3", "resistance": name} | more}}


@pytest.mark.parametrize(("name", "parameter", "factor"), [
    ("TOP1-E418K", "KD_target", 30.0), ("efflux", "k_out", 5.0), ("HER2-loss", "receptors", 0.2),
])  # fmt: skip
def test_a_resistance_changes_one_value_of_its_cell_type_alone(name, parameter, factor):
    loaded, plain = load(**resistant(name)), load()
    usual = of_cells(plain, parameter)[0]
    assert sorted(of_cells(loaded, parameter)) == pytest.approx(sorted([usual, usual * factor]))
    others = ({"KD_target", "k_out", "receptors"} - {parameter}) | {"k_in"}
    assert all(set(of_cells(loaded, other)) == set(of_cells(plain, other)) for other in others)


def test_the_resistance_against_trop2_conjugates_acts_on_trop2():
    loaded = load("Dato-DXd", **resistant("TROP2-T256R", based_on="NCI-N87"))
    assert of_cells(loaded, "receptors").max() == pytest.approx(0.1 * 200000)


def test_several_resistances_and_factors_of_ones_own_go_together():
    both = load(**resistant(["TOP1-E418K", "HER2-loss"]))
    assert of_cells(both, "KD_target").max() == pytest.approx(30 * 161)
    assert of_cells(both, "receptors").min() == pytest.approx(0.2 * 1.12e6)
    own = load(**resistant([], factors={"payload": {"k_out": 7}}))
    assert of_cells(own, "k_out").max() == pytest.approx(7 * 0.00898)


def test_a_resistance_of_the_agent_holds_in_every_cell():
    loaded = load("X", agents={"X": {"based_on": "T-DXd", "resistance": "TOP1-E418K"}})
    assert values(loaded)["KD_target"] == pytest.approx(30 * 161)


def test_a_mutation_of_one_target_is_no_matter_to_a_payload_that_binds_another_and_the_study_says_so():
    other = {"agents": {"T-DXd": {"payload": "degrader"}}}
    loaded, plain = load(**resistant("TOP1-E418K"), **other), load(**other)
    assert set(of_cells(loaded, "KD_target")) == {values(plain)["KD_target"]}
    told = "cell_types.R.resistance: TOP1-E418K changes TOP1, and the payload binds GSPT1: it has no effect"
    assert told in loaded.warnings
    assert not any("no effect" in warning for warning in load(**resistant("TOP1-E418K")).warnings)


def test_a_resistance_is_an_input_with_its_source_and_its_range():
    found = {source.key: source for source in load(**resistant("TOP1-E418K")).sources}
    source = found["cell_types.R.factors.payload.target.KD"]
    assert source.value == 30 and source.citation.startswith("Coates") and source.grade == "assumed"


def test_resistant_cells_hold_less_bound_payload_and_without_resistance_as_much():
    bound = {}
    for name in ("TOP1-E418K", []):
        cells = simulate(load(**resistant(name))).cells
        amounts = dict(zip(np.asarray(cells["type"]).astype(str), cells["bound_payload_exposure"], strict=True))
        bound[str(name)] = float(amounts["R"] / amounts["SK-BR-3"])
    assert bound["TOP1-E418K"] < 0.1
    assert 0.5 < bound["[]"] < 2


@pytest.mark.parametrize("changes", [
    {"agents": {"NEW": PARTS}, "agent": "NEW"}, {"schedule": [{"at": "0 h", "dose": {"DXd": "1 nM"}}]},
    resistant(["TOP1-E418K", "HER2-loss"]), {"agents": {"T-DXd": {"resistance": "efflux"}}},
])  # fmt: skip
def test_the_effective_study_loads_to_the_same_study(changes):
    one = load(**({"schedule": []} | changes if "agent" in changes else changes))
    two = load_study(one.effective)
    assert study_digest(one) == study_digest(two)
    assert one.n_assumed == two.n_assumed


REFUSED = {
    "unknown resistance": (resistant("TOP1-E418"), "did you mean 'TOP1-E418K'?"),
    "of the cells": ({"agents": {"T-DXd": {"resistance": "HER2-loss"}}}, "give it to a cell type"),
    "no such antigen": (resistant("TROP2-T256R"), "which R does not have"),
    "module off": (resistant("efflux") | {"modules": {"resistance": False}}, "turn the module 'resistance' on"),
    "too many payloads": ({"agents": {"T-DXd": {"DAR": 800}}}, "only 0 to 40 is possible"),
    "more than all": ({"agents": {"T-DXd": {"payload": {"fraction_unbound": 1.5}}}}, "only 0 to 1 is possible"),
    "faster than a proton": (
        {"agents": {"T-DXd": {"payload": {"diffusivity": "2 mm^2/s"}}}}, "only 0 to 10000 um^2/s is possible"),
    "a tiny cell": ({"cell_types": {"SK-BR-3": {"volume": "0.5 um^3"}}}, "only 1 to"),
    "below nothing": ({"parameters": {"DAR": -1}}, "only 0 to 40 is possible for agent.DAR"),
    "more than all, as a parameter": ({"parameters": {"fu": 1.4}}, "only 0 to 1 is possible for agent.payload"),
    "a rate below nothing": ({"parameters": {"k_out": "-1 / s"}}, "only 0 to 1000 1/s is possible"),
    "said twice": ({"parameters": {"DAR": 4}, "agents": {"T-DXd": {"DAR": 3}}}, "agents.T-DXd.DAR says '3.0'"),
    "unknown line": ({"cells": [{"type": "SKBR-3", "count": 1}]}, "did you mean 'SK-BR-3'?"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "reason"), REFUSED.values(), ids=list(REFUSED))
def test_bad_agents_and_cells_are_refused_with_the_reason(changes, reason):
    assert reason in refusal(**changes)


def test_the_same_value_said_twice_and_an_override_of_it_are_no_contradiction():
    assert values(load(parameters={"DAR": 3}, agents={"T-DXd": {"DAR": 3}}))["DAR"] == 3
    given = study(agents={"T-DXd": {"DAR": 3}})
    assert values(load_study(given, ["parameters.DAR=4"]))["DAR"] == 4


def test_designs_reach_neighbours_without_antigen_as_they_are_named():
    """Payload in antigen-negative cells beside SK-BR-3: least if it stays in the cell, most if freed outside."""
    cells = [{"type": name, "count": 1, "place": "medium"} for name in ("SK-BR-3", "fibroblast")]
    types = {"fibroblast": {"receptors": "0 molecules"}}
    reached = {}
    for agent in ("T-nc-DXd", "T-DXd", "T-ec-DXd"):
        found = simulate(load(agent, cells=cells, cell_types=types)).cells
        exposures = dict(zip(np.asarray(found["type"]).astype(str), found["payload_exposure"], strict=True))
        reached[agent] = float(exposures["fibroblast"])
    assert 10 * reached["T-nc-DXd"] < reached["T-DXd"]
    assert 1.1 * reached["T-DXd"] < reached["T-ec-DXd"]  # an infinite bath takes most of it away

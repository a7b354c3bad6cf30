"""Modules in studies: what fills their slots, and what a study does without because it never leaves zero."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from tests.running import run

from payloadfield.cli.program import program
from payloadfield.errors import StudyError
from payloadfield.mechanism import load_mechanism
from payloadfield.mechanism.expressions import parse
from payloadfield.mechanism.pruning import find_absent, vanishes, without
from payloadfield.store.digest import study_digest
from payloadfield.store.reader import open_run
from payloadfield.store.simulate import simulate
from payloadfield.study import load, load_study
from payloadfield.toml_text import dump_toml

HOUR = 3600.0
BASE = {
    "duration": "3 h",
    "grid": {"size": ["40 um", "60 um", "40 um"], "voxel": "20 um"},
    "boundary": {"z_high": "bath"},
    "cells": [{"type": "SK-BR-3", "count": 2, "place": "medium"}],
    "schedule": [{"at": "0 h", "dose": {"T-DXd": "20 nM"}}],
}
NO_PROTEASE = {"parameters": {"protease_secretion": "0 molecules/s"}}


def refusal(table):
    with pytest.raises(StudyError) as error:
        load_study(table)
    return str(error.value)


# --- What stays zero ---


def test_a_field_that_nothing_makes_or_brings_is_not_solved():
    assert load_study(BASE).mechanism.left_out == ()
    study = load_study(BASE | NO_PROTEASE)
    assert study.mechanism.left_out == ("protease",)
    assert study.mechanism.field_names == study.output.fields == ("adc", "antibody", "payload")
    assert study.diffusivity.shape == study.initial_fields.shape == study.typical_fields.shape == (3,)
    assert not any("protease" in str(reaction.rate) for reaction in study.mechanism.reactions)


def test_without_cells_nothing_of_them_is_left():
    study = load_study({key: value for key, value in BASE.items() if key != "cells"} | {"agent": "T-DXd"})
    assert "protease" in study.mechanism.left_out and "complex" in study.mechanism.left_out
    assert all(state.kind != "state" for state in study.mechanism.states)


@pytest.mark.parametrize(
    "brought",
    [
        {"initial": {"fields": {"protease": "1 nM"}}},
        {"initial": {"bath": {"protease": "1 nM"}}},
        {"schedule": [{"at": "0 h", "dose": {"T-DXd": "20 nM", "protease": "1 nM"}}]},
        {"schedule": [{"at": "0 h", "dose": {"T-DXd": "20 nM"}}, {"at": "2 h", "dose": {"protease": "1 nM"}}]},
        {"output": {"fields": ["protease"]}},
    ],
)
def test_a_field_that_is_there_is_dosed_or_is_asked_for_is_kept(brought):
    assert load_study(BASE | NO_PROTEASE | brought).mechanism.left_out == ()


def test_a_dose_of_nothing_brings_nothing():
    schedule = [{"at": "0 h", "dose": {"T-DXd": "20 nM", "protease": "0 nM"}}]
    study = load_study(BASE | NO_PROTEASE | {"schedule": schedule})
    assert study.mechanism.left_out == ("protease",)
    assert [study.mechanism.field_names[index] for index in study.schedule[0].dose] == ["adc"]


def test_counts_of_what_is_absent_are_left_out_with_it():
    table = BASE | NO_PROTEASE | {"agent": "T-DXd", "schedule": [{"at": "0 h", "dose": {"payload": "1 nM"}}]}
    study = load_study(table | {"modules": {"released": True}})
    assert not any(reaction.name == "count_released_outside" for reaction in study.mechanism.reactions)
    assert not run(study, "numpy").exposure("released_inside").any()


def test_doses_and_rows_follow_the_fields_that_are_left():
    modules = {"tki": True, "vesicles": True, "immune": True}
    dose = {"inhibitor": "100 nM", "payload": "2 nM"}
    table = BASE | NO_PROTEASE | {"modules": modules, "schedule": [{"at": "0 h", "dose": dose}], "agent": "T-DXd"}
    study = load_study(table | {"inhibitor": "osimertinib"})
    names = study.mechanism.field_names
    assert {"adc", "antibody", "vesicle_adc", "protease"} <= set(study.mechanism.left_out)
    assert {names[index]: value for index, value in study.schedule[0].dose.items()} == {
        "inhibitor": 100.0,
        "payload": 2.0,
    }
    assert study.diffusivity[names.index("inhibitor")] == 578
    assert len(study.initial_states) == len(study.typical_states) == len(study.mechanism.states)
    row = study.initial_states[study.mechanism.state_names.index("myc")]
    assert (row == 1).all()


def exposures(study, backend="numpy"):
    trace = run(study, backend)
    return {item.name: trace.exposure(item.name) for item in study.mechanism.states if item.kind == "exposure"}


def test_results_are_those_with_everything_solved(monkeypatch):
    table = BASE | NO_PROTEASE | {"modules": {"tki": True}, "inhibitor": "osimertinib", "solver": {"rtol": 1e-4}}
    small = load_study(table)
    monkeypatch.setattr(load, "prune", lambda study, asked: study)
    whole = load_study(table)
    assert len(whole.mechanism.fields) == len(small.mechanism.fields) + 2
    found = exposures(small)
    for name, expected in exposures(whole).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-5)
    other = exposures(load_study(BASE | {"solver": {"rtol": 1e-4}}))  # what a field wrongly left out would do
    name = "medium_payload_exposure"
    assert np.abs(other[name] / found[name] - 1).max() > 3e-4


def test_the_effective_study_loads_to_the_same_again():
    study = load_study(BASE | NO_PROTEASE | {"modules": {"tki": True}, "inhibitor": "osimertinib"})
    again = load_study(json.loads(json.dumps(study.effective)))
    assert again.mechanism.left_out == study.mechanism.left_out == ("protease", "inhibitor")
    assert study_digest(again) == study_digest(study)


def test_designs_that_lack_the_same_share_a_mechanism():
    first, second = (load_study(BASE, [f"agents.T-DXd.linker.k_cleave={rate} / s"]) for rate in (0, 1e-4))
    assert first.mechanism.digest == second.mechanism.digest
    assert load_study(BASE | NO_PROTEASE).mechanism.digest != first.mechanism.digest


VANISHING = (
    "a * x",
    "a * y",
    "x + a * x",
    "x - x * y",
    "x / y",
    "x ** 2",
    "hill(x, y, 2)",
    "sqrt(x)",
    "max(x, 0)",
    "-x",
    "0 * y",
)
STAYING = (
    "b * y",
    "x + y",
    "x / a",
    "x ** 0",
    "hill(x, a, 2)",
    "hill(y, x, 2)",
    "exp(x)",
    "log(1 + x)",
    "max(y - x, 0)",
    "min(x, y)",
)


@pytest.mark.parametrize("text", VANISHING + STAYING)
def test_a_rate_vanishes_only_where_it_is_plain_to_see(text):
    assert vanishes(parse(text, "here"), {"a", "x"}) == (text in VANISHING)


def test_a_study_of_nothing_keeps_its_fields():
    study = load_study({key: BASE[key] for key in ("duration", "grid")} | {"agent": "T-DXd"})
    assert study.mechanism.field_names == load_mechanism("adc").field_names
    assert load_study(study.effective).mechanism.digest == study.mechanism.digest


def test_states_asked_for_and_what_they_need_are_kept():
    mechanism = load_mechanism("adc")
    assert "payload_bound" in find_absent(mechanism, {"receptor"}, set())
    assert "payload_bound" not in find_absent(mechanism, {"receptor", "adc"}, set())
    assert find_absent(mechanism, set(mechanism.field_names) | set(mechanism.state_names), set()) == ()
    assert without(mechanism, ()) is mechanism


def test_check_says_what_was_left_out(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(dump_toml(BASE | NO_PROTEASE))
    shown = CliRunner().invoke(program, ["check", str(path)])
    assert shown.exit_code == 0 and "Left out, as nothing brings or makes it: protease" in shown.output
    facts = json.loads(CliRunner().invoke(program, ["check", str(path), "--json"]).output)
    assert facts["left_out"] == ["protease"] and facts["modules"]["trafficking"] is True


def test_modules_are_listed():
    shown = CliRunner().invoke(program, ["mechanism", "modules", "adc", "--json"])
    facts = {item["name"]: item for item in json.loads(shown.output)}
    assert facts["efflux"]["default"] is False and facts["trafficking"]["default"] is True
    assert "vesicle" in facts["vesicles"]["adds"] and facts["vesicles"]["needs"] == ["trafficking", "payload_release"]
    shown = CliRunner().invoke(program, ["mechanism", "show", "adc", "--module", "efflux", "--json"])
    assert "efflux" in [item["name"] for item in json.loads(shown.output)["reactions"]]


# --- Slots ---


TKI = BASE | {"modules": {"tki": True}}


def source_of(study, key):
    return next(source for source in study.sources if source.key == key)


def test_what_is_dosed_fills_its_slot():
    study = load_study(TKI | {"schedule": [{"at": "0 h", "dose": {"T-DXd": "20 nM", "osimertinib": "99.92 ng/mL"}}]})
    inhibitor = study.mechanism.field_names.index("inhibitor")
    assert study.schedule[0].dose[inhibitor] == pytest.approx(200.0, rel=1e-3)  # 499.6 g/mol
    assert source_of(study, "inhibitors.osimertinib.IC50").origin == "library"
    assert study.effective["inhibitor"] == "osimertinib"


def test_values_over_those_of_the_library_and_entries_of_ones_own():
    own = {"inhibitors": {"mine": {"based_on": "osimertinib", "IC50": "3 nM"}}, "inhibitor": "mine"}
    study = load_study(TKI | own)
    assert study.parameters[study.mechanism.study_parameters.index("IC50_inhibitor")] == 3.0
    assert source_of(study, "inhibitors.mine.hill").origin == "library"
    changed = load_study(TKI | {"inhibitor": "osimertinib"}, ["inhibitors.osimertinib.IC50=7 nM"])
    assert source_of(changed, "inhibitors.osimertinib.IC50").value == 7.0


def test_a_slot_with_a_usual_entry_need_not_be_filled():
    study = load_study(BASE | {"modules": {"vesicles": True}})
    assert source_of(study, "vesicles.EV.diffusivity").value == 6.6
    slow = load_study(BASE | {"modules": {"vesicles": True}, "vesicles": {"EV": {"diffusivity": "1 um^2/s"}}})
    assert slow.diffusivity[slow.mechanism.field_names.index("vesicle")] == 1.0


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (TKI, "inhibitor: is missing, and none is dosed, but the module tki reads"),
        (TKI | {"inhibitor": "osimertinip"}, "there is no inhibitor 'osimertinip'; did you mean 'osimertinib'?"),
        (TKI | {"inhibitor": "osimertinib", "inhibitors": {"other": {"IC50": "1 nM"}},
                "schedule": [{"at": "0 h", "dose": {"other": "1 nM", "T-DXd": "1 nM"}}]}, "two of them in one study"),
        (TKI | {"inhibitor": "osimertinib", "inhibitors": {"osimertinib": {"IC5": "1 nM"}}},
         "inhibitors.osimertinib.IC5: unknown key; did you mean 'IC50'?"),
        (TKI | {"inhibitor": "osimertinib", "inhibitors": {"x": {"IC50": "1 um"}}}, "inhibitors.x.IC50"),
        (BASE | {"schedule": [{"at": "0 h", "dose": {"T-DXd": "1 nM", "osimertinib": "1 nM"}}]},
         "with the modules that are on, has no field dosed by an inhibitor"),
        (BASE | {"parameters": {"k_vesicle": "1e-6 / s"}},
         "parameters.k_vesicle: unknown parameter; it is one of the module vesicles; set modules.vesicles = true"),
        (BASE | {"modules": {"lactone": True}, "agent": "T-DM1", "schedule": []},
         "agents.T-DM1.payload.lactone.open.half_life"),
    ],
)  # fmt: skip
def test_a_slot_that_is_not_well_filled_is_refused(table, words):
    assert words in refusal(table)


def test_a_choice_that_nothing_reads_is_told_of():
    assert any(
        "inhibitor: no module" in warning for warning in load_study(BASE | {"inhibitor": "osimertinib"}).warnings
    )
    assert not any(
        "inhibitor: no module" in warning for warning in load_study(TKI | {"inhibitor": "osimertinib"}).warnings
    )


def test_fields_like_another_move_in_materials_as_that_one_does():
    gel = {"shape": "box", "material": "GelMA", "low": ["0 um"] * 3, "high": ["40 um", "60 um", "20 um"]}
    bath = {"volume": "1 uL", "permeability": {"adc": "1 um/s"}}
    study = load_study(BASE | {"modules": {"dar_species": True}, "scaffold": [gel], "bath": bath})
    material = next(item for item in study.geometry.materials if item.name == "GelMA")
    assert material.relative_diffusivity_of("adc_4") == material.relative_diffusivity_of("adc") == 0.3
    names = study.mechanism.field_names
    assert study.bath.permeability[names.index("adc_4")] == 1.0 and np.isinf(
        study.bath.permeability[names.index("payload")]
    )


def test_a_run_keeps_the_whole_of_a_mechanism_that_extends_another(tmp_path):
    """Without the file that it came from, and without modules to choose: the kept table is what they made together."""
    (tmp_path / "mine.toml").write_text(
        'extends = "adc"\nmodules = ["efflux"]\n[scale.reactions.cell]\nexit = "boost"\n'
        '[parameters]\nboost = { unit = "1", value = "2" }\n'
    )
    path = tmp_path / "study.toml"
    path.write_text(dump_toml(BASE | NO_PROTEASE | {"mechanism": "mine.toml", "duration": "2 min"}))
    simulate(path, tmp_path / "run", backend="numpy")
    (tmp_path / "mine.toml").unlink()
    kept = load_study(tmp_path / "run" / "study.toml")
    assert "efflux" in [reaction.name for reaction in kept.mechanism.reactions]
    assert kept.mechanism.modules == {} and kept.mechanism.left_out == ("protease",)
    assert open_run(tmp_path / "run").state == "finished"
    assert study_digest(kept) == json.loads((tmp_path / "run" / "manifest.json").read_text())["study_digest"]


@pytest.mark.parametrize("name", ["sacituzumab govitecan", "sac-TMT"])
def test_carbonates_release_as_much_whether_acid_is_told_apart_or_not(name):
    table = BASE | {"cells": [{"type": "HCC1806", "count": 2, "place": "medium"}]}
    table |= {"schedule": [{"at": "0 h", "dose": {name: "20 nM"}}], "solver": {"rtol": 1e-3}}
    plain, apart = (simulate(load_study(table | {"modules": {"acid_release": on, "released": True}})).cells
                    for on in (False, True))  # fmt: skip
    for each in ("payload_exposure", "released_inside"):
        np.testing.assert_allclose(apart[each], plain[each], rtol=1e-6)
    assert (apart["released_by_acid"] > 0.5 * apart["released_inside"]).all()
    stable = table | {"agents": {name: {"linker": {"k_cleave": "0 / s"}}}, "modules": {"released": True}}
    assert (simulate(load_study(stable)).cells["released_inside"] < 0.7 * plain["released_inside"]).all()


def test_a_study_is_told_of_values_that_nothing_reads():
    def told(name, value, **modules):
        table = BASE | {"modules": {"fate": True} | modules, "fates": {"tumour cells": {name: value}}}
        return [text for text in load_study(table).warnings if "so it has no effect" in text]

    assert told("persister", {"protection": 0.2}) == [
        "fates.tumour cells.persister.protection: no module of the mechanism that is on reads it, so it has no effect"
    ]
    assert told("death", {"lag": "10 h"}) == []
    own = {"T-DXd": {"payload": {"kill": {"KC50": "3 nM"}, "k_in": "0.01 / s", "molecular_weight": "500 g/mol"}}}
    said = [text for text in load_study(BASE | {"agents": own}).warnings if "so it has no effect" in text]
    assert said == ["agents.T-DXd.payload.kill.KC50: the mechanism 'adc' does not read it, so it has no effect"]

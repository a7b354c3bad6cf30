"""Designs of a study: shared geometry and cells, values by dotted key, and what a design cannot change."""

import copy

import pytest

from payloadfield.errors import StudyError
from payloadfield.study import load_designs, load_study, make_variants, read_variants

STUDY = {
    "duration": "1 h",
    "grid": {"size": ["60 um", "40 um", "50 um"], "voxel": "10 um"},
    "boundary": {"z_high": "bath"},
    "scaffold": [{"shape": "sphere", "centre": ["30 um", "20 um", "20 um"], "radius": "10 um", "material": "PCL"}],
    "cells": [{"type": "SK-BR-3", "count": 5, "place": "surface"}],
    "schedule": [{"at": "0 h", "dose": {"T-DXd": "50 nM"}}],
    "design": [
        {"name": "GGFG"},
        {"name": "cut outside", "set": {"agents.T-DXd.linker.kcat_over_km": "1e5 / M / s"}},
        {"name": "DAR 4", "set": {"agents.T-DXd.DAR": 4, "schedule[0].dose.T-DXd": "20 nM"}},
    ],
}


def with_designs(*designs):
    study = copy.deepcopy(STUDY)
    study["design"] = list(designs)
    return study


def value(study, name):
    names = [p.name for p in study.mechanism.parameters if p.per == "study"]
    return study.parameters[names.index(name)]


def test_each_design_is_the_study_with_its_own_values_and_no_others():
    plain, outside, dar = (each.study for each in load_designs(STUDY))
    assert value(outside, "kcat_over_km") == pytest.approx(1e-4)
    assert value(plain, "kcat_over_km") == value(dar, "kcat_over_km") == pytest.approx(1e-5)
    assert (value(plain, "DAR"), value(dar, "DAR")) == (8, 4)
    assert [max(each.schedule[0].dose.values()) for each in (plain, outside, dar)] == [50, 50, 20]
    assert [each.variant for each in (plain, outside, dar)] == ["GGFG", "cut outside", "DAR 4"]


def test_designs_share_one_geometry_and_the_very_same_cells():
    first, *others = (each.study for each in load_designs(STUDY))
    for other in others:
        assert other.geometry is first.geometry
        assert other.pockets is first.pockets
        assert other.cells is first.cells


def test_a_design_equals_the_study_loaded_alone_with_the_same_values():
    tables = copy.deepcopy(STUDY)
    tables.pop("design")
    alone = load_study(tables, ["agents.T-DXd.DAR=4", "schedule[0].dose.T-DXd=20 nM"])
    design = load_designs(STUDY)[2].study
    assert (design.parameters == alone.parameters).all()
    assert (design.cells.position == alone.cells.position).all()
    assert (design.geometry.open_fraction == alone.geometry.open_fraction).all()


def test_a_number_set_by_a_design_says_so():
    sources = {each.key: each for each in load_designs(STUDY)[1].study.sources}
    assert sources["agents.T-DXd.linker.kcat_over_km"].origin == "design"
    assert sources["agents.T-DXd.linker.k_dec"].origin == "library"


def test_the_effective_study_of_a_design_loads_to_the_same_numbers():
    design = load_designs(STUDY)[2].study
    again = load_study(dict(design.effective))
    assert (again.parameters == design.parameters).all()
    assert again.variant == "DAR 4"


def test_a_study_without_designs_is_one_design():
    tables = copy.deepcopy(STUDY)
    tables.pop("design")
    (only,) = load_designs(tables)
    assert only.name == "as given"


def test_set_on_the_command_line_counts_for_every_design_and_a_design_goes_first():
    designs = load_designs(STUDY, ["agents.T-DXd.DAR=6"])
    assert [value(each.study, "DAR") for each in designs] == [6, 6, 4]


def test_variants_can_be_given_in_place_of_the_listed_designs():
    made = make_variants(STUDY, {f"DAR {dar}": {"agents.T-DXd.DAR": dar} for dar in (2, 3)})
    assert [(each.name, value(each.study, "DAR")) for each in made] == [("DAR 2", 2), ("DAR 3", 3)]


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        ("grid.voxel", "5 um"),
        ("cells[0].count", 6),
        ("cells[0].place", "medium"),
        ("scaffold[0].radius", "12 um"),
        ("boundary.x", "periodic"),
        ("seed", 3),
        ("cell_types.SK-BR-3.volume", "9 pL"),
        ("materials.PCL.relative_diffusivity.payload", 0.5),
    ],
)
def test_a_design_that_changes_geometry_or_cells_is_refused(key, changed):
    with pytest.raises(StudyError, match="share geometry and") as refused:
        load_designs(with_designs({"name": "a"}, {"name": "b", "set": {key: changed}}))
    assert key.split(".")[-1].split("[")[0] in str(refused.value)


def test_two_designs_of_one_name_are_refused():
    with pytest.raises(StudyError, match=r"design\[1\].name: got 'a' a second time"):
        load_designs(with_designs({"name": "a"}, {"name": "a", "set": {"agents.T-DXd.DAR": 4}}))


def test_troubles_of_all_designs_are_told_at_once():
    wrong = [
        {"name": "first", "set": {"agents.T-DXd.linker.kcat_over_km": "4 um"}},
        {"name": "second", "set": {"agents.T-DXd.lnker.k_dec": "4 / h"}},
        {"name": "third", "set": {"cells[7].count": 3}},
    ]
    with pytest.raises(StudyError) as refused:
        load_designs(with_designs(*wrong))
    for part in ("4 um", "lnker", "there is no entry 7", "design 'first', agents", "design 'third', cells"):
        assert part in str(refused.value)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", 4])
def test_a_design_needs_a_printable_name(name):
    with pytest.raises(StudyError, match=r"design\[0\].name"):
        load_designs(with_designs({"name": name}))


def test_scenarios_and_designs_are_read_by_name():
    tables = {**copy.deepcopy(STUDY), "scenario": [{"name": "HER2-low", "set": {"cell_types.SK-BR-3.receptors": 2e4}}]}
    found = read_variants(tables)
    assert list(found["design"]) == ["GGFG", "cut outside", "DAR 4"]
    assert found["scenario"] == {"HER2-low": {"cell_types.SK-BR-3.receptors": 2e4}}
    assert read_variants({k: v for k, v in STUDY.items() if k != "design"})["design"] == {"as given": {}}

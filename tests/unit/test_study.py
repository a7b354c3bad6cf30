"""Loading a study: merge with the library, overrides, names of molecules, sources, and the effective study."""

import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from payloadfield.errors import StudyError
from payloadfield.geometry import SIDES
from payloadfield.study import Study, load_study

BASE: dict[str, Any] = {
    "title": "small",
    "duration": "2 h",
    "seed": 3,
    "grid": {"size": ["60 um", "80 um", "100 um"], "voxel": "20 um"},
    "boundary": {"z_high": "bath"},
    "cells": [
        {"type": "SK-BR-3", "count": 4, "place": "anywhere"},
        {"type": "MDA-MB-468", "count": 3, "place": "anywhere"},
    ],
    "schedule": [{"at": "0 h", "dose": {"T-DXd": "50 nM"}}, {"at": "1 h", "wash": 0.9}],
    "output": {"every": "30 min"},
}


def load(*overrides: str, **changes: Any) -> Study:
    return load_study({**BASE, **changes}, overrides)


def parameter(study: Study, name: str) -> float:
    return study.parameters[study.mechanism.study_parameters.index(name)]


def cell_parameter(study: Study, name: str, cell_type: str) -> np.ndarray:
    row = study.cell_parameters[study.mechanism.cell_parameters.index(name)]
    return row[study.cells.type_index == study.cells.type_names.index(cell_type)]


def origin(study: Study, key: str) -> str:
    return next(source.origin for source in study.sources if source.key == key)


def test_grid_sizes_are_x_y_z_in_the_file_and_z_y_x_inside() -> None:
    assert load().geometry.grid.shape == (5, 4, 3)


def test_every_value_of_the_library_arrives_in_internal_units() -> None:
    study = load()
    assert parameter(study, "DAR") == 8
    assert parameter(study, "kcat_over_km") == pytest.approx(1e-5)
    assert parameter(study, "k_dec") == 1.67e-8
    assert cell_parameter(study, "receptors", "SK-BR-3") == pytest.approx(1.12e6)
    assert cell_parameter(study, "receptors", "MDA-MB-468") == pytest.approx(1.06e4)
    assert cell_parameter(study, "volume", "SK-BR-3") == pytest.approx(3820)
    assert study.diffusivity[study.mechanism.field_names.index("payload")] == 580
    assert study.initial_states.shape == (len(study.mechanism.states), 7)
    receptor = study.initial_states[study.mechanism.state_names.index("receptor")]
    assert np.array_equal(receptor, study.cell_parameters[study.mechanism.cell_parameters.index("receptors")])


def test_a_cell_is_as_large_as_a_sphere_of_its_volume_unless_its_radius_is_given() -> None:
    assert load().cells.radius.max() == pytest.approx((3 * 3820 / (4 * math.pi)) ** (1 / 3))
    assert load("cell_types.SK-BR-3.radius=6 um").cells.radius.min() == 6


def test_an_override_reaches_the_array_and_is_named_as_the_origin() -> None:
    study = load("agents.T-DXd.linker.kcat_over_km=1e5 / M / s", "solver.rtol=1e-3", "grid.voxel=10 um")
    assert parameter(study, "kcat_over_km") == pytest.approx(1e-4)
    assert origin(study, "agents.T-DXd.linker.kcat_over_km") == "--set"
    assert origin(study, "agents.T-DXd.linker.k_dec") == "library"
    assert origin(study, "solver.rtol") == "--set"
    assert study.solver.rtol == 1e-3
    assert study.geometry.grid.shape == (10, 8, 6)


def test_overrides_match_names_with_dots_slashes_and_spaces_whole() -> None:
    agents = {"T-DXd v1.2": {"based_on": "T-DXd"}}
    schedule = [{"at": "0 h", "dose": {"T-DXd v1.2": "5 nM"}}]
    study = load("agents.T-DXd v1.2.linker.k_dec=1 / day", agents=agents, schedule=schedule)
    assert parameter(study, "k_dec") == pytest.approx(1 / 86400)
    cells = [{"type": "MCF7-neo/HER2", "count": 1, "place": "anywhere"}]
    study = load("cell_types.MCF7-neo/HER2.receptors=5", cells=cells)
    assert cell_parameter(study, "receptors", "MCF7-neo/HER2") == 5
    assert load("schedule.0.dose.T-DXd=7 nM").schedule[0].dose == {0: 7.0}


def test_a_study_table_wins_over_the_library_and_may_bring_its_source() -> None:
    given = {"value": 2, "unit": "pL", "low": 1, "high": 4, "grade": "measured", "citation": "us 2026", "note": "[R]"}
    study = load(cell_types={"SK-BR-3": {"volume": given}})
    source = next(each for each in study.sources if each.key == "cell_types.SK-BR-3.volume")
    assert (source.value, source.grade, source.citation, source.origin) == (2000, "measured", "us 2026", "study")


def test_a_new_agent_is_made_of_parts_and_a_derived_one_keeps_the_rest() -> None:
    agents = {"mine": {"antibody": "datopotamab", "linker": "SMCC", "payload": "MMAE", "DAR": 2}}
    study = load(agents=agents, schedule=[{"at": "0 h", "dose": {"mine": "1 nM"}}])
    assert parameter(study, "DAR") == 2
    assert parameter(study, "KD") == 0.74
    assert parameter(study, "k_in") == 0.00525
    assert any("TROP2" in warning for warning in study.warnings)  # SK-BR-3 has no number of it
    agents = {"stable": {"based_on": "sacituzumab govitecan", "linker": "SMCC"}}
    study = load(agents=agents, schedule=[{"at": "0 h", "dose": {"stable": "1 nM"}}])
    assert parameter(study, "DAR") == 7.6
    assert parameter(study, "k_dec") == 6.41e-7


def test_a_new_cell_type_takes_what_it_does_not_say_from_the_defaults() -> None:
    cells = [{"type": "organoid", "count": 2, "place": "anywhere"}]
    study = load(cells=cells, cell_types={"organoid": {"receptors": 5e4}})
    assert cell_parameter(study, "receptors", "organoid") == pytest.approx(5e4)
    assert cell_parameter(study, "volume", "organoid") == pytest.approx(2000)
    assert origin(study, "cell_types.organoid.volume") == "default"


def test_doses_name_the_conjugate_its_antibody_its_payload_or_a_field() -> None:
    doses = {"T-DXd": "1 nM", "trastuzumab": "2 nM", "DXd": "3 nM", "protease": "4 pM"}
    fields = load().mechanism.field_names
    dose = load(schedule=[{"at": "0 h", "dose": doses}]).schedule[0].dose
    assert {fields[index]: value for index, value in dose.items()} == pytest.approx(
        {"adc": 1, "antibody": 2, "payload": 3, "protease": 0.004}
    )
    alias = load(schedule=[{"at": "0 h", "dose": {"trastuzumab deruxtecan": "1 nM"}}]).schedule[0].dose
    assert alias == {fields.index("adc"): 1.0}


def test_a_dose_by_mass_is_converted_where_the_molar_mass_is_known() -> None:
    dose = load(schedule=[{"at": "0 h", "dose": {"T-DXd": "153.702 ng/mL"}}]).schedule[0].dose
    assert dose[0] == pytest.approx(1.0)
    agents = {"other": {"based_on": "T-DXd", "linker": "SMCC"}}  # its mass is another
    with pytest.raises(StudyError, match=r"molar mass .* agents\.other\.molecular_weight"):
        load(agents=agents, schedule=[{"at": "0 h", "dose": {"other": "1 ng/mL"}}])


def test_a_payload_can_be_dosed_alone_when_the_agent_is_named() -> None:
    study = load(agent="T-DXd", schedule=[{"at": "0 h", "dose": {"DXd": "3 nM"}}])
    assert list(study.schedule[0].dose) == [study.mechanism.field_names.index("payload")]


def test_the_bath_is_shared_by_the_construct() -> None:
    grid_volume = 60 * 80 * 100
    shared = load(bath={"volume": "500 uL", "copies": 10})
    assert shared.bath.volume == pytest.approx(5e10)
    by_size = load(bath={"volume": "500 uL", "construct": ["5 mm", "5 mm", "1 mm"]})
    assert by_size.bath.volume == pytest.approx(5e11 * grid_volume / 2.5e10)
    assert load().bath.volume == math.inf
    permeable = load(bath={"permeability": {"adc": "1e-3 um/s"}}).bath.permeability
    assert permeable is not None and permeable[0] == 1e-3 and permeable[1] == math.inf


def test_a_finite_bath_over_a_grid_that_repeats_is_told_of_unless_it_is_shared() -> None:
    sides = {"x": "periodic", "z_high": "bath"}
    share: list[dict[str, Any]] = [{"copies": 1}, {"construct": ["5 mm", "5 mm", "1 mm"]}]
    warned = load(boundary=sides, bath={"volume": "480 nL"}).warnings
    assert any("bath.volume" in each and "1e+03 times the volume of the grid" in each for each in warned)
    quiet = [load(boundary=sides, bath={"volume": "480 nL"} | each) for each in share]
    quiet += [load(boundary=sides), load(bath={"volume": "480 nL"})]
    assert not any("bath.volume" in each for study in quiet for each in study.warnings)


def test_boundaries_default_to_walls_and_name_sides() -> None:
    study = load(boundary={"x": "periodic", "z_high": "bath"})
    assert study.geometry.grid.periodic == (False, False, True)
    assert set(study.boundary) == set(SIDES)
    assert study.boundary["y_low"] == "wall"
    assert study.bath.sides == {"z_high"}


def test_outputs_run_from_the_start_to_the_end() -> None:
    assert load().output.times == (0.0, 1800.0, 3600.0, 5400.0, 7200.0)
    assert load(output={}).output.times == (0.0, 7200.0)
    assert load(output={"every": "50 min"}).output.times == (0.0, 3000.0, 6000.0, 7200.0)
    assert load(output={"times": ["1 h"]}).output.times == (0.0, 3600.0, 7200.0)
    assert load().output.fields == load().mechanism.field_names


def test_materials_give_a_number_for_every_field_by_name_or_class() -> None:
    scaffold = [{"shape": "box", "material": "GelMA", "low": ["0 um"] * 3, "high": ["40 um", "40 um", "40 um"]}]
    gel = load(scaffold=scaffold).geometry.materials[1]
    assert (gel.name, gel.kind) == ("GelMA", "gel")
    assert dict(gel.relative_diffusivity) == {"adc": 0.3, "antibody": 0.3, "payload": 0.9, "protease": 0.7}
    changed = load("materials.GelMA.relative_diffusivity=0.5", scaffold=scaffold).geometry.materials[1]
    assert set(changed.relative_diffusivity.values()) == {0.5}


def test_shapes_take_their_coordinates_in_the_order_of_the_file(tmp_path: Path) -> None:
    box = {"shape": "box", "material": "PCL", "low": ["0 um", "0 um", "0 um"], "high": ["60 um", "40 um", "20 um"]}
    closed = load(scaffold=[box]).geometry.open_fraction == 0
    assert closed[0, :2, :].all() and not closed[1:].any() and not closed[:, 2:].any()
    labels = np.zeros((5, 4, 3), np.uint8)
    labels[4] = 1
    np.save(tmp_path / "labels.npy", labels)
    array = {"shape": "array", "file": str(tmp_path / "labels.npy"), "labels": {"0": "untouched", "1": "PCL"}}
    assert (load(scaffold=[array], boundary={"z_low": "bath"}).geometry.open_fraction[4] == 0).all()
    for table in (
        {"shape": "sphere", "material": "PCL", "centre": ["30 um", "40 um", "50 um"], "radius": "25 um"},
        {"shape": "cylinder", "material": "PCL", "axis": "z", "centre": ["30 um", "40 um", "0 um"], "radius": "25 um"},
    ):
        geometry = load(scaffold=[table]).geometry
        assert geometry.open_fraction[2, 1, 1] < 0.5 < geometry.open_fraction[2, 0, 0]


def test_cells_come_from_a_file_with_their_types(tmp_path: Path) -> None:
    (tmp_path / "cells.csv").write_text("x_um,y_um,z_um,type\n30,30,30,SK-BR-3\n10,70,90,fibroblast\n")
    study = load(cells=[{"file": str(tmp_path / "cells.csv")}])
    assert study.cells.type_names == ("SK-BR-3", "fibroblast")
    assert study.cells.position[0].tolist() == [30.0, 30.0, 30.0]
    one = load(cells=[{"file": str(tmp_path / "cells.csv"), "type": "SKBR3"}])
    assert one.cells.n_cells == 1 and any("only the cells of type" in warning for warning in one.warnings)


def test_variation_multiplies_one_parameter_by_a_factor_of_each_cell() -> None:
    cells = [{"type": "SK-BR-3", "count": 40, "place": "anywhere", "variation": {"receptors": 0.3}}]
    study = load(cells=cells)
    values = cell_parameter(study, "receptors", "SK-BR-3")
    assert values.std() > 0 and values == pytest.approx(1.12e6 * study.cells.variation["receptors"])
    assert cell_parameter(study, "volume", "SK-BR-3").std() == 0


def test_initial_values_are_concentrations_and_expressions_of_parameters() -> None:
    initial = {
        "fields": {"adc": "5 nM"},
        "states": {"complex": "receptors / 2", "receptor": "0"},
        "bath": {"DXd": "1 nM"},
    }
    study = load(initial=initial)
    states = dict(zip(study.mechanism.state_names, study.initial_states, strict=True))
    assert states["complex"] == pytest.approx(study.cell_parameters[0] / 2)
    assert not states["receptor"].any()
    assert study.initial_fields[0] == 5
    assert study.initial_bath[study.mechanism.field_names.index("payload")] == 1


def test_nothing_of_a_study_can_be_written_to() -> None:
    study = load()
    for array in (study.parameters, study.cell_parameters, study.initial_states, study.diffusivity):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(AttributeError):
        study.duration = 1.0  # type: ignore[misc]


def test_every_parameter_has_a_source_and_scales_are_not_counted_as_inputs() -> None:
    study = load()
    keys = {source.key for source in study.sources}
    assert {"agents.T-DXd.linker.k_dec", "cell_types.SK-BR-3.receptors", "protease.k_loss", "grid.voxel"} <= keys
    for item in study.mechanism.parameters:
        path = (item.source or f"parameters.{item.name}").replace("agent.", "agents.T-DXd.")
        assert path.replace("cell_type.", "cell_types.MDA-MB-468.") in keys
    assert all(source.grade == "scale" for source in study.sources if source.key.endswith("_scale"))
    assert study.n_assumed > 0
    assert any(f"{study.n_assumed} of" in warning for warning in study.warnings)


def test_a_recalled_number_says_so_wherever_it_is_shown() -> None:
    study = load(cells=[{"type": "JIMT-1", "count": 1, "place": "anywhere"}])
    grades = {source.key: source.grade for source in study.sources}
    assert grades["cell_types.JIMT-1.receptors"] == "estimated (recalled, not re-read)"


def test_trafficking_rates_of_two_sources_are_warned_about() -> None:
    study = load("cell_types.SK-BR-3.trafficking.k_deg=1e-5 / s")
    assert any("belong together" in warning for warning in study.warnings)
    rates = [f"cell_types.SK-BR-3.trafficking.{name}=1e-5 / s" for name in ("k_endo", "k_rec", "k_deg")]
    assert not any("belong together" in warning for warning in load(*rates).warnings)


def same(first: Study, second: Study) -> None:
    for name in ("parameters", "cell_parameters", "initial_fields", "initial_states", "initial_bath", "diffusivity"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    for name in ("typical_fields", "typical_states"):
        assert np.array_equal(getattr(first, name), getattr(second, name), equal_nan=True), name
    for name in ("title", "duration", "seed", "schedule", "solver", "output", "warnings", "effective"):
        assert getattr(first, name) == getattr(second, name), name
    assert dict(first.boundary) == dict(second.boundary)
    assert (first.bath.volume, first.bath.sides) == (second.bath.volume, second.bath.sides)
    assert np.array_equal(first.geometry.open_fraction, second.geometry.open_fraction)
    assert np.array_equal(first.cells.position, second.cells.position)
    facts = [source for source in first.sources if source.grade != "setting"]
    assert facts == [source for source in second.sources if source.grade != "setting"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"agents": {"x.1": {"based_on": "T-DXd", "linker": "SMCC", "payload": {"k_in": "1 / h"}}}, "agent": "x.1",
         "schedule": [{"at": "1 h", "dose": {"x.1": "1 nM"}}]},
        {"bath": {"volume": "1 mL", "copies": 7.5, "permeability": {"adc": "1e-3 um/s"}}},
        {"scaffold": [{"shape": "woodpile", "material": "alginate", "strand_diameter": "20 um",
                       "strand_spacing": "40 um", "layer_height": "20 um", "offset": ["1 um", "-2 um", "3 um"]}]},
        {"initial": {"fields": {"adc": "5 nM"}, "states": {"complex": "receptors / 3"}}},
        {"design": [{"name": "a", "set": {"agents.T-DXd.DAR": 4}}], "protease": {"k_loss": "1e-3 / s"}},
        {"parameters": {"k_dec": "0.1 / h", "KD": "3 nM"}, "materials": {"medium": {"accessible_fraction": 0.9}}},
    ],
)  # fmt: skip
def test_the_effective_study_loads_to_the_same_study(changes: dict[str, Any]) -> None:
    from payloadfield.toml_text import dump_toml

    first = load("cell_types.SK-BR-3.receptors=2e5", **changes)
    second = load_study(tomllib.loads(dump_toml(first.effective)))
    same(first, second)


def test_loading_twice_gives_the_same_study() -> None:
    same(load(), load())


def test_paths_are_relative_to_the_study_and_full_in_the_effective_one(tmp_path: Path) -> None:
    (tmp_path / "cells.csv").write_text("x_um,y_um,z_um,type\n30,30,30,SK-BR-3\n")
    (tmp_path / "study.toml").write_text(
        'duration = "1 h"\nagent = "T-DXd"\n[grid]\nsize = ["60 um", "60 um", "60 um"]\nvoxel = "20 um"\n'
        '[[cells]]\nfile = "cells.csv"\n'
    )
    study = load_study(tmp_path / "study.toml")
    assert study.effective["cells"][0]["file"] == str(tmp_path / "cells.csv")


def test_a_mechanism_of_the_users_own_reads_its_parameters_from_the_study(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(
        '[moieties]\nsolute = {}\n[parameters]\nD = { unit = "um^2/s", from = "parameters.D" }\n'
        'k = { unit = "1/s", from = "agent.linker.k_new", value = "1 / h" }\n'
        '[fields.solute]\ncontains = { solute = 1 }\ndiffusivity = "D"\n'
        "[accumulators.lost]\ncontains = { solute = 1 }\n"
        '[reactions.voxel]\ndecay = { equation = "solute -> lost", rate = "k * solute" }\n'
    )
    (tmp_path / "study.toml").write_text(
        'duration = "1 h"\nmechanism = "m.toml"\n[grid]\nsize = ["60 um", "60 um", "60 um"]\nvoxel = "20 um"\n'
        '[boundary]\nx_low = "bath"\n[parameters]\nD = "50 um^2/s"\n[[schedule]]\nat = "0 s"\n'
        'dose = { solute = "1 uM" }\n'
    )
    study = load_study(tmp_path / "study.toml")
    assert study.parameters.tolist() == [50.0, pytest.approx(1 / 3600)]
    assert study.schedule[0].dose == {0: 1000.0}
    assert study.cells.n_cells == 0
    assert study.effective["mechanism"] == str(tmp_path / "m.toml")


def test_a_wash_of_nothing_may_be_said_and_changes_nothing() -> None:
    with pytest.raises(StudyError, match="neither dose nor curve nor wash"):
        load(schedule=[*BASE["schedule"][:1], {"at": "1 h"}])
    study = load(schedule=[*BASE["schedule"][:1], {"at": "1 h", "wash": 0}])
    again = load_study(dict(study.effective))
    assert [event.wash for event in study.schedule] == [event.wash for event in again.schedule] == [0, 0]
    assert not study.schedule[1].dose and not study.schedule[1].curve

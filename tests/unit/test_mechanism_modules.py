"""Modules of a mechanism: composition, choice, extension by files of one's own, and refusals."""

import re
import tomllib
from pathlib import Path

import pytest
from tests.mechanism_oracle import ADC, Point

from payloadfield.errors import MechanismError, StudyError
from payloadfield.mechanism import find_modules, generate, load_mechanism
from payloadfield.study import load_study
from payloadfield.toml_text import dump_toml

ONE_FILE = Path(__file__).parents[1] / "mechanisms" / "adc_as_one_file.toml"
BOX = {
    "duration": "1 h",
    "grid": {"size": ["40 um"] * 3, "voxel": "20 um"},
    "boundary": {"z_high": "bath"},
    "agent": "T-DXd",
}


def write(folder, text):
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def body(source):
    """Generated code without the lines that name the file."""
    return [line for line in source.splitlines() if "sha256" not in line and "Mechanism '" not in line]


@pytest.mark.parametrize("target", ["numpy", "numba", "cuda"])
def test_the_default_modules_generate_the_code_of_the_mechanism_in_one_file(tmp_path, target):
    composed, tables = load_mechanism("adc"), tomllib.loads(ONE_FILE.read_text())
    ordered = {item.name: tables["parameters"][item.name] for item in composed.parameters}  # places in p only
    assert len(ordered) == len(tables["parameters"])
    single = load_mechanism(write(tmp_path, dump_toml({**tables, "parameters": ordered})))
    assert body(generate(composed, target).source) == body(generate(single, target).source)
    changed = dump_toml({**tables, "parameters": ordered}).replace(
        "k_out * payload_cytosol", "2 * k_out * payload_cytosol"
    )
    assert body(generate(composed, target).source) != body(
        generate(load_mechanism(write(tmp_path, changed)), target).source
    )


def test_the_default_modules_give_the_rates_of_the_mechanism_in_one_file_bit_for_bit():
    composed, single = Point(load_mechanism("adc"), ADC | SCALES), Point(load_mechanism(ONE_FILE), ADC | SCALES)
    order = [single.mechanism.cell_parameters.index(name) for name in composed.mechanism.cell_parameters]
    composed.cp[:] = single.cp[order]
    for point in (composed, single):
        shape = point.states.shape[0], len(point.voxel)
        point.d_states, point.source = point.states * 0, point.fields[:, point.voxel] * 0
        assert shape[0] == len(point.mechanism.states)
        generate(point.mechanism, "numpy").module.cell_rates(*point.cells, point.d_states, point.source)
    assert (composed.d_states == single.d_states).all() and (composed.source == single.source).all()
    assert composed.d_states.any() and composed.source.any()


SCALES = {"dose_scale": 10.0, "payload_scale": 1.0, "protease_scale": 0.1, "exposure_scale": 36000.0}


def test_a_module_that_is_off_leaves_no_trace():
    found = load_mechanism("adc", {"protease": False, "extracellular_cleavage": False})
    assert found.field_names == ("adc", "antibody", "payload")
    assert not any("protease" in parameter.name for parameter in found.parameters)
    assert "protease" not in found.source_text.replace("extracellular protease", "")


def test_an_entry_depends_on_other_modules_by_when_and_unless():
    names = lambda found: {reaction.name for reaction in found.reactions}  # noqa: E731
    off = {"naked_antibody": False, "extracellular_cleavage": False}
    assert "lysosomal_cleavage" in names(load_mechanism("adc"))
    assert "endosomal_cleavage" not in names(load_mechanism("adc"))
    assert "endosomal_cleavage" in names(load_mechanism("adc", off))
    assert "lysosomal_cleavage" not in names(load_mechanism("adc", off))


def test_the_composed_text_loads_alone_to_the_same_mechanism(tmp_path):
    composed = load_mechanism("adc", {"extracellular_cleavage": False, "protease": False})
    alone = load_mechanism(write(tmp_path, composed.source_text))
    assert alone.digest == composed.digest
    assert body(generate(alone, "numpy").source) == body(generate(composed, "numpy").source)


OWN = """
extends = "adc"
doc = "antigen synthesis halved, and a tracer"
[definitions]
inside = { expression = "payload_cytosol / (volume * N_A)", doc = "free concentration in the cytosol" }
[parameters]
half = { unit = "1", value = "0.5" }
k_tag = { unit = "1/s", value = "1e-3 / s" }
[fields.tag]
diffusivity = "D_payload"
[reactions.cell]
tagging = { equation = "-> tag", rate = "k_tag * inside * volume * N_A" }
[scale.reactions.cell]
receptor_synthesis = "half"
binding_back = "half"
exit = { factor = "half", when = "protease" }
entry = { factor = "half", unless = "protease" }
"""


def test_a_file_of_ones_own_extends_a_built_in_mechanism(tmp_path):
    found = load_mechanism(write(tmp_path, OWN))
    rates = {reaction.name: str(reaction.rate) for reaction in found.reactions}
    assert found.name == "mine" and found.field_names == ("adc", "antibody", "payload", "protease", "tag")
    assert rates["receptor_synthesis"].endswith("* half") and rates["binding_back"].endswith("* half")
    assert rates["exit"].endswith("* half") and not rates["entry"].endswith("half")
    assert "payload_cytosol / (volume * N_A)" in rates["tagging"]
    assert found.origin["fields", "tag"] == "mine" and found.origin["fields", "adc"] == ""


def test_a_file_of_ones_own_turns_modules_of_what_it_extends_on_and_a_study_has_the_last_word(tmp_path):
    path = write(tmp_path, 'modules = ["protease"]\n' + OWN)
    assert load_mechanism(path).modules["protease"] is True
    off = load_mechanism(path, {"protease": False, "extracellular_cleavage": False})
    assert "protease" not in off.field_names


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[fields.tag]", "[fields.adc]", "mine.toml, fields.adc: is declared in adc.toml already"),
        ("receptor_synthesis =", "receptor_synthesi =", "to scale; did you mean 'receptor_synthesis'"),
        ('extends = "adc"', 'extends = "acd"', "did you mean 'adc'"),
        ('extends = "adc"', 'extends = "adc"\nmodules = ["efluxx"]', "unknown module"),
        ('extends = "adc"', 'extends = "adc"\nmodules = "protease"', "a list of names is needed"),
        ('when = "protease"', 'when = "proteas"', "'proteas' is no module; did you mean 'protease'"),
        ('when = "protease"', "when = 3", "the name of a module"),
        ('factor = "half", when', 'factor = 2, when', "an expression is needed"),
        ('factor = "half", when', 'factor = "half", wen = "", when', "unknown key"),
        ('receptor_synthesis = "half"', 'receptor_synthesis = "k_tag"', "molecules/s is needed"),
        ("[scale.reactions.cell]", "[scale.states]", "scale.states: cannot be scaled"),
        ('expression = "payload_cytosol / (volume * N_A)"', 'expression = "inside * half"', "in a circle"),
        ("inside = {", "half = {", "definitions.half: the name is taken by one of parameters"),
        ("inside = {", '"in side" = {', "'in side' is no name for a part of expressions"),
        ("inside = {", "exp = {", "'exp' is no name for a part of expressions"),
        ("[definitions]", "definitions = 3\n[accumulators]", "mine.toml, definitions: got 3; only tables"),
        ("diffusivity =", "after = 3\ndiffusivity =", "mine.toml, fields.tag.after: got 3; a name is needed"),
        ('extends = "adc"', 'modules = ["efflux"]', "modules: has no meaning without extends"),
        ('inside = { expression', "inside = { expressio", "an expression, or a table of expression and doc"),
    ],
)  # fmt: skip
def test_an_extension_that_does_not_fit_is_refused_with_its_place(tmp_path, old, new, reason):
    assert old in OWN
    with pytest.raises(MechanismError) as refusal:
        load_mechanism(write(tmp_path, OWN.replace(old, new)))
    assert reason in str(refusal.value)


def refusal_of(modules):
    with pytest.raises(StudyError) as refusal:
        load_study(BOX | {"modules": modules})
    return str(refusal.value)


def test_everything_wrong_with_a_choice_of_modules_is_said_at_once():
    said = refusal_of({"protease": False, "traficking": True, "trafficking": False})
    assert "modules.traficking: unknown module; did you mean 'trafficking'" in said
    assert (
        "modules.extracellular_cleavage: needs the module 'protease', which is turned off; set modules.protease = true"
        in said
    )
    assert "modules.payload_release: needs the module 'trafficking', which is turned off" in said


def test_a_setting_that_is_neither_true_nor_false_is_refused():
    assert "modules.protease: got 3; true or false is needed" in refusal_of({"protease": 3})
    assert "modules.protease: got 'maybe'; allowed: true, false" in refusal_of({"protease": "maybe"})


def test_modules_that_are_not_there_for_a_mechanism_in_one_file_are_refused():
    with pytest.raises(StudyError, match=r"modules\.protease: unknown module; known: none"):
        load_study(BOX | {"mechanism": str(ONE_FILE), "modules": {"protease": False}})


def test_a_study_keeps_its_modules_in_its_effective_form_and_takes_them_from_set():
    study = load_study(BOX, ["modules.extracellular_cleavage=false"])
    assert study.effective["modules"]["extracellular_cleavage"] is False
    assert study.effective["modules"]["trafficking"] is True
    again = load_study(study.effective)
    assert again.mechanism.digest == study.mechanism.digest != load_study(BOX).mechanism.digest


def test_every_module_says_what_it_is_and_needs_only_what_is_there():
    found = find_modules("adc")
    for module in found.values():
        assert module.doc and set(module.needs) | set(module.excludes) <= set(found), module.name


PAGE = (Path(__file__).parents[2] / "docs" / "mechanisms.md").read_text(encoding="utf-8")


def test_the_page_lists_every_module_and_whether_it_is_on():
    table = PAGE.split("## Modules of `adc`")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    on_page = {name: row[1] == "yes" for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert on_page == {module.name: module.is_default for module in find_modules("adc").values()}


def test_the_example_of_a_file_of_ones_own_is_read(tmp_path):
    text = next(block for block in re.findall(r"```toml\n(.*?)```", PAGE, re.S) if "extends" in block)
    found = load_mechanism(write(tmp_path, text))
    rates = {reaction.name: str(reaction.rate) for reaction in found.reactions}
    assert rates["capture"] == "k_stick * payload" and rates["exit"].endswith("boost")
    assert str(next(item.diffusivity for item in found.fields if item.name == "payload")) == "D_payload * (1.0 / boost)"

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import STUDY


def as_json(outcome):
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out, parse_constant=pytest.fail)


def test_check_shows_values_sources_geometry_and_cost(call):
    shown = call("check", STUDY).out
    for words in ("k_endo", "Scheuher et al. 2023", "porosity", "6 SK-BR-3, 4 fibroblast", "of memory", "at 6 h"):
        assert words in shown


def test_check_counts_what_the_geometry_says(call):
    facts = as_json(call("check", STUDY, "--json"))
    assert facts["geometry"]["voxels_xyz"] == [4, 3, 5]
    assert facts["geometry"]["n_open"] == 4 * 3 * 4  # the box covers one layer and a quarter of the next
    assert facts["geometry"]["porosity"] == pytest.approx(0.75)
    assert facts["geometry"]["n_pockets"] == 1
    assert facts["cells"] == {"SK-BR-3": 6, "fibroblast": 4}
    assert facts["estimate"]["memory"] > 0 and facts["estimate"]["n_steps"] > 10
    assert {source["grade"] for source in facts["sources"]} >= {"measured", "assumed"}


def test_check_says_that_surfaces_of_gels_follow_voxels(call):
    gel = call("check", STUDY, "--set", "scaffold.0.material=collagen")
    assert "Gel surfaces (collagen) follow voxels: first order" in gel.out
    assert "Gel surfaces" not in call("check", STUDY).out


def test_check_applies_overrides(call):
    facts = as_json(call("check", STUDY, "--set", "agents.T-DXd.linker.k_dec=1e-6 / s", "--json"))
    changed = [source for source in facts["sources"] if source["key"].endswith("linker.k_dec")]
    assert [(item["value"], item["origin"]) for item in changed] == [(1e-6, "--set")]


def test_library_list_and_show(call):
    names = {entry["name"] for entry in as_json(call("library", "list", "--json"))}
    assert {"T-DXd", "SK-BR-3", "PCL"} <= names
    shown = call("library", "show", "T-DXd").out
    assert "Nagai et al. 2019" in shown and "are assumed" in shown
    rows = as_json(call("library", "show", "T-DXd", "--json"))["rows"]
    assert {row["path"]: row["value"] for row in rows}["DAR"] == 8


def test_an_unknown_entry_names_the_nearest(call):
    outcome = call("library", "show", "T-DXD2")
    assert outcome.code == 1
    assert "did you mean" in outcome.err and "T-DXd" in outcome.err


def test_mechanism_show_prints_reactions_and_generated_code(call):
    facts = as_json(call("mechanism", "show", "adc", "--json"))
    assert facts["moieties"] == ["payload", "antibody"]
    assert "binding" in {reaction["name"] for reaction in facts["reactions"]}
    table = call("mechanism", "show", "adc").out
    assert "adc + receptor -> complex" in table and "Order of the fields" in table
    source = call("mechanism", "show", "adc", "--target", "numpy").out
    assert "def cell_rates(" in source
    compile(source, "generated", "exec")


def test_mechanism_show_prints_transitions_between_fates(call):
    facts = as_json(call("mechanism", "show", "adc", "--module", "fate=sampled", "--json"))
    ways = {item["name"]: (item["from"], item["to"], item["hazard"]) for item in facts["transitions"]}
    assert facts["fates"] == "sampled" and ways["dying"] == ("damaged", "dead", "1.0 / death_lag")
    assert "Transitions" not in call("mechanism", "show", "adc").out


def test_mechanism_show_takes_a_file(call, tmp_path):
    path = tmp_path / "decay.toml"
    path.write_text(
        'name = "decay"\n[moieties]\ndrug = {}\n[parameters.k]\nunit = "1/s"\nper = "study"\nvalue = "1e-3 / s"\n'
        '[parameters.D]\nunit = "um^2/s"\nper = "study"\nvalue = "10 um^2/s"\n'
        '[fields.drug]\ncontains = { drug = 1 }\ndiffusivity = "D"\n[accumulators.gone]\ncontains = { drug = 1 }\n'
        '[reactions.voxel]\ndecay = { equation = "drug -> gone", rate = "k * drug" }\n'
    )
    assert "drug -> gone" in call("mechanism", "show", path).out


def test_devices_says_why_each_backend_is_usable_or_not(call):
    found = {item["backend"]: item for item in as_json(call("devices", "--json"))["backends"]}
    assert found["numpy"]["is_usable"] and found["numba"]["is_usable"]
    assert found["cupy"]["reason"].startswith("CuPy is ")
    assert "numba" in call("devices").out


def test_seeds_can_be_listed_shown_and_copied(call, tmp_path):
    names = [item["name"] for item in as_json(call("seeds", "list", "--json"))]
    assert "t-dxd-scaffold" in names
    assert "duration" in call("seeds", "show", "t-dxd-scaffold").out
    outcome = call("seeds", "copy", "t-dxd-scaffold", tmp_path / "mine")
    assert outcome.code == 0 and (tmp_path / "mine/study.toml").is_file()
    again = call("seeds", "copy", "t-dxd-scaffold", tmp_path / "mine")
    assert again.code == 1 and "exists already" in again.err


def test_a_console_without_our_letters_shows_what_it_can(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "payloadfield", "check", STUDY, "--set", 'title="Größe"']
    done = subprocess.run(command, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"Gr??e") and done.stdout.isascii()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_written_is_said_in_one_line():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "payloadfield", "library", "list"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: the output: No space left on device") and "Traceback" not in done.stderr

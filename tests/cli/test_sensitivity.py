"""Assumed numbers that drive a result are named where a run ends, and by `check --sensitivity`."""

import json

STUDY = """
duration = "2 h"
[grid]
size = ["40 um", "40 um", "40 um"]
voxel = "20 um"
[boundary]
z_high = "bath"
[[cells]]
type = "SK-BR-3"
count = 1
place = "medium"
[[schedule]]
at = "0 h"
dose = { "T-DXd" = "10 nM", DXd = "10 nM" }
"""
NAME = "agents.T-DXd.payload.fraction_unbound"


def test_a_run_names_them_and_check_shows_them(call, tmp_path):
    path, out = tmp_path / "study.toml", tmp_path / "run"
    path.write_text(STUDY)
    done = call("run", path, "-o", out, "-q")
    assert done.code == 0 and f"{NAME} = 1: at 0.2" in done.out
    assert "k_decay = " not in done.out
    kept = [each["key"] for each in json.loads((out / "drivers.json").read_text())]
    assert [each["key"] for each in json.loads(call("info", out, "--json").out)["drivers"]] == kept
    assert "What assumed numbers do" in call("check", path, "--sensitivity").out


def test_a_study_may_do_without(call, tmp_path):
    path, out = tmp_path / "study.toml", tmp_path / "run"
    path.write_text(STUDY)
    done = call("run", path, "-o", out, "-q", "--set", "output.sensitivity=false")
    assert done.code == 0 and "Assumed numbers" not in done.out and not (out / "drivers.json").exists()


def test_check_tells_of_curves(call, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY + 'curve = { antibody = { half_lives = ["1 h"], peak = "1 nM" } }\n')
    assert "antibody in the bath follows a curve" in call("check", path).out

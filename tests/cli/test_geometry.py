from __future__ import annotations

import json

import pytest

STUDY = """
duration = "2 h"
title = "a gyroid"
[grid]
size = ["60 um", "60 um", "60 um"]
voxel = "5 um"
[boundary]
x = "periodic"
y = "periodic"
z_high = "bath"
[[scaffold]]
shape = "gyroid"
cell = "60 um"
porosity = 0.7
material = "PCL"
[[schedule]]
at = "0 h"
dose = { "T-DXd" = "50 nM" }
"""


@pytest.fixture
def gyroid(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def test_measures_are_printed_as_json(gyroid, call):
    outcome = call("geometry", "measure", gyroid, "--json")
    assert outcome.code == 0
    facts = json.loads(outcome.out)
    assert facts["porosity"] == pytest.approx(0.7, abs=0.03)
    assert facts["porosity_open"] + facts["porosity_closed"] == pytest.approx(facts["porosity"])
    assert facts["pore_size"]["p10"] <= facts["pore_size"]["p50"] <= facts["pore_size"]["largest"]
    assert facts["diffusion"]["field"] == "adc"
    for axis in "xyz":
        assert 1 < facts["diffusion"][axis]["tortuosity"] < 3


def test_measures_are_shown_to_people(gyroid, call):
    outcome = call("geometry", "measure", gyroid, "--field", "payload")
    assert outcome.code == 0
    for words in ("a gyroid", "porosity", "pore size", "strut thickness", "Diffusion of payload", "tortuosity"):
        assert words in outcome.out


def test_diffusion_can_be_left_out(gyroid, call):
    assert json.loads(call("geometry", "measure", gyroid, "--no-diffusion", "--json").out)["diffusion"] is None
    assert "tortuosity" not in call("geometry", "measure", gyroid, "--no-diffusion").out


def test_what_cannot_be_measured_is_refused(gyroid, call, tmp_path):
    assert call("geometry", "measure", tmp_path / "no.toml").code == 1
    outcome = call("geometry", "measure", gyroid, "--field", "water")
    assert outcome.code == 2 and "there are: adc" in outcome.err
    outcome = call("geometry", "measure", gyroid, "--set", "scaffold.0.porosity=2")
    assert outcome.code == 1 and outcome.err.startswith("Error:")

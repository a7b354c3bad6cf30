"""What a run says about its inputs and about going on, in the words that users read."""

from __future__ import annotations

import json
import re

import pytest
from tests.cli.conftest import STUDY

import payloadfield
from payloadfield.library import GRADES, count_grades
from payloadfield.store import layout


def test_recalled_inputs_count_with_their_grade_and_settings_do_not():
    recalled = [f"{grade} (recalled, not re-read)" for grade in ("assumed", "measured")]
    found = count_grades(["assumed", *recalled, "setting", "scale"])
    assert found == {"measured": 1, "fitted": 0, "estimated": 0, "assumed": 2}


def test_check_the_summary_and_the_study_count_the_same_inputs_by_grade(call, tmp_path):
    override, directory = "cells[1].type=JIMT-1", tmp_path / "run"
    short = ("--backend", "numpy", "--until", "30 min", "-q")
    assert call("run", STUDY, "-o", directory, "--set", override, *short).code == 0
    study = payloadfield.load_study(STUDY, [override])
    checked = json.loads(call("check", STUDY, "--set", override, "--json").out)
    kept = [source["grade"] for source in checked["sources"]]
    told = json.loads(call("info", directory, "--json").out)
    assert told["inputs_by_grade"] == {grade: sum(each.startswith(grade) for each in kept) for grade in GRADES}
    assert told["n_assumed"] == study.n_assumed == told["inputs_by_grade"]["assumed"]
    assert f"{study.n_assumed} of {told['n_inputs']} inputs are assumed" in " ".join(checked["warnings"])
    assert any("recalled" in grade for grade in kept)
    shown = " ".join(call("info", directory).out.split())
    assert ", ".join(f"{amount} {grade}" for grade, amount in told["inputs_by_grade"].items()) in shown
    assert "rather than measured" not in shown


def test_a_run_whose_balance_does_not_close_is_not_to_be_trusted(call, own_run):
    assert "Do not trust" not in call("info", own_run).out
    path = own_run / layout.MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "largest_defect": 1e-3}))
    assert "Do not trust this run: a balance does not close, by 1.0e-03" in call("info", own_run).out


@pytest.mark.parametrize(("defect", "is_trusted"), [(3e-5, True), (3e-3, False)])
def test_the_balance_of_a_state_in_single_precision_is_told_and_believed_up_to_its_rounding(
    defect, is_trusted, call, own_run
):
    path = own_run / layout.MANIFEST
    changes = {"largest_defect": defect, "precision": "float32", "notes": ["something to know"]}
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    shown = " ".join(call("info", own_run).out.split())
    assert ("Do not trust" not in shown) == is_trusted and f"{defect:.1e} of its amount" in shown
    assert ("The state is in single precision: each balance closes to" in shown) == is_trusted
    assert "Note: something to know" in shown


def test_the_help_of_resume_claims_what_holds(call):
    page = re.sub(r"\s+", " ", call("resume", "--help").out)
    assert "After an interruption or a kill the result is the same, bit for bit" in page
    assert "at another time the last step was cut short" in page and "to the tolerance of the solver" in page


@pytest.mark.parametrize(("until", "is_same"), [("4 h", True), ("4.3 h", False)])
def test_a_run_stopped_at_an_output_goes_on_bit_for_bit_and_elsewhere_to_the_tolerance(
    until, is_same, call, shared_run, tmp_path
):
    assert call("run", STUDY, "-o", tmp_path / "run", "--backend", "numpy", "--until", until, "-q").code == 0
    assert call("resume", tmp_path / "run", "-q").code == 0
    whole, halves = (payloadfield.open_run(path).cells["payload_exposure"] for path in (shared_run, tmp_path / "run"))
    assert (whole.tobytes() == halves.tobytes()) == is_same
    assert abs(whole - halves).max() <= 1e-3 * whole.max()

"""The cases of a comparison, and running them."""

import copy

import numpy as np
import pytest

from payloadfield.compare.cases import make_cases, slug
from payloadfield.compare.running import run_cases
from payloadfield.errors import RunError, StudyError
from payloadfield.store.interrupt import StopRequest
from payloadfield.store.reader import open_run
from payloadfield.store.runner import Observer

STUDY = {
    "title": "small",
    "duration": "20 min",
    "grid": {"size": ["60 um", "40 um", "50 um"], "voxel": "10 um"},
    "boundary": {"z_high": "bath"},
    "cells": [{"type": "SK-BR-3", "count": 5, "place": "medium"}],
    "schedule": [{"at": "0 h", "dose": {"T-DXd": "50 nM"}}, {"at": "10 min", "dose": {"T-DXd": "10 nM"}, "wash": 1.0}],
    "scenario": [{"name": "plain"}, {"name": "low", "set": {"cell_types.SK-BR-3.receptors": 20000}}],
    "design": [{"name": "A"}, {"name": "B", "set": {"agents.T-DXd.DAR": 4, "schedule[0].dose.T-DXd": "20 nM"}}],
}


class StopAfter(Observer):
    """Asks for a stop after so many steps."""

    def __init__(self, stop, steps):
        self.stop, self.left = stop, steps

    def step(self, sim, record):
        self.left -= 1
        self.stop.is_set = self.left <= 0


def doses(case):
    return [max(event.dose.values()) for event in case.study.schedule]


def exposures(folder):
    return open_run(folder).cells["payload_exposure"]


def test_cases_are_every_scenario_with_every_design_at_every_dose():
    cases = make_cases(STUDY, dose_factors=[10.0, 0.1])
    names = [(case.scenario, case.design, case.dose_factor) for case in cases]
    assert names == [(s, d, f) for s in ("plain", "low") for d in "AB" for f in (0.1, 1.0, 10.0)]
    assert len({case.folder for case in cases}) == 12
    assert all(case.study.cells is cases[0].study.cells for case in cases)


def test_a_dose_factor_multiplies_every_dose_also_one_that_the_design_sets():
    cases = make_cases(STUDY, dose_factors=[0.1])
    assert [doses(case) for case in cases[:4]] == [pytest.approx(d) for d in ([5, 1], [50, 10], [2, 1], [20, 10])]


@pytest.mark.parametrize("factor", [0.0, -1.0, np.inf, np.nan])
def test_a_dose_factor_that_is_none_is_refused(factor):
    with pytest.raises(StudyError, match="factors above 0 are needed"):
        make_cases(STUDY, dose_factors=[factor])


def test_too_many_cases_are_refused_before_anything_is_made():
    many = {**copy.deepcopy(STUDY), "design": [{"name": f"d{k}"} for k in range(501)]}
    with pytest.raises(StudyError, match="1002 runs; a comparison takes at most 1000"):
        make_cases(many)


@pytest.mark.parametrize(
    ("name", "path"), [("../../etc", "etc"), ("T-DXd + <b>", "t-dxd-b"), ("日本", "unnamed"), ("a" * 99, "a" * 40)]
)
def test_a_name_becomes_a_harmless_path(name, path):
    assert slug(name) == path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    cases = make_cases(STUDY)
    return folder, cases, run_cases(cases, folder, backend="numpy")


def test_every_case_leaves_its_own_run(finished):
    folder, cases, outcomes = finished
    assert [outcome.state for outcome in outcomes] == ["finished"] * 4
    runs = [open_run(folder / case.folder) for case in cases]
    assert [run.effective["variant"] for run in runs] == ["A, plain", "B, plain", "A, low", "B, low"]
    assert exposures(runs[0].directory).mean() > exposures(runs[2].directory).mean()


def test_finished_runs_are_not_run_again(finished):
    folder, cases, _ = finished
    before = [(folder / case.folder / "manifest.json").read_bytes() for case in cases]
    assert {each.state for each in run_cases(cases, folder, backend="numpy")} == {"finished"}
    assert before == [(folder / case.folder / "manifest.json").read_bytes() for case in cases]


def test_a_comparison_that_was_stopped_goes_on_to_the_same_bits(finished, tmp_path):
    folder, cases, _ = finished
    stop = StopRequest()
    stopped = run_cases(cases, tmp_path, backend="numpy", stop=stop, announce=lambda index, case: StopAfter(stop, 3))
    assert [each.state for each in stopped] == ["interrupted"] * 4
    (tmp_path / cases[1].folder).mkdir()
    (tmp_path / cases[1].folder / "writer.lock").write_text("")  # killed while it began
    assert {each.state for each in run_cases(cases, tmp_path, backend="numpy")} == {"finished"}
    for case in cases:
        assert np.array_equal(exposures(tmp_path / case.folder), exposures(folder / case.folder))


def test_the_folder_of_another_study_is_refused_untouched(finished):
    folder, _, _ = finished
    other = make_cases(STUDY, ["duration=30 min"])
    with pytest.raises(RunError, match="holds the run of another study"):
        run_cases(other, folder, backend="numpy")


def test_a_case_that_fails_leaves_the_others_alone(tmp_path):
    designs = [{"name": "A", "set": {"solver.max_steps": 2}}, {"name": "B"}]
    cases = make_cases({**copy.deepcopy(STUDY), "scenario": [], "design": designs})
    first, second = run_cases(cases, tmp_path, backend="numpy")
    assert (first.state, second.state) == ("failed", "finished")
    assert "solver.max_steps" in first.reason

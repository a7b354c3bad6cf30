"""The cases of a comparison, and running them."""

import copy

import numpy as np
import pytest

from payloadfield.compare import running
from payloadfield.compare.cases import make_cases, slug
from payloadfield.compare.running import FINISHED, Outcome, run_cases
from payloadfield.errors import ResourceError, RunError, SolverError, StudyError
from payloadfield.solver import BatchSimulation
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


def test_a_dose_factor_multiplies_the_doses_of_a_schedule_that_a_design_sets_in_place_of_the_studys():
    own = [{"at": "5 min", "dose": {"T-DXd": "2 nM"}}]
    designs = [{"name": "none", "set": {"schedule": []}}, {"name": "late", "set": {"schedule": own}}]
    cases = make_cases(STUDY | {"agent": "T-DXd", "design": designs, "scenario": []}, dose_factors=[10.0])
    assert [doses(case) for case in cases] == [[], [], [2.0], [20.0]]


def test_a_dose_factor_multiplies_the_dose_that_a_design_gives_in_place_of_the_studys_and_nothing_else():
    other = {"name": "other", "set": {"schedule[0].dose": {"DXd": "20 nM"}}}
    once = {"schedule": STUDY["schedule"][:1], "agent": "T-DXd", "design": [other], "scenario": []}
    cases = make_cases(STUDY | once, dose_factors=[0.1, 10.0])
    amounts = [{name: amount for name, amount in case.study.schedule[0].dose.items() if amount} for case in cases]
    assert [list(given.values()) for given in amounts] == [[pytest.approx(amount)] for amount in (2, 20, 200)]


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


class TestTogether:
    """Cases solved as one batch, each into its own run."""

    def test_they_are_what_they_are_alone_to_the_tolerance(self, finished, tmp_path):
        folder, cases, _ = finished
        told = []
        outcomes = run_cases(
            cases, tmp_path, backend="numpy", together=3, announce=lambda index, case: told.append(index) or Observer()
        )
        assert [each.state for each in outcomes] == ["finished"] * 4 and told == [0, 1, 2, 3]
        steps = []
        for case in cases:
            run, alone = open_run(tmp_path / case.folder), open_run(folder / case.folder)
            assert run.effective["variant"] == alone.effective["variant"]
            np.testing.assert_array_equal(run.times, alone.times)
            np.testing.assert_allclose(run.cells["payload_exposure"], alone.cells["payload_exposure"], rtol=5e-3)
            np.testing.assert_allclose(run.field("adc"), alone.field("adc"), rtol=5e-3)
            assert all(abs(line["relative_defect"]) < 1e-11 for line in run.ledger.values())
            steps.append([line["time_s"] for line in run.log])
        assert steps[0] == steps[1] == steps[2] != steps[3]  # three took the same steps, the fourth its own
        first, second = (exposures(tmp_path / case.folder) for case in cases[:2])
        assert abs(first / second - 1).min() > 0.05  # designs differ by more than that

    def test_a_batch_that_was_stopped_goes_on_and_is_finished(self, finished, tmp_path):
        folder, cases, _ = finished
        stop = StopRequest()
        stopped = run_cases(
            cases, tmp_path, backend="numpy", together=2, stop=stop, announce=lambda index, case: StopAfter(stop, 3)
        )
        assert [each.state for each in stopped] == ["interrupted"] * 4
        assert [(tmp_path / case.folder).exists() for case in cases] == [True, True, False, False]
        assert {each.state for each in run_cases(cases, tmp_path, backend="numpy", together=2)} == {"finished"}
        for case in cases:
            assert exposures(tmp_path / case.folder) == pytest.approx(exposures(folder / case.folder), rel=5e-3)

    def test_one_that_gets_stuck_fails_and_the_others_go_on_alone(self, finished, tmp_path, monkeypatch):
        folder, cases, _ = finished
        monkeypatch.setattr(BatchSimulation, "_advance", _stuck_after(3, BatchSimulation._advance))
        outcomes = run_cases(cases[:2], tmp_path, backend="numpy", together=2)
        assert [each.state for each in outcomes] == ["finished"] * 2
        for case in cases[:2]:
            assert exposures(tmp_path / case.folder) == pytest.approx(exposures(folder / case.folder), rel=5e-3)

    @pytest.fixture
    def asked(self, monkeypatch):
        """Variants of every batch that is asked for; there is room for none, and nothing is solved."""
        found = []

        def refuse(studies, backend):
            found.append([study.variant for study in studies])
            raise ResourceError("no room")

        monkeypatch.setattr(running, "make_batch", refuse)
        monkeypatch.setattr(running, "_run", lambda case, *_: Outcome(case, FINISHED))
        return found

    def test_too_little_memory_for_all_takes_them_by_halves_and_then_alone(self, finished, tmp_path, asked):
        _, cases, _ = finished
        assert {each.state for each in run_cases(cases, tmp_path, backend="numpy", together=4)} == {FINISHED}
        names = [case.study.variant for case in cases]
        assert asked == [names, names[:2], names[2:]]

    def test_designs_with_different_mechanisms_are_not_put_together(self, tmp_path, asked):
        designs = [{"name": "A"}, {"name": "B", "set": {"modules.released": True}}, {"name": "C"}]
        cases = make_cases({**copy.deepcopy(STUDY), "scenario": [], "design": designs})
        outcomes = run_cases(cases, tmp_path, backend="numpy", together=9)
        assert [each.case.design for each in outcomes] == ["A", "B", "C"]
        assert asked == [["A, as given", "C, as given"]]

    def test_nothing_is_put_together_on_a_cpu_unless_asked_for(self, finished, tmp_path, asked):
        _, cases, _ = finished
        run_cases(cases, tmp_path, backend="numpy")
        assert asked == []


def _stuck_after(steps, advance):
    left = [steps]

    def _advance(self, end):
        left[0] -= 1
        if left[0] < 0:
            raise SolverError("stuck")
        return advance(self, end)

    return _advance


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

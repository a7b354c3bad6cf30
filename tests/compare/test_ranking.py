"""Ranks, therapeutic windows and samples of what is uncertain, against what can be worked out by hand."""

import math

import numpy as np
import pytest

from payloadfield.compare.ranking import interval, rank_designs, therapeutic_window
from payloadfield.compare.uncertainty import Uncertain, make_samples, uncertain_numbers
from payloadfield.study import load_designs
from payloadfield.units import parse_quantity


def test_designs_are_ranked_from_best_to_worst_and_ties_share_the_better_rank():
    found = rank_designs({"a": 0.2, "b": 0.9, "c": 0.2, "d": math.nan})
    assert [(each.design, each.rank) for each in found] == [("b", 1), ("a", 2), ("c", 2), ("d", 4)]
    lower = rank_designs({"a": 0.2, "b": 0.9}, is_higher_better=False)
    assert [each.design for each in lower] == ["a", "b"]


def test_stability_is_the_share_of_samples_that_agree():
    samples = [{"a": 1.0, "b": 0.0}] * 3 + [{"a": 0.0, "b": 1.0}]
    first, second = rank_designs({"a": 0.6, "b": 0.5}, samples)
    assert (first.stability, first.best, second.stability, second.best) == (0.75, 0.75, 0.75, 0.25)
    assert first.low <= 1.0 <= first.high + 1e-12
    assert all(math.isnan(each.stability) for each in rank_designs({"a": 0.6, "b": 0.5}))


def test_the_therapeutic_window_is_the_kill_where_neighbours_reach_the_limit():
    exposure, kill = [1.0, 10.0, 100.0], [0.1, 0.5, 0.9]
    assert therapeutic_window(exposure, kill, 10.0 * math.sqrt(10.0)) == pytest.approx(0.7)
    assert therapeutic_window(exposure, kill, 10.0) == pytest.approx(0.5)
    assert therapeutic_window(exposure, kill, 1e3) == 0.9
    assert math.isnan(therapeutic_window(exposure, kill, 0.5))


@pytest.mark.parametrize("grade", ["assumed", "measured", "fitted", "estimated"])
def test_a_number_has_its_value_as_median_and_its_range_by_its_grade(grade):
    number = Uncertain("k", 2.0, 0.5, 16.0, "nM", grade)
    quantiles = (np.arange(10_000) + 0.5) / 10_000
    values = np.array([number.at(q) for q in quantiles])
    assert np.median(values) == pytest.approx(2.0, rel=1e-3)
    assert (np.diff(values) >= 0).all()
    inside = np.mean((values >= 0.5) & (values <= 16.0))
    assert inside == pytest.approx(1.0 if grade == "assumed" else 0.95, abs=1e-3)


def test_a_range_from_zero_is_taken_on_a_linear_scale_and_never_below_zero():
    number = Uncertain("k", 0.0, 0.0, 4.0, "1/s", "measured")
    values = [number.at(q) for q in np.linspace(0.01, 0.99, 50)]
    assert min(values) == 0.0 and number.at(0.75) > 0


@pytest.fixture(scope="module")
def designs():
    study = {
        "duration": "1 h",
        "grid": {"size": ["40 um", "40 um", "40 um"], "voxel": "10 um"},
        "boundary": {"z_high": "bath"},
        "cells": [{"type": "SK-BR-3", "count": 3, "place": "medium"}],
        "schedule": [{"at": "0 h", "dose": {"T-DXd": "50 nM"}}],
        "design": [{"name": "A"}, {"name": "B", "set": {"agents.T-DXd.antibody.KD": "1 nM"}}],
    }
    return load_designs(study)


def test_what_a_design_sets_itself_is_not_drawn_for_it(designs):
    first, second = ({each.key: each for each in uncertain_numbers(design.study)} for design in designs)
    assert first["agents.T-DXd.antibody.KD"].high == 0.772
    assert "agents.T-DXd.antibody.KD" not in second
    assert "cell_types.SK-BR-3.receptors" in first
    assert not any(key.endswith(("volume", "molecular_weight")) for key in first)


FATES = {
    "duration": "1 h",
    "grid": {"size": ["40 um", "40 um", "40 um"], "voxel": "10 um"},
    "boundary": {"z_high": "bath"},
    "modules": {"fate": True},
    "cells": [{"type": name, "count": 2, "place": "medium"} for name in ("A", "B")],
    "cell_types": {"A": {"based_on": "SK-BR-3"}, "B": {"based_on": "A", "antigens": {"HER2": {"receptors": 20000}}}},
    "schedule": [{"at": "0 h", "dose": {"T-DXd": "50 nM"}}],
}


def test_what_decides_fates_is_drawn_too():
    keys = [each.key for each in uncertain_numbers(load_designs(FATES)[0].study)]
    assert any(key.startswith("fates.") and key.endswith("death.kmax") for key in keys)


def test_what_two_cell_types_take_from_one_line_is_one_draw():
    numbers = uncertain_numbers(load_designs(FATES)[0].study)
    samples = [drawn for (drawn,) in make_samples([numbers], 8, seed=1)]
    shared = [key.removeprefix("cell_types.A.") for key in samples[0] if key.startswith("cell_types.A.")]
    alike = [
        key for key in shared if all(each[f"cell_types.A.{key}"] == each.get(f"cell_types.B.{key}") for each in samples)
    ]
    assert len(alike) >= 3 and "receptors" not in alike  # B has receptors of its own
    drawn = {each[f"cell_types.A.{alike[0]}"] for each in samples}
    assert len(drawn) == 8 and drawn != {each[f"cell_types.A.{alike[1]}"] for each in samples}


def test_an_interval_leaves_out_what_is_unknown_and_keeps_what_never_comes():
    assert interval([1.0, 2.0, math.nan, 3.0], (0, 50, 100)) == (1.0, 2.0, 3.0)
    assert interval([24.0] * 18 + [math.inf] * 2, (5, 50, 95)) == (24.0, 24.0, math.inf)
    assert all(math.isnan(value) for value in interval([math.nan, math.nan], (5, 95)))


def test_samples_are_common_to_the_designs_and_repeat_with_the_seed(designs):
    numbers = [uncertain_numbers(design.study) for design in designs]
    samples = make_samples(numbers, 16, seed=4)
    for first, second in samples:
        shared = first.keys() & second.keys()
        assert len(shared) >= 10
        assert all(first[key] == second[key] for key in shared)
    assert samples == make_samples(numbers, 16, seed=4)
    assert samples != make_samples(numbers, 16, seed=5)
    drawn = [parse_quantity(first["agents.T-DXd.antibody.k_on"], "1/nM/s", "") for first, _ in samples]
    assert len(set(drawn)) == 16 and min(drawn) < 1e-4 < max(drawn)

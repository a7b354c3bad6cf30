"""Metrics against numbers that can be worked out by hand."""

import math

import numpy as np
import pytest

from payloadfield.compare.metrics import Kinds, as_mapping, measure, penetration_depth, time_to_effect, time_to_regrowth
from payloadfield.store.exposure import CellSeries
from payloadfield.store.table import Table


class Kept:
    def __init__(self, cells, units, series):
        self.cells, self.series = Table(cells, units), series


def series(**cells):
    columns = {"relative_defect": np.array([0.0, 0.0, 3e-15])}
    return CellSeries(times=np.array([0.0, 3600.0, 7200.0]), cells=cells, ledger={"payload": columns})


FATES = Kinds(exposures=["dose"], living=["cycling", "senescent"], dead=["dead"])


def fate_series(dead, senescent=(0, 0, 0)):
    dead, senescent = (np.repeat(np.array(values, float)[:, None], 2, axis=1) for values in (dead, senescent))
    return series(dead=dead, senescent=senescent, cycling=1.0 - dead - senescent)


def test_metrics_of_each_type_are_those_of_its_cells_alone():
    cells = {
        "type": np.array(["a", "b", "a", "a"]),
        "dose": np.array([3600.0, 7200.0, 7200.0, 10800.0]),
        "cycling": np.array([1.0, 0.2, 0.5, 2.0]),
        "senescent": np.array([0.0, 0.3, 0.25, 0.0]),
        "dead": np.array([0.0, 0.5, 0.25, 0.0]),
    }
    courses = {name: np.repeat(cells[name][None], 3, axis=0) for name in FATES.fates}
    found = as_mapping(measure(Kept(cells, {"dose": "nM*s"}, series(**courses)), FATES))
    assert (found["a", "n_cells"], found["b", "n_cells"]) == (3, 1)
    assert (found["a", "dose_mean"], found["a", "dose_median"], found["b", "dose_p95"]) == (2.0, 2.0, 2.0)
    assert found["a", "fraction_dead"] == found["a", "fraction_killed"] == pytest.approx(0.25 / 4.0)
    assert found["b", "fraction_senescent"] == pytest.approx(0.3)
    assert sum(found["b", f"fraction_{name}"] for name in FATES.fates) == pytest.approx(1.0)
    assert found["", "balance_defect_payload"] == 3e-15


@pytest.mark.parametrize(
    ("dead", "senescent", "hours"),
    [
        ((0, 0.25, 0.75), (0, 0, 0), 1.5),
        ((0, 0.25, 0.25), (0, 0, 0.5), 1.5),
        ((0, 0.2, 0.49), (0, 0, 0), math.inf),
        ((0.6, 0.6, 0.6), (0, 0, 0), 0.0),
        ((0, 0.5, 1), (0, 0, 0), 1.0),
    ],
)
def test_time_to_effect_is_when_half_are_dead_or_senescent(dead, senescent, hours):
    assert time_to_effect(fate_series(dead, senescent), FATES, np.array([True, True])) == pytest.approx(hours)


def test_time_to_effect_is_unknown_where_the_fates_were_not_kept():
    assert math.isnan(time_to_effect(series(dead=np.zeros((3, 2))), FATES, np.array([True, True])))


@pytest.mark.parametrize(
    ("living", "hours"),
    [
        ((1, 0.25, 4), 1.5),  # fourfold up to the start, fourfold beyond it: half the way of exponential growth
        ((1, 0.5, 1), 2.0),
        ((1, 0.5, 0.9), math.inf),
        ((1, 2, 0.5), math.inf),  # what grew before it fell has not grown again
        ((1, 1.5, 2), math.nan),
        ((1, 1 - 1e-12, 1), math.nan),
        ((1, 0, 2), 2.0),
        ((0, 0, 0), math.nan),
    ],
)
def test_time_to_regrowth_is_when_as_many_live_again_as_at_the_start(living, hours):
    living = np.repeat(np.array(living, float)[:, None], 2, axis=1)
    kept = series(cycling=0.75 * living, senescent=0.25 * living, dead=np.full((3, 2), 5.0))
    found = time_to_regrowth(kept, FATES, np.array([True, True]))
    assert found == pytest.approx(hours, nan_ok=True)


def test_time_to_regrowth_counts_all_chosen_cells_together_and_no_others():
    courses = np.array([[1.0, 1.0, 1.0], [0.0, 0.5, 9.0], [0.0, 2.0, 9.0]])
    kept = series(cycling=courses, senescent=np.zeros((3, 3)), dead=np.zeros((3, 3)))
    assert time_to_regrowth(kept, FATES, np.array([True, True, False])) == pytest.approx(2.0)
    assert time_to_regrowth(kept, FATES, np.array([False, True, False])) == pytest.approx(1.5)
    assert time_to_regrowth(kept, FATES, np.array([True, False, False])) == math.inf


def test_time_to_regrowth_is_unknown_where_the_fates_were_not_kept():
    assert math.isnan(time_to_regrowth(series(cycling=np.ones((3, 2))), FATES, np.array([True, True])))
    no_fates = Kinds(exposures=["dose"])
    assert math.isnan(time_to_regrowth(series(), no_fates, np.array([True, True])))


def test_penetration_depth_of_an_exponential_is_its_half_length():
    depth = np.random.default_rng(3).uniform(0.0, 500.0, 40_000)
    found = penetration_depth(depth, np.exp(-depth / 200.0))
    first = 500.0 / 24  # mean depth of the first of twelve bins, to which the half refers
    assert found == pytest.approx(first + 200.0 * math.log(2.0), rel=0.02)
    assert penetration_depth(depth, np.ones_like(depth)) == math.inf


@pytest.mark.parametrize(("n", "level"), [(9, 1.0), (100, 0.0)])
def test_penetration_depth_needs_cells_and_an_exposure(n, level):
    assert math.isnan(penetration_depth(np.arange(n), np.full(n, level)))

"""Which assumed numbers drive results: those named do in the whole study too, and the others do not."""

from copy import deepcopy

import numpy as np
import pytest

from payloadfield.store.drivers import THRESHOLD, find_drivers
from payloadfield.store.reduction import reduce_study
from payloadfield.store.simulate import simulate
from payloadfield.study import load_study

STUDY = {
    "duration": "6 h",
    "grid": {"size": ["40 um", "40 um", "80 um"], "voxel": "20 um"},
    "boundary": {"z_high": "bath"},
    "cells": [
        {"type": "SK-BR-3", "count": 3, "place": "medium"}, {"type": "fibroblast", "count": 2, "place": "medium"},
    ],
    "schedule": [{"at": "0 h", "dose": {"T-DXd": "10 nM", "DXd": "10 nM"}}],
}  # fmt: skip


def study(overrides=(), **changes):
    return load_study(deepcopy(STUDY) | changes, overrides)


def by_key(found):
    return {driver.key: driver for driver in found}


@pytest.fixture(scope="module")
def drivers():
    return by_key(find_drivers(study()))  # which keeps their order


def test_one_assumed_number_matters_and_another_does_not(drivers):
    unbound, decay = drivers["agents.T-DXd.payload.fraction_unbound"], drivers["agents.T-DXd.payload.k_decay"]
    assert unbound.matters and unbound.moved == 0.2
    assert not decay.matters and decay.change != 0


def mean_exposure(loaded, driver):
    """Mean of the driver's result over its cell type, in the whole study."""
    cells = simulate(loaded).cells
    return float(np.mean(cells[driver.result][np.asarray(cells["type"]).astype(str) == driver.cell_type]))


@pytest.mark.parametrize("key", ["agents.T-DXd.payload.fraction_unbound", "agents.T-DXd.payload.target.concentration",
                                 "agents.T-DXd.payload.k_decay"])  # fmt: skip
def test_the_whole_study_answers_as_the_small_one_says(drivers, key):
    driver = drivers[key]
    moved = study([f'{key}="{driver.moved} {driver.unit}"' if driver.unit != "1" else f"{key}={driver.moved}"])
    change = mean_exposure(moved, driver) / mean_exposure(study(), driver) - 1
    assert (abs(change) > THRESHOLD) == driver.matters
    assert change == pytest.approx(driver.change, rel=0.35, abs=0.02)


def test_the_strongest_comes_first_and_only_assumed_numbers_come(drivers):
    sizes = [abs(driver.change) for driver in drivers.values()]
    assert sizes == sorted(sizes, reverse=True)
    assumed = {source.key for source in study().sources if source.grade.startswith("assumed")}
    assert set(drivers) <= assumed


def test_a_number_without_a_range_is_halved_and_doubled_and_a_measured_one_left_alone():
    measured = {"value": 1, "low": 0.2, "high": 1, "unit": "1", "grade": "measured", "citation": "mine"}
    own = {"k_in": "0.01 / s", "fraction_unbound": measured}
    found = by_key(find_drivers(study(agents={"T-DXd": {"payload": own}})))
    assert "agents.T-DXd.payload.fraction_unbound" not in found
    driver = found["agents.T-DXd.payload.k_in"]
    assert (driver.low, driver.high) == (0.005, 0.02) and driver.matters


def test_a_value_of_one_cell_type_is_moved_in_it_alone():
    types = {"R": {"based_on": "SK-BR-3", "resistance": "TOP1-E418K"}}
    cells = [{"type": name, "count": 2, "place": "medium"} for name in ("SK-BR-3", "R")]
    found = by_key(find_drivers(study(cells=cells, cell_types=types)))
    driver = found["cell_types.R.factors.payload.target.KD"]
    assert driver.cell_type == "R" and driver.result == "bound_payload_exposure" and driver.matters


def test_the_diffusivity_in_a_gel_is_moved_too():
    gel = {"shape": "box", "material": "GelMA", "low": ["0 um"] * 3, "high": ["40 um", "40 um", "2000 um"]}
    deep = {"grid": {"size": ["40 um", "40 um", "2000 um"], "voxel": "20 um"}, "scaffold": [gel]}
    cells = [{"type": "SK-BR-3", "count": 200, "place": "gel"}]
    found = by_key(find_drivers(study(cells=cells, **deep)))
    driver = found["materials.GelMA.relative_diffusivity.adc"]
    assert driver.matters and driver.moved in (0.1, 0.6)


def test_the_small_study_keeps_density_types_and_bath():
    whole = study(bath={"volume": "10 uL"})
    small = reduce_study(whole).study
    volumes = [each.geometry.open_volume for each in (whole, small)]
    assert small.bath.volume / volumes[1] == pytest.approx(whole.bath.volume / volumes[0])
    counts = [np.bincount(each.cells.type_index) / v for each, v in zip((whole, small), volumes, strict=True)]
    np.testing.assert_allclose(counts[1], counts[0], rtol=0.5)
    assert small.geometry.n_open <= 4 * 12**2


def test_a_study_without_cells_or_without_a_dose_has_none():
    assert find_drivers(study(cells=[])) == []
    assert find_drivers(study(agent="T-DXd", schedule=[])) == []


def test_fates_are_results_too_and_sampled_ones_are_moved_as_expected():
    few = {"cells": STUDY["cells"][:1], "duration": "48 h", "output": {"peaks": ["damage"]}}
    sampled, expected = (by_key(find_drivers(study(modules={"fate": mode}, **few))) for mode in ("sampled", "expected"))
    assert not sampled.pop("fates.tumour cells.lysis.half_life").matters  # which expected fates do not read
    assert sampled == expected
    slow = sampled["fates.tumour cells.death.lag"]
    assert slow.matters and slow.result in ("damaged", "dead")  # which no exposure tells
    assert reduce_study(study(modules={"fate": "sampled"}, **few)).study.mechanism.modules["fate"] == "expected"

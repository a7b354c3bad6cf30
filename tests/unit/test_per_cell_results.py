"""Peaks, their times and times above thresholds of every cell, against exact curves and across a resume."""

import math
import re
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from tests import handmade
from tests.running import observed_order, run

from payloadfield import load_study, simulate
from payloadfield.errors import StudyError
from payloadfield.mechanism import load_mechanism
from payloadfield.mechanism.exposures import exposure_to, own_exposures, with_exposures
from payloadfield.solver import Simulation
from payloadfield.solver.peaks import share_above
from payloadfield.store.digest import study_digest
from payloadfield.store.export import export_run
from payloadfield.store.reader import open_run

HOUR = 3600.0
SMALL = handmade.MECHANISMS.parent / "cli" / "small.toml"
K1, K2, N_A = 1e-3, 2e-4, 0.602214076
START = np.array([1e4, 4e4, 2.5e5])  # molecules of three cells
VOLUME = np.array([2000.0, 1000.0, 4000.0])


def make_chain(**options):
    """Three cells with their contents at the start, in an empty box."""
    geometry = handmade.make_box((1, 1, 3), 20.0)
    standard = {
        "duration": 6 * HOUR, "cells": handmade.make_cells([{k: 1.0} for k in range(3)], (1, 1, 3), 20.0),
        "initial_states": {"first": START}, "of_cells": {"volume": VOLUME},
    }  # fmt: skip
    study = handmade.make_study("decay_chain", geometry, **(standard | options))
    output = replace(study.output, peaks=("second_exposure",), thresholds={"second_exposure": 10.0})
    return replace(study, output=output)


def concentration(t, cell):
    """Exact concentration of the second form (Bateman) [nM]."""
    amount = START[cell] * K1 / (K1 - K2) * (math.exp(-K2 * t) - math.exp(-K1 * t))
    return amount / (VOLUME[cell] * N_A)


EXACT_TIME = math.log(K1 / K2) / (K1 - K2)
EXACT_PEAK = np.array([concentration(EXACT_TIME, cell) for cell in range(3)])


def exact_time_above(cell, threshold, end):
    """Time above a threshold, from the two crossings of the exact curve."""
    if EXACT_PEAK[cell] <= threshold:
        return 0.0
    up = brentq(lambda t: concentration(t, cell) - threshold, 0.0, EXACT_TIME)
    fall = concentration(end, cell)
    down = end if fall > threshold else brentq(lambda t: concentration(t, cell) - threshold, EXACT_TIME, end)
    return down - up


def errors(study):
    """Relative errors of peak, of its time, and of the time above the threshold."""
    found = {name: values for name, (values, _) in run(study).sim.peaks().items()}
    above = np.array([exact_time_above(cell, 10.0, study.duration) for cell in range(3)])
    return (
        np.abs(found["second_peak"] / EXACT_PEAK - 1).max(),
        np.abs(found["second_peak_time"] / EXACT_TIME - 1).max(),
        np.abs(found["second_time_above"] - above).max() / above.max(),
    )


def test_peaks_are_those_of_the_exact_curve_at_the_usual_tolerance():
    """At rtol 1e-2: peak within 0.2%, its time within 1%, time above within 0.4%; finer at 1e-3."""
    peak, time, above = errors(make_chain())
    assert peak < 2e-3 and time < 1e-2 and above < 4e-3
    finer = errors(make_chain(solver=handmade.make_solver(1e-3)))
    assert finer[0] < 2e-4 and finer[1] < 5e-3 and finer[2] < 4e-4
    exact = [exact_time_above(cell, 10.0, 6 * HOUR) for cell in range(3)]
    assert exact[0] == 0.0 and 0 < exact[1] < exact[2]


def test_errors_of_peaks_fall_with_the_step():
    """Peaks of order 3; where a flat top lies and a crossing is, of order 2 at least."""
    steps, found = (200.0, 100.0, 50.0), []
    for dt in steps:
        found.append(errors(make_chain(solver=handmade.make_solver(1e3, first_step=dt, max_step=dt))))
    for column, least in zip(np.array(found).T, (3.3, 2.3, 2.3), strict=True):
        assert observed_order(column, steps).min() > least, found


def test_peaks_between_steps_are_seen():
    """The largest value at the ends of steps is lower than what is found between them."""
    solver = handmade.make_solver(1e3, first_step=450.0, max_step=450.0)
    trace = run(make_chain(solver=solver, outputs=np.arange(1, 48) * 450.0))
    at_ends = np.max([s[1] for s in trace.states], axis=0) / (VOLUME * N_A)
    peak = trace.sim.peaks()["second_peak"][0]
    assert np.all(peak > at_ends) and np.abs(peak / EXACT_PEAK - 1).max() < np.abs(at_ends / EXACT_PEAK - 1).max()


def test_share_of_a_parabola_above_zero():
    random = np.random.default_rng(1)
    c, a, b = random.normal(size=(3, 200))
    b[:20], a[:10] = 0.0, 0.0
    found = share_above(c, a, b)
    theta = (np.arange(20000) + 0.5) / 20000
    brute = np.mean(c[:, None] + theta * (a[:, None] + b[:, None] * theta) > 0, axis=1)
    np.testing.assert_allclose(found, brute, atol=2e-4)


def test_resumed_runs_have_the_same_peaks_bit_for_bit():
    whole, first = Simulation(make_chain()), Simulation(make_chain())
    whole.run()
    first.run(until=2 * HOUR)
    again = Simulation(make_chain())
    again.restore(first.checkpoint())
    again.run()
    other = Simulation(make_chain())
    other.run(until=2 * HOUR)
    other.run()
    for name, (values, unit) in other.peaks().items():
        np.testing.assert_array_equal(again.peaks()[name][0], values)
        assert again.peaks()[name][1] == unit
    assert {unit for _, unit in whole.peaks().values()} == {"nM", "s"}


def test_a_study_without_cells_has_columns_without_rows():
    study = make_chain()
    study = replace(study, cells=handmade.no_cells(), initial_states=study.initial_states[:, :0])
    sim = Simulation(
        replace(study, cell_parameters=study.cell_parameters[:, :0], duration=10.0, initial_fields=np.ones(1))
    )
    sim.run()
    assert {name: len(values) for name, (values, _) in sim.peaks().items()} == dict.fromkeys(
        ("second_peak", "second_peak_time", "second_time_above"), 0
    )


# -- what is followed -------------------------------------------------------------------------------------------------


def test_an_exposure_is_found_by_what_it_depends_on():
    mechanism = load_mechanism("adc")
    assert exposure_to(mechanism, "payload") == "medium_payload_exposure"
    assert exposure_to(mechanism, "payload_cytosol") == exposure_to(mechanism, "payload_exposure") == "payload_exposure"
    assert exposure_to(mechanism, "adc") is None and exposure_to(mechanism, "nothing") is None
    more = with_exposures(mechanism, ["adc", "receptor", "payload", "nothing"])
    added = {state.name: state.unit for state in more.states[len(mechanism.states) :]}
    assert more.digest != mechanism.digest  # generated code is kept by it
    assert added == {"adc_exposure": "nM*s", "receptor_exposure": "molecules*s"}
    assert own_exposures(mechanism) == ("payload_exposure", "bound_payload_exposure", "medium_payload_exposure")


def small(*lines):
    return load_study(SMALL, ["duration=8 h", "output.every=4 h", *lines])


def test_results_of_cells_are_in_the_run_directory(tmp_path):
    overrides = ["output.peaks=['adc']", "output.thresholds={ payload_cytosol = '1 nM', receptor = '1e5 molecules' }"]
    sim = simulate(small(*overrides), backend="numpy", output=tmp_path / "run")
    run_ = open_run(tmp_path / "run")
    units = {name: run_.cells.units[name] for name in run_.cells if "peak" in name or "above" in name}
    assert units == {
        "payload_peak": "nM", "payload_peak_time": "s", "bound_payload_peak": "nM", "bound_payload_peak_time": "s",
        "medium_payload_peak": "nM", "medium_payload_peak_time": "s", "adc_peak": "nM", "adc_peak_time": "s",
        "receptor_peak": "molecules", "receptor_peak_time": "s", "payload_time_above": "s", "receptor_time_above": "s",
    }  # fmt: skip
    cells = run_.cells
    assert cells["adc_peak"].max() == pytest.approx(50.0, rel=0.02)
    mean = cells["payload_exposure"] / (8 * HOUR)
    assert np.all(cells["payload_peak"] >= mean) and np.all(cells["payload_peak_time"] <= 8 * HOUR)
    is_rich = cells["receptors"] > 1e5
    assert np.all((cells["receptor_time_above"] > 0) == is_rich) and is_rich.any() and not is_rich.all()
    header = export_run(run_, "csv", tmp_path / "csv")[0].read_text().splitlines()[0]
    assert "payload_peak_time" in header and "receptor_time_above" in header
    assert study_digest(run_.study) == study_digest(sim.study)  # what is followed is in the run's study.toml too


def test_the_example_of_the_page_loads():
    page = (handmade.MECHANISMS.parents[1] / "docs" / "results.md").read_text()
    block = next(item for item in re.findall(r"```toml\n(.*?)```", page, re.S) if "[output]" in item)
    tables = tomllib.loads(SMALL.read_text())
    study = load_study(tables | {"output": tomllib.loads(block)["output"]})
    assert study.output.peaks[3:] == ("adc_exposure", "receptor_exposure")
    assert study.output.thresholds == {"payload_exposure": 10.0, "medium_payload_exposure": 1.0}


def test_naming_more_peaks_changes_no_other_number():
    plain, more = Simulation(small()), Simulation(small("output.peaks=['adc', 'receptor']"))
    plain.run()
    more.run()
    for state in plain.study.mechanism.states:
        np.testing.assert_array_equal(plain.cell_state(state.name), more.cell_state(state.name))


def test_time_above_zero_is_the_time_since_there_is_any():
    sim = Simulation(small("output.thresholds={ payload_bound = '0 nM' }"))
    sim.run()
    above = sim.peaks()["bound_payload_time_above"][0]
    assert np.all(above > 0.8 * 8 * HOUR) and np.all(above <= 8 * HOUR)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("output.peaks=['payloads']", "no field, state or exposure; did you mean"),
        ("output.thresholds={ payload = '1 um' }", "output.thresholds.payload"),
        ("output.thresholds={ payload = '-1 nM' }", "at least 0 nM"),
        ("output.thresholds={ receptor = '1 nM' }", "output.thresholds.receptor"),
        ("output.thresholds={ payload_cytosol = '1 nM', payload_exposure = '2 nM' }", "has a threshold already"),
    ],
)
def test_what_cannot_be_followed_is_refused(line, reason):
    with pytest.raises(StudyError, match=reason):
        small(line)


def test_the_exposure_is_the_integral_of_what_peaks():
    """Independent of the solver: the exact curve's integral."""
    sim = Simulation(make_chain(solver=handmade.make_solver(1e-4)))
    sim.run()
    exact = [quad(concentration, 0, 6 * HOUR, args=(cell,))[0] for cell in range(3)]
    np.testing.assert_allclose(sim.cell_state("second_exposure"), exact, rtol=1e-4)

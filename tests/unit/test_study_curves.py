"""Curves of the bath in a study file: every way of writing one, what is refused, and that a run keeps it."""

import math
from copy import deepcopy

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from payloadfield.errors import StudyError
from payloadfield.store.digest import study_digest
from payloadfield.store.simulate import simulate
from payloadfield.study import Decay, Tabulated, load_study

STUDY = {
    "duration": "24 h",
    "grid": {"size": ["60 um", "20 um", "20 um"], "voxel": "20 um"},
    "boundary": {"x_high": "bath"},
    "cells": [{"type": "SK-BR-3", "count": 1, "place": "medium"}],
}
HOUR, DAY = 3600.0, 86400.0


def study_with(*events, **changes):
    return deepcopy(STUDY) | {"schedule": list(events)} | changes


def curve_of(given, name="T-DXd"):
    (event,) = load_study(study_with({"at": "1 h", "curve": {name: given}}, agent="T-DXd")).schedule
    (curve,) = event.curve.values()
    return curve


def refusal(given, *more, **changes):
    with pytest.raises(StudyError) as caught:
        load_study(study_with({"at": "0 h", "curve": {"T-DXd": given}}, *more, **changes))
    return str(caught.value)


def write(tmp_path, text, name="pk.csv"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_half_lives_with_a_peak_are_exponentials_that_halve():
    curve = curve_of({"half_lives": ["8 h", "5.7 day"], "fractions": [0.4, 0.6], "peak": "800 nM"})
    assert curve.value(1 * HOUR) == pytest.approx(800)
    fast, slow = 320 * 0.5 ** (10 / 8), 480 * 0.5 ** (10 / 24 / 5.7)
    assert curve.value(11 * HOUR) == pytest.approx(fast + slow)


def test_a_single_half_life_needs_no_fractions():
    curve = curve_of({"half_lives": ["8 h"], "peak": "10 nM"})
    assert curve.value(17 * HOUR) == pytest.approx(2.5)


def test_sizes_and_rates_of_two_exponentials_may_be_named():
    named = curve_of({"A": "6 nM", "alpha": "0.5 / h", "B": "4 nM", "beta": "0.01 / h"})
    listed = curve_of({"amplitudes": ["6 nM", "4 nM"], "rates": ["0.5 / h", "0.01 / h"]})
    assert np.array_equal(named.amplitudes, listed.amplitudes) and np.array_equal(named.rates, listed.rates)


def compartments(dose, clearance, v1, q, v2, time):
    """Concentration in the first of two compartments, by an integrator of SciPy."""
    rates = lambda _, c: [(-clearance * c[0] + q * (c[1] - c[0])) / v1, q * (c[0] - c[1]) / v2]  # noqa: E731
    return solve_ivp(rates, (0, time), [dose / v1, 0.0], rtol=1e-10, atol=1e-12, method="LSODA").y[0, -1]


def test_clearances_and_volumes_give_the_two_compartments_of_an_integrator():
    curve = curve_of({"dose": "378 mg", "CL": "0.4 L/day", "V1": "2.77 L", "Q": "0.2 L/day", "V2": "5.16 L"})
    peak = 378e-3 / 153702 / 2.77 * 1e9
    assert curve.value(1 * HOUR) == pytest.approx(peak)
    expected = compartments(378e-3 / 153702 * 1e9, 0.4, 2.77, 0.2, 5.16, 3.0)
    assert curve.value(1 * HOUR + 3 * DAY) == pytest.approx(expected, rel=1e-6)


def test_a_dose_per_body_mass_goes_with_volumes_per_body_mass():
    whole = curve_of({"dose": "378 mg", "CL": "0.4 L/day", "V1": "2.8 L"})
    per_mass = curve_of({"dose": "5.4 mg/kg", "CL": "0.005714285714 L/day/kg", "V1": "0.04 L/kg"})
    assert per_mass.value(5 * HOUR) == pytest.approx(whole.value(5 * HOUR), rel=1e-9)


def test_pharmacokinetics_of_the_library_are_inputs_with_their_source():
    study = load_study(study_with({"at": "0 h", "curve": {"T-DXd": {"pk": "T-DXd human", "dose": "378 mg"}}}))
    given = curve_of({"dose": "378 mg", "CL": "0.4 L/day", "V1": "2.77 L", "Q": "0.2 L/day", "V2": "5.16 L"})
    assert np.array_equal(study.schedule[0].curve[0].rates, given.rates)
    sources = {source.key.rpartition(".")[2]: source for source in study.sources if ".pk." in source.key}
    assert sources["CL"].citation.startswith("Enhertu") and "recalled" in sources["V1"].grade


def test_a_half_life_of_the_library_needs_a_peak():
    curve = curve_of({"pk": "DXd mouse", "peak": "10 nM"}, "DXd")
    assert curve.value(1 * HOUR + 1.35 * HOUR) == pytest.approx(5.0)
    assert "a peak is needed" in refusal({"pk": "DXd mouse", "dose": "1 mg"})


@pytest.mark.parametrize("kind", ["linear", "monotone"])
def test_a_table_passes_through_its_points_at_the_time_of_the_event(tmp_path, kind):
    path = write(tmp_path, "time_h,concentration_nM\n0,0\n2,8\n5,3\n30,1\n")
    curve = curve_of({"file": path, "interpolation": kind})
    assert isinstance(curve, Tabulated)
    assert [curve.value((1 + h) * HOUR) for h in (0, 2, 5, 29.9999999)] == pytest.approx([0, 8, 3, 1], rel=1e-6)
    middle = curve.value(2 * HOUR)
    assert middle == pytest.approx(4.0) if kind == "linear" else 4.0 < middle < 8.0


def test_a_table_may_be_in_mass_per_volume(tmp_path):
    curve = curve_of(write(tmp_path, "time_min,concentration_ng/mL\n0,153.702\n2000,0\n"))
    assert curve.value(1 * HOUR) == pytest.approx(1.0)


def test_an_effective_study_and_a_run_directory_keep_the_curves(tmp_path):
    path = write(tmp_path, "time_h,concentration_nM\n0,5\n24,1\n")
    events = [{"at": "0 h", "curve": {"T-DXd": {"half_lives": ["8 h"], "peak": "10 nM"}, "DXd": path}}]
    study = load_study(study_with(*events))
    assert study_digest(load_study(study.effective)) == study_digest(study)
    run = simulate(study, tmp_path / "run", until="1 h")
    (tmp_path / "pk.csv").unlink()
    again = load_study(tmp_path / "run" / "study.toml")
    assert study_digest(again) == study_digest(study) and len(run.times) == 1
    assert isinstance(again.schedule[0].curve[0], Decay)


def test_the_digest_sees_a_curve():
    one, two = (
        load_study(study_with({"at": "0 h", "curve": {"T-DXd": {"half_lives": [t], "peak": "1 nM"}}}))
        for t in ("8 h", "9 h")
    )
    assert study_digest(one) != study_digest(two)


TABLES = {
    "negative": ("time_h,concentration_nM\n0,5\n30,-1\n", "a number of at least 0"),
    "unordered": ("time_h,concentration_nM\n0,5\n9,4\n3,1\n30,0\n", "line 4: time 3 does not come after"),
    "repeated": ("time_h,concentration_nM\n0,5\n9,4\n9,1\n30,0\n", "does not come after"),
    "not finite": ("time_h,concentration_nM\n0,5\n30,nan\n", "finite numbers"),
    "infinite time": ("time_h,concentration_nM\n0,5\ninf,1\n", "finite numbers"),
    "words": ("time_h,concentration_nM\n0,5\n30,much\n", "two numbers"),
    "one column": ("time_h,concentration_nM\n0\n30\n", "has 1 columns"),
    "no header": ("0,5\n30,1\n", "got the header '0,5'"),
    "unknown unit": ("time_fortnight,concentration_nM\n0,5\n30,1\n", "no unit of time"),
    "empty": ("", "got the header ''"),
    "one row": ("time_h,concentration_nM\n0,5\n", "has 1 rows"),
    "late": ("time_h,concentration_nM\n1,5\n30,1\n", "the first is 0"),
    "short": ("time_h,concentration_nM\n0,5\n3,1\n", "the table ends 3 h after the event, but is followed for 24 h"),
}


@pytest.mark.parametrize(("text", "reason"), TABLES.values(), ids=list(TABLES))
def test_a_table_that_cannot_be_followed_is_refused(tmp_path, text, reason):
    message = refusal(write(tmp_path, text))
    assert reason in message and "schedule[0].curve" in message


def test_a_short_table_may_end_where_another_event_ends_its_curve(tmp_path):
    path = write(tmp_path, "time_h,concentration_nM\n0,5\n3,1\n")
    load_study(study_with({"at": "0 h", "curve": {"T-DXd": path}}, {"at": "3 h", "wash": 1.0}))


REFUSED = {
    "fractions": ({"half_lives": ["8 h"], "fractions": [0.9], "peak": "1 nM"}, "add up to 0.9; 1 is needed"),
    "two for one": ({"half_lives": ["8 h"], "fractions": [0.5, 0.5], "peak": "1 nM"}, "2 given for 1 half-lives"),
    "no peak": ({"half_lives": ["8 h"]}, "peak: is missing"),
    "negative peak": ({"half_lives": ["8 h"], "peak": "-1 nM"}, "at least 0"),
    "zero half-life": ({"half_lives": ["0 h"], "peak": "1 nM"}, "a number above 0"),
    "a length": ({"half_lives": ["8 um"], "peak": "1 nM"}, "a time such as"),
    "negative rate": ({"amplitudes": ["1 nM"], "rates": ["-1 / h"]}, "at least 0"),
    "misspelt": ({"half_lives": ["8 h"], "peek": "1 nM"}, "did you mean 'peak'?"),
    "nothing": ({"peaks": "1 nM"}, "none of the keys of a curve"),
    "unknown pk": ({"pk": "T-DXd humans", "dose": "1 mg"}, "did you mean 'T-DXd human'?"),
    "half a compartment": ({"dose": "1 mg", "CL": "1 L/day", "V1": "1 L", "Q": "1 L/day"}, "belong together"),
    "interpolation": ({"file": "pk.csv", "interpolation": "spline"}, "'linear' or 'monotone'"),
    "no file": ("nowhere.csv", "there is no file"),
    "a number": (5, "the name of a file, or a table"),
}


@pytest.mark.parametrize(("given", "reason"), REFUSED.values(), ids=list(REFUSED))
def test_a_curve_that_cannot_be_read_is_refused(given, reason):
    message = refusal(given)
    assert reason in message and "schedule[0].curve" in message


def test_two_curves_of_one_field_and_a_dose_beside_a_curve_are_refused():
    simple = {"half_lives": ["8 h"], "peak": "1 nM"}
    two = study_with({"at": "0 h", "curve": {"T-DXd": simple, "adc": simple}})
    with pytest.raises(StudyError, match="a second curve for the field 'adc'"):
        load_study(two)
    with pytest.raises(StudyError, match="dosed in the same event"):
        load_study(study_with({"at": "0 h", "curve": {"T-DXd": simple}, "dose": {"adc": "1 nM"}}))


def test_a_curve_needs_a_bath_and_an_infinite_one():
    simple = {"half_lives": ["8 h"], "peak": "1 nM"}
    assert "the bath is finite" in refusal(simple, bath={"volume": "1 uL"})
    assert "there is no bath" in refusal(simple, boundary={})


def test_an_unknown_name_under_a_curve_is_refused_as_under_a_dose():
    with pytest.raises(StudyError, match="unknown agent"):
        load_study(study_with({"at": "0 h", "curve": {"T-DXt": {"half_lives": ["8 h"], "peak": "1 nM"}}}))


def test_a_slow_curve_is_almost_a_dose():
    """Negative control of the whole way from file to exposure: one that decays delivers less."""
    found = {}
    for name, event in {
        "dose": {"at": "0 h", "dose": {"T-DXd": "10 nM"}},
        "slow": {"at": "0 h", "curve": {"T-DXd": {"half_lives": ["1000 day"], "peak": "10 nM"}}},
        "fast": {"at": "0 h", "curve": {"T-DXd": {"half_lives": ["1 h"], "peak": "10 nM"}}},
    }.items():
        found[name] = float(simulate(load_study(study_with(event))).cells["payload_exposure"][0])
    assert math.isclose(found["slow"], found["dose"], rel_tol=2e-3)
    assert found["fast"] < 0.9 * found["dose"]

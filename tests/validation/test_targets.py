"""The targets of the literature as `payloadfield verify` checks them, each with a control without its mechanism."""

import numpy as np
import pytest
from benchmarks import fits
from tests.references import krogh, retardation, slab, thiele

from payloadfield.compare.verify import TARGETS, cultures, exact, tissue
from payloadfield.compare.verify.checks import Check
from payloadfield.compare.verify.solving import Solver
from payloadfield.library import load_library

STIRRED = Solver("numpy")  # one voxel, few cells
SPATIAL = Solver("numba")
BY_NUMBER = {target.number: target for target in TARGETS}

pytestmark = pytest.mark.validate


def failed(checks):
    return [f"{each.what}: {each.got:g}, not {each.expected:g}" for each in checks if not each.passed]


@pytest.mark.parametrize("number", [1, 2, 4, 5, 6, 7])
def test_target_in_a_stirred_culture(number):
    checks = list(BY_NUMBER[number].check(STIRRED))
    assert checks and failed(checks) == []


@pytest.mark.parametrize("number", [3, 8, 9, 10])
def test_target_in_space(number):
    checks = list(BY_NUMBER[number].check(SPATIAL))
    assert checks and failed(checks) == []


# -- each target without what makes it ------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["SK-BR-3", "BT-474EEI"])
def test_a_fifth_less_internalisation_misses_the_chase(line):
    right, wrong = (cultures.chase(STIRRED, line, {"parameters.k_endo": f"{k} / s"}) for k in (4.27e-5, 0.8 * 4.27e-5))
    assert max(np.abs(np.array(wrong) / np.array(right) - 1)[:, -1]) > 0.05


def test_readings_of_the_spheroid_without_the_wash_are_far_off():
    entering, _ = tissue.spheroid_readings(SPATIAL, washed=False)
    published = load_library().find(tissue.MEASURED, "observation").quantity("model_entering.h2").value
    assert entering[0] / published - 1 > 0.1


def test_without_damage_no_dose_kills():
    off = {"parameters.k_damage": "0 / s"}
    assert cultures.alive(STIRRED, "assay", 1.0, {}, treated=off) == pytest.approx(1, abs=0.02)
    assert cultures.alive(STIRRED, "assay", 100, cultures.SN38, "payload", treated=off) == pytest.approx(1, abs=0.02)


def test_without_its_own_sensitivity_ncin87_would_stand_before_skbr3():
    alike = {"cell_types.NCI-N87.resistance": "[]"}
    assert cultures.half_dose(STIRRED, "NCI-N87", alike) < cultures.half_dose(STIRRED, "SK-BR-3")


def test_without_internalisation_release_does_not_rise_and_with_the_protease_of_tissue_it_is_far_off():
    still = [cultures.released(STIRRED, level, {"parameters.k_endo": "0 / s"}) for level in (6355, 419724)]
    assert still[1] == pytest.approx(still[0], rel=0.01)
    shed = cultures.released(STIRRED, 6355, {"parameters.protease_secretion": "24 molecules/s"})
    assert shed > 10 * 0.18


@pytest.mark.parametrize(
    "without", [{"cell_types.KPL-4.receptors": "0 molecules"}, {"modules.membrane_transport": False}]
)
def test_neighbours_live_where_no_cell_takes_conjugate_up_or_no_payload_passes_membranes(without):
    assert cultures.left_in_coculture(STIRRED, "T-DXd", without)[1] > 0.7


def test_a_saturating_dose_overcomes_the_barrier():
    assert tissue.far_share(SPATIAL, 1e6, {"schedule.0.dose": '{ "T-DM1" = "20 uM" }'}) > 0.9


def test_where_exit_keeps_its_ratio_to_entry_the_fastest_covers_most():
    times = list(tissue.uptake_half_lives().values())
    found = [tissue.coverage(SPATIAL, t, {"parameters.k_out": f"{np.log(2) / t / 1.43} / s"}) for t in times]
    assert (np.diff(found) < 0).all()


def test_the_front_with_a_tenth_less_retardation_is_outside_what_is_allowed():
    x = np.arange(2.5, 400, 5.0)
    right, wrong = (exact.front(x, 2e4, 0.5, f * exact.retardation(0.3, 0.256 / 0.074, 1.5)) for f in (1, 0.9))
    assert np.abs(right - wrong).max() / 7 > 2 * exact.ALLOWED


# -- what the checks compare with -----------------------------------------------------------------------------------


def test_exact_solutions_are_those_of_the_independent_references():
    x = np.arange(2.5, 200, 5.0)
    np.testing.assert_allclose(
        exact.slab(x, 200.0, 200.0), slab.slab_concentration(x, 200.0, 200.0, 60.0, 7.0), rtol=1e-6
    )
    np.testing.assert_allclose(exact.front(x, 9.0, 60.0, 3.0), slab.front_concentration(x, 9.0, 60.0, 7.0, 3.0))
    assert exact.retardation(0.3, 3.0, 1.5) == pytest.approx(retardation.retardation_factor(0.3, 3.0, 1.0, 1.5))
    assert exact.sphere_uptake(100.0, 0.02) == pytest.approx(thiele.uptake(100.0, 60.0, 0.02, 10.0))
    at_wall = krogh.first_order(20.0, 20.0, 80.0, 60.0, 0.01, 10.0, 0.4)
    inflow = 2 * np.pi * 20.0 * 0.4 * (10.0 - at_wall)
    assert exact.vessel_uptake(20.0, 80.0, 0.01, 0.4) == pytest.approx(inflow)


def test_a_check_of_a_wrong_number_fails():
    assert failed([Check("t", "x", 1.0, 1.2, "1", "relative", 0.01)]) == ["x: 1.2, not 1"]


# -- the fits -------------------------------------------------------------------------------------------------------


def in_library(name, kind, path):
    return load_library().find(name, kind).quantity(path)


def test_the_constants_of_damage_are_what_the_fits_find():
    death = fits.fit_dxd()
    found = {("DXd", "damage.K_death"): death, ("DXd", "damage.K_senescence"): death / 4}
    sn38 = fits.fit_sn38()
    found |= {("SN-38", "damage.K_death"): sn38[0], ("SN-38", "damage.K_senescence"): sn38[1]}
    dm1 = fits.fit_dm1()
    found |= {("Lys-SMCC-DM1", "damage.K_death"): dm1, ("Lys-SMCC-DM1", "damage.K_senescence"): dm1 / 4}
    for (payload, path), value in found.items():
        quantity = in_library(payload, "payload", path)
        assert quantity.grade == "fitted" and quantity.value == pytest.approx(value, rel=0.01), (payload, path)
    factor = in_library("TOP1-low", "resistance", "payload.target.concentration")
    assert factor.grade == "fitted" and factor.value == pytest.approx(fits.fit_top1(death), rel=0.01)


def test_the_degradation_of_trop2_in_the_study_of_release_is_what_the_fit_finds():
    rate, ratios = fits.fit_release()
    assert rate == pytest.approx(0.0874, rel=0.01)
    assert np.abs(np.log(ratios[1::2])).max() < np.log(3)  # of the levels it was not fitted to

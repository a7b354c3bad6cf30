"""Fates of the built-in mechanism and what goes with them, against their equations written down again."""

import numpy as np
import pytest
from tests.references import adc_fates as reference
from tests.references.modules import solve
from tests.wells import HOUR, agree, differ, settings, wells

MODULES = {
    "trafficking": True, "target_binding": True, "fate": True, "growth": True, "tki": True, "immune": True,
    "senolytic": True, "sasp": True, "lactate": True, "ros": True,
}  # fmt: skip
DAY = 24 * HOUR
# Every hazard turns over a part of the cells within days, and no exponent or share is one.
OWN = {
    "k_damage": 6e-5, "repair_time": 5 * HOUR, "K_death": 25.0, "K_senescence": 9.0, "damage_steepness": 1.6,
    "k_death": 0.9 / DAY, "death_lag": 15 * HOUR, "k_senescence": 0.7 / DAY, "k_reversion": 0.2 / DAY,
    "senescent_target": 0.3,
    "lysis_time": 2 * HOUR, "protection": 0.4, "k_persist": 0.5 / DAY, "k_return": 0.8 / DAY, "k_starvation": 0.3 / DAY,
    "k_attack": 0.4 / DAY, "EC50_attack": 0.05, "attack_steepness": 1.3,
    "doubling_time": 20 * HOUR, "capacity": 6e-4, "territory": 8000.0, "K_arrest": 2.5,
    "D_inhibitor": 578.0, "k_inhibitor_decay": 1e-5, "IC50_inhibitor": 15.0, "hill_inhibitor": 1.5,
    "inhibitor_response": 0.85, "myc_half_life": 1800.0, "antigen_fold": 4.0, "induction_half_time": 4 * HOUR,
    "reversion_half_time": 9 * HOUR,
    "D_effector": 150.0, "k_effector_loss": 1e-4, "effector_secretion": 10.0, "EC50_effector": 20.0,
    "hill_effector": 2.0, "effector_scale": 0.1,
    "D_senolytic": 400.0, "EC50_senolytic": 700.0, "senolytic_steepness": 1.8, "k_senolysis": 0.6 / DAY,
    "k_senolytic_decay": 4e-6,
    "D_sasp": 140.0, "sasp_secretion": 3.0, "sasp_baseline": 0.05, "k_sasp_loss": 5e-5,
    "D_lactate": 1300.0, "lactate_secretion": 1e8, "lactate_baseline": 0.5, "k_lactate_loss": 2e-6,
    "D_ros": 1800.0, "ros_secretion": 1e5, "ros_baseline": 0.2, "k_ros_loss": 1e-3,
}  # fmt: skip
START = {"payload": 60.0, "inhibitor": 20.0, "senolytic_drug": 400.0}
DAYS = (0.25, 1, 2, 4)


def fates(tmp_path, start=None, **changes):
    """Every quantity at the times, as the mechanism has it and as the equations do."""
    own = OWN | changes
    hours = tuple(24 * day for day in DAYS)
    found = wells(tmp_path, MODULES, hours, start=start or START, **own)
    s = settings(**own)
    return found, solve(reference.rates, reference.start(s, **(start or START)), np.array(hours) * HOUR, s)


@pytest.mark.parametrize(
    "changes",
    [{}, {"k_starvation": 0.0, "k_attack": 0.0, "k_senolysis": 0.0}],
    ids=["all of them", "without what else kills"],
)
def test_fates_and_what_goes_with_them_follow_their_equations(tmp_path, changes):
    found, expected = fates(tmp_path, **changes)
    agree(found, reference.NAMES, expected)
    assert min(found[name].max() for name in reference.FATES) > 0.03


# What each of these does is far above the agreement that is asked for above: (what is left out, what it shows in).
PARTS = {
    "inhibitor_response": (0.0, "cycling"),  # the inhibitor holds up division, starves, and makes persisters
    "protection": (0.0, "persister"),
    "lactate_baseline": (0.0, "lactate"),
    "sasp_baseline": (0.0, "sasp"),
    "ros_baseline": (0.0, "ros"),
    "k_attack": (0.0, "dead"),
    "k_senolysis": (0.0, "senescent"),
    "k_starvation": (0.0, "damaged"),
    "k_reversion": (0.0, "senescent"),
    "senescent_target": (1.0, "target"),
    "K_arrest": (1e9, "cycling"),
}


def test_every_part_of_them_matters(tmp_path):
    s = settings(**OWN)
    times = np.array(DAYS) * DAY
    whole = dict(zip(reference.NAMES, solve(reference.rates, reference.start(s, **START), times, s).T, strict=True))
    for name, (value, seen_in) in PARTS.items():
        s = settings(**(OWN | {name: value}))
        less = dict(zip(reference.NAMES, solve(reference.rates, reference.start(s, **START), times, s).T, strict=True))
        differ(whole, less, seen_in, 0.01)


DEGRADER = {
    "KD_target": 50.0, "KD_ligase": 200.0, "ligase_concentration": 100.0, "cooperativity": 5.0, "k_degrade": 2e-4,
    "target_concentration": 100.0, "loss_threshold": 0.3, "loss_steepness": 3.0,
}  # fmt: skip


def test_with_a_degrader_what_is_lost_of_the_target_dooms(tmp_path):
    hours, own = (6, 24, 72), OWN | DEGRADER
    on = {"target_binding": True, "fate": True, "degrader": True}
    found, s = wells(tmp_path, on, hours, start={"payload": 30.0}, **own), settings(**own)
    times = np.array(hours) * HOUR
    agree(
        found,
        reference.OF_DEGRADER,
        solve(reference.rates_with_degrader, reference.start_with_degrader(s, 30.0), times, s),
    )
    assert found["dead"][-1] > 0.3
    for name, value in (("loss_threshold", 0.7), ("loss_steepness", 1.0)):
        s = settings(**(own | {name: value}))
        unlike = solve(reference.rates_with_degrader, reference.start_with_degrader(s, 30.0), times, s)
        differ(found, dict(zip(reference.OF_DEGRADER, unlike.T, strict=True)), "dead", 0.02)


def test_a_dead_cell_loses_its_contents_with_their_half_life(tmp_path):
    on = {"target_binding": True, "fate": "sampled"}
    held = {"cycling": 0.0, "dead": 1.0, "payload_cytosol": 1e5, "payload_bound": 2e4}
    found, s = wells(tmp_path, on, (1, 3, 8), states=held, **OWN), settings(**OWN)
    left = 0.5 ** (np.array((1, 3, 8)) * HOUR / s.lysis_time)
    agree(
        found,
        ("payload_cytosol", "payload_bound", "payload"),
        np.array([1e5 * left, 2e4 * left, 1.2e5 * (1 - left) / s.M]).T,
    )

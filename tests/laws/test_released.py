"""Counts of payload released inside and outside: together they are all payload that no conjugate carries any more."""

import numpy as np
import pytest

from payloadfield.solver import Simulation
from payloadfield.study import load_study
from payloadfield.units import AVOGADRO_NM_UM3

STUDY = {
    "duration": "8 h",
    "grid": {"size": ["50 um", "40 um", "30 um"], "voxel": "10 um"},
    "cells": [
        {"type": "SK-BR-3", "count": 4, "place": "medium"},
        {"type": "fibroblast", "count": 4, "place": "medium"},
    ],
    "agent": "T-DXd",
    "initial": {"fields": {"adc": "200 nM"}},
}
SLOW, FAST = ({"k_dec": "2e-6 / s", "kcat_over_km": value} for value in ("1e4 / M / s", "1e7 / M / s"))
STEPS = {"dar_species": {"k_dec_1": "0.1 / day", "k_dec_2": "0.3 / day", "k_dec_high": "0.4 / day"}}
CASES = {
    "slow": (SLOW, {}),
    "fast": (FAST, {}),
    "by species, saturated": (
        FAST | {"KM_protease": "50 nM"},
        {"dar_species": True, "extracellular_cleavage": "saturated"},
    ),
    "by species, stepwise": (FAST | STEPS, {"dar_species": "stepwise"}),
    "vesicles and acid": (SLOW | {"acid_share": 0.4}, {"vesicles": True, "acid_release": True}),
}


def solve(linker, modules):
    study = load_study({**STUDY, "agents": {"T-DXd": {"linker": linker}}, "modules": modules})
    sim = Simulation(study, "numpy")
    sim.run()
    return sim


@pytest.fixture(scope="module", params=CASES)
def end(request):
    linker, modules = CASES[request.param]
    return solve(linker, modules | {"released": True}), linker, modules


def payload_on(name, dar):
    """Payload molecules on one of a species of conjugate, 0 for what is none."""
    eighths = {"adc": 8, "vesicle_adc": 8, "complex": 8, "complex_endosomal": 8, "vesicle_cargo": 8}
    return dar / 8 * (eighths | {f"adc_{n}": n for n in range(1, 8)}).get(name, 0)


def test_what_was_released_is_what_no_conjugate_carries(end):
    sim, *_ = end
    study, mechanism, state = sim.study, sim.study.mechanism, sim.state
    inside = sim.cell_state("released_inside").sum()
    counted = [item.name for item in mechanism.accumulators].index("released_outside")
    outside = state.accumulators[counted] * AVOGADRO_NM_UM3
    dar = study.parameters[mechanism.study_parameters.index("DAR")]
    volume = study.geometry.grid.spacing**3 * AVOGADRO_NM_UM3
    fields = zip(mechanism.field_names, state.fields, strict=True)
    carried = sum(payload_on(name, dar) * values.sum() * volume for name, values in fields)
    carried += sum(payload_on(name, dar) * sim.cell_state(name).sum() for name in mechanism.state_names)
    payload = next(line for line in sim.ledger if line.moiety == "payload")
    assert inside > 0 and outside > 0
    assert inside + outside == pytest.approx(payload.initial - carried, rel=1e-9)


def test_acid_releases_its_share_and_without_one_nothing():
    modules = CASES["vesicles and acid"][1] | {"released": True}
    with_acid = solve(*CASES["vesicles and acid"][:1], modules)
    by_acid, inside = (with_acid.cell_state(name).sum() for name in ("released_by_acid", "released_inside"))
    assert 0 < by_acid < 0.4 * inside  # of what is cleaved; the rest is what antibodies lose as they are degraded
    without = solve(SLOW, modules)
    assert not without.cell_state("released_by_acid").any()
    assert without.cell_state("released_inside").sum() == pytest.approx(inside, rel=2e-3)


def test_counting_changes_nothing_else(end):
    sim, *same = end
    plain = solve(*same)
    for name in ("payload_cytosol", "payload_bound"):
        np.testing.assert_allclose(sim.cell_state(name), plain.cell_state(name), rtol=2e-3)

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
    "modules": {"released": True},
}


@pytest.fixture(scope="module", params=["1e4 / M / s", "1e7 / M / s"])
def end(request):
    study = load_study(STUDY, [f"agents.T-DXd.linker.kcat_over_km={request.param}"])
    sim = Simulation(study)
    sim.run()
    return study, sim


def test_what_was_released_is_what_no_conjugate_carries(end):
    study, sim = end
    mechanism, state = study.mechanism, sim.state
    inside = sim.cell_state("released_inside").sum()
    counted = [item.name for item in mechanism.accumulators].index("released_outside")
    outside = state.accumulators[counted] * AVOGADRO_NM_UM3
    dar = study.parameters[mechanism.study_parameters.index("DAR")]
    volume = study.geometry.grid.spacing**3
    carried = state.fields[mechanism.field_names.index("adc")].sum() * volume * AVOGADRO_NM_UM3
    carried += sum(sim.cell_state(name).sum() for name in ("complex", "complex_endosomal"))
    payload = next(line for line in sim.ledger if line.moiety == "payload")
    assert inside > 0 and outside > 0
    assert inside + outside == pytest.approx(payload.initial - dar * carried, rel=1e-9)


def test_counting_changes_nothing_else(end):
    study, sim = end
    key = "agents.T-DXd.linker.kcat_over_km"
    value = next(source for source in study.sources if source.key == key)
    plain = Simulation(load_study({**STUDY, "modules": {}}, [f"{key}={value.value!r} {value.unit}"]))
    plain.run()
    for name in ("payload_cytosol", "payload_bound"):
        np.testing.assert_allclose(sim.cell_state(name), plain.cell_state(name), rtol=2e-3)

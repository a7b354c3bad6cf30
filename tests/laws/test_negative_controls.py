"""What must not happen, and what must: taking away a cause takes away its effect and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from tests import scenarios
from tests.references.reaction_text import AVOGADRO
from tests.running import run

HOUR = scenarios.HOUR
DOSE = [(0.0, {"adc": 50.0}, 0.0)]


def values(trace, *names):
    """Sums over the cells of some states at the end, as a list."""
    return [trace.sim.cell_state(name).sum() for name in names]


def amount_in_medium(trace, k, name):
    """Amount of a field in the open voxels at output k [molecules]."""
    f = trace.sim.study.mechanism.field_names.index(name)
    return AVOGADRO * trace.sim.plan.field_capacity(f) @ trace.fields[k][f]


def with_cells(study, **changes):
    """A study whose cell parameters are changed: {name: value}."""
    table = study.cell_parameters.copy()
    for name, value in changes.items():
        table[study.mechanism.cell_parameters.index(name)] = value
    return replace(study, cell_parameters=table)


def test_washout_removes_free_payload_but_not_bound_payload():
    fast = {"k_on_target": 1e-2, "KD_target": 1e-3, "target_concentration": 400.0, "k_target": 0.0, "k_dec": 1e-5}
    schedule = [(0.0, {"payload": 20.0}, 0.0)] + [(6 * HOUR + 600.0 * k, {}, 1.0) for k in range(6)]
    trace = run(scenarios.infinite_bath(schedule=schedule, parameters=fast, outputs=[6 * HOUR - 1.0, 12 * HOUR]))
    bound = trace.sim.study.mechanism.state_names.index("payload_bound")
    assert amount_in_medium(trace, 1, "payload") < 0.05 * amount_in_medium(trace, 0, "payload")
    assert trace.states[1][bound].sum() > 0.8 * trace.states[0][bound].sum()


def test_without_antigen_nothing_is_bound_or_taken_in():
    study = scenarios.infinite_bath(schedule=DOSE)
    empty = study.initial_states.copy()
    empty[[study.mechanism.state_names.index(n) for n in ("receptor", "receptor_endosomal")]] = 0.0
    trace = run(replace(with_cells(study, receptors=0.0), initial_states=empty))
    assert values(trace, "complex", "complex_endosomal", "payload_lysosome") == [0.0, 0.0, 0.0]
    assert min(values(run(study), "complex", "complex_endosomal", "payload_lysosome")) > 0


def test_without_a_dose_there_is_no_payload_anywhere():
    trace = run(scenarios.infinite_bath(schedule=[]))
    assert values(trace, "payload_cytosol", "payload_bound", "payload_exposure") == [0.0, 0.0, 0.0]
    assert np.nanmax(np.abs(trace.sim.field_on_grid("payload"))) == 0.0


def test_naked_antibody_keeps_conjugate_out():
    alone = run(scenarios.infinite_bath(schedule=DOSE))
    crowded = run(scenarios.infinite_bath(schedule=[(0.0, {"adc": 50.0, "antibody": 500.0}, 0.0)]))
    assert values(crowded, "complex")[0] < 0.3 * values(alone, "complex")[0]
    assert values(crowded, "payload_lysosome")[0] < 0.3 * values(alone, "payload_lysosome")[0]


@pytest.mark.parametrize(("cleavable", "rises"), [(3e-3, True), (0.0, False)])
def test_protease_raises_release_only_from_a_cleavable_linker(cleavable, rises):
    study = scenarios.infinite_bath(schedule=DOSE, parameters={"kcat_over_km": cleavable})
    with_protease = amount_in_medium(run(with_cells(study, protease_secretion=50.0)), 2, "payload")
    without = amount_in_medium(run(with_cells(study, protease_secretion=0.0)), 2, "payload")
    assert with_protease > 1.5 * without if rises else with_protease == pytest.approx(without, rel=1e-6)


def test_payload_that_cannot_enter_exposes_no_neighbour():
    impermeable = scenarios.infinite_bath(schedule=DOSE, parameters={"k_in": 0.0})
    assert values(run(impermeable), "payload_exposure") == [0.0]


def test_walls_keep_the_dose_out_of_a_closed_pocket():
    study = replace(scenarios.closed_pocket(), initial_fields=np.zeros(4))
    trace = run(replace(study, schedule=scenarios.infinite_bath(schedule=DOSE).schedule))
    pockets = study.pockets.label.ravel()[trace.sim.plan.voxel]
    inside = trace.sim.state.fields[0][pockets == 1]
    assert inside.size >= 4 and np.abs(inside).max() == 0.0
    assert trace.sim.state.fields[0][pockets == 0].min() > 0

"""No moiety appears or vanishes: at every step, through doses, washes, a finite bath and closed pockets."""

from dataclasses import replace

import numpy as np
import pytest
from tests import handmade, scenarios, tolerances
from tests.references.reaction_text import AVOGADRO
from tests.running import BACKENDS, run


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scenario", scenarios.SCENARIOS, ids=lambda s: s.__name__)
def test_every_moiety_is_balanced_at_every_step(scenario, backend):
    trace = scenarios.solved(scenario, backend)
    names = trace.sim.study.mechanism.moieties
    assert len(trace.records) > 20
    for record in trace.records:
        assert set(record.balance) == set(names)
        for moiety in names:
            assert abs(record.balance[moiety]) < tolerances.BALANCE, (moiety, record.time)


def amounts(trace, moiety):
    """Molecules of a moiety in fields, cells, bath and losses, counted here and not by the ledger."""
    sim, plan = trace.sim, trace.sim.plan
    m = sim.study.mechanism.moieties.index(moiety)
    capacity = np.array([plan.field_capacity(f) for f in range(plan.n_fields)])
    fields = AVOGADRO * plan.moiety_of_field[m] @ (sim.state.fields * capacity).sum(1)
    volume = sim.study.bath.volume
    bath = AVOGADRO * volume * plan.moiety_of_field[m] @ sim.state.bath if np.isfinite(volume) else 0.0
    cells = plan.moiety_of_state[m] @ sim.state.states.sum(1)
    return fields + bath + cells + AVOGADRO * plan.moiety_of_accumulator[m] @ sim.state.accumulators


def test_dose_is_what_a_recount_finds_before_the_wash_and_less_after_it():
    study = scenarios.finite_bath()
    dosed = scenarios.ADC["DAR"] * 50.0 * study.bath.volume * AVOGADRO
    before = run(replace(study, duration=5.9 * scenarios.HOUR))
    assert amounts(before, "payload") == pytest.approx(dosed, rel=1e-10)
    assert amounts(scenarios.solved(scenarios.finite_bath), "payload") < 0.9 * dosed


def test_ledger_says_what_a_recount_finds():
    trace = scenarios.solved(scenarios.finite_bath)
    for line in trace.sim.ledger:
        there = line.in_fields + line.in_cells + line.in_bath + line.lost
        assert there == pytest.approx(amounts(trace, line.moiety), rel=1e-12)
        assert line.initial + line.dosed + line.entered - line.left - line.washed == pytest.approx(
            there, rel=tolerances.BALANCE
        )


def test_balance_of_a_loop_with_no_losses_stays_in_cells_medium_and_bath():
    quiet = {"k_open": 0.0}
    trace = run(scenarios.loop_of_fields(parameters=quiet, schedule=[(0.0, {"lactone": 30.0}, 0.0)]))
    expected = 30.0 * trace.sim.study.bath.volume * AVOGADRO
    assert amounts(trace, "drug") == pytest.approx(expected, rel=1e-10)


def test_a_loose_step_does_not_loosen_the_balance():
    trace = run(scenarios.closed_pocket(solver=handmade.make_solver(rtol=0.3)))
    assert max(abs(b) for record in trace.records for b in record.balance.values()) < tolerances.BALANCE

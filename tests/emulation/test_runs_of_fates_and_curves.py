"""Whole runs of the GPU backend's program with fates and with baths that follow curves, against the reference."""

from dataclasses import replace

import numpy as np
import pytest
from tests import fate_studies, tolerances
from tests.emulation.test_whole_runs import (
    QUANTITIES,
    TOLERANCE,
    FixedReference,
    compare,
    fixed,  # noqa: F401 - a fixture
    largest_defect,
    make_case,
    make_machine,
)

from payloadfield.errors import BackendError
from payloadfield.solver import BatchSimulation
from payloadfield.solver.device import engine
from payloadfield.solver.device.simulation import DeviceBatch, DeviceSimulation, simulate_on_device
from payloadfield.study import Decay, Event, Tabulated

# --- fates -----------------------------------------------------------------------------------------------


def make_fates(mode="expected"):
    """Cells close together that become senescent, die, or tolerate the drug for a while."""
    return fate_studies.make_study(mode, n_cells=3, hours=96.0, edge=fate_studies.SMALL, shape=(3, 4, 3), drug=2000.0)


def test_expected_fates_are_those_of_the_reference(fixed, monkeypatch):  # noqa: F811
    monkeypatch.setattr(engine, "RESIDUAL_LIMIT", np.inf)
    study = make_fates()
    sim = simulate_on_device(study, make_machine)
    records = sim.run()
    expected, twins = fixed(study)
    assert len(records) == len(twins) > 10
    assert [r.worst_quantity for r in records] == [r.worst_quantity for r in twins]
    compare(sim, expected, TOLERANCE["float64"])
    assert largest_defect(records) < tolerances.BALANCE
    found, twin = sim.commitments(), expected.commitments()
    assert set(found) == set(twin) and any(np.isfinite(times).all() for times in twin.values())
    assert any(np.isnan(times).any() for times in twin.values())
    for name, times in twin.items():
        np.testing.assert_allclose(found[name], times, rtol=1e-8)


def test_fates_continue_to_the_bit():
    study = make_fates()
    first, again = (simulate_on_device(study, make_machine) for _ in range(2))
    first.run(until=16 * 3600.0)
    again.restore(first.checkpoint())
    first.run()
    again.run()
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(getattr(again.state, quantity), getattr(first.state, quantity))
    for name, times in first.commitments().items():
        np.testing.assert_array_equal(again.commitments()[name], times)


def test_fates_that_are_drawn_are_refused():
    with pytest.raises(BackendError, match=r'fates are drawn \(fate = "expected" is solved\)'):
        simulate_on_device(make_fates("sampled"), make_machine)


# --- baths that follow curves ----------------------------------------------------------------------------

DECAY = Decay(0.0, np.array([30.0, 20.0]), np.array([0.1, 0.002]))
TIMES, VALUES = np.array([0.0, 7.0, 18.0]), np.array([0.0, 40.0, 10.0])
CURVES = {
    "decay": {0: DECAY},
    "lines": {0: Tabulated(TIMES, VALUES, None)},
    "cubic": {0: Tabulated(TIMES, VALUES, np.array([9.0, 0.0, -1.0])), 1: DECAY},
}


def make_driven(name, case="infinite_bath"):
    """A bath that follows curves until an event sets one of its fields; a dose of another comes in between."""
    events = Event(0.0, {}, curve=CURVES[name]), Event(12.0, {2: 3.0}), Event(24.0, {0: 2.5})
    return replace(make_case(case), schedule=events)


@pytest.mark.parametrize(
    "name", ["cubic", *(pytest.param(name, marks=pytest.mark.validate) for name in ("decay", "lines"))]
)
def test_a_bath_that_follows_a_curve_is_that_of_the_reference(name, fixed):  # noqa: F811
    sim = simulate_on_device(make_driven(name), make_machine)
    records = sim.run(until=20.0)
    expected, twins = fixed(sim.study, until=20.0)
    assert len(records) == len(twins) > 10
    assert [(r.event, r.outputs) for r in records] == [(r.event, r.outputs) for r in twins]
    compare(sim, expected, TOLERANCE["float64"])
    assert sim.state.bath[0] == pytest.approx(CURVES[name][0].value(20.0), rel=1e-12)
    assert largest_defect(records) < tolerances.BALANCE
    sim.run()
    expected.run()
    compare(sim, expected, TOLERANCE["float64"])
    assert sim.state.bath[0] == 2.5


def test_a_run_whose_bath_stays_is_another(monkeypatch):
    """A control: without the rows of the curves the bath stays."""
    driven, still = (simulate_on_device(make_driven("decay"), make_machine) for _ in range(2))
    driven.run(until=4.0)
    monkeypatch.setattr(DeviceSimulation, "curve_pieces", lambda self: {})
    still.run(until=4.0)
    assert abs(driven.state.fields[0].sum() / still.state.fields[0].sum() - 1.0) > 0.05


@pytest.mark.validate
def test_designs_of_a_batch_follow_curves_of_their_own(fixed):  # noqa: F811
    studies = [make_driven("lines"), make_driven("cubic"), make_case("infinite_bath")]
    batch, expected = DeviceBatch(studies, make_machine), BatchSimulation(studies, "numpy")
    for design in expected.designs:
        design.backend.__class__ = FixedReference
    assert len(batch.run(until=13.0)) == len(expected.run(until=13.0))
    for design, twin in zip(batch.designs, expected.designs, strict=True):
        compare(design, twin, TOLERANCE["float64"])


def test_pieces_of_a_curve_are_the_curve():
    for curve in (DECAY, *CURVES["lines"].values(), *CURVES["cubic"].values()):
        for time in (0.0, 3.0, 7.0, 11.0, 18.0, 30.0):
            piece = curve.piece(time)
            s = time - piece.start
            exponentials = piece.amplitudes * np.exp(-piece.rates * s)
            value = np.polyval(piece.cubic[::-1], s) + exponentials.sum()
            slope = np.polyval(np.polyder(piece.cubic[::-1]), s) - (piece.rates * exponentials).sum()
            assert (value, slope) == pytest.approx((curve.value(time), curve.slope(time)), rel=1e-12, abs=1e-14)

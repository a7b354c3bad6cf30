"""T-DM1 on cells, washed and chased (Scheuher et al. 2023), by the built-in mechanism in a small well-mixed volume."""

from dataclasses import asdict

import numpy as np
import pytest
from tests import handmade, tolerances
from tests.references import wellmixed
from tests.running import BACKENDS, run

UNUSED = {"kcat_over_km": 0.0, "k_decay": 0.0, "k_protease_loss": 0.0, "protease_secretion": 0.0}
DIFFUSIVITIES = {"D_adc": 60.0, "D_antibody": 60.0, "D_payload": 500.0, "D_protease": 100.0}


def chase(settings, backend="numba", hours=wellmixed.SURFACE_HOURS, rtol=1e-2, **changes):
    """One cell per 1e5 um^3 of closed medium, every surface receptor holding a conjugate at the start."""
    geometry = handmade.make_box((2, 2, 2), (wellmixed.MEDIUM_PER_CELL / 8) ** (1 / 3))
    values = asdict(settings) | UNUSED | DIFFUSIVITIES | changes
    cells = handmade.make_cells([{v: 1.0 for v in range(8)}], geometry.grid.shape, geometry.grid.spacing)
    study = handmade.make_study(
        "adc", geometry, duration=max(hours) * wellmixed.HOUR, cells=cells, parameters=values,
        initial_states={"receptor": 0.0, "complex": settings.receptors}, outputs=np.array(hours) * wellmixed.HOUR,
        solver=handmade.make_solver(rtol),
    )  # fmt: skip
    return summary(run(study, backend), settings)


def summary(trace, settings):
    """Surface fraction, intracellular unconjugated payload [nM], medium payload [nM] at the output times."""
    mechanism = trace.sim.study.mechanism
    at = [trace.times.index(t) for t in trace.times if t > 0]
    states = {name: np.array(trace.states)[at, i, 0] for i, name in enumerate(mechanism.state_names)}
    inside = states["payload_lysosome"] + states["payload_cytosol"] + states["payload_bound"]
    payload = np.array(trace.fields)[at, mechanism.field_names.index("payload")].mean(1)
    return states["complex"] / settings.receptors, inside / (settings.volume * wellmixed.AVOGADRO), payload


@pytest.mark.parametrize("backend", BACKENDS)
def test_pulse_chase_on_SK_BR_3_gives_the_published_figures(backend):
    surface, inside, medium = chase(wellmixed.SK_BR_3, backend, rtol=1e-3)
    np.testing.assert_allclose(surface, wellmixed.SURFACE_FRACTION, rtol=tolerances.PUBLISHED)
    np.testing.assert_allclose(inside, wellmixed.INTRACELLULAR, rtol=tolerances.PUBLISHED)
    np.testing.assert_allclose(medium, wellmixed.MEDIUM, rtol=tolerances.PUBLISHED)


@pytest.mark.parametrize(("settings", "inside", "medium"), wellmixed.TARGET_2)
def test_pulse_chase_on_other_lines_gives_the_published_figures(settings, inside, medium):
    _, found_inside, found_medium = chase(settings, hours=(24,))
    assert found_inside[-1] == pytest.approx(inside, rel=tolerances.PUBLISHED)
    assert found_medium[-1] == pytest.approx(medium, rel=tolerances.PUBLISHED)


def test_pulse_chase_at_the_default_tolerance_is_within_a_percent_of_its_equations():
    for found, expected in zip(chase(wellmixed.SK_BR_3), wellmixed.pulse_chase(wellmixed.SK_BR_3), strict=True):
        np.testing.assert_allclose(found, expected, rtol=tolerances.PUBLISHED)


def test_pulse_chase_agrees_with_its_own_equations_solved_tightly():
    for found, expected in zip(
        chase(wellmixed.SK_BR_3, rtol=1e-4), wellmixed.pulse_chase(wellmixed.SK_BR_3), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_pulse_chase_with_a_fifth_less_internalisation_misses_the_figures():
    surface, _, _ = chase(wellmixed.SK_BR_3, k_endo=0.8 * wellmixed.SK_BR_3.k_endo)
    assert np.abs(surface / wellmixed.SURFACE_FRACTION - 1).max() > 5 * tolerances.PUBLISHED

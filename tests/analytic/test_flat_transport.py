"""Diffusion in boxes against exact solutions: a decaying mode, a slab, a front, and a front slowed by cells."""

import numpy as np
import pytest
from tests import handmade, tolerances
from tests.references import modes, retardation, slab
from tests.running import BACKENDS, observed_order, relative_error, run

D, FACE = 60.0, 7.0


def column(n, spacing, **options):
    """A column of n voxels along x, three by two across, open to the bath at x = 0."""
    geometry = handmade.make_box((2, 3, n), spacing)
    options = {"boundary": {"x_low": "bath"}, "schedule": [(0.0, {"solute": FACE}, 0.0)]} | options
    return handmade.make_study("diffusion", geometry, **options)


def along_x(trace, study):
    """Concentrations along x, the same in every row of voxels across."""
    rows = trace.sim.field_on_grid("solute").reshape(-1, study.geometry.grid.shape[2])
    np.testing.assert_allclose(rows, np.broadcast_to(rows[0], rows.shape), atol=1e-4 * np.abs(rows).max())
    return study.geometry.grid.centres(2), rows[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_cosine_mode_decays_at_the_rate_of_the_stencil(backend):
    shape, h, k_decay, end = (5, 6, 7), 10.0, 1e-2, 0.5
    study = handmade.make_study(
        "diffusion", handmade.make_box(shape, h), duration=end, parameters={"k_decay": k_decay},
        initial={"solute": 1.0}, solver=handmade.make_solver(rtol=1e-5, precision="float64"),
    )  # fmt: skip
    numbers, lengths = (2, 1, 3), [n * h for n in shape]
    mode = np.ones(shape)
    for axis, k in enumerate(numbers):
        mode *= modes.mode_values(study.geometry.grid.centres(axis), lengths[axis], k).reshape(
            np.roll((-1, 1, 1), axis)
        )
    trace = run(study, backend, start={"solute": 3.0 + mode.ravel()})
    rate = modes.discrete_rate(D, lengths, numbers, h, k_decay)
    expected = 3.0 * np.exp(-k_decay * end) + mode * np.exp(-rate * end)
    assert relative_error(trace.sim.field_on_grid("solute"), expected) < tolerances.TIGHT_TIME
    assert abs(np.exp(-rate * end) - np.exp(-modes.continuous_rate(D, lengths, numbers, k_decay) * end)) > 1e-3


def test_slab_fills_as_its_series_says_with_second_order_in_space():
    errors, sizes = [], (20.0, 10.0, 5.0)
    for h in sizes:
        study = column(round(200 / h), h, duration=200.0, solver=handmade.make_solver(rtol=1e-6))
        x, found = along_x(run(study), study)
        errors.append(relative_error(found, slab.slab_concentration(x, 200.0, 200.0, D, FACE)))
    assert errors[-1] < tolerances.EXACT_SOLUTION
    assert observed_order(errors, sizes).min() > tolerances.ORDER_SLAB


def test_slab_takes_up_the_amount_of_its_series():
    study = column(40, 5.0, duration=150.0, solver=handmade.make_solver(rtol=1e-4))
    trace = run(study)
    amount = np.nansum(trace.sim.field_on_grid("solute")) * 5.0**3 / (2 * 3 * 25.0)
    assert amount == pytest.approx(slab.slab_uptake(150.0, 200.0, D, FACE), rel=tolerances.EXACT_SOLUTION)


def test_front_from_a_face_is_the_error_function():
    study = column(80, 5.0, duration=150.0, solver=handmade.make_solver(rtol=1e-3))
    x, found = along_x(run(study), study)
    assert relative_error(found, slab.front_concentration(x, 150.0, D, FACE)) < tolerances.EXACT_SOLUTION


@pytest.mark.parametrize("bound_per_free", [0.0, 1.5])
def test_reversible_uptake_slows_a_front_by_the_retardation_factor(bound_per_free):
    n, h, end, share = 80, 5.0, 2e4, 0.3
    geometry = handmade.make_box((1, 1, n), h)
    cells = handmade.make_cells([{i: 1.0} for i in range(n)], geometry.grid.shape, h)
    rates = {"D": 0.5, "k_in": 0.256, "k_out": 0.074, "k_bind": 0.1 * bound_per_free, "k_release": 0.1}
    study = handmade.make_study(
        "exchange", geometry, duration=end, cells=cells, parameters=rates, of_cells={"volume": share * h**3},
        boundary={"x_low": "bath"}, schedule=[(0.0, {"solute": FACE}, 0.0)], solver=handmade.make_solver(rtol=1e-3),
    )  # fmt: skip
    found = run(study).sim.field_on_grid("solute").ravel()
    factor = retardation.retardation_factor(share, rates["k_in"], rates["k_out"], bound_per_free)
    x = geometry.grid.centres(2)
    assert relative_error(found, slab.front_concentration(x, end, 0.5, FACE, factor)) < tolerances.EXACT_SOLUTION
    assert (
        relative_error(found, slab.front_concentration(x, end, 0.5, FACE, 0.95 * factor))
        > 2 * tolerances.EXACT_SOLUTION
    )

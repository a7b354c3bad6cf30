"""A bath that follows a curve: exact solutions, order in time, bends of a table, and the balance."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import expm
from tests import handmade, tolerances
from tests.references import driven_slab
from tests.running import observed_order, relative_error, run

from payloadfield.solver import Simulation, State
from payloadfield.solver.rosenbrock import Stepper
from payloadfield.study import Decay, Event, Tabulated

D, LENGTH, N = 60.0, 300.0, 60
AMPLITUDES, RATES = np.array([6.0, 4.0]), np.array([1 / 400.0, 1 / 5000.0])
END = 1200.0
EXACT = 1e-24  # a tolerance at which linear problems are solved to rounding
ORDER = 2.85  # measured 2.95 with equal steps


def slab(curve, n=N, rtol=1e-4, duration=END, outputs=(), more=()):
    """A slab of one row of voxels, its upper face at a bath that follows a curve."""
    geometry = handmade.make_box((n, 1, 1), LENGTH / n)
    study = handmade.make_study(
        "diffusion", geometry, duration=duration, parameters={"D": D}, boundary={"z_high": "bath"}, outputs=outputs,
        solver=handmade.make_solver(rtol=rtol),
    )  # fmt: skip
    return replace(study, schedule=(Event(0.0, {}, curve={0: curve}), *more))


def decaying(start=0.0):
    return Decay(start, AMPLITUDES, RATES)


def places(study):
    """Distance of every voxel's centre from the bath [um]."""
    return LENGTH - study.geometry.grid.centres(0)


def semidiscrete(study, time, amplitudes=AMPLITUDES, rates=RATES):
    """The equations between voxels solved exactly: u' = K u + g b(t), b a sum of exponentials as further rows."""
    n, h = study.geometry.grid.shape[0], study.geometry.grid.spacing
    matrix = np.zeros((n + len(rates), n + len(rates)))
    for i in range(n - 1):
        matrix[[i, i + 1, i, i + 1], [i, i, i + 1, i + 1]] += np.array([-1, 1, 1, -1]) * D / h**2
    matrix[n - 1, n - 1] -= 2 * D / h**2
    matrix[n - 1, n:] = 2 * D / h**2
    matrix[range(n, n + len(rates)), range(n, n + len(rates))] = -rates
    start = np.concatenate([np.zeros(n), amplitudes])
    return (expm(matrix * time) @ start)[:n]


def test_a_slab_follows_the_series_solution_of_a_decaying_face():
    study = slab(decaying())
    found = run(study).sim.field_on_grid("solute").ravel()
    expected = driven_slab.slab_concentration(places(study), END, LENGTH, D, AMPLITUDES, RATES)
    assert relative_error(found, expected) < tolerances.EXACT_SOLUTION


def test_the_face_that_stays_at_its_first_value_would_be_seen():
    """Negative control: a constant bath is far from the series."""
    study = slab(Decay(0.0, AMPLITUDES, np.zeros(2)))
    expected = driven_slab.slab_concentration(places(study), END, LENGTH, D, AMPLITUDES, RATES)
    assert relative_error(run(study).sim.field_on_grid("solute").ravel(), expected) > 0.3


def errors_with_equal_steps(n_steps, curve, start_time, reference):
    """Error at the end of a smooth stretch taken in equal steps, started from the exact solution between voxels."""
    study = slab(curve)
    sim = Simulation(study, "numba")
    stepper = Stepper(sim.plan, sim.backend, EXACT, np.zeros(1))
    stepper.curves = {0: curve}
    state, new = sim.state, State.zeros(sim.plan)
    state.time, state.fields[0], dt = start_time, semidiscrete(study, start_time), (END - start_time) / n_steps
    for _ in range(n_steps):
        stepper.attempt(state, dt, new)
        state, new = new, state
    return relative_error(state.fields[0], reference)


def test_equal_steps_keep_order_three_with_a_bath_that_moves():
    steps = np.array([8, 16, 32, 64])
    reference = semidiscrete(slab(decaying()), END)
    errors = [errors_with_equal_steps(n, decaying(), 300.0, reference) for n in steps]
    assert observed_order(errors, 1 / steps)[-2:].min() > ORDER, errors


def test_a_bath_held_still_during_each_step_would_be_of_first_order():
    """Negative control: stages that see the bath of the step's start."""
    steps, errors = np.array([16, 32, 64]), []
    reference = semidiscrete(slab(decaying()), END)
    for n in steps:

        class Held(Decay):
            dt = (END - 300.0) / n

            def value(self, time):
                return super().value(300.0 + np.floor((time - 300.0) / self.dt * (1 - 1e-9)) * self.dt)

            def slope(self, time):
                return 0.0

        errors.append(errors_with_equal_steps(n, Held(0.0, AMPLITUDES, RATES), 300.0, reference))
    assert observed_order(errors, 1 / steps)[-1] < 1.5, errors


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_the_amount_that_entered_is_the_amount_inside(backend):
    """The ledger is checked at every step by `run`; here the inflow itself against the field."""
    trace = run(slab(decaying(), rtol=1e-2), backend)
    inside = trace.sim.field_on_grid("solute").sum() * (LENGTH / N) ** 3
    assert trace.sim.state.inflow[0] == pytest.approx(inside, rel=1e-12)


def test_the_bath_is_the_curve_until_an_event_of_its_field_ends_it():
    times = (300.0, 600.0, 900.0, END)
    trace = run(slab(decaying(), outputs=times, more=[Event(600.0, {0: 2.5}), Event(900.0, {}, 0.5)]))
    assert [b[0] for b in trace.baths] == pytest.approx([decaying().value(300.0), 2.5, 1.25, 1.25], rel=1e-12)
    washed = run(slab(decaying(), outputs=times, more=[Event(300.0, {}, 0.5)]))
    half = 0.5 * decaying().value(300.0)
    assert [b[0] for b in washed.baths] == pytest.approx([half] * 4, rel=1e-12)


def peaked(slopes=None):
    """A table with a short, high peak in the middle of the run, which a long step could jump over."""
    return Tabulated(np.array([0.0, 500.0, 510.0, 520.0, 2 * END]), np.array([0.0, 0.0, 50.0, 0.0, 0.0]), slopes)


def test_steps_land_on_the_bends_of_a_table_and_see_a_short_peak():
    study = slab(peaked(), outputs=[END])
    trace = run(study)
    reached = [record.time for record in trace.records]
    assert all(any(abs(t - bend) < 1e-6 for t in reached) for bend in (500.0, 510.0, 520.0))
    matrix_time, step = np.zeros(N), 0.25
    for k in range(80):  # the peak as 80 boxes, each followed exactly
        height = 50.0 * (1 - abs((k + 0.5) * step - 10.0) / 10.0)
        box = semidiscrete(study, END - 500.0 - k * step, np.array([height]), np.zeros(1))
        matrix_time += box - semidiscrete(study, END - 500.0 - (k + 1) * step, np.array([height]), np.zeros(1))
    assert relative_error(trace.sim.field_on_grid("solute").ravel(), matrix_time) < 1e-3


def test_a_run_continued_inside_a_curve_goes_on_bit_for_bit():
    whole = Simulation(slab(decaying(), rtol=1e-2), "numba")
    records = list(whole.steps())
    half = Simulation(slab(decaying(), rtol=1e-2), "numba")
    steps = half.steps()
    for _ in range(len(records) // 2):
        next(steps)
    again = Simulation(slab(decaying(), rtol=1e-2), "numba")
    again.restore(half.checkpoint())
    again.run()
    assert np.array_equal(again.state.fields, whole.state.fields)
    assert np.array_equal(again.state.bath, whole.state.bath)


def test_a_monotone_cubic_passes_its_points_without_overshoot_and_its_slope_is_its_derivative():
    from scipy.interpolate import PchipInterpolator

    t, c = np.array([0.0, 10.0, 30.0, 70.0]), np.array([0.0, 8.0, 9.0, 1.0])
    pchip = PchipInterpolator(t, c)
    curve = Tabulated(t, c, pchip.derivative()(t))
    for time in np.linspace(0.0, 69.9, 50):
        assert curve.value(time) == pytest.approx(float(pchip(time)), rel=1e-12, abs=1e-12)
        assert curve.slope(time) == pytest.approx(float(pchip.derivative()(time)), rel=1e-9, abs=1e-9)
    assert curve.value(1e6) == 1.0 and curve.slope(1e6) == 0.0

"""The exact solutions satisfy their equations, and the re-solved models the figures they were published with."""

import numpy as np
import pytest
from tests.references import krogh, modes, retardation, slab, spheroid, thiele, wellmixed


def second_difference(function, x, step):
    return (function(x + step) - 2 * function(x) + function(x - step)) / step**2


def first_difference(function, x, step):
    return (function(x + step) - function(x - step)) / (2 * step)


def test_discrete_mode_rate_is_the_eigenvalue_of_the_three_point_stencil():
    n, h, diffusivity = 12, 5.0, 60.0
    u = modes.mode_values((np.arange(n) + 0.5) * h, n * h, 3)
    padded = np.concatenate([u[:1], u, u[-1:]])
    rate = modes.discrete_rate(diffusivity, [n * h], [3], h)
    np.testing.assert_allclose(diffusivity * np.diff(padded, 2) / h**2, -rate * u, atol=1e-12)
    assert rate < modes.continuous_rate(diffusivity, [n * h], [3])


def test_slab_series_solves_diffusion_and_fills_up():
    x, diffusivity, length = np.linspace(5, 95, 10), 60.0, 100.0
    dudt = first_difference(lambda t: slab.slab_concentration(x, t, length, diffusivity, 7.0), 40.0, 0.01)
    curve = second_difference(lambda s: slab.slab_concentration(s, 40.0, length, diffusivity, 7.0), x, 0.05)
    np.testing.assert_allclose(dudt, diffusivity * curve, rtol=1e-4, atol=1e-8)
    assert slab.slab_uptake(1e6, length, diffusivity, 7.0) == pytest.approx(700.0)


def test_slab_before_its_far_wall_is_felt_is_the_error_function_front():
    x = np.linspace(1, 60, 9)
    series = slab.slab_concentration(x, 20.0, 400.0, 60.0, 7.0)
    np.testing.assert_allclose(series, slab.front_concentration(x, 20.0, 60.0, 7.0), rtol=1e-9)


def test_retarded_front_runs_as_if_time_were_slower():
    x = np.linspace(1, 60, 9)
    factor = retardation.retardation_factor(0.3, 1.28e-2, 3.7e-3, 0.4)
    slowed = slab.front_concentration(x, 30.0, 60.0, 7.0, retardation=factor)
    np.testing.assert_allclose(slowed, slab.front_concentration(x, 30.0 / factor, 60.0, 7.0))
    assert factor == pytest.approx(1 + 0.3 * 1.28e-2 / 3.7e-3 * 1.4)


@pytest.mark.parametrize("permeability", [0.05, np.inf])
def test_thiele_sphere_solves_its_equation_and_its_surface_condition(permeability):
    radius, diffusivity, decay, bath = 100.0, 60.0, 0.02, 10.0

    def c(r):
        return thiele.concentration(r, radius, diffusivity, decay, bath, permeability)

    r = np.linspace(20, 90, 8)
    laplacian = second_difference(c, r, 0.1) + 2 / r * first_difference(c, r, 0.1)
    np.testing.assert_allclose(diffusivity * laplacian, decay * c(r), rtol=1e-5)
    inflow = 4 * np.pi * radius**2 * diffusivity * first_difference(c, radius, 1e-3)
    assert thiele.uptake(radius, diffusivity, decay, bath, permeability) == pytest.approx(inflow, rel=1e-6)
    if np.isfinite(permeability):
        assert inflow == pytest.approx(4 * np.pi * radius**2 * permeability * (bath - c(radius)), rel=1e-6)
    else:
        assert c(radius) == pytest.approx(bath)


@pytest.mark.parametrize("solution", [krogh.zero_order, krogh.first_order])
def test_krogh_cylinder_solves_its_equation_and_both_its_ends(solution):
    vessel, tissue, diffusivity, sink, blood, permeability = 10.0, 60.0, 60.0, 0.005, 20.0, 0.3

    def c(r):
        return solution(r, vessel, tissue, diffusivity, sink, blood, permeability)

    r = np.linspace(15, 55, 8)
    laplacian = second_difference(c, r, 0.05) + first_difference(c, r, 0.05) / r
    expected = sink if solution is krogh.zero_order else sink * c(r)
    np.testing.assert_allclose(diffusivity * laplacian, expected, rtol=1e-4)
    assert first_difference(c, tissue, 1e-3) == pytest.approx(0, abs=1e-6)
    outflow = diffusivity * first_difference(c, vessel, 1e-3)
    assert outflow == pytest.approx(permeability * (c(vessel) - blood), rel=1e-5)


def test_pulse_chase_solved_again_gives_the_published_figures_for_SK_BR_3():
    surface, inside, medium = wellmixed.pulse_chase(wellmixed.SK_BR_3)
    np.testing.assert_allclose(surface, wellmixed.SURFACE_FRACTION, rtol=0.01)
    np.testing.assert_allclose(inside, wellmixed.INTRACELLULAR, rtol=0.01)
    np.testing.assert_allclose(medium, wellmixed.MEDIUM, rtol=0.01)


@pytest.mark.parametrize(("settings", "inside", "medium"), wellmixed.TARGET_2)
def test_pulse_chase_solved_again_gives_the_published_figures_for_other_lines(settings, inside, medium):
    _, cell, outside = wellmixed.pulse_chase(settings, hours=(24,))
    assert cell[0] == pytest.approx(inside, rel=0.01)
    assert outside[0] == pytest.approx(medium, rel=0.01)


def test_pulse_chase_keeps_the_payload_it_starts_with():
    s = wellmixed.SK_BR_3
    derivative = wellmixed.right_hand_side(np.linspace(1.0, 2.0, 13) * 1e3, s)
    n_medium = wellmixed.MEDIUM_PER_CELL * wellmixed.AVOGADRO
    weights = np.zeros(13)
    weights[[1, 4]], weights[[6, 7, 9]] = s.DAR, 1.0
    weights[10], weights[12] = s.DAR * n_medium, n_medium
    assert abs(weights @ derivative) < 1e-12 * np.abs(weights * derivative).sum()


def test_spheroid_solved_again_gives_the_published_figures():
    found = spheroid.readings(n_shells=400)
    np.testing.assert_allclose(found, spheroid.RESOLVED, rtol=0.005)
    assert np.sqrt(((found - spheroid.MEASURED) ** 2).mean()) <= 4.4


def test_spheroid_without_its_wash_misses_the_published_figures():
    uptake = spheroid.Shells(spheroid.PERMEABILITY_UPTAKE, 400)
    unwashed = uptake.mean(uptake.advance(np.zeros(400), spheroid.BATH, 2 * spheroid.HOUR))
    assert abs(unwashed / spheroid.RESOLVED[0] - 1) > 0.1

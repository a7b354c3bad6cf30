"""Order and stability of the Rosenbrock-W method (Hairer & Wanner, Solving ODEs II, IV.7; Rang & Angermann 2005)."""

from dataclasses import replace

import numpy as np
import pytest

from payloadfield.solver.tableau import make_ros34pw2

TABLEAU = make_ros34pw2()
EXACT = 1e-13


def order_defects(t, b):
    """Defects of the conditions for an exact Jacobian, by order; beta = alpha + Gamma, row sums without index."""
    beta, alpha = t.alpha + t.gammas, t.alpha.sum(1)
    return {
        1: [b.sum() - 1],
        2: [b @ beta.sum(1) - 1 / 2],
        3: [b @ alpha**2 - 1 / 3, b @ beta @ beta.sum(1) - 1 / 6],
    }


def w_defects(t, b):
    """Defects of the further conditions when any matrix may stand for the Jacobian, by order."""
    alpha, gammas = t.alpha.sum(1), t.gammas.sum(1)
    return {
        2: [b @ alpha - 1 / 2, b @ gammas],
        3: [b @ t.alpha @ alpha - 1 / 6, b @ t.alpha @ gammas, b @ t.gammas @ alpha, b @ t.gammas @ gammas],
    }


def holds(defects, up_to):
    return all(abs(d) < EXACT for order, found in defects.items() if order <= up_to for d in found)


def stability(t, z, b):
    """R(z) = 1 + z b (I - z beta)^-1 1 of y' = lambda y, z = lambda dt."""
    ones = np.ones(t.n_stages)
    return 1 + z * b @ np.linalg.solve(np.eye(t.n_stages) - z * (t.alpha + t.gammas), ones)


def test_method_has_order_three_with_an_exact_jacobian():
    assert holds(order_defects(TABLEAU, TABLEAU.b), 3)


def test_method_keeps_order_three_with_any_matrix_for_the_jacobian():
    assert holds(w_defects(TABLEAU, TABLEAU.b), 3)


def test_embedded_solution_has_order_two_and_not_three():
    assert holds(order_defects(TABLEAU, TABLEAU.b_embedded), 2)
    assert not holds(order_defects(TABLEAU, TABLEAU.b_embedded), 3)


def test_method_is_damped_at_infinity_and_stable_along_the_imaginary_axis():
    at_infinity = 1 - TABLEAU.b @ np.linalg.solve(TABLEAU.alpha + TABLEAU.gammas, np.ones(4))
    assert abs(at_infinity) < 1e-12
    sizes = [abs(stability(TABLEAU, 1j * y, TABLEAU.b)) for y in np.geomspace(1e-3, 1e4, 400)]
    assert max(sizes) <= 1 + 1e-12


def test_stability_function_is_the_exponential_to_order_three():
    errors = [abs(stability(TABLEAU, z, TABLEAU.b) - np.exp(z)) for z in (-0.02, -0.01)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.1)


def test_transformed_coefficients_take_the_same_step_as_the_original_ones():
    rng = np.random.default_rng(3)
    jacobian, y, dt = rng.normal(size=(5, 5)), rng.normal(size=5), 0.3
    expected = original_step(TABLEAU, jacobian, y, dt)
    np.testing.assert_allclose(transformed_step(TABLEAU, jacobian, y, dt), expected, rtol=1e-12)


def original_step(t, jacobian, y, dt):
    """k_i = dt f(y + sum alpha_ij k_j) + dt J sum gamma_ij k_j;  y + sum b_i k_i, for f = tanh(J y) and J at hand."""
    k = np.zeros((t.n_stages, len(y)))
    left = np.eye(len(y)) - dt * t.gamma * jacobian
    for i in range(t.n_stages):
        right = dt * np.tanh(jacobian @ (y + t.alpha[i] @ k)) + dt * jacobian @ ((t.gammas[i] @ k) - t.gamma * k[i])
        k[i] = np.linalg.solve(left, right)
    return y + t.b @ k


def transformed_step(t, jacobian, y, dt):
    """(I / (gamma dt) - J) U_i = f(y + sum a_ij U_j) + sum c_ij U_j / dt;  y + sum m_i U_i."""
    stages = np.zeros((t.n_stages, len(y)))
    left = np.eye(len(y)) / (t.gamma * dt) - jacobian
    for i in range(t.n_stages):
        right = np.tanh(jacobian @ (y + t.a[i] @ stages)) + t.c[i] @ stages / dt
        stages[i] = np.linalg.solve(left, right)
    return y + t.m @ stages


def test_conditions_notice_a_wrong_digit():
    wrong = TABLEAU.alpha.copy()
    wrong[2, 1] += 1e-9
    assert not holds(order_defects(replace(TABLEAU, alpha=wrong), TABLEAU.b), 3)

"""The reference problem three ways: our solver, an independent stabilised-explicit one, and the splitting opponent."""

import numpy as np
import pytest
from benchmarks import ours, rkc
from benchmarks.lod import LodSolver
from benchmarks.problem import H, exposure_error, make_problem

N = 16


@pytest.fixture(scope="module")
def stored():
    with np.load(rkc.REFERENCE / f"rkc-{N}.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def problem():
    return make_problem(N)


def test_stored_reference_belongs_to_these_cells_and_knows_its_error(stored, problem):
    assert np.array_equal(stored["cell_voxel"], problem.cell_voxel)
    assert stored["estimated_error"] < 1e-7


def test_stored_reference_is_what_its_solver_gives(stored, problem):
    solution = rkc.solve(problem, 1e-6)
    assert exposure_error(solution.exposure, stored["exposure"]) < 2e-6
    # What the wash leaves of the conjugate is 2e-5 of what was there, far below its floor in the error norm.
    np.testing.assert_allclose(solution.fields.sum(0) * H**3, stored["field_totals"], rtol=5e-4)


def test_reference_solver_converges_to_what_another_integrator_gives_for_the_equations_written_again():
    """SciPy's Runge-Kutta of order 8 on the same equations in whole arrays: five minutes of dose, open top, cells."""
    from scipy.integrate import solve_ivp

    problem = make_problem(8)
    system = rkc.make_system(problem)
    n_open, n_cell = len(system.neighbour), len(system.cell_voxel)
    assert n_cell > 5
    p = np.array(list(rkc.PARAMETERS.values()))
    lists = (system.neighbour, system.top, system.cell_voxel, system.antigen, system.secretion)

    def slope(_, y):
        return right_hand_side_by_hand(
            y[: 3 * n_open].reshape(n_open, 3), y[3 * n_open :].reshape(n_cell, 7), p, *lists
        )

    start = np.zeros(3 * n_open + 7 * n_cell)
    start[3 * n_open :].reshape(n_cell, 7)[:, 0] = system.antigen
    exact = solve_ivp(slope, (0, 300), start, "DOP853", rtol=1e-10, atol=1e-11).y[:, -1]
    exposure, fields = exact[3 * n_open :].reshape(n_cell, 7)[:, 6], exact[: 3 * n_open].reshape(n_open, 3)
    coarse, fine = (rkc.solve(problem, tolerance, wash=300.0, end=300.0) for tolerance in (1e-6, 1e-8))
    # Second order: the error of all steps goes as tolerance^(2/3), 20 for a hundred.
    errors = [exposure_error(each.exposure, exposure) for each in (coarse, fine)]
    assert errors[1] < 1e-5
    assert 15 < errors[0] / errors[1] < 30
    np.testing.assert_allclose(fine.fields / fields.max(0), fields / fields.max(0), atol=1e-6)


def right_hand_side_by_hand(u, c, p, neighbour, top, cell_voxel, antigen, secretion):
    """The equations of benchmarks/problem.py once more, in whole arrays."""
    q = dict(zip(rkc.PARAMETERS, p, strict=True))
    D = p[:3] / H**2
    A, P, E = u.T
    R, B, I, L, C, T, _ = c.T  # noqa: E741
    du = D * (u[neighbour] - u[:, None]).sum(1)
    du[top] += 2 * D * (np.array([50.0, 0, 0]) - u[top])
    cut = (q["kdec"] + q["kcat"] * E) * A
    du += np.stack([-cut, q["DAR"] * cut - q["kp"] * P, -q["kE"] * E], 1)
    bind = q["kon"] * A[cell_voxel] * R - q["koff"] * B
    enter = q["kin"] * P[cell_voxel] - q["kout"] * C
    hold = q["kt"] * C * (q["T0"] - T) - q["ktoff"] * T
    np.add.at(du, cell_voxel, np.stack([-bind, -enter, secretion], 1))
    degraded = q["DAR"] * q["klys"] * I
    dc = [q["kdeg"] * (antigen - R) - bind, bind - q["kint"] * B, q["kint"] * B - q["klys"] * I,
          degraded - q["kesc"] * L, q["kesc"] * L + enter - hold, hold, C]  # fmt: skip
    return np.concatenate([du.ravel(), np.stack(dc, 1).ravel()])


@pytest.mark.parametrize(("rtol", "bound"), [(1e-2, 3e-4), (1e-3, 3e-5), (1e-4, 3e-6)])
def test_exposures_agree_with_the_independent_solution(stored, problem, rtol, bound):
    simulation = ours.run(ours.make_reference_study(problem, rtol))
    assert exposure_error(simulation.cell_state("X"), stored["exposure"]) < bound
    assert max(abs(line.relative_defect) for line in simulation.ledger) < 1e-11


def test_splitting_converges_to_the_same_solution_in_first_order(stored, problem):
    errors = [exposure_error(LodSolver(problem, dt).solve(), stored["exposure"]) for dt in (12.0, 6.0, 3.0)]
    assert errors[2] < 0.05
    assert 1.6 < errors[0] / errors[1] < 2.4
    assert 1.6 < errors[1] / errors[2] < 2.4

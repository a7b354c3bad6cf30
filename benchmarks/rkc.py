"""An independent reference: Runge-Kutta-Chebyshev of order 2 on the whole right-hand side, nothing split.

Sommeijer, Shampine and Verwer (1998), J. Comput. Appl. Math. 88:315. Stabilised explicit: the number of stages follows
the spectral radius of diffusion. It shares no code with the solver, so that the two can check each other.

    python -m benchmarks.rkc 32 --tolerance 1e-9      writes benchmarks/reference/rkc-32.npz
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from benchmarks.problem import (
    DOSE,
    END_TIME,
    FIELD_FLOORS,
    PARAMETERS,
    STATE_FLOORS,
    WASH_TIME,
    Floats,
    H,
    Problem,
    exposure_error,
    make_problem,
)

REFERENCE = Path(__file__).parent / "reference"


@dataclass(frozen=True)
class System:
    """Open voxels in a list: six neighbours each (a wall is the voxel itself), top-face voxels, cells' voxels."""

    neighbour: NDArray[np.int64]
    top: NDArray[np.int64]
    cell_voxel: NDArray[np.int64]
    antigen: Floats
    secretion: Floats


def make_system(problem: Problem) -> System:
    """Lower the problem to index lists over the open voxels."""
    n, is_open = problem.n, ~problem.solid
    number = np.full((n + 2,) * 3, -1, np.int64)
    number[1:-1, 1:-1, 1:-1][is_open] = np.arange(is_open.sum())
    inner = number[1:-1, 1:-1, 1:-1]
    shifted = [np.roll(number, step, axis)[1:-1, 1:-1, 1:-1][is_open] for axis in range(3) for step in (1, -1)]
    own = inner[is_open]
    neighbour = np.stack([np.where(other < 0, own, other) for other in shifted], axis=1)
    top = inner[-1][is_open[-1]]
    return System(neighbour, top, inner.ravel()[problem.cell_voxel], problem.antigen, problem.secretion)


@njit(cache=True)
def _right_hand_side(u, c, p, dose, neighbour, top, cell_voxel, antigen, secretion, du, dc):
    DA, DP, DE, kdec, kcat, kp, kE, kon, koff, kint, kdeg, klys, DAR, kesc, kin, kout, kt, ktoff, T0, _ = p
    gA, gP, gE = DA / H**2, DP / H**2, DE / H**2
    for i in range(u.shape[0]):
        sA, sP, sE = -6 * u[i, 0], -6 * u[i, 1], -6 * u[i, 2]
        for k in range(6):
            j = neighbour[i, k]
            sA += u[j, 0]
            sP += u[j, 1]
            sE += u[j, 2]
        cut = (kdec + kcat * u[i, 2]) * u[i, 0]
        du[i, 0] = gA * sA - cut
        du[i, 1] = gP * sP + DAR * cut - kp * u[i, 1]
        du[i, 2] = gE * sE - kE * u[i, 2]
    for i in top:
        du[i, 0] += 2 * gA * (dose - u[i, 0])
        du[i, 1] -= 2 * gP * u[i, 1]
        du[i, 2] -= 2 * gE * u[i, 2]
    for i in range(c.shape[0]):
        v = cell_voxel[i]
        R, B, I, L, C, T = c[i, 0], c[i, 1], c[i, 2], c[i, 3], c[i, 4], c[i, 5]  # noqa: E741
        bind = kon * u[v, 0] * R - koff * B
        enter = kin * u[v, 1] - kout * C
        hold = kt * C * (T0 - T) - ktoff * T
        du[v, 0] -= bind
        du[v, 1] -= enter
        du[v, 2] += secretion[i]
        dc[i, 0] = kdeg * (antigen[i] - R) - bind
        dc[i, 1] = bind - kint * B
        dc[i, 2] = kint * B - klys * I
        dc[i, 3] = DAR * klys * I - kesc * L
        dc[i, 4] = kesc * L + enter - hold
        dc[i, 5] = hold
        dc[i, 6] = C


@njit(cache=True)
def _coefficients(s):
    """(mu, nu, mu~, gamma~) of every stage, damping eps = 2/13."""
    w0 = 1 + 2 / (13 * s**2)
    T, dT, d2T = np.ones(s + 1), np.zeros(s + 1), np.zeros(s + 1)
    T[1], dT[1] = w0, 1.0
    for j in range(2, s + 1):
        T[j] = 2 * w0 * T[j - 1] - T[j - 2]
        dT[j] = 2 * w0 * dT[j - 1] - dT[j - 2] + 2 * T[j - 1]
        d2T[j] = 2 * w0 * d2T[j - 1] - d2T[j - 2] + 4 * dT[j - 1]
    w1 = dT[s] / d2T[s]
    b = np.empty(s + 1)
    for j in range(2, s + 1):
        b[j] = d2T[j] / dT[j] ** 2
    b[0] = b[2]
    b[1] = 1 / w0
    out = np.zeros((4, s + 1))
    out[2, 1] = b[1] * w1
    for j in range(2, s + 1):
        out[0, j] = 2 * b[j] * w0 / b[j - 1]
        out[1, j] = -b[j] / b[j - 2]
        out[2, j] = 2 * b[j] * w1 / b[j - 1]
        out[3, j] = -(1 - b[j - 1] * T[j - 1]) * out[2, j]
    return out


@njit(cache=True)
def _combine(mu, nu, mt, gt, h, y0, y1, y2, f1, f0, out):
    """out = (1 - mu - nu) y0 + mu y1 + nu y2 + h (mu~ f1 + gamma~ f0), all of them flat."""
    for i in range(y0.size):
        out[i] = (1 - mu - nu) * y0[i] + mu * y1[i] + nu * y2[i] + h * (mt * f1[i] + gt * f0[i])


@njit(cache=True)
def _error(y0, y1, f0, f1, h, columns, floors, tolerance):
    """Largest RMS over the quantities of 0.8 (y0 - y1) + 0.4 h (f0 + f1), in units of the tolerance."""
    sums = np.zeros(columns)
    for i in range(y0.size):
        k = i % columns
        e = 0.8 * (y0[i] - y1[i]) + 0.4 * h * (f0[i] + f1[i])
        sums[k] += (e / (tolerance * (floors[k] + abs(y1[i])))) ** 2
    return np.sqrt(sums.max() * columns / y0.size)


@njit(cache=True)
def _advance(u, c, p, dose, duration, first, tolerance, uf, cf, neighbour, top, cell_voxel, antigen, secretion):
    """Integrate over one segment in place; returns accepted steps, rejected steps and right-hand sides."""
    radius = 12 * max(p[0], p[1], p[2]) / H**2 + 1.0
    nc = c.size
    u0, c0, u1, c1, u2, c2 = u.copy(), c.copy(), u.copy(), c.copy(), u.copy(), c.copy()
    fu0, fc0, fu, fc = np.zeros_like(u), np.zeros_like(c), np.zeros_like(u), np.zeros_like(c)
    _right_hand_side(u0, c0, p, dose, neighbour, top, cell_voxel, antigen, secretion, fu0, fc0)
    t, h, last_error, last_h = 0.0, first, -1.0, first
    accepted, rejected, calls = 0, 0, 1
    while t < duration * (1 - 1e-14):
        h = min(h, duration - t)
        s = max(2, 1 + int(np.sqrt(1.54 * h * radius + 1)))
        k = _coefficients(s)
        u2[:], c2[:] = u0, c0
        _combine(0.0, 0.0, k[2, 1], 0.0, h, u0.ravel(), u0.ravel(), u0.ravel(), fu0.ravel(), fu0.ravel(), u1.ravel())
        _combine(0.0, 0.0, k[2, 1], 0.0, h, c0.ravel(), c0.ravel(), c0.ravel(), fc0.ravel(), fc0.ravel(), c1.ravel())
        for j in range(2, s + 1):
            _right_hand_side(u1, c1, p, dose, neighbour, top, cell_voxel, antigen, secretion, fu, fc)
            m, n, mt, gt = k[0, j], k[1, j], k[2, j], k[3, j]
            # The oldest stage is no longer needed once combined: it takes the newest.
            _combine(m, n, mt, gt, h, u0.ravel(), u1.ravel(), u2.ravel(), fu.ravel(), fu0.ravel(), u2.ravel())
            _combine(m, n, mt, gt, h, c0.ravel(), c1.ravel(), c2.ravel(), fc.ravel(), fc0.ravel(), c2.ravel())
            u1, u2 = u2, u1
            c1, c2 = c2, c1
        _right_hand_side(u1, c1, p, dose, neighbour, top, cell_voxel, antigen, secretion, fu, fc)
        calls += s
        error = _error(u0.ravel(), u1.ravel(), fu0.ravel(), fu.ravel(), h, 3, uf, tolerance)
        if nc:
            error = max(error, _error(c0.ravel(), c1.ravel(), fc0.ravel(), fc.ravel(), h, 7, cf, tolerance))
        error = max(error, 1e-10)
        grow = 0.8 / error ** (1 / 3)
        if error > 1:
            rejected += 1
            h *= max(0.1, min(0.9, grow))
            continue
        if last_error > 0:
            grow = min(grow, grow * (last_error / error) ** (1 / 3) * h / last_h)
        t += h
        accepted += 1
        last_error, last_h = error, h
        h *= min(5.0, max(0.1, grow))
        u0[:], c0[:], fu0[:], fc0[:] = u1, c1, fu, fc
    u[:], c[:] = u0, c0
    return accepted, rejected, calls


@dataclass(frozen=True)
class Solution:
    """Fields (n_open, 3) and cells (n_cell, 7) at the end [nM, X in nM s], and the work it took."""

    fields: Floats
    cells: Floats
    steps: int
    right_hand_sides: int

    @property
    def exposure(self) -> Floats:
        """X of every cell [nM s]."""
        return self.cells[:, 6]


def solve(problem: Problem, tolerance: float, wash: float = WASH_TIME, end: float = END_TIME) -> Solution:
    """Integrate to `end` [s] with the dose until `wash`; `tolerance` is relative and per step."""
    system = make_system(problem)
    p = np.array(list(PARAMETERS.values()))
    u = np.zeros((len(system.neighbour), 3))
    c = np.zeros((len(system.cell_voxel), 7))
    c[:, 0] = system.antigen
    lists = (system.neighbour, system.top, system.cell_voxel, system.antigen, system.secretion)
    steps = calls = 0
    for dose, duration in ((DOSE, min(wash, end)), (0.0, end - min(wash, end))):
        if duration > 0:
            done, _, made = _advance(u, c, p, dose, duration, 1e-3, tolerance, FIELD_FLOORS, STATE_FLOORS, *lists)
            steps, calls = steps + done, calls + made
    return Solution(u, c, steps, calls)


def write_reference(n: int, tolerance: float) -> Path:
    """Solve at `tolerance` and 8 times it; store the finer, with the difference as its estimated error."""
    problem = make_problem(n)
    coarse, fine = solve(problem, 8 * tolerance), solve(problem, tolerance)
    path = REFERENCE / f"rkc-{n}.npz"
    np.savez_compressed(
        path,
        cell_voxel=problem.cell_voxel,
        exposure=fine.exposure,
        cell_states=fine.cells[:, :6].T,
        field_totals=fine.fields.sum(0) * H**3,
        estimated_error=exposure_error(coarse.exposure, fine.exposure),
        tolerance=tolerance,
        command=f"python -m benchmarks.rkc {n} --tolerance {tolerance:g}",
    )
    return path


def main() -> None:
    """Command line: write one reference file."""
    import argparse

    parser = argparse.ArgumentParser(description=write_reference.__doc__)
    parser.add_argument("n", type=int)
    parser.add_argument("--tolerance", type=float, default=1e-9)
    arguments = parser.parse_args()
    path = write_reference(arguments.n, arguments.tolerance)
    with np.load(path) as stored:
        print(f"{path}: estimated relative error of exposure {float(stored['estimated_error']):.1e}")


if __name__ == "__main__":
    main()

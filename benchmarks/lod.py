"""The opponent: Lie splitting with locally one-dimensional implicit diffusion, BioFVM's method, on the same equations.

Ghaffarizadeh, Friedman and Macklin (2016), Bioinformatics 32:1256. Each step of size dt:
    cells      each cell exchanges with its voxel and advances, every loss taken implicitly;
    voxels     cleavage and decay, implicitly;
    diffusion  backward Euler along x, then y, then z: tridiagonal (Thomas) solves with factors computed once.

Tuned: closed voxels have factor 0, so that lines need no branches and rows along x are solved side by side (SIMD) in
the sweeps along y and z; solid rows are skipped; along x only open runs are solved, four rows at once where four are
alike, with factors from a small table by length of the run; one factor array serves both passes of Thomas; the order of
loops keeps a plane in cache. Double precision, one thread.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from benchmarks.problem import DOSE, END_TIME, PARAMETERS, WASH_TIME, Floats, H, Problem


@dataclass(frozen=True)
class Lines:
    """Open runs along x, sorted by row: row_start (n*n+1,) into begin and end, columns of the grid.

    rows_alike (n*n,): 4 where this row and the next three of its plane have the same runs, else 1.
    """

    row_start: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    rows_alike: NDArray[np.int64]


def make_lines(solid: NDArray[np.bool_]) -> Lines:
    """Open runs of every row (z, y)."""
    n = solid.shape[0]
    edge = np.diff(np.pad(~solid, ((0, 0), (0, 0), (1, 1))).astype(np.int8), axis=2).reshape(n * n, n + 1)
    row, begin = np.nonzero(edge == 1)
    _, end = np.nonzero(edge == -1)
    rows_alike = np.ones((n, n), np.int64)
    alike = (solid[:, 1:] == solid[:, :-1]).all(axis=2)
    rows_alike[:, : n - 3][alike[:, :-2] & alike[:, 1:-1] & alike[:, 2:]] = 4
    return Lines(np.searchsorted(row, np.arange(n * n + 1)).astype(np.int64), begin, end, rows_alike.ravel())


def make_run_factors(n: int, r: float) -> Floats:
    """Inverse pivots of a closed run by its length and the place in it (n+1, n), as make_factors."""
    table = np.zeros((n + 1, n))
    for length in range(1, n + 1):
        for i in range(length):
            previous = table[length, i - 1] if i else 0.0
            table[length, i] = 1 / (1 + r * ((i > 0) + (i < length - 1)) - r**2 * previous)
    return table


def make_factors(solid: NDArray[np.bool_], r: float, axis: int, top: bool) -> Floats:
    """Inverse pivots of Thomas along one axis, 1 / (1 + r (neighbours) - r^2 (pivot before)); 0 where closed.

    r = D dt / h^2; `top` adds the face at half a voxel's distance, 2 r, to the last voxel of the axis.
    """
    is_open = np.moveaxis(~solid, axis, 0)
    n = is_open.shape[0]
    inverse = np.zeros(is_open.shape)
    for i in range(n):
        below = is_open[i - 1] if i > 0 else np.zeros_like(is_open[0])
        above = is_open[i + 1] if i < n - 1 else np.zeros_like(is_open[0])
        diagonal = 1 + r * (below.astype(float) + above) + (2 * r if top and i == n - 1 else 0.0)
        previous = inverse[i - 1] if i > 0 else 0.0
        inverse[i] = np.where(is_open[i], 1 / (diagonal - r**2 * previous), 0.0)
    return np.ascontiguousarray(np.moveaxis(inverse, 0, axis))


@njit(cache=True)
def _solve_run(row, factor, r):
    """Thomas along one open run."""
    last = 0.0
    for x in range(row.size):
        last = factor[x] * (row[x] + r * last)
        row[x] = last
    for x in range(row.size - 2, -1, -1):
        last = row[x] + r * factor[x] * last
        row[x] = last


@njit(cache=True)
def _solve_four_runs(a, b, c, d, factor, r):
    """Thomas along four runs of the same length, so that their chains of operations overlap."""
    la = lb = lc = ld = 0.0
    for x in range(a.size):
        f = factor[x]
        la, lb, lc, ld = f * (a[x] + r * la), f * (b[x] + r * lb), f * (c[x] + r * lc), f * (d[x] + r * ld)
        a[x], b[x], c[x], d[x] = la, lb, lc, ld
    for x in range(a.size - 2, -1, -1):
        f = r * factor[x]
        la, lb, lc, ld = a[x] + f * la, b[x] + f * lb, c[x] + f * lc, d[x] + f * ld
        a[x], b[x], c[x], d[x] = la, lb, lc, ld


@njit(cache=True)
def _solve_rows(u, table, r, z, row_start, begin, end, rows_alike):
    """Thomas along x in plane z, over open runs only."""
    n = u.shape[1]
    y = 0
    while y < n:
        rows = rows_alike[z * n + y]
        for k in range(row_start[z * n + y], row_start[z * n + y + 1]):
            b, e = begin[k], end[k]
            if rows == 4:
                plane = u[z]
                _solve_four_runs(
                    plane[y, b:e], plane[y + 1, b:e], plane[y + 2, b:e], plane[y + 3, b:e], table[e - b], r
                )
            else:
                _solve_run(u[z, y, b:e], table[e - b], r)
        y += rows


@njit(cache=True)
def _solve_columns(u, inverse, r, z, row_start):
    """Thomas along y in plane z, whole rows side by side; a solid row is passed over, for nothing flows through it."""
    n = u.shape[1]
    for y in range(n):
        if row_start[z * n + y] == row_start[z * n + y + 1]:
            continue
        if y == 0:
            for x in range(n):
                u[z, 0, x] *= inverse[z, 0, x]
        else:
            for x in range(n):
                u[z, y, x] = inverse[z, y, x] * (u[z, y, x] + r * u[z, y - 1, x])
    for y in range(n - 2, -1, -1):
        if row_start[z * n + y] != row_start[z * n + y + 1]:
            for x in range(n):
                u[z, y, x] += r * inverse[z, y, x] * u[z, y + 1, x]


@njit(cache=True)
def _solve_pillars(u, inverse, r, source, row_start):
    """Thomas along z, row by row; `source` is what the top face adds to an open voxel under it."""
    n = u.shape[1]
    for y in range(n):
        for z in range(n):
            if row_start[z * n + y] == row_start[z * n + y + 1]:
                continue
            added = source if z == n - 1 else 0.0
            if z == 0:
                for x in range(n):
                    u[0, y, x] = inverse[0, y, x] * (u[0, y, x] + added)
            else:
                for x in range(n):
                    u[z, y, x] = inverse[z, y, x] * (u[z, y, x] + added + r * u[z - 1, y, x])
        for z in range(n - 2, -1, -1):
            if row_start[z * n + y] != row_start[z * n + y + 1]:
                for x in range(n):
                    u[z, y, x] += r * inverse[z, y, x] * u[z + 1, y, x]


@njit(cache=True)
def _diffuse(u, fx, fy, fz, r, source, row_start, begin, end, rows_alike):
    for z in range(u.shape[0]):
        _solve_rows(u, fx, r, z, row_start, begin, end, rows_alike)
        _solve_columns(u, fy, r, z, row_start)
    _solve_pillars(u, fz, r, source, row_start)


@njit(cache=True)
def _react(A, P, E, p, dt, row_start, begin, end):
    """Cleavage and decay in every open voxel; what the conjugate loses the payload gains."""
    kdec, kcat, kp, kE, DAR = p[3], p[4], p[5], p[6], p[12]
    keep_P, keep_E = 1 / (1 + dt * kp), 1 / (1 + dt * kE)
    n = A.shape[1]
    for z in range(A.shape[0]):
        for y in range(n):
            for k in range(row_start[z * n + y], row_start[z * n + y + 1]):
                for x in range(begin[k], end[k]):
                    rate = dt * (kdec + kcat * E[z, y, x])
                    left = A[z, y, x] / (1 + rate)
                    P[z, y, x] = (P[z, y, x] + DAR * rate * left) * keep_P
                    E[z, y, x] *= keep_E
                    A[z, y, x] = left


@njit(cache=True)
def _exchange(A, P, E, c, p, dt, implicit_payload, cell_voxel, antigen, secretion):
    """Each cell and its voxel: uptake implicit in the field, then the cell's own losses, each implicit, in order."""
    kon, koff, kint, kdeg, klys, DAR, kesc, kin, kout, kt, ktoff, T0 = p[7:19]
    for i in range(cell_voxel.size):
        v = cell_voxel[i]
        R, B, I, L, C, T = c[i, 0], c[i, 1], c[i, 2], c[i, 3], c[i, 4], c[i, 5]  # noqa: E741
        after = (A[v] + dt * koff * B) / (1 + dt * kon * R)
        bound = A[v] - after
        A[v] = after
        enter = dt * (kin * P[v] - kout * C)
        if implicit_payload:
            enter /= 1 + dt * kin
        P[v] -= enter
        E[v] += dt * secretion[i]
        R = (R + dt * kdeg * antigen[i] - bound) / (1 + dt * kdeg)
        B = (B + bound) / (1 + dt * kint)
        I = (I + dt * kint * B) / (1 + dt * klys)  # noqa: E741
        L = (L + dt * DAR * klys * I) / (1 + dt * kesc)
        old = C
        free = kt * (T0 - T)
        # Cytosol and target together: backward Euler in C and T with the free target of the step's start.
        whole = C + enter + dt * kesc * L
        C = (whole + dt * ktoff * (T + whole)) / (1 + dt * free + dt * ktoff)
        T = T + whole - C
        c[i, 0], c[i, 1], c[i, 2], c[i, 3], c[i, 4], c[i, 5] = R, B, I, L, C, T
        c[i, 6] += 0.5 * dt * (old + C)


@njit(cache=True)
def _run(A, P, E, c, p, dt, steps, dose, implicit_payload, fx, fy, fz, lines, cell_voxel, antigen, secretion):
    row_start, begin, end, _ = lines
    rA, rP, rE = p[0] * dt / H**2, p[1] * dt / H**2, p[2] * dt / H**2
    a, b, e = A.reshape(-1), P.reshape(-1), E.reshape(-1)
    for _ in range(steps):
        _exchange(a, b, e, c, p, dt, implicit_payload, cell_voxel, antigen, secretion)
        _react(A, P, E, p, dt, row_start, begin, end)
        _diffuse(A, fx[0], fy[0], fz[0], rA, 2 * rA * dose, *lines)
        _diffuse(P, fx[1], fy[1], fz[1], rP, 0.0, *lines)
        _diffuse(E, fx[2], fy[2], fz[2], rE, 0.0, *lines)


class LodSolver:
    """Lie splitting with LOD diffusion and a fixed step dt [s]; fields (n, n, n) and cells (n_cell, 7) in nM.

    `implicit_payload`: the membrane exchange of payload implicit in the field, as BioFVM has it. Explicit keeps
    what a cell releases from being taken up again before it has diffused: four times as accurate here at the same step,
    so it is measured beside BioFVM's own.
    """

    def __init__(self, problem: Problem, dt: float, implicit_payload: bool = True) -> None:
        self.problem, self.dt, self.implicit_payload = problem, dt, implicit_payload
        self.parameters = np.array(list(PARAMETERS.values()))
        lines = make_lines(problem.solid)
        self.lines = (lines.row_start, lines.begin, lines.end, lines.rows_alike)
        r = self.parameters[:3] * dt / H**2
        self.run_factors = np.array([make_run_factors(problem.n, each) for each in r])
        self.y_factors = np.array([make_factors(problem.solid, each, 1, top=False) for each in r])
        self.z_factors = np.array([make_factors(problem.solid, each, 0, top=True) for each in r])
        self.fields = [np.zeros(problem.solid.shape) for _ in range(3)]
        self.cells = np.zeros((len(problem.cell_voxel), 7))
        self.cells[:, 0] = problem.antigen

    def advance(self, steps: int, dose: float) -> None:
        """Take `steps` steps under the bath concentration `dose` [nM]."""
        problem = self.problem
        factors = (self.run_factors, self.y_factors, self.z_factors, self.lines)
        exchange = (problem.cell_voxel, problem.antigen, problem.secretion)
        options = (self.parameters, self.dt, steps, dose, self.implicit_payload)
        _run(*self.fields, self.cells, *options, *factors, *exchange)

    def solve(self) -> Floats:
        """Dose to the wash, nothing to the end; returns the exposure of every cell [nM s]."""
        before = round(WASH_TIME / self.dt)
        self.advance(before, DOSE)
        self.advance(round(END_TIME / self.dt) - before, 0.0)
        return self.cells[:, 6]

"""Two problems that other programs can solve too, with semi-discrete solutions, so that errors are errors in time.

Box: du/dt = D lap u - k u, no flux at the sides, 50 nM in one octant at the start.
Sphere: a ball in the middle of a box takes up at rate k u while all six sides hold 50 nM: 0 = D lap u - k(x) u.
Both on n^3 voxels; cell-centred finite volumes, a side's value held at the face, half a voxel from the centre.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.problem import Floats, H

CONCENTRATION = 50.0  # nM
DIFFUSIVITY = 60.0  # um^2/s
BOX_DECAY = 1e-4  # 1/s
BOX_TIME = 3600.0  # s
SPHERE_RADIUS = 100.0  # um
SPHERE_UPTAKE = 0.05  # 1/s: Thiele modulus 2.9


@dataclass(frozen=True)
class BoxCase:
    """Octant of solute spreading in a closed box: start and exact, (n, n, n) [nM]."""

    n: int
    start: Floats
    exact: Floats


@dataclass(frozen=True)
class SphereCase:
    """Steady state around a consuming ball: uptake rate [1/s] and exact [nM], (n, n, n)."""

    n: int
    uptake: Floats
    exact: Floats


def relative_error(solution: Floats, exact: Floats) -> float:
    """Relative difference in L2."""
    return float(np.linalg.norm(solution - exact) / np.linalg.norm(exact))


def make_box_case(n: int = 32) -> BoxCase:
    """Exact in time by the cosine modes of the discrete Laplacian, -4 D / h^2 sin^2(pi j / 2n)."""
    from scipy.fft import dctn, idctn

    start = np.zeros((n, n, n))
    start[: n // 2, : n // 2, : n // 2] = CONCENTRATION
    mode = 4 * DIFFUSIVITY / H**2 * np.sin(np.pi * np.arange(n) / (2 * n)) ** 2
    rate = mode[:, None, None] + mode[:, None] + mode + BOX_DECAY
    exact = idctn(np.exp(-rate * BOX_TIME) * dctn(start, norm="ortho"), norm="ortho")
    return BoxCase(n, start, exact)


def make_ball(n: int) -> Floats:
    """Uptake rate of the staircase ball in the middle of the box [1/s]."""
    x = (np.arange(n) + 0.5 - n / 2) * H
    inside = x[:, None, None] ** 2 + x[:, None] ** 2 + x**2 < SPHERE_RADIUS**2
    return np.where(inside, SPHERE_UPTAKE, 0.0)


def make_sphere_case(n: int = 32, uptake: Floats | None = None) -> SphereCase:
    """The discrete steady state, by conjugate gradients to round-off."""
    from scipy.sparse import diags_array, eye_array, kron
    from scipy.sparse.linalg import cg

    uptake = make_ball(n) if uptake is None else uptake
    diagonal = np.full(n, 2.0)
    diagonal[[0, -1]] = 3.0  # a face at half the distance: 2 D / h^2
    line = diags_array([diagonal, -np.ones(n - 1), -np.ones(n - 1)], offsets=[0, 1, -1])
    one = eye_array(n)
    laplacian = kron(kron(line, one), one) + kron(kron(one, line), one) + kron(kron(one, one), line)
    edge = np.zeros(n)
    edge[[0, -1]] = 2.0
    source = edge[:, None, None] + edge[:, None] + edge
    conductance = DIFFUSIVITY / H**2
    matrix = (conductance * laplacian + diags_array(uptake.ravel())).tocsr()
    exact, info = cg(matrix, conductance * CONCENTRATION * source.ravel(), rtol=1e-13, maxiter=10_000)
    if info:
        raise RuntimeError("the steady state of the sphere did not converge")
    return SphereCase(n, uptake, exact.reshape(n, n, n))

"""The reference problem: a conjugate, its payload and a protease between the strands of a woodpile, with cells on them.

Fields on an n^3 voxel grid (h = 10 um), nM; solid voxels carry none: A intact conjugate, P free payload, E protease.
Cells, one voxel each, states in nM of the voxel volume: R free antigen, B surface complex, I internalised, L lysosomal
payload, C cytosolic payload, T target-bound payload, X the integral of C [nM s].

    dA/dt = div(DA grad A) - (kdec + kcat E) A - [kon A R - koff B]
    dP/dt = div(DP grad P) + DAR (kdec + kcat E) A - kp P - [kin P - kout C]
    dE/dt = div(DE grad E) + [s of a stroma cell] - kE E
    dR/dt = kdeg R0 - kdeg R - kon A R + koff B        dB/dt = kon A R - (koff + kint) B
    dI/dt = kint B - klys I                            dL/dt = DAR klys I - kesc L
    dC/dt = kesc L + kin P - kout C - kt C (T0 - T) + ktoff T
    dT/dt = kt C (T0 - T) - ktoff T                    dX/dt = C

The top face (z high) holds A = 50 nM until the wash at 8 h and 0 after it, P = E = 0; all else is no-flux. 24 h.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

H = 10.0  # voxel edge [um]
WASH_TIME = 8 * 3600.0
END_TIME = 24 * 3600.0
FIELDS = ("A", "P", "E")
STATES = ("R", "B", "I", "L", "C", "T", "X")
DOSE = 50.0  # nM

# Order of the array that the integrators read; diffusivities um^2/s, rates 1/s or 1/nM/s, T0 in nM, s in nM/s.
PARAMETERS = {
    "DA": 60.0,
    "DP": 500.0,
    "DE": 100.0,
    "kdec": 2e-7,
    "kcat": 1e-6,
    "kp": 8e-6,
    "kE": 1e-4,
    "kon": 1e-4,
    "koff": 1e-4,
    "kint": 3.2e-5,
    "kdeg": 1e-5,
    "klys": 2.4e-5,
    "DAR": 8.0,
    "kesc": 1e-3,
    "kin": 8e-3,
    "kout": 3.7e-3,
    "kt": 1e-4,
    "ktoff": 1e-3,
    "T0": 200.0,
    "s": 0.05,
}
ANTIGEN = 1660.0  # R0 of a target cell [nM of the voxel volume]

# A tenth of each quantity's usual size, below which its error does not count.
FIELD_FLOORS = np.array([5.0, 0.01, 5.0])
STATE_FLOORS = np.array([166.0, 50.0, 50.0, 10.0, 0.2, 2.0, 1e4])


@dataclass(frozen=True)
class Problem:
    """Geometry and cells: solid (n, n, n) z, y, x; per cell its flat voxel, antigen R0 [nM] and secretion [nM/s]."""

    n: int
    solid: NDArray[np.bool_]
    cell_voxel: NDArray[np.int64]
    antigen: Floats
    secretion: Floats

    @property
    def n_open(self) -> int:
        """Number of open voxels."""
        return int((~self.solid).sum())


def woodpile(n: int, radius: float = 100.0, spacing: float = 320.0, layer: float = 160.0) -> NDArray[np.bool_]:
    """Layers of parallel strands, turned by 90 degrees from layer to layer: True inside; index z, y, x."""
    x = (np.arange(n) + 0.5) * H
    axes = spacing / 2 + spacing * np.arange(-1, int(n * H / spacing) + 2)
    to_axis = ((x[:, None] - axes[None, :]) ** 2).min(1)
    solid = np.zeros((n, n, n), bool)
    for index in range(int(np.ceil(n * H / layer)) + 1):
        inside = to_axis[None, :] + ((x - (index + 0.5) * layer) ** 2)[:, None] < radius**2
        solid |= inside[:, :, None] if index % 2 == 0 else inside[:, None, :]
    return solid


def touches(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Open voxels with a solid voxel beside them (wrapping around, as the definition has it)."""
    near = np.zeros_like(solid)
    for axis in range(3):
        for step in (1, -1):
            near |= np.roll(solid, step, axis)
    return near & ~solid


def make_problem(n: int = 64, seed: int = 7, radius: float = 100.0) -> Problem:
    """3000 target and 1500 stroma cells at n = 64, in proportion otherwise; four of five on the strands.

    radius: of the strands [um], to vary the solid fraction (0: an empty box, with cells anywhere).
    """
    scale = (n / 64) ** 3
    n_target, n_stroma = int(3000 * scale), int(1500 * scale)
    solid = woodpile(n, radius)
    near = touches(solid)
    on_strands = np.flatnonzero(near)
    elsewhere = np.flatnonzero(~solid & ~near)
    total = n_target + n_stroma
    k = min(len(on_strands), int(0.8 * total))
    generator = np.random.default_rng(seed)
    voxel = np.concatenate(
        [
            generator.choice(on_strands, k, replace=False),
            generator.choice(elsewhere, total - k, replace=False),
        ]
    )
    generator.shuffle(voxel)
    is_target = np.arange(total) < n_target
    order = np.argsort(voxel)
    return Problem(
        n,
        solid,
        voxel[order].astype(np.int64),
        np.where(is_target, ANTIGEN, 0.0)[order],
        np.where(is_target, 0.0, PARAMETERS["s"])[order],
    )


def exposure_error(exposure: Floats, reference: Floats) -> float:
    """Relative difference of per-cell exposures in L2."""
    return float(np.linalg.norm(exposure - reference) / np.linalg.norm(reference))

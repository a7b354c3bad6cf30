"""An antibody (rituximab) entering and leaving a spheroid: the published radial model, solved again.

phi dc/dt = (1 / r^2) d/dr (D r^2 phi dc/dr);  at r = R: D phi dc/dr = P (c_bath - c)
phi(r) = 0.43948 (r / R)^3.19745 + 0.56052
Finite volumes on shells, exact in time by the eigenvectors of the symmetric tridiagonal operator.
"""

import numpy as np
from scipy.linalg import eigh_tridiagonal

RADIUS = 205.0  # [um]
BATH = 60.0  # [nM]
HOUR = 3600.0  # [s]
DIFFUSIVITY = 0.7193 * RADIUS**2 / HOUR  # [um^2/s], published as 0.7193 R^2/h
PERMEABILITY_UPTAKE = 0.02708 * RADIUS / HOUR  # [um/s], published as R/h, as the next two
PERMEABILITY_CLEARANCE = 0.1524 * RADIUS / HOUR
PERMEABILITY_WASH = 1e4 * RADIUS / HOUR
WASH = 30.0  # [s]
LOADING_HOURS = 24
UPTAKE_HOURS = (2, 6, 16, 24, 48)
CLEARANCE_HOURS = (1, 2, 4, 8)
PUBLISHED = (6.1, 15.1, 26.3, 29.8, 32.2, 17.1, 9.7, 3.1, 0.3)  # the published parameters' figures [nM]
RESOLVED = (6.05, 15.05, 26.31, 29.78, 32.22, 17.07, 9.68, 3.11, 0.32)  # the same to one more digit
MEASURED = (10.2, 15.2, 22.6, 29.6, 32.7, 15.9, 8.1, 7.3, 0.9)


def accessible_fraction(r):
    """phi(r), the share of the spheroid's volume that the antibody may enter."""
    return 0.43948 * (np.asarray(r) / RADIUS) ** 3.19745 + 0.56052


class Shells:
    """The radial problem at one wall permeability: capacity_i dc_i/dt = sum of shell fluxes + wall (c_bath - c_N)."""

    def __init__(self, permeability, n_shells=800, diffusivity=DIFFUSIVITY):
        edges = np.linspace(0, RADIUS, n_shells + 1)
        middle = 0.5 * (edges[1:] + edges[:-1])
        width = RADIUS / n_shells
        self.capacity = 4 / 3 * np.pi * np.diff(edges**3) * accessible_fraction(middle)
        inner = 4 * np.pi * edges[1:-1] ** 2 * diffusivity * accessible_fraction(edges[1:-1]) / width
        half_shell = 0.5 * width / (diffusivity * accessible_fraction(RADIUS - 0.25 * width))
        wall = 4 * np.pi * RADIUS**2 / (1 / permeability + half_shell)
        diagonal = np.concatenate([inner, [wall]]) + np.concatenate([[0.0], inner])
        root = np.sqrt(self.capacity)
        self.rates, vectors = eigh_tridiagonal(diagonal / self.capacity, -inner / (root[1:] * root[:-1]))
        self.to_modes, self.from_modes = (vectors * root[:, None]).T, vectors / root[:, None]

    def advance(self, concentration, bath, seconds):
        """c(t + seconds) with the bath held at one concentration."""
        decayed = np.exp(-self.rates * seconds) * (self.to_modes @ (concentration - bath))
        return bath + self.from_modes @ decayed

    def mean(self, concentration):
        """Amount over the spheroid's whole volume, the reading [nM]."""
        return (self.capacity * concentration).sum() / (4 / 3 * np.pi * RADIUS**3)


def readings(n_shells=800):
    """The nine readings [nM], uptake then clearance, each after its wash of half a minute."""
    uptake, clearance, wash = (
        Shells(p, n_shells) for p in (PERMEABILITY_UPTAKE, PERMEABILITY_CLEARANCE, PERMEABILITY_WASH)
    )
    empty = np.zeros(n_shells)
    loaded = uptake.advance(empty, BATH, LOADING_HOURS * HOUR)
    states = [uptake.advance(empty, BATH, hours * HOUR) for hours in UPTAKE_HOURS]
    states += [clearance.advance(loaded, 0.0, hours * HOUR) for hours in CLEARANCE_HOURS]
    return np.array([wash.mean(wash.advance(state, 0.0, WASH)) for state in states])

"""Diffusion into a slab and a half-space from a face held at a concentration (Crank 1975, eqs 2.45, 4.17)."""

import numpy as np
from scipy.special import erfc


def slab_concentration(x, time, length, diffusivity, face, n_terms=400):
    """u of du/dt = D u'', u(0) = c0, u'(L) = 0, u = 0 at t = 0.

    u = c0 (1 - sum_n 4 / (pi (2n + 1)) sin(q_n x) exp(-D q_n^2 t)),  q_n = (2n + 1) pi / (2 L)
    """
    odd = 2 * np.arange(n_terms) + 1
    q = odd * np.pi / (2 * length)
    series = (4 / (np.pi * odd) * np.sin(np.outer(np.atleast_1d(x), q)) * np.exp(-diffusivity * q**2 * time)).sum(1)
    return face * (1 - series)


def slab_uptake(time, length, diffusivity, face, n_terms=400):
    """Amount per face area that has entered, the integral of slab_concentration over 0 < x < L."""
    odd = 2 * np.arange(n_terms) + 1
    q = odd * np.pi / (2 * length)
    return face * length * (1 - (8 / (np.pi * odd) ** 2 * np.exp(-diffusivity * q**2 * time)).sum())


def front_concentration(x, time, diffusivity, face, retardation=1.0):
    """u = c0 erfc(x / (2 sqrt(D t / R))) in a half-space whose face is held at c0 from t = 0."""
    return face * erfc(np.asarray(x) / (2 * np.sqrt(diffusivity * time / retardation)))

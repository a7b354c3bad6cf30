"""Krogh's cylinder: tissue around a vessel with a permeable wall, at steady state (Krogh 1919; Thurber 2008)."""

import numpy as np
from scipy.special import i0, i1, k0, k1


def zero_order(r, vessel, tissue, diffusivity, consumption, blood, permeability=np.inf):
    """c(r) of D (r c')' / r = M, D c'(a) = P (c(a) - c_b), c'(b) = 0 (Krogh-Erlang).

    c = c_b - M (b^2 - a^2) / (2 a P) + M (r^2 - a^2) / (4 D) - M b^2 / (2 D) ln(r / a)
    """
    r = np.asarray(r, float)
    wall = consumption * (tissue**2 - vessel**2) / (2 * vessel * permeability)
    profile = (r**2 - vessel**2) / 4 - tissue**2 / 2 * np.log(r / vessel)
    return blood - wall + consumption / diffusivity * profile


def first_order(r, vessel, tissue, diffusivity, decay, blood, permeability=np.inf):
    """c(r) of D (r c')' / r = k c with the same ends: c = C (I0(q r) K1(q b) + K0(q r) I1(q b)), q^2 = k / D."""
    q = np.sqrt(decay / diffusivity)

    def shape(x):
        return i0(q * x) * k1(q * tissue) + k0(q * x) * i1(q * tissue)

    slope = q * (i1(q * vessel) * k1(q * tissue) - k1(q * vessel) * i1(q * tissue))
    return blood * shape(np.asarray(r, float)) / (shape(vessel) - diffusivity * slope / permeability)

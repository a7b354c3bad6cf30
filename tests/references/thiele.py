"""A sphere fed through its surface that consumes at first order (Thiele 1939; Bird, Stewart & Lightfoot 18.7)."""

import numpy as np


def thiele_modulus(radius, diffusivity, decay):
    """Phi = R sqrt(k / D)."""
    return radius * np.sqrt(decay / diffusivity)


def surface_concentration(radius, diffusivity, decay, bath, permeability=np.inf):
    """c(R) of D c'' + 2 D c' / r = k c with D c'(R) = P (c_b - c(R)).

    c(R) = c_b / (1 + (Phi coth Phi - 1) / Bi),  Bi = P R / D
    """
    phi = thiele_modulus(radius, diffusivity, decay)
    return bath / (1 + diffusivity * (phi / np.tanh(phi) - 1) / (permeability * radius))


def concentration(r, radius, diffusivity, decay, bath, permeability=np.inf):
    """c(r) = c(R) (R / r) sinh(Phi r / R) / sinh(Phi)."""
    phi = thiele_modulus(radius, diffusivity, decay)
    s = phi * np.maximum(np.asarray(r, float) / radius, 1e-9)
    return surface_concentration(radius, diffusivity, decay, bath, permeability) * np.sinh(s) / s * phi / np.sinh(phi)


def uptake(radius, diffusivity, decay, bath, permeability=np.inf):
    """Inflow 4 pi R D c(R) (Phi coth Phi - 1), equal to what is consumed [nM um^3/s]."""
    phi = thiele_modulus(radius, diffusivity, decay)
    at_surface = surface_concentration(radius, diffusivity, decay, bath, permeability)
    return 4 * np.pi * radius * diffusivity * at_surface * (phi / np.tanh(phi) - 1)

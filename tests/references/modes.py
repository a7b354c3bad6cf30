"""Cosine modes of diffusion with decay in a box with walls (Carslaw & Jaeger 1959, ch. 2)."""

import numpy as np


def mode_values(centres, length, number):
    """cos(k pi x / L) at x: zero slope at x = 0 and x = L."""
    return np.cos(number * np.pi * np.asarray(centres) / length)


def continuous_rate(diffusivity, lengths, numbers, decay=0.0):
    """lambda = D sum (k pi / L)^2 + k_decay [1/s]."""
    return decay + diffusivity * sum((k * np.pi / length) ** 2 for k, length in zip(numbers, lengths, strict=True))


def discrete_rate(diffusivity, lengths, numbers, spacing, decay=0.0):
    """lambda_h = D sum (4 / h^2) sin^2(k pi h / 2 L) + k_decay: the same of the three-point stencil on cell centres."""
    terms = (np.sin(0.5 * k * np.pi * spacing / length) ** 2 for k, length in zip(numbers, lengths, strict=True))
    return decay + diffusivity * 4.0 / spacing**2 * sum(terms)

"""Differences between cells of one type."""

import math

import numpy as np

from payloadfield.geometry import FloatArray


def draw_factors(rng: np.random.Generator, n: int, coefficient_of_variation: float) -> FloatArray:
    """Lognormal factors of mean 1.

    exp(s N - s^2 / 2), s^2 = ln(1 + cv^2), N standard normal
    coefficient_of_variation: standard deviation over mean [1]
    """
    s = math.sqrt(math.log1p(coefficient_of_variation**2))
    return np.exp(s * rng.standard_normal(n) - s * s / 2)

"""A plane through a unit cube, and the share of the cube on one side of it."""

from itertools import product

import numpy as np

from payloadfield.geometry.grid import FloatArray

# Components of a normal below this are taken as this, so that the formula divides by nothing small.
SMALLEST_COMPONENT = 1e-3
# Halvings of the interval in which the plane is sought: to a millionth of the cube's edge.
HALVINGS = 22


def share_beyond(normal: FloatArray, offset: FloatArray) -> FloatArray:
    """Share of the unit cube around 0 in which n . x > offset.

    V = sum over the corners v in {0, 1}^3 of (-1)^|v| max(level - |n| . v, 0)^3 / (6 |n1 n2 n3|),
    level = |n|_1 / 2 - offset
    normal: (n, 3); offset: (n,)
    """
    n = np.maximum(np.abs(normal), SMALLEST_COMPONENT)
    level = n.sum(axis=1) / 2 - offset
    total = np.zeros_like(level)
    for corner in product((0, 1), repeat=3):
        total += (-1.0) ** sum(corner) * np.maximum(level - n @ np.array(corner, float), 0) ** 3
    return total / (6 * n.prod(axis=1))


def plane_offset(normal: FloatArray, share: FloatArray) -> FloatArray:
    """Offset at which a plane leaves this share of the unit cube around 0 beyond it: the inverse of share_beyond.

    normal: (n, 3); share: (n,) from 0 to 1
    """
    high = np.maximum(np.abs(normal), SMALLEST_COMPONENT).sum(axis=1) / 2
    low = -high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        too_much = share_beyond(normal, middle) > share
        low, high = np.where(too_much, middle, low), np.where(too_much, high, middle)
    return (low + high) / 2

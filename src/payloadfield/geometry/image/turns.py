"""Axes of an image against x, y, z."""

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import FloatArray

# An axis may lean by this much, as a tangent: directions are often written with few digits.
MOST_LEAN = 1e-3


def axis_steps(directions: FloatArray, where: str) -> list[float]:
    """Signed step from voxel to voxel along each axis, where the axes run along x, y, z.

    directions: (n, n) or (n, 3) step along axis i in space, x, y, z
    Raises GeometryError where an axis leans or points along another one: the image would have to be resampled.
    """
    n = len(directions)
    if directions.ndim != 2 or not np.isfinite(directions).all() or directions.shape[1] < n:
        raise GeometryError(f"{where}: its directions {directions.tolist()} are no finite vectors")
    steps = np.diagonal(directions)[:n]
    lean = np.abs(directions - np.eye(n, directions.shape[1]) * steps[:, None]).max(axis=1)
    if (lean > MOST_LEAN * np.abs(steps)).any() or (steps == 0).any():
        raise GeometryError(
            f"{where}: its axes do not run along x, y, z (directions {np.round(directions, 4).tolist()}); resample it "
            "along them, or give spacing, which takes its columns, rows and planes as x, y, z"
        )
    return [float(step) for step in steps]

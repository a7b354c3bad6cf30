"""Stacks, balls and grids for the tests of images."""

import numpy as np

from payloadfield.geometry import MEDIUM, Material, PlacedImage, Stack, VoxelGrid
from payloadfield.geometry.image.stack import NO_SPACING

PCL = Material("PCL", "impermeable")
GEL = Material("gel", "gel", {"default": 0.5})
MATERIALS = (MEDIUM, PCL, GEL)


def stack_of(array: np.ndarray) -> Stack:
    """A stack in memory."""
    return Stack("image test", array.shape, array.dtype, NO_SPACING, lambda k: array[k])


def placed(array: np.ndarray, spacing, **place) -> PlacedImage:
    """An array with its spacing z, y, x and its place."""
    return PlacedImage(stack_of(array), tuple(float(s) for s in np.broadcast_to(spacing, 3)), **place)


def distances(shape, spacing, centre) -> np.ndarray:
    """Distance of the middles of voxels to a point."""
    z, y, x = ((np.arange(n) + 0.5) * s - c for n, s, c in zip(shape, np.broadcast_to(spacing, 3), centre, strict=True))
    return np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)


def cube(n: int, spacing: float, periodic=(False, False, False)) -> VoxelGrid:
    """A cubic grid."""
    return VoxelGrid((n, n, n), spacing, periodic)

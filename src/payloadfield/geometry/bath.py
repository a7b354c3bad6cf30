"""Walls held at the bath's concentration, put where they are rather than at the nearest voxel.

Beside such a wall the field is linear in the distance d to it. A voxel whose centre lies beyond the wall has d < 0,
which no conductance can express, so the voxels that the wall cuts are taken at
    m(d) = e + (d + w) (w - e) / (2 w)   for d < w,    m(d) = d   otherwise,
w being the half width of a voxel along the wall's normal: about the distance of the open part's centroid. The wall acts
over m, and a face between voxels i and j conducts (d_j - d_i) / (m_j - m_i) times its aperture. So a field linear in
the distance remains an exact solution, and every conductance stays positive.
"""

import math

import numpy as np
import numpy.typing as npt

from payloadfield.geometry.grid import FloatArray, Points, nowhere
from payloadfield.geometry.scene import Scene

IntArray = npt.NDArray[np.int64]

# Smallest distance over which a wall acts, in voxels (e above): bounds the conductance of slivers.
SMALLEST_DISTANCE = 0.05
# A wall further than this from a voxel's centre, in voxels, is not in the voxel: half its diagonal.
FARTHEST_WALL = math.sqrt(3) / 2 * (1 + 1e-9)


def place_bath_walls(
    scene: Scene,
    open_fraction: FloatArray,
    apertures: tuple[FloatArray, FloatArray, FloatArray],
    bath_area: FloatArray,
) -> FloatArray:
    """Distance over which the bath acts on each voxel; corrects the apertures beside cut voxels in place [um].

    open_fraction, bath_area: (nz, ny, nx)
    """
    grid = scene.grid
    if not bath_area.any():
        return nowhere(grid)
    distance = np.zeros(grid.shape)
    walled = bath_area > 0
    near = np.flatnonzero(_with_neighbours(walled, grid.periodic) & (open_fraction > 0))
    true, taken = np.full(grid.shape, np.inf), np.full(grid.shape, np.inf)
    true.reshape(-1)[near], taken.reshape(-1)[near] = _distances(scene, near)
    by_distance = walled & (true < FARTHEST_WALL * grid.spacing)
    distance[by_distance] = taken[by_distance]
    stairs = np.nonzero(walled & ~by_distance)
    distance[stairs] = _staircase_distance(grid.spacing, apertures, stairs)
    for axis, aperture in enumerate(apertures):
        _stretch(aperture, axis, by_distance, true, taken, periodic=grid.periodic[axis])
    return distance


def _staircase_distance(
    h: float, apertures: tuple[FloatArray, FloatArray, FloatArray], at: tuple[IntArray, ...]
) -> FloatArray:
    """Distance at which the area vector conducts as much as all closed faces do, each half a voxel away [um]."""
    areas = []
    for axis, aperture in enumerate(apertures):
        above = list(at)
        above[axis] = at[axis] + 1
        areas.append(2 - aperture[at] - aperture[tuple(above)])
    faces, vector = np.sum(areas, axis=0), np.sqrt(np.sum(np.square(areas), axis=0))
    return h / 2 * vector / faces


def _distances(scene: Scene, voxels: IntArray) -> tuple[FloatArray, FloatArray]:
    """d and m(d) of voxels, in units of length [um]."""
    grid = scene.grid
    h = grid.spacing
    index = np.unravel_index(voxels, grid.shape)
    centre = [(i + 0.5) * h for i in index]
    d = scene.distance((centre[0], centre[1], centre[2]), ("bath",))
    w = _half_width(scene, (centre[0], centre[1], centre[2]), h)
    e = SMALLEST_DISTANCE * h
    return d, np.where(d < w, e + (np.maximum(d, -w) + w) * (w - e) / (2 * w), d)


def _half_width(scene: Scene, centre: Points, h: float) -> FloatArray:
    """Half the extent of a voxel along the gradient of the distance: h |n|_1 / 2 [um]."""
    slopes = []
    for axis in range(3):
        high, low = list(centre), list(centre)
        high[axis], low[axis] = centre[axis] + h / 2, centre[axis] - h / 2
        above, below = (scene.distance((p[0], p[1], p[2]), ("bath",)) for p in (high, low))
        known = np.isfinite(above) & np.isfinite(below)
        slopes.append(np.abs(np.where(known, above, 0) - np.where(known, below, 0)))
    length = np.sqrt(sum(s * s for s in slopes))
    ratio = sum(slopes) / np.where(length > 0, length, 1)
    return h / 2 * np.clip(ratio, 1, np.sqrt(3))


def _stretch(
    aperture: FloatArray,
    axis: int,
    walled: npt.NDArray[np.bool_],
    true: FloatArray,
    taken: FloatArray,
    *,
    periodic: bool,
) -> None:
    """Multiply the apertures of faces beside cut voxels by (d_j - d_i) / (m_j - m_i)."""
    faces = np.moveaxis(aperture, axis, 0)
    walled = np.moveaxis(walled, axis, 0)
    true, taken = np.moveaxis(true, axis, 0), np.moveaxis(taken, axis, 0)
    faces[1:-1] *= _factor(walled[:-1] | walled[1:], true[:-1], true[1:], taken[:-1], taken[1:])
    if periodic:
        faces[0] *= _factor(walled[-1] | walled[0], true[-1], true[0], taken[-1], taken[0])
        faces[-1] = faces[0]


def _factor(
    walled: npt.NDArray[np.bool_], d_low: FloatArray, d_high: FloatArray, m_low: FloatArray, m_high: FloatArray
) -> FloatArray:
    factor = np.ones(walled.shape)
    usable = walled & np.isfinite(d_low) & np.isfinite(d_high) & (m_low != m_high)
    ratio = (d_high[usable] - d_low[usable]) / (m_high[usable] - m_low[usable])
    # m has slopes between (1 - e/w) / 2 and 1, so the ratio lies between 1 and their inverse.
    factor[usable] = np.clip(ratio, 1, 2 / (1 - 2 * SMALLEST_DISTANCE))
    return factor


def _with_neighbours(mask: npt.NDArray[np.bool_], periodic: tuple[bool, bool, bool]) -> npt.NDArray[np.bool_]:
    grown = mask.copy()
    for axis, wraps in enumerate(periodic):
        source, target = np.moveaxis(mask, axis, 0), np.moveaxis(grown, axis, 0)
        target[1:] |= source[:-1]
        target[:-1] |= source[1:]
        if wraps:
            target[0] |= source[-1]
            target[-1] |= source[0]
    return grown

"""Walls held at the bath's concentration, put where they are rather than at the nearest voxel.

Beside such a wall the field is linear in the distance d to it. A voxel whose centre lies beyond the wall has d < 0,
which no conductance can express, so the voxels that the wall cuts are taken at
    m(d) = e + (d + w) (w - e) / (2 w)   for d < w,    m(d) = d   otherwise,
w being the half width of a voxel along the wall's normal: about the distance of the open part's centroid. The wall acts
over m, and a face between voxels i and j conducts (d_j - d_i) / (m_j - m_i) times its aperture. So a field linear in
the distance remains an exact solution, and every conductance stays positive.
"""

import numpy as np
import numpy.typing as npt

from payloadfield.geometry.grid import FloatArray, Points
from payloadfield.geometry.scene import BY_DISTANCE, Scene

IntArray = npt.NDArray[np.int64]

# Smallest distance over which a wall acts, in voxels (e above): bounds the conductance of slivers.
SMALLEST_DISTANCE = 0.05


def place_bath_walls(
    scene: Scene,
    open_fraction: FloatArray,
    apertures: tuple[FloatArray, FloatArray, FloatArray],
    bath_area: FloatArray,
    forced: npt.NDArray[np.uint8],
) -> FloatArray:
    """Distance over which the bath acts on each voxel; corrects the apertures beside cut voxels in place [um].

    open_fraction, bath_area, forced: (nz, ny, nx)
    """
    h = scene.grid.spacing
    distance = np.zeros(scene.grid.shape)
    if not bath_area.any():
        return distance
    # Walls of label arrays lie on faces, half a voxel from the centre.
    walled = bath_area > 0
    distance[walled] = h / 2
    by_distance = walled & (forced == BY_DISTANCE)
    if by_distance.any():
        _place_cut_walls(scene, open_fraction, apertures, by_distance, distance)
    return distance


def _place_cut_walls(
    scene: Scene,
    open_fraction: FloatArray,
    apertures: tuple[FloatArray, FloatArray, FloatArray],
    walled: npt.NDArray[np.bool_],
    distance: FloatArray,
) -> None:
    grid = scene.grid
    near = np.flatnonzero(_with_neighbours(walled, grid.periodic) & (open_fraction > 0))
    true, taken = np.full(grid.shape, np.nan), np.full(grid.shape, np.nan)
    true.reshape(-1)[near], taken.reshape(-1)[near] = _distances(scene, near)
    distance[walled] = taken[walled]
    for axis, aperture in enumerate(apertures):
        _stretch(aperture, axis, walled, true, taken, periodic=grid.periodic[axis])


def _distances(scene: Scene, voxels: IntArray) -> tuple[FloatArray, FloatArray]:
    """d and m(d) of voxels, in units of length [um]."""
    grid = scene.grid
    h = grid.spacing
    index = np.unravel_index(voxels, grid.shape)
    centre = [(i + 0.5) * h for i in index]
    d = scene.bath_distance((centre[0], centre[1], centre[2]))
    w = _half_width(scene, (centre[0], centre[1], centre[2]), h)
    e = SMALLEST_DISTANCE * h
    return d, np.where(d < w, e + (np.maximum(d, -w) + w) * (w - e) / (2 * w), d)


def _half_width(scene: Scene, centre: Points, h: float) -> FloatArray:
    """Half the extent of a voxel along the gradient of the distance: h |n|_1 / 2 [um]."""
    slopes = []
    for axis in range(3):
        high, low = list(centre), list(centre)
        high[axis], low[axis] = centre[axis] + h / 2, centre[axis] - h / 2
        slopes.append(np.abs(scene.bath_distance((high[0], high[1], high[2]))
                             - scene.bath_distance((low[0], low[1], low[2]))))
    length = np.sqrt(sum(s * s for s in slopes))
    ratio = sum(slopes) / np.where(length > 0, length, 1)
    return h / 2 * np.clip(ratio, 1, np.sqrt(3))


def _stretch(
    aperture: FloatArray, axis: int, walled: npt.NDArray[np.bool_], true: FloatArray, taken: FloatArray,
    *, periodic: bool,
) -> None:
    """Multiply the apertures of faces beside cut voxels by (d_j - d_i) / (m_j - m_i)."""
    faces = np.moveaxis(aperture, axis, 0)
    walled = np.moveaxis(walled, axis, 0)
    true, taken = np.moveaxis(true, axis, 0), np.moveaxis(taken, axis, 0)
    faces[1:-1] *= _factor(walled[:-1], walled[1:], true[1:] - true[:-1], taken[1:] - taken[:-1])
    if periodic:
        faces[0] *= _factor(walled[-1], walled[0], true[0] - true[-1], taken[0] - taken[-1])
        faces[-1] = faces[0]


def _factor(
    low: npt.NDArray[np.bool_], high: npt.NDArray[np.bool_], true: FloatArray, taken: FloatArray
) -> FloatArray:
    # m has slopes between (1 - e/w) / 2 and 1, so the ratio lies between 1 and their inverse.
    largest = 2 / (1 - 2 * SMALLEST_DISTANCE)
    usable = (low | high) & (np.abs(taken) > 0) & np.isfinite(true)
    ratio = np.divide(true, taken, out=np.ones(true.shape), where=usable)
    return np.clip(ratio, 1, largest)


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

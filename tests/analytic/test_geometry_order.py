"""Order of accuracy of diffusion on open fractions and apertures, against exact solutions at curved walls.

The schemes are assembled here in a few lines from the arrays of a Geometry, so that what is measured is the geometry.
"""

from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import cg, eigsh, spsolve
from scipy.special import i0, i1

from payloadfield.geometry import MEDIUM, Cylinder, LabelArray, Material, Sphere, VoxelGrid, make_geometry

SOLID, BATH = Material("solid", "impermeable"), Material("bath", "bath")
CENTRE = (0.0, 0.513, 0.487)  # off the middle, so that no symmetry helps
FLAT = (True, False, False)


def conduction(geometry):
    """K of -div grad between open voxels, (n_voxels, n_voxels)."""
    index = np.arange(geometry.grid.n_voxels).reshape(geometry.grid.shape)
    pairs = []
    for axis, aperture in enumerate(geometry.apertures):
        faces, k = np.moveaxis(aperture, axis, 0), np.moveaxis(index, axis, 0)
        pairs.append((k[:-1].ravel(), k[1:].ravel(), faces[1:-1].ravel()))
    i, j, a = (np.concatenate(part) for part in zip(*pairs, strict=True))
    n = geometry.grid.n_voxels
    off = sparse.coo_matrix((a, (i, j)), (n, n)) * geometry.grid.spacing
    off = (off + off.T).tocsr()
    return sparse.diags(np.asarray(off.sum(1)).ravel()) - off


def flat_grid(n):
    return VoxelGrid((1, n, n), 1 / n, FLAT)


def radius_and_angle(grid, centre):
    _, y, x = np.meshgrid(*(grid.centres(axis) for axis in range(3)), indexing="ij")
    return np.hypot(y - centre[1], x - centre[2]).ravel(), np.arctan2(y - centre[1], x - centre[2]).ravel()


def l2(error, exact, volume):
    return np.sqrt((volume * error**2).sum() / (volume * exact**2).sum())


def observed_orders(errors):
    return [np.log2(abs(a / b)) for a, b in pairwise(errors)]


def potential_past_cylinder(grid, radius):
    r, angle = radius_and_angle(grid, CENTRE)
    return (r + radius**2 / r) * np.cos(angle)


def error_of_flow_past_cylinder(n, radius=0.23):
    """Potential u = (r + R^2/r) cos(angle) around an insulated cylinder, given on the sides of the box."""
    grid = flat_grid(n)
    geometry = make_geometry(grid, [Cylinder("solid", "z", CENTRE, radius)], [MEDIUM, SOLID])
    exact, h = potential_past_cylinder(grid, radius), grid.spacing
    matrix, rhs = conduction(geometry).tolil(), np.zeros(grid.n_voxels)
    index = np.arange(grid.n_voxels).reshape(n, n)
    for axis in (1, 2):
        for end in (0, -1):
            side = np.moveaxis(index, axis - 1, 0)[end]
            point = [grid.centres(1), grid.centres(2)]
            point[axis - 1] = np.array([0.0 if end == 0 else 1.0])
            y, x = (p - c for p, c in zip(np.meshgrid(*point, indexing="ij"), CENTRE[1:], strict=True))
            r = np.hypot(y, x)
            value = ((r + radius**2 / r) * x / r).ravel()
            matrix[side, side] = matrix.diagonal()[side] + 2 * h
            rhs[side] += 2 * h * value
    free = np.flatnonzero(geometry.open_fraction)
    u = spsolve(matrix.tocsr()[free][:, free].tocsc(), rhs[free])
    return l2(u - exact[free], exact[free], geometry.open_fraction.ravel()[free])


def test_flow_past_an_insulated_cylinder_converges_with_order_two():
    errors = [error_of_flow_past_cylinder(n) for n in (24, 48, 96)]
    assert errors[-1] < 2e-4
    assert min(observed_orders(errors)) > 1.85  # measured 1.952


def error_of_eigenvalue(n, radius=0.41):
    """Slowest decay in an insulated cylinder: eigenvalue (j'_11 / R)^2, of sin and cos alike."""
    geometry = make_geometry(flat_grid(n), [Cylinder("solid", "z", CENTRE, radius, outside=True)], [MEDIUM, SOLID])
    free = np.flatnonzero(geometry.open_fraction)
    volume = sparse.diags(geometry.open_fraction.ravel()[free] * geometry.grid.spacing**3)
    matrix = conduction(geometry)[free][:, free]
    values = eigsh(matrix.tocsc(), 3, volume.tocsc(), sigma=-1.0, return_eigenvectors=False)
    return np.mean(np.sort(values)[1:]) / (1.8411837813406593 / radius) ** 2 - 1


def test_eigenvalue_in_a_cylinder_converges_with_order_near_two():
    errors = [error_of_eigenvalue(n) for n in (16, 32, 64)]
    assert abs(errors[-1]) < 1e-3
    assert np.log2(abs(errors[0] / errors[-1])) / 2 > 1.9  # measured 2.22: 1.72, then 2.72


def secretion(geometry, radius, k):
    """Steady field of a wall that secretes 1 per area into a cylinder with decay k^2: I0(k r) / (k I1(k R))."""
    h = geometry.grid.spacing
    free = np.flatnonzero(geometry.open_fraction)
    volume = geometry.open_fraction.ravel()[free] * h**3
    matrix = conduction(geometry)[free][:, free] + sparse.diags(k * k * volume)
    u = spsolve(matrix.tocsc(), geometry.wall_area.ravel()[free])
    r, _ = radius_and_angle(geometry.grid, CENTRE)
    exact = i0(k * r[free]) / (k * i1(k * radius))
    return l2(u - exact, exact, volume)


def test_secretion_from_a_curved_wall_converges_with_order_two():
    radius, shape = 0.41, [Cylinder("solid", "z", CENTRE, 0.41, outside=True)]
    errors = [secretion(make_geometry(flat_grid(n), shape, [MEDIUM, SOLID]), radius, 1.0) for n in (16, 32, 64)]
    assert errors[-1] < 1e-4
    assert np.mean(observed_orders(errors)) > 1.83  # measured 1.77, then 2.08


def test_secretion_from_a_staircase_wall_does_not_converge():
    errors = []
    for n in (16, 32, 64):
        grid = flat_grid(n)
        solid = radius_and_angle(grid, CENTRE)[0].reshape(grid.shape) > 0.41
        stairs = LabelArray(solid.astype(np.uint8), {0: None, 1: "solid"})
        errors.append(secretion(make_geometry(grid, [stairs], [MEDIUM, SOLID]), 0.41, 1.0))
    assert errors[-1] > 3e-2 and errors[-1] > 0.7 * errors[0]


def error_of_uptake(shape, grid, radius, centre, k=3.0):
    """Field held at 1 on the wall and consumed at the rate k^2 u inside, at the voxels that no wall cuts."""
    geometry = make_geometry(grid, [shape], [MEDIUM, BATH])
    free = np.flatnonzero(geometry.open_fraction)
    volume = geometry.open_fraction.ravel()[free] * grid.spacing**3
    area, distance = geometry.bath_area.ravel()[free], geometry.bath_distance.ravel()[free]
    wall = np.divide(area, distance, out=np.zeros(len(free)), where=area > 0)
    matrix = (conduction(geometry)[free][:, free] + sparse.diags(k * k * volume + wall)).tocsr()
    u, failed = cg(matrix, wall, rtol=1e-10, M=sparse.diags(1 / matrix.diagonal()))
    assert not failed
    z, y, x = np.meshgrid(*(grid.centres(axis) for axis in range(3)), indexing="ij")
    flat = isinstance(shape, Cylinder)
    r = np.sqrt((y - centre[1]) ** 2 + (x - centre[2]) ** 2 + (0 if flat else (z - centre[0]) ** 2)).ravel()[free]
    # A cut voxel stands for the field at its bath_distance from the wall.
    r = np.where(area > 0, radius - distance, r)
    if flat:
        exact, uptake = i0(k * r) / i0(k * radius), 2 * np.pi * radius * k * i1(k * radius) / i0(k * radius)
        uptake *= grid.spacing
    else:
        exact = np.sinh(k * r) / r * radius / np.sinh(k * radius)
        uptake = 4 * np.pi * radius * (k * radius / np.tanh(k * radius) - 1)
    return l2(u - exact, exact, volume), abs((wall * (1 - u)).sum() / uptake - 1)


def test_uptake_through_a_cylinder_in_a_bath_converges_with_order_two():
    centre = (0.0, 1.213, 1.187)
    shape = Cylinder("bath", "z", centre, 1.0, outside=True)
    found = [error_of_uptake(shape, VoxelGrid((1, n, n), 2.4 / n, FLAT), 1.0, centre) for n in (32, 64, 128)]
    fields, fluxes = zip(*found, strict=True)
    assert fields[-1] < 5e-4 and fluxes[-1] < 1e-3
    assert min(observed_orders(fields)) > 1.74  # measured 1.846
    assert min(observed_orders(fluxes)) > 1.79  # measured 1.897


def test_uptake_of_a_spheroid_in_a_bath_converges_with_order_two():
    centre = (1.195, 1.213, 1.187)
    shape = Sphere("bath", centre, 1.0, outside=True)
    found = [error_of_uptake(shape, VoxelGrid((n, n, n), 2.4 / n), 1.0, centre) for n in (30, 60)]
    fields, fluxes = zip(*found, strict=True)
    assert fields[-1] < 2e-3 and fluxes[-1] < 5e-3
    assert observed_orders(fields)[0] > 1.71  # measured 1.812
    assert observed_orders(fluxes)[0] > 1.79  # measured 1.894


@pytest.mark.parametrize("tilt", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("place", [0.501, 0.52, 0.56, 0.6])
def test_a_field_linear_in_the_distance_to_a_bath_is_exact(tilt, place):
    grid = VoxelGrid((1, 24, 12), 1 / 12, FLAT)
    normal = np.array([np.cos(tilt), np.sin(tilt)])

    class HalfSpace:
        material = "bath"

        def signed_distance(self, points, period=None):
            return (points[1] - place) * normal[0] + (points[2] - 0.5) * normal[1]

    geometry = make_geometry(grid, [HalfSpace()], [MEDIUM, BATH])
    free = np.flatnonzero(geometry.open_fraction)
    y, x = (c.ravel()[free] for c in np.meshgrid(*(grid.centres(a) for a in range(3)), indexing="ij")[1:])
    distance = (y - place) * normal[0] + (x - 0.5) * normal[1]
    area, over = geometry.bath_area.ravel()[free], geometry.bath_distance.ravel()[free]
    u = np.where(area > 0, over, distance)
    wall = np.divide(area, over, out=np.zeros(len(free)), where=area > 0)
    residual = conduction(geometry)[free][:, free] @ u + wall * u
    inner = (y < 2 - 1.2 / 12) & (x > 1.2 / 12) & (x < 1 - 1.2 / 12)
    assert np.abs(residual[inner & (area > 0)]).max() < 1e-10 * grid.spacing
    assert np.abs(residual[inner]).max() < 1e-10 * grid.spacing

"""Diffusion behind curved walls against exact solutions: Thiele's sphere, Krogh's cylinder, a round mode.

A voxel stands for the mean over its open part; one cut by the wall of a bath, for the place at its distance from it.
"""

from itertools import product

import numpy as np
import pytest
from scipy.special import j0, jn_zeros
from tests import handmade, tolerances
from tests.references import krogh, thiele
from tests.running import observed_order, run

from payloadfield.geometry import Cylinder, Material, Sphere

D, BATH = 60.0, 10.0
OPEN, PERMEABLE = np.inf, 0.4


def bath_wall(permeability):
    """Materials with a bath behind a wall, by permeability [um/s]."""
    table = {} if np.isinf(permeability) else {"default": permeability}
    return (handmade.MEDIUM, handmade.SOLID, Material("bath", "bath", permeability=table))


def steady(geometry, parameters, duration, rtol=1e-3):
    """A study of the solute at the bath's concentration, run until nothing changes."""
    return handmade.make_study(
        "diffusion", geometry, duration=duration, parameters=parameters, schedule=[(0.0, {"solute": BATH}, 0.0)],
        solver=handmade.make_solver(rtol=rtol),
    )  # fmt: skip


def open_mean(solution, geometry, centre, axes, fine=5):
    """Mean of a solution of the distance to a point or an axis over fine^d points of each voxel's open part.

    solution: function of the distance, nan where it is closed; axes: those that count.
    """
    h = geometry.grid.spacing
    shifts = (np.arange(fine) + 0.5) / fine - 0.5
    total, count = np.zeros(geometry.grid.shape), np.zeros(geometry.grid.shape)
    for shift in product(shifts, repeat=len(axes)):
        points = [geometry.grid.centres(a) + s * h - c for a, s, c in zip(axes, shift, centre, strict=True)]
        squares = [(p**2).reshape(np.roll((-1, 1, 1), a)) for a, p in zip(axes, points, strict=True)]
        values = solution(np.sqrt(sum(squares)) + np.zeros(geometry.grid.shape))
        total += np.nan_to_num(values)
        count += np.isfinite(values)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def within(solution, low, high):
    """The solution between two distances, nan elsewhere."""
    return lambda r: np.where((r >= low) & (r <= high), solution(np.clip(r, low, high)), np.nan)


def weighted_norm(values, geometry):
    """Root mean square over the open volume of voxels that a mean has hit."""
    seen = np.isfinite(values) & (geometry.open_fraction > 0)
    return np.sqrt(np.average(values[seen] ** 2, weights=geometry.open_fraction[seen]))


def sphere_errors(n, permeability):
    """Relative errors of a consuming ball, n voxels across: uptake, concentration in all open voxels."""
    radius, decay, box = 100.0, 0.02, 220.0
    centre = (box / 2 + 1.3, box / 2 - 0.7, box / 2 + 0.4)
    geometry = handmade.make_box((n,) * 3, box / n, shapes=[Sphere("bath", centre, radius, outside=True)],
                                 materials=bath_wall(permeability))  # fmt: skip
    field = run(steady(geometry, {"k_decay": decay}, 2000.0)).sim.field_on_grid("solute")
    consumed = decay * np.nansum(field * geometry.open_fraction) * (box / n) ** 3
    profile = lambda r: thiele.concentration(r, radius, D, decay, BATH, permeability)  # noqa: E731
    expected = open_mean(within(profile, 0.0, radius), geometry, centre, (0, 1, 2))
    expected = np.where(geometry.bath_area > 0, profile(radius - geometry.bath_distance), expected)
    uptake = thiele.uptake(radius, D, decay, BATH, permeability)
    return abs(consumed / uptake - 1), weighted_norm(field - expected, geometry) / BATH


@pytest.mark.parametrize("permeability", [OPEN, PERMEABLE])
def test_consuming_sphere_takes_up_what_thiele_says_with_second_order(permeability):
    sizes = (22, 44)
    errors = np.array([sphere_errors(n, permeability) for n in sizes])
    assert errors[-1].max() < tolerances.EXACT_SOLUTION
    for order, column in zip(tolerances.ORDER_SPHERE.values(), errors.T, strict=True):
        assert observed_order(column, 1 / np.array(sizes))[0] > order


def krogh_error(n, permeability, solution, parameters, sink):
    """Relative error of concentration (L2) in the tissue around a vessel, n voxels across."""
    vessel, tissue, box = 20.0, 80.0, 168.0
    centre = (0.0, box / 2 + 1.1, box / 2 - 0.6)
    shapes = [Cylinder("solid", "z", centre, tissue, outside=True), Cylinder("bath", "z", centre, vessel)]
    geometry = handmade.make_box((1, n, n), box / n, shapes=shapes, materials=bath_wall(permeability))
    field = run(steady(geometry, parameters, 5000.0)).sim.field_on_grid("solute")
    profile = lambda r: solution(r, vessel, tissue, D, sink, BATH, permeability)  # noqa: E731
    expected = open_mean(within(profile, vessel, tissue), geometry, centre[1:], (1, 2))
    expected = np.where(geometry.bath_area > 0, profile(vessel + geometry.bath_distance), expected)
    return weighted_norm(field - expected, geometry) / BATH


@pytest.mark.parametrize("permeability", [OPEN, PERMEABLE])
@pytest.mark.parametrize(("solution", "name", "sink"), [
    (krogh.zero_order, "consumption", 0.02), (krogh.first_order, "k_decay", 0.01)])  # fmt: skip
def test_tissue_around_a_vessel_is_kroghs_with_second_order(solution, name, sink, permeability):
    sizes = (42, 84)
    errors = [krogh_error(n, permeability, solution, {name: sink}, sink) for n in sizes]
    assert errors[-1] < tolerances.EXACT_SOLUTION
    assert observed_order(errors, 1 / np.array(sizes))[0] > tolerances.ORDER_KROGH


def mode_error(n, staircase=False):
    """Error (L2) of a decaying mode J0 between round walls without flux, n voxels across the box."""
    radius, box, end = 100.0, 220.0, 80.0
    centre = (0.0, box / 2 + 1.7, box / 2 - 2.3)
    geometry = handmade.make_box((1, n, n), box / n, shapes=[Cylinder("solid", "z", centre, radius, outside=True)])
    if staircase:
        geometry = handmade.as_staircase(geometry)
    root = jn_zeros(1, 1)[0] / radius
    mode = open_mean(within(lambda r: j0(root * r), 0.0, radius), geometry, centre[1:], (1, 2))
    study = handmade.make_study(
        "diffusion", geometry, duration=end, initial={"solute": 1.0},
        solver=handmade.make_solver(rtol=1e-5, precision="float64"),
    )  # fmt: skip
    start = 2 + np.nan_to_num(mode, nan=j0(root * radius)).ravel()[geometry.open_fraction.ravel() > 0]
    field = run(study, start={"solute": start}).sim.field_on_grid("solute")
    return weighted_norm(field - (2 + mode * np.exp(-D * root**2 * end)), geometry)


def test_mode_between_round_walls_decays_with_second_order():
    sizes = np.array([16, 32, 64])
    errors = [mode_error(n) for n in sizes]
    assert observed_order(errors, 1 / sizes).min() > tolerances.ORDER_MODE


def test_staircase_walls_would_not_be_second_order():
    sizes = np.array([16, 32, 64])
    errors = [mode_error(n, staircase=True) for n in sizes]
    assert observed_order(errors, 1 / sizes)[-1] < tolerances.ORDER_STAIRCASE

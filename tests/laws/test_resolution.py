"""Cells on a curved wall see the same on a coarse grid and on one of half its spacing."""

import numpy as np
from tests import handmade, scenarios, tolerances
from tests.running import run

from payloadfield.cells import CellRequest, place_cells
from payloadfield.geometry import Cylinder, find_pockets

BOX, STRAND, RADIUS = 160.0, 45.0, 8.0
MIDDLE = (70.0, 0.0, 85.0)


def positions(n_cells=24):
    """Cells spread over a strand along y, touching it, and a few in the medium above."""
    rng = np.random.default_rng(5)
    angle, along = rng.uniform(0, 2 * np.pi, n_cells), rng.uniform(10, 70, n_cells)
    away = np.where(np.arange(n_cells) % 4 == 3, STRAND + 30.0, STRAND + 0.6 * RADIUS)
    return np.stack([MIDDLE[0] + away * np.sin(angle), along, MIDDLE[2] + away * np.cos(angle)], axis=1)


def mean_exposures(spacing, one_voxel=False):
    """Mean exposures at a spacing [um]: cells with antigen, cells without, the medium around all of them."""
    shape = (round(BOX / spacing), round(80.0 / spacing), round(BOX / spacing))
    geometry = handmade.make_box(shape, spacing, (False, True, False), [Cylinder("solid", "y", MIDDLE, STRAND)])
    pockets = find_pockets(geometry, {"z_high"})
    cells = place_cells([CellRequest("cell", RADIUS, positions=positions())], geometry, pockets, 1)
    if one_voxel:
        centres = {int(v): 1.0 for v in cells.entry_voxel[cells.entry_start[:-1]]}
        cells = handmade.make_cells([{v: 1.0} for v in centres], shape, spacing)
    has_antigen = cells.position[:, 2] > MIDDLE[2]
    values = scenarios.CELL | {"receptors": np.where(has_antigen, 4e5, 0.0), "protease_secretion": 0.0}
    trace = run(handmade.make_study(
        "adc", geometry, duration=12 * scenarios.HOUR, cells=cells, parameters=scenarios.ADC, of_cells=values,
        boundary={"z_high": "bath"}, schedule=[(0.0, {"adc": 20.0}, 0.0), (6 * scenarios.HOUR, {}, 1.0)],
    ))  # fmt: skip
    inside, around = trace.exposure("payload_exposure"), trace.exposure("medium_payload_exposure")
    return np.array([inside[has_antigen].mean(), inside[~has_antigen].mean(), around.mean()])


def test_half_the_spacing_changes_mean_exposures_by_less_than_two_percent():
    coarse, fine = mean_exposures(10.0), mean_exposures(5.0)
    assert np.abs(coarse / fine - 1).max() < tolerances.RESOLUTION


def test_cells_of_one_voxel_each_would_not_converge():
    coarse, fine = mean_exposures(10.0, one_voxel=True), mean_exposures(5.0, one_voxel=True)
    assert np.abs(coarse / fine - 1).max() > 2 * tolerances.RESOLUTION

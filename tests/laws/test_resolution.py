"""Cells on a curved wall see the same on a coarse grid and on one of half its spacing."""

import numpy as np
import pytest
from tests import handmade, scenarios, tolerances
from tests.running import run

from payloadfield.cells import CellRequest, place_cells
from payloadfield.geometry import Cylinder, Woodpile, find_pockets
from payloadfield.study import load_study

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


WOODPILE = """
title = "a piece of a woodpile"
duration = "24 h"
seed = 3
grid = { size = ["160 um", "160 um", "120 um"], voxel = "10 um" }
boundary = { x = "periodic", y = "periodic", z_high = "bath" }
cells = [CELLS]
schedule = [{ at = "0 h", dose = { "T-DXd" = "50 nM" } }, { at = "8 h", wash = 1.0 }]
[[scaffold]]
shape = "woodpile"
strand_diameter = "80 um"
strand_spacing = "160 um"
layer_height = "60 um"
material = "PCL"
"""
PLACED = '{ type = "SK-BR-3", count = 24, place = "surface" }, { type = "fibroblast", count = 12, place = "surface" }'
WITHOUT_PROTEASE = "agents.T-DXd.linker.kcat_over_km=0 / nM / s"


def off_the_wall(position, least=2.0):
    """Places moved away from the strands to a distance at which every grid has them in the open [um]."""
    strands = Woodpile("PCL", 80.0, 160.0, 60.0)

    def distance(points):
        return strands.signed_distance(tuple(points.T), (np.inf, 160.0, 160.0))

    own = distance(position)
    slope = np.stack([distance(position + step) - distance(position - step) for step in np.eye(3) * 0.01], axis=1)
    slope /= np.linalg.norm(slope, axis=1)[:, None]
    moved = position + np.maximum(least - own, 0)[:, None] * slope
    moved[:, 0] = np.clip(moved[:, 0], 0, 120)
    return moved


@pytest.fixture(scope="module")
def woodpile(tmp_path_factory):
    """Path of a study whose cells are at the same places on every grid."""
    folder = tmp_path_factory.mktemp("woodpile")
    path = folder / "study.toml"
    path.write_text(WOODPILE.replace("CELLS", PLACED))
    cells = load_study(path).cells
    rows = zip(off_the_wall(cells.position), cells.type_index, strict=True)
    lines = [f"{x:.3f},{y:.3f},{z:.3f},{cells.type_names[kind]}" for (z, y, x), kind in rows]
    (folder / "cells.csv").write_text("\n".join(["x_um,y_um,z_um,type", *lines]))
    path.write_text(WOODPILE.replace("CELLS", '{ file = "cells.csv" }'))
    return path


def exposures_by_type(path, *overrides):
    """Exposures of every cell: {type: (3, n_cell)} inside, bound to the target, in the medium around."""
    study = load_study(path, overrides)
    names = ("payload_exposure", "bound_payload_exposure", "medium_payload_exposure")
    trace = run(study)
    found = np.array([trace.exposure(name) for name in names])
    return {name: found[:, study.cells.type_index == k] for k, name in enumerate(study.cells.type_names)}


def test_twice_the_resolution_of_a_study_from_a_file_changes_mean_exposures_by_less_than_two_percent(woodpile):
    coarse, middle, fine = (exposures_by_type(woodpile, f"grid.voxel={h} um") for h in (20, 10, 5))
    assert {name: found.shape[1] for name, found in fine.items()} == {"SK-BR-3": 24, "fibroblast": 12}
    of_all = [np.concatenate(list(found.values()), axis=1).mean(1) for found in (coarse, middle)]
    # A voxel wider than a cell shows the medium around it too coarsely to compare; what cells take up is right.
    assert np.abs(of_all[0] / of_all[1] - 1)[:2].max() < tolerances.RESOLUTION
    for name, found in middle.items():
        assert np.abs(found.mean(1) / fine[name].mean(1) - 1).max() < tolerances.RESOLUTION, name


def test_protease_counts_in_what_the_resolution_is_tested_on(woodpile):
    cut, uncut = (exposures_by_type(woodpile, *more)["fibroblast"][2].mean() for more in ((), (WITHOUT_PROTEASE,)))
    assert cut > 1.01 * uncut

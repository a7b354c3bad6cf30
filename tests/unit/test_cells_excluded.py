"""The volume of cells taken out of the open space: exactly, with its floor, and conserved."""

import math

import numpy as np
import pytest
from tests import handmade, running
from tests.references import slab

from payloadfield.cells import MINIMUM_OPEN, CellRequest, exclude_volume, place_cells
from payloadfield.geometry import MEDIUM, Box, Material, VoxelGrid, find_pockets, make_geometry
from payloadfield.solver.effective_diffusivity import effective_diffusivity
from payloadfield.study import load_study

SOLID, GEL = Material("solid", "impermeable"), Material("gel", "gel", {"default": 0.5}, {"default": 0.8})


def make(shape=(16, 16, 16), h=10.0, shapes=(), periodic=(False, False, False)):
    return make_geometry(VoxelGrid(shape, h, periodic), list(shapes), [MEDIUM, SOLID, GEL])


def place(geometry, *requests):
    return place_cells(requests, geometry, find_pockets(geometry), 7)


def accessible_volume(geometry):
    profile = 1.0 if geometry.accessible_profile is None else geometry.accessible_profile
    return float((geometry.open_fraction * profile).sum()) * geometry.grid.voxel_volume


@pytest.mark.parametrize("radius", [3.0, 7.0, 16.0])
@pytest.mark.parametrize("h", [10.0, 17.0])
def test_accessible_volume_falls_by_exactly_the_volume_of_the_cells(radius, h):
    geometry = make(h=h, shapes=[Box("solid", (-9, -9, -9), (999, 999, 34))])
    positions = [[4.3 * h, 4 * h, 8.6 * h], [11 * h, 5.5 * h, 9.2 * h], [8 * h, 12 * h, 8 * h]]
    cells = place(geometry, CellRequest("a", radius, positions=positions, excludes_volume=True))
    cut = exclude_volume(geometry, cells)
    found = accessible_volume(geometry) - accessible_volume(cut)
    if (radius, h) == (16.0, 10.0):  # voxels inside a large cell close but for the floor
        assert cut.accessible_profile.min() == MINIMUM_OPEN and "would close" in cut.warnings[-1]
        assert found < 3 * 4 / 3 * math.pi * radius**3
    else:
        assert found == pytest.approx(3 * 4 / 3 * math.pi * radius**3, rel=1e-11)
        assert cut.warnings == geometry.warnings


def test_without_the_option_the_geometry_stays_as_it_is():
    geometry = make()
    assert exclude_volume(geometry, place(geometry, CellRequest("a", 7.0, count=50, place="medium"))) is geometry


def test_only_the_cells_that_exclude_their_volume_do():
    geometry = make()
    one = CellRequest("a", 4.0, positions=[[85.0, 85.0, 85.0]], excludes_volume=True)
    other = CellRequest("b", 4.0, positions=[[25.0, 25.0, 25.0]])
    profile = exclude_volume(geometry, place(geometry, one, other)).accessible_profile
    assert np.argwhere(profile < 1).tolist() == [[8, 8, 8]]
    assert profile[8, 8, 8] == pytest.approx(1 - 4 / 3 * math.pi * 64 / 1000)


def test_the_floor_is_kept_and_said_in_how_many_voxels():
    geometry = make()
    crowd = CellRequest("a", 4.9, positions=np.full((9, 3), 85.0), excludes_volume=True)
    cut = exclude_volume(geometry, place(geometry, crowd))
    assert cut.accessible_profile.min() == MINIMUM_OPEN == 0.05
    taken = 9 * 4 / 3 * math.pi * 4.9**3
    assert (
        f"would close a voxel (excludes_volume); of it 5% stays open, and {(taken - 950) / taken:.1%}"
        in cut.warnings[-1]
    )
    resolved = CellRequest("a", 30.0, positions=[[85.0, 85.0, 85.0]], excludes_volume=True)
    cut = exclude_volume(geometry, place(geometry, resolved))
    n_full = int((cut.accessible_profile == MINIMUM_OPEN).sum())
    assert n_full > 40 and f"would close {n_full} voxels" in cut.warnings[-1]


def test_a_dilute_lattice_of_cells_hinders_diffusion_as_maxwell_says_and_alike_along_all_axes():
    geometry = make((6, 6, 6), periodic=(True, True, True))
    centres = (np.argwhere(np.ones((6, 6, 6))) + 0.5) * 10.0
    for radius in (2.0, 4.0, 4.9):
        cells = place(geometry, CellRequest("a", radius, positions=centres, excludes_volume=True))
        cut = exclude_volume(geometry, cells)
        porosity = 1 - 4 / 3 * math.pi * radius**3 / 1000
        found = [effective_diffusivity(cut, axis).relative for axis in "xyz"]
        np.testing.assert_allclose(found, 2 * porosity / (3 - porosity), rtol=1e-6)


def test_a_lattice_of_cells_over_many_voxels_hinders_nearly_as_much():
    """Cells of 40 um in voxels of 10 um: those inside are closed but for the floor."""
    geometry = make((8, 8, 8), periodic=(True, True, True))
    cells = place(geometry, CellRequest("a", 20.0, positions=[[40.0, 40.0, 40.0]], excludes_volume=True))
    share = 4 / 3 * math.pi * 20**3 / 80**3
    found = [effective_diffusivity(exclude_volume(geometry, cells), axis).relative for axis in "xyz"]
    np.testing.assert_allclose(found, found[0], rtol=1e-6)
    assert found[0] == pytest.approx(2 * (1 - share) / (2 + share), rel=0.02)
    assert effective_diffusivity(geometry, "x").relative == pytest.approx(1, rel=1e-6)


STUDY = {
    "duration": "2 h",
    "seed": 3,
    "grid": {"size": ["100 um", "120 um", "80 um"], "voxel": "20 um"},
    "boundary": {"z_high": "bath"},
    "bath": {"volume": "5e6 um^3"},
    "scaffold": [
        {"shape": "box", "material": "GelMA", "low": ["0 um"] * 3, "high": ["100 um", "120 um", "40 um"]},
        {"shape": "sphere", "material": "PCL", "centre": ["50 um", "60 um", "45 um"], "radius": "22 um"},
    ],
    "schedule": [{"at": "0 h", "dose": {"T-DXd": "50 nM"}}],
}


def study(excludes, **row):
    table = {"type": "SK-BR-3", "count": 60, "place": "gel", "excludes_volume": excludes, **row}
    return load_study({**STUDY, "cells": [table]})


def test_a_run_with_excluded_volume_is_in_balance_and_another_run_than_without():
    without, with_volume = study(False), study(True)
    np.testing.assert_array_equal(without.cells.position, with_volume.cells.position)
    lost = accessible_volume(without.geometry) - accessible_volume(with_volume.geometry)
    assert 0 < lost <= 60 * 4 / 3 * math.pi * with_volume.cells.radius[0] ** 3 * (1 + 1e-12)
    traces = [running.run(each, backend="numpy") for each in (without, with_volume)]  # asserts the balance at each step
    seen = [trace.exposure("medium_payload_exposure").sum() for trace in traces]
    assert abs(seen[1] / seen[0] - 1) > 1e-3
    capacities = [trace.sim.plan.field_capacity(0).sum() for trace in traces]
    assert capacities[1] < capacities[0]


def test_the_floor_is_told_of_by_a_study():
    crowded = study(True, count=900, place="GelMA", minimum_distance="6 um")
    assert any("excludes_volume" in warning and "stays open" in warning for warning in crowded.warnings)
    assert crowded.geometry.accessible_profile.min() == MINIMUM_OPEN


def test_a_slab_packed_with_cells_fills_as_its_series_says_at_the_hindered_diffusivity():
    geometry = make((2, 3, 40), h=5.0)
    centres = (np.argwhere(np.ones((2, 3, 40))) + 0.5) * 5.0
    cells = place(geometry, CellRequest("a", 2.4, positions=centres, excludes_volume=True))
    packed = exclude_volume(geometry, cells)
    porosity = 1 - 4 / 3 * math.pi * 2.4**3 / 5.0**3
    found = {}
    for each in (geometry, packed):
        study = handmade.make_study(
            "diffusion", each, duration=150.0, boundary={"x_low": "bath"}, schedule=[(0.0, {"solute": 7.0}, 0.0)],
            solver=handmade.make_solver(rtol=1e-4),
        )  # fmt: skip
        trace = running.run(study, backend="numpy")
        found[each is packed] = trace.sim.field_on_grid("solute")[0, 0]
        amount = (trace.sim.plan.field_capacity(0) * trace.sim.state.fields[0]).sum() / (2 * 3 * 25.0)
    x, hindered = geometry.grid.centres(2), 60.0 * 2 / (3 - porosity)
    expected = slab.slab_concentration(x, 150.0, 200.0, hindered, 7.0)
    assert running.relative_error(found[True], expected) < 5e-3
    assert running.relative_error(found[False], expected) > 0.05  # without cells it fills faster
    assert amount == pytest.approx(porosity * slab.slab_uptake(150.0, 200.0, hindered, 7.0), rel=5e-3)

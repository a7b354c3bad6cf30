"""Porosity, surface, sizes and connectivity of scaffolds whose values are known."""

import numpy as np
import pytest

from payloadfield.geometry import (
    MEDIUM,
    Box,
    Cylinder,
    LabelArray,
    Material,
    Sphere,
    VoxelGrid,
    Woodpile,
    find_pockets,
    local_thickness,
    make_geometry,
    measure_geometry,
)

MATERIALS = [MEDIUM, Material("solid", "impermeable")]


def measured(shapes, shape, h=1.0, periodic=(False, False, False), sides=("z_high",)):
    geometry = make_geometry(VoxelGrid(shape, h, periodic), shapes, MATERIALS)
    return measure_geometry(geometry, find_pockets(geometry, sides))


def test_closed_pores_are_told_from_open_ones():
    labels = np.ones((8, 8, 8), np.uint8)
    labels[4:, 2:4, 2:4] = 0
    labels[1:3, 5:7, 5:7] = 0
    found = measured([LabelArray(labels, {0: None, 1: "solid"})], labels.shape)
    assert (found.porosity, found.porosity_open, found.porosity_closed) == pytest.approx((24 / 512, 16 / 512, 8 / 512))
    assert (found.n_pockets, found.n_pockets_closed) == (2, 1)


def test_surface_of_a_ball_per_volume():
    found = measured([Sphere("solid", (12, 12, 12), 9.0)], (24, 24, 24))
    assert found.wall_area == pytest.approx(4 * np.pi * 81, rel=5e-3)
    assert found.specific_surface == pytest.approx(4 * np.pi * 81 / 24**3, rel=5e-3)
    assert found.specific_surface_of_solid == pytest.approx(3 / 9, rel=0.015)
    assert found.surface_distance.largest == pytest.approx(np.sqrt(3) * 11.5 - 9, abs=1e-9)


@pytest.mark.parametrize("width", [5.0, 6.0, 6.4])
def test_slits_and_walls_have_their_widths(width):
    low = (20 - width) / 2
    walls = [Box("solid", (-9, -9, -9), (99, 99, low)), Box("solid", (-9, -9, low + width), (99, 99, 99))]
    found = measured(walls, (8, 8, 20))
    assert found.pore_size.mean == pytest.approx(width, abs=1)
    periodic = measured([Box("solid", (-9, -9, low), (99, 99, low + width))], (8, 8, 20), 1.0, (True, True, True), ())
    assert periodic.strut_thickness.p50 == pytest.approx(width, abs=1)
    assert periodic.pore_size.p50 == pytest.approx(20 - width, abs=1)


@pytest.mark.parametrize("radius", [4.0, 6.3])
def test_rods_and_balls_have_their_diameters(radius):
    rod = measured([Cylinder("solid", "x", (10.2, 9.7, 0), radius)], (20, 20, 12))
    assert rod.strut_thickness.mean == pytest.approx(2 * radius, abs=1)
    ball = measured([Sphere("solid", (10.2, 9.7, 10), radius)], (20, 20, 20))
    assert ball.strut_thickness.mean == pytest.approx(2 * radius, abs=1)


def test_strands_of_a_woodpile_have_their_diameter():
    found = measured([Woodpile("solid", 200, 320, 160)], (32, 32, 32), 20.0, (False, True, True))
    assert found.strut_thickness.p50 == pytest.approx(200, abs=20)
    assert found.strut_thickness.p10 <= found.strut_thickness.p50 <= found.strut_thickness.largest
    assert found.size_step == 20.0


def test_thickness_of_two_bodies_is_that_of_each():
    inside = np.zeros((20, 20, 40), bool)
    inside[4:16, 4:16, 4:16] = True
    inside[8:12, 8:12, 24:36] = True
    thickness = local_thickness(inside, VoxelGrid(inside.shape, 1.0))
    assert thickness[10, 10, 10] == pytest.approx(12, abs=1) and thickness[10, 10, 30] == pytest.approx(4, abs=1)
    assert not thickness[~inside].any() and thickness[inside].min() > 0


def test_nothing_to_measure_is_none():
    found = measured([], (4, 4, 4))
    assert found.porosity == 1 and found.pore_size is None and found.strut_thickness is None
    assert found.specific_surface_of_solid is None and found.surface_distance is None
    assert np.isinf(local_thickness(np.ones((2, 2, 2), bool), VoxelGrid((2, 2, 2), 1.0))).all()
    assert not local_thickness(np.zeros((2, 2, 2), bool), VoxelGrid((2, 2, 2), 1.0)).any()

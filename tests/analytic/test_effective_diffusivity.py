"""Effective diffusivity against series, exact layers, tubes, and the convergence of a gyroid."""

import numpy as np
import pytest
from tests.references.sphere_array import effective_diffusivity_of_sphere_array, maxwell

from payloadfield.geometry import (
    MEDIUM,
    Box,
    Cylinder,
    LabelArray,
    Material,
    MinimalSurface,
    Sphere,
    VoxelGrid,
    make_geometry,
)
from payloadfield.solver.effective_diffusivity import effective_diffusivity

SOLID = Material("solid", "impermeable")
GEL = Material("gel", "gel", relative_diffusivity={"default": 0.25}, accessible_fraction={"default": 0.8})
FILM = Material("film", "gel", permeability={"default": 0.01})
MATERIALS = [MEDIUM, SOLID, GEL, FILM]
FREE, PERIODIC = (False, False, False), (True, True, True)


def built(shapes, shape, h=1.0, periodic=FREE):
    return make_geometry(VoxelGrid(shape, h, periodic), shapes, MATERIALS)


def sphere_array(phi, n, periodic):
    radius = (3 * phi / (4 * np.pi)) ** (1 / 3)
    return built([Sphere("solid", (0.5, 0.5, 0.5), radius)], (n, n, n), 1 / n, periodic)


@pytest.mark.parametrize("periodic", [FREE, PERIODIC])
@pytest.mark.parametrize("phi", [0.1, 0.3, 0.45])
def test_spheres_on_a_simple_cubic_lattice_hinder_as_the_series_says(phi, periodic):
    found = effective_diffusivity(sphere_array(phi, 40, periodic), "y")
    assert found.relative == pytest.approx(effective_diffusivity_of_sphere_array(phi), rel=2e-3)
    assert found.tortuosity == pytest.approx((1 - phi) / found.relative, rel=2e-3)
    assert found.iterations < 30


def test_few_spheres_hinder_as_maxwell_says():
    found = effective_diffusivity(sphere_array(0.03, 32, PERIODIC), "z")
    assert 1 - found.relative == pytest.approx(1 - maxwell(0.03), rel=0.02)


def test_the_error_falls_to_second_order():
    expected = effective_diffusivity_of_sphere_array(0.2)
    coarse, fine = (
        abs(effective_diffusivity(sphere_array(0.2, n, PERIODIC), "x").relative - expected) for n in (12, 48)
    )
    assert fine < coarse / 8


@pytest.mark.parametrize("periodic", [FREE, PERIODIC])
def test_parallel_tubes_have_tortuosity_one_along_and_let_nothing_pass_across(periodic):
    tube = built([Cylinder("solid", "z", (6, 9.2, 10.1), 7.3, outside=True)], (12, 18, 20), 1.0, periodic)
    along = effective_diffusivity(tube, "z")
    assert along.tortuosity == pytest.approx(1, abs=1e-6)
    assert along.relative == pytest.approx(np.pi * 7.3**2 / (18 * 20), rel=0.01)
    across = effective_diffusivity(tube, "x")
    assert across.relative == 0 and np.isinf(across.tortuosity)


@pytest.mark.parametrize("periodic", [FREE, PERIODIC])
def test_an_empty_box_does_not_hinder(periodic):
    for axis in ("x", "y", "z"):
        found = effective_diffusivity(built([], (5, 6, 7), 2.0, periodic), axis)
        assert found.relative == pytest.approx(1, abs=1e-6) and found.tortuosity == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("periodic", [FREE, PERIODIC])
def test_layers_of_gel_act_in_series_across_and_in_parallel_along(periodic):
    layers = built([Box("gel", (-9, -9, 4), (99, 99, 8))], (6, 7, 16), 0.5, periodic)
    kappa, share = 0.25 * 0.8, 0.5
    assert effective_diffusivity(layers, "x").relative == pytest.approx(1 / (share + share / kappa), rel=1e-6)
    for axis in ("y", "z"):
        assert effective_diffusivity(layers, axis).relative == pytest.approx(share + share * kappa, rel=1e-6)


def test_a_film_adds_its_resistance():
    wall = built([Box("film", (-9, -9, 4), (99, 99, 99))], (3, 3, 8), 1.0)
    found = effective_diffusivity(wall, "x", diffusivity=0.5)
    assert found.relative == pytest.approx(8 / 0.5 / (8 / 0.5 + 1 / 0.01), rel=1e-6)


def test_closed_pores_and_dead_ends_do_not_conduct():
    labels = np.ones((4, 6, 9), np.uint8)
    labels[1, 1, :] = 0  # a straight channel
    labels[3, 3, :5] = 0  # a dead end
    labels[3, 5, 3:6] = 0  # a closed pore
    found = effective_diffusivity(built([LabelArray(labels, {0: None, 1: "solid"})], labels.shape), "x")
    assert found.relative == pytest.approx(1 / 24, rel=1e-6)
    assert found.tortuosity == pytest.approx((9 + 5 + 3) / 9, rel=1e-6)


def test_porosity_and_tortuosity_of_a_gyroid_converge_and_are_alike_along_all_axes():
    porosity, tortuosity = {}, {}
    for n in (16, 32, 64):
        geometry = built([MinimalSurface("solid", "gyroid", 1.0, "skeletal", 0.6)], (n, n, n), 1 / n, PERIODIC)
        porosity[n] = geometry.open_fraction.mean()
        tortuosity[n] = effective_diffusivity(geometry, "x").tortuosity
    assert abs(porosity[64] - 0.6) < 2e-4 and abs(tortuosity[64] - tortuosity[32]) < 2e-3 * tortuosity[64]
    assert abs(tortuosity[64] - tortuosity[32]) < abs(tortuosity[32] - tortuosity[16])
    coarse = built([MinimalSurface("solid", "gyroid", 1.0, "skeletal", 0.6)], (16, 16, 16), 1 / 16, PERIODIC)
    along = [effective_diffusivity(coarse, axis).relative for axis in ("x", "y", "z")]
    np.testing.assert_allclose(along, along[0], rtol=1e-6)

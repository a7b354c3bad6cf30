"""Prints on a grid: volumes against exact ones, against woodpiles, turned, repeated, periodic, slab by slab."""

import math
from itertools import pairwise

import numpy as np
import pytest
from tests import gcode_files

from payloadfield.errors import GeometryError
from payloadfield.geometry import (
    MEDIUM,
    Cylinder,
    Material,
    Moved,
    Print,
    PrintSettings,
    Repeated,
    Rotated,
    Union,
    VoxelGrid,
    Woodpile,
    make_geometry,
    make_strands,
    read_gcode,
)
from payloadfield.geometry.gcode.strands import PrintedStrands

MATERIALS = [MEDIUM, Material("solid", "impermeable")]


def strands(*rows, name="print"):
    """Strands from rows (x0, y0, z0, x1, y1, z1, width, height) of their axes, in um."""
    table = np.array(rows, float)
    zero = np.zeros(len(rows), int)
    return PrintedStrands(
        name, table[:, 2::-1], table[:, 5:2:-1], table[:, 6], table[:, 7], zero, zero, table[:, 6], ("T0",)
    )


def built(shape, n, h=1.0, periodic=(False, False, False)):
    return make_geometry(VoxelGrid((n, n, n) if isinstance(n, int) else n, h, periodic), [shape], MATERIALS)


def solid_volume(shape, n, h=1.0):
    geometry = built(shape, n, h)
    return geometry.grid.n_voxels * h**3 - geometry.open_volume


def assert_second_order(shape, n, exact):
    """The volume is right, and the error falls as the square of the voxel, or is smaller than that from the start."""
    coarse, fine = (abs(solid_volume(shape, tuple(m * k for k in n), 1 / m) / exact - 1) for m in (1, 2))
    assert coarse < 0.01 and fine < max(coarse, 0.003) / 3


def capsule(length, width, height):
    """Volume of an elliptic strand with round ends."""
    return math.pi / 4 * width * height * length + math.pi / 6 * width**2 * height


def test_a_round_strand_across_the_grid_is_a_cylinder():
    line = strands((-30, 20.2, 19.7, 70, 20.2, 19.7, 12, 12))
    mine = built(Print("solid", line), 40)
    exact = built(Cylinder("solid", "x", (19.7, 20.2, 20), 6.0), 40)
    np.testing.assert_allclose(mine.open_fraction, exact.open_fraction, atol=1e-12)
    np.testing.assert_allclose(mine.aperture_y, exact.aperture_y, atol=1e-12)
    near = np.abs(exact.surface_distance) < 1.4
    np.testing.assert_allclose(mine.surface_distance[near], exact.surface_distance[near], atol=1e-12)


@pytest.mark.parametrize("height", [12.0, 8.0, 16.0])
def test_a_strand_has_the_volume_of_a_flattened_capsule_to_second_order(height):
    line = strands((10.3, 15.1, 14.2, 30.3, 15.1, 14.2, 12, height))
    assert_second_order(Print("solid", line), (28, 30, 40), capsule(20, 12, height))


@pytest.mark.parametrize("ends", [(8, 9, 15, 30, 25, 15), (10, 12, 8, 28, 20, 22), (20, 20, 8, 20, 20, 25)])
def test_strands_in_any_direction_have_their_volume(ends):
    length = math.dist(ends[:3], ends[3:])
    assert_second_order(Print("solid", strands((*ends, 9, 9))), (30, 32, 36), capsule(length, 9, 9))


def test_a_strand_that_rises_by_nothing_to_speak_of_equals_a_level_one():
    level = strands((8, 9, 15, 30, 25, 15, 10, 7), (8, 25, 15, 30, 9, 15, 8, 7))
    rising = strands((8, 9, 15, 30, 25, 15 + 1e-7, 10, 7), (8, 25, 15, 30, 9, 15 + 1e-7, 8, 7))
    a, b = (built(Print("solid", each), (30, 34, 40)) for each in (level, rising))
    # Where strands of unlike width cross, the level ones are known by the one that is relatively nearer.
    np.testing.assert_allclose(a.open_fraction, b.open_fraction, atol=0.02)
    assert a.open_volume == pytest.approx(b.open_volume, rel=1e-4)


def test_a_circle_of_chords_is_a_ring(tmp_path):
    (tmp_path / "ring.gcode").write_text("M83\nG1 X0.032 Y0.02 Z0.012\nG3 X0.032 Y0.02 I-0.012 E1\n")
    settings = PrintSettings(width=8.0, layer_height=8.0)
    ring = Print("solid", make_strands(read_gcode(tmp_path / "ring.gcode"), settings))
    assert_second_order(ring, (16, 40, 40), 2 * math.pi**2 * 12 * 4**2)


@pytest.mark.parametrize("dialect", [gcode_files.prusa, gcode_files.cura])
@pytest.mark.parametrize("flattening", [1.0, 0.9])
def test_a_woodpile_as_gcode_agrees_with_a_woodpile_as_shape(tmp_path, dialect, flattening):
    path = tmp_path / "woodpile.gcode"
    path.write_text(dialect(gcode_files.woodpile(n_layers=4, height=0.027)))
    settings = PrintSettings(nozzle_diameter=30.0, layer_height=30.0 * flattening)
    printed = Print("solid", make_strands(read_gcode(path), settings))
    # The axis lies half a strand below the nozzle, that of the shape half a layer.
    offset = (27 / 2 - 30 * flattening / 2, 0.0, 0.0)
    exact = Woodpile("solid", 30.0, 60.0, 27.0, offset=offset, n_layers=4, flattening=flattening)
    mine, wanted = built(printed, (44, 48, 48), 2.5), built(exact, (44, 48, 48), 2.5)
    porosity = wanted.open_fraction.mean()
    assert 0.3 < porosity < 0.8
    assert abs(mine.open_fraction.mean() - porosity) < 0.005 * porosity
    np.testing.assert_allclose(mine.open_fraction, wanted.open_fraction, atol=1e-9)
    wider = PrintSettings(nozzle_diameter=33.0, layer_height=30.0 * flattening)
    other = built(Print("solid", make_strands(read_gcode(path), wider)), (44, 48, 48), 2.5)
    assert abs(other.open_fraction.mean() - porosity) > 0.005 * porosity


def test_a_pressure_driven_woodpile_agrees_too(tmp_path):
    from payloadfield.geometry import Code, Switch

    path = tmp_path / "woodpile.gcode"
    path.write_text(gcode_files.bioprinter(gcode_files.woodpile()))
    toolpath = read_gcode(path, switches=[Switch((Code("M760"),), (Code("M761"),))])
    printed = Print("solid", make_strands(toolpath, PrintSettings(nozzle_diameter=30.0)))
    exact = Woodpile("solid", 30.0, 60.0, 27.0, n_layers=4, flattening=0.9)
    np.testing.assert_allclose(
        built(printed, (44, 24, 24), 2.5).open_fraction, built(exact, (44, 24, 24), 2.5).open_fraction, atol=1e-9
    )


CROSS = strands((-5, 3, 0, 9, 3, 0, 6, 4), (3, -6, 2, 3, 9, 2, 5, 4))


@pytest.mark.parametrize("angles", [(0, 0, 90), (0, 0, 30), (180, 0, 0), (90, 0, 0), (20, 35, 50)])
def test_turned_prints_keep_their_volume_and_follow_their_turn(angles):
    turned = Moved(Rotated(Print("solid", CROSS), angles), (15.2, 15.1, 15.3))
    straight = Moved(Print("solid", CROSS), (15.2, 15.1, 15.3))
    assert solid_volume(turned, 30) == pytest.approx(solid_volume(straight, 30), rel=0.01)
    if angles == (0, 0, 90):
        # A quarter turn about z takes x to y: strands given turned are the same.
        quarter = strands((-3, -5, 0, -3, 9, 0, 6, 4), (6, 3, 2, -9, 3, 2, 5, 4))
        same = built(Moved(Print("solid", quarter), (15.2, 15.1, 15.3)), 30)
        np.testing.assert_allclose(built(turned, 30).open_fraction, same.open_fraction, atol=1e-9)


def test_a_print_is_repeated_and_united_like_any_shape():
    line = Print("solid", strands((10, 5, 6, 20, 5, 6, 6, 4)))
    twice = Repeated(line, (0.0, 10.0, 0.0), (1, 2, 1))
    both = Union("solid", (line, Moved(line, (0.0, 10.0, 0.0))))
    np.testing.assert_array_equal(built(twice, 30).open_fraction, built(both, 30).open_fraction)
    assert solid_volume(twice, 30) == pytest.approx(2 * capsule(10, 6, 4), rel=0.04)
    assert solid_volume(twice, 30) == pytest.approx(2 * solid_volume(line, 30), rel=1e-9)


def test_a_grid_cut_into_slabs_gives_the_same(monkeypatch):
    rows = [(2, y, 6 + 3 * k, 28, y + k, 6 + 3 * k, 5 + k, 3.5) for k in range(4) for y in (6, 15, 22)]
    shape = Print("solid", strands(*rows, (5, 5, 5, 20, 20, 18, 4, 4)))
    whole = built(shape, (24, 30, 30))
    monkeypatch.setattr("payloadfield.geometry.grid.SLAB_CORNERS", 31 * 31 * 2)
    sliced = built(shape, (24, 30, 30))
    np.testing.assert_array_equal(whole.open_fraction, sliced.open_fraction)
    np.testing.assert_array_equal(whole.surface_distance, sliced.surface_distance)


def test_many_short_moves_in_line_are_joined_and_bends_are_kept():
    along = np.linspace(0, 30, 301)
    wave = 10 + 4 * np.sin(along / 4)
    rows = [(x, y, 8, u, v, 8, 6, 5) for x, y, u, v in zip(along, wave, along[1:], wave[1:], strict=False)]
    rows += [(x, 25, 8, u, 25, 8, 6, 5) for x, u in pairwise(along[:201])]
    rows.append((along[200], 25, 8, 15, 25, 8, 6, 5))
    joined, apart = (Print("solid", strands(*each)) for each in (rows, rows[::2] + rows[1::2]))
    grid = VoxelGrid((16, 32, 32), 1.0)
    n_joined, n_apart = (len(each.fitted_to(grid)._sheets.pieces.start) for each in (joined, apart))
    assert 10 < n_joined < 100 and n_apart > 500  # what does not follow on each other is never joined
    difference = np.abs(built(joined, (16, 32, 32)).open_fraction - built(apart, (16, 32, 32)).open_fraction)
    assert 0 < difference.max() < 0.01


def test_periodic_sides_close_on_themselves():
    """Strands drawn beyond periodic sides meet there: no wall between the last voxel and the first."""
    rows = [(-9, y, z, 29, y, z, 6, 6) for y in (-5, 5, 15, 25) for z in (6, 26)]
    rows += [(x, -9, z, x, 29, z, 6, 6) for x in (-5, 5, 15, 25) for z in (-4, 16)]
    shape = Print("solid", strands(*rows))
    free, periodic = built(shape, 20), built(shape, 20, periodic=(True, True, True))
    np.testing.assert_array_equal(free.open_fraction, periodic.open_fraction)
    np.testing.assert_array_equal(periodic.aperture_x[:, :, 0], periodic.aperture_x[:, :, -1])


def test_distances_at_points_off_the_lattice_are_those_of_the_lattice():
    shape = Print("solid", strands((5, 6, 8, 25, 20, 8, 8, 6), (5, 20, 9, 25, 6, 15, 7, 7)))
    fitted = shape.fitted_to(VoxelGrid((20, 26, 30), 1.0))
    axes = [np.arange(n + 1.0) for n in (20, 26, 30)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    on_lattice = fitted.signed_distance((axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]))
    at_points = fitted.signed_distance((z.reshape(-1), y.reshape(-1), x.reshape(-1))).reshape(z.shape)
    near = np.abs(at_points) < fitted.known
    assert near.sum() > 500
    np.testing.assert_allclose(on_lattice[near], at_points[near], atol=1e-9)
    np.testing.assert_array_equal(on_lattice < 0, at_points < 0)
    assert (np.abs(on_lattice[~near]) >= fitted.known - 1e-9).all()


def test_distances_are_those_of_a_plain_search_over_all_strands():
    rng = np.random.default_rng(3)
    ends = rng.uniform(3, 27, (40, 6))
    ends[:25, 5] = ends[:25, 2]  # most are level
    across = rng.uniform(2, 5, (40, 1))
    shape = Print("solid", strands(*np.hstack([ends, across, across])))
    fitted = shape.fitted_to(VoxelGrid((30, 30, 30), 1.0))
    points = rng.integers(0, 30, (4000, 3)).astype(float)
    found = fitted.signed_distance((*points.T,))
    start, step = ends[:, 2::-1], (ends[:, 3:] - ends[:, :3])[:, ::-1]
    off = points[:, None] - start
    share = np.clip((off * step).sum(-1) / (step**2).sum(-1), 0, 1)
    exact = (np.linalg.norm(off - share[..., None] * step, axis=-1) - across[:, 0] / 2).min(axis=1)
    near = np.abs(exact) < fitted.known
    np.testing.assert_allclose(found[near], exact[near], atol=1e-9)
    np.testing.assert_array_equal(found < 0, exact < 0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((100, 5, 5, 120, 5, 5, 4, 4), r"reaches from \(98, 3, 3\) um to \(122, 7, 7\) um, outside the grid, "
         r"which reaches from \(0, 0, 0\) to \(20, 20, 20\) um; set centre = true, or at"),
        ((5, 5, -9, 12, 5, -9, 4, 4), "outside the grid"),
        ((0, 5, 5, 1e5, 5, 5, 4, 4), "5e.03 times the size of the grid; check its unit"),
    ],
)  # fmt: skip
def test_a_print_outside_the_grid_is_refused_with_its_box_and_what_to_set(rows, message):
    with pytest.raises(GeometryError, match=message):
        built(Print("solid", strands(rows)), 20)


def test_a_grid_that_no_strand_enters_is_refused():
    around = strands((-50, -50, 5, 50, -50, 5, 4, 4), (-50, -50, 5, -50, 50, 5, 4, 4), (-50, 50, 5, 50, 50, 5, 4, 4))
    with pytest.raises(GeometryError, match="no strand comes near the grid, which lies in the box of the print; set c"):
        built(Print("solid", around), 20)


def test_what_lies_beyond_the_grid_and_thin_strands_are_told_of():
    geometry = built(Print("solid", strands((-5, 5, 5, 15, 5, 5, 4, 4))), 20)
    assert any("beyond the grid at x_low; what lies there is left out" in text for text in geometry.warnings)
    thin = built(Print("solid", strands((5, 5, 5, 15, 5, 5, 4, 0.5))), 20)
    assert any("larger than the height or width of a strand of 0.5 um" in text for text in thin.warnings)


def test_a_print_has_no_distances_without_a_grid():
    with pytest.raises(GeometryError, match="use fitted_to"):
        Print("solid", CROSS).signed_distance((np.zeros(1), np.zeros(1), np.zeros(1)))

"""Grey levels as a shape: where the surface is, how fast it converges, Otsu's threshold, placing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.images import PCL, cube, distances, placed, stack_of

from payloadfield.errors import GeometryError
from payloadfield.geometry import (
    MEDIUM,
    Box,
    Difference,
    ImageLevel,
    Moved,
    Repeated,
    Rotated,
    Sphere,
    VoxelGrid,
    VoxelImage,
    make_geometry,
    otsu,
)
from payloadfield.geometry.image.resample import mean_weights, point_weights
from payloadfield.geometry.image.threshold import otsu_of_histogram
from payloadfield.solver.effective_diffusivity import effective_diffusivity

BOTH = (MEDIUM, PCL)
RADIUS = 50.0
CENTRE = (76.3, 74.1, 75.7)


def smooth_ball(n: int, spacing: float, *, width: float = 20.0) -> np.ndarray:
    """Levels that pass 128 at the surface, over an edge that is smooth at any resolution."""
    return 128 - 127 * np.tanh((distances((n, n, n), spacing, CENTRE) - RADIUS) / width)


def solid_in(geometry) -> float:
    return float((1 - geometry.open_fraction).sum()) * geometry.grid.voxel_volume


@pytest.mark.parametrize("finer", [0.5, 1.0, 1.7])
def test_a_grey_ball_has_its_porosity_to_half_a_percent_at_twenty_voxels_across(finer):
    n = int(np.ceil(30 * finer))
    image = placed(smooth_ball(n, 5 / finer), 5 / finer)
    geometry = make_geometry(cube(30, 5.0), [ImageLevel("PCL", image, 128.0)], BOTH)
    volume = 4 / 3 * np.pi * RADIUS**3
    assert geometry.open_fraction.mean() == pytest.approx(1 - volume / 150**3, rel=5e-3)
    assert solid_in(geometry) == pytest.approx(volume, rel=1e-2)


def test_a_ball_given_as_a_shape_as_levels_and_as_labels_lets_the_same_through():
    centre, h, finer = (75.0, 75.0, 75.0), 150 / 24, 2
    away = distances((24 * finer,) * 3, h / finer, centre) - RADIUS
    shapes = {
        "sphere": Sphere("PCL", centre, RADIUS),
        "levels": ImageLevel("PCL", placed(128 - 127 * np.tanh(away / (2 * h)), h / finer), 128.0),
        "labels": VoxelImage(placed((away < 0).astype(np.uint8), h / finer), {1: "PCL"}),
    }
    made = {name: make_geometry(cube(24, h), [shape], BOTH) for name, shape in shapes.items()}
    porosity = {name: geometry.open_fraction.mean() for name, geometry in made.items()}
    passing = {name: effective_diffusivity(geometry, "x").relative for name, geometry in made.items()}
    assert porosity["levels"] == pytest.approx(porosity["sphere"], rel=1e-3)
    assert porosity["labels"] == pytest.approx(porosity["sphere"], rel=5e-3)
    assert passing["levels"] == pytest.approx(passing["sphere"], rel=1e-3)
    assert passing["labels"] == pytest.approx(passing["sphere"], rel=2e-2)
    stairs = VoxelImage(placed((away[::finer, ::finer, ::finer] < 0).astype(np.uint8), h), {1: "PCL"})
    coarse = effective_diffusivity(make_geometry(cube(24, h), [stairs], BOTH), "x").relative
    assert abs(coarse / passing["sphere"] - 1) > 2e-2  # what stairs as large as the voxels of the grid cost


def errors_at(n: int, finer: float) -> tuple[float, float, float]:
    h = 150.0 / n
    m = int(np.ceil(n * finer))
    shape = ImageLevel("PCL", placed(smooth_ball(m, h / finer), h / finer), 128.0)
    geometry = make_geometry(cube(n, h), [shape], BOTH)
    volume, area = 4 / 3 * np.pi * RADIUS**3, 4 * np.pi * RADIUS**2
    flux = float(np.abs(geometry.aperture_x - disc_of(geometry)).mean())
    return abs(solid_in(geometry) / volume - 1), abs(float(geometry.wall_area.sum()) / area - 1), flux


def disc_of(geometry) -> np.ndarray:
    """Open share of faces across x by many points in each."""
    grid, k = geometry.grid, 4
    z, y = ((np.arange(k * n) + 0.5) * grid.spacing / k - c for n, c in zip(grid.shape[:2], CENTRE[:2], strict=True))
    x = grid.corners(2) - CENTRE[2]
    outside = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 > RADIUS**2
    nz, ny, _ = grid.shape
    return outside.reshape(nz, k, ny, k, -1).mean(axis=(1, 3))


@pytest.mark.parametrize("finer", [0.7, 1.0, 2.0])
def test_surfaces_of_grey_images_converge_to_second_order(finer):
    coarse, fine = errors_at(16, finer), errors_at(48, finer)
    # Of volume and area: of order 1.7 and more, or smaller than that from the start.
    assert all(b < max(a, 0.008) / 3**1.7 for a, b in zip(coarse[:2], fine[:2], strict=True)), (coarse, fine)
    assert max(coarse[:2]) < 0.012


def test_a_flat_edge_lies_where_the_level_passes_the_threshold_exactly():
    x = (np.arange(40) + 0.5) * 2.5
    levels = np.broadcast_to(10 * (x - 37.3), (3, 4, 40)).copy()
    image = placed(levels, (10.0, 10.0, 2.5))
    for invert, expected in ((False, 37.3), (True, 100 - 37.3)):
        geometry = make_geometry(VoxelGrid((3, 4, 10), 10.0), [ImageLevel("PCL", image, 0.0, invert)], BOTH)
        assert geometry.open_fraction.sum() == pytest.approx(12 * expected / 10, rel=1e-6)
        assert geometry.wall_area.sum() == pytest.approx(12 * 100, rel=1e-6)
        near = geometry.surface_distance[0, 0, 3]
        assert abs(near) == pytest.approx(2.3, rel=1e-6)


def test_a_wrong_threshold_moves_the_surface():
    image = placed(smooth_ball(30, 5.0), 5.0)
    volumes = [solid_in(make_geometry(cube(30, 5.0), [ImageLevel("PCL", image, t)], BOTH)) for t in (100.0, 128.0)]
    assert volumes[0] > 1.1 * volumes[1]


def test_an_image_can_be_turned_moved_repeated_and_be_part_of_another_shape():
    n = 24
    levels = 100 - distances((n, n, n), 5.0, (60.0, 60.0, 75.0))
    ball = ImageLevel("PCL", placed(levels, 5.0, may_end=True), 70.0)
    alone = solid_in(make_geometry(cube(24, 5.0), [ball], BOTH))
    # A ball off the middle, turned about it by a quarter and by an odd angle, is a ball somewhere else.
    for angle in (90.0, 30.0):
        turned = Rotated(ball, (0.0, 0.0, angle), (60.0, 60.0, 60.0))
        geometry = make_geometry(cube(24, 5.0), [turned], BOTH)
        assert solid_in(geometry) == pytest.approx(alone, rel=1.2e-2)
        solid, middles = 1 - geometry.open_fraction, geometry.grid.centres(0)
        z, y, x = (float(solid.sum(axis=other) @ middles / solid.sum()) for other in ((1, 2), (0, 2), (0, 1)))
        angle_in_plane = np.radians(angle)
        expected = (60, 60 + 15 * np.sin(angle_in_plane), 60 + 15 * np.cos(angle_in_plane))
        assert (z, y, x) == pytest.approx(expected, abs=0.4)
    moved = Moved(ball, (1.0, 2.0, -20.0))
    assert solid_in(make_geometry(cube(24, 5.0), [moved], BOTH)) == pytest.approx(alone, rel=1e-2)
    twice = Repeated(ball, (0.0, 0.0, 60.0), (1, 1, 2))
    grid = VoxelGrid((24, 24, 48), 5.0)
    assert solid_in(make_geometry(grid, [twice], BOTH)) == pytest.approx(2 * alone, rel=5e-3)
    half = Difference("PCL", (ball, Box("PCL", (-10.0, -10.0, 75.0), (200.0, 200.0, 200.0))))
    assert solid_in(make_geometry(cube(24, 5.0), [half], BOTH)) == pytest.approx(alone / 2, rel=2e-2)


def test_an_image_ends_where_it_ends():
    full = ImageLevel("PCL", placed(np.full((4, 4, 4), 200.0), 5.0, at=(10.0, 12.5, 10.0), may_end=True), 100.0)
    geometry = make_geometry(cube(8, 5.0), [full], BOTH)
    box = make_geometry(cube(8, 5.0), [Box("PCL", (10.0, 12.5, 10.0), (30.0, 32.5, 30.0))], BOTH)
    assert solid_in(geometry) == pytest.approx(solid_in(box), rel=1e-6)
    with pytest.raises(GeometryError, match=r"does not cover the grid.*outside = \"medium\""):
        make_geometry(cube(8, 5.0), [ImageLevel("PCL", placed(np.full((4, 4, 4), 200.0), 5.0), 100.0)], BOTH)


def test_a_grid_much_coarser_than_its_image_is_told_of_and_otsu_is_named():
    levels = np.where(distances((60, 60, 60), 2.0, (60.0, 60.0, 60.0)) < 40, 180.0, 20.0)
    geometry = make_geometry(cube(15, 8.0), [ImageLevel("PCL", placed(levels, 2.0), "otsu")], BOTH)
    text = " ".join(geometry.warnings)
    assert "the threshold is 100" in text and 'surface = "voxels"' in text
    close = make_geometry(cube(60, 2.0), [ImageLevel("PCL", placed(levels, 2.0), 100.0)], BOTH)
    assert close.warnings == ()


def brute_force(values: np.ndarray) -> set[float]:
    """Best thresholds between neighbouring levels, by the variances of both classes."""
    levels = np.arange(values.min(), values.max())
    within = []
    for t in levels:
        low, high = values[values <= t], values[values > t]
        within.append(len(low) * low.var() + len(high) * high.var())
    return {float(t) for t, w in zip(levels, within, strict=True) if w <= min(within) * (1 + 1e-9) + 1e-9}


@given(st.lists(st.integers(0, 30), min_size=2, max_size=40).filter(lambda values: len(set(values)) > 1))
def test_otsu_is_the_threshold_with_the_least_variance_within_classes(values):
    array = np.array(values, np.uint8).reshape(1, 1, -1)
    threshold = otsu(stack_of(array))
    best = brute_force(array.reshape(-1).astype(float))
    assert min(best) <= threshold <= max(best) + 1
    low, high = array[array < threshold], array[array > threshold]
    within = len(low) * low.var() + len(high) * high.var()
    t = min(best)
    expected = [part.size * part.var() for part in (array[array <= t], array[array > t])]
    assert within == pytest.approx(sum(expected), abs=1e-9)


def test_otsu_of_two_peaks_lies_in_the_middle_of_their_gap():
    levels = np.array([[[10.0] * 30 + [90.0] * 20]])
    assert otsu(stack_of(levels)) == pytest.approx(50.0, abs=0.2)
    assert otsu(stack_of(levels.astype(np.uint16))) == 50.0
    counts, places = np.array([3, 0, 0, 5]), np.arange(4.0)
    assert otsu_of_histogram(counts, places, np.arange(5.0) - 0.5) == 1.5


def test_weights_reproduce_lines_exactly_and_curves_better_than_their_means():
    edges = np.arange(13) * 2.0
    middles = edges[:-1] + 1
    places = np.linspace(0, 24, 31)
    for spacing in (0.7, 2.0, 3.1, 5.0):
        np.testing.assert_allclose(point_weights(places, spacing, edges) @ (3 * middles + 1), 3 * places + 1, atol=1e-9)
        np.testing.assert_allclose(mean_weights(places, spacing, edges) @ (3 * middles + 1), 3 * places + 1, atol=1e-9)
    inner = (places > 10) & (places < 14)
    means = mean_weights(places, 3.0, edges) @ middles**2 - places**2
    levels = point_weights(places, 5.0, edges) @ middles**2 - places**2
    assert np.abs(levels[inner]).mean() < 0.4 * np.abs(means[inner]).mean()
    assert point_weights(places, 2.0, np.array([0.0, 24.0])).toarray().tolist() == [[1.0]] * 31

"""Touching cells: every pair closer than the sum of the radii, and no other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payloadfield.cells import CellRequest, ListedCells, place_cells, touching_pairs
from payloadfield.errors import CellsError
from payloadfield.geometry import MEDIUM, VoxelGrid, find_pockets, make_geometry


def cells_at(positions, radii, periodic=(False, False, False), shape=(6, 8, 10)):
    geometry = make_geometry(VoxelGrid(shape, 10.0, periodic), [], [MEDIUM])
    positions = np.asarray(positions, float)
    listed = ListedCells(positions, np.arange(len(positions)), "made", np.asarray(radii, float))
    return place_cells([CellRequest("a", 8.0, positions=listed)], geometry, find_pockets(geometry), 1)


def counted(cells, factor):
    """Every pair, one by one."""
    gap = cells.position[:, None] - cells.position
    period = np.array(cells.period)
    wraps = np.isfinite(period)
    gap -= np.where(wraps, np.where(wraps, period, 1) * np.round(gap / np.where(wraps, period, 1)), 0)
    close = np.sqrt((gap**2).sum(axis=-1)) < factor * (cells.radius[:, None] + cells.radius)
    return np.argwhere(np.triu(close, 1))


@pytest.mark.parametrize("periodic", [(False, False, False), (False, True, True), (True, True, True)])
@pytest.mark.parametrize("factor", [0.6, 1.0, 1.7])
def test_pairs_are_those_of_a_count_one_by_one(periodic, factor):
    rng = np.random.default_rng(3)
    cells = cells_at(rng.random((150, 3)) * [60, 80, 100], rng.uniform(1.0, 12.0, 150), periodic)
    found = touching_pairs(cells, factor)
    assert len(found) > 50
    np.testing.assert_array_equal(found, counted(cells, factor))


def test_cells_touch_through_periodic_sides_only_where_there_are_some():
    ends = [[30.0, 40.0, 2.0], [30.0, 40.0, 97.0]]
    assert touching_pairs(cells_at(ends, [3, 3], (False, False, True))).tolist() == [[0, 1]]
    assert len(touching_pairs(cells_at(ends, [3, 3]))) == 0


def test_a_cell_that_meets_its_own_image_touches_only_others():
    cells = cells_at([[5.0, 5.0, 50.0], [5.0, 15.0, 50.0]], [30, 30], (True, True, True), (1, 2, 10))
    assert touching_pairs(cells).tolist() == [[0, 1]]


def test_pairs_exactly_at_the_sum_of_the_radii_do_not_touch():
    cells = cells_at([[30, 40, 20], [30, 40, 28], [30, 40, 35]], [4, 4, 4])
    assert touching_pairs(cells).tolist() == [[1, 2]]
    assert touching_pairs(cells, 1.01).tolist() == [[0, 1], [1, 2]]


def test_no_cells_make_no_pairs():
    assert touching_pairs(cells_at(np.zeros((0, 3)), [])).shape == (0, 2)
    assert touching_pairs(cells_at([[5, 5, 5]], [4])).shape == (0, 2)


@given(st.one_of(st.floats(max_value=0.0), st.just(float("nan")), st.just(float("inf"))))
@settings(max_examples=20, deadline=None)
def test_factors_that_mean_nothing_are_refused(factor):
    with pytest.raises(CellsError, match="a number above 0 is needed"):
        touching_pairs(cells_at([[5, 5, 5]], [4]), factor)

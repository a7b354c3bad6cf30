"""The table of words: what a kernel finds around every open voxel is what the plan's table of neighbours has."""

from types import SimpleNamespace

import numpy as np
import pytest
from tests.emulation.host import HostKernels, close, make_build

from payloadfield.backends.cuda import tables
from payloadfield.backends.cuda.tables import WORD, lower_faces, make_words
from payloadfield.errors import BackendError

WIDTHS = [1, 2, 31, 32, 33, 64, 70]
PLUS = [1, 3, 5]


def make_maps(width, periodic, share=0.5):
    """Voxels, neighbours and conductances of a random grid: some faces between open voxels are closed."""
    random, shape = np.random.default_rng(width), (4, 5, width)
    voxel = np.flatnonzero(random.uniform(size=np.prod(shape)) < share)
    number = np.full(np.prod(shape), -1)
    number[voxel] = np.arange(len(voxel))
    number, own = number.reshape(shape), np.arange(len(voxel))
    neighbour = np.tile(own.astype(np.int32), (6, 1))
    conductance = np.zeros((6, len(voxel)), np.float32)
    for d in PLUS:
        axis = 2 - d // 2
        other = np.roll(number, -1, axis)
        if not periodic or shape[axis] == 1:
            other[(slice(None),) * axis + (-1,)] = -1
        other = other.ravel()[voxel]
        open_ = (other >= 0) & (random.uniform(size=len(voxel)) < 0.9)
        lower, upper = own[open_], other[open_]
        neighbour[d, lower], neighbour[d - 1, upper] = upper, lower
        conductance[d, lower] = conductance[d - 1, upper] = random.uniform(1.0, 2.0, len(lower))
    return SimpleNamespace(
        voxel=voxel, shape=shape, neighbour=neighbour, n_open=len(voxel), conductance=conductance
    )  # fmt: skip


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_fluxes_between_all_neighbours_are_found(width, periodic):
    maps = make_maps(width, periodic)
    build, table, n = make_build("float64"), make_words(maps), maps.n_open
    around = len(table.words), table.words, lower_faces(maps)
    value = np.random.default_rng(0).uniform(size=(1, 1, n))
    rhs, zeroth = np.zeros((1, n)), np.zeros((1, n))
    HostKernels(build).launch("subtract_image", n, 1, 0, np.ones(1), *around, zeroth, value, rhs)
    u = value[0, 0]
    expected = (maps.conductance * (u[maps.neighbour] - u)).sum(axis=0)
    close(rhs[0], expected, build)
    assert width == 1 or np.abs(expected).max() > 0.1


@pytest.mark.parametrize("width", WIDTHS)
def test_every_open_voxel_has_a_place_and_words_without_one_are_left_out(width):
    maps = make_maps(width, False, share=0.02)
    table = make_words(maps)
    assert (table.words[:, 0] != 0).all() and len(table.words) <= maps.n_open
    assert len(np.unique(table.place)) == maps.n_open
    np.testing.assert_array_equal(table.place % WORD, maps.voxel % width % WORD)
    bits = table.words[:, 0].astype(np.uint32)[:, None] >> np.arange(WORD, dtype=np.uint32) & 1
    np.testing.assert_array_equal(np.flatnonzero(bits), np.sort(table.place))


def test_what_is_closed_costs_nothing():
    """The same open voxels in a grid with closed planes and rows around them."""
    maps = make_maps(40, False)
    z, y, x = np.unravel_index(maps.voxel, maps.shape)
    shape = (50, 60, 40 + 3 * WORD)
    around = SimpleNamespace(
        **vars(maps) | {"shape": shape, "voxel": np.ravel_multi_index((z + 7, y + 9, x + WORD), shape)}
    )
    np.testing.assert_array_equal(make_words(around).words, make_words(maps).words)


def test_more_places_than_an_int_can_number_are_refused(monkeypatch):
    monkeypatch.setattr(tables, "MOST_PLACES", 600)
    with pytest.raises(BackendError, match="got 640 cells in words with an open voxel; a GPU takes 600"):
        make_words(make_maps(32, False))

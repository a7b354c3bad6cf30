"""Placement: where cells may lie, reproducibly, one by one; lists of cells; differences between cells."""

import numpy as np
import pytest

from payloadfield.cells import CellRequest, ListedCells, place_cells, read_cells_csv, surface_area
from payloadfield.errors import CellsError
from payloadfield.geometry import (
    MEDIUM,
    Box,
    LabelArray,
    Material,
    Sphere,
    VoxelGrid,
    Woodpile,
    find_pockets,
    make_geometry,
)

SOLID, GEL = Material("solid", "impermeable"), Material("gel", "gel")
MATRIGEL = Material("Matrigel", "gel")
MATERIALS = [MEDIUM, SOLID, GEL, MATRIGEL]
GRID = VoxelGrid((16, 18, 20), 20.0, (False, True, True))


@pytest.fixture(scope="module")
def scaffold():
    return make_geometry(GRID, [Woodpile("solid", 100, 180, 80)], MATERIALS)


def place(geometry, *requests, seed=7, sides=("z_high",)):
    return place_cells(requests, geometry, find_pockets(geometry, sides), seed)


def voxels_of(cells, geometry):
    index = np.floor(cells.position / geometry.grid.spacing).astype(int)
    return np.ravel_multi_index(tuple(index.T), geometry.grid.shape)


def fields_of(cells):
    return cells.type_index, cells.position, cells.radius, cells.entry_start, cells.entry_voxel, cells.entry_weight


def test_the_same_seed_gives_the_same_cells_and_another_seed_others(scaffold):
    requests = [CellRequest("a", 8, count=200, variation={"receptors": 0.4}), CellRequest("b", 12, count=100)]
    first, again, other = place(scaffold, *requests), place(scaffold, *requests), place(scaffold, *requests, seed=8)
    for one, two in zip(fields_of(first), fields_of(again), strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(first.variation["receptors"], again.variation["receptors"])
    assert not np.array_equal(first.position, other.position)


def test_another_request_moves_none_of_the_cells_before_it(scaffold):
    first = CellRequest("a", 8, count=200, variation={"receptors": 0.4})
    alone, both = place(scaffold, first), place(scaffold, first, CellRequest("b", 8, count=300))
    of_a = both.type_index == 0
    np.testing.assert_array_equal(both.position[of_a], alone.position)
    np.testing.assert_array_equal(both.variation["receptors"][of_a], alone.variation["receptors"])
    assert (both.variation["receptors"][~of_a] == 1).all()


def test_another_varying_parameter_leaves_the_first_one_as_it_was(scaffold):
    one = place(scaffold, CellRequest("a", 8, count=200, variation={"receptors": 0.4}))
    two = place(scaffold, CellRequest("a", 8, count=200, variation={"volume": 0.2, "receptors": 0.4}))
    np.testing.assert_array_equal(one.variation["receptors"], two.variation["receptors"])
    assert abs(np.corrcoef(two.variation["receptors"], two.variation["volume"])[0, 1]) < 0.3


def test_cells_are_sorted_by_their_voxel_and_no_two_share_one(scaffold):
    cells = place(scaffold, CellRequest("a", 8, count=400), CellRequest("b", 8, count=400, place="anywhere"))
    voxels = voxels_of(cells, scaffold)
    assert (np.diff(voxels) > 0).all()
    assert cells.type_names == ("a", "b") and np.bincount(cells.type_index).tolist() == [400, 400]


def test_surface_cells_lie_in_open_voxels_with_wall(scaffold):
    cells = place(scaffold, CellRequest("a", 8, count=500))
    voxels = voxels_of(cells, scaffold)
    assert (scaffold.wall_area.ravel()[voxels] > 0).all() and scaffold.is_open.ravel()[voxels].all()


def test_cells_in_cut_voxels_lie_on_the_open_side_of_the_wall():
    grid = VoxelGrid((20, 20, 5), 10.0)
    geometry = make_geometry(grid, [Box("solid", (-9, -9, -9), (999, 999, 24))], MATERIALS)
    cells = place(geometry, CellRequest("a", 4, count=350), sides=("x_high",))
    assert (cells.position[:, 2] >= 23.99).all() and (cells.position[:, 2] <= 30).all()
    assert cells.position[:, 2].std() > 1


def test_surface_cells_follow_the_wall_area():
    grid = VoxelGrid((60, 60, 5), 10.0)
    # A straight wall that leaves 20% of its voxels open, and a wall along the voxels: the same area in each voxel.
    walls = [Box("solid", (-9, -9, -9), (999, 300, 18)), Box("solid", (-9, 300, -9), (999, 999, 20))]
    geometry = make_geometry(grid, walls, MATERIALS)
    cells = place(geometry, CellRequest("a", 4, count=800), sides=("x_high",))
    n_left = int((cells.position[:, 1] < 300).sum())
    assert abs(n_left - 400) < 4 * np.sqrt(800 / 4)


def test_medium_cells_follow_the_open_volume():
    grid = VoxelGrid((40, 40, 2), 10.0)
    geometry = make_geometry(grid, [Box("solid", (-9, -9, -9), (999, 999, 7))], MATERIALS)
    cells = place(geometry, CellRequest("a", 4, count=300, place="medium"))
    n_cut = int((cells.position[:, 2] < 10).sum())
    expected = 300 * 0.3 / 1.3
    assert abs(n_cut - expected) < 4 * np.sqrt(expected)


@pytest.mark.parametrize(("where", "label"), [("gel", (2, 3)), ("Matrigel", (3,)), ("medium", (0,))])
def test_cells_lie_in_the_material_that_they_are_placed_in(where, label):
    shapes = [
        Box("gel", (0, 0, 0), (999, 100, 150)),
        Box("Matrigel", (0, 100, 0), (999, 999, 150)),
        Box("solid", (0, 0, 0), (100, 999, 999)),
    ]
    geometry = make_geometry(GRID, shapes, MATERIALS)
    cells = place(geometry, CellRequest("a", 8, count=300, place=where))
    assert np.isin(geometry.open_label.ravel()[voxels_of(cells, geometry)], label).all()


def test_the_surface_of_a_gel_is_a_place_for_cells_of_the_medium():
    grid = VoxelGrid((4, 4, 6), 10.0)
    geometry = make_geometry(grid, [Box("gel", (0, 0, 0), (40, 40, 30))], MATERIALS)
    area = surface_area(geometry)
    np.testing.assert_allclose(area[..., 3], 100.0)
    assert area.sum() == pytest.approx(1600)
    cells = place(geometry, CellRequest("a", 6, count=10))
    assert ((cells.position[:, 2] > 30) & (cells.position[:, 2] < 40)).all()


def test_gel_surface_continues_through_periodic_sides():
    grid = VoxelGrid((4, 4, 6), 10.0, (False, False, True))
    geometry = make_geometry(grid, [Box("gel", (0, 0, 0), (40, 40, 30))], MATERIALS)
    area = surface_area(geometry)
    np.testing.assert_allclose(area[..., 3], 100.0)
    np.testing.assert_allclose(area[..., 5], 100.0)


def test_cells_of_the_medium_do_not_reach_pockets_away_from_the_bath():
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[4] = 1
    geometry = make_geometry(VoxelGrid((10, 10, 10), 20.0), [LabelArray(labels, {0: None, 1: "solid"})], MATERIALS)
    for where in ("surface", "medium"):
        assert (place(geometry, CellRequest("a", 8, count=90, place=where)).position[:, 0] > 100).all()
    assert (place(geometry, CellRequest("a", 8, count=90, place="anywhere")).position[:, 0] < 80).any()
    assert (place(geometry, CellRequest("a", 8, count=90, place="medium"), sides=()).position[:, 0] < 80).any()


def test_density_counts_cells_per_open_volume_of_the_place(scaffold):
    cells = place(scaffold, CellRequest("a", 8, density=1e-5, place="medium"))
    assert cells.n_cells == round(1e-5 * scaffold.open_volume)
    assert place(scaffold, CellRequest("a", 8, density=0.0)).n_cells == 0


def test_small_cells_share_voxels_only_when_none_is_left_empty():
    geometry = make_geometry(VoxelGrid((4, 4, 4), 40.0), [], MATERIALS)
    few = place(geometry, CellRequest("a", 10, count=64, place="medium"))
    assert len(np.unique(voxels_of(few, geometry))) == 64
    more = place(geometry, CellRequest("a", 10, count=100, place="medium"))
    counts = np.bincount(voxels_of(more, geometry), minlength=64)
    assert counts.min() == 1 and counts.max() == 2


def test_more_cells_than_places_are_refused_with_both_numbers():
    geometry = make_geometry(VoxelGrid((4, 4, 4), 10.0), [], MATERIALS)
    requests = CellRequest("a", 8, count=60, place="medium"), CellRequest("b", 8, count=30, place="medium")
    with pytest.raises(CellsError, match=r"\(b\): 30 cells, but only 4 free places in 'medium'; ask for at most 4"):
        place(geometry, *requests)
    with pytest.raises(CellsError, match="this geometry has no 'surface' for cells"):
        place(geometry, CellRequest("a", 8, count=1))
    with pytest.raises(CellsError, match="only 0 free places in 'medium'"):
        place(geometry, CellRequest("a", 8, count=64, place="medium"), CellRequest("b", 8, count=1, place="medium"))
    with pytest.raises(CellsError, match="density 1 /um"):
        place(geometry, CellRequest("a", 8, density=1.0, place="medium"))


def test_no_cells_are_a_table_without_rows(scaffold):
    for cells in (place(scaffold), place(scaffold, CellRequest("a", 8, count=0))):
        assert cells.n_cells == cells.n_entries == 0 and cells.entry_start.tolist() == [0]
        assert cells.position.shape == (0, 3)


@pytest.mark.parametrize("cv", [0.2, 1.0])
def test_variation_is_lognormal_with_mean_one(cv):
    geometry = make_geometry(VoxelGrid((28, 28, 28), 10.0), [], MATERIALS)
    request = CellRequest("a", 4, count=20000, place="medium", variation={"receptors": cv})
    factor = place(geometry, request).variation["receptors"]
    assert factor.mean() == pytest.approx(1, abs=5 * cv / np.sqrt(20000))
    assert factor.std() == pytest.approx(cv, rel=0.06)
    assert np.log(factor).std() == pytest.approx(np.sqrt(np.log(1 + cv**2)), rel=0.03)


def test_no_variation_leaves_exactly_one():
    geometry = make_geometry(VoxelGrid((8, 8, 8), 10.0), [], MATERIALS)
    cells = place(geometry, CellRequest("a", 4, count=50, place="medium", variation={"receptors": 0.0}))
    assert (cells.variation["receptors"] == 1).all()


def test_listed_cells_lie_where_the_list_says(tmp_path):
    (tmp_path / "cells.csv").write_text("type,x_um,y_um,z_um,note\nb,15,25,35,left\n\na,5,5,5,\nb, 33 ,12,10,\n")
    found = read_cells_csv(tmp_path / "cells.csv")
    assert list(found) == ["b", "a"] and len(found["b"]) == 2
    np.testing.assert_array_equal(found["b"].positions, [[35, 25, 15], [10, 12, 33]])
    assert found["b"].rows.tolist() == [2, 5]
    geometry = make_geometry(VoxelGrid((4, 4, 4), 10.0), [], MATERIALS)
    cells = place(geometry, CellRequest("b", 4, positions=found["b"]), CellRequest("a", 4, positions=[[40, 40, 40]]))
    assert cells.type_names == ("b", "a") and cells.type_index.tolist() == [0, 0, 1]
    np.testing.assert_array_equal(cells.position, [[10, 12, 33], [35, 25, 15], [40, 40, 40]])
    assert cells.entry_voxel.tolist() == [16 + 4 + 3, 48 + 8 + 1, 63]


def test_listed_cells_beyond_a_periodic_side_come_back_on_the_other():
    geometry = make_geometry(VoxelGrid((4, 4, 4), 10.0, (True, False, True)), [], MATERIALS)
    cells = place(geometry, CellRequest("a", 4, positions=[[-5.0, 5.0, 47.0]]), sides=())
    np.testing.assert_allclose(cells.position, [[35, 5, 7]])


def test_listed_cells_in_solid_or_outside_are_refused_by_row(scaffold):
    solid = make_geometry(VoxelGrid((4, 4, 4), 10.0), [Box("solid", (0, 0, 0), (40, 40, 20))], MATERIALS)
    listed = ListedCells(np.array([[5, 5, x] for x in (25, 5, 35, 6, 7, 8)], float), np.arange(2, 8), "cells.csv")
    with pytest.raises(
        CellsError,
        match=r"cells.csv: 4 of 6 cells lie inside the solid: row 3 at x, y, z = 5, 5, 5 "
        r"um; row 5 .*; row 6 .* and 1 more; positions in medium or gel",
    ):
        place(solid, CellRequest("a", 4, positions=listed))
    with pytest.raises(CellsError, match=r"1 of 1 cells lie outside the grid: row 0 at x, y, z = 5, 41, 5 um"):
        place(solid, CellRequest("a", 4, positions=[[5.0, 41.0, 5.0]]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: no column x_um, y_um, z_um, type; got nothing"),
        ("x_um,y_um,type\n1,2,a\n", "line 1: no column z_um; got x_um, y_um, type"),
        ("x_um,y_um,z_um,type\n", "no cells"),
        ("x_um,y_um,z_um,type\n1,2,3,a\n1,2,3\n", "line 3: 3 values; 4 are needed"),
        ("x_um,y_um,z_um,type\n1,two,3,a\n", "line 2, y_um: got 'two'; a number of micrometres"),
        ("x_um,y_um,z_um,type\n1,nan,3,a\n", "line 2, y_um: got 'nan'"),
        ("x_um,y_um,z_um,type\n1,2,3, \n", "line 2: empty type"),
    ],
)
def test_unusable_lists_are_refused_with_their_line(tmp_path, text, message):
    (tmp_path / "cells.csv").write_text(text)
    with pytest.raises(CellsError, match=message) as refused:
        read_cells_csv(tmp_path / "cells.csv")
    assert "cells.csv" in str(refused.value)


def test_files_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "cells.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(CellsError, match="cannot be read as comma-separated text"):
        read_cells_csv(tmp_path / "cells.csv")
    with pytest.raises(CellsError, match="there is no such file"):
        read_cells_csv(tmp_path / "missing.csv")
    with pytest.raises(CellsError, match="cannot be read"):
        read_cells_csv(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0, "count": 3}, r"cells \(a\): radius 0 um; a positive length"),
        ({"radius": 8}, "nothing given; exactly one of count, density, coverage, interstitial_fraction and"),
        ({"radius": 8, "count": 3, "density": 1.0}, "count and density given; exactly one"),
        ({"radius": 8, "count": -3}, "count -3; a whole number of at least 0"),
        ({"radius": 8, "count": 2.5}, "count 2.5; a whole number"),
        ({"radius": 8, "density": -1.0}, "density -1 /um"),
        ({"radius": 8, "count": 3, "variation": {"receptors": -0.1}}, "variation.receptors = -0.1"),
    ],
)
def test_requests_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(CellsError, match=message):
        CellRequest("a", **arguments)


def test_unknown_places_are_refused_with_the_known_ones(scaffold):
    with pytest.raises(CellsError, match="place 'solid'; one of surface, gel, medium, anywhere, Matrigel is needed"):
        place(scaffold, CellRequest("a", 8, count=3, place="solid"))
    with pytest.raises(CellsError, match="this geometry has no 'gel' for cells"):
        place(scaffold, CellRequest("a", 8, count=3, place="gel"))


def test_negative_seeds_are_refused(scaffold):
    with pytest.raises(CellsError, match="seed: got -1"):
        place(scaffold, CellRequest("a", 8, count=3), seed=-1)


def test_a_spheroid_is_a_place_by_the_name_of_its_material():
    spheroid = Material("spheroid", "gel")
    geometry = make_geometry(
        VoxelGrid((20, 20, 20), 10.0), [Sphere("spheroid", (100, 100, 100), 60)], [MEDIUM, spheroid]
    )
    cells = place(geometry, CellRequest("a", 5, count=400, place="spheroid"))
    assert (np.linalg.norm(cells.position - 100, axis=1) < 60 + 8.7).all()

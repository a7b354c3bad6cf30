"""Minimum distances, and what cannot be placed: each refused with one message that says what would do."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from payloadfield.cells import CellRequest, CellShare, Gradient, ListedCells, Spheroids, place_cells
from payloadfield.errors import CellsError
from payloadfield.geometry import MEDIUM, Box, Material, VoxelGrid, find_pockets, make_geometry

SOLID, GEL = Material("solid", "impermeable"), Material("gel", "gel")


def make(shape=(20, 20, 20), h=10.0, shapes=(), periodic=(False, False, False)):
    return make_geometry(VoxelGrid(shape, h, periodic), list(shapes), [MEDIUM, SOLID, GEL])


def place(geometry, *requests, seed=7):
    return place_cells(requests, geometry, find_pockets(geometry), seed)


def closest(cells, of=None):
    """Shortest distance between two cells, or between one of a type and any other."""
    period = np.array(cells.period)
    tree = cKDTree(cells.position, boxsize=np.where(np.isfinite(period), period, 0))
    gap = tree.query(cells.position, k=2)[0][:, 1]
    return gap.min() if of is None else gap[cells.type_index == of].min()


@pytest.mark.parametrize("periodic", [(False, False, False), (True, True, True)])
@pytest.mark.parametrize("distance", [6.0, 14.0, 23.0])
def test_no_two_cells_come_closer_than_the_minimum_distance(periodic, distance):
    n = int(0.25 * 200**3 / (math.pi / 6 * distance**3))
    geometry = make(periodic=periodic)
    cells = place(geometry, CellRequest("a", 4.0, count=n, place="medium", minimum_distance=distance))
    assert cells.n_cells == n and closest(cells) >= distance
    if n < 8000:
        assert closest(place(geometry, CellRequest("a", 4.0, count=n, place="medium"))) < distance


def test_the_distance_holds_for_all_tables_whichever_comes_first():
    keeping = CellRequest("a", 4.0, count=150, place="medium", minimum_distance=20.0)
    others = CellRequest("b", 4.0, count=300, place="medium")
    for requests in ((keeping, others), (others, keeping)):
        cells = place(make(), *requests)
        assert cells.n_cells == 450 and closest(cells, cells.type_names.index("a")) >= 20.0
        assert closest(cells, cells.type_names.index("b")) < 20.0


def test_cells_at_a_distance_are_spread_evenly_and_without_correlation_beyond():
    cells = place(make((30, 30, 30)), CellRequest("a", 4.0, count=3000, place="medium", minimum_distance=12.0))
    for axis in range(3):
        counts = np.histogram(cells.position[:, axis], 10, (0, 300))[0]
        assert ((counts - 300) ** 2 / 300).sum() < 42  # 9 degrees of freedom, p = 3e-6; evener than that is no fault


def test_random_addition_fills_space_as_it_should():
    """Nearly to the saturation of random sequential addition: 0.384 of a volume, 0.547 of a plane (Feder 1980)."""
    filling = found_room(make((12, 12, 12), periodic=(True,) * 3), count=10**6, place="medium", minimum_distance=12.0)
    assert 0.31 < filling * math.pi / 6 * 12.0**3 / 120**3 < 0.39
    floor = make((4, 16, 16), shapes=[Box("solid", (-9, -9, -9), (20, 999, 999))], periodic=(False, True, True))
    filling = found_room(floor, count=10**6, minimum_distance=9.0)
    assert 0.47 < filling * math.pi / 4 * 9.0**2 / 160**2 < 0.55


def found_room(geometry, **asked):
    with pytest.raises(CellsError, match="random placement finds room for") as caught:
        place(geometry, CellRequest("a", 4.0, **asked))
    return int(str(caught.value).split("finds room for ")[1].split(";")[0].replace(",", ""))


def test_the_number_that_fits_does_fit():
    asked = {"place": "medium", "minimum_distance": 25.0}
    room = found_room(make((10, 10, 10)), count=500, **asked)
    assert 40 < room < 150
    cells = place(make((10, 10, 10)), CellRequest("a", 4.0, count=int(0.9 * room), **asked))
    assert closest(cells) >= 25.0


def test_a_coverage_that_the_distance_leaves_no_room_for_is_refused():
    floor = make((4, 16, 16), shapes=[Box("solid", (-9, -9, -9), (20, 999, 999))], periodic=(False, True, True))
    with pytest.raises(CellsError, match=r"cells that keep 16 um apart in 'surface'"):
        place(floor, CellRequest("a", 8.0, coverage=0.8, minimum_distance=16.0))


def test_listed_cells_that_break_a_distance_are_refused_with_it():
    keeping = CellRequest("a", 4.0, count=200, place="medium", minimum_distance=20.0)
    listed = CellRequest("b", 4.0, positions=ListedCells(np.full((1, 3), 100.0), np.array([7]), "cells.csv"))
    with pytest.raises(
        CellsError, match=r"1 of 1 cells lie closer to another cell than the minimum distance.*20 um.*row 7"
    ):
        place(make(), keeping, listed)
    assert place(make(), listed, keeping).n_cells == 201
    near = CellRequest("b", 4.0, positions=[[10, 10, 10], [10, 10, 15], [90, 90, 90.0]], minimum_distance=8.0)
    with pytest.raises(CellsError, match=r"2 of 3 cells lie closer to another cell .* 5 um instead of 8 um"):
        place(make(), near)


def ball(radius=60.0, fraction=0.5, centre=(100.0, 100.0, 100.0)):
    return Spheroids(np.array([centre]), np.array([radius]), fraction)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spheroids": ball(centre=(100, 100, 150))}, "reaches from 90 to 210 um along x, outside the grid"),
        ({"spheroids": ball(radius=5.0)}, "spheroid 0: 0 cells in a ball of 5 um, which holds at most 0"),
        ({"spheroids": Spheroids(np.full((1, 3), 100.0), np.array([50.0])), "count": 400}, "which holds at most 244"),
        ({"spheroids": ball(), "minimum_distance": 16.0}, r"come as close as 1\d.* about \d+ fit at that distance"),
        ({"spheroids": ball(), "gradient": Gradient("z", 1, 0)}, "gradient with spheroids, whose cells lie where they"),
        ({"spheroids": ball(), "place": "gel"}, "spheroids with place 'gel'"),
        ({"spheroids": ball(fraction=1.0)}, "interstitial_fraction 1; a number above 0 and below 1"),
        (
            {"spheroids": Spheroids(np.array([[60.0, 60, 60], [60, 60, 130]]), np.array([40.0, 40.0]), 0.5)},
            "spheroids 0 and 1 are 70 um apart, less than the sum of their radii",
        ),
        ({"count": 3, "place": "spheroid"}, "place 'spheroid'.*a spheroid needs a centre and a radius"),
    ],
)
def test_spheroids_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(CellsError, match=message):
        place(make(), CellRequest("a", 8.0, **arguments))


def test_spheroids_in_the_solid_are_refused_with_the_number_of_cells():
    geometry = make(shapes=[Box("solid", (-9, -9, -9), (999, 999, 60))])
    with pytest.raises(
        CellsError,
        match=r"cells of the spheroid: \d+ of 211 cells lie inside the solid",
    ):
        place(geometry, CellRequest("a", 8.0, spheroids=ball()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"coverage": 1.2}, r"coverage 1.2; a number above 0 and at most 1 \(confluent\)"),
        ({"coverage": 0.0}, "coverage 0; a number above 0"),
        ({"coverage": 0.5, "count": 3}, "count and coverage given; exactly one of"),
        ({"count": 3, "density": 1.0, "coverage": 0.1}, "count and density and coverage given"),
        ({"coverage": 0.5, "place": "gel"}, "coverage with place 'gel'; only the place 'surface' has an area"),
        ({"area_density": 1e-3, "place": "medium"}, "area density with place 'medium'"),
        ({"area_density": -1e-3}, "area density -0.001 /um.2; a number of at least 0"),
        ({"count": 3, "spread_area": 300.0}, "spread_area without coverage"),
        ({"coverage": 0.5, "spread_area": 0.0}, "spread_area 0 um.2; a number above 0"),
        ({"coverage": 1e-9}, "this coverage gives not one cell on"),
        ({"count": 3, "minimum_distance": -1.0}, "minimum_distance -1 um; a length of at least 0"),
        ({"count": 3, "pattern": "stripes"}, "pattern 'stripes'; one of mixed, patches, core, shell"),
        ({"count": 3, "pattern": "patches", "correlation_length": 9.0}, "pattern 'patches' with one type"),
        ({"count": 3, "correlation_length": 9.0}, "'patches' and a correlation_length, .* belong together"),
        ({"count": 3, "shares": (CellShare("b", 8.0, 0.5),), "pattern": "core"}, "only a spheroid has a core"),
        ({"count": 3, "shares": (CellShare("b", 8.0, 1.5),)}, "shares of types; numbers of at least 0 that add"),
        ({"count": 3, "shares": (CellShare("a", 8.0, 0.5),)}, "types a, a; each of them once"),
        ({"count": 3, "shares": (CellShare("b", -8.0, 0.5),)}, "radius -8 um; a positive length"),
        ({"positions": [[1.0, 1, 1]], "shares": (CellShare("b", 8.0, 0.5),)}, "several types with a list of cells"),
        ({"positions": [[1.0, 1, 1]], "gradient": Gradient("z", 1, 0)}, "gradient with a list"),
        ({"positions": [[1.0, 1, 1]], "material": "gel"}, "material 'gel' with a list"),
        ({"count": 3, "material": "gel"}, "material 'gel' with the surface"),
        ({"count": 3, "place": "gel", "material": "solid"}, "material 'solid'; an open one of this study is needed"),
        ({"count": 3, "gradient": Gradient("w", 1, 0)}, "gradient.axis 'w'; one of x, y, z, surface"),
        ({"count": 3, "gradient": Gradient("z", 0, 0)}, "numbers of at least 0, not both 0"),
        ({"count": 3, "gradient": Gradient("z", 1, 0, 20.0)}, 'gradient.length belongs to axis = "surface"'),
        ({"count": 3, "place": "medium", "gradient": Gradient("surface", 1, 0, 20.0)}, "but this geometry has none"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(arguments, message):
    shapes = [Box("gel", (-9, -9, -9), (50, 999, 999))] if "geometry has none" not in message else []
    with pytest.raises(CellsError, match=message) as caught:
        place(make(shapes=shapes), CellRequest("a", 8.0, **arguments))
    assert str(caught.value).startswith("cells (a")


numbers = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([0.0, math.nan, math.inf, -math.inf, 1e300, 5e-324]))
maybe = st.none() | numbers


@given(
    count=st.none() | st.integers(-5, 300),
    density=maybe,
    coverage=maybe,
    spread_area=maybe,
    minimum_distance=numbers,
    gradient=st.none() | st.builds(Gradient, st.sampled_from(["x", "surface", "w"]), numbers, numbers, maybe),
    pattern=st.sampled_from(["mixed", "patches", "core", "what"]),
    correlation_length=maybe,
    share=maybe,
    place_name=st.sampled_from([None, "surface", "gel", "medium", "spheroid", ""]),
    spheroid=st.none() | st.tuples(numbers, numbers, maybe),
)
@settings(max_examples=150, deadline=None)
def test_any_request_is_placed_as_asked_or_refused_in_our_words(
    count, density, coverage, spread_area, minimum_distance, gradient, pattern, correlation_length, share, place_name,
    spheroid,
):  # fmt: skip
    try:
        request = CellRequest(
            "a", 4.0, count=count, density=density, coverage=coverage, spread_area=spread_area, gradient=gradient,
            minimum_distance=minimum_distance, pattern=pattern, correlation_length=correlation_length, place=place_name,
            shares=() if share is None else (CellShare("b", 5.0, share),),
            spheroids=spheroid and Spheroids(np.full((1, 3), spheroid[0]), np.array([spheroid[1]]), spheroid[2]),
        )  # fmt: skip
        cells = place(make((6, 6, 6), shapes=[Box("gel", (-1, -1, -1), (99, 99, 30))]), request)
    except CellsError:
        return
    assert count is None or cells.n_cells == count
    assert np.isfinite(cells.position).all() and (cells.position >= 0).all() and (cells.position <= 60).all()
    if cells.n_cells > 1 and minimum_distance > 0:
        assert closest(cells) >= minimum_distance

"""Sweep files, and the points that they stand for."""

import numpy as np
import pytest

from payloadfield.compare.space import count_points, make_points
from payloadfield.errors import StudyError
from payloadfield.study.sweep_file import read_sweep_file
from payloadfield.units import parse_quantity

RATE = '"agents.T-DXd.linker.kcat_over_km" = { low = "1e3 / M / s", high = "1e6 / M / s", scale = "log"'


def sweep(tmp_path, text):
    path = tmp_path / "sweep.toml"
    path.write_text(f'study = "study.toml"\n{text}', encoding="utf-8")
    return read_sweep_file(path)


def values(points, key, unit):
    return np.array([parse_quantity(point.changes[key], unit, key) for point in points])


def test_a_grid_is_every_combination_with_the_last_axis_fastest(tmp_path):
    points = make_points(sweep(tmp_path, f'[space]\n"agents.T-DXd.DAR" = [2, 8]\n{RATE}, steps = 4 }}'))
    assert [point.changes["agents.T-DXd.DAR"] for point in points] == [2] * 4 + [8] * 4
    found = values(points, "agents.T-DXd.linker.kcat_over_km", "1/M/s")
    np.testing.assert_allclose(found, np.tile([1e3, 1e4, 1e5, 1e6], 2), rtol=1e-12)
    assert [point.name for point in points] == [str(k) for k in range(8)]


def test_a_linear_range_has_equal_steps(tmp_path):
    points = make_points(sweep(tmp_path, '[space]\n"a.b" = { low = "1 nM", high = "4 nM", steps = 4 }'))
    np.testing.assert_allclose(values(points, "a.b", "nM"), [1, 2, 3, 4], rtol=1e-14)


@pytest.mark.parametrize("method", ["latin_hypercube", "sobol"])
def test_samples_fill_a_logarithmic_axis_evenly_and_repeat_with_the_seed(tmp_path, method):
    text = f'method = "{method}"\nsamples = 64\nseed = 5\n[space]\n{RATE} }}\n"x" = [1, 2, 3, 4]'
    points = make_points(sweep(tmp_path, text))
    decades = np.log10(values(points, "agents.T-DXd.linker.kcat_over_km", "1/M/s"))
    assert np.histogram(decades, bins=16, range=(3, 6))[0].tolist() == [4] * 16  # one in each 64th, as both promise
    assert sorted(point.changes["x"] for point in points) == [1] * 16 + [2] * 16 + [3] * 16 + [4] * 16
    assert points == make_points(sweep(tmp_path, text))
    assert points != make_points(sweep(tmp_path, text.replace("seed = 5", "seed = 6")))


def test_listed_points_keep_their_names_and_take_what_all_share(tmp_path):
    listed = '[[point]]\nname = "one"\nset = { "seed" = 3 }\n[[point]]\nset = {}'
    text = f'method = "list"\nset = {{ "solver.rtol" = 1e-3 }}\n{listed}'
    points = make_points(sweep(tmp_path, text))
    assert [(point.name, dict(point.changes)) for point in points] == [
        ("one", {"solver.rtol": 1e-3, "seed": 3}),
        ("point 1", {"solver.rtol": 1e-3}),
    ]


def test_more_points_than_asked_for_are_refused_with_the_limit_and_are_never_made(tmp_path):
    wide = ", ".join(f'"k{k}" = {{ low = 1, high = 2, steps = 1000 }}' for k in range(5))
    huge = sweep(tmp_path, f"space = {{ {wide} }}")
    assert count_points(huge) == 10**15
    with pytest.raises(StudyError, match=r"1000000000000000 points, more than most = 10000 allows"):
        make_points(huge)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "space: the sweep has no points"),
        ("[space]\nx = []", "space: the sweep has no points"),
        ('method = "list"', "point: the sweep has no points"),
        ('method = "list"\n[space]\nx = [1]', r"takes its points from \[\[point\]\]"),
        ('method = "sobol"\n[space]\nx = [1, 2]', "samples: is missing"),
        ("samples = 4\n[space]\nx = [1, 2]", "samples: is of the methods"),
        ("[space]\nx = { low = 1, high = 2 }", "space.x: is a range in a grid; steps"),
        ("[space]\nx = { low = 2, high = 1, steps = 3 }", "low below high is needed"),
        ('[space]\nx = { low = 0, high = 1, scale = "log", steps = 3 }', "starts above 0"),
        ('[space]\nx = { low = "1 nM", high = "1 um", steps = 3 }', "space.x: .*length"),
        ("[space]\nx = { low = 1, high = 2, steps = 1 }", "space.x"),
        ("[space]\nx = 4", "a list of values, or a range"),
        ('methd = "grid"', "methd: unknown key; did you mean 'method'"),
        ('method = "random"\n[space]\nx = [1]', "method: got 'random'"),
        ("most = 0\n[space]\nx = [1]", "most: got 0"),
        ("[[point]]\nset = { x = 1 }\n[space]\nx = [1]", 'listed points need method = "list"'),
        ('method = "list"\n[[point]]\nname = "a"\nset = {}\n[[point]]\nname = "a"\nset = {}', "a second time"),
    ],
)
def test_a_sweep_file_that_makes_no_sense_is_refused_with_its_key(tmp_path, text, message):
    with pytest.raises(StudyError, match=message):
        sweep(tmp_path, text)

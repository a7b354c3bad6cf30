from __future__ import annotations

import json

import numpy as np
import pytest
from tests.cli.conftest import STUDY

import payloadfield
from payloadfield.compare.places import antigen_positive, distance_to_sides
from payloadfield.report.distances import distance_to_nearest
from payloadfield.report.slices import choose_outputs, draw_slices


def test_plot_draws_slices_distances_and_time_courses(call, shared_run, tmp_path):
    outcome = call("plot", shared_run, "-o", tmp_path / "figures", "--json")
    files = json.loads(outcome.out)["files"]
    names = [file.rpartition("/")[2] for file in files]
    assert names[0] == "fields.png" and names[-1] == "time_courses.png" and "distance_payload_exposure.png" in names
    for file in files:
        pixels = read_png(file)
        assert pixels.shape[0] > 300 and pixels.shape[1] > 300
        assert len(np.unique(pixels[::7, ::7].sum(axis=2))) > 50  # not an empty page


def read_png(path):
    from matplotlib.image import imread

    return imread(path)


@pytest.mark.parametrize(("axis", "labels"), [("x", ("y", "z")), ("y", ("x", "z")), ("z", ("x", "y"))])
def test_slices_cut_along_every_axis_show_the_layer_at_the_position(shared_run, axis, labels):
    run = payloadfield.open_run(shared_run)
    panel = draw_slices(run, ["adc"], [4], axis, 0.7).axes[0]
    layer = int(0.7 * run.frame.shape["zyx".index(axis)])
    image = panel.images[0].get_array()
    expected = np.take(run.field("adc", 4), layer, axis="zyx".index(axis))
    assert np.array_equal(image.filled(np.nan), expected, equal_nan=True)
    assert (panel.get_xlabel(), panel.get_ylabel()) == tuple(f"{name} [µm]" for name in labels)


def test_an_unknown_field_is_refused_before_anything_is_drawn(call, shared_run, tmp_path):
    outcome = call("plot", shared_run, "-o", tmp_path / "figures", "--field", "oxygen")
    assert outcome.code == 1 and "no field 'oxygen'" in outcome.err
    assert not (tmp_path / "figures").exists()


def test_a_run_without_cells_is_drawn_too(call, tmp_path):
    text = STUDY.read_text()
    start, end = text.index("[[cells]]"), text.index("[[schedule]]")
    (tmp_path / "empty.toml").write_text(text[:start] + text[end:])
    assert call("run", tmp_path / "empty.toml", "-o", tmp_path / "run", "--backend", "numpy", "-q").code == 0
    outcome = call("plot", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "run/figures/fields.png").is_file()


def test_chosen_times_are_the_nearest_outputs(shared_run):
    run = payloadfield.open_run(shared_run)
    assert choose_outputs(run, [3600.0, 7300.0]) == [2, 4]
    chosen = choose_outputs(run, [])
    assert chosen[0] == 1 and chosen[-1] == 24 and 12 in chosen  # the wash is at 6 h


def test_distance_to_the_nearest_cell_crosses_periodic_sides(shared_run):
    run = payloadfield.open_run(shared_run)
    chosen = run.cells["type"] == "SK-BR-3"
    points = np.stack([run.cells[f"{axis}_um"] for axis in "zyx"], axis=1)
    expected = []
    for number, point in enumerate(points):
        gap = np.abs(points[chosen & (np.arange(len(points)) != number)] - point)
        gap[:, 2] = np.minimum(gap[:, 2], 80.0 - gap[:, 2])  # x is periodic, 80 um wide
        expected.append(np.sqrt((gap**2).sum(axis=1)).min())
    np.testing.assert_allclose(distance_to_nearest(run, chosen), expected, rtol=1e-12)


def test_antigen_positive_types_are_those_with_receptors(shared_run):
    assert antigen_positive(payloadfield.open_run(shared_run).cells) == ["SK-BR-3"]


def test_distance_to_the_bath_is_measured_from_its_side(shared_run):
    run = payloadfield.open_run(shared_run)
    assert np.array_equal(
        distance_to_sides(run.cells, ["z_high"], run.frame.shape, run.frame.spacing), 100.0 - run.cells["z_um"]
    )


def test_exports_are_written_beside_the_run(call, own_run):
    outcome = call("export", own_run, "--to", "npz")
    assert outcome.code == 0 and own_run.with_name("run.npz").is_file()
    again = call("export", own_run, "--to", "npz")
    assert again.code == 1 and "exists already" in again.err

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from payloadfield.report.preview import draw_preview
from payloadfield.report.render import Scene, View, coarser, render
from payloadfield.report.style import COLOURS
from payloadfield.study import load_study

PRINT = Path(__file__).parents[2] / "examples" / "printed_woodpile"
STUDY = """
duration = "2 h"
title = "two types on a strand"
[grid]
size = ["60 um", "50 um", "40 um"]
voxel = "2.5 um"
[boundary]
z_high = "bath"
[[scaffold]]
shape = "cylinder"
axis = "x"
centre = ["30 um", "25 um", "20 um"]
radius = "10 um"
length = "90 um"
material = "PCL"
[[cells]]
types = { "SK-BR-3" = 0.5, "MCF-7" = 0.5 }
count = 30
[[schedule]]
at = "0 h"
dose = { "T-DXd" = "50 nM" }
"""
RED, BLUE, YELLOW = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 0.0)
DIRECTIONS = [(-58, 28), (130, -40), (0, 0), (17, 90)]


@pytest.fixture
def strand(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def ball(n=(30, 34, 38), radius=9.0, centre=(14.2, 17.1, 20.3), spacing=2.0, cells=(), cell_radius=3.0, gel=None):
    """A ball of red solid in a box, with blue cells."""
    z, y, x = np.meshgrid(*(np.arange(k) + 0.5 for k in n), indexing="ij")
    away = np.sqrt((z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2)
    cells = np.reshape(np.array(cells, float), (-1, 3))
    return Scene(
        np.clip(radius - away + 0.5, 0, 1).astype(np.float32),
        np.zeros(n, np.int8),
        np.array([RED]),
        np.full(n, -1, np.int8) if gel is None else gel,
        np.array([YELLOW]),
        spacing,
        cells,
        np.full(len(cells), cell_radius),
        np.tile(BLUE, (len(cells), 1)),
    )


def view_of(scene, direction, pixels=300):
    return View(tuple(k * scene.spacing for k in scene.solid.shape), *direction, pixels)


def is_like(picture, colour):
    """Pixels of a hue, whatever the light."""
    brightest = np.maximum(picture[..., :3].max(axis=-1, keepdims=True), 1e-9)
    return (picture[..., 3] > 0) & (np.abs(picture[..., :3] / brightest - np.array(colour)).max(axis=-1) < 0.45)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_ball_is_a_disc_of_its_size_and_place_from_everywhere(direction):
    scene = ball()
    view = view_of(scene, direction)
    seen = render(scene, view)[..., 3] > 0
    assert seen.sum() * view.pixel**2 == pytest.approx(math.pi * 18.0**2, rel=0.02)
    right, up, _ = view.project(2.0 * np.array([[14.2, 17.1, 20.3]]))
    rows, columns = np.nonzero(seen)
    assert (columns.mean() - (seen.shape[1] - 1) / 2) * view.pixel == pytest.approx(right[0], abs=0.3)
    assert ((seen.shape[0] - 1) / 2 - rows.mean()) * view.pixel == pytest.approx(up[0], abs=0.3)


def test_light_falls_from_the_upper_left():
    picture = render(ball(), view_of(ball(), (-58, 28)))
    rows, columns = np.nonzero(picture[..., 3] > 0)
    bright = picture[rows, columns, 0]
    upper_left = (rows < rows.mean()) & (columns < columns.mean())
    lower_right = (rows > rows.mean()) & (columns > columns.mean())
    assert bright[upper_left].mean() > 1.3 * bright[lower_right].mean()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_cells_in_front_are_seen_and_those_behind_are_hidden(direction):
    middle = 2.0 * np.array([14.2, 17.1, 20.3])
    towards = view_of(ball(), direction).towards_eye
    in_front, behind = (ball(cells=[middle + side * 24 * towards]) for side in (1, -1))
    view = view_of(in_front, direction)
    blue = is_like(render(in_front, view), BLUE).sum() * view.pixel**2
    assert blue == pytest.approx(math.pi * 3.0**2, rel=0.1)
    assert not is_like(render(behind, view), BLUE).any()


def test_a_cell_half_in_the_solid_shows_its_outer_half():
    middle, side = 2.0 * np.array([14.2, 17.1, 20.3]), view_of(ball(), (0, 0)).right
    scene = ball(cells=[middle + 18.0 * side])
    view = view_of(scene, (0, 0))
    assert 0.4 < is_like(render(scene, view), BLUE).sum() * view.pixel**2 / (math.pi * 3.0**2) < 0.98


def test_gel_tints_what_is_behind_it_and_nothing_before_it():
    gel = np.full((30, 34, 38), -1, np.int8)
    gel[:, :, 30:] = 0  # at high x, where the eye of azimuth 0 stands
    front, back = (render(ball(gel=gel), view_of(ball(), (angle, 0))) for angle in (0, 180))
    plain = render(ball(), view_of(ball(), (180, 0)))
    solid = plain[..., 3] > 0
    np.testing.assert_allclose(back[solid], plain[solid])
    assert (front[..., 1][front[..., 3] > 0] > 0).all() and (front[..., 3] > 0).sum() > solid.sum()
    assert front[np.fliplr(solid)][:, 1].mean() > plain[solid][:, 1].mean() + 0.05


def test_voxels_are_joined_where_there_are_more_than_a_picture_shows():
    n = (37, 410, 203)
    fine = ball(n=n, radius=18.0, centre=(18.0, 200.0, 100.0), spacing=0.5)
    joined = coarser(fine)
    assert joined.solid.shape == (13, 137, 68) and joined.spacing == 1.5
    assert joined.solid[:, :136, :67].sum() * 27 == pytest.approx(fine.solid.sum(), rel=0.01)
    view = View(tuple(k * 0.5 for k in n), 20.0, 30.0, 500)
    assert (render(fine, view)[..., 3] > 0).sum() * view.pixel**2 == pytest.approx(math.pi * 9.0**2, rel=0.03)


def test_an_empty_box_is_an_empty_picture():
    scene = replace(ball(), solid=np.zeros((30, 34, 38), np.float32))
    assert not render(scene, view_of(scene, (-58, 28)))[..., 3].any()


def test_a_solid_that_hides_all_is_cut_open(strand):
    open_strand = draw_preview(load_study(strand))
    around = load_study(strand, ["scaffold[0].outside=true", "scaffold[0].radius=16 um"])
    notes = [figure.get_supxlabel() for figure in (open_strand.subfigs[0], draw_preview(around).subfigs[0])]
    assert "cut away" not in notes[0] and "cut away" in notes[1]


def test_a_preview_shows_solid_and_both_types_without_a_display(strand, call, tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("MPLBACKEND", "TkAgg")
    outcome = call("geometry", "preview", strand, "-o", tmp_path / "seen.png")
    assert outcome.code == 0 and outcome.out.strip().endswith("seen.png")
    pixels = imread(tmp_path / "seen.png")
    left = pixels[:, : pixels.shape[1] // 2]  # the shaded view
    shaded = np.concatenate([left[..., :3], np.ones((*left.shape[:2], 1))], axis=2)
    for colour in COLOURS[:2]:
        assert is_like(shaded, np.array(to_rgb(colour)) / max(to_rgb(colour))).sum() > 500
    grey = (np.ptp(shaded[..., :3], axis=2) < 0.02) & (shaded[..., 0] < 0.8) & (shaded[..., 0] > 0.2)
    assert grey.sum() > 20_000


def test_sections_show_the_solid_where_it_is(strand):
    study = load_study(strand)
    image = draw_preview(study).subfigs[1].axes[0].images[0].get_array()  # normal to z, through the axis of the strand
    is_grey = np.ptp(image, axis=2) < 0.01
    share = 1 - np.asarray(image)[is_grey].mean() / 1.0
    layer = study.geometry.open_fraction[study.geometry.grid.shape[0] // 2]
    assert share == pytest.approx((1 - layer).mean() * (1 - 0x9A / 255), rel=0.02)


def test_check_draws_the_preview_that_it_is_asked_for(strand, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("check", strand, "--preview").code == 0 and (tmp_path / "preview.png").is_file()
    facts = json.loads(call("check", strand, "--json", "--preview", "other.png").out)
    assert facts["preview"] == "other.png" and (tmp_path / "other.png").is_file()


@pytest.mark.parametrize("verb", [("geometry", "preview", "-o"), ("check", "--preview")])
def test_a_picture_that_is_no_png_is_refused_before_the_study_is_read(verb, call, tmp_path):
    outcome = call(*verb, "preview.pdf", tmp_path / "none.toml")
    assert outcome.code == 2 and "got 'preview.pdf'; a name that ends in .png is needed" in outcome.err


def test_a_picture_that_cannot_be_written_is_refused(strand, call, tmp_path):
    outcome = call("geometry", "preview", strand, "-o", tmp_path / "none" / "a.png")
    assert outcome.code == 1 and "cannot be written" in outcome.err


def test_the_preview_of_a_print_says_what_was_understood(call, tmp_path):
    shutil.copytree(PRINT, tmp_path / "print")
    coarse = ("--set", "grid.voxel=100 um", "--set", "cells[0].count=10")
    outcome = call("geometry", "preview", tmp_path / "print" / "study.toml", "-o", tmp_path / "a.png", *coarse)
    assert outcome.code == 0, outcome.err
    assert "24 of 30 strands taken in 6 layers" in outcome.out and "12 commands without effect" in outcome.out
    measured = call("geometry", "measure", tmp_path / "print" / "study.toml", "--json", "--no-diffusion", *coarse)
    facts = json.loads(measured.out)
    assert facts["porosity"] == pytest.approx(0.676, abs=0.01) and facts["n_pockets"] == 1


def test_the_voxels_are_written_as_in_a_run(strand, call, tmp_path):
    made = tmp_path / "geometry.vtkhdf"
    assert call("geometry", "make", strand, "-o", made).code == 0
    study = load_study(strand)
    with h5py.File(made) as file:
        root = file["VTKHDF"]
        assert list(root.attrs["WholeExtent"]) == [0, 24, 0, 20, 0, 16] and root.attrs["Type"] == b"ImageData"
        cells = root["CellData"]
        np.testing.assert_allclose(cells["open_fraction"][()], study.geometry.open_fraction, atol=1e-7)
        np.testing.assert_array_equal(cells["material"][()], study.geometry.label)
        np.testing.assert_allclose(cells["surface_distance"][()], study.geometry.surface_distance, rtol=1e-6)
    again = call("geometry", "make", strand, "-o", made)
    assert again.code == 1 and "exists already" in again.err

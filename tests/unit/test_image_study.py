"""Images in study files: scaffolds by label and by threshold, cells from labels, and what is refused."""

import numpy as np
import pytest
from tests.images import distances

from payloadfield.errors import StudyError
from payloadfield.study import load_study
from payloadfield.study.scaffold_tables import ImageTable

STUDY = """
duration = "2 h"
[grid]
size = ["120 um", "100 um", "80 um"]
voxel = "5 um"
[boundary]
z_high = "bath"
[[schedule]]
at = "0 h"
dose = { "T-DXd" = "50 nM" }
"""
BALL = distances((40, 50, 60), 2.0, (40.0, 50.0, 60.0))
SPACING = 'spacing = ["2 um", "2 um", "2 um"]\n'


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "labels.npy", np.where(BALL < 20, 1, np.where(BALL < 30, 2, 0)).astype(np.uint8))
    np.save(tmp_path / "grey.npy", (200 - 4 * BALL).astype(np.float32))
    np.save(tmp_path / "small.npy", np.ones((10, 10, 10), np.uint8))
    return tmp_path


def load(folder, text, *overrides):
    path = folder / "study.toml"
    path.write_text(STUDY + text)
    return load_study(path, overrides)


def scaffold(keys: str) -> str:
    return '[[scaffold]]\nshape = "image"\n' + keys + "\n"


GOOD = {
    "labels": ('file = "labels.npy"\nlabels = { 1 = "PCL", 2 = "GelMA" }\n' + SPACING, 20.0),
    "threshold": ('file = "grey.npy"\nmaterial = "PCL"\nthreshold = 100\n' + SPACING, 25.0),
    "voxels": ('file = "grey.npy"\nmaterial = "PCL"\nthreshold = 100.0\nsurface = "voxels"\n' + SPACING, 25.0),
    "moved": ('file = "grey.npy"\nmaterial = "PCL"\nthreshold = 100\noutside = "medium"\n' + SPACING
              + 'at = ["-10 um", "0 um", "0 um"]\ntranslate = ["-10 um", "0 um", "0 um"]\n', 25.0),
    "centred": ('file = "small.npy"\nlabels = { 1 = "PCL" }\noutside = "medium"\ncentre = true\n' + SPACING, None),
    "part": None,
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in GOOD if GOOD[name]])
def test_an_image_of_a_study_is_its_scaffold_and_survives_in_the_effective_study(name, folder):
    keys, radius = GOOD[name]
    study = load(folder, scaffold(keys))
    expected = 20.0**3 if radius is None else 4 / 3 * np.pi * radius**3
    assert (1 - study.geometry.open_fraction).sum() * 125 == pytest.approx(expected, rel=5e-2)
    again = load_study(study.effective)
    np.testing.assert_array_equal(again.geometry.open_fraction, study.geometry.open_fraction)
    assert study.effective["scaffold"][0]["file"].startswith(str(folder))


def test_gels_of_a_label_image_fill_their_voxels(folder):
    study = load(folder, scaffold(GOOD["labels"][0]))
    names = [material.name for material in study.geometry.materials]
    gel = study.geometry.open_fraction[study.geometry.open_label == names.index("GelMA")].sum() * 125
    assert gel == pytest.approx(4 / 3 * np.pi * (30.0**3 - 20.0**3), rel=0.2)  # by whole voxels


def test_an_image_is_part_of_another_shape_and_repeated(folder):
    keys = 'shape = "difference"\nmaterial = "PCL"\n[[scaffold.parts]]\nshape = "image"\nfile = "grey.npy"\n'
    box = '[[scaffold.parts]]\nshape = "box"\nlow = ["60 um", "-9 um", "-9 um"]\nhigh = ["200 um", "200 um", "99 um"]\n'
    study = load(folder, "[[scaffold]]\n" + keys + "threshold = 100\n" + SPACING + box)
    half = 2 / 3 * np.pi * 25.0**3
    assert (1 - study.geometry.open_fraction).sum() * 125 == pytest.approx(half, rel=5e-2)


def test_a_threshold_by_otsu_is_told(folder):
    levels = np.where(BALL < 25, 180, 20).astype(np.uint8)
    np.save(folder / "two.npy", levels)
    study = load(folder, scaffold('file = "two.npy"\nmaterial = "PCL"\nthreshold = "otsu"\n' + SPACING))
    assert any("the threshold is 100, by Otsu" in warning for warning in study.warnings)


REFUSED = {
    "no spacing": ('file = "labels.npy"\nlabels = { 1 = "PCL" }', "the spacing of its voxels is needed"),
    "nothing": ('file = "labels.npy"\n' + SPACING, "exactly one of labels"),
    "both": ('file = "grey.npy"\nlabels = { 1 = "PCL" }\nthreshold = 1\n' + SPACING, "exactly one of labels"),
    "labels with a material": ('file = "labels.npy"\nmaterial = "PCL"\nlabels = { 1 = "PCL" }\n' + SPACING,
                               "labels name their materials"),
    "threshold without": ('file = "grey.npy"\nthreshold = 1\n' + SPACING, "scaffold[0].material: is missing"),
    "threshold of text": ('file = "grey.npy"\nmaterial = "PCL"\nthreshold = "much"\n' + SPACING, '"otsu", is needed'),
    "unknown label": ('file = "labels.npy"\nlabels = { 1 = "PCL" }\n' + SPACING, "labels without a material: 2"),
    "no label": ('file = "labels.npy"\nlabels = { one = "PCL" }\n' + SPACING, "a label is a whole number"),
    "unknown material": ('file = "labels.npy"\nlabels = { 1 = "PCK", 2 = "PCL" }\n' + SPACING, "no material 'PCK'"),
    "too small": ('file = "small.npy"\nlabels = { 1 = "PCL" }\n' + SPACING, "does not cover the grid"),
    "turned voxels": ('file = "labels.npy"\nlabels = { 1 = "PCL", 2 = "PCL" }\nrotate = ["0 deg", "0 deg", "9 deg"]\n'
                      + SPACING, "not turned or repeated"),
    "no file": ('file = "nothing.tif"\nlabels = { 1 = "PCL" }\n' + SPACING, "cannot be read"),
    "unknown key": ('file = "labels.npy"\nlabel = { 1 = "PCL" }\n' + SPACING, "unknown key; did you mean 'labels'?"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_images_that_say_too_little_or_too_much_are_refused(name, folder):
    keys, words = REFUSED[name]
    with pytest.raises(StudyError) as refusal:
        load(folder, scaffold(keys))
    assert words in str(refusal.value)


def test_voxels_are_no_part_of_another_shape(folder):
    keys = 'shape = "union"\nmaterial = "PCL"\n[[scaffold.parts]]\nshape = "image"\nfile = "grey.npy"\n'
    with pytest.raises(StudyError, match="no part of another shape"):
        load(folder, "[[scaffold]]\n" + keys + 'threshold = 100\nsurface = "voxels"\n' + SPACING)
    with pytest.raises(StudyError, match="a part of a shape has none"):
        load(folder, "[[scaffold]]\n" + keys + 'labels = { 1 = "PCL" }\n' + SPACING)


# --- cells


def segmented() -> np.ndarray:
    """Three cells: a box of 5 x 4 x 3 voxels (x, y, z), a single voxel, and an L of three."""
    labels = np.zeros((40, 50, 60), np.uint16)
    labels[10:13, 20:24, 30:35] = 1
    labels[30, 40, 50] = 5
    labels[20, 10, 10], labels[20, 10, 11], labels[20, 11, 10] = 9, 9, 9
    return labels


@pytest.fixture
def cells(folder):
    np.save(folder / "cells.npy", segmented())
    return folder


IMAGE = 'image = { file = "cells.npy", spacing = ["2 um", "2 um", "2 um"]%s }\n'


def volumes_of(study) -> np.ndarray:
    return study.cell_parameters[study.mechanism.cell_parameters.index("volume")]


def test_each_label_is_a_cell_with_its_centroid_and_its_volume(cells):
    study = load(cells, '[[cells]]\ntype = "SK-BR-3"\n' + IMAGE % "")
    order = np.argsort(study.cells.position[:, 0])
    expected = [(23.0, 44.0, 65.0), (41.0, 2 * (10 + 1 / 3) + 1, 2 * (10 + 1 / 3) + 1), (61.0, 81.0, 101.0)]
    np.testing.assert_allclose(study.cells.position[order], expected)
    np.testing.assert_allclose(volumes_of(study)[order], [60 * 8, 3 * 8, 8], rtol=1e-9)
    np.testing.assert_allclose(4 / 3 * np.pi * study.cells.radius[order] ** 3, [60 * 8, 3 * 8, 8], rtol=1e-9)
    again = load_study(study.effective)
    np.testing.assert_array_equal(again.cells.position, study.cells.position)
    np.testing.assert_array_equal(again.cell_parameters, study.cell_parameters)


def test_volumes_are_those_of_labels_whatever_the_radius_of_the_type(cells):
    own = '[cell_types.mine]\nbased_on = "SK-BR-3"\nvolume = "900 um^3"\nradius = "3 um"\n'
    study = load(cells, '[[cells]]\ntype = "mine"\n' + IMAGE % "" + own)
    np.testing.assert_allclose(sorted(volumes_of(study)), [8, 24, 480], rtol=1e-9)


def test_types_go_by_ranges_of_labels_or_by_a_table(cells):
    by_range = load(cells, "[[cells]]\n" + IMAGE % ', types = { "1-4" = "SK-BR-3", "5-" = "MDA-MB-468" }')
    (cells / "types.csv").write_text("label,type\n1,SK-BR-3\n5,MDA-MB-468\n9,MDA-MB-468\n77,SK-BR-3\n")
    by_table = load(cells, "[[cells]]\n" + IMAGE % ', types = { file = "types.csv" }')
    for study in (by_range, by_table):
        small = volumes_of(study) < 100
        assert {study.cells.type_names[i] for i in study.cells.type_index[small]} == {"MDA-MB-468"}
        assert [study.cells.type_names[i] for i in study.cells.type_index[~small]] == ["SK-BR-3"]
        again = load_study(study.effective)
        np.testing.assert_array_equal(again.cells.type_index, study.cells.type_index)
    assert by_table.effective["cells"][0]["image"]["types"]["file"] == str(cells / "types.csv")


def test_overrides_reach_an_image_of_cells(cells):
    study = load(cells, '[[cells]]\ntype = "SK-BR-3"\n' + IMAGE % "", 'cells[0].image.at=["2 um", "0 um", "0 um"]')
    assert sorted(study.cells.position[:, 2])[-1] == pytest.approx(103.0)


BAD_CELLS = {
    "more labels than types": (', types = { "1-5" = "SK-BR-3" }', "1 of its 3 labels have no type: 9"),
    "overlapping ranges": (', types = { "1-5" = "SK-BR-3", "4-9" = "MDA-MB-468" }', "labels from 4 on are"),
    "no range": (', types = { "all" = "SK-BR-3" }', "a range such as"),
    "unknown type": (', types = { "1-" = "SK-BR-4" }', "there is no cell type 'SK-BR-4'"),
    "outside": (', types = { "1-" = "SK-BR-3" }, at = ["50 um", "0 um", "0 um"]', "outside the grid: label 5 at x"),
    "no types": ("", "cells[0].type: is missing"),
    "no table": (', types = { file = "none.csv" }', "cannot be read"),
}


@pytest.mark.parametrize("name", BAD_CELLS)
def test_labels_that_make_no_cells_are_refused(name, cells):
    keys, words = BAD_CELLS[name]
    with pytest.raises(StudyError) as refusal:
        load(cells, "[[cells]]\n" + IMAGE % keys)
    assert words in str(refusal.value)


def test_labels_inside_a_solid_an_empty_image_and_a_bad_table_are_refused(cells):
    row = '[[cells]]\ntype = "SK-BR-3"\n'
    box = '[[scaffold]]\nshape = "box"\nmaterial = "PCL"\nlow = ["0 um", "0 um", "50 um"]\n'
    box += 'high = ["120 um", "100 um", "80 um"]\n'
    with pytest.raises(StudyError, match="1 of 3 cells lie inside the solid: label 5 at x, y, z = 101, 81, 61 um"):
        load(cells, row + IMAGE % "" + box)
    with pytest.raises(StudyError, match=r"exactly one of count.*image is needed; got count and image"):
        load(cells, row + "count = 3\n" + IMAGE % "")
    with pytest.raises(StudyError, match=r"'type' and 'image\.types' are both given"):
        load(cells, row + IMAGE % ', types = { "1-" = "SK-BR-3" }')
    for text, words in (
        ("label,kind\n1,SK-BR-3\n", "no column type"),
        ("label,type\n1,\n", "line 2: got label '1' and type ''"),
        ("label,type\none,SK-BR-3\n", "line 2"),
        ("label,type\n1,SK-BR-3\n1,MDA-MB-468\n", "a label has one type"),
    ):
        (cells / "bad.csv").write_text(text)
        with pytest.raises(StudyError, match=words):
            load(cells, "[[cells]]\n" + IMAGE % ', types = { file = "bad.csv" }')
    np.save(cells / "cells.npy", np.zeros((40, 50, 60), np.uint8))
    with pytest.raises(StudyError, match="has no labels but 0"):
        load(cells, row + IMAGE % "")
    np.save(cells / "cells.npy", np.full((40, 50, 60), -1, np.int16))
    with pytest.raises(StudyError, match="has label -1"):
        load(cells, row + IMAGE % "")
    np.save(cells / "cells.npy", np.full((40, 50, 60), 0.5))
    with pytest.raises(StudyError, match="which are no labels"):
        load(cells, row + IMAGE % "")


def test_a_file_name_alone_is_an_image_that_says_its_spacing(cells):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(cells / "cells.tif", segmented(), imagej=True, resolution=(0.5, 0.5),
                     metadata={"spacing": 2.0, "unit": "um", "axes": "ZYX"})  # fmt: skip
    study = load(cells, '[[cells]]\ntype = "SK-BR-3"\nimage = "cells.tif"\n')
    assert study.cells.n_cells == 3
    np.testing.assert_allclose(sorted(volumes_of(study)), [8, 24, 480], rtol=1e-9)


def test_every_key_of_an_image_is_known_to_the_shape():
    assert {"file", "labels", "threshold", "invert", "surface", "channel", "time", "series", "spacing", "at", "centre",
            "outside"} <= set(ImageTable.model_fields)  # fmt: skip

"""Every shape from a study file: what it becomes, that the effective study says the same, and what is refused."""

import numpy as np
import pytest

from payloadfield.errors import StudyError
from payloadfield.geometry import MinimalSurface, Moved, Repeated, Rotated, Woodpile, make_geometry, make_grid
from payloadfield.study import load_study

STUDY = """
duration = "2 h"
[grid]
size = ["120 um", "100 um", "80 um"]
voxel = "10 um"
[boundary]
z_high = "bath"
[[schedule]]
at = "0 h"
dose = { "T-DXd" = "50 nM" }
[[scaffold]]
material = "PCL"
"""

SHAPES = {
    "gyroid": 'shape = "gyroid"\ncell = "60 um"\nporosity = 0.7',
    "diamond": 'shape = "diamond"\ncell = "60 um"\nkind = "skeletal"\nporosity = 0.6\n'
    'offset = ["1 um", "2 um", "3 um"]',
    "schwarz_p": 'shape = "schwarz_p"\ncell = "60 um"\nthickness = "12 um"',
    "strands": 'shape = "woodpile"\nstrand_diameter = "30 um"\nstrand_spacing = "50 um"\noverlap = 0.2\n'
    'angles = ["0 deg", "60 deg"]\nlayer_offsets = ["0 um", "25 um"]\nflattening = 0.8\n'
    'lumen_diameter = "12 um"',
    "droplets": 'shape = "droplets"\ncentres = [["10 um", "20 um", "30 um"], ["50 um", "60 um", "70 um"]]\n'
    'radius = "15 um"',
    "radii": 'shape = "droplets"\ncentres = [["10 um", "20 um", "30 um"], ["50 um", "60 um", "70 um"]]\n'
    'radii = ["15 um", "0.02 mm"]',
    "well": 'shape = "well"\ncentre = ["60 um", "50 um"]\ndiameter = "95 um"\nfloor = "10 um"\n'
    'insert_diameter = "50 um"\ninsert_wall = "10 um"\ninsert_gap = "20 um"',
    "turned": 'shape = "box"\nlow = ["10 um", "20 um", "30 um"]\nhigh = ["50 um", "40 um", "60 um"]\n'
    'rotate = ["10 deg", "20 deg", "30 deg"]\nrotate_about = ["30 um", "30 um", "45 um"]\n'
    'translate = ["5 um", "-5 um", "0 um"]\n'
    'repeat = { count = [2, 1, 1], step = ["50 um", "0 um", "0 um"] }',
    "combined": 'shape = "difference"\n[[scaffold.parts]]\nshape = "box"\nlow = ["10 um", "20 um", "30 um"]\n'
    'high = ["90 um", "80 um", "60 um"]\n[[scaffold.parts]]\nshape = "union"\n'
    '[[scaffold.parts.parts]]\nshape = "sphere"\ncentre = ["50 um", "50 um", "45 um"]\nradius = "20 um"\n'
    '[[scaffold.parts.parts]]\nshape = "gyroid"\ncell = "50 um"\nporosity = 0.8',
}


def load(tmp_path, shape):
    path = tmp_path / "study.toml"
    path.write_text(STUDY + shape + "\n")
    return load_study(path)


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_of_a_study_cuts_the_grid_and_survives_in_the_effective_study(name, tmp_path):
    study = load(tmp_path, SHAPES[name])
    assert 0.05 < study.geometry.open_fraction.mean() < 0.99
    assert (study.geometry.wall_area > 0).any()
    again = load_study(study.effective)
    np.testing.assert_array_equal(again.geometry.open_fraction, study.geometry.open_fraction)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("gyroid", MinimalSurface("PCL", "gyroid", 60.0, porosity=0.7)),
        ("diamond", MinimalSurface("PCL", "diamond", 60.0, "skeletal", 0.6, offset=(3.0, 2.0, 1.0))),
        (
            "strands",
            Woodpile(
                "PCL",
                30.0,
                50.0,
                0.8 * 0.8 * 30,
                angles=(0.0, 60.0),
                layer_offsets=(0.0, 25.0),
                flattening=0.8,
                lumen_diameter=12.0,
            ),
        ),
    ],
)
def test_keys_mean_what_the_arguments_of_the_shape_mean(name, shape, tmp_path):
    study = load(tmp_path, SHAPES[name])
    expected = make_geometry(make_grid((80, 100, 120), 10), [shape], study.geometry.materials)
    np.testing.assert_allclose(study.geometry.open_fraction, expected.open_fraction, atol=1e-12)


def test_rotation_comes_before_translation_and_repetition(tmp_path):
    from payloadfield.geometry import Box

    study = load(tmp_path, SHAPES["turned"])
    box = Rotated(Box("PCL", (30, 20, 10), (60, 40, 50)), (10.0, 20.0, 30.0), (45.0, 30.0, 30.0))
    shape = Repeated(Moved(box, (0.0, -5.0, 5.0)), (0.0, 0.0, 50.0), (1, 1, 2))
    expected = make_geometry(make_grid((80, 100, 120), 10), [shape], study.geometry.materials)
    np.testing.assert_allclose(study.geometry.open_fraction, expected.open_fraction, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("gyroid", "0.7", "1.0", "scaffold[0].porosity: got 1; a number above 0 and below 1"),
        ("gyroid", "porosity", "porosty", "scaffold[0].porosty: unknown key; did you mean 'porosity'?"),
        ("gyroid", 'shape = "gyroid"', 'shape = "gyroit"', "did you mean 'gyroid'?"),
        ("gyroid", "porosity = 0.7", "", "exactly one of porosity and thickness"),
        ("gyroid", '"60 um"', "60", "scaffold[0].cell: got 60, a number without a unit"),
        ("diamond", '"skeletal"', '"bone"', "scaffold[0].kind: got 'bone'"),
        ("strands", '"60 deg"', '"60"', "scaffold[0].angles[1]: got '60'; an angle such as '45 deg' is needed"),
        ("strands", "overlap = 0.2", "", "exactly one of layer_height and overlap"),
        ("strands", "overlap = 0.2", 'overlap = 0.2\nlayer_height = "9 um"', "exactly one of layer_height and overlap"),
        ("strands", '"12 um"', '"32 um"', "lumen_diameter: got 32 um"),
        ("radii", 'radii = ["15 um", "0.02 mm"]', 'radii = ["15 um"]\nradius = "15 um"', "exactly one of radius"),
        ("radii", '"0.02 mm"', '"-1 um"', "scaffold[0].radii[1]: got '-1 um'"),
        ("well", 'insert_wall = "10 um"', "", "insert_wall: is missing"),
        ("turned", "count = [2, 1, 1]", "count = [2, 0, 1]", "scaffold[0].repeat.count[1]: got 0"),
        ("turned", "count =", "cuont = 1, count =", "scaffold[0].repeat.cuont: unknown key; did you mean 'count'?"),
        ("turned", '["10 deg", "20 deg", "30 deg"]', '"10 deg"', "scaffold[0].rotate: got '10 deg'; three values"),
        (
            "combined",
            'shape = "sphere"',
            'shape = "sphere"\nmaterial = "PCL"',
            "scaffold[0].parts[1].parts[0].material: a part of a shape has none",
        ),
        (
            "combined",
            'radius = "20 um"',
            'radius = "20 um"\nradus = 1',
            "scaffold[0].parts[1].parts[0].radus: unknown key; did you mean 'radius'?",
        ),
        ("combined", 'radius = "20 um"', "", "scaffold[0].parts[1].parts[0].radius: is missing"),
        ("combined", 'shape = "sphere"', 'shape = "shpere"', "unknown shape 'shpere'; did you mean 'sphere'?"),
    ],
)
def test_wrong_shapes_are_refused_with_their_key(name, old, new, message, tmp_path):
    assert old in SHAPES[name]
    with pytest.raises(StudyError) as refused:
        load(tmp_path, SHAPES[name].replace(old, new, 1))
    assert message in str(refused.value)


def test_a_shape_without_material_is_refused(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text((STUDY + SHAPES["gyroid"]).replace('material = "PCL"', ""))
    with pytest.raises(StudyError, match=r"scaffold\[0\]\.material: is missing"):
        load_study(path)

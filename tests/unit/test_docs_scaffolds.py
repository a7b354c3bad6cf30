"""The page on scaffolds: its examples load, and it names every shape and every key."""

import re
import runpy
import shutil
from pathlib import Path

import pytest

from payloadfield.study import load_study
from payloadfield.study.scaffold_tables import SHAPES, ShapeTable

PAGE = (Path(__file__).parents[2] / "docs" / "scaffolds.md").read_text()
EXAMPLE_PRINT = Path(__file__).parents[2] / "examples" / "printed_woodpile" / "woodpile.gcode"
EXAMPLE_STACKS = Path(__file__).parents[2] / "examples" / "imaged_scaffold" / "make_stacks.py"
AROUND = """
duration = "1 h"
[grid]
size = ["120 um", "120 um", "60 um"]
voxel = "5 um"
[boundary]
z_high = "bath"
[[schedule]]
at = "0 h"
dose = { "T-DXd" = "50 nM" }
"""
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_on_scaffolds_load(example, tmp_path):
    path = tmp_path / "study.toml"
    around = AROUND
    if 'shape = "gcode"' in example:  # a print of 3.2 mm, looked at more coarsely
        shutil.copy(EXAMPLE_PRINT, tmp_path)
        around = AROUND.replace('"120 um"', '"3.2 mm"').replace('"60 um"', '"1.2 mm"').replace('"5 um"', '"0.1 mm"')
    if 'shape = "image"' in example:
        runpy.run_path(str(EXAMPLE_STACKS))["main"](tmp_path)
    path.write_text(around + example)
    assert 0.1 < load_study(path).geometry.open_fraction.mean() < 0.9


def test_the_page_names_every_shape_and_every_key():
    assert EXAMPLES
    named = set(re.findall(r"`([a-z_]+)(?: =[^`]*)?`", PAGE))
    keys = {key for model in SHAPES.values() for key in model.model_fields} | set(ShapeTable.model_fields)
    assert set(SHAPES) | keys - {"shape", "material"} <= named

"""The page on cells: its examples load, place cells, and it names every key."""

import re
from pathlib import Path

import numpy as np
import pytest

from payloadfield.study import load_study
from payloadfield.study.cells_table import CellsTable

PAGE = (Path(__file__).parents[2] / "docs" / "cells.md").read_text(encoding="utf-8")
AROUND = """
duration = "1 h"
[grid]
size = ["300 um", "300 um", "200 um"]
voxel = "10 um"
[boundary]
z_high = "bath"
[[scaffold]]
shape = "box"
material = "GelMA"
low = ["0 um", "0 um", "0 um"]
high = ["300 um", "300 um", "110 um"]
[[scaffold]]
shape = "cylinder"
material = "PCL"
axis = "x"
centre = ["150 um", "180 um", "150 um"]
radius = "30 um"
[[schedule]]
at = "0 h"
dose = { "T-DXd" = "50 nM" }
"""
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def write_files(folder):
    (folder / "cells.csv").write_text("x_um,y_um,z_um,type\n10,20,30,SK-BR-3\n40,50,60,MCF-7\n")
    anndata = pytest.importorskip("anndata") if (folder / "h5ad").exists() else None
    if anndata is not None:
        data = anndata.AnnData(X=np.zeros((2, 1)))
        data.obs["x"], data.obs["y"], data.obs["cell_type"] = [0.01, 0.02], [0.1, 0.2], ["SK-BR-3", "MCF-7"]
        data.write_h5ad(folder / "cells.h5ad")


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_on_cells_load_and_place_cells(example, tmp_path):
    if "h5ad" in example:
        (tmp_path / "h5ad").touch()
    write_files(tmp_path)
    (tmp_path / "study.toml").write_text(AROUND + example)
    study = load_study(tmp_path / "study.toml")
    assert study.cells.n_cells >= (2 if "file" in example else 30)
    if "h5ad" in example:
        return
    again = load_study(study.effective)
    np.testing.assert_array_equal(again.cells.position, study.cells.position)
    np.testing.assert_array_equal(again.cells.type_index, study.cells.type_index)


def test_the_page_names_every_key():
    named = set(re.findall(r"`([a-z_]+)(?: = [^`]*)?`", PAGE)) | set(re.findall(r"^([a-z_]+) = ", PAGE, re.MULTILINE))
    assert set(CellsTable.model_fields) - {"variation"} <= named

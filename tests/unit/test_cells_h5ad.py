"""Cells from AnnData files: read with the unit asked for, refused in our words where something is missing."""

import sys

import numpy as np
import pytest

from payloadfield.cells import H5adColumns, h5ad, h5ad_extract, has_anndata, read_cells_h5ad, write_cells_h5ad
from payloadfield.errors import CellsError, StudyError
from payloadfield.study import load_study

anndata = pytest.importorskip("anndata")
UM = H5adColumns(1.0)
in_a_process = h5ad._extracted


def here(path, type_column, columns):
    """The same as in a process of its own, which takes seconds to start."""
    try:
        return h5ad_extract.extract(str(path), type_column, columns)
    except Exception as error:
        raise CellsError(f"{path}: cannot be read as AnnData ({error!r})") from None


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    monkeypatch.setattr(h5ad, "_extracted", here)


def write(path, **parts):
    """A file of three cells; parts replaces obs columns, or obsm["spatial"] under `spatial`."""
    data = anndata.AnnData(X=np.zeros((3, 2)))
    spatial = parts.pop("spatial", np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]))
    if spatial is not None:
        data.obsm["spatial"] = spatial
    for name, values in ({"type": ["a", "b", "a"]} | parts).items():
        if values is not None:
            data.obs[name] = values
    data.write_h5ad(path)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cells.h5ad"


def test_places_and_types_are_read_with_their_unit(path):
    found = read_cells_h5ad(write(path), H5adColumns(1000.0))
    assert list(found) == ["a", "b"]
    np.testing.assert_allclose(found["a"].positions, [[3000, 2000, 1000], [9000, 8000, 7000]])
    assert found["a"].rows.tolist() == [0, 2] and found["b"].source == str(path)


def test_columns_of_obs_a_height_and_another_column_of_types(path):
    write(path, spatial=None, type=None, px=[1, 2, 3], py=[4.0, 5.0, 6.0], kind=["b", "b", "a"])
    found = read_cells_h5ad(path, H5adColumns(10.0, ["px", "py"], 50.0, "kind"))
    np.testing.assert_allclose(found["b"].positions, [[50, 40, 10], [50, 50, 20]])
    only = read_cells_h5ad(path, H5adColumns(10.0, ["px", "py"], 50.0), "SK-BR-3")
    assert list(only) == ["SK-BR-3"] and len(only["SK-BR-3"]) == 3


@pytest.mark.parametrize(
    ("parts", "where", "message"),
    [
        ({"spatial": None}, UM, r'no obsm\["spatial"\]; say under columns which .* are x, y and z; there are: type'),
        ({"spatial": np.ones((3, 2))}, UM, r"holds an array of shape \(3, 2\).*or x and y with the key height"),
        ({}, H5adColumns(1.0, height=5.0), "numbers x, y and z are needed"),
        ({}, H5adColumns(1.0, ["x", "y", "z"]), "obs has no column x, y, z; it has: type"),
        ({"type": None}, UM, "obs has no column 'type' of cell types; name it under type_column"),
        ({}, H5adColumns(1.0, type_column="kind"), "obs has no column 'kind'"),
        ({"type": ["a", None, "b"]}, UM, r"1 of 3 cells without a type in obs\[type\]: row 1 \(counted from 0\)"),
        ({"spatial": np.array([[1, 2, 3], [1, np.nan, 3], [np.inf, 2, 3.0]])}, UM, "2 of 3 cells without a finite"),
        ({"x": ["p", "q", "r"], "y": [1, 2, 3], "z": [1, 2, 3]}, H5adColumns(1.0, ["x", "y", "z"]), "holds an array"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(path, parts, where, message):
    with pytest.raises(CellsError, match=message):
        read_cells_h5ad(write(path, **parts), where)


def test_files_that_are_none_are_refused(path, monkeypatch):
    with pytest.raises(CellsError, match="there is no such file"):
        read_cells_h5ad(path, UM)
    path.write_bytes(b"x_um,y_um")
    monkeypatch.setattr(h5ad, "has_anndata", lambda: False)
    with pytest.raises(CellsError, match=r"anndata is not installed; `pip install 'payloadfield\[anndata\]'`"):
        read_cells_h5ad(path, UM)
    monkeypatch.setitem(sys.modules, "anndata", None)
    assert not has_anndata()


def test_a_process_of_its_own_finds_the_same(path, monkeypatch):
    write(path, px=[1, 2, 3], py=[4.0, 5.0, 6.0])
    where = H5adColumns(2.0, ["px", "py"], 50.0)
    expected = read_cells_h5ad(path, where)
    monkeypatch.setattr(h5ad, "_extracted", in_a_process)
    found = read_cells_h5ad(path, where)
    assert list(found) == list(expected)
    np.testing.assert_array_equal(found["a"].positions, expected["a"].positions)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    with pytest.raises(CellsError, match=r"cannot be read as AnnData \(\w+: "):
        read_cells_h5ad(path, UM)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "the HDF5 library fails on it"),
        ("import sys\nsys.exit(3)", "no reason given"),
        ("import time\ntime.sleep(60)", "takes longer than 0.2 s"),
    ],
)
def test_a_crash_of_the_hdf5_library_is_a_refusal(path, tmp_path, monkeypatch, program, message):
    (tmp_path / "program.py").write_text(program)
    monkeypatch.setattr(h5ad_extract, "__file__", str(tmp_path / "program.py"))
    monkeypatch.setattr(h5ad, "_extracted", in_a_process)
    if "longer" in message:
        monkeypatch.setattr(h5ad, "LONGEST", 0.2)
    with pytest.raises(CellsError, match=message):
        read_cells_h5ad(write(path), UM)


@pytest.mark.validate
def test_damaged_files_are_refused_and_never_crash(path, monkeypatch):
    monkeypatch.setattr(h5ad, "_extracted", in_a_process)
    intact, rng = write(path).read_bytes(), np.random.default_rng(0)
    n_refused = 0
    for _ in range(8):
        content = bytearray(intact)
        for place in rng.integers(0, len(content), rng.integers(1, 30)):
            content[place] = rng.integers(0, 256)
        path.write_bytes(content[: rng.integers(len(content) // 2, 2 * len(content))])
        try:
            read_cells_h5ad(path, UM)
        except CellsError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)
            n_refused += 1
    assert n_refused > 1


def test_what_is_exported_is_read_back(path):
    position = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    columns = {"dose": (np.array([1.0, 2.0]), "nM")}
    write_cells_h5ad(path, columns, ["a", "b"], position, np.array([0.0]), {"dose": np.array([[1.0], [2.0]])})
    np.testing.assert_array_equal(read_cells_h5ad(path, UM)["b"].positions, [[6, 5, 4]])


AROUND = {
    "duration": "1 h",
    "grid": {"size": ["60 um"] * 3, "voxel": "20 um"},
    "boundary": {"z_high": "bath"},
    "schedule": [{"at": "0 h", "dose": {"T-DXd": "1 nM"}}],
}


def test_a_study_reads_cells_of_an_anndata_file(path):
    write(path, type=["SK-BR-3", "MCF-7", "SK-BR-3"])
    row = {"file": str(path), "unit": "um"}
    study = load_study({**AROUND, "cells": [row]})
    assert study.cells.type_names == ("SK-BR-3", "MCF-7") and study.cells.n_cells == 3
    assert load_study({**AROUND, "cells": [{**row, "type": "SK-BR-3"}]}).cells.n_cells == 2
    with pytest.raises(StudyError, match=r"cells\[0\].unit: is missing; an .h5ad file does not say"):
        load_study({**AROUND, "cells": [{"file": str(path)}]})
    with pytest.raises(StudyError, match="2 of 2 cells lie outside the grid"):
        load_study({**AROUND, "cells": [{**row, "unit": "mm"}]})
    with pytest.raises(StudyError, match=r"belongs to a file of cells in AnnData format \(.h5ad\)"):
        load_study({**AROUND, "cells": [{"file": "cells.csv", "unit": "um"}]})

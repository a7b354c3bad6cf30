from __future__ import annotations

import csv
import tomllib

import h5py
import numpy as np
import pytest

from payloadfield.errors import RunError
from payloadfield.store.export import export_run
from payloadfield.store.reader import open_run
from payloadfield.toml_text import dump_toml


def test_csv_has_units_in_its_header_and_every_digit(finished, tmp_path):
    run = open_run(finished)
    made = export_run(run, "csv", tmp_path / "tables")
    assert sorted(path.name for path in made) == ["cells.csv", "ledger.csv", "series.csv"]
    with (tmp_path / "tables/cells.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["payload_exposure [nM*s]"]) for row in rows] == run.cells["payload_exposure"].tolist()
    with (tmp_path / "tables/series.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 7 * 4


def test_npz_and_hdf5_hold_the_same_fields(finished, tmp_path):
    run = open_run(finished)
    export_run(run, "npz", tmp_path / "run.npz")
    export_run(run, "hdf5", tmp_path / "run.h5")
    with np.load(tmp_path / "run.npz") as arrays, h5py.File(tmp_path / "run.h5") as file:
        assert np.array_equal(arrays["field/adc"], file["fields/adc"][()], equal_nan=True)
        assert np.array_equal(arrays["field/adc"][3], run.field("adc", 3), equal_nan=True)
        assert file["fields/adc"].attrs["units"] == "nM"
        assert "a fake study" in file.attrs["study"]


def test_h5ad_without_anndata_says_what_to_do(finished, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "anndata", None)
    with pytest.raises(RunError, match=r"anndata is not installed.*--to hdf5"):
        export_run(open_run(finished), "h5ad", tmp_path / "run.h5ad")


def test_exports_never_overwrite(finished, tmp_path):
    (tmp_path / "run.npz").write_text("precious")
    with pytest.raises(RunError, match="exists already"):
        export_run(open_run(finished), "npz", tmp_path / "run.npz")
    assert (tmp_path / "run.npz").read_text() == "precious"


def test_toml_text_reads_back_as_the_same_table():
    table = {
        "title": 'quotes " and \\ and µ',
        "number": 1 / 3,
        "big": 1e300,
        "endless": float("inf"),
        "flag": True,
        "list": [1, 2.5, "a"],
        "nested": [["10 um", "20 um"]],
        "bath": {"volume": "infinite", "inner": {"a b": 1}},
        "cells": [{"type": "x", "set": {"k": 1.0}}, {"type": "y"}],
        "empty": [],
    }
    assert tomllib.loads(dump_toml(table)) == table

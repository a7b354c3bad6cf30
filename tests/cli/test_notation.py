"""NOTATION.md against the code: its study keys, Python names, and the HDF5 names and units that a run really has."""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache
from pathlib import Path

import h5py
import pytest

import payloadfield.geometry
import payloadfield.solver
import payloadfield.study
from payloadfield.library import unit_of
from payloadfield.mechanism import load_mechanism
from payloadfield.store import layout
from payloadfield.study.schema import TABLES
from payloadfield.units import dimension

PAGE = (Path(__file__).parents[2] / "NOTATION.md").read_text(encoding="utf-8")
IDENTITY = {"cell", "type", "x_um", "y_um", "z_um", "radius_um", "surface_distance_um"}


def rows(table: str) -> list[dict[str, str]]:
    """Rows of one table between its markers, as column -> text without backticks."""
    text = re.search(rf"<!-- notation:{table} -->\n(.*?)<!-- /notation -->", PAGE, re.S)[1]
    lines = [
        [cell.strip().strip("`") for cell in line.strip("| \n").split(" | ")] for line in text.strip().splitlines()
    ]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


ROWS = [(table, row) for table in ("study", "geometry", "adc", "results") for row in rows(table)]


@cache
def modules():
    """Every module of the floors whose names the first two tables use."""
    packages = (payloadfield.study, payloadfield.geometry, payloadfield.solver)
    names = [item.name for each in packages for item in pkgutil.walk_packages(each.__path__, f"{each.__name__}.")]
    return [importlib.import_module(name) for name in names]


@pytest.mark.parametrize("row", rows("study") + rows("geometry") + rows("results"), ids=lambda row: row["quantity"])
def test_study_keys_and_python_names_exist(row):
    key = row["study key"]
    if key.startswith("materials.NAME."):
        assert unit_of("material", key.removeprefix("materials.NAME.") + ".default")
    elif key != "-":
        head, _, name = key.rpartition(".")
        models = [model for place, model in TABLES.items() if place[:1] == ((head,) if head else ())]
        assert any(name in {item.alias or each for each, item in model.model_fields.items()} for model in models), key
    owner, _, attribute = row["Python"].partition(".")
    found = [vars(module)[owner] for module in modules() if owner in vars(module)]
    assert found, owner
    assert not attribute or attribute in {*getattr(found[0], "__dataclass_fields__", ()), *vars(found[0])}


def test_names_and_units_of_the_mechanism_are_those_of_its_file():
    adc = load_mechanism("adc")
    units = {item.name: item.unit for item in (*adc.parameters, *adc.states)} | dict.fromkeys(adc.field_names, "nM")
    sources = {item.name: item.source for item in adc.parameters}
    for row in rows("adc"):
        name = row["name in the mechanism"]
        wanted = units["kcat_over_km"] if row["unit"] == "kcat/K_M" else row["unit"]
        assert dimension(wanted) == dimension(units[name]), name
        assert (sources.get(name) or "-") == row["source (study key)"], name


def test_names_and_units_of_the_modules_are_those_of_their_files():
    on = {row["module"]: True for row in rows("modules")}
    adc = load_mechanism("adc", on | {"protein_binding": "explicit", "extracellular_cleavage": "saturated"})
    found = {item.name: (item.unit, item.source, ("parameters",)) for item in adc.parameters}
    slots = ("states", "exposures", "fates", "transitions")
    found |= {item.name: (item.unit, None, slots) for item in adc.states}
    found |= {name: ("nM", None, ("fields",)) for name in adc.field_names}
    for row in rows("modules"):
        for name in row["name in the mechanism"].split("`, `"):
            unit, source, places = found[name]
            assert dimension(unit) == dimension(row["unit"]) and (source or "-") == row["source (study key)"], name
            assert row["module"] in [adc.origin.get((place, name)) for place in places], name


@pytest.fixture(scope="module")
def stored(shared_run):
    """Path inside its file -> unit, of every dataset of the geometry, a snapshot and the cells."""
    found = {}
    for name in (layout.GEOMETRY, layout.snapshot_name(1), layout.EXPOSURE):
        with h5py.File(shared_run / name) as file:
            found |= {f"VTKHDF/CellData/{key}": item.attrs["units"] for key, item in images(file).items()}
            if name == layout.EXPOSURE:
                found |= {f"cells/{key}": item.attrs["units"] for key, item in file["cells"].items()}
    return found


def images(file):
    return file["VTKHDF/CellData"] if "VTKHDF" in file else {}


def test_hdf5_names_are_written_with_the_unit_of_the_table(stored):
    named = {row["HDF5"]: row["unit"] for _, row in ROWS if row["HDF5"] != "-"}
    assert {path: dimension(stored[path]) for path in named} == {path: dimension(unit) for path, unit in named.items()}


def test_everything_written_is_in_the_tables(stored):
    named = {row["HDF5"] for _, row in ROWS} | {f"cells/{name}" for name in IDENTITY}
    assert set(stored) - named == set()
    assert all(f"`cells/{name}`" in PAGE for name in IDENTITY)

"""Cells in AnnData files (.h5ad): read as a list of cells, and written with what was computed for them."""

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from payloadfield.cells import h5ad_extract
from payloadfield.cells.h5ad_extract import SPATIAL
from payloadfield.cells.listed import ListedCells
from payloadfield.errors import CellsError
from payloadfield.geometry import FloatArray

# Column of types of a file that says nothing else.
TYPE = "type"
# Longest time that reading a file may take [s].
LONGEST = 600
_SHOWN = 12


@dataclass(frozen=True)
class H5adColumns:
    """Where an AnnData file keeps what a list of cells needs.

    scale: what a length of 1 in it is [um]
    columns: of obs, those of x, y and z; obsm["spatial"] where nothing is said
    height: z of all cells, where there are x and y alone [um]
    type_column: of obs; "type" where nothing is said
    """

    scale: float
    columns: Sequence[str] | None = None
    height: float | None = None
    type_column: str | None = None


def has_anndata() -> bool:
    """Whether the package anndata is installed."""
    return importlib.util.find_spec("anndata") is not None


def read_cells_h5ad(path: str | Path, where: H5adColumns, only_type: str | None = None) -> dict[str, ListedCells]:
    """Cells by type from an AnnData file.

    only_type: type of all cells, where the file has no column of types and none is asked for
    Raises CellsError for a missing package, file or column, and for cells without a place or a type, with their rows.
    """
    path = Path(path)
    if not path.is_file():
        raise CellsError(f"{path}: there is no such file; cells in AnnData format are needed")
    if not has_anndata():
        raise CellsError(
            f"{path}: the package anndata is not installed; `pip install 'payloadfield[anndata]'`, or use a CSV file "
            "of cells"
        )
    found = _extracted(path, where.type_column or TYPE, where.columns or ())
    if found["n_cells"] == 0:
        raise CellsError(f"{path}: no cells; one row of obs per cell is needed")
    position, types = _positions(path, found, where), _types(path, found, where, only_type)
    rows = np.arange(len(position))
    return {
        str(name): ListedCells(position[types == name], rows[types == name], str(path))
        for name in dict.fromkeys(types.tolist())
    }


def _extracted(path: Path, type_column: str, columns: Sequence[str]) -> Mapping[str, Any]:
    """What h5ad_extract.extract finds, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "cells.npz"
        program = [sys.executable, "-P", h5ad_extract.__file__, str(path), type_column, str(result), *columns]
        try:
            done = subprocess.run(program, capture_output=True, timeout=LONGEST, check=False)
        except subprocess.TimeoutExpired:
            raise CellsError(f"{path}: reading it takes longer than {LONGEST} s; is it damaged?") from None
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            why = "the HDF5 library fails on it" if done.returncode < 0 else said[-1] if said else "no reason given"
            raise CellsError(f"{path}: cannot be read as AnnData ({why})")
        with np.load(result) as arrays:
            return {name: arrays[name] for name in arrays.files}


def _positions(path: Path, found: Mapping[str, Any], where: H5adColumns) -> FloatArray:
    """Centres, (n, 3) z, y, x [um]."""
    said = f'obsm["{SPATIAL}"]'
    if where.columns is not None:
        missing = [name for name in where.columns if name not in found["names"]]
        if missing:
            raise CellsError(f"{path}: obs has no column {', '.join(missing)}; it has: {_names(found)}")
        said = f"obs[{', '.join(where.columns)}]"
    if "spatial" not in found:
        raise CellsError(
            f"{path}: no {said}; say under columns which columns of obs are x, y and z; there are: {_names(found)}"
        )
    spatial, needed = found["spatial"], 2 if where.height is not None else 3
    if spatial.ndim != 2 or spatial.shape != (found["n_cells"], needed) or spatial.dtype.kind not in "iuf":
        raise CellsError(
            f"{path}: {said} holds an array of shape {spatial.shape} and type {spatial.dtype}; numbers x, y and z are "
            "needed, or x and y with the key height"
        )
    position = spatial.astype(np.float64) * where.scale
    if where.height is not None:
        position = np.column_stack([position, np.full(len(position), where.height)])
    _refuse_rows(path, ~np.isfinite(position).all(axis=1), f"without a finite place in {said}")
    return np.ascontiguousarray(position[:, ::-1])


def _types(path: Path, found: Mapping[str, Any], where: H5adColumns, only_type: str | None) -> Any:
    """Name of the type of each cell, (n,)."""
    column = where.type_column or TYPE
    if "types" not in found:
        if where.type_column is None and only_type is not None:
            return np.full(int(found["n_cells"]), only_type)
        raise CellsError(
            f"{path}: obs has no column {column!r} of cell types; name it under type_column, or give type for all "
            f"cells; there are: {_names(found)}"
        )
    _refuse_rows(path, ~found["has_type"] | (found["types"] == ""), f"without a type in obs[{column}]")
    return found["types"]


def _refuse_rows(path: Path, wrong: Any, what: str) -> None:
    if wrong.any():
        rows = ", ".join(str(row) for row in np.flatnonzero(wrong)[:3])
        raise CellsError(f"{path}: {int(wrong.sum()):,} of {len(wrong):,} cells {what}: row {rows} (counted from 0)")


def _names(found: Mapping[str, Any]) -> str:
    names = found["names"].tolist()
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "") or "none"


def write_cells_h5ad(
    path: Path,
    columns: Mapping[str, tuple[FloatArray, str]],
    types: Sequence[str],
    position: FloatArray,
    times: FloatArray,
    series: Mapping[str, FloatArray],
) -> None:
    """Write cells with a column of X for each number; the package anndata has to be there.

    columns: (n,) and unit by name; position: (n, 3) x, y, z [um]; times: (n_time,) [s]; series: (n, n_time) by name
    """
    anndata: Any = importlib.import_module("anndata")
    data = anndata.AnnData(X=np.stack([values for values, _ in columns.values()], axis=1))
    data.var_names = list(columns)
    data.var["unit"] = [unit for _, unit in columns.values()]
    data.obs_names = [str(index) for index in range(len(position))]
    data.obs[TYPE] = types
    data.obsm[SPATIAL] = position
    data.uns["times_s"] = times
    for name, values in series.items():
        data.obsm[f"series_{name}"] = values
    data.write_h5ad(path)

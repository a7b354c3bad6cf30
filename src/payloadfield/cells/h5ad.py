"""Cells in AnnData files (.h5ad): read as a list of cells, and written with what was computed for them."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from payloadfield.cells.listed import ListedCells
from payloadfield.errors import CellsError
from payloadfield.geometry import FloatArray

# Columns of a file that says nothing else.
SPATIAL, TYPE = "spatial", "type"
# What AnnData raises for files that it cannot read.
_UNREADABLE = (OSError, KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError, AssertionError)
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


def import_anndata() -> Any:
    """The package anndata, or None where it is not installed."""
    try:
        return importlib.import_module("anndata")
    except ImportError:
        return None


def _registry_error() -> type[BaseException]:
    """What AnnData raises for an element of unknown kind; it is no public name of every version."""
    try:
        error: type[BaseException] = importlib.import_module("anndata._io.specs.registry").IORegistryError
    except (ImportError, AttributeError):
        return OSError
    return error


def read_cells_h5ad(path: str | Path, where: H5adColumns, only_type: str | None = None) -> dict[str, ListedCells]:
    """Cells by type from an AnnData file; its matrix X is not read.

    only_type: type of all cells, where the file has no column of types and none is asked for
    Raises CellsError for a missing package, file or column, and for cells without a place or a type, with their rows.
    """
    path = Path(path)
    if not path.is_file():
        raise CellsError(f"{path}: there is no such file; cells in AnnData format are needed")
    anndata = import_anndata()
    if anndata is None:
        raise CellsError(
            f"{path}: the package anndata is not installed; `pip install 'payloadfield[anndata]'`, or use "
            "a CSV file of cells"
        )
    try:
        data = anndata.read_h5ad(path, backed="r")
        obs, spatial = data.obs, np.asarray(data.obsm[SPATIAL]) if SPATIAL in data.obsm else None
        data.file.close()
    except (*_UNREADABLE, _registry_error()) as error:
        raise CellsError(
            f"{path}: cannot be read as AnnData ({str(error).splitlines()[0] if str(error) else error!r})"
        ) from None
    position = _positions(path, obs, spatial, where)
    types = _types(path, obs, where, only_type)
    rows = np.arange(len(position))
    if len(rows) == 0:
        raise CellsError(f"{path}: no cells; one row of obs per cell is needed")
    return {
        str(name): ListedCells(position[types == name], rows[types == name], str(path)) for name in dict.fromkeys(types)
    }


def _positions(path: Path, obs: Any, spatial: Any, where: H5adColumns) -> FloatArray:
    """Centres, (n, 3) z, y, x [um]."""
    if where.columns is not None:
        missing = [name for name in where.columns if name not in obs]
        if missing:
            raise CellsError(f"{path}: obs has no column {', '.join(missing)}; it has: {_names(obs)}")
        said = f"obs[{', '.join(where.columns)}]"
        spatial = np.stack([np.asarray(obs[name]) for name in where.columns], axis=1)
    else:
        said = f'obsm["{SPATIAL}"]'
        if spatial is None:
            raise CellsError(
                f"{path}: no {said}; say under columns which columns of obs are x, y and z; there are: {_names(obs)}"
            )
    needed = 2 if where.height is not None else 3
    if spatial.ndim != 2 or spatial.shape[1] != needed or spatial.dtype.kind not in "iuf":
        raise CellsError(
            f"{path}: {said} holds an array of shape {spatial.shape} and type {spatial.dtype}; numbers x, y and z are "
            "needed, or x and y with the key height"
        )
    position = spatial.astype(np.float64) * where.scale
    if where.height is not None:
        position = np.column_stack([position, np.full(len(position), where.height)])
    _refuse_rows(path, ~np.isfinite(position).all(axis=1), f"without a finite place in {said}")
    return np.ascontiguousarray(position[:, ::-1])


def _types(path: Path, obs: Any, where: H5adColumns, only_type: str | None) -> Any:
    """Name of the type of each cell, (n,)."""
    column = where.type_column or TYPE
    if column not in obs:
        if where.type_column is None and only_type is not None:
            return np.full(len(obs), only_type, dtype=object)
        raise CellsError(
            f"{path}: obs has no column {column!r} of cell types; name it under type_column, or give type for all "
            f"cells; there are: {_names(obs)}"
        )
    known = ~np.asarray(obs[column].isna())
    types = np.array([str(name).strip() for name in obs[column]], dtype=object)
    _refuse_rows(path, ~known | (types == ""), f"without a type in obs[{column}]")
    return types


def _refuse_rows(path: Path, wrong: Any, what: str) -> None:
    if wrong.any():
        rows = ", ".join(str(row) for row in np.flatnonzero(wrong)[:3])
        raise CellsError(f"{path}: {int(wrong.sum()):,} of {len(wrong):,} cells {what}: row {rows} (counted from 0)")


def _names(obs: Any) -> str:
    names = [str(name) for name in obs.columns]
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
    data = import_anndata().AnnData(X=np.stack([values for values, _ in columns.values()], axis=1))
    data.var_names = list(columns)
    data.var["unit"] = [unit for _, unit in columns.values()]
    data.obs_names = [str(index) for index in range(len(position))]
    data.obs[TYPE] = types
    data.obsm[SPATIAL] = position
    data.uns["times_s"] = times
    for name, values in series.items():
        data.obsm[f"series_{name}"] = values
    data.write_h5ad(path)

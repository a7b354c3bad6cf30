"""Run directories in other formats: CSV tables, one NumPy archive, one HDF5 file, AnnData."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from payloadfield.cells import has_anndata, write_cells_h5ad
from payloadfield.errors import RunError
from payloadfield.store.files import refusing_bad_disk, write_atomically
from payloadfield.store.hdf5 import memory_file, put
from payloadfield.store.reader import Run
from payloadfield.store.snapshot import FIELD_UNIT, ledger_unit
from payloadfield.store.table import Table


def export_run(run: Run, format_name: str, output: str | Path) -> list[Path]:
    """Write `run` as csv (a folder), npz, hdf5 or h5ad, and return the files made.

    Raises RunError where `output` exists, the format is unknown, or h5ad is asked for without anndata.
    """
    if format_name not in FORMATS:
        raise RunError(f"export --to: got {format_name!r}; allowed are {', '.join(FORMATS)}")
    path = Path(output)
    if path.exists():
        raise RunError(f"{path}: exists already; choose another name with -o or remove it")
    with refusing_bad_disk(path, run.size()):
        return FORMATS[format_name](run, path)


def _export_csv(run: Run, folder: Path) -> list[Path]:
    folder.mkdir(parents=True)
    tables = {"cells.csv": run.cells, "series.csv": _series_table(run), "ledger.csv": _ledger_table(run)}
    for name, table in tables.items():
        table.to_csv(folder / name)
    return [folder / name for name in tables]


def _export_npz(run: Run, path: Path) -> list[Path]:
    arrays: dict[str, np.ndarray] = {"times_s": run.times}
    arrays |= {f"field/{name}": _all_times(run, name) for name in run.field_names}
    arrays |= {f"cells/{name}": column for name, column in run.cells.items()}
    arrays |= {f"series/{name}": values for name, values in run.series.cells.items()}
    arrays |= {f"bath/{name}": values for name, values in run.series.bath.items()}
    arrays |= {f"counts/{name}": values for name, values in run.series.counts.items()}
    for moiety, columns in run.series.ledger.items():
        arrays |= {f"ledger/{moiety}/{name}": values for name, values in columns.items()}
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return [path]


def _export_hdf5(run: Run, path: Path) -> list[Path]:
    with memory_file() as (file, image):
        file.attrs["study"] = (run.directory / "study.toml").read_text(encoding="utf-8")
        file.attrs["manifest"] = (run.directory / "manifest.json").read_text(encoding="utf-8")
        put(file, "times", run.times, "s")
        for name in run.field_names:
            put(file, f"fields/{name}", _all_times(run, name), FIELD_UNIT)
        for name, column in run.cells.items():
            put(file, f"cells/{name}", column, run.cells.units[name])
        for name, values in run.series.cells.items():
            put(file, f"series/{name}", values, run.series.cell_units[name])
        for name, values in run.series.bath.items():
            put(file, f"bath/{name}", values, FIELD_UNIT)
        for name, values in run.series.counts.items():
            put(file, f"counts/{name}", values, "molecules")
        for moiety, columns in run.series.ledger.items():
            for name, values in columns.items():
                put(file, f"ledger/{moiety}/{name}", values, ledger_unit(name))
    write_atomically(path, image.data)
    return [path]


def _export_h5ad(run: Run, path: Path) -> list[Path]:
    if not has_anndata():
        raise RunError(
            "export --to h5ad: the package anndata is not installed; `pip install 'payloadfield[anndata]'`, or use "
            "--to hdf5 or csv"
        )
    cells = run.cells
    numbers = [name for name in cells if cells[name].dtype.kind == "f" and not name.endswith("_um")]
    write_cells_h5ad(
        path,
        {name: (cells[name], cells.units[name]) for name in numbers},
        cells["type"].tolist(),
        np.stack([cells[name] for name in ("x_um", "y_um", "z_um")], axis=1),
        run.times,
        {name: values.T for name, values in run.series.cells.items()},
    )
    return [path]


FORMATS: dict[str, Callable[[Run, Path], list[Path]]] = {
    "csv": _export_csv,
    "h5ad": _export_h5ad,
    "npz": _export_npz,
    "hdf5": _export_hdf5,
}


def _all_times(run: Run, name: str) -> np.ndarray:
    """One field over all outputs (n_time, nz, ny, nx) [nM]."""
    values = np.empty((len(run.times), *run.frame.shape), dtype=np.float32)
    for index in range(len(run.times)):
        values[index] = run.field(name, index)
    return values


def _series_table(run: Run) -> Table:
    """Time series of the cells in long form: one row a time and cell."""
    n_time, n_cell = len(run.times), run.cells.n_rows
    columns = {"time_s": np.repeat(run.times, n_cell), "cell": np.tile(run.cells["cell"], n_time)}
    columns |= {name: values.reshape(-1) for name, values in run.series.cells.items()}
    return Table(columns, {"time_s": "s", **run.series.cell_units})


def _ledger_table(run: Run) -> Table:
    """The ledger over time in long form: one row a time and moiety."""
    ledger = run.series.ledger
    if not ledger:
        return Table({"time_s": np.zeros(0)}, {"time_s": "s"})
    names = list(next(iter(ledger.values())))
    columns = {
        "time_s": np.tile(run.times, len(ledger)),
        "moiety": np.repeat(np.asarray(list(ledger)), len(run.times)),
    }
    columns |= {name: np.concatenate([item[name] for item in ledger.values()]) for name in names}
    return Table(columns, {name: ledger_unit(name) for name in names} | {"time_s": "s", "moiety": "1"})

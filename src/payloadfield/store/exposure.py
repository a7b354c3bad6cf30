"""exposure.h5: what every cell was exposed to, and the time series of the cells, the bath and the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from payloadfield.store.files import write_atomically
from payloadfield.store.hdf5 import memory_file, opened, put, read_array, text
from payloadfield.store.layout import EXPOSURE, snapshot_indices
from payloadfield.store.snapshot import FIELD_UNIT, Snapshot, ledger_unit, read_snapshot
from payloadfield.store.table import Table


@dataclass(frozen=True)
class CellSeries:
    """Time series at the outputs.

    times (n_time,) [s]; cells: state -> (n_time, n_cell); ledger: moiety -> column -> (n_time,) [molecules];
    bath: field -> (n_time,) [nM]; counts: accumulator -> (n_time,), of the medium and the bath [molecules].
    """

    times: np.ndarray
    cells: Mapping[str, np.ndarray] = field(default_factory=dict)
    cell_units: Mapping[str, str] = field(default_factory=dict)
    ledger: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    bath: Mapping[str, np.ndarray] = field(default_factory=dict)
    counts: Mapping[str, np.ndarray] = field(default_factory=dict)


def gather_series(directory: Path) -> CellSeries:
    """The time series, read from the snapshots that are there."""
    return stack_series([read_snapshot(directory, index, fields=False) for index in snapshot_indices(directory)])


def stack_series(snapshots: Sequence[Snapshot]) -> CellSeries:
    """The time series over snapshots in order of time."""
    if not snapshots:
        return CellSeries(times=np.zeros(0))
    first = snapshots[0]
    return CellSeries(
        times=np.asarray([item.time for item in snapshots]),
        cells={name: np.stack([item.cells[name] for item in snapshots]) for name in first.cells},
        cell_units=first.cell_units,
        ledger={
            moiety: {name: np.asarray([item.ledger[moiety][name] for item in snapshots]) for name in columns}
            for moiety, columns in first.ledger.items()
        },
        bath={name: np.asarray([item.bath[name] for item in snapshots]) for name in first.bath},
        counts={name: np.asarray([item.counts[name] for item in snapshots]) for name in first.counts},
    )


def write_exposure(directory: Path, cells: Table, time: float, series: CellSeries) -> None:
    """Replace exposure.h5 by this table of the cells at `time` [s] and these time series."""
    with memory_file() as (file, image):
        file.attrs["time_s"] = time
        group = file.create_group("cells", track_order=True)
        for name, column in cells.items():
            put(group, name, column, cells.units[name])
        _put_series(file.create_group("series", track_order=True), series)
    write_atomically(directory / EXPOSURE, image.data)


def read_cells(directory: Path) -> Table:
    """The per-cell table of a run."""
    with opened(directory / EXPOSURE) as file:
        columns = {name: read_array(item) for name, item in file["cells"].items()}
        return Table(columns, {name: text(item.attrs["units"]) for name, item in file["cells"].items()})


def read_cells_time(directory: Path) -> float:
    """Model time of the per-cell table [s]."""
    with opened(directory / EXPOSURE) as file:
        return float(file.attrs["time_s"])


def read_series(directory: Path) -> CellSeries:
    """The time series of a run as they stood when exposure.h5 was written."""
    with opened(directory / EXPOSURE) as file:
        group = file["series"]
        return CellSeries(
            times=read_array(group["time"]),
            cells={name: read_array(item) for name, item in group["cells"].items()},
            cell_units={name: text(item.attrs["units"]) for name, item in group["cells"].items()},
            ledger={m: {c: read_array(columns[c]) for c in columns} for m, columns in group["ledger"].items()},
            bath={name: read_array(item) for name, item in group["bath"].items()},
            counts={name: read_array(item) for name, item in group.get("counts", {}).items()},
        )


def _put_series(group: h5py.Group, series: CellSeries) -> None:
    put(group, "time", series.times, "s")
    for name in ("cells", "ledger", "bath", "counts"):
        group.create_group(name, track_order=True)
    for name, values in series.cells.items():
        put(group["cells"], name, values, series.cell_units[name])
    for name, values in series.bath.items():
        put(group["bath"], name, values, FIELD_UNIT)
    for name, values in series.counts.items():
        put(group["counts"], name, values, "molecules")
    for moiety, columns in series.ledger.items():
        ledger = group["ledger"].create_group(moiety, track_order=True)
        for name, values in columns.items():
            put(ledger, name, values, ledger_unit(name))

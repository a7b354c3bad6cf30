"""One snapshot: the fields as VTKHDF image data that ParaView opens, and the per-cell table of the same time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from payloadfield.store.hdf5 import memory_file, opened, put, read_array, text
from payloadfield.store.layout import snapshot_name

FIELD_UNIT = "nM"
VTKHDF_VERSION = (2, 3)


@dataclass(frozen=True)
class Frame:
    """The box that every image of a run covers: shape (nz, ny, nx) and voxel edge [um]."""

    shape: tuple[int, int, int]
    spacing: float


@dataclass(frozen=True)
class Snapshot:
    """What one output time leaves on disk.

    time [s]; fields: (nz, ny, nx) each [nM], NaN in closed voxels; cells: (n_cell,) each, units in cell_units;
    ledger: moiety -> column -> amount [molecules]; bath: (field) concentration [nM]; counts: what reactions in the
    medium and the bath have put into each accumulator so far [molecules].
    """

    index: int
    time: float
    frame: Frame
    fields: Mapping[str, np.ndarray]
    cells: Mapping[str, np.ndarray] = field(default_factory=dict)
    cell_units: Mapping[str, str] = field(default_factory=dict)
    ledger: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    bath: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, float] = field(default_factory=dict)


def snapshot_bytes(snapshot: Snapshot) -> bytes:
    """The file of one snapshot, ready to be written.

    Fields are stored in single precision (relative 6e-8, far below the time error); cells and ledger in double.
    """
    with memory_file() as (file, image):
        root = write_image_header(file, snapshot.frame)
        for name, values in snapshot.fields.items():
            put(root["CellData"], name, np.asarray(values, dtype=np.float32), FIELD_UNIT)
        put(root, "FieldData/time", [snapshot.time], "s")
        put(file, "time", snapshot.time, "s")
        cells = file.create_group("cells", track_order=True)
        for name, values in snapshot.cells.items():
            put(cells, name, values, snapshot.cell_units.get(name, "molecules"))
        _put_scalars(file, snapshot)
    return image.data


def ledger_unit(column: str) -> str:
    """Unit of one column of the ledger."""
    return "1" if column == "relative_defect" else "molecules"


def write_image_header(file: h5py.File, frame: Frame) -> h5py.Group:
    """The VTKHDF group of an image; `WholeExtent` counts points, `Type` is fixed-length ASCII as VTK asks."""
    nz, ny, nx = frame.shape
    root = file.create_group("VTKHDF", track_order=True)
    root.attrs["Version"] = np.asarray(VTKHDF_VERSION, dtype=np.int64)
    root.attrs["Type"] = np.bytes_("ImageData")
    root.attrs["WholeExtent"] = np.asarray([0, nx, 0, ny, 0, nz], dtype=np.int64)
    root.attrs["Origin"] = np.zeros(3)
    root.attrs["Spacing"] = np.full(3, float(frame.spacing))
    root.attrs["Direction"] = np.eye(3).ravel()
    root.create_group("CellData", track_order=True)
    return root


def read_frame(directory: Path, index: int) -> Frame:
    """The box of a run, from one of its snapshots."""
    with opened(directory / snapshot_name(index)) as file:
        x0, x1, y0, y1, z0, z1 = (int(value) for value in file["VTKHDF"].attrs["WholeExtent"])
        return Frame((z1 - z0, y1 - y0, x1 - x0), float(file["VTKHDF"].attrs["Spacing"][0]))


def read_time(directory: Path, index: int) -> float:
    """Model time of one snapshot [s]."""
    with opened(directory / snapshot_name(index)) as file:
        return float(file["time"][()])


def field_names(directory: Path, index: int) -> list[str]:
    """Names of the fields that a snapshot holds."""
    with opened(directory / snapshot_name(index)) as file:
        return list(file["VTKHDF/CellData"])


def read_snapshot(directory: Path, index: int, *, fields: bool = True) -> Snapshot:
    """One snapshot back from disk; without its fields where only tables are wanted."""
    with opened(directory / snapshot_name(index)) as file:
        images = file["VTKHDF/CellData"]
        return Snapshot(
            index=index,
            time=float(file["time"][()]),
            frame=read_frame(directory, index),
            fields={name: read_array(images[name]) for name in images} if fields else {},
            cells={name: read_array(file["cells"][name]) for name in file["cells"]},
            cell_units={name: text(file["cells"][name].attrs["units"]) for name in file["cells"]},
            ledger=_read_ledger(file["ledger"]),
            bath=_read_named(file["bath"], "fields"),
            counts=_read_named(file["counts"], "accumulators") if "counts" in file else {},
        )


def _put_scalars(file: h5py.File, snapshot: Snapshot) -> None:
    """Ledger, bath and counts, each as one small dataset whose rows and columns are named in its attributes."""
    columns = list(next(iter(snapshot.ledger.values()), {}))
    values = [[float(row[name]) for name in columns] for row in snapshot.ledger.values()]
    ledger = put(
        file, "ledger", np.reshape(values, (len(snapshot.ledger), len(columns))), "molecules; relative_defect: 1"
    )
    ledger.attrs["moieties"], ledger.attrs["columns"] = _names(snapshot.ledger), _names(columns)
    bath = put(file, "bath", np.asarray([float(value) for value in snapshot.bath.values()]), FIELD_UNIT)
    bath.attrs["fields"] = _names(snapshot.bath)
    counts = put(file, "counts", np.asarray([float(value) for value in snapshot.counts.values()]), "molecules")
    counts.attrs["accumulators"] = _names(snapshot.counts)


def _names(names: Iterable[str]) -> np.ndarray:
    return np.asarray(list(names), dtype=h5py.string_dtype())


def _read_ledger(table: h5py.Dataset) -> dict[str, dict[str, float]]:
    columns = [text(name) for name in table.attrs["columns"]]
    rows = zip(table.attrs["moieties"], table[()].tolist(), strict=True)
    return {text(moiety): dict(zip(columns, row, strict=True)) for moiety, row in rows}


def _read_named(values: h5py.Dataset, names: str) -> dict[str, float]:
    return {text(name): value for name, value in zip(values.attrs[names], values[()].tolist(), strict=True)}

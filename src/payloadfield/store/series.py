"""series.vtkhdf: virtual datasets over the snapshots, which ParaView and PyVista open as a time series."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from payloadfield.store.files import write_atomically
from payloadfield.store.hdf5 import memory_file, put
from payloadfield.store.layout import SERIES, snapshot_indices, snapshot_name
from payloadfield.store.snapshot import FIELD_UNIT, Frame, field_names, read_frame, read_time, write_image_header


def rebuild_series(directory: str | Path) -> int:
    """Write series.vtkhdf anew from the snapshots that are there, and return how many those are.

    A snapshot that is removed later reads as NaN. Raises RunError for a damaged snapshot.
    """
    directory = Path(directory)
    indices = snapshot_indices(directory)
    if indices:
        times = {index: read_time(directory, index) for index in indices}
        write_series(directory, times, read_frame(directory, indices[0]), field_names(directory, indices[0]))
    return len(indices)


def write_series(directory: Path, times: dict[int, float], frame: Frame, fields: list[str]) -> None:
    """Replace series.vtkhdf by one over the snapshots in `times` (index -> time [s])."""
    with memory_file() as (file, image):
        root = write_image_header(file, frame)
        steps = root.create_group("Steps")
        steps.attrs["NSteps"] = np.int64(len(times))
        put(steps, "Values", np.asarray(list(times.values()), dtype=np.float64), "s", compress=False)
        for name in fields:
            dataset = root["CellData"].create_virtual_dataset(name, _layout(name, times, frame), fillvalue=np.nan)
            dataset.attrs["units"] = FIELD_UNIT
            offsets = np.arange(len(times), dtype=np.int64)
            put(steps, f"CellDataOffsets/{name}", offsets, "1", compress=False)
    write_atomically(directory / SERIES, image.data)


def _layout(name: str, times: dict[int, float], frame: Frame) -> h5py.VirtualLayout:
    layout = h5py.VirtualLayout(shape=(len(times), *frame.shape), dtype=np.float32)
    for row, index in enumerate(times):
        layout[row] = h5py.VirtualSource(snapshot_name(index), f"VTKHDF/CellData/{name}", shape=frame.shape)
    return layout

"""Reading a run directory: times, fields, cells, ledger, log, and the study that made it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from payloadfield.errors import RunError
from payloadfield.store import layout
from payloadfield.store.exposure import CellSeries, gather_series, read_cells, read_cells_time, read_series
from payloadfield.store.hdf5 import opened, read_array, text
from payloadfield.store.manifest import is_alive, read_manifest
from payloadfield.store.snapshot import Frame, field_names, read_frame, read_time
from payloadfield.store.step_log import read_log
from payloadfield.store.table import Table

if TYPE_CHECKING:
    from payloadfield.study import Study


def open_run(path: str | Path) -> Run:
    """Open a run directory; RunError where it is none.

    path: directory made by `payloadfield run` or `simulate(..., output=path)`; it may still be growing.
    """
    directory = Path(path)
    read_manifest(directory)
    return Run(directory)


class Run:
    """A run directory, read piece by piece as asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r}, {self.state}, {len(self.times)} outputs to {self.time_reached:.6g} s)"

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What made this run: versions, machine, command, backend and the reason for it."""
        return read_manifest(self.directory)

    @property
    def title(self) -> str:
        """Title of the study."""
        return str(self.manifest["title"])

    @property
    def state(self) -> str:
        """running, interrupted, finished or failed; a run whose process was killed counts as interrupted."""
        state = str(self.manifest["state"])
        is_elsewhere = self.manifest["machine"]["host"] != _host()
        return "interrupted" if state == "running" and not (is_elsewhere or is_alive(self.manifest)) else state

    @property
    def time_reached(self) -> float:
        """Model time of the newest output or checkpoint [s]."""
        return float(self.manifest["time_reached_s"])

    @cached_property
    def indices(self) -> list[int]:
        """Numbers of the snapshots that are there."""
        return layout.snapshot_indices(self.directory)

    @cached_property
    def times(self) -> np.ndarray:
        """Model time of every snapshot (n_time,) [s]."""
        return np.asarray([read_time(self.directory, index) for index in self.indices])

    @cached_property
    def frame(self) -> Frame:
        """The box: shape (nz, ny, nx) and voxel edge [um]."""
        self._need_snapshots()
        return read_frame(self.directory, self.indices[0])

    @cached_property
    def field_names(self) -> list[str]:
        """Names of the stored fields."""
        return field_names(self.directory, self.indices[0]) if self.indices else []

    def field(self, name: str, time_index: int = -1) -> np.ndarray:
        """One field at one output (nz, ny, nx) [nM], NaN in closed voxels.

        name: of `field_names`; time_index: position in `times`, negative from the end. RunError for either unknown.
        """
        self._need_snapshots()
        if name not in self.field_names:
            raise RunError(f"{self.directory}: no field {name!r}; stored are {', '.join(self.field_names)}")
        if not -len(self.indices) <= time_index < len(self.indices):
            raise RunError(f"{self.directory}: no output {time_index}; there are {len(self.indices)}, counted from 0")
        with opened(self.directory / layout.snapshot_name(self.indices[time_index])) as file:
            return read_array(file[f"VTKHDF/CellData/{name}"])

    def geometry(self, name: str) -> np.ndarray:
        """`material` (label), `open_fraction` or `surface_distance` [um] on the grid (nz, ny, nx)."""
        with opened(self.directory / layout.GEOMETRY) as file:
            if name not in file["VTKHDF/CellData"]:
                raise RunError(f"{self.directory}: no {name!r}; stored are {', '.join(file['VTKHDF/CellData'])}")
            return read_array(file[f"VTKHDF/CellData/{name}"])

    @property
    def materials(self) -> list[str]:
        """Names of the materials in the order of the labels."""
        with opened(self.directory / layout.GEOMETRY) as file:
            return [text(name) for name in file["VTKHDF/CellData/material"].attrs["names"]]

    @cached_property
    def cells(self) -> Table:
        """One row a cell: type, position, parameters, and states and exposures at the newest checkpoint."""
        return read_cells(self.directory)

    @cached_property
    def cells_time(self) -> float:
        """Model time of `cells` [s]."""
        return read_cells_time(self.directory)

    def newest(self, name: str) -> np.ndarray:
        """One state or exposure of every cell at the newest output or checkpoint (n_cell,), whichever is later."""
        is_later = len(self.times) > 0 and self.times[-1] > self.cells_time
        return self.cell_series(name)[-1] if is_later else self.cells[name]

    @cached_property
    def series(self) -> CellSeries:
        """Time series of the cells, the bath and the ledger at `times`."""
        stored = read_series(self.directory)
        return stored if len(stored.times) == len(self.indices) else gather_series(self.directory)

    def cell_series(self, name: str) -> np.ndarray:
        """One per-cell state or exposure over time (n_time, n_cell)."""
        if name not in self.series.cells:
            raise RunError(f"{self.directory}: no time series of {name!r}; stored are {', '.join(self.series.cells)}")
        return self.series.cells[name]

    @property
    def ledger(self) -> dict[str, dict[str, float]]:
        """The balance sheet at the last output: moiety -> column -> amount [molecules]."""
        return {m: {c: float(values[-1]) for c, values in columns.items()} for m, columns in self.series.ledger.items()}

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """One entry a step: time, step size, error, iterations, balance, wall time."""
        return read_log(self.directory)

    @cached_property
    def study(self) -> Study:
        """The study that made this run, resolved."""
        from payloadfield.study import load_study

        return load_study(self.directory / layout.STUDY)

    @cached_property
    def effective(self) -> dict[str, Any]:
        """The effective study as a dictionary, without resolving it again."""
        import tomllib

        return tomllib.loads((self.directory / layout.STUDY).read_text(encoding="utf-8"))

    @cached_property
    def sources(self) -> list[Mapping[str, Any]]:
        """Where every value of the study comes from: key, value, unit, grade, citation, origin."""
        return json.loads((self.directory / layout.SOURCES).read_text(encoding="utf-8"))

    @cached_property
    def drivers(self) -> list[Mapping[str, Any]]:
        """Assumed numbers and what they do to results, the one that does most first; empty if not found out."""
        path = self.directory / layout.DRIVERS
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []

    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self.directory.rglob("*") if path.is_file())

    def _need_snapshots(self) -> None:
        if not self.indices:
            raise RunError(f"{self.directory}: no snapshot yet; the run has not reached its first output")


def _host() -> str:
    import platform

    return platform.node()

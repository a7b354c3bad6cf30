"""A table of columns with units, such as the per-cell table of a run."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np


class Table(Mapping[str, np.ndarray]):
    """Columns by name, all of one length, each with its unit; works wherever a mapping of arrays does."""

    def __init__(self, columns: Mapping[str, np.ndarray], units: Mapping[str, str]) -> None:
        self._columns = {name: np.asarray(column) for name, column in columns.items()}
        self.units = {name: units.get(name, "1") for name in self._columns}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._columns:
            raise KeyError(f"no column {name!r}; there are: {', '.join(self._columns)}")
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        """Number of columns, as for any mapping; `n_rows` counts the rows."""
        return len(self._columns)

    def __repr__(self) -> str:
        return f"Table({self.n_rows} rows: {', '.join(self.labels())})"

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self._columns.values()))) if self._columns else 0

    def labels(self) -> list[str]:
        """Column names with their units, as in the header of a CSV file: `payload_cytosol [molecules]`."""
        return [name if self.units[name] in ("", "1") else f"{name} [{self.units[name]}]" for name in self]

    def rows(self, chosen: np.ndarray) -> Table:
        """The rows where `chosen` (mask or indices) says so."""
        return Table({name: column[chosen] for name, column in self._columns.items()}, self.units)

    def to_csv(self, path: Path) -> None:
        """Write a CSV file; numbers keep every digit."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(self.labels())
            writer.writerows(zip(*(column.tolist() for column in self._columns.values()), strict=True))

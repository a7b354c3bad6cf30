"""Cells listed in a file of comma-separated values."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from payloadfield.errors import CellsError
from payloadfield.geometry import FloatArray

COLUMNS = ("x_um", "y_um", "z_um", "type")


@dataclass(frozen=True, eq=False)
class ListedCells:
    """Positions of cells of one type, and where they were read.

    positions: (n, 3) z, y, x [um]
    rows: (n,) line numbers, or labels, in the source
    source: name of the file
    radii: (n,) of each cell, or None for that of its type [um]
    kind_of_row: what messages call a row of the source
    """

    positions: FloatArray
    rows: npt.NDArray[np.int64]
    source: str
    radii: FloatArray | None = None
    kind_of_row: str = "row"

    def __len__(self) -> int:
        return len(self.positions)


def read_cells_csv(path: str | Path) -> dict[str, ListedCells]:
    """Cells by type from a file with the columns x_um, y_um, z_um and type, in any order.

    Raises CellsError for a missing file or column, and for a row that is incomplete or not a number, with its line.
    """
    path = Path(path)
    found: dict[str, tuple[list[tuple[float, float, float]], list[int]]] = {}
    for line, cell_type, position in _rows(path):
        positions, lines = found.setdefault(cell_type, ([], []))
        positions.append(position)
        lines.append(line)
    if not found:
        raise CellsError(f"{path}: no cells; one row per cell is needed below the header {','.join(COLUMNS)}")
    return {
        name: ListedCells(np.array(positions), np.array(lines), str(path)) for name, (positions, lines) in found.items()
    }


def _rows(path: Path) -> Iterator[tuple[int, str, tuple[float, float, float]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            column = _header(path, next(reader, []))
            for row in reader:
                if any(value.strip() for value in row):
                    yield reader.line_num, *_row(path, reader.line_num, row, column)
    except FileNotFoundError as error:
        raise CellsError(
            f"{path}: there is no such file; a list of cells with the header {','.join(COLUMNS)} is needed"
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CellsError(f"{path}: cannot be read as comma-separated text ({error})") from error


def _header(path: Path, names: list[str]) -> dict[str, int]:
    column = {name.strip(): i for i, name in enumerate(names)}
    missing = [name for name in COLUMNS if name not in column]
    if missing:
        raise CellsError(
            f"{path}, line 1: no column {', '.join(missing)}; got {', '.join(column) or 'nothing'}; "
            f"the header {','.join(COLUMNS)} is needed"
        )
    return column


def _row(path: Path, line: int, row: list[str], column: dict[str, int]) -> tuple[str, tuple[float, float, float]]:
    if len(row) <= max(column[name] for name in COLUMNS):
        raise CellsError(f"{path}, line {line}: {len(row)} values; {len(column)} are needed")
    cell_type = row[column["type"]].strip()
    if not cell_type:
        raise CellsError(f"{path}, line {line}: empty type; the name of a cell type is needed")
    z, y, x = (_coordinate(path, line, name, row[column[name]]) for name in ("z_um", "y_um", "x_um"))
    return cell_type, (z, y, x)


def _coordinate(path: Path, line: int, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CellsError(f"{path}, line {line}, {name}: got {text.strip()!r}; a number of micrometres is needed")
    return value

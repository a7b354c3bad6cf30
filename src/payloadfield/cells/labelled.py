"""Cells from an image of labels: each label but 0 is a cell, with its centroid and its volume."""

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from payloadfield.cells.listed import ListedCells
from payloadfield.errors import CellsError
from payloadfield.geometry import FloatArray, PlacedImage, as_labels, listed_labels
from payloadfield.geometry.grid import Triple

IntArray = npt.NDArray[np.int64]
#: Name of the type of a label, None where there is none.
TypeOf = Callable[[int], str | None]

BACKGROUND = 0
TABLE_COLUMNS = ("label", "type")


def read_labelled_cells(image: PlacedImage, size: Triple, type_of: TypeOf) -> dict[str, ListedCells]:
    """Cells by type, each with the centroid of its label and the radius of a sphere of its volume.

    size: of the grid, z, y, x, in which the image may be centred [um]
    Raises CellsError for an image without labels, and for labels without a type.
    """
    label, centroid, volume = measure_labels(image, size)
    source = image.stack.where
    if not len(label):
        raise CellsError(f"{source}: has no labels but {BACKGROUND}, the background; each cell has a label of its own")
    types = [type_of(each) for each in label.tolist()]
    without = [each for each, name in zip(label.tolist(), types, strict=True) if name is None]
    if without:
        raise CellsError(
            f"{source}: {len(without):,} of its {len(label):,} labels have no type: {listed_labels(without)}; "
            "name one for each in types, or one for all by type"
        )
    radius = (3 * volume / (4 * math.pi)) ** (1 / 3)
    found = {}
    for name in dict.fromkeys(types):
        own = np.array([each == name for each in types])
        found[str(name)] = ListedCells(centroid[own], label[own], source, radius[own], "label")
    return found


def measure_labels(image: PlacedImage, size: Triple) -> tuple[IntArray, FloatArray, FloatArray]:
    """Labels (n,) in order, their centroids (n, 3) z, y, x [um] and volumes (n,) [um^3].

    Raises CellsError for labels below 0.
    """
    sums = _merged([_sums(as_labels(image.stack.plane(k), image.stack.where), k) for k in range(image.stack.shape[0])])
    label, count, moment = sums
    if len(label) and label[0] < 0:
        raise CellsError(f"{image.stack.where}: has label {label[0]}; labels of cells are above {BACKGROUND}")
    spacing = np.array(image.spacing)
    centroid = np.array(image.low(size)) + (moment / count[:, None] + 0.5) * spacing
    return label, centroid, count * float(np.prod(spacing))


def _sums(labels: IntArray, k: int) -> tuple[IntArray, FloatArray, FloatArray]:
    """Labels of a plane, with the number of their voxels and the sums of their indices z, y, x."""
    y, x = np.nonzero(labels != BACKGROUND)
    found, own = np.unique(labels[y, x], return_inverse=True)
    count = np.bincount(own, minlength=len(found)).astype(np.float64)
    moment = [np.bincount(own, index, minlength=len(found)) for index in (y, x)]
    return found, count, np.stack([k * count, *moment], axis=1)


def _merged(parts: Sequence[tuple[IntArray, FloatArray, FloatArray]]) -> tuple[IntArray, FloatArray, FloatArray]:
    label, own = np.unique(np.concatenate([part[0] for part in parts]), return_inverse=True)
    count, moment = np.zeros(len(label)), np.zeros((len(label), 3))
    np.add.at(count, own, np.concatenate([part[1] for part in parts]))
    np.add.at(moment, own, np.concatenate([part[2] for part in parts]))
    return label, count, moment


def types_by_range(ranges: Mapping[str, str], where: str) -> TypeOf:
    """Types by labels and ranges of labels, such as "7", "1-40" and "41-".

    Raises CellsError for what is no label or range, and for ranges that overlap.
    """
    spans = sorted((*_span(text, where), name) for text, name in ranges.items())
    for (_, last, name), (other, _, other_name) in pairwise(spans):
        if other <= last:
            raise CellsError(f"{where}: labels from {other} on are {name!r} and {other_name!r}; a label has one type")
    starts = np.array([first for first, _, _ in spans])

    def type_of(label: int) -> str | None:
        at = int(np.searchsorted(starts, label, "right")) - 1
        return spans[at][2] if at >= 0 and label <= spans[at][1] else None

    return type_of


def _span(text: str, where: str) -> tuple[int, float]:
    first, dash, last = (part.strip() for part in text.partition("-"))
    is_span = first.isdecimal() and (last.isdecimal() or not last)
    low = int(first) if is_span else 0
    high: float = low if not dash else (int(last) if last else math.inf)
    if not is_span or low <= BACKGROUND or high < low:
        raise CellsError(f'{where}: got {text!r}; a label such as "7", or a range such as "1-40" or "41-", is needed')
    return low, high


def types_by_table(path: str | Path) -> TypeOf:
    """Types from a file of comma-separated values with the columns label and type.

    Raises CellsError for a file that cannot be read, a row that is incomplete, and a label with two types.
    """
    path = Path(path)
    table: dict[int, str] = {}
    for line, label, name in _rows(path):
        if table.setdefault(label, name) != name:
            raise CellsError(
                f"{path}, line {line}: label {label} is {table[label]!r} and {name!r}; a label has one type"
            )
    return table.get


def _rows(path: Path) -> Iterator[tuple[int, int, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            missing = [name for name in TABLE_COLUMNS if name not in (reader.fieldnames or [])]
            if missing:
                raise CellsError(f"{path}, line 1: no column {', '.join(missing)}; the header label,type is needed")
            for row in reader:
                label, name = ((row[column] or "").strip() for column in TABLE_COLUMNS)
                if not label.isdecimal() or not name:
                    raise CellsError(
                        f"{path}, line {reader.line_num}: got label {label!r} and type {name!r}; a whole number and "
                        "the name of a cell type are needed"
                    )
                yield reader.line_num, int(label), name
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CellsError(f"{path}: cannot be read as comma-separated text ({error})") from error

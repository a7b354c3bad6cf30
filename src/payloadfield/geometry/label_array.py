"""A scaffold given voxel by voxel, as an array of labels or a .npy file of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError

import numpy as np
import numpy.typing as npt

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import VoxelGrid

# In an index array: leave what earlier shapes put here.
UNTOUCHED = 255


@dataclass(frozen=True, eq=False)
class LabelArray:
    """One label per voxel, and the material that each label stands for.

    Its surfaces are staircases: a voxel is open or closed, a face likewise.
    source: array (nz, ny, nx) of whole numbers, or the path of a .npy file that holds one
    labels: material name by label; None leaves what earlier shapes put there
    """

    source: npt.NDArray[np.integer] | str | Path
    labels: Mapping[int, str | None] = field(default_factory=dict)

    def material_index(self, grid: VoxelGrid, index_of: Mapping[str, int]) -> npt.NDArray[np.uint8]:
        """Index of the material in each voxel, UNTOUCHED where nothing is said.

        Raises GeometryError for an unreadable file, a wrong shape or type, or a label without a material.
        """
        array = self._read()
        if array.shape != grid.shape:
            raise GeometryError(
                f"{self.where}: array of shape {array.shape}; the grid has {grid.shape} voxels (z, y, x)"
            )
        return self._translate(array, index_of)

    @property
    def where(self) -> str:
        """The file, or 'label array', for messages."""
        return f"label array {self.source}" if isinstance(self.source, str | Path) else "label array"

    def _read(self) -> npt.NDArray[np.integer]:
        array = _load(Path(self.source)) if isinstance(self.source, str | Path) else np.asarray(self.source)
        if array.dtype.kind not in "iub":
            raise GeometryError(
                f"{self.where}: elements of type {array.dtype}; whole numbers (labels) are needed, e.g. uint8"
            )
        return array.view(np.uint8) if array.dtype.kind == "b" else array

    def _translate(self, array: npt.NDArray[np.integer], index_of: Mapping[str, int]) -> npt.NDArray[np.uint8]:
        present = _labels_in(array)
        unknown = [label for label in present if label not in self.labels]
        if unknown:
            raise GeometryError(
                f"{self.where}: label{'s' if len(unknown) > 1 else ''} {listed_labels(unknown)} without a material; "
                f"known labels: {listed_labels(sorted(self.labels)) or 'none'}; add them to labels"
            )
        result = np.full(array.shape, UNTOUCHED, np.uint8)
        for label in present:
            name = self.labels[label]
            if name is not None:
                result[array == label] = _index(index_of, name, self.where)
        return result


def _index(index_of: Mapping[str, int], name: str, where: str) -> int:
    if name not in index_of:
        raise GeometryError(f"{where}: unknown material {name!r}; known: {', '.join(index_of)}")
    return index_of[name]


def _labels_in(array: npt.NDArray[np.integer]) -> list[int]:
    if array.dtype == np.uint8:
        return [int(i) for i in np.flatnonzero(np.bincount(array.reshape(-1), minlength=1))]
    return [int(i) for i in np.unique(array)]


def listed_labels(labels: list[int], most: int = 8) -> str:
    """The first labels of a list as a text."""
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(str(label) for label in labels[:most]) + more


def _load(path: Path) -> npt.NDArray[np.integer]:
    """Map a .npy file into memory, so that its header is judged before its contents are read."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise GeometryError(f"label array {path}: no such file") from error
    except (OSError, ValueError, EOFError, SyntaxError, OverflowError, MemoryError, TokenError) as error:
        raise GeometryError(
            f"label array {path}: not a readable .npy array of whole numbers ({error}); write it with numpy.save"
        ) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise GeometryError(f"label array {path}: holds several arrays (.npz); a single .npy array is needed")
    return array

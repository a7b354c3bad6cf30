"""HDF5 files built in memory, so that the disk sees one plain write that either succeeds or changes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from payloadfield.errors import RunError

_GZIP_LEVEL = 1
_SMALL = 512  # bytes below which compression costs more than it saves


class Image:
    """The bytes of an HDF5 file, once the block that fills it has ended."""

    data: bytes = b""


@contextmanager
def memory_file() -> Iterator[tuple[h5py.File, Image]]:
    """An HDF5 file in memory to fill, and the image that holds its bytes after the block."""
    image = Image()
    with h5py.File(f"{uuid.uuid4().hex}.h5", "w", driver="core", backing_store=False, libver=("v108", "v110")) as file:
        yield file, image
        file.flush()
        image.data = file.id.get_file_image()


def put(group: h5py.Group, name: str, values: Any, unit: str, *, compress: bool = True) -> h5py.Dataset:
    """Write one dataset with its `units` attribute, gzip-1 and shuffle where that pays.

    values: array of any shape, or a list of text; unit: as the user reads it, such as "nM".
    """
    array = _storable(values)
    packed = compress and array.dtype.kind in "fiu" and array.ndim > 0 and array.nbytes > _SMALL
    options: dict[str, Any] = {"compression": "gzip", "compression_opts": _GZIP_LEVEL, "shuffle": True}
    dataset = group.create_dataset(name, data=array, **(options if packed else {}))
    dataset.attrs["units"] = unit
    return dataset


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file for reading; RunError where it is missing or damaged."""
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError as error:
        raise RunError(f"{path}: no such file; the run directory is incomplete") from error
    except OSError as error:
        raise RunError(f"{path}: not a readable HDF5 file ({error}); it was damaged after it was written") from error
    with file:
        yield file


def text(value: Any) -> str:
    """Text of an attribute or element that h5py gives as bytes or str."""
    return value.decode() if isinstance(value, bytes) else str(value)


def read_array(dataset: h5py.Dataset) -> np.ndarray:
    """A dataset as an array; text comes back as an array of str."""
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return np.asarray([text(item) for item in dataset[()]], dtype=str)
    return np.asarray(dataset[()])


def _storable(values: Any) -> np.ndarray:
    array = np.asarray(values)
    return array.astype(h5py.string_dtype()) if array.dtype.kind in "US" else np.asarray(array, order="C")

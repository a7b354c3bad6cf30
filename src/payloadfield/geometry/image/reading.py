"""Image files: the format by the name, the planes as they are needed."""

import warnings
from pathlib import Path
from tokenize import TokenError

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.image.nifti import read_nifti
from payloadfield.geometry.image.nrrd import read_nrrd
from payloadfield.geometry.image.stack import NO_SPACING, Choice, Plane, Stack, check_numbers, one_of, reason_of
from payloadfield.geometry.image.tiff import read_tiff

FORMATS = (".tif", ".tiff", ".nrrd", ".nhdr", ".nii", ".nii.gz", ".npy")


def read_image(
    path: str | Path,
    *,
    channel: int | None = None,
    time: int | None = None,
    series: int | None = None,
    ignore_turns: bool = False,
) -> Stack:
    """The stack of a TIFF (OME, ImageJ or plain), NRRD, NIfTI or NumPy file.

    channel, time, series: which one, from 0; needed where there are several
    ignore_turns: take columns, rows and planes as x, y, z, whatever the file says of its directions and spacing
    Raises GeometryError for a file that cannot be read, claims more than it holds, or does not say which part is meant.
    """
    path = Path(path)
    where, choice, name = f"image {path}", Choice(channel, time, series), path.name.lower()
    kind = next((end for end in FORMATS if name.endswith(end)), None)
    if kind is None:
        raise GeometryError(
            f"{where}: files that end in {path.suffix or 'nothing'!r} are not read; there are: {', '.join(FORMATS)}"
        )
    try:
        if not path.stat().st_size:
            raise GeometryError(f"{where}: the file is empty")
        with path.open("rb"):
            pass
    except OSError as error:
        raise GeometryError(f"{where}: cannot be read ({error.strerror})") from error
    with warnings.catch_warnings():
        # What libraries murmur about odd headers is for those who ask for logs; what matters is in our messages.
        warnings.simplefilter("ignore")
        return _read(path, kind, where, choice, ignore_turns=ignore_turns)


def _read(path: Path, kind: str, where: str, choice: Choice, *, ignore_turns: bool) -> Stack:
    if kind in (".tif", ".tiff"):
        return read_tiff(path, where, choice)
    one_of("series", 1, choice.series, where)
    if kind in (".nrrd", ".nhdr"):
        one_of("time", 1, choice.time, where)
        return read_nrrd(path, where, choice, ignore_turns=ignore_turns)
    if kind == ".npy":
        one_of("time", 1, choice.time, where)
        one_of("channel", 1, choice.channel, where)
        return _read_array(path, where)
    return read_nifti(path, where, choice, ignore_turns=ignore_turns)


def _read_array(path: Path, where: str) -> Stack:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (
        OSError, ValueError, EOFError, SyntaxError, OverflowError, MemoryError, TypeError, KeyError, TokenError,
    ) as error:  # fmt: skip
        raise GeometryError(f"{where}: no readable .npy array ({reason_of(error)})") from error
    if not isinstance(array, np.ndarray) or array.ndim not in (2, 3):
        raise GeometryError(f"{where}: an array with the axes z, y, x is needed")
    volume = array[None] if array.ndim == 2 else array
    check_numbers(where, volume.shape, volume.dtype)

    def read(k: int) -> Plane:
        return np.asarray(volume[k])

    nz, ny, nx = volume.shape
    return Stack(where, (nz, ny, nx), volume.dtype, NO_SPACING, read)

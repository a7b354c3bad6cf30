"""A stack of planes in a file, read plane by plane; what it claims is judged before memory is asked for."""

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from payloadfield.errors import GeometryError, ResourceError
from payloadfield.geometry.grid import Triple

Plane = npt.NDArray[Any]
Spacing = tuple[float | None, float | None, float | None]

NO_SPACING: Spacing = (None, None, None)
#: What a file may unpack to, as a multiple of its length: deflate reaches 1032, and no image more.
MOST_EXPANSION = 1100
#: More bytes than this are a damaged header rather than an image.
MOST_BYTES = 2**42
#: While a plane is worked on, each of its pixels takes so many bytes: itself, a mask, and two in double precision.
BYTES_PER_PIXEL = 32
#: Unpacked planes stay in memory up to this many bytes together, beyond it they go to a temporary file.
IN_MEMORY = 2**27
_PIECE = 2**20


@dataclass(frozen=True)
class Choice:
    """Which part of a file is meant, each counted from 0; None where there is but one."""

    channel: int | None = None
    time: int | None = None
    series: int | None = None


@dataclass(frozen=True, eq=False)
class Stack:
    """Planes of one image.

    where: how messages call it
    shape: planes, rows, columns: z, y, x
    dtype: of its values
    spacing: edges of a voxel along z, y, x as its file says them, None where it does not [um]
    read: the plane at a position, (ny, nx), whose values may be anything
    """

    where: str
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    spacing: Spacing
    read: Callable[[int], Plane]

    def plane(self, k: int) -> Plane:
        """Values of a plane (ny, nx).  Raises GeometryError where they are not finite."""
        values = self.read(k)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise GeometryError(
                f"{self.where}: plane {k} has values that are not finite; replace them, by 0 for instance"
            )
        return values

    def spacing_or(self, given: Triple | None) -> Triple:
        """Edges of a voxel z, y, x [um]: as given, else as the file says.  Raises GeometryError where neither does."""
        if given is not None:
            return given
        z, y, x = self.spacing
        if z is None or y is None or x is None:
            told = ", ".join(f"{n} {s:g} um" for n, s in (("x", x), ("y", y), ("z", z)) if s is not None)
            known = f"says only {told}" if told else "says none"
            raise GeometryError(
                f"{self.where}: the spacing of its voxels is needed, and the file {known}; give it as x, y, z, "
                f'such as spacing = ["0.65 um", "0.65 um", "2 um"]'
            )
        return z, y, x


@dataclass(frozen=True)
class Layout:
    """Where the planes of one image lie among plain bytes.

    starts: where each plane begins [bytes]
    shape: z, y, x; dtype: with its byte order
    n_inner, inner: values per pixel, of which one is taken
    flips: whether z, y, x run backwards
    slope, intercept: value = slope * stored + intercept
    """

    starts: Sequence[int]
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    n_inner: int = 1
    inner: int = 0
    flips: tuple[bool, bool, bool] = (False, False, False)
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def plane_bytes(self) -> int:
        """Length of a plane with all its inner values."""
        return self.shape[1] * self.shape[2] * self.n_inner * self.dtype.itemsize

    @property
    def end(self) -> int:
        """Length that the bytes have at least."""
        last = self.starts[-1] if isinstance(self.starts, range) else max(self.starts)
        return last + self.plane_bytes


def range_of_planes(first: int, n: int, step: int) -> range:
    """Where n planes begin that follow each other."""
    return range(first, first + n * step, step)


def make_raw_stack(where: str, source: Path | IO[bytes], layout: Layout, spacing: Spacing) -> Stack:
    """A stack of plain bytes in a file.  Raises GeometryError where the file is shorter than its planes."""
    check_numbers(where, layout.shape, layout.dtype)
    length = source.stat().st_size if isinstance(source, Path) else source.seek(0, 2)
    first = layout.starts[0] if isinstance(layout.starts, range) else min(layout.starts)
    if first < 0 or length < layout.end:
        raise cut_off(where, layout.shape, layout.dtype, layout.end, length)

    def read(k: int) -> Plane:
        z = layout.shape[0] - 1 - k if layout.flips[0] else k
        data = _bytes_at(source, layout.starts[z], layout.plane_bytes)
        if len(data) < layout.plane_bytes:
            raise GeometryError(f"{where}: was cut off while it was read")
        return _values(data, layout)

    dtype = np.dtype(float) if _is_scaled(layout) else layout.dtype.newbyteorder("=")
    return Stack(where, layout.shape, dtype, spacing, read)


def cut_off(where: str, shape: tuple[int, ...], dtype: np.dtype[Any], needed: int, length: int) -> GeometryError:
    """The refusal of a file that is too short for its shape."""
    return GeometryError(
        f"{where}: claims {edges(shape)} voxels (z, y, x) of {dtype}, {needed:,} bytes, but has {length:,}; "
        "it was cut off, or its header is damaged"
    )


def _values(data: bytes, layout: Layout) -> Plane:
    _, ny, nx = layout.shape
    plane: Plane = np.frombuffer(data, layout.dtype).reshape(ny, nx, layout.n_inner)[..., layout.inner]
    plane = plane[:: -1 if layout.flips[1] else 1, :: -1 if layout.flips[2] else 1]
    plane = plane.astype(layout.dtype.newbyteorder("="), copy=False)
    if not _is_scaled(layout):
        return plane
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused with its plane
        return plane.astype(np.float64) * layout.slope + layout.intercept


def _is_scaled(layout: Layout) -> bool:
    return (layout.slope, layout.intercept) != (1.0, 0.0)


def _bytes_at(source: Path | IO[bytes], offset: int, length: int) -> bytes:
    if not isinstance(source, Path):
        source.seek(offset)
        return source.read(length)
    with source.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def check_numbers(where: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse what no image has and what memory cannot hold: no voxels, odd types, planes or stacks beyond measure."""
    if len(shape) != 3 or min(shape) < 1:
        raise GeometryError(f"{where}: has {edges(shape)} voxels (z, y, x); at least one along each is needed")
    if dtype.kind not in "uifb":
        raise GeometryError(f"{where}: holds values of type {dtype}; grey levels or labels are needed")
    n_bytes, n_pixels = math.prod(shape) * dtype.itemsize, shape[1] * shape[2]
    if n_bytes > MOST_BYTES:
        raise GeometryError(
            f"{where}: claims {edges(shape)} voxels (z, y, x), {n_bytes:,} bytes; at most {MOST_BYTES:,} are read"
        )
    import psutil

    free = psutil.virtual_memory().available
    if n_pixels * BYTES_PER_PIXEL > free:
        need = n_pixels * BYTES_PER_PIXEL
        raise ResourceError(
            f"{where}: one of its planes has {shape[1]:,} x {shape[2]:,} pixels and needs {need / 1e9:.3g} GB of "
            f"memory, of which {free / 1e9:.3g} GB are free; crop the image"
        )


def one_of(what: str, n: int, chosen: int | None, where: str) -> int:
    """Which of n is meant.  Raises GeometryError where nothing is said of several, or what is said is not there."""
    if n == 1 and not chosen:
        return 0
    there = f"0 to {n - 1}" if n > 1 else "0 alone"
    if chosen is None:
        raise GeometryError(f"{where}: has {n:,} of {what}; say which by {what} = {there}")
    if chosen >= n:
        raise GeometryError(f"{where}: {what} {chosen} is not there; {there} can be had")
    return chosen


def check_expansion(where: str, shape: tuple[int, ...], dtype: np.dtype[Any], claimed: int, length: int) -> None:
    """Refuse a packed file that claims more than it can hold, or more than the disk can."""
    if claimed > MOST_EXPANSION * length:
        raise GeometryError(
            f"{where}: claims {edges(shape)} voxels (z, y, x) of {dtype}, {claimed:,} bytes, but has {length:,} "
            "packed ones, which cannot hold them; its header is damaged, or it was made to do harm"
        )
    import psutil

    free = psutil.disk_usage(tempfile.gettempdir()).free
    if claimed > max(IN_MEMORY, free):
        raise ResourceError(
            f"{where}: unpacks to {claimed / 1e9:.3g} GB in {tempfile.gettempdir()}, where {free / 1e9:.3g} GB are "
            "free; free some space, or store the image unpacked"
        )


def unpack(where: str, packed: Any, needed: int) -> IO[bytes]:
    """So many bytes of a packed stream, in memory or in a temporary file that vanishes with it."""
    target: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
    done = 0
    while done < needed:
        piece = packed.read(min(_PIECE, needed - done))
        if not piece:
            raise GeometryError(f"{where}: unpacks to {done:,} bytes, but {needed:,} are needed; it was cut off")
        target.write(piece)
        done += len(piece)
    return target


def reason_of(error: BaseException) -> str:
    """The first line of what another library says, or the name of its error."""
    return str(error).strip().split("\n")[0][:200] or type(error).__name__


def edges(shape: tuple[int, ...]) -> str:
    """A shape as a text."""
    return " x ".join(f"{n:,}" for n in shape)

"""NRRD images: pynrrd reads the header, the planes are read as they are needed."""

import bz2
import gzip
import io
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.hostile import READER_ERRORS
from payloadfield.geometry.image.spacing import in_um
from payloadfield.geometry.image.stack import (
    NO_SPACING,
    Choice,
    Layout,
    Spacing,
    Stack,
    check_expansion,
    check_numbers,
    make_raw_stack,
    one_of,
    range_of_planes,
    reason_of,
    unpack,
)  # fmt: skip
from payloadfield.geometry.image.turns import axis_steps

_TYPES = {
    "int8": "i1", "signed char": "i1", "int8_t": "i1", "uint8": "u1", "uchar": "u1", "unsigned char": "u1",
    "uint8_t": "u1", "int16": "i2", "short": "i2", "short int": "i2", "signed short": "i2", "signed short int": "i2",
    "int16_t": "i2", "uint16": "u2", "ushort": "u2", "unsigned short": "u2", "unsigned short int": "u2",
    "uint16_t": "u2", "int32": "i4", "int": "i4", "signed int": "i4", "int32_t": "i4", "uint32": "u4", "uint": "u4",
    "unsigned int": "u4", "uint32_t": "u4", "int64": "i8", "longlong": "i8", "long long": "i8", "long long int": "i8",
    "signed long long": "i8", "signed long long int": "i8", "int64_t": "i8", "uint64": "u8", "ulonglong": "u8",
    "unsigned long long": "u8", "unsigned long long int": "u8", "uint64_t": "u8", "float": "f4", "double": "f8",
}  # fmt: skip
_GZIP, _BZIP2 = ("gzip", "gz"), ("bzip2", "bz2")
_NOT_SPACE = ("vector", "list", "color", "matrix", "complex", "quaternion", "time", "point", "normal")
MOST_AXES, MOST_HEADER = 8, 2**20


def read_nrrd(path: Path, where: str, choice: Choice, *, ignore_turns: bool = False) -> Stack:
    """The stack of a NRRD file.  Raises GeometryError for what is damaged, turned, or of another encoding."""
    header, begin = _header(path, where)
    try:
        return _stack(path, where, choice, header, begin, ignore_turns=ignore_turns)
    except READER_ERRORS as error:
        raise GeometryError(f"{where}: its NRRD header is damaged ({reason_of(error)})") from error


def _stack(
    path: Path, where: str, choice: Choice, header: Mapping[str, Any], begin: int, *, ignore_turns: bool
) -> Stack:
    dtype = _dtype(header, where)
    sizes = [int(n) for n in header["sizes"]]
    if not 0 < len(sizes) <= MOST_AXES or min(sizes) < 1:
        raise GeometryError(f"{where}: sizes {sizes}; positive whole numbers are needed")
    first = _first_space_axis(header, sizes, where)
    n_inner, n_outer = math.prod(sizes[:first]), math.prod(sizes[first + 3 :])
    if n_inner > 1 and n_outer > 1:
        raise GeometryError(f"{where}: {sizes} values, with axes before and behind those of space, are not read")
    channel = one_of("channel", n_inner * n_outer, choice.channel, where)
    inner, outer = (channel, 0) if n_inner > 1 else (0, channel)
    (nx, ny, nz) = (*sizes[first : first + 3], 1, 1)[:3]
    spacing, flips = NO_SPACING, (False, False, False)
    if not ignore_turns:
        spacing, flips = _spacing(header, first, len(sizes), where)
    plane = ny * nx * n_inner * dtype.itemsize
    first_plane, shape = outer * nz * plane, (nz, ny, nx)
    layout = Layout(range_of_planes(first_plane, nz, plane), shape, dtype, n_inner, inner, flips)
    if int(header.get("line skip", 0)):
        raise GeometryError(
            f"{where}: has lines to skip before its values, which are not read; write it again as .nrrd"
        )
    if "data file" in header or "datafile" in header:
        raise GeometryError(f"{where}: keeps its values in another file; write both as one .nrrd file")
    encoding = str(header.get("encoding", "")).lower()
    needed = n_outer * nz * plane
    if encoding == "raw":
        begin += max(0, int(header.get("byte skip", 0)))
        if int(header.get("byte skip", 0)) == -1:
            begin = max(0, path.stat().st_size - needed)
        return make_raw_stack(
            where, path, replace(layout, starts=range_of_planes(begin + first_plane, nz, plane)), spacing
        )
    if encoding not in (*_GZIP, *_BZIP2) or int(header.get("byte skip", 0)):
        raise GeometryError(f"{where}: its encoding {encoding!r} is not read; raw, gzip and bzip2 are")
    check_numbers(where, layout.shape, dtype)
    check_expansion(where, layout.shape, dtype, needed, path.stat().st_size)
    return make_raw_stack(where, _unpacked(path, begin, encoding, needed, where), layout, spacing)


def _header(path: Path, where: str) -> tuple[Mapping[str, Any], int]:
    try:
        import nrrd
    except ImportError as error:
        raise GeometryError(
            f"{where}: NRRD files are read by pynrrd, which is missing; install it by: "
            "pip install 'payloadfield[images]'"
        ) from error
    try:
        with path.open("rb") as file:
            head = io.BytesIO(file.read(MOST_HEADER))
        header = nrrd.read_header(head)
        if not {"type", "dimension", "encoding", "sizes"} <= set(header):
            raise ValueError("type, dimension, sizes and encoding are needed")
        if header["dimension"] != len(header["sizes"]):
            raise ValueError(f"dimension {header['dimension']}, but {len(header['sizes'])} sizes")
    except (*READER_ERRORS, nrrd.NRRDError) as error:
        raise GeometryError(f"{where}: no readable NRRD header ({reason_of(error)})") from error
    return header, head.tell()


def _dtype(header: Mapping[str, Any], where: str) -> np.dtype[Any]:
    name = str(header["type"])
    if name not in _TYPES:
        raise GeometryError(f"{where}: holds values of type {name!r}; grey levels or labels are needed")
    dtype = np.dtype(_TYPES[name])
    endian = str(header.get("endian", "little")).lower()
    return dtype.newbyteorder(">" if endian == "big" else "<") if dtype.itemsize > 1 else dtype


def _first_space_axis(header: Mapping[str, Any], sizes: list[int], where: str) -> int:
    """Position of the x axis: behind axes of colours or vectors, of which the header knows."""
    kinds = [str(kind).lower() for kind in header.get("kinds", [])]
    rows = header.get("space directions")
    apart = [False] * len(sizes)
    for i in range(len(sizes)):
        apart[i] = i < len(kinds) and any(word in kinds[i] for word in _NOT_SPACE)
        if rows is not None and len(rows) == len(sizes):
            row = np.asarray(rows[i] if rows[i] is not None else np.nan, float)
            apart[i] = apart[i] or bool(np.isnan(row).all())
    space = [i for i in range(len(sizes)) if not apart[i]]
    if not 2 <= len(space) <= 3 or space != list(range(space[0], space[0] + len(space))):
        raise GeometryError(
            f"{where}: {len(space)} of its {len(sizes)} axes are of space; two or three neighbouring ones are needed "
            "(name the others in 'kinds')"
        )
    return space[0]


def _spacing(header: Mapping[str, Any], first: int, n_axes: int, where: str) -> tuple[Spacing, tuple[bool, bool, bool]]:
    """Edges of voxels z, y, x and which axes run backwards, from directions or else from spacings."""
    n_space = min(3, n_axes - first)
    units = header.get("space units") or header.get("units") or []
    unit = [str(units[i]) if i < len(units) else "" for i in range(n_space)]
    rows = header.get("space directions")
    if rows is not None:
        directions = np.array([np.asarray(row, float) for row in rows[first : first + n_space]])
        steps = axis_steps(directions, where)
    else:
        given = [float(s) for s in header.get("spacings", [])][first : first + n_space]
        steps = (given + [float("nan")] * 3)[:n_space]
    lengths: list[float | None] = [in_um(abs(step), u) for step, u in zip(steps, unit, strict=True)]
    backwards = [bool(step < 0) for step in steps]
    x, y, z = (*lengths, None)[:3]
    fx, fy, fz = (*backwards, False)[:3]
    return (z, y, x), (fz, fy, fx)


def _unpacked(path: Path, begin: int, encoding: str, needed: int, where: str) -> IO[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(begin)
            packed: Any = gzip.GzipFile(fileobj=file) if encoding in _GZIP else bz2.BZ2File(file)
            return unpack(where, packed, needed)
    except READER_ERRORS as error:
        raise GeometryError(f"{where}: cannot be unpacked ({reason_of(error)}); it was cut off or damaged") from error

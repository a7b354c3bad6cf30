"""Mesh files: judged by their length before anything is read, then read by trimesh, checked, and mended on request."""

import logging
import lzma
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.hostile import READER_ERRORS
from payloadfield.geometry.mesh.checking import check_surface
from payloadfield.geometry.mesh.triangles import Triangles, make_triangles

#: Units that a study may name, in um.
MESH_UNITS = {"um": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0}
FORMATS = ("stl", "obj", "ply", "3mf")

MOST_TRIANGLES = 50_000_000
# A 3MF file is a ZIP archive; what it may unpack to, as a multiple of its length and at least in bytes.
MOST_EXPANSION, ALWAYS_ALLOWED = 100, 2**26
_STL_HEADER, _STL_TRIANGLE = 84, 50
_HEAD = 2**16

# What trimesh and the readers below it may raise besides, on a hostile file.
_READER_ERRORS = (
    *READER_ERRORS, ImportError, NameError, StopIteration, zipfile.BadZipFile, lzma.LZMAError,
)  # fmt: skip


def read_mesh(path: str | Path, unit: str, *, repair: bool = False) -> Triangles:
    """A closed surface from an STL, OBJ, PLY or 3MF file.

    unit: what a length of 1 in the file is, a key of MESH_UNITS: none of these formats can be trusted to say it
    repair: close small holes and turn triangles the same way, instead of refusing them
    Raises GeometryError for a file that cannot be read, is longer or shorter than it says, or encloses no volume.
    """
    path = Path(path)
    where = f"mesh {path}"
    if unit not in MESH_UNITS:
        raise GeometryError(f"{where}: unit {unit!r} is unknown; there are: {', '.join(MESH_UNITS)}")
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise GeometryError(
            f"{where}: files that end in {path.suffix or 'nothing'!r} are not read; "
            f"there are: {', '.join('.' + each for each in FORMATS)}"
        )
    _judge(path, kind, where)
    vertices, faces = _load(path, kind, where)
    _check_numbers(vertices, faces, where)
    # x, y, z becomes z, y, x, which mirrors: the corners of each triangle are taken in the other direction.
    triangles = make_triangles(vertices[:, ::-1] * MESH_UNITS[unit], faces[:, ::-1])
    return check_surface(triangles, where, repair=repair)


def _judge(path: Path, kind: str, where: str) -> None:
    """Refuse a file whose length cannot hold what it claims, before any memory is asked for."""
    try:
        length = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise GeometryError(f"{where}: cannot be read ({error.strerror})") from error
    if not length:
        raise GeometryError(f"{where}: the file is empty")
    if kind == "stl":
        _judge_stl(head, length, where)
    elif kind == "ply":
        _judge_ply(head, length, where)
    elif kind == "3mf":
        _judge_3mf(path, length, where)


def _judge_stl(head: bytes, length: int, where: str) -> None:
    claimed = int.from_bytes(head[80:84], "little") if length >= _STL_HEADER else 0
    if length == _STL_HEADER + _STL_TRIANGLE * claimed and claimed:
        return
    if head.lstrip()[:5].lower() == b"solid" and b"\0" not in head[:4096]:
        return
    if length < _STL_HEADER:
        raise GeometryError(f"{where}: {length} bytes are too few for an STL file; was it cut off?")
    raise GeometryError(
        f"{where}: claims {claimed:,} triangles, which take {_STL_HEADER + _STL_TRIANGLE * claimed:,} bytes, but has "
        f"{length:,} bytes; it was cut off, or is no STL file"
    )


def _judge_ply(head: bytes, length: int, where: str) -> None:
    lines = head.split(b"end_header")[0].decode("ascii", "replace").split("\n")
    if not lines[0].strip() == "ply":
        raise GeometryError(f"{where}: does not begin with 'ply', so it is no PLY file")
    if b"end_header" not in head:
        raise GeometryError(f"{where}: its header does not end within {_HEAD:,} bytes; it was cut off")
    for words in (line.split() for line in lines):
        is_count = len(words) == 3 and words[0] == "element"
        # An element takes two bytes at least, in text as in binary.
        if is_count and (not words[2].isdecimal() or 2 * int(words[2]) > length):
            raise GeometryError(
                f"{where}: claims {words[2]} elements '{words[1]}', more than its {length:,} bytes "
                "can hold; it was cut off, or is no PLY file"
            )


def _judge_3mf(path: Path, length: int, where: str) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
    except _READER_ERRORS as error:
        raise GeometryError(f"{where}: no readable 3MF archive ({error})") from error
    if unpacked > max(MOST_EXPANSION * length, ALWAYS_ALLOWED):
        raise GeometryError(f"{where}: {length:,} bytes that unpack to {unpacked:,}; no real mesh packs so well")


def _load(path: Path, kind: str, where: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        import trimesh
    except ImportError as error:
        raise GeometryError(
            f"{where}: meshes are read by trimesh, which is missing; install it by: pip install 'payloadfield[mesh]'"
        ) from error
    # Its warnings are for those who ask for logs; what matters to a user is in our message.
    logging.getLogger("trimesh").addHandler(logging.NullHandler())
    try:
        with path.open("rb") as file:
            mesh: Any = trimesh.load_mesh(file, file_type=kind, process=False)
        return np.array(mesh.vertices, np.float64), np.array(mesh.faces, np.int64)
    except _READER_ERRORS as error:
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise GeometryError(f"{where}: no readable {kind.upper()} file ({reason})") from error


def _check_numbers(vertices: np.ndarray, faces: np.ndarray, where: str) -> None:
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1:] != (3,) or not len(faces):
        raise GeometryError(f"{where}: holds no triangles")
    if len(faces) > MOST_TRIANGLES:
        raise GeometryError(f"{where}: {len(faces):,} triangles; at most {MOST_TRIANGLES:,} are read: simplify it")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise GeometryError(
            f"{where}: names vertex {max(int(faces.max()), -int(faces.min())):,}, but has {len(vertices):,}"
        )
    bad = ~np.isfinite(vertices).all(axis=1)
    if bad.any():
        raise GeometryError(
            f"{where}: {int(bad.sum()):,} of {len(vertices):,} vertices have coordinates that are not "
            f"finite, the first one is number {int(np.argmax(bad))}; export it again"
        )

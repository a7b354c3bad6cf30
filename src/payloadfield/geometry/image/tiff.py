"""TIFF, ImageJ and OME-TIFF stacks: tifffile reads pages and tags, each plane is judged before it is decoded."""

import logging
import tempfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.hostile import READER_ERRORS
from payloadfield.geometry.image.stack import (
    IN_MEMORY,
    Choice,
    Layout,
    Spacing,
    Stack,
    check_expansion,
    check_numbers,
    cut_off,
    make_raw_stack,
    one_of,
    reason_of,
)
from payloadfield.geometry.image.tiff_chain import check_chain
from payloadfield.geometry.image.tiff_series import (
    PageOrder,
    imagej_order,
    like_pages,
    ome_orders,
    resolution_spacing,
    shaped_order,
)

#: What tifffile may raise besides, on a hostile file.
ERRORS = (*READER_ERRORS, NameError, ImportError)
_DEFLATE = (8, 32946)
#: Compressions that keep every value: none, LZW, deflate, PackBits and Zstandard.
LOSSLESS = {1: "none", 5: "LZW", 8: "deflate", 32946: "deflate", 32773: "PackBits", 50000: "Zstandard"}
_NEED_CODECS = (5, 50000)
# Packed bytes of a piece never outgrow the plain ones by more than this; what a tile may hold beyond the plane.
_OVERHEAD, _LARGEST_TILE = 2**16, 2**26


def read_tiff(path: Path, where: str, choice: Choice) -> Stack:
    """The stack of a TIFF file.  Raises GeometryError for one that is damaged, ambiguous or packed with losses."""
    try:
        import tifffile
    except ImportError as error:
        raise GeometryError(
            f"{where}: TIFF files are read by tifffile, which is missing; install it by: "
            "pip install 'payloadfield[images]'"
        ) from error
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    check_chain(path, where)
    try:
        with tifffile.TiffFile(path, _multifile=False) as tiff:
            return _stack(tiff, path, where, choice)
    except ERRORS as error:
        raise GeometryError(f"{where}: no readable TIFF file ({reason_of(error)})") from error


def _stack(tiff: Any, path: Path, where: str, choice: Choice) -> Stack:
    pages = _pages(tiff, where)
    orders = _orders(tiff, pages, where)
    order = orders[one_of("series", len(orders), choice.series, where)]
    numbers = order.pages if order.pages is not None else (0,)
    if max(numbers) >= len(pages):
        raise GeometryError(f"{where}: names page {max(numbers):,}, but has {len(pages):,}; it was cut off")
    page = pages[numbers[0]]
    n_samples = _samples(page, where)
    if n_samples > 1 and order.sizes["c"] > 1:
        raise GeometryError(f"{where}: has channels of colours; save one of them as grey levels")
    channel = one_of("channel", max(n_samples, order.sizes["c"]), choice.channel, where)
    positions = order.positions(channel if n_samples == 1 else 0, one_of("time", order.sizes["t"], choice.time, where))
    z, y, x = order.spacing
    if y is None and x is None:
        y, x = resolution_spacing(page)
    shape = (len(positions), int(page.imagelength), int(page.imagewidth))
    check_numbers(where, shape, np.dtype(page.dtype))
    inner = channel if n_samples > 1 else 0
    if order.pages is None:
        return _one_after_the_other(page, path, where, shape, positions, (z, y, x))
    return _of_pages([pages[order.pages[p]] for p in positions], path, where, shape, inner, n_samples, (z, y, x))


def _pages(tiff: Any, where: str) -> list[Any]:
    """All pages but thumbnails and coarser copies."""
    found = [page for page in tiff.pages if not page.subfiletype & 1]
    if not found:
        raise GeometryError(f"{where}: has no page")
    return found


def _kind(page: Any) -> tuple[Any, ...]:
    return tuple(page.shape), str(page.dtype), int(page.compression), int(page.bitspersample)


def _orders(tiff: Any, pages: list[Any], where: str) -> list[PageOrder]:
    if tiff.is_ome:
        found = ome_orders(str(tiff.pages[0].description), len(pages), where)
        if found:
            return found
    if tiff.is_imagej:
        return [imagej_order(tiff.imagej_metadata or {}, pages[0], len(pages), where)]
    alike = list(like_pages([_kind(page) for page in pages]))
    named = shaped_order(str(pages[0].description), len(pages)) if len(alike) == 1 else None
    return [named] if named is not None else alike


def _samples(page: Any, where: str) -> int:
    """Values per pixel; Raises GeometryError for pages that are no plain planes."""
    compression = int(page.compression)
    if compression not in LOSSLESS:
        raise GeometryError(
            f"{where}: packed by {getattr(page.compression, 'name', compression)}, which is not read; save it without "
            "compression, or with deflate"
        )
    samples = int(page.samplesperpixel)
    fits = page.shape in (
        (page.imagelength, page.imagewidth),
        (page.imagelength, page.imagewidth, samples),
    )
    if page.dtype is None or not fits or samples < 1 or int(page.imagedepth) != 1:
        raise GeometryError(f"{where}: its pages have shape {tuple(page.shape)}; planes of grey levels are needed")
    return samples


def _one_after_the_other(
    page: Any, path: Path, where: str, shape: tuple[int, int, int], positions: list[int], spacing: Spacing
) -> Stack:
    """The stack of an ImageJ file with one page, behind whose values those of all the others lie."""
    if not _is_plain(page):
        raise GeometryError(f"{where}: ImageJ speaks of {len(positions)} images, but only the first is there")
    dtype = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
    plane = shape[1] * shape[2] * dtype.itemsize
    starts = tuple(int(page.dataoffsets[0]) + p * plane for p in positions)
    return make_raw_stack(where, path, Layout(starts, shape, dtype), spacing)


def _is_plain(page: Any) -> bool:
    """Whether the values of a page lie in the file as they are."""
    dtype = np.dtype(page.dtype)
    return (
        int(page.compression) == 1
        and int(page.predictor) == 1
        and int(page.fillorder) == 1
        and int(page.bitspersample) == 8 * dtype.itemsize
        and bool(page.is_contiguous)
        and int(page.planarconfig) == 1
    )


def _of_pages(
    pages: list[Any],
    path: Path,
    where: str,
    shape: tuple[int, int, int],
    inner: int,
    n_samples: int,
    spacing: Spacing,
) -> Stack:
    unlike = next((page for page in pages if _kind(page) != _kind(pages[0])), None)
    if unlike is not None:
        raise GeometryError(f"{where}: its planes are not alike: {_kind(pages[0])[:2]} and {_kind(unlike)[:2]}")
    if all(_is_plain(page) for page in pages):
        dtype = np.dtype(pages[0].dtype).newbyteorder(pages[0].parent.byteorder)
        starts = tuple(int(page.dataoffsets[0]) for page in pages)
        return make_raw_stack(where, path, Layout(starts, shape, dtype, n_samples, inner), spacing)
    dtype, length = np.dtype(pages[0].dtype), path.stat().st_size
    claimed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    check_expansion(where, shape, dtype, claimed * n_samples, length)
    target: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
    for page in pages:
        _check_pieces(page, n_samples, where, length)
        values = np.asarray(_decoded(page, where)).reshape(shape[1], shape[2], n_samples)[..., inner]
        target.write(np.ascontiguousarray(values, dtype).tobytes())
    plane = shape[1] * shape[2] * dtype.itemsize
    return make_raw_stack(where, target, Layout(tuple(k * plane for k in range(shape[0])), shape, dtype), spacing)


def _decoded(page: Any, where: str) -> np.ndarray:
    try:
        return page.asarray(maxworkers=1)
    except ERRORS as error:
        packing = LOSSLESS[int(page.compression)]
        hint = "" if int(page.compression) not in _NEED_CODECS else f"; {packing} needs: pip install imagecodecs"
        raise GeometryError(f"{where}: page {page.index} cannot be decoded ({reason_of(error)}){hint}") from error


def _check_pieces(page: Any, n_samples: int, where: str, length: int) -> None:
    """Refuse pieces (strips, tiles) that lie beyond the file, or that unpack to more than they say."""
    dtype = np.dtype(page.dtype)
    plane = int(page.imagelength) * int(page.imagewidth) * n_samples * dtype.itemsize
    piece = int(np.prod(page.chunks, dtype=object)) * dtype.itemsize
    if piece > 4 * plane + _LARGEST_TILE:
        raise GeometryError(f"{where}: has tiles of {tuple(page.chunks)} in planes of {tuple(page.shape)}")
    starts, counts = page.dataoffsets, page.databytecounts
    n_pieces = int(np.prod(page.chunked, dtype=object))
    if len(starts) != len(counts) or len(starts) < n_pieces:
        raise GeometryError(f"{where}: page {page.index} has {len(starts):,} pieces of {n_pieces:,}; it was cut off")
    for start, count in zip(starts, counts, strict=True):
        if start <= 0 or count <= 0 or start + count > length:
            raise cut_off(where, tuple(page.shape), dtype, int(start + count), length)
        if count > piece + piece // 8 + _OVERHEAD:
            raise GeometryError(
                f"{where}: has packed pieces of {count:,} bytes for {piece:,} plain ones; it is damaged"
            )
        if int(page.compression) in _DEFLATE:
            _check_deflate(page, int(start), int(count), piece, where)


def _check_deflate(page: Any, start: int, count: int, piece: int, where: str) -> None:
    """Refuse a piece that unpacks to more than it says: what reads it has no bound of its own."""
    handle = page.parent.filehandle
    handle.seek(start)
    unpacker = zlib.decompressobj()
    n = len(unpacker.decompress(handle.read(count), piece + _OVERHEAD))
    if n >= piece + _OVERHEAD:
        raise GeometryError(f"{where}: a piece of {piece:,} bytes unpacks to more; it is damaged, or made to do harm")

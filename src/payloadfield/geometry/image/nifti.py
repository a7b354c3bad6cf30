"""NIfTI images: nibabel reads the header, the planes are read as they are needed."""

import gzip
import math
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
)
from payloadfield.geometry.image.turns import axis_steps

# A header and its extensions are no longer than this.
_HEAD = 2**20


def read_nifti(path: Path, where: str, choice: Choice, *, ignore_turns: bool = False) -> Stack:
    """The stack of a NIfTI-1 or -2 file (.nii, .nii.gz).  Raises GeometryError for what is damaged or turned."""
    try:
        from nibabel.spatialimages import HeaderDataError
        from nibabel.wrapstruct import WrapStructError
    except ImportError as error:
        raise GeometryError(
            f"{where}: NIfTI files are read by nibabel, which is missing; install it by: "
            "pip install 'payloadfield[images]'"
        ) from error
    try:
        return _stack(path, where, choice, ignore_turns=ignore_turns)
    except (*READER_ERRORS, HeaderDataError, WrapStructError) as error:
        raise GeometryError(f"{where}: no readable NIfTI file ({reason_of(error)})") from error


def _stack(path: Path, where: str, choice: Choice, *, ignore_turns: bool) -> Stack:
    packed = path.name.lower().endswith(".gz")
    header = _header(path, packed, where)
    dtype, shape = header.get_data_dtype(), tuple(int(n) for n in header.get_data_shape())
    slope, intercept = (1.0, 0.0) if None in (pair := header.get_slope_inter()) else (float(p) for p in pair)
    offset = int(header.get_data_offset())
    nx, ny, nz, n_times, *rest = (*shape, *(1,) * (7 - len(shape)))
    if min(shape, default=0) < 1 or not np.isfinite([slope, intercept]).all() or offset < 0:
        raise GeometryError(f"{where}: its header is damaged: shape {shape}, scale {slope}, values from byte {offset}")
    spacing, flips = NO_SPACING, (False, False, False)
    if not ignore_turns:
        spacing, flips = _spacing(header, where)
    time, channel = (
        one_of("time", n_times, choice.time, where),
        one_of("channel", math.prod(rest), choice.channel, where),
    )
    check_numbers(where, (nz, ny, nx), dtype)
    plane = nx * ny * dtype.itemsize
    first = offset + (channel * n_times + time) * nz * plane
    layout = Layout(range_of_planes(first, nz, plane), (nz, ny, nx), dtype, 1, 0, flips, slope, intercept)
    if not packed:
        return make_raw_stack(where, path, layout, spacing)
    check_expansion(where, layout.shape, dtype, layout.end, path.stat().st_size)
    return make_raw_stack(where, _unpacked(path, layout.end, where), layout, spacing)


def _header(path: Path, packed: bool, where: str) -> Any:
    import nibabel

    with path.open("rb") as file:
        head = gzip.GzipFile(fileobj=file).read(_HEAD) if packed else file.read(_HEAD)
    kinds = (nibabel.Nifti1Header, nibabel.Nifti2Header)
    kind = next((kind for kind in kinds if kind.may_contain_header(head)), None)
    if kind is None:
        raise GeometryError(f"{where}: does not begin as NIfTI files do")
    # Extensions behind the header are of no use here, and their lengths are not to be trusted.
    return kind(head[: kind.template_dtype.itemsize], check=False)


def _spacing(header: Any, where: str) -> tuple[Spacing, tuple[bool, bool, bool]]:
    """Edges of voxels z, y, x and which axes run backwards."""
    affine = np.asarray(header.get_best_affine(), float)[:3, :3]
    unit = header.get_xyzt_units()[0]
    if int(header["qform_code"]) <= 0 and int(header["sform_code"]) <= 0:
        # No directions are said, and those assumed in their place mirror x.
        affine = np.diag(np.abs(np.asarray(header["pixdim"], float)[1:4]))
    if not np.isfinite(affine).all() or not affine.any():
        return NO_SPACING, (False, False, False)
    x, y, z = axis_steps(affine.T, where)
    return (in_um(abs(z), unit), in_um(abs(y), unit), in_um(abs(x), unit)), (z < 0, y < 0, x < 0)


def _unpacked(path: Path, needed: int, where: str) -> IO[bytes]:
    try:
        with path.open("rb") as file:
            return unpack(where, gzip.GzipFile(fileobj=file), needed)
    except READER_ERRORS as error:
        raise GeometryError(f"{where}: cannot be unpacked ({reason_of(error)}); it was cut off or damaged") from error

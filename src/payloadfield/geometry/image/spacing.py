"""Lengths of voxels as image files say them, in um; None where a file says nothing that can be trusted."""

import math
from typing import Any

#: Units in the words of OME, ImageJ, NRRD and NIfTI files, in um.
UNITS = {
    "nm": 1e-3, "nanometer": 1e-3, "nanometre": 1e-3,
    "um": 1.0, "\u00b5m": 1.0, "\u03bcm": 1.0, "\\u00b5m": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0,
    "micrometre": 1.0, "mm": 1e3, "millimeter": 1e3, "millimetre": 1e3, "cm": 1e4, "centimeter": 1e4, "m": 1e6,
    "meter": 1e6, "metre": 1e6, "inch": 25400.0, "in": 25400.0,
}  # fmt: skip
# No voxel is smaller than an atom or larger than a metre [um].
SMALLEST, LARGEST = 1e-4, 1e6


def in_um(value: Any, unit: Any) -> float | None:
    """A length in um, or None for an unknown unit or a length that no voxel has."""
    scale = UNITS.get(str(unit).strip().strip('"').lower())
    try:
        length = float(value) * scale if scale is not None else math.nan
    except (TypeError, ValueError, OverflowError):
        return None
    return length if SMALLEST <= length <= LARGEST else None

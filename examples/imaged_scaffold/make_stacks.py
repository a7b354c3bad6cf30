"""Write a synthetic scan of a scaffold and a segmented image of its cells, as a microscope would.

    python make_stacks.py [FOLDER]

scan.tif: grey levels of two crossed layers of strands, blurred and noisy, voxels of 1.5 x 1.5 x 3 um (ImageJ TIFF)
cells.ome.tif: a label for each cell, 0 elsewhere, on the same voxels (OME-TIFF); types.csv: the type of each label
"""

import sys
from pathlib import Path

import numpy as np
import tifffile

SHAPE, SPACING = (20, 80, 80), (3.0, 1.5, 1.5)  # z, y, x; um
STRANDS, WIDTH = (30.0, 90.0), 26.0
N_CELLS = 12
SEED = 7


def places() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates z, y, x of the middles of all voxels [um]."""
    z, y, x = ((np.arange(n) + 0.5) * s for n, s in zip(SHAPE, SPACING, strict=True))
    return z[:, None, None], y[None, :, None], x[None, None, :]


def depth() -> np.ndarray:
    """How deep each voxel lies in a strand, negative outside [um]."""
    z, y, x = places()
    along_x = [WIDTH / 2 - np.sqrt((y - at) ** 2 + (z - 15.0) ** 2) + 0 * x for at in STRANDS]
    along_y = [WIDTH / 2 - np.sqrt((x - at) ** 2 + (z - 40.0) ** 2) + 0 * y for at in STRANDS]
    return np.max(along_x + along_y, axis=0)


def scan(rng: np.random.Generator) -> np.ndarray:
    """Grey levels: 40 in medium and 200 in strands, over an edge of some voxels, with noise."""
    levels = 120 + 80 * np.tanh(depth() / 3.0)
    return np.clip(levels + rng.normal(0, 4, SHAPE), 0, 255).astype(np.uint8)


def cells(rng: np.random.Generator) -> np.ndarray:
    """Labels of round cells of 8 to 12 um that touch neither strands nor each other."""
    labels, (z, y, x), inside = np.zeros(SHAPE, np.uint16), places(), depth()
    while labels.max() < N_CELLS:
        centre, radius = rng.uniform(8, [52, 112, 112]), rng.uniform(4, 6)
        ball = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < radius**2
        if inside[ball].max() < -2 and not labels[ball].any():
            labels[ball] = labels.max() + 1
    return labels


def main(folder: Path) -> None:
    """Write the three files."""
    rng = np.random.default_rng(SEED)
    z, y, x = SPACING
    about = {"spacing": z, "unit": "um", "axes": "ZYX"}
    tifffile.imwrite(folder / "scan.tif", scan(rng), imagej=True, resolution=(1 / x, 1 / y), metadata=about)
    size = {"PhysicalSizeX": x, "PhysicalSizeY": y, "PhysicalSizeZ": z, "axes": "ZYX"}
    tifffile.imwrite(folder / "cells.ome.tif", cells(rng), metadata=size, compression="zlib")
    types = ["SK-BR-3" if label % 3 else "MDA-MB-468" for label in range(1, N_CELLS + 1)]
    (folder / "types.csv").write_text(
        "label,type\n" + "".join(f"{i},{name}\n" for i, name in enumerate(types, start=1))
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)

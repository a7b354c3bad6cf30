"""Takes out of an AnnData file what a list of cells needs: run as a program of its own.

The HDF5 library may crash on a damaged file; here it takes only this process with it.
Arguments: the file, the column of types, the .npz to write, and columns of places.
"""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

SPATIAL = "spatial"


def extract(path: str, type_column: str, columns: Sequence[str]) -> dict[str, Any]:
    """Arrays of an AnnData file; its matrix X is not read.

    n_cells; names: of the columns of obs; spatial: obsm["spatial"], if it is there and no columns are asked for, or
    the columns; types, has_type: if there is such a column
    """
    import anndata

    data = anndata.read_h5ad(path, backed="r")
    obs = data.obs
    found: dict[str, Any] = {"n_cells": np.array(len(obs)), "names": np.array([str(name) for name in obs.columns], "U")}
    if columns and all(name in obs for name in columns):
        found["spatial"] = np.stack([np.asarray(obs[name]) for name in columns], axis=1)
    elif not columns and SPATIAL in data.obsm:
        found["spatial"] = np.asarray(data.obsm[SPATIAL])
    if "spatial" in found and found["spatial"].dtype.kind not in "iuf":
        found["spatial"] = found["spatial"].astype("U")  # which is refused
    if type_column in obs:
        found["types"] = np.array([str(name).strip() for name in obs[type_column]], "U")
        found["has_type"] = ~np.asarray(obs[type_column].isna(), bool)
    data.file.close()
    return found


if __name__ == "__main__":
    np.savez(sys.argv[3], **extract(sys.argv[1], sys.argv[2], sys.argv[4:]))

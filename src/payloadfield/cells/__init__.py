"""Cells: what is asked for, where they are placed, and the voxels that they touch."""

from payloadfield.cells.cells import Cells
from payloadfield.cells.excluded import MINIMUM_OPEN, exclude_volume
from payloadfield.cells.h5ad import H5adColumns, has_anndata, read_cells_h5ad, write_cells_h5ad
from payloadfield.cells.labelled import read_labelled_cells, types_by_range, types_by_table
from payloadfield.cells.layout import PATTERNS, CellShare, Gradient, Spheroids
from payloadfield.cells.listed import ListedCells, read_cells_csv
from payloadfield.cells.place import place_cells
from payloadfield.cells.request import PLACES, CellRequest
from payloadfield.cells.surface import surface_area
from payloadfield.cells.touching import touching_pairs

__all__ = [
    "MINIMUM_OPEN",
    "PATTERNS",
    "PLACES",
    "CellRequest",
    "CellShare",
    "Cells",
    "Gradient",
    "H5adColumns",
    "ListedCells",
    "Spheroids",
    "exclude_volume",
    "has_anndata",
    "place_cells",
    "read_cells_csv",
    "read_cells_h5ad",
    "read_labelled_cells",
    "surface_area",
    "touching_pairs",
    "types_by_range",
    "types_by_table",
    "write_cells_h5ad",
]

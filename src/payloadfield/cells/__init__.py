"""Cells: what is asked for, where they are placed, and the voxels that they touch."""

from payloadfield.cells.cells import Cells
from payloadfield.cells.excluded import MINIMUM_OPEN, exclude_volume
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
    "ListedCells",
    "Spheroids",
    "exclude_volume",
    "place_cells",
    "read_cells_csv",
    "surface_area",
    "touching_pairs",
]

"""Cells: what is asked for, where they are placed, and the voxels that they touch."""

from payloadfield.cells.cells import Cells
from payloadfield.cells.listed import ListedCells, read_cells_csv
from payloadfield.cells.place import place_cells
from payloadfield.cells.request import PLACES, CellRequest
from payloadfield.cells.surface import surface_area
from payloadfield.cells.touching import touching_pairs

__all__ = [
    "PLACES",
    "CellRequest",
    "Cells",
    "ListedCells",
    "place_cells",
    "read_cells_csv",
    "surface_area",
    "touching_pairs",
]

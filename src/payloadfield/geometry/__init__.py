"""Voxel grids, scaffold shapes, and the open fractions, apertures and walls that they leave."""

from payloadfield.geometry.box import Box
from payloadfield.geometry.combined import Difference, Intersection, Union
from payloadfield.geometry.cylinder import Cylinder
from payloadfield.geometry.droplets import Droplets
from payloadfield.geometry.gcode import (
    GCODE_UNITS,
    Code,
    Print,
    PrintedStrands,
    PrintSettings,
    PrintSummary,
    Switch,
    Toolpath,
    make_strands,
    place_print,
    read_gcode,
    summarise_print,
)
from payloadfield.geometry.geometry import Geometry
from payloadfield.geometry.grid import AXES, SIDES, FloatArray, VoxelGrid, make_grid
from payloadfield.geometry.image import ImageLevel, PlacedImage, Stack, VoxelImage, as_labels, otsu, read_image
from payloadfield.geometry.label_array import LabelArray, listed_labels
from payloadfield.geometry.make import make_geometry
from payloadfield.geometry.material import MEDIUM, Material
from payloadfield.geometry.measure import Measures, Spread, local_thickness, measure_geometry
from payloadfield.geometry.mesh import MESH_UNITS, Mesh, Triangles, make_triangles, read_mesh
from payloadfield.geometry.minimal_surface import MinimalSurface
from payloadfield.geometry.placed import Moved, Repeated, Rotated
from payloadfield.geometry.pockets import Pockets, find_pockets
from payloadfield.geometry.shape import Shape
from payloadfield.geometry.sphere import Sphere
from payloadfield.geometry.wall import wall_vectors
from payloadfield.geometry.well import Well
from payloadfield.geometry.woodpile import Woodpile

__all__ = [
    "AXES",
    "GCODE_UNITS",
    "MEDIUM",
    "MESH_UNITS",
    "SIDES",
    "Box",
    "Code",
    "Cylinder",
    "Difference",
    "Droplets",
    "FloatArray",
    "Geometry",
    "ImageLevel",
    "Intersection",
    "LabelArray",
    "Material",
    "Measures",
    "Mesh",
    "MinimalSurface",
    "Moved",
    "PlacedImage",
    "Pockets",
    "Print",
    "PrintSettings",
    "PrintSummary",
    "PrintedStrands",
    "Repeated",
    "Rotated",
    "Shape",
    "Sphere",
    "Spread",
    "Stack",
    "Switch",
    "Toolpath",
    "Triangles",
    "Union",
    "VoxelGrid",
    "VoxelImage",
    "Well",
    "Woodpile",
    "as_labels",
    "find_pockets",
    "listed_labels",
    "local_thickness",
    "make_geometry",
    "make_grid",
    "make_strands",
    "make_triangles",
    "measure_geometry",
    "otsu",
    "place_print",
    "read_gcode",
    "read_image",
    "read_mesh",
    "summarise_print",
    "wall_vectors",
]

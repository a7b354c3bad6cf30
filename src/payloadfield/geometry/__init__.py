"""Voxel grids, scaffold shapes, and the open fractions, apertures and walls that they leave."""

from payloadfield.geometry.box import Box
from payloadfield.geometry.cylinder import Cylinder
from payloadfield.geometry.geometry import Geometry
from payloadfield.geometry.grid import AXES, SIDES, FloatArray, VoxelGrid, make_grid
from payloadfield.geometry.label_array import LabelArray
from payloadfield.geometry.make import make_geometry
from payloadfield.geometry.material import MEDIUM, Material
from payloadfield.geometry.pockets import Pockets, find_pockets
from payloadfield.geometry.profile import radial_profile
from payloadfield.geometry.shape import Shape
from payloadfield.geometry.sphere import Sphere
from payloadfield.geometry.wall import wall_vectors
from payloadfield.geometry.woodpile import Woodpile

__all__ = [
    "AXES", "MEDIUM", "SIDES", "Box", "Cylinder", "FloatArray", "Geometry", "LabelArray", "Material", "Pockets",
    "Shape", "Sphere", "VoxelGrid", "Woodpile", "find_pockets", "make_geometry", "make_grid", "radial_profile",
    "wall_vectors",
]

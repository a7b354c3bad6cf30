"""Scaffolds given as triangle meshes: reading, checking, and their distances on a grid."""

from payloadfield.geometry.mesh.reading import MESH_UNITS, read_mesh
from payloadfield.geometry.mesh.shape import Mesh
from payloadfield.geometry.mesh.triangles import Triangles, make_triangles

__all__ = ["MESH_UNITS", "Mesh", "Triangles", "make_triangles", "read_mesh"]

"""Scaffolds given as image stacks: reading, thresholds, and their levels or voxels on a grid."""

from payloadfield.geometry.image.level import ImageLevel
from payloadfield.geometry.image.place import PlacedImage
from payloadfield.geometry.image.reading import read_image
from payloadfield.geometry.image.stack import Stack
from payloadfield.geometry.image.threshold import otsu
from payloadfield.geometry.image.voxels import VoxelImage, as_labels

__all__ = ["ImageLevel", "PlacedImage", "Stack", "VoxelImage", "as_labels", "otsu", "read_image"]

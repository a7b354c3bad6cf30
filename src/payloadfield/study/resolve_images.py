"""Scaffolds of shape "image": from the keys of a study to levels, or to voxels, of a stack."""

from __future__ import annotations

from pathlib import Path

from payloadfield.errors import GeometryError
from payloadfield.geometry import ImageLevel, PlacedImage, VoxelImage, read_image
from payloadfield.study.scaffold_tables import UNTOUCHED, ImageTable, StackTable

Triple = tuple[float, float, float]


def place_image(table: StackTable, folder: Path, *, may_end: bool = True) -> PlacedImage:
    """The stack that a table names, with its spacing and its place.  Raises GeometryError where it cannot be had."""
    stack = read_image(
        folder / table.file,
        channel=table.channel,
        time=table.time,
        series=table.series,
        ignore_turns=table.spacing is not None,
    )
    spacing = stack.spacing_or(_zyx(table.spacing) if table.spacing is not None else None)
    return PlacedImage(stack, spacing, _zyx(table.at), table.centre, may_end)


def make_image(table: ImageTable, material: str | None, folder: Path) -> ImageLevel | VoxelImage:
    """The shape of an image.

    material: what it is of, None where its labels say so
    Raises GeometryError for a file that cannot be read, and for voxels that should be turned or repeated.
    """
    image = place_image(table, folder, may_end=table.outside is not None)
    if table.threshold is not None and table.surface != "voxels":
        assert material is not None  # refused before
        return ImageLevel(material, image, table.threshold, table.invert)
    if table.rotate is not None or table.repeat is not None:
        raise GeometryError(
            f"{image.stack.where}: labels and voxels can be moved, but not turned or repeated; turn the image itself, "
            'or take a threshold with surface = "level"'
        )
    z, y, x = (a + b for a, b in zip(image.at, _zyx(table.translate or (0.0, 0.0, 0.0)), strict=True))
    placed = PlacedImage(image.stack, image.spacing, (z, y, x), image.centre, image.may_end)
    if table.threshold is not None:
        return VoxelImage(placed, {}, material, table.threshold, table.invert)
    labels = {int(label): None if name == UNTOUCHED else name for label, name in (table.labels or {}).items()}
    return VoxelImage(placed, labels)


def _zyx(point: Triple) -> Triple:
    x, y, z = point
    return z, y, x

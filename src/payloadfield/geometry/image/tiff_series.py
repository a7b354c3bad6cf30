"""What the metadata of a TIFF file says of its pages: which belong together, in which order, and how far apart.

OME-XML (OME-TIFF), the description that ImageJ writes, that of tifffile, or nothing: then like pages are planes.
"""

import json
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from payloadfield.errors import GeometryError
from payloadfield.geometry.image.spacing import in_um
from payloadfield.geometry.image.stack import NO_SPACING, Spacing

# Units of the TIFF tag ResolutionUnit.
_RESOLUTION_UNITS = {2: "inch", 3: "cm"}


@dataclass(frozen=True)
class PageOrder:
    """Pages of one image: that of plane z, channel c and time t is pages[t, c, z], the fastest one last in `order`.

    sizes: number along "z", "c", "t"; order: from the slowest to the fastest, such as "tzc"
    pages: number of each page in the file, in that order; None for one page that holds all planes one after the other
    """

    sizes: Mapping[str, int]
    order: str
    spacing: Spacing = NO_SPACING
    pages: tuple[int, ...] | None = field(default=None)

    @property
    def n_planes(self) -> int:
        """Number of planes."""
        return math.prod(self.sizes.values())

    def positions(self, channel: int, time: int) -> list[int]:
        """Position of the planes of a channel and a time, by z."""
        found = []
        for z in range(self.sizes["z"]):
            place, position = {"z": z, "c": channel, "t": time}, 0
            for axis in self.order:
                position = position * self.sizes[axis] + place[axis]
            found.append(position)
        return found


def resolution_spacing(page: Any) -> tuple[float | None, float | None]:
    """Edges y, x of a pixel from the tags of resolution [um]."""
    tag = page.tags.get("ResolutionUnit")
    unit = _RESOLUTION_UNITS.get(int(tag.value)) if tag is not None else "inch"
    return _per_length(page, "YResolution", unit), _per_length(page, "XResolution", unit)


def _per_length(page: Any, name: str, unit: str | None) -> float | None:
    tag = page.tags.get(name)
    if tag is None or unit is None:
        return None
    count, length = tag.value
    return in_um(length / count, unit) if count else None


def imagej_order(metadata: Mapping[str, Any], page: Any, n_pages: int, where: str) -> PageOrder:
    """Order of an ImageJ file: channels fastest, then planes, then times."""
    n_images = int(metadata.get("images", n_pages))
    channels, frames = int(metadata.get("channels", 1)), int(metadata.get("frames", 1))
    slices = int(metadata.get("slices", n_images if channels * frames == 1 else 1))
    if min(n_images, channels, frames, slices) < 1 or channels * frames * slices != n_images:
        raise GeometryError(
            f"{where}: ImageJ speaks of {n_images} images, but of {channels} channels, {slices} slices, {frames} frames"
        )
    if n_pages not in (1, n_images):
        raise GeometryError(f"{where}: ImageJ speaks of {n_images:,} images, but there are {n_pages:,}; it was cut off")
    unit = metadata.get("unit")
    y, x = (_per_length(page, name, str(unit)) for name in ("YResolution", "XResolution"))
    z = in_um(metadata.get("spacing"), unit)
    sizes = {"z": slices, "c": channels, "t": frames}
    pages = None if n_pages < n_images else tuple(range(n_images))
    return PageOrder(sizes, "tzc", (z, y, x), pages)


def ome_orders(text: str, n_pages: int, where: str) -> list[PageOrder]:
    """Order of each image of an OME-TIFF file.  Raises GeometryError where planes are missing or in other files."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise GeometryError(f"{where}: its OME-XML defines entities, which no microscope does")
    root = ElementTree.fromstring(text)
    if any(element.tag.endswith("BinaryOnly") for element in root):
        raise GeometryError(f"{where}: is one of several files of an OME-TIFF; convert them into one file")
    pixels = [each for image in root if image.tag.endswith("Image") for each in image if each.tag.endswith("Pixels")]
    return [_ome_order(each, n_pages, where) for each in pixels]


def _ome_order(pixels: ElementTree.Element, n_pages: int, where: str) -> PageOrder:
    said = pixels.attrib
    sizes = {axis: int(said[f"Size{axis.upper()}"]) for axis in "zct"}
    samples = [int(c.attrib.get("SamplesPerPixel", 1)) for c in pixels if c.tag.endswith("Channel")]
    if samples and max(samples) > 1:
        sizes["c"] = len(samples)  # colours lie within a page
    order = "".join(axis for axis in reversed(said["DimensionOrder"].lower()) if axis in "zct")
    n_planes = math.prod(sizes.values())
    if sorted(order) != ["c", "t", "z"] or min(sizes.values()) < 1:
        raise GeometryError(f"{where}: its OME-XML is damaged: sizes {sizes}, order {said['DimensionOrder']!r}")
    if n_planes > n_pages:
        raise GeometryError(
            f"{where}: its OME-XML speaks of {n_planes:,} planes, but there are {n_pages:,}; it was cut off, or the "
            "others are in other files: convert them into one file"
        )
    length = [in_um(said.get(f"PhysicalSize{a}"), said.get(f"PhysicalSize{a}Unit", "um")) for a in "ZYX"]
    order_of_pages = PageOrder(sizes, order, (length[0], length[1], length[2]))
    return PageOrder(sizes, order, order_of_pages.spacing, _ome_pages(pixels, order_of_pages, where))


def _ome_pages(pixels: ElementTree.Element, order: PageOrder, where: str) -> tuple[int, ...]:
    """Number of the page of each plane, as the elements TiffData say."""
    pages = [-1] * order.n_planes
    for data in (each for each in pixels if each.tag.endswith("TiffData")):
        said = data.attrib
        place = 0
        for axis in order.order:
            place = place * order.sizes[axis] + int(said.get(f"First{axis.upper()}", 0))
        first, count = int(said.get("IFD", 0)), int(said.get("PlaneCount", 1 if "IFD" in said else order.n_planes))
        for step in range(min(count, order.n_planes - place) if place >= 0 else 0):
            pages[place + step] = first + step
    if all(page < 0 for page in pages):
        pages = list(range(order.n_planes))
    if min(pages) < 0:
        raise GeometryError(f"{where}: its OME-XML places {sum(p < 0 for p in pages):,} planes nowhere")
    return tuple(pages)


def shaped_order(text: str, n_pages: int) -> PageOrder | None:
    """Order that tifffile wrote down, where its axes have names; None otherwise."""
    try:
        said = json.loads(text)
        axes, shape = str(said["axes"]).lower(), [int(n) for n in said["shape"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    leading = {axis: n for axis, n in zip(axes, shape, strict=False) if axis in "zct"}
    order = "".join(leading) + "".join(axis for axis in "tcz" if axis not in leading)
    sizes = {axis: leading.get(axis, 1) for axis in "zct"}
    fits = len(axes) == len(shape) and min(sizes.values()) >= 1 and math.prod(sizes.values()) == n_pages
    return PageOrder(sizes, order, pages=tuple(range(n_pages))) if fits else None


def like_pages(kinds: list[Any]) -> Iterator[PageOrder]:
    """Pages of the same kind as the planes of one image each."""
    for kind in dict.fromkeys(kinds):
        pages = tuple(i for i, each in enumerate(kinds) if each == kind)
        yield PageOrder({"z": len(pages), "c": 1, "t": 1}, "tcz", pages=pages)

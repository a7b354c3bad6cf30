"""A shaded view of a scaffold and its cells, drawn without a display: rays through the voxels, in NumPy.

Every pixel sends one ray along the view (orthographic). The surface of the solid is where its share of the voxels,
linear between their centres, passes one half; its normal is the gradient of that share, smoothed. Light falls from the
upper left (Lambert), corners are darkened by how much solid is around, and what is far away fades. Cells are spheres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

# Rays are followed in steps of this many voxels; voxels of more than this many an edge are joined before; rays that are
# done are let go of after so many steps.
_STEP, _MOST_EDGE, _DROP_EVERY = 0.75, 200, 6
# Smoothing of the share for normals, and of what darkens corners, in voxels.
_SMOOTH, _AROUND = 1.0, 5.0
_AMBIENT, _CORNERS, _FADE = 0.55, 0.6, 0.3
# Pixels of cells that are drawn at once.
_AT_ONCE = 1 << 20
# Smallest radius of a cell, in pixels: smaller ones would not be seen.
SMALLEST_CELL = 3.2
# A gel as deep as a tenth of the box hides this much of what is behind it; never more than the other.
_GEL_AT_TENTH, _GEL_AT_MOST = 0.16, 0.6


@dataclass(frozen=True)
class Scene:
    """What is looked at; colours are red, green, blue from 0 to 1.

    solid: (nz, ny, nx) closed share of each voxel [1]
    colour_of_solid: (nz, ny, nx) index in solid_colours of what closes it, or is nearest to it
    gel: (nz, ny, nx) index in gel_colours, or -1
    spacing: edge of a voxel [um]; cells: (n, 3) centres z, y, x [um]; radius: (n,) [um]; cell_colours: (n, 3)
    """

    solid: FloatArray
    colour_of_solid: npt.NDArray[np.integer]
    solid_colours: FloatArray
    gel: npt.NDArray[np.int8]
    gel_colours: FloatArray
    spacing: float
    cells: FloatArray
    radius: FloatArray
    cell_colours: FloatArray


class View:
    """An orthographic view of a box from a direction, with room for the whole of it.

    size: edges z, y, x [um]; azimuth, elevation: of the eye [degrees]; pixels: of the longer side of the picture
    """

    def __init__(self, size: tuple[float, float, float], azimuth: float, elevation: float, pixels: int) -> None:
        a, e = math.radians(azimuth), math.radians(elevation)
        # Vectors are z, y, x.
        self.towards_eye = np.array([math.sin(e), math.cos(e) * math.sin(a), math.cos(e) * math.cos(a)])
        self.right = np.array([0.0, math.cos(a), -math.sin(a)])
        self.up = np.array([math.cos(e), -math.sin(e) * math.sin(a), -math.sin(e) * math.cos(a)])
        self.middle = np.array(size) / 2
        corners = np.array(list(product(*((0.0, length) for length in size)))) - self.middle
        self.half_width, self.half_height, self.half_depth = (
            float(np.abs(corners @ v).max()) for v in (self.right, self.up, self.towards_eye)
        )
        self.pixel = 2 * max(self.half_width, self.half_height) / pixels
        self.shape = (
            max(1, math.ceil(2 * self.half_height / self.pixel)), max(1, math.ceil(2 * self.half_width / self.pixel)),
        )  # fmt: skip

    def project(self, points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Places of points (n, 3) in the picture, right and up from its middle, and their depth behind it [um]."""
        away = np.asarray(points) - self.middle
        return away @ self.right, away @ self.up, -(away @ self.towards_eye)

    def starts(self) -> FloatArray:
        """Where the ray of each pixel crosses the plane through the middle: (rows * columns, 3), from the top [um]."""
        rows, columns = self.shape
        up = ((rows - 1) / 2 - np.arange(rows)) * self.pixel
        right = (np.arange(columns) - (columns - 1) / 2) * self.pixel
        plane = self.middle + up[:, None, None] * self.up + right[None, :, None] * self.right
        return np.asarray(plane.reshape(-1, 3))


def coarser(scene: Scene) -> Scene:
    """The scene with voxels joined until no edge has more of them than a picture shows."""
    joined = math.ceil(max(scene.solid.shape) / _MOST_EDGE)
    if joined == 1:
        return scene
    shape = scene.solid.shape
    nz, ny, nx = (math.ceil(n / joined) for n in shape)
    middles = [np.minimum(np.arange(math.ceil(n / joined)) * joined + joined // 2, n - 1) for n in shape]
    solid = np.pad(scene.solid, [(0, -n % joined) for n in shape], mode="edge")
    return replace(
        scene,
        solid=solid.reshape(nz, joined, ny, joined, nx, joined).mean(axis=(1, 3, 5), dtype=np.float32),
        colour_of_solid=scene.colour_of_solid[np.ix_(*middles)],
        gel=scene.gel[np.ix_(*middles)],
        spacing=scene.spacing * joined,
    )


def render(scene: Scene, view: View) -> FloatArray:
    """The picture: (rows, columns, 4) red, green, blue and opacity, from 0 to 1."""
    scene = coarser(scene)
    depth = _march(scene.solid, scene.spacing, view)
    colour = _shade(scene, depth, view)
    _draw_cells(scene, view, depth, colour)
    opacity = np.isfinite(depth).astype(float)
    colour = _fade(colour, depth, view)
    _lay_gel_over(scene, view, depth, colour, opacity)
    return np.concatenate([colour, opacity[:, None]], axis=1).reshape(*view.shape, 4)


def _index(points: FloatArray, spacing: float) -> FloatArray:
    """Places [um] as fractional indices of an array with a margin of one voxel, (3, n)."""
    return points.T / spacing + 0.5


def _sample(values: FloatArray, index: FloatArray) -> FloatArray:
    from scipy.ndimage import map_coordinates

    return np.asarray(map_coordinates(values, index, order=1, mode="constant", prefilter=False))


class _Rays:
    """Rays on their way through a box, all of them from where they enter it.

    pixel: (n,) of those still going; depth: (n,) of the next place [um]; index: (3, n) of that place in an array with a
    margin of one voxel
    """

    def __init__(self, view: View, shape: tuple[int, ...], spacing: float, step: float) -> None:
        starts = view.starts()
        slope = np.where(np.abs(view.towards_eye) > 1e-12, -view.towards_eye, 1e-12)
        low, high = -starts / slope, (np.array(shape) * spacing - starts) / slope
        enter, leave = np.minimum(low, high).max(axis=1), np.maximum(low, high).min(axis=1)
        self.pixel = np.flatnonzero(enter < leave)
        self.depth, self._leave = enter[self.pixel], leave[self.pixel]
        self.index = _index(starts[self.pixel] + self.depth[:, None] * slope, spacing)
        self._move, self.step = (slope * step / spacing)[:, None], step

    def advance(self) -> None:
        """One step on."""
        self.depth += self.step
        self.index += self._move

    def drop(self, is_done: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Let go of rays that are done or have left the box; which of them stay."""
        stay = ~is_done & (self.depth <= self._leave)
        self.pixel, self.depth, self._leave = self.pixel[stay], self.depth[stay], self._leave[stay]
        self.index = np.ascontiguousarray(self.index[:, stay])
        return stay


def _march(solid: FloatArray, spacing: float, view: View) -> FloatArray:
    """Depth at which each ray first meets the solid, where it enters the box at the earliest [um]; else infinite."""
    depth = np.full(math.prod(view.shape), np.inf)
    if solid.max() < 0.5:
        return depth
    share = np.pad(solid, 1, mode="edge")
    rays = _Rays(view, solid.shape, spacing, _STEP * spacing)
    before: FloatArray = np.zeros(len(rays.pixel))
    for count in range(1, 1 << 20):
        now = _sample(share, rays.index)
        hit = np.flatnonzero(now >= 0.5)
        part = (now[hit] - 0.5) / np.maximum(now[hit] - before[hit], 1e-12) if count > 1 else np.zeros(len(hit))
        at = rays.depth[hit] - rays.step * np.clip(part, 0, 1)
        depth[rays.pixel[hit]] = np.minimum(depth[rays.pixel[hit]], at)
        rays.advance()
        before = now
        if count % _DROP_EVERY == 0:
            before = before[rays.drop(np.isfinite(depth[rays.pixel]))]
            if not len(before):
                break
    return depth


def _shade(scene: Scene, depth: FloatArray, view: View) -> FloatArray:
    """Colour of the solid where rays meet it, (n, 3); white elsewhere."""
    from scipy.ndimage import gaussian_filter

    colour = np.ones((len(depth), 3))
    met = np.flatnonzero(np.isfinite(depth))
    if not len(met):
        return colour
    points = view.starts()[met] - depth[met, None] * view.towards_eye
    index = _index(points, scene.spacing)
    share = np.pad(scene.solid, 1, mode="edge")
    smooth = gaussian_filter(share, _SMOOTH, mode="nearest")
    out = np.stack([_sample(smooth, index - s) - _sample(smooth, index + s) for s in np.eye(3)[:, :, None]])
    out /= np.maximum(np.linalg.norm(out, axis=0), 1e-9)
    for axis, side in enumerate(np.where(view.towards_eye > 0, np.array(scene.solid.shape) * scene.spacing, 0)):
        cut = np.abs(points[:, axis] - side) < 1e-3 * scene.spacing  # the solid goes on beyond this side of the box
        out[:, cut] = np.where(np.arange(3) == axis, np.sign(view.towards_eye), 0)[:, None]
    around = gaussian_filter(np.pad(scene.solid, 1), _AROUND, mode="constant")
    darkened = np.clip(1 - _CORNERS * _sample(around, index + 0.7 * _AROUND * out), 0, 1)
    inner = np.clip(np.rint(index - 0.7 * out).astype(int) - 1, 0, np.array(scene.solid.shape)[:, None] - 1)
    own = scene.solid_colours[scene.colour_of_solid[tuple(inner)]]
    colour[met] = np.clip(own * (_light(out.T, view) * darkened)[:, None], 0, 1)
    return colour


def _light(normals: FloatArray, view: View) -> FloatArray:
    """Brightness of surfaces by their normals (n, 3): a lamp at the upper left, and a weak one at the eye."""
    lamp = view.towards_eye + 0.9 * view.up - 0.7 * view.right
    lamp /= np.linalg.norm(lamp)
    main, fill = np.clip(normals @ lamp, 0, 1), np.clip(normals @ view.towards_eye, 0, 1)
    return np.asarray(_AMBIENT + 0.62 * main + 0.12 * fill)


def _draw_cells(scene: Scene, view: View, depth: FloatArray, colour: FloatArray) -> None:
    """Draw spheres in front of what is there, in place."""
    if not len(scene.cells):
        return
    rows, columns = view.shape
    right, up, behind = view.project(scene.cells)
    radius = np.maximum(scene.radius, SMALLEST_CELL * view.pixel)
    column, row = right / view.pixel + (columns - 1) / 2, (rows - 1) / 2 - up / view.pixel
    reach = math.ceil(float(radius.max()) / view.pixel)
    around = np.array(list(product(range(-reach, reach + 1), repeat=2)))
    around = around[(around**2).sum(axis=1) <= (reach + 1) ** 2]
    for pixels in np.array_split(around, math.ceil(len(around) * len(row) / _AT_ONCE)):
        r = np.rint(row).astype(int) + pixels[:, :1]
        c = np.rint(column).astype(int) + pixels[:, 1:]
        # Place on the unit sphere: right, up, towards the eye.
        a, b = (c - column) * (view.pixel / radius), (row - r) * (view.pixel / radius)
        seen = np.nonzero((a * a + b * b <= 1) & (r >= 0) & (r < rows) & (c >= 0) & (c < columns))
        a, b, cell = a[seen], b[seen], seen[1]
        height = np.sqrt(1 - a**2 - b**2)
        pixel, at = r[seen] * columns + c[seen], behind[cell] - radius[cell] * height
        np.minimum.at(depth, pixel, at)
        first = depth[pixel] == at
        normals = a[first, None] * view.right + b[first, None] * view.up + height[first, None] * view.towards_eye
        shaded = (
            scene.cell_colours[cell[first]] * _light(normals, view)[:, None] + 0.25 * _gloss(normals, view)[:, None]
        )
        colour[pixel[first]] = np.clip(shaded, 0, 1)


def _gloss(normals: FloatArray, view: View) -> FloatArray:
    half = 2 * view.towards_eye + 0.9 * view.up - 0.7 * view.right
    return np.asarray(np.clip(normals @ (half / np.linalg.norm(half)), 0, 1) ** 30)


def _fade(colour: FloatArray, depth: FloatArray, view: View) -> FloatArray:
    """Colours with what is far away nearer to white."""
    away = np.clip((np.where(np.isfinite(depth), depth, 0) / view.half_depth + 1) / 2, 0, 1)
    share = _FADE * away[:, None] ** 2
    return colour * (1 - share) + share


def _lay_gel_over(scene: Scene, view: View, depth: FloatArray, colour: FloatArray, opacity: FloatArray) -> None:
    """Tint what lies behind gel by how much of it the ray passes before it, in place."""
    if not (scene.gel >= 0).any():
        return
    # Opacity per length, from that at a tenth of the box.
    per_length = -math.log(1 - _GEL_AT_TENTH) / (0.1 * 2 * view.half_depth)
    gel = np.pad(scene.gel, 1, constant_values=-1)
    limit = np.array(gel.shape)[:, None] - 1
    length = np.zeros((len(scene.gel_colours), len(depth)))
    rays = _Rays(view, scene.gel.shape, scene.spacing, 1.5 * scene.spacing)
    while len(rays.pixel):
        z, y, x = np.clip(np.rint(rays.index).astype(np.int32), 0, limit)
        kind = gel[z, y, x]
        among = np.flatnonzero((kind >= 0) & (rays.depth < depth[rays.pixel]))
        length[kind[among], rays.pixel[among]] += rays.step
        rays.advance()
        rays.drop(rays.depth > depth[rays.pixel])
    total = length.sum(axis=0)
    cover = np.minimum(1 - np.exp(-per_length * total), _GEL_AT_MOST)
    tint = (length / np.maximum(total, 1e-12)).T @ scene.gel_colours
    behind = opacity * (1 - cover)
    opacity[:] = behind + cover
    colour[:] = (colour * behind[:, None] + tint * cover[:, None]) / np.maximum(opacity, 1e-12)[:, None]

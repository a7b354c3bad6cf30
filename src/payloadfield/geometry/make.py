"""From shapes to a geometry: open fractions, apertures, walls and distances."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from payloadfield.errors import GeometryError
from payloadfield.geometry.bath import place_bath_walls
from payloadfield.geometry.distance import put_staircases
from payloadfield.geometry.geometry import Geometry
from payloadfield.geometry.grid import FloatArray, VoxelGrid, nowhere, slabs
from payloadfield.geometry.image.voxels import VoxelImage
from payloadfield.geometry.label_array import LabelArray
from payloadfield.geometry.material import Material
from payloadfield.geometry.profile import check_profile
from payloadfield.geometry.scene import BY_DISTANCE, FORCED_CLOSED, FORCED_OPEN, Scene, Slab, make_scene
from payloadfield.geometry.shape import Shape
from payloadfield.geometry.shares import ACROSS_X, ACROSS_Y, ACROSS_Z, VOXELS
from payloadfield.geometry.wall import divide_walls, wall_areas

# A wall within a voxel that is at least this share of it counts as lost; fewer voxels than a share of those cut are not
# told of.
THIN_WALL, TOLD_SHARE = 0.1, 1e-2


@dataclass(eq=False)
class Draft:
    """Arrays of a geometry while it is made."""

    label: npt.NDArray[np.uint8]
    open_label: npt.NDArray[np.uint8]
    forced: npt.NDArray[np.uint8]
    open_fraction: FloatArray
    aperture: tuple[FloatArray, FloatArray, FloatArray]
    surface_distance: FloatArray
    bath_share: npt.NDArray[np.float32] | None
    touched: npt.NDArray[np.bool_]


def make_geometry(
    grid: VoxelGrid,
    shapes: Sequence[Shape | LabelArray | VoxelImage],
    materials: Sequence[Material],
    *,
    accessible_profile: FloatArray | None = None,
) -> Geometry:
    """Geometry of shapes on a grid, later ones overwriting earlier ones.

    Open fractions and apertures follow the signed distance at the voxel corners, or what an image holds of a voxel;
    label arrays give staircases.
    grid: the voxels
    shapes: in the order in which they act; what they leave is medium
    materials: the first one is the medium
    accessible_profile: (nz, ny, nx) factor of the accessible fraction [1]
    Raises GeometryError for an unknown material, an array that does not fit the grid, or a grid without open voxel.
    """
    profile = check_profile(accessible_profile, grid)
    scene = make_scene(grid, shapes, materials)
    draft = _draft(scene)
    _force_labelled_voxels(draft, grid)
    _close_faces_of_closed_voxels(draft, grid)
    _drop_enclosed_voxels(draft, grid)
    if not draft.open_fraction.any():
        raise GeometryError(
            f"geometry: a grid with no open voxel: every one of its {grid.n_voxels:,} voxels is solid or has no "
            "open face; shrink the shapes or refine grid.voxel"
        )
    warnings, beyond = tuple(_warnings(scene, draft)), -1.0 if scene.has_labels else scene.known
    is_surface = _is_surface_material(scene)
    walls = _bath_walls(scene, draft) if "bath" in scene.kinds else None
    # Without a bath nobody asks for distances any more, which take as much memory as an aperture.
    del scene
    if beyond < np.inf:
        put_staircases(draft.surface_distance, grid, is_surface[draft.label], beyond=beyond)
    if walls is None:
        walls = wall_areas(grid, draft.open_fraction, draft.aperture), nowhere(grid), nowhere(grid)
    return Geometry(
        grid,
        tuple(materials),
        draft.label,
        draft.open_label,
        draft.open_fraction,
        *draft.aperture,
        *walls,
        draft.surface_distance,
        profile,
        warnings,
    )


def _bath_walls(scene: Scene, draft: Draft) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Areas of wall towards solid and towards bath, and the distance of the bath; corrects apertures in place."""
    areas = divide_walls(scene, draft.label, draft.open_fraction, draft.aperture, draft.bath_share)
    return *areas, place_bath_walls(scene, draft.open_fraction, draft.aperture, areas[1])


def _draft(scene: Scene) -> Draft:
    nz, ny, nx = shape = scene.grid.shape
    both_walls = scene.kinds >= {"bath", "impermeable"}
    draft = Draft(
        np.empty(shape, np.uint8),
        np.empty(shape, np.uint8),
        np.empty(shape, np.uint8),
        np.empty(shape),
        (np.empty((nz + 1, ny, nx)), np.empty((nz, ny + 1, nx)), np.empty((nz, ny, nx + 1))),
        np.empty(shape),
        np.zeros(shape, np.float32) if both_walls else None,
        np.zeros(len(scene.layers), bool),
    )
    for z0, z1 in slabs(scene.grid):
        _fill(draft, Slab(scene, z0, z1))
    return draft


def _fill(draft: Draft, slab: Slab) -> None:
    planes = slice(slab.z0, slab.z1)
    draft.label[planes], draft.open_label[planes] = slab.label, slab.open_label
    draft.forced[planes], draft.surface_distance[planes] = slab.forced, slab.surface
    draft.touched |= slab.touched
    draft.open_fraction[planes] = slab.open_share(VOXELS)
    draft.aperture[0][slab.z0 : slab.z1 + 1] = slab.open_share(ACROSS_Z)
    draft.aperture[1][planes] = slab.open_share(ACROSS_Y)
    draft.aperture[2][planes] = slab.open_share(ACROSS_X)
    if draft.bath_share is not None and slab.bath is not None:
        draft.bath_share[planes] = slab.bath_share()


def _force_labelled_voxels(draft: Draft, grid: VoxelGrid) -> None:
    """Staircases of label arrays: a face is open where both its voxels are."""
    if not (draft.forced != BY_DISTANCE).any():
        return
    draft.open_fraction[draft.forced == FORCED_OPEN] = 1
    draft.open_fraction[draft.forced == FORCED_CLOSED] = 0
    for axis, aperture in enumerate(draft.aperture):
        low, high = sides_of_faces(draft.forced, axis, periodic=grid.periodic[axis])
        aperture[(low == FORCED_OPEN) & (high == FORCED_OPEN)] = 1
        aperture[(low == FORCED_CLOSED) | (high == FORCED_CLOSED)] = 0


def _close_faces_of_closed_voxels(draft: Draft, grid: VoxelGrid) -> None:
    closed = draft.open_fraction == 0
    for axis, aperture in enumerate(draft.aperture):
        faces, voxels = np.moveaxis(aperture, axis, 0), np.moveaxis(closed, axis, 0)
        for sides in (faces[1:], faces[:-1]):
            np.copyto(sides, 0, where=voxels)
        if grid.periodic[axis]:
            outer = voxels[0] | voxels[-1]
            faces[0][outer] = faces[-1][outer] = 0


def sides_of_faces(values: np.ndarray, axis: int, *, periodic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Values of the voxels below and above each face; the outer faces of a free axis have the same voxel twice."""
    first, last = np.take(values, [0], axis), np.take(values, [-1], axis)
    before, after = (last, first) if periodic else (first, last)
    return np.concatenate([before, values], axis), np.concatenate([values, after], axis)


def _drop_enclosed_voxels(draft: Draft, grid: VoxelGrid) -> None:
    az, ay, ax = draft.aperture
    for z0, z1 in slabs(grid):
        faces = az[z0 + 1 : z1 + 1] + az[z0:z1]
        for below_and_above in (ay[z0:z1, 1:], ay[z0:z1, :-1], ax[z0:z1, :, 1:], ax[z0:z1, :, :-1]):
            faces += below_and_above
        draft.open_fraction[z0:z1][faces == 0] = 0


def _lost_walls(where: str, draft: Draft, grid: VoxelGrid) -> Iterator[str]:
    """A sentence on voxels with more open on both sides along an axis than in between: a wall within lets through."""
    az, ay, ax = draft.aperture
    n_cut, n_lost = 0, 0
    for z0, z1 in slabs(grid):
        between = draft.open_fraction[z0:z1]
        lost = np.zeros(between.shape, bool)
        for low, high in (
            (az[z0:z1], az[z0 + 1 : z1 + 1]),
            (ay[z0:z1, :-1], ay[z0:z1, 1:]),
            (ax[z0:z1, :, :-1], ax[z0:z1, :, 1:]),
        ):
            lost |= np.minimum(low, high) > between + THIN_WALL
        n_cut += int(np.count_nonzero((between > 0) & (between < 1)))
        n_lost += int(np.count_nonzero(lost))
    if n_lost > TOLD_SHARE * n_cut:
        yield (
            f"{where}: {n_lost:,} of {n_cut:,} voxels that it cuts have walls inside that are thinner than a voxel, "
            "and so let through what they should hold back; refine grid.voxel"
        )


def _is_surface_material(scene: Scene) -> npt.NDArray[np.bool_]:
    return np.array([material.kind != "medium" for material in scene.materials])


def _warnings(scene: Scene, draft: Draft) -> Iterator[str]:
    h = scene.grid.spacing
    for number, (layer, touched) in enumerate(zip(scene.layers, draft.touched, strict=True), start=1):
        if layer.image is not None:
            yield from (f"shape {number}: {note}" for note in layer.image.notes)
            yield from (f"shape {number}: {note}" for note in _lost_walls(layer.image.where, draft, scene.grid))
        if layer.shape is None:
            continue
        name = f"shape {number} ({type(layer.shape).__name__.lower()} of {layer.shape.material})"
        if not touched:
            yield f"{name} contains no corner or centre of any voxel: it lies outside the grid, or is thinner than one"
        what, length = getattr(layer.shape, "smallest_feature", ("", np.inf))
        if h > length:
            yield f"{name}: the voxel of {h:g} um is larger than the {what} of {length:g} um; refine grid.voxel"
        yield from (f"shape {number}: {note}" for note in getattr(layer.shape, "notes", ()))
        for sentence in getattr(layer.shape, "seams", lambda period: [])(scene.grid.period):
            yield f"shape {number}: {sentence}"

"""From shapes to a geometry: open fractions, apertures, walls and distances."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from payloadfield.errors import GeometryError
from payloadfield.geometry.bath import place_bath_walls
from payloadfield.geometry.distance import staircase_distance
from payloadfield.geometry.geometry import Geometry
from payloadfield.geometry.grid import FloatArray, VoxelGrid, slabs
from payloadfield.geometry.image.voxels import VoxelImage
from payloadfield.geometry.label_array import LabelArray
from payloadfield.geometry.material import Material
from payloadfield.geometry.profile import check_profile
from payloadfield.geometry.scene import BY_DISTANCE, FORCED_CLOSED, FORCED_OPEN, Scene, Slab, make_scene
from payloadfield.geometry.shape import Shape
from payloadfield.geometry.shares import ACROSS_X, ACROSS_Y, ACROSS_Z, VOXELS
from payloadfield.geometry.wall import divide_walls

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
    _drop_enclosed_voxels(draft)
    if not draft.open_fraction.any():
        raise GeometryError(
            f"geometry: a grid with no open voxel: every one of its {grid.n_voxels:,} voxels is solid or has no "
            "open face; shrink the shapes or refine grid.voxel"
        )
    wall_area, bath_area = divide_walls(scene, draft.label, draft.open_fraction, draft.aperture, draft.bath_share)
    bath_distance = place_bath_walls(scene, draft.open_fraction, draft.aperture, bath_area)
    if scene.has_labels or scene.known < np.inf:
        stairs = staircase_distance(grid, _is_surface_material(scene)[draft.label])
        is_known = np.abs(draft.surface_distance) <= scene.known
        draft.surface_distance = stairs if scene.has_labels else np.where(is_known, draft.surface_distance, stairs)
    return Geometry(
        grid,
        scene.materials,
        draft.label,
        draft.open_label,
        draft.open_fraction,
        *draft.aperture,
        wall_area,
        bath_area,
        bath_distance,
        draft.surface_distance,
        profile,
        tuple(_warnings(scene, draft)),
    )


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
        low, high = sides_of_faces(closed, axis, periodic=grid.periodic[axis])
        aperture[low | high] = 0


def sides_of_faces(values: np.ndarray, axis: int, *, periodic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Values of the voxels below and above each face; the outer faces of a free axis have the same voxel twice."""
    first, last = np.take(values, [0], axis), np.take(values, [-1], axis)
    before, after = (last, first) if periodic else (first, last)
    return np.concatenate([before, values], axis), np.concatenate([values, after], axis)


def _drop_enclosed_voxels(draft: Draft) -> None:
    az, ay, ax = draft.aperture
    faces = az[1:] + az[:-1]
    faces += ay[:, 1:]
    faces += ay[:, :-1]
    faces += ax[:, :, 1:]
    faces += ax[:, :, :-1]
    draft.open_fraction[faces == 0] = 0


def _lost_walls(where: str, draft: Draft) -> Iterator[str]:
    """A sentence on voxels with more open on both sides along an axis than in between: a wall within lets through."""
    lost = np.zeros(draft.open_fraction.shape, bool)
    for axis, aperture in enumerate(draft.aperture):
        faces = np.moveaxis(aperture, axis, 0)
        between = np.moveaxis(draft.open_fraction, axis, 0)
        np.moveaxis(lost, axis, 0)[...] |= np.minimum(faces[1:], faces[:-1]) > between + THIN_WALL
    n_cut = int(np.count_nonzero((draft.open_fraction > 0) & (draft.open_fraction < 1)))
    n_lost = int(np.count_nonzero(lost))
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
            yield from (f"shape {number}: {note}" for note in _lost_walls(layer.image.where, draft))
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

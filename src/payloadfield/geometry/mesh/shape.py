"""A scaffold given as a triangle mesh: its voxels on a grid, and its distances near the surface."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import AXES, FloatArray, Points, Triple, VoxelGrid
from payloadfield.geometry.mesh.band import corners_of_cut_voxels, distances_near, looked_at
from payloadfield.geometry.mesh.checking import describe_place
from payloadfield.geometry.mesh.rays import Crossings, fill, find_crossings
from payloadfield.geometry.mesh.triangles import Triangles
from payloadfield.geometry.shape import NOT_PERIODIC, Placing, affine, unmoved

# A mesh this many times larger than the grid, or smaller than this many voxels, is in another unit than was said.
TOO_LARGE, TOO_SMALL = 200, 0.5
# Faces whose normals have a product below this, ten degrees from parallel, are two sides of one wall; else of a tip.
FACING = -0.985
# More walls lost than this share are refused, fewer are told of: tips and sharp edges always lose some.
REFUSED_SHARE, TOLD_SHARE = 1e-2, 1e-3
MANY_VOXELS = 100
# Between its lattice points a mesh knows distances up to this many voxels.
KNOWN = 1.5


@dataclass(frozen=True)
class Mesh:
    """A closed mesh filled with one material; put on a grid by fitted_to, as make_geometry does.

    material: name of the material
    triangles: its surface, such as that of read_mesh
    name: of the file, for messages
    """

    material: str
    triangles: Triangles = field(repr=False)
    name: str = "mesh"

    @property
    def smallest_feature(self) -> tuple[str, float]:
        """Name and length of what a voxel should resolve [um]."""
        low, high = self.triangles.bounds
        return "extent of the mesh", float((high - low).min())

    def fitted_to(self, grid: VoxelGrid, place: Placing = unmoved) -> "MeshOnGrid":
        """The mesh with its distances on a grid.

        place: from points of the grid to points of the mesh, where it was moved or turned
        Raises GeometryError for a mesh outside the grid, in another unit, or with walls thinner than a voxel.
        """
        matrix, shift = affine(place)
        triangles = self.triangles.turned(matrix.T, -matrix.T @ shift)
        notes = _check_extent(triangles, grid, self.name)
        h = grid.spacing
        corner = triangles.vertices / h
        nz, ny, nx = grid.shape
        lines = find_crossings(corner, triangles.faces, 2, (nz + 1, ny + 1))
        notes += _overlaps(lines, h, self.name, ny + 1)
        notes += _lost_walls(corner, triangles.faces, grid, lines, self.name)
        inside = fill(lines, (nz + 1, ny + 1, nx + 1))
        distance = distances_near(corner[triangles.faces], looked_at(corners_of_cut_voxels(inside)))
        np.multiply(distance, np.float32(h), out=distance)
        np.minimum(distance, np.float32(_far(grid)), out=distance)
        np.negative(distance, out=distance, where=inside)
        centre = fill(find_crossings(corner - 0.5, triangles.faces, 2, (nz, ny)), grid.shape)
        return MeshOnGrid(self.material, grid, distance, centre, matrix, shift, tuple(notes))

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Not known without a grid: raises GeometryError."""
        raise GeometryError(f"{self.name}: its distances are known on a grid only; use fitted_to(grid) first")


@dataclass(frozen=True, eq=False)
class MeshOnGrid:
    """Distances of a mesh at the corners of voxels next to its surface, and its inside at corners and centres.

    At other points the distance is interpolated; further than KNOWN voxels from the surface it is large, with its sign.
    material: name of the material
    corner: (nz + 1, ny + 1, nx + 1) signed distance [um]; centre: (nz, ny, nx) whether inside
    matrix, shift: points of the mesh are matrix @ point of the grid + shift
    notes: sentences on what is legal but probably not meant
    """

    material: str
    grid: VoxelGrid
    corner: npt.NDArray[np.float32]
    centre: npt.NDArray[np.bool_]
    matrix: FloatArray
    shift: FloatArray
    notes: tuple[str, ...] = ()

    @property
    def known(self) -> float:
        """Distance up to which it is more than a sign [um]."""
        return KNOWN * self.grid.spacing

    def signed_distance(self, points: Points, period: Triple = NOT_PERIODIC) -> FloatArray:
        """Distance to the surface, negative inside [um]."""
        place = [p / self.grid.spacing for p in self._on_grid(points)]
        halves = [np.rint(2 * p) for p in place]
        if all(np.abs(2 * p - half).max(initial=0) < 1e-6 for p, half in zip(place, halves, strict=True)):
            index = [half.astype(np.int64) for half in halves]
            if all((i % 2 == 0).all() for i in index):
                return self._look_up(self.corner, [i // 2 for i in index])
            if all((i % 2 == 1).all() for i in index):
                box = _box_of([i // 2 for i in index], self.centre.shape)
                if box is not None:
                    return self._of_box(box)
                inside = self._look_up(self.centre, [i // 2 for i in index]) > 0
                size = np.abs(self._interpolated(place, all_known=True))
                return np.where(inside, -size, size)
        return self._interpolated(place)

    def _on_grid(self, points: Points) -> list[FloatArray]:
        if np.array_equal(self.matrix, np.eye(3)):
            return [p - s for p, s in zip(points, self.shift, strict=True)]
        centred = [p - s for p, s in zip(points, self.shift, strict=True)]
        return [sum((self.matrix[j, i] * centred[j] for j in range(3)), np.zeros(())) for i in range(3)]

    def _look_up(self, values: np.ndarray, index: list[npt.NDArray[np.int64]]) -> FloatArray:
        """Values at lattice points; outside the grid, what is far outside."""
        runs = _runs_of(index)
        if runs is not None:
            # The part of the box that lies in the grid.
            ends = [(max(low, 0), min(high, n)) for (low, high), n in zip(runs, values.shape, strict=True)]
            found = np.full([high - low for low, high in runs], _far(self.grid))
            if all(low < high for low, high in ends):
                own = tuple(
                    slice(low - first, high - first) for (low, high), (first, _) in zip(ends, runs, strict=True)
                )
                found[own] = values[tuple(slice(*pair) for pair in ends)]
            return found
        outside = [(i < 0) | (i >= n) for i, n in zip(index, values.shape, strict=True)]
        z, y, x = (np.clip(i, 0, n - 1) for i, n in zip(index, values.shape, strict=True))
        found = np.asarray(values[z, y, x], np.float64)
        if any(o.any() for o in outside):
            found[np.broadcast_to(outside[0] | outside[1] | outside[2], found.shape)] = _far(self.grid)
        return found

    def _of_box(self, box: tuple[slice, ...]) -> FloatArray:
        """At the centres of a box of voxels what _interpolated gives at points: the mean of corners that are known."""
        from payloadfield.geometry.compiled.nearest import mean_of_corners

        corners = self.corner[tuple(slice(part.start, part.stop + 1) for part in box)]
        distance = np.empty(tuple(part.stop - part.start for part in box))
        mean_of_corners(corners, self.centre[box], 2 * self.known, distance)
        return distance

    def _interpolated(self, place: list[FloatArray], *, all_known: bool = False) -> FloatArray:
        """Trilinear between corners, distances cut at what is known; large if `all_known` and a corner is not."""
        low = [np.clip(np.floor(p), 0, n - 2).astype(np.int64) for p, n in zip(place, self.corner.shape, strict=True)]
        share = [p - i for p, i in zip(place, low, strict=True)]
        total: FloatArray = np.zeros(np.broadcast_shapes(*(p.shape for p in place)))
        most = 2 * self.known
        is_known = np.ones(total.shape, bool)
        for corner in np.ndindex(2, 2, 2):
            weight = [s if bit else 1 - s for s, bit in zip(share, corner, strict=True)]
            value = self._look_up(self.corner, [i + bit for i, bit in zip(low, corner, strict=True)])
            total += np.clip(value, -most, most) * (weight[0] * weight[1] * weight[2])
            is_known &= np.abs(value) < most
        return np.where(is_known, total, np.where(total < 0, -most, most)) if all_known else total


def _runs_of(index: list[npt.NDArray[np.int64]]) -> list[tuple[int, int]] | None:
    """First and one beyond the last of indices that run one by one along an axis each; None for any others."""
    found = []
    for axis, each in enumerate(index):
        if each.ndim != 3 or each.size != each.shape[axis] or not each.size:
            return None
        run = each.reshape(-1)
        if (np.diff(run) != 1).any():
            return None
        found.append((int(run[0]), int(run[-1]) + 1))
    return found


def _box_of(index: list[npt.NDArray[np.int64]], shape: tuple[int, ...]) -> tuple[slice, ...] | None:
    """Slices for indices that run one by one along an axis each, within the array; None for any others."""
    runs = _runs_of(index)
    if runs is None or any(first < 0 or last > n for (first, last), n in zip(runs, shape, strict=True)):
        return None
    return tuple(slice(first, last) for first, last in runs)


def _far(grid: VoxelGrid) -> float:
    """A distance larger than any in the grid [um]."""
    return 2 * float(np.linalg.norm(grid.size)) + 4 * grid.spacing


def _check_extent(triangles: Triangles, grid: VoxelGrid, name: str) -> list[str]:
    low, high = triangles.bounds
    size, extent = np.array(grid.size), high - low
    what = f"{name}: reaches from {describe_place(low)} to {describe_place(high)}"
    if extent.max() > TOO_LARGE * size.max():
        raise GeometryError(f"{what}, {extent.max() / size.max():.3g} times the size of the grid; check its unit")
    if extent.max() < TOO_SMALL * grid.spacing:
        raise GeometryError(f"{what}, less than a voxel of {grid.spacing:g} um; check its unit")
    if (high <= 0).any() or (low >= size).any():
        raise GeometryError(
            f"{what}, outside the grid, which reaches from (0, 0, 0) to {describe_place(size)}; "
            "translate it, or check its unit"
        )
    slack = 1e-3 * grid.spacing
    beyond = [
        side
        for axis, n in enumerate(AXES)
        for side, is_beyond in ((f"{n}_low", low[axis] < -slack), (f"{n}_high", high[axis] > size[axis] + slack))
        if is_beyond
    ]
    return [f"{what}, beyond the grid at {', '.join(beyond)}; what lies there is left out"] if beyond else []


def _overlaps(lines: Crossings, h: float, name: str, n_v: int) -> list[str]:
    """A sentence on places that lie in several bodies of the mesh, or in one turned inside out."""
    depth = np.cumsum(lines.entering)
    odd = np.flatnonzero((depth < 0) | (depth > 1))
    if not len(odd):
        return []
    at = odd[0]
    i, j = divmod(int(lines.line[at]), n_v)
    place = describe_place(np.array([i, j, float(lines.place[at])]) * h)
    return [
        f"{name}: intersects itself, or bodies overlap, on {len(np.unique(lines.line[odd])):,} of "
        f"{len(np.unique(lines.line)):,} lines through it, such as near {place}; such places count as filled"
    ]


def _lost_walls(
    points: FloatArray, faces: npt.NDArray[np.int64], grid: VoxelGrid, along_x: Crossings, name: str
) -> list[str]:
    """A sentence on walls that lie between two neighbouring corners along an axis and so vanish.

    Raises GeometryError where they are more than a few.
    """
    a, b, c = np.moveaxis(points[faces], 1, 0)
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=1), np.finfo(float).tiny)[:, None]
    # Every second line of a large grid is enough to find walls, and costs half.
    stride = 2 if max(grid.shape) > MANY_VOXELS else 1
    counts = [n // stride + 1 for n in grid.shape]
    lost, n_walls, thickness = 0, 0, []
    for axis in (2, 1, 0):
        n_u, n_v = (counts[other] for other in range(3) if other != axis)
        apart = np.where(np.arange(3) == axis, 1.0, 1.0 / stride)
        lines = along_x if axis == 2 else find_crossings(points * apart, faces, axis, (n_u, n_v))
        walls, thin = _thin_walls(lines, normal)
        lost, n_walls = lost + len(thin), n_walls + walls
        thickness.append(thin)
    if not lost or lost <= TOLD_SHARE * n_walls:
        return []
    thinnest = float(np.quantile(np.concatenate(thickness), 0.1)) * grid.spacing
    advice = (
        f"the thinnest are about {thinnest:.3g} um; take voxels of {thinnest / 2:.2g} um or less"
        if thinnest > 1e-3 * grid.spacing
        else "they have no thickness; thicken them"
    )
    message = (
        f"{name}: {lost:,} of {n_walls:,} walls met by lines through the grid are thinner than a voxel of "
        f"{grid.spacing:g} um and would be lost; {advice}"
    )
    if lost > REFUSED_SHARE * n_walls:
        raise GeometryError(message)
    return [message]


def _thin_walls(lines: Crossings, normal: FloatArray) -> tuple[int, FloatArray]:
    """Number of walls along lines, and the thickness of those without a lattice point, in voxels."""
    pair = (lines.entering[:-1] == 1) & (lines.entering[1:] == -1) & (lines.line[:-1] == lines.line[1:])
    first = np.flatnonzero(pair)
    lost = first[np.ceil(lines.place[first]) == np.ceil(lines.place[first + 1])]
    facing = np.einsum("ij,ij->i", normal[lines.triangle[lost]], normal[lines.triangle[lost + 1]]) < FACING
    thin = lines.place[lost + 1] - lines.place[lost]
    straight = np.abs(normal[lines.triangle[lost]]).max(axis=1)
    return len(first), (thin * straight)[facing]

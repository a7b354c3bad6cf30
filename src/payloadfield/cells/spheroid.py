"""Spheroids: balls in which cells are packed at random."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from payloadfield.cells.layout import Spheroids, split_count
from payloadfield.cells.pattern import draw_types
from payloadfield.cells.request import CellRequest
from payloadfield.cells.touching import make_tree
from payloadfield.errors import CellsError
from payloadfield.geometry import AXES, FloatArray, VoxelGrid

IntArray = npt.NDArray[np.int64]

# Share of a ball that rigid spheres fill at random without touching each other for certain; up to 0.64 they do so with
# ever more effort (Scott and Kilgour 1969). Where cells fill more, because they are soft, they keep the distance of
# spheres that fill this much.
RANDOM_FILLING = 0.55
# Rounds in which spheres push each other apart; before each group of them their neighbours are looked up anew.
ROUNDS = (4, 8, 12, 24, 32)
# How far neighbours are looked for, in diameters.
SKIN = 1.2
# Scatter of the first positions, in distances of neighbours: enough that nothing of their lattice is left.
SCATTER = 0.3


def place_spheroids(
    request: CellRequest, grid: VoxelGrid, stream: Callable[[str], np.random.Generator]
) -> tuple[FloatArray, IntArray]:
    """Positions (n, 3) z, y, x [um] of the cells of all spheroids of a request, and the number of the type of each.

    stream: a generator for a purpose
    Raises CellsError for a spheroid that leaves the grid, meets another or holds no cell, and where a minimum distance
    cannot be kept in one.
    """
    balls = request.spheroids
    assert balls is not None
    _refuse_misplaced(request, balls, grid)
    counts = _counts(request, balls)
    rng = stream("packing")
    inside = [pack_ball(rng, int(n), float(ball)) for n, ball in zip(counts, balls.radii, strict=True)]
    of_ball = np.repeat(np.arange(len(counts)), counts)
    position = np.concatenate(inside)
    depth = np.sqrt((position**2).sum(axis=1)) / balls.radii[of_ball]
    kind = draw_types(stream("pattern"), request, position + balls.centres[of_ball], grid.period, depth)
    radius = np.array([each.radius for each in request.kinds])[kind]
    for number, ball in enumerate(balls.radii):
        own = of_ball == number
        position[own] = relax(position[own], float(ball), radius[own], request.minimum_distance)
        _refuse_too_close(request, position[own], float(ball))
    return position + balls.centres[of_ball], kind


def _counts(request: CellRequest, balls: Spheroids) -> IntArray:
    """Number of cells of each spheroid."""
    counts: IntArray
    if balls.interstitial_fraction is None:
        counts = split_count(int(request.count or 0), balls.volumes)
    else:
        counts = np.round((1 - balls.interstitial_fraction) * balls.volumes / request.mean_volume).astype(np.int64)
    filling = counts * request.mean_volume / balls.volumes
    for number in np.flatnonzero((counts == 0) | (filling > 1)):
        most = int(balls.volumes[number] / request.mean_volume)
        found = f"{counts[number]:,} cells in a ball of {balls.radii[number]:g} um, which holds at most {most:,}"
        raise CellsError(
            f"{request.name}: spheroid {number}: {found} of radius {request.mean_radius:g} um; at least one cell and "
            "no more than that are needed: change count, radius or interstitial_fraction"
        )
    return counts


def _refuse_misplaced(request: CellRequest, balls: Spheroids, grid: VoxelGrid) -> None:
    size, ends = np.array(grid.size), np.array(balls.radii)[:, None]
    low, high = balls.centres - ends, balls.centres + ends
    out = ((low < 0) | (high > size)) & ~np.array(grid.periodic)
    for number, axis in np.argwhere(out):
        z, y, x = grid.size
        raise CellsError(
            f"{request.name}: spheroid {number} reaches from {low[number, axis]:g} to {high[number, axis]:g} um along "
            f"{AXES[axis]}, outside the grid (x, y, z from 0 to {x:g}, {y:g}, {z:g} um); move or shrink it"
        )
    tree: Any = make_tree(balls.centres, grid.period)
    for i, j in sorted(tree.query_pairs(2 * float(balls.radii.max()))):
        gap = balls.centres[i] - balls.centres[j]
        gap -= np.where(grid.periodic, size * np.round(gap / size), 0)
        distance = math.sqrt(float((gap**2).sum()))
        if distance < (balls.radii[i] + balls.radii[j]) * (1 - 1e-9):
            raise CellsError(
                f"{request.name}: spheroids {i} and {j} are {distance:g} um apart, less than the sum of their radii; "
                "move them apart"
            )


def _refuse_too_close(request: CellRequest, position: FloatArray, ball: float) -> None:
    wanted = request.minimum_distance
    if wanted == 0 or len(position) < 2:
        return
    tree: Any = make_tree(position, [math.inf] * 3)
    found = float(tree.query(position, k=2)[0][:, 1].min())
    if found < wanted:
        room = int(RANDOM_FILLING * ((ball + wanted / 2) / (wanted / 2)) ** 3)
        raise CellsError(
            f"{request.name}: {len(position):,} cells in a ball of {ball:g} um come as close as {found:.4g} um, and "
            f"minimum_distance is {wanted:g} um; about {room:,} fit at that distance: ask for fewer cells, a larger "
            "ball or a shorter distance"
        )


def pack_ball(rng: np.random.Generator, n_cells: int, ball: float) -> FloatArray:
    """First positions of so many cells in a ball, (n, 3) from its centre [um]: a turned lattice, blurred.

    ball: radius [um]
    """
    if n_cells == 0:
        return np.zeros((0, 3))
    edge = (4 * (4 / 3 * math.pi * ball**3) / n_cells) ** (1 / 3)  # four points in each cube of a face-centred lattice
    reach = math.ceil(ball / edge) + 2
    corner = np.stack(np.meshgrid(*3 * [np.arange(-reach, reach + 1.0)], indexing="ij"), axis=-1).reshape(-1, 3)
    base = np.array([(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)])
    points = (corner[:, None] + base + rng.random(3)).reshape(-1, 3) * edge
    distance = (points**2).sum(axis=1)
    points = points[np.sort(np.argpartition(distance, n_cells - 1)[:n_cells])]  # neighbours stay near in memory
    points += rng.normal(0, SCATTER * edge / math.sqrt(2), points.shape)
    return _confined(points @ _turn(rng).T, np.full(n_cells, ball))


def relax(position: FloatArray, ball: float, radius: FloatArray, minimum_distance: float = 0.0) -> FloatArray:
    """Positions of spheres in a ball after they have pushed each other apart, (n, 3) from its centre [um].

    Each pair closer than d_ij moves apart along its line until it is not, and no sphere sticks out of the ball;
    d_ij = s (r_i + r_j), s = min(1, (RANDOM_FILLING / filling)^(1/3)), or the minimum distance where that is longer.
    ball: radius [um]; radius: (n,) of the spheres [um]
    """
    filling = float((radius**3).sum()) / ball**3
    scale = min(1.0, (RANDOM_FILLING / filling) ** (1 / 3)) if filling > 0 else 1.0
    inner = ball - np.minimum(scale * radius, ball)
    position = _confined(position.copy(), inner)
    for n_rounds in ROUNDS:
        pairs, apart = _neighbours(position, scale * radius, minimum_distance)
        for _ in range(n_rounds):
            moved = _pushed(position, pairs, apart)
            if moved is None:
                break
            position = _confined(moved, inner)
    return position


def _neighbours(position: FloatArray, radius: FloatArray, minimum_distance: float) -> tuple[IntArray, FloatArray]:
    longest = max(2 * float(radius.max(initial=0)), minimum_distance)
    tree: Any = make_tree(position, [math.inf] * 3)
    pairs = tree.query_pairs(SKIN * longest, output_type="ndarray")
    return pairs, np.maximum(radius[pairs].sum(axis=1), minimum_distance * (1 + 1e-6))


def _pushed(position: FloatArray, pairs: IntArray, apart: FloatArray) -> FloatArray | None:
    """Positions after every pair that is too close has parted, half the way each; None if none is."""
    gap = position[pairs[:, 0]] - position[pairs[:, 1]]
    distance = np.sqrt(np.einsum("pc,pc->p", gap, gap))
    close = np.flatnonzero(distance < apart * (1 - 1e-9))
    if len(close) == 0:
        return None
    gap, i, j = gap[close], pairs[close, 0], pairs[close, 1]
    gap *= (0.5 * (apart[close] - distance[close]) / np.maximum(distance[close], 1e-12))[:, None]
    n = len(position)
    push = [np.bincount(i, gap[:, axis], n) - np.bincount(j, gap[:, axis], n) for axis in range(3)]
    return np.asarray(position + np.stack(push, axis=-1))


def _confined(position: FloatArray, reach: FloatArray) -> FloatArray:
    """Points moved towards the centre until they are within their reach."""
    distance = np.sqrt((position**2).sum(axis=1))
    out = distance > reach
    position[out] *= (reach[out] / distance[out])[:, None]
    return position


def _turn(rng: np.random.Generator) -> FloatArray:
    """A random rotation, from a random quaternion (Shoemake 1992)."""
    quaternion = rng.standard_normal(4)
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )

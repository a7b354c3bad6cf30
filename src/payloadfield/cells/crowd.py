"""Cells that keep their distance: from those placed before, and from each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from payloadfield.cells.places import Candidates
from payloadfield.cells.touching import make_tree
from payloadfield.geometry import FloatArray

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Darts of a round: at least, at least where few of them hit, and at most.
FEWEST, MANY, MOST = 100, 20_000, 1_000_000
# Darts of the first round for each cube whose edge is the distance; and how much more the next round may have, once
# those of this one keep most of the others away. It bounds the pairs within a round.
FIRST, MORE = 4, 4
# Few darts hit; and so few that the place is taken as full.
FEW, FULL = 0.02, 0.002


class Crowd:
    """The cells placed so far, and how far others have to stay away from them."""

    def __init__(self, period: Sequence[float]) -> None:
        """period: lengths along z, y, x after which the space repeats [um]."""
        self._period = period
        self._groups: dict[float, list[FloatArray]] = {}
        self._trees: dict[float, Any] = {}

    @property
    def longest(self) -> float:
        """The longest distance that any of the cells asks for [um]."""
        return max(self._groups, default=0.0)

    def add(self, position: FloatArray, distance: float) -> None:
        """Cells at these positions (n, 3), to which no later one comes closer than the distance [um]."""
        if len(position):
            self._groups.setdefault(distance, []).append(position)
            self._trees.pop(distance, None)

    def gap(self, position: FloatArray, distance: float) -> tuple[FloatArray, FloatArray]:
        """Distance of each position (n, 3) to a cell that is too close, or infinity; and what it should be [um].

        distance: that these positions ask for themselves [um]
        """
        found, wanted = np.full(len(position), np.inf), np.full(len(position), distance)
        for own in self._groups:
            reach = max(distance, own)
            if reach > 0:
                gap, _ = self._tree(own).query(position, distance_upper_bound=reach)
                nearer = gap < found
                found[nearer], wanted[nearer] = gap[nearer], reach
        return found, wanted

    def is_free(self, position: FloatArray, distance: float) -> BoolArray:
        """Whether no cell is too close to each position (n, 3)."""
        return np.isinf(self.gap(position, distance)[0])

    def second_nearest(self, position: FloatArray, distance: float) -> FloatArray:
        """Distance of the crowd's own positions (n, 3) to the next cell, infinite from this distance on [um]."""
        gap, _ = self._tree(distance).query(position, k=2, distance_upper_bound=distance)
        return np.asarray(gap[:, 1])

    def first_come(self, position: FloatArray, distance: float) -> BoolArray:
        """Which of these positions (n, 3) stay if each in turn is kept unless a kept one before is too close."""
        state = np.zeros(len(position), np.int8)  # 0 open, 1 kept, -1 gone
        tree = make_tree(position, self._period)
        pairs = np.sort(tree.query_pairs(np.nextafter(distance, 0), output_type="ndarray"), axis=1)
        while (state == 0).any():
            waits = np.zeros(len(position), bool)
            waits[pairs[:, 1]] = True
            state[(state == 0) & ~waits] = 1
            state[pairs[state[pairs[:, 0]] == 1, 1]] = -1
            pairs = pairs[(state[pairs] == 0).all(axis=1)]
        return state == 1

    def _tree(self, distance: float) -> Any:
        if distance not in self._trees:
            self._groups[distance] = [np.concatenate(self._groups[distance])]
            self._trees[distance] = make_tree(self._groups[distance][0], self._period)
        return self._trees[distance]

    def alone(self) -> "Crowd":
        """A crowd of nobody in the same space."""
        return Crowd(self._period)


@dataclass(frozen=True)
class Spacing:
    """own: between the cells of a request; shared: from the cells of all others [um]."""

    own: float
    shared: float


def throw_darts(
    rng: np.random.Generator,
    n_cells: int,
    candidates: Candidates,
    draw: Callable[[IntArray], FloatArray],
    crowd: Crowd,
    spacing: Spacing,
    room: IntArray | None,
    h: float,
) -> tuple[IntArray, FloatArray]:
    """Voxels and positions of so many cells at random spots, each in turn kept if none before is too close.

    Random sequential addition (Widom 1966): every round draws voxels in proportion to their likelihood and a spot in
    each, and keeps them in order. Fewer cells come back where hardly any spot is left.
    draw: positions (n, 3) in the candidates with these numbers (n,)
    room: cells that each candidate still takes, or None for any number; h: edge of a voxel [um]
    """
    total = np.cumsum(candidates.likelihood)
    same, most = crowd.alone(), _first_round(len(total), spacing.own / h)
    left = None if room is None else room.copy()
    voxels: list[IntArray] = [np.zeros(0, np.int64)]
    positions: list[FloatArray] = [np.zeros((0, 3))]
    n_kept, hit = 0, 1.0
    while n_kept < n_cells and hit >= FULL:
        wanted = max(1.2 * (n_cells - n_kept) / hit, MANY if hit < FEW else FEWEST)
        n_darts, most = int(min(wanted, most)), min(MORE * most, MOST)
        # In the order of the grid, where what is near in space is near in memory; then in random order.
        place = np.sort(rng.random(n_darts)) * total[-1]
        number = np.minimum(np.searchsorted(total, place, side="right"), len(total) - 1)
        position = draw(number)
        good = np.flatnonzero(crowd.is_free(position, spacing.shared))
        if spacing.own > 0:
            good = good[same.is_free(position[good], 0.0)]
        good = rng.permutation(good)
        if spacing.own > 0:
            good = good[same.first_come(position[good], spacing.own)]
        if left is not None:
            good = good[_rank(number[good]) < left[number[good]]]
        hit = len(good) / n_darts if n_darts >= MANY or len(good) > FEW * n_darts else FEW / 2
        good = good[: n_cells - n_kept]
        if left is not None:
            np.subtract.at(left, number[good], 1)
        same.add(position[good], spacing.own)
        voxels.append(candidates.voxel[number[good]])
        positions.append(position[good])
        n_kept += len(good)
    return np.concatenate(voxels), np.concatenate(positions)


def _first_round(n_voxels: int, distance: float) -> int:
    """Darts of the first round; the distance in voxels."""
    return int(np.clip(FIRST * n_voxels / max(distance, 1e-3) ** 3, FEWEST, MOST))


def _rank(number: IntArray) -> IntArray:
    """How many equal numbers come before each."""
    order = np.argsort(number, kind="stable")
    ordered = number[order]
    first = np.searchsorted(ordered, ordered, side="left")
    rank = np.empty(len(number), np.int64)
    rank[order] = np.arange(len(number)) - first
    return rank

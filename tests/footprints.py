"""Footprints drawn at random, over voxels joined by open faces: no part of the package's own placement."""

import numpy as np


def neighbours(geometry):
    """Open neighbours through open faces of every flat voxel: {voxel: [voxels]}."""
    shape = geometry.label.shape
    index = np.arange(geometry.label.size).reshape(shape)
    found = {int(v): [] for v in np.flatnonzero(geometry.open_fraction.ravel() > 0)}
    for axis, name in enumerate("zyx"):
        opening = np.moveaxis(getattr(geometry, f"aperture_{name}"), axis, 0)
        numbers = np.moveaxis(index, axis, 0)
        last = len(numbers) if geometry.grid.periodic[axis] else len(numbers) - 1
        for k in range(last):
            here, there = numbers[k], numbers[(k + 1) % len(numbers)]
            for i, j in zip(here[opening[k + 1] > 0], there[opening[k + 1] > 0], strict=True):
                found[int(i)].append(int(j))
                found[int(j)].append(int(i))
    return found


def draw_footprints(geometry, n_cells, seed, most=5, among=None):
    """n_cells footprints of 1 to `most` joined voxels with uneven weights; centres within the flat voxels `among`."""
    rng = np.random.default_rng(seed)
    joined = neighbours(geometry)
    centres = rng.choice(sorted(joined) if among is None else np.sort(among), n_cells, replace=False)
    return [grow(joined, int(centre), rng.integers(1, most + 1), geometry, rng) for centre in centres]


def grow(joined, centre, size, geometry, rng):
    """One footprint: the centre and random neighbours of what is covered already, weighted by open fraction."""
    covered = [centre]
    while len(covered) < size:
        rim = sorted({n for v in covered for n in joined[v]} - set(covered))
        if not rim:
            break
        covered.append(int(rng.choice(rim)))
    weight = geometry.open_fraction.ravel()[covered] * rng.uniform(0.5, 1.0, len(covered))
    return dict(zip(covered, weight, strict=True))

"""What a scaffold is like: porosity, surface, sizes of pores and struts, and what of it the bath reaches."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from payloadfield.geometry.distance import distance_to, distance_to_surface
from payloadfield.geometry.geometry import Geometry
from payloadfield.geometry.grid import FloatArray, VoxelGrid
from payloadfield.geometry.pockets import Pockets

BoolArray = npt.NDArray[np.bool_]

# Sizes of balls that are tried, and voxels above which every second one (third, ...) is looked at.
N_SIZES, MOST_VOXELS = 32, 2**21
# The middle of a ball lies between voxel centres, by this many voxels on average (beside a line, in two dimensions).
OFF_CENTRE = 0.3826
# A centre beyond the surface by more than half a voxel's diagonal, in voxels, belongs to no cut voxel.
DEEPEST = 0.8661
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Spread:
    """How a length is spread over a volume: mean, tenth, half, nine tenths, largest [um]."""

    mean: float
    p10: float
    p50: float
    p90: float
    largest: float


@dataclass(frozen=True)
class Measures:
    """Measures of a geometry; sizes are None where there is nothing of the kind.

    porosity: open share of the grid; porosity_open, porosity_closed: of it, reached by the bath or not [1]
    n_pockets, n_pockets_closed: disconnected parts of the open space, and those without a bath
    open_volume: [um^3]; wall_area: impermeable surface [um^2]
    specific_surface: wall area over the volume of the grid; of_solid: over that of the solid [1/um]
    pore_size, strut_thickness: diameter of the largest ball inside that covers a place, over all places [um]
    size_step: edge of the voxels on which these sizes were found; they are right to about one [um]
    surface_distance: of open places to the nearest surface of a solid or a gel [um]
    """

    porosity: float
    porosity_open: float
    porosity_closed: float
    n_pockets: int
    n_pockets_closed: int
    open_volume: float
    wall_area: float
    specific_surface: float
    specific_surface_of_solid: float | None
    pore_size: Spread | None
    strut_thickness: Spread | None
    size_step: float
    surface_distance: Spread | None


def measure_geometry(geometry: Geometry, pockets: Pockets) -> Measures:
    """Measures of a geometry.

    pockets: its parts, with what touches the bath, as find_pockets gives them
    """
    grid = geometry.grid
    total = grid.n_voxels * grid.voxel_volume
    porosity = geometry.open_volume / total
    reached, closed = (float(pockets.volume[which].sum()) / total for which in
                       (pockets.touches_bath, ~pockets.touches_bath))  # fmt: skip
    area = float(geometry.wall_area.sum())
    solid = total - geometry.open_volume
    pores, struts, step = _sizes(geometry)
    return Measures(
        porosity, reached, closed, pockets.n_pockets, int((~pockets.touches_bath).sum()),
        geometry.open_volume, area, area / total, area / solid if solid > 0 else None, pores, struts, step,
        _spread(geometry.surface_distance[geometry.is_open], geometry.open_fraction[geometry.is_open]),
    )  # fmt: skip


def local_thickness(inside: BoolArray, grid: VoxelGrid, surface_distance: FloatArray | None = None) -> FloatArray:
    """Diameter of the largest ball inside a set of voxels that covers each of them, 0 outside: (nz, ny, nx) [um].

    Tried from the largest ball down (Hildebrand and Ruegsegger 1997); through periodic sides too. Beyond free sides the
    set goes on. Right to about a voxel; infinite everywhere if all is inside.
    surface_distance: of voxel centres, which puts the surface between them; half way without it [um]
    """
    if inside.all():
        return np.full(grid.shape, math.inf)
    thickness = np.zeros(grid.shape)
    if not inside.any():
        return thickness
    depth = np.full(grid.shape, 0.5) if surface_distance is None else np.abs(surface_distance) / grid.spacing
    radii = np.maximum(distance_to_surface(inside, np.minimum(depth, DEEPEST), grid), 0)
    for radius in np.linspace(float(radii.max()), 0.0, N_SIZES):
        reach = radius + OFF_CENTRE
        covered = inside & (thickness == 0) & (distance_to(inside & (radii >= radius - 1e-9), grid) < reach)
        thickness[covered] = 2 * reach
    return thickness * grid.spacing


def _sizes(geometry: Geometry) -> tuple[Spread | None, Spread | None, float]:
    """Sizes of pores and of struts, and the edge of the voxels on which they were found [um]."""
    grid = geometry.grid
    stride = max(1, math.ceil((grid.n_voxels / MOST_VOXELS) ** (1 / 3)))
    start = (stride - 1) // 2
    is_open = np.array([material.is_open for material in geometry.materials])
    kept = (slice(start, None, stride),) * 3
    pores, distance = is_open[geometry.label[kept]], geometry.surface_distance[kept]
    # The last voxels may stand closer; they do only along axes that are no multiple of the stride.
    coarse = VoxelGrid(pores.shape, grid.spacing * stride, grid.periodic)
    if pores.all() or not pores.any():
        return None, None, coarse.spacing
    spreads = [_spread(thickness[thickness > 0]) for thickness in
               (local_thickness(pores, coarse, distance), local_thickness(~pores, coarse, distance))]  # fmt: skip
    return spreads[0], spreads[1], coarse.spacing


def _spread(values: FloatArray, weights: FloatArray | None = None) -> Spread | None:
    values = np.asarray(values, float)
    known = np.isfinite(values)
    weights = np.ones(len(values)) if weights is None else weights
    values, weights = values[known], weights[known]
    if not len(values):
        return None
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    p10, p50, p90 = (float(values[order][min(int(np.searchsorted(share, q)), len(values) - 1)]) for q in QUANTILES)
    return Spread(float(np.average(values, weights=weights)), p10, p50, p90, float(values.max()))

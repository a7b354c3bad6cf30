"""Face conductances of a small grid, written out voxel by voxel from the arrays of its geometry.

g_ij = aperture h 2 a b / (a + b), a = phi D of either voxel; permeable surfaces and walls are resistances in series.
"""

import numpy as np
from scipy import sparse

AXES = ("z", "y", "x")


def of_materials(geometry, attribute, field, missing):
    """Value of a material's property for a field, in every voxel."""
    table = [getattr(m, attribute) for m in geometry.materials]
    values = np.array([t.get(field, t.get("default", missing)) for t in table], float)
    return values[geometry.open_label]


def capacity(study, field):
    """Accessible volume of every voxel [um^3]: phi times open fraction times h^3."""
    return accessible(study, field) * study.geometry.open_fraction * study.geometry.grid.spacing**3


def accessible(study, field):
    """phi: accessible fraction of the material times the profile of the geometry."""
    profile = study.geometry.accessible_profile
    return of_materials(study.geometry, "accessible_fraction", field, 1.0) * (1.0 if profile is None else profile)


def mobility(study, number, field):
    """phi D of every voxel [um^2/s]."""
    relative = of_materials(study.geometry, "relative_diffusivity", field, 1.0)
    return accessible(study, field) * study.diffusivity[number] * relative


def series(*conductances):
    """Conductances one behind the other; zero if any is zero, an infinite one is no hindrance."""
    with np.errstate(divide="ignore"):
        return 1.0 / sum(1.0 / np.asarray(g, float) for g in conductances)


def faces(study, number, field):
    """Pairs of voxels that exchange a field, with their conductances [um^3/s]: arrays i, j, g."""
    found = [faces_along(study, axis, number, field) for axis in range(3)]
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


def faces_along(study, axis, number, field):
    """The faces across one axis; the last voxel meets the first where the side is periodic."""
    geometry = study.geometry
    h = geometry.grid.spacing
    a = np.moveaxis(mobility(study, number, field), axis, 0)
    skin = np.moveaxis(of_materials(geometry, "permeability", field, np.inf), axis, 0)
    label = np.moveaxis(geometry.open_label, axis, 0)
    index = np.moveaxis(np.arange(a.size).reshape(geometry.open_label.shape), axis, 0)
    opening = np.moveaxis(getattr(geometry, f"aperture_{AXES[axis]}"), axis, 0)
    last = len(a) if geometry.grid.periodic[axis] else len(a) - 1
    before, after = np.arange(last), np.arange(1, last + 1) % len(a)
    through = np.where(label[before] != label[after], series(skin[before], skin[after]), np.inf)
    opening = opening[1 : last + 1]
    g = opening * series(h * 2 * series(a[before], a[after]), h * h * through)
    return index[before].ravel(), index[after].ravel(), g.ravel()


def exchange_matrix(study, number, field):
    """K of the amounts exchanged between voxels, d(amount)/dt = K u; its rows and columns add to zero."""
    i, j, g = faces(study, number, field)
    n = study.geometry.open_label.size
    off = sparse.coo_matrix((g, (i, j)), (n, n))
    off = off + off.T
    return (off - sparse.diags(np.asarray(off.sum(1)).ravel())).tocsr()


def bath_conductance(study, number, field):
    """Conductance of every voxel to the bath [um^3/s]: sides, half a voxel away, and walls of kind bath."""
    geometry = study.geometry
    h, a = geometry.grid.spacing, mobility(study, number, field)
    total = np.zeros(a.shape)
    for side, kind in study.boundary.items():
        if kind == "bath":
            axis, end = AXES.index(side[0]), (0 if side.endswith("low") else -1)
            opening = np.moveaxis(getattr(geometry, f"aperture_{AXES[axis]}"), axis, 0)[end]
            skin = np.inf if study.bath.permeability is None else study.bath.permeability[number]
            layer = np.moveaxis(a, axis, 0)[end]
            np.moveaxis(total, axis, 0)[end] += opening * h * h * series(layer / (h / 2), skin)
    wet = geometry.bath_area > 0
    if wet.any():
        wall = next(m.permeability for m in geometry.materials if m.kind == "bath")
        skin = wall.get(field, wall.get("default", np.inf))
        total[wet] += geometry.bath_area[wet] * series(a[wet] / geometry.bath_distance[wet], skin)
    return total.ravel()

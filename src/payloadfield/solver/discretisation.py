"""Finite volumes on voxels: a study lowered to a plan.

The unknown of a field is its concentration u in the water accessible to it [nM]. Per open voxel i
    V_i phi_i du_i/dt = sum_faces g_ij (u_j - u_i) + g_bath,i (u_bath - u_i) + sources,
with V_i the open volume, phi the accessible fraction of the material there, and face conductances
    g_ij = A_ij / (h / (2 kappa_i) + h / (2 kappa_j) + 1 / P_i + 1 / P_j),   kappa = phi * D,
A_ij the open area of the face, h the voxel size, P the permeability of a material's surface towards another material
(absent: infinite).
A face on a bath side lies h/2 from the centre of its voxel; the wall of a bath material lies at its own distance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from payloadfield.backends.plan import DIRECTIONS, BathContact, CellTable, Plan, TransportGroup
from payloadfield.errors import CellsError, StudyError
from payloadfield.solver.contacts import make_contact_tables
from payloadfield.solver.multigrid import build_hierarchy
from payloadfield.units import AVOGADRO_NM_UM3

_AXIS_OF_DIRECTION = (2, 2, 1, 1, 0, 0)
_SIDES = {"z_low": (0, 0), "z_high": (0, -1), "y_low": (1, 0), "y_high": (1, -1), "x_low": (2, 0), "x_high": (2, -1)}

_Floats = NDArray[np.float64]


def make_plan(study: Any, idle: NDArray[np.bool_] | None = None) -> Plan:
    """Lower a study to a plan: open voxels, transport groups, capacities, bath contacts, footprints, contents.

    idle: which pockets to leave out, those that stay empty unless given.
    """
    geometry, mechanism = study.geometry, study.mechanism
    voxel = _solved_voxels(study, find_idle_pockets(study) if idle is None else idle)
    neighbour, aperture = _neighbours(geometry, voxel)
    mobility = [_mobility(geometry, field.name, voxel) for field in mechanism.fields]
    groups, group_of_field = _transport_groups(study, voxel, neighbour, aperture, mobility)
    capacity, capacity_index = _capacities(study, voxel)
    return Plan(
        mechanism=mechanism,
        shape=tuple(geometry.grid.shape),
        spacing=float(geometry.grid.spacing),
        voxel=voxel,
        neighbour=neighbour,
        groups=groups,
        group_of_field=group_of_field,
        diffusivity=np.where(study.diffusivity > 0.0, study.diffusivity, 1.0),  # what stays put has no faces
        capacity=capacity,
        capacity_index=capacity_index,
        bath=make_bath_contact(study, voxel),
        cells=_cell_table(study, voxel),
        contacts=make_contact_tables(study),
        parameters=np.asarray(study.parameters, float),
        cell_parameters=np.ascontiguousarray(study.cell_parameters, float),
        **make_moiety_contents(study),
    )


def _solved_voxels(study: Any, idle: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Flat indices of the open voxels, without the idle pockets."""
    label, alive = study.pockets.label.ravel(), ~idle
    if not alive.any():
        raise StudyError(
            "[grid]: no open voxel is reached by a bath, holds a cell or starts with a concentration, so that nothing "
            "would happen; add a bath side under [boundary], cells, or [initial] fields"
        )
    return np.flatnonzero((label >= 0) & alive[np.maximum(label, 0)])


def find_idle_pockets(study: Any) -> NDArray[np.bool_]:
    """Which pockets stay empty and are left out: no bath, no cell, no concentration at the start, no source."""
    pockets = study.pockets
    idle = ~np.asarray(pockets.touches_bath, bool)
    if np.any(np.asarray(study.initial_fields) != 0.0) or _has_voxel_source(study):
        idle[:] = False
    entries = pockets.label.ravel()[study.cells.entry_voxel]
    idle[entries[entries >= 0]] = False
    return idle


def _has_voxel_source(study: Any) -> bool:
    """Whether a reaction in the medium goes on where there is nothing yet."""
    from payloadfield.mechanism import evaluate

    mechanism = study.mechanism
    values = dict(zip(mechanism.study_parameters, study.parameters, strict=True))
    values |= {"N_A": AVOGADRO_NM_UM3} | {field.name: 0.0 for field in mechanism.fields}
    rates = [evaluate(r.rate, values) for r in mechanism.reactions if r.scope == "voxel"]
    return bool(np.any(np.asarray(rates, float) != 0.0))


def _neighbours(geometry: Any, voxel: NDArray[np.int64]) -> tuple[NDArray[np.int32], _Floats]:
    """Open neighbour (itself if none) and face aperture of each voxel in each direction, both (6, n)."""
    shape = geometry.grid.shape
    number = np.full(int(np.prod(shape)), -1, np.int64)
    number[voxel] = np.arange(len(voxel))
    where = np.stack(np.unravel_index(voxel, shape))
    neighbour = np.empty((len(DIRECTIONS), len(voxel)), np.int32)
    aperture = np.zeros((len(DIRECTIONS), len(voxel)))
    for direction, axis in enumerate(_AXIS_OF_DIRECTION):
        plus = direction % 2
        target = where.copy()
        target[axis] += 1 if plus else -1
        inside = (target[axis] >= 0) & (target[axis] < shape[axis])
        if geometry.grid.periodic[axis] and shape[axis] > 1:
            target[axis] %= shape[axis]
            inside[:] = True
        other = np.full(len(voxel), -1, np.int64)
        other[inside] = number[np.ravel_multi_index(tuple(target[:, inside]), shape)]
        face = where.copy()
        face[axis] += plus
        faces = (geometry.aperture_z, geometry.aperture_y, geometry.aperture_x)[axis][tuple(face)]
        open_ = (other >= 0) & (faces > 0.0)
        neighbour[direction] = np.where(open_, other, np.arange(len(voxel)))
        aperture[direction] = np.where(open_, faces, 0.0)
    return neighbour, aperture


def _mobility(geometry: Any, field: str, voxel: NDArray[np.int64]) -> _Floats:
    """Accessible fraction times relative diffusivity of a field in each open voxel, (n,)."""
    per_material = [m.relative_diffusivity_of(field) * m.accessible_fraction_of(field) for m in geometry.materials]
    values = np.array(per_material)[geometry.open_label.ravel()[voxel]]
    return values if geometry.mobility_profile is None else values * geometry.mobility_profile.ravel()[voxel]


def _face_conductance(
    geometry: Any,
    field: str,
    diffusivity: float,
    voxel: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    aperture: _Floats,
    mobility: _Floats,
) -> NDArray[np.float32]:
    """Face conductances over the diffusivity, (6, n) [um]; none for a field that stays put."""
    if diffusivity == 0.0:
        return np.zeros(aperture.shape, np.float32)
    h = float(geometry.grid.spacing)
    with np.errstate(divide="ignore"):
        resistance = 0.5 / mobility
    between = resistance[None, :] + resistance[neighbour]
    surface = np.array([m.permeability_of(field) for m in geometry.materials])
    if np.isfinite(surface).any():
        label = geometry.open_label.ravel()[voxel]
        other = label[neighbour]
        crossing = other != label[None, :]
        with np.errstate(divide="ignore"):
            film = 1.0 / surface[label][None, :] + 1.0 / surface[other]
        between = between + np.where(crossing, film, 0.0) * diffusivity / h
    with np.errstate(invalid="ignore"):
        return np.where(aperture > 0.0, h * aperture / between, 0.0).astype(np.float32)


def _transport_groups(
    study: Any, voxel: NDArray[np.int64], neighbour: NDArray[np.int32], aperture: _Floats, mobility: list[_Floats]
) -> tuple[tuple[TransportGroup, ...], NDArray[np.int64]]:
    """One transport group for all fields with the same face conductances over their diffusivity."""
    groups: list[TransportGroup] = []
    group_of_field = np.zeros(len(mobility), np.int64)
    position = np.stack(np.unravel_index(voxel, study.geometry.grid.shape), axis=1).astype(np.int64)
    for f, field in enumerate(study.mechanism.fields):
        conductance = _face_conductance(
            study.geometry, field.name, float(study.diffusivity[f]), voxel, neighbour, aperture, mobility[f]
        )
        same = [k for k, group in enumerate(groups) if np.array_equal(group.conductance, conductance)]
        if not same:
            groups.append(_transport_group(position, neighbour, conductance))
            same = [len(groups) - 1]
        group_of_field[f] = same[0]
    return tuple(groups), group_of_field


def _transport_group(
    position: NDArray[np.int64], neighbour: NDArray[np.int32], conductance: NDArray[np.float32]
) -> TransportGroup:
    """Pockets and multigrid hierarchy of one set of face conductances."""
    n = neighbour.shape[1]
    faces = [(np.flatnonzero(conductance[d] > 0.0), d) for d in (1, 3, 5)]
    first = np.concatenate([i for i, _ in faces]).astype(np.int64)
    second = np.concatenate([neighbour[d, i] for i, d in faces]).astype(np.int64)
    values = np.concatenate([conductance[d, i] for i, d in faces]).astype(np.float64)
    links = sparse.coo_array((np.ones(len(first), np.int8), (first, second)), shape=(n, n))
    n_pockets, pocket = csgraph.connected_components(links, directed=False)
    pocket = pocket.astype(np.int32)
    hierarchy = build_hierarchy(position, first, second, values, pocket)
    return TransportGroup(np.ascontiguousarray(conductance), pocket, int(n_pockets), hierarchy)


def _capacities(study: Any, voxel: NDArray[np.int64]) -> tuple[_Floats, NDArray[np.int64]]:
    """Accessible volumes [um^3], one row for all fields that share them, and the row of each field."""
    geometry = study.geometry
    volume = geometry.open_fraction.ravel()[voxel] * float(geometry.grid.spacing) ** 3
    if geometry.accessible_profile is not None:
        volume = volume * geometry.accessible_profile.ravel()[voxel]
    label = geometry.open_label.ravel()[voxel]
    walls, skins = geometry.wall_area.ravel()[voxel], skin_depths(study)
    # Accessible fractions by material, or the depth of a skin on the walls.
    keys = [
        skins[name] if name in skins else tuple(m.accessible_fraction_of(name) for m in geometry.materials)
        for name in study.mechanism.field_names
    ]
    rows = list(dict.fromkeys(keys))
    capacity = np.stack([walls * key if isinstance(key, float) else volume * np.array(key)[label] for key in rows])
    return np.ascontiguousarray(capacity), np.array([rows.index(key) for key in keys], np.int64)


def skin_depths(study: Any) -> dict[str, float]:
    """Depth [um] of the skin of the walls that holds a field, for those that are in no medium."""
    from payloadfield.mechanism import evaluate

    mechanism = study.mechanism
    values = dict(zip(mechanism.study_parameters, study.parameters, strict=True))
    return {field.name: float(evaluate(field.depth, values)) for field in mechanism.fields if field.depth is not None}


def make_bath_contact(study: Any, voxel: NDArray[np.int64]) -> BathContact:
    """Conductances between open voxels and the bath, through bath sides and walls of bath materials."""
    names = [field.name for field in study.mechanism.fields]
    mobility = (_mobility(study.geometry, name, voxel) for name in names)
    total = np.stack([_bath_conductance(study, f, voxel, each) for f, each in enumerate(mobility)])
    touching = np.flatnonzero(np.any(total > 0.0, axis=0))
    return BathContact(touching.astype(np.int64), np.ascontiguousarray(total[:, touching]), float(study.bath.volume))


def _bath_conductance(study: Any, field: int, voxel: NDArray[np.int64], mobility: _Floats) -> _Floats:
    """Conductance of each open voxel to the bath for one field, (n,) [um^3/s]."""
    geometry = study.geometry
    h, diffusivity = float(geometry.grid.spacing), float(study.diffusivity[field])
    side_permeability = np.inf if study.bath.permeability is None else float(study.bath.permeability[field])
    kappa = diffusivity * mobility
    area = np.zeros(geometry.grid.shape)
    for side in sorted(study.bath.sides):
        axis, end = _SIDES[side]
        faces = (geometry.aperture_z, geometry.aperture_y, geometry.aperture_x)[axis]
        _end_slice(area, axis, end)[...] += _end_slice(faces, axis, end) * h * h
    total = _film(area.ravel()[voxel], 0.5 * h, kappa, side_permeability)
    wall = geometry.bath_area.ravel()[voxel]
    if wall.any():
        permeability = _bath_wall_permeability(geometry.materials, study.mechanism.fields[field].name)
        total = total + _film(wall, geometry.bath_distance.ravel()[voxel], kappa, permeability)
    return total


def _bath_wall_permeability(materials: Any, field: str) -> float:
    """Permeability of the walls of bath materials [um/s]; a geometry does not tell the walls of two of them apart."""
    films = {m.name: m.permeability_of(field) for m in materials if m.kind == "bath"}
    if len(set(films.values())) > 1:
        found = ", ".join(f"{name} {value:g} um/s" for name, value in films.items())
        raise StudyError(
            f"materials: the bath materials of the scaffold differ in their permeability for {field} ({found}); "
            "give them the same, or use one bath material"
        )
    return next(iter(films.values()))


def _film(area: _Floats, distance: _Floats | float, kappa: _Floats, permeability: float) -> _Floats:
    """Conductance of an area: A / (distance / kappa + 1 / permeability), zero where nothing diffuses."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = area / (distance / kappa + np.divide(1.0, permeability))
    return np.where((area > 0.0) & (kappa > 0.0), value, 0.0)


def _end_slice(array: _Floats, axis: int, end: int) -> _Floats:
    """First or last layer of an array along an axis."""
    index: list[Any] = [slice(None)] * array.ndim
    index[axis] = end
    return array[tuple(index)]


def _cell_table(study: Any, voxel: NDArray[np.int64]) -> CellTable:
    """Footprints over open voxels, and for each touched voxel its entries."""
    cells = study.cells
    number = np.full(int(np.prod(study.geometry.grid.shape)), -1, np.int64)
    number[voxel] = np.arange(len(voxel))
    entry_voxel = number[cells.entry_voxel]
    if np.any(entry_voxel < 0):
        lost = np.searchsorted(cells.entry_start, np.flatnonzero(entry_voxel < 0)[0], side="right") - 1
        raise CellsError(
            f"cell {lost}: its footprint covers a voxel that is closed; only voxels with an open face can hold a cell"
        )
    order = np.argsort(entry_voxel, kind="stable").astype(np.int64)
    touched, counts = np.unique(entry_voxel, return_counts=True)
    return CellTable(
        n_cells=len(cells.type_index),
        entry_start=np.ascontiguousarray(cells.entry_start, np.int64),
        entry_voxel=np.ascontiguousarray(entry_voxel, np.int64),
        entry_weight=np.ascontiguousarray(cells.entry_weight, np.float64),
        touched_voxel=touched.astype(np.int64),
        touched_start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        touched_entry=order,
    )


def make_moiety_contents(study: Any) -> dict[str, _Floats]:
    """Content of each moiety in one unit of each field, state and accumulator."""
    from payloadfield.mechanism import evaluate

    mechanism = study.mechanism
    values = dict(zip(mechanism.study_parameters, study.parameters, strict=True))

    def contents(species: Any) -> _Floats:
        table = [
            [float(evaluate(s.contains[m], values)) if m in s.contains else 0.0 for s in species]
            for m in mechanism.moieties
        ]
        return np.array(table, float).reshape(len(mechanism.moieties), len(species))

    return {
        "moiety_of_field": contents(mechanism.fields),
        "moiety_of_state": contents(mechanism.states),
        "moiety_of_accumulator": contents(mechanism.accumulators),
    }

"""Studies made by hand from their parts, without a study file or the library: what tests hold in both hands."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
from tests.references import reaction_text

from payloadfield.cells import Cells
from payloadfield.geometry import Geometry, Material, VoxelGrid, find_pockets, make_geometry
from payloadfield.mechanism import Mechanism, load_mechanism
from payloadfield.study import Bath, Event, OutputSettings, SolverSettings, Study

MECHANISMS = Path(__file__).parent / "mechanisms"
MEDIUM = Material("medium", "medium", {"default": 1.0}, {"default": 1.0}, {})
SOLID = Material("solid", "impermeable", {"default": 0.0}, {"default": 0.0}, {})


def find_mechanism(name):
    """One of the tests' own mechanisms, or a built-in one; a mechanism is taken as it is."""
    if isinstance(name, Mechanism):
        return name
    path = MECHANISMS / f"{name}.toml"
    return load_mechanism(str(path) if path.exists() else name)


def make_gel(relative_diffusivity=0.5, accessible_fraction=0.8, permeability=None):
    """A gel; each property a number for all fields or a mapping by field name."""
    as_table = lambda x: dict(x) if isinstance(x, dict) else {"default": x}  # noqa: E731
    wall = {} if permeability is None else as_table(permeability)
    return Material("gel", "gel", as_table(relative_diffusivity), as_table(accessible_fraction), wall)


def make_box(shape, spacing, periodic=(False, False, False), shapes=(), materials=(MEDIUM, SOLID)) -> Geometry:
    """A box of medium with shapes in it; shape and periodic in the order z, y, x."""
    return make_geometry(VoxelGrid(tuple(shape), spacing, tuple(periodic)), list(shapes), list(materials))


def no_cells():
    """An empty table of cells."""
    return make_cells([])


def make_cells(footprints, shape=(1, 1, 1), spacing=1.0):
    """Cells from footprints, each a mapping {flat voxel: weight} whose first voxel holds the centre."""
    footprints = sorted(footprints, key=lambda f: next(iter(f)))
    centre = np.array([next(iter(f)) for f in footprints], int)
    position = (np.stack(np.unravel_index(centre, shape), -1) + 0.5) * spacing
    voxels = [np.fromiter(f.keys(), np.int64) for f in footprints]
    weights = [np.fromiter(f.values(), float) for f in footprints]
    return Cells(
        type_names=("cell",),
        type_index=np.zeros(len(footprints), np.int32),
        position=position.reshape(-1, 3).astype(float),
        radius=np.full(len(footprints), 8.0),
        variation={},
        entry_start=np.concatenate([[0], np.cumsum([len(v) for v in voxels], dtype=np.int64)]).astype(np.int64),
        entry_voxel=np.concatenate([*voxels, np.zeros(0, np.int64)]),
        entry_weight=np.concatenate([*(w / w.sum() for w in weights), np.zeros(0)]),
    )


def make_study(
    mechanism, geometry, *, duration, cells=None, parameters=None, of_cells=None, boundary=None, bath_volume=np.inf,
    bath_permeability=None, initial=None, initial_states=None, initial_bath=None, schedule=(), outputs=(), solver=None,
) -> Study:  # fmt: skip
    """A Study from its parts.

    mechanism: name; parameters: {name: internal units}; of_cells: {name: value or (n_cell,)}; boundary: {side: kind} of
    sides that are no walls; initial, initial_bath, bath_permeability: {field: nM, nM, um/s}; initial_states: {state:
    molecules}, those of the mechanism otherwise; schedule: (time [s], {field: nM}, wash) each; outputs: times [s].
    """
    network = find_mechanism(mechanism)
    cells = no_cells() if cells is None else cells
    n_cell, fields = cells.type_index.size, network.field_names
    values = {p.name: p.value for p in network.parameters if p.value is not None} | (parameters or {})
    of_all = values | {k: np.broadcast_to((values | (of_cells or {}))[k], n_cell) for k in network.cell_parameters}
    sides = side_kinds(geometry.grid.periodic) | (boundary or {})
    bath_sides = frozenset(side for side, kind in sides.items() if kind == "bath")
    permeability = None if bath_permeability is None else by_name(fields, bath_permeability, np.inf)
    return Study(
        title="handmade", duration=float(duration), seed=1, mechanism=network,
        parameters=by_name(network.study_parameters, values),
        cell_parameters=np.array([*(of_all[k] for k in network.cell_parameters), np.zeros(n_cell)], float)[:-1],
        geometry=geometry, pockets=find_pockets(geometry, bath_sides), cells=cells,
        diffusivity=evaluate_table(network, "fields", "diffusivity", fields, of_all),
        bath=Bath(volume=bath_volume, sides=bath_sides, permeability=permeability), boundary=sides,
        initial_fields=by_name(fields, initial or {}), initial_bath=by_name(fields, initial_bath or {}),
        initial_states=start_states(network, of_all, n_cell, initial_states or {}),
        typical_fields=evaluate_table(network, "fields", "typical", fields, of_all),
        typical_states=evaluate_table(network, "states", "typical", network.state_names, of_all),
        schedule=tuple(make_event(fields, *entry) for entry in schedule),
        solver=solver or make_solver(), output=make_output(outputs),
    )  # fmt: skip


def by_name(names, table, missing=0.0):
    """Values of a table in the order of names."""
    return np.array([table.get(name, missing) for name in names], float)


def side_kinds(periodic):
    """Kind of every side of a box with walls where it is not periodic."""
    pairs = zip("zyx", periodic, strict=True)
    return {f"{axis}_{end}": "periodic" if joined else "wall" for axis, joined in pairs for end in ("low", "high")}


def make_event(fields, time, dose, wash):
    """An event from field names."""
    return Event(time=float(time), dose={fields.index(f): float(c) for f, c in dose.items()}, wash=float(wash))


def make_solver(rtol=1e-2, precision="mixed", **settings):
    """Solver settings on one thread."""
    return SolverSettings(**({"rtol": rtol, "precision": precision, "threads": 1} | settings))


def make_output(times):
    """Outputs at the given times [s], of nothing in particular."""
    return OutputSettings(times=tuple(float(t) for t in times), fields=(), cells=(), checkpoint_every=np.inf)


def evaluate_table(network, table, key, names, values):
    """An expression of every field or state from the parameters (mean over cells), nan where none."""
    entries = tomllib.loads(network.source_text).get(table, {})
    texts = [entries.get(name, {}).get(key) for name in names]
    return np.array([np.nan if t is None else np.mean(reaction_text.value(t, values)) for t in texts], float)


def start_states(network, values, n_cell, given):
    """Molecules of every state at time zero, (S, n_cell): given, or the mechanism's own expression, or zero."""
    tables = tomllib.loads(network.source_text)
    entries = tables.get("states", {}) | tables.get("fates", {})
    texts = [entries.get(name, {}).get("initial", 0.0) for name in network.state_names]
    found = [given.get(n, reaction_text.value(t, values)) for n, t in zip(network.state_names, texts, strict=True)]
    return np.array([np.broadcast_to(v, n_cell) for v in found], float).reshape(len(found), n_cell)


def with_profile(geometry, profile):
    """A geometry whose accessible fraction is multiplied by a profile over the voxels."""
    return replace(geometry, accessible_profile=np.ascontiguousarray(profile, float))


def as_staircase(geometry):
    """The same solid made of whole voxels: what a solver without cut voxels would see."""
    solid = np.array([m.kind in ("impermeable", "bath") for m in geometry.materials])[geometry.label]
    open_ = (~solid).astype(float)
    apertures = {}
    for axis, name in enumerate("zyx"):
        layers = np.moveaxis(open_, axis, 0)
        both = layers[:-1] * layers[1:]
        ends = (layers[-1:] * layers[:1],) * 2 if geometry.grid.periodic[axis] else (layers[:1], layers[-1:])
        faces = np.concatenate([ends[0], both, ends[1]])
        apertures[f"aperture_{name}"] = np.ascontiguousarray(np.moveaxis(faces, 0, axis))
    return replace(geometry, open_fraction=open_, **apertures)

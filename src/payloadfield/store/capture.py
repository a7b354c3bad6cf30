"""What the store keeps of a simulation at one moment: its fields, its cells, its ledger."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from payloadfield.store.snapshot import Frame, Snapshot
from payloadfield.store.table import Table
from payloadfield.units import AVOGADRO_NM_UM3

if TYPE_CHECKING:
    from payloadfield.solver import Simulation
    from payloadfield.study import Study


ALWAYS_KEPT = ("exposure", "fate", "transition")
"""Kinds of states that every output has."""


def take_snapshot(sim: Simulation, index: int) -> Snapshot:
    """The state of `sim` as output number `index`: the study's chosen fields and states, and every exposure."""
    study = sim.study
    states = kept_states(study)
    return Snapshot(
        index=index,
        time=float(sim.time),
        frame=study_frame(study),
        fields={name: np.asarray(sim.field_on_grid(name), dtype=np.float32) for name in study.output.fields},
        cells={name: np.array(sim.cell_state(name)) for name in states},
        cell_units=states,
        ledger=ledger_rows(sim),
        bath={item.name: float(value) for item, value in zip(study.mechanism.fields, sim.state.bath, strict=True)},
        counts=counts_now(sim),
    )


def study_frame(study: Study) -> Frame:
    """The box of a study."""
    grid = study.geometry.grid
    return Frame((int(grid.shape[0]), int(grid.shape[1]), int(grid.shape[2])), float(grid.spacing))


def kept_states(study: Study) -> dict[str, str]:
    """Per-cell states kept at every output, with their units: those chosen in `output.cells`, and what always is."""
    chosen = set(study.output.cells)
    return {item.name: item.unit for item in study.mechanism.states if item.name in chosen or item.kind in ALWAYS_KEPT}


def counts_now(sim: Simulation) -> dict[str, float]:
    """What reactions in the medium and the bath have put into each accumulator so far [molecules]."""
    amounts = sim.state.accumulators * AVOGADRO_NM_UM3
    return {item.name: float(v) for item, v in zip(sim.study.mechanism.accumulators, amounts, strict=True)}


def ledger_rows(sim: Simulation) -> dict[str, dict[str, float]]:
    """The balance sheet: moiety -> column -> amount [molecules]; `relative_defect` has no unit."""
    rows = (asdict(line) for line in sim.ledger)
    return {row.pop("moiety"): row for row in rows}


def cell_table(sim: Simulation) -> Table:
    """One row a cell: who it is, where it is, its parameters, and its states and exposures now."""
    table = _identity(sim.study)
    units = {"x_um": "um", "y_um": "um", "z_um": "um", "radius_um": "um", "surface_distance_um": "um"}
    _add_parameters(sim.study, table, units)
    for item in sim.study.mechanism.states:
        table[item.name] = np.array(sim.cell_state(item.name))
        units[item.name] = item.unit
    for name, (values, unit) in sim.peaks().items():
        table[name], units[name] = values, unit
    for name, times in sim.commitments().items():
        table[f"{name}_time"], units[f"{name}_time"] = times, "s"
    return Table(table, units)


def _identity(study: Study) -> dict[str, np.ndarray]:
    cells = study.cells
    names = np.asarray(cells.type_names, dtype=str) if cells.type_names else np.zeros(0, dtype=str)
    return {
        "cell": np.arange(len(cells.type_index)),
        "type": names[cells.type_index],
        "x_um": cells.position[:, 2],
        "y_um": cells.position[:, 1],
        "z_um": cells.position[:, 0],
        "radius_um": cells.radius,
        "surface_distance_um": _at_cells(study, study.geometry.surface_distance),
    }


def _add_parameters(study: Study, table: dict[str, np.ndarray], units: dict[str, str]) -> None:
    per_cell = {item.name: item.unit for item in study.mechanism.parameters if item.per == "cell"}
    for name, values in zip(study.mechanism.cell_parameters, study.cell_parameters, strict=True):
        table[name], units[name] = values, per_cell[name]


def _at_cells(study: Study, values: np.ndarray) -> np.ndarray:
    """Values of a grid array at the centre of each cell, interpolated between the centres of voxels (n_cell,)."""
    from scipy.ndimage import map_coordinates

    grid = study.geometry.grid
    if not np.isfinite(values).all():  # no surface anywhere
        return np.full(len(study.cells.position), np.inf)
    index = study.cells.position / grid.spacing - 0.5
    padded = values
    for axis, is_periodic in enumerate(grid.periodic):
        padding = [(1, 1) if k == axis else (0, 0) for k in range(3)]
        padded = np.pad(padded, padding, mode="wrap" if is_periodic else "edge")
    found: np.ndarray = map_coordinates(padded, index.T + 1.0, order=1, mode="nearest")
    return found

"""What the store keeps of a simulation at one moment: its fields, its cells, its ledger."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from payloadfield.solver.outputs import Held, kept_states
from payloadfield.store.snapshot import Frame, Snapshot
from payloadfield.store.table import Table
from payloadfield.units import AVOGADRO_NM_UM3

if TYPE_CHECKING:
    from payloadfield.solver import Simulation
    from payloadfield.study import Study


@dataclass(frozen=True)
class Capture:
    """An output that was asked for: all but its fields and states is there, those may still be on their way."""

    rest: Snapshot
    held: Held

    def finish(self) -> Snapshot:
        """The whole output, in whatever thread; once."""
        fields, cells = self.held.take()
        return replace(self.rest, fields=fields, cells=cells)

    def drop(self) -> None:
        """Do without it."""
        self.held.drop()


def capture_output(sim: Simulation, index: int) -> Capture:
    """The state of `sim` as output number `index`: the study's chosen fields and states, and every exposure."""
    study = sim.study
    bath = {item.name: float(value) for item, value in zip(study.mechanism.fields, sim.bath, strict=True)}
    rest = Snapshot(
        index=index, time=float(sim.time), frame=study_frame(study), fields={}, cell_units=kept_states(study),
        ledger=ledger_rows(sim), bath=bath, counts=counts_now(sim),
    )  # fmt: skip
    return Capture(rest, sim.hold())


def take_snapshot(sim: Simulation, index: int) -> Snapshot:
    """The same, whole."""
    return capture_output(sim, index).finish()


def study_frame(study: Study) -> Frame:
    """The box of a study."""
    grid = study.geometry.grid
    return Frame((int(grid.shape[0]), int(grid.shape[1]), int(grid.shape[2])), float(grid.spacing))


def counts_now(sim: Simulation) -> dict[str, float]:
    """What reactions in the medium and the bath have put into each accumulator so far [molecules]."""
    amounts = sim.accumulators * AVOGADRO_NM_UM3
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

"""Solves one study in memory and measures it: what a point of a sweep, or a sample of an uncertainty, takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from payloadfield.compare.metrics import Kinds, Metric, measure
from payloadfield.compare.places import distance_to_sides
from payloadfield.solver import make_simulation
from payloadfield.store.capture import cell_table, take_snapshot
from payloadfield.store.exposure import CellSeries, stack_series
from payloadfield.store.table import Table
from payloadfield.study import Study


@dataclass(frozen=True)
class Measured:
    """Metrics of a study, and what they took: steps, and the largest relative defect of a balance."""

    metrics: list[Metric]
    n_steps: int
    largest_defect: float


@dataclass(frozen=True)
class _Kept:
    """What is left of a run when its fields are forgotten."""

    cells: Table
    series: CellSeries


def solve_and_measure(study: Study, *, backend: str | None = None, plan: Any = None) -> Measured:
    """Run a study to its end, keeping no field, and measure it.

    plan: of this study, where one is at hand (solver.variants).  Raises SolverError where the run gets stuck.
    """
    lean = replace(study, output=replace(study.output, fields=()))
    sim = make_simulation(lean, backend, plan=plan)
    snapshots = [take_snapshot(sim, index) for index in sim.outputs_now()]
    worst = 0.0
    for record in sim.steps():
        snapshots += [take_snapshot(sim, index) for index in record.outputs]
        worst = max(worst, *(abs(value) for value in record.balance.values()), 0.0)
    kept = _Kept(cell_table(sim), stack_series(snapshots))
    return Measured(measure(kept, kinds_of_study(study, kept.cells)), sim.n_steps, worst)


def metric_names(study: Study) -> list[str]:
    """Names of the metrics that a run of a study will have for each cell type, known before it is solved."""
    cells, states = study.cells, study.mechanism.states
    columns = {"type": np.array(cells.type_names)[cells.type_index]}
    columns |= {f"{axis}_um": cells.position[:, k] for k, axis in enumerate("zyx")}
    table = Table(columns | {state.name: np.ones(len(cells.type_index)) for state in states}, {})
    start = CellSeries(times=np.zeros(1), cells={}, ledger={})
    return list(
        dict.fromkeys(m.name for m in measure(_Kept(table, start), kinds_of_study(study, table)) if m.cell_type)
    )


def kinds_of_study(study: Study, cells: Table) -> Kinds:
    """What the columns of a study's cells are."""
    states = study.mechanism.states
    fates = {each.name: each.lysis is not None for each in study.mechanism.fates}
    sides, grid = sorted(study.bath.sides), study.geometry.grid
    distance: np.ndarray | None = distance_to_sides(cells, sides, grid.shape, grid.spacing) if sides else None
    return Kinds(
        exposures=[state.name for state in states if state.kind == "exposure"],
        living=[name for name, is_dead in fates.items() if not is_dead],
        dead=[name for name, is_dead in fates.items() if is_dead],
        bath_distance=distance,
    )

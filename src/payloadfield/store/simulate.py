"""`simulate`: one call from a study to its results, on disk or in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from payloadfield.backends.registry import resolve
from payloadfield.errors import RunError
from payloadfield.store.capture import cell_table, take_snapshot
from payloadfield.store.estimate import refuse_too_large
from payloadfield.store.exposure import CellSeries, stack_series
from payloadfield.store.interrupt import listening
from payloadfield.store.reader import Run, open_run
from payloadfield.store.runner import Observer, execute, refuse_until, resume_run, start_run
from payloadfield.store.snapshot import Snapshot
from payloadfield.store.table import Table
from payloadfield.store.writer import refuse_existing
from payloadfield.units import parse_quantity

if TYPE_CHECKING:
    from payloadfield.solver import Simulation
    from payloadfield.study import Study


class Result:
    """What a run leaves in memory: the same questions as a `Run` on disk answers."""

    def __init__(self, study: Study, snapshots: Sequence[Snapshot], cells: Table) -> None:
        self.study = study
        self.cells = cells
        self.series: CellSeries = stack_series(snapshots)
        self._snapshots = list(snapshots)

    def __repr__(self) -> str:
        end = self.times[-1] if len(self.times) else 0.0
        return f"Result({self.study.title!r}, {len(self.times)} outputs to {end:.6g} s, {self.cells.n_rows} cells)"

    @property
    def times(self) -> np.ndarray:
        """Model time of every output (n_time,) [s]."""
        return self.series.times

    @property
    def field_names(self) -> list[str]:
        """Names of the kept fields."""
        return list(self.study.output.fields)

    def field(self, name: str, time_index: int = -1) -> np.ndarray:
        """One field at one output (nz, ny, nx) [nM], NaN in closed voxels."""
        if name not in self.field_names:
            raise RunError(
                f"no field {name!r}; kept are {', '.join(self.field_names)} (key output.fields of the study)"
            )
        if not -len(self._snapshots) <= time_index < len(self._snapshots):
            raise RunError(f"no output {time_index}; there are {len(self._snapshots)}, counted from 0")
        return self._snapshots[time_index].fields[name]

    def cell_series(self, name: str) -> np.ndarray:
        """One per-cell state or exposure over time (n_time, n_cell)."""
        if name not in self.series.cells:
            raise RunError(
                f"no time series of {name!r}; kept are {', '.join(self.series.cells)} (key output.cells of the study)"
            )
        return self.series.cells[name]

    @property
    def ledger(self) -> dict[str, dict[str, float]]:
        """The balance sheet at the last output: moiety -> column -> amount [molecules]."""
        return {m: {c: float(values[-1]) for c, values in columns.items()} for m, columns in self.series.ledger.items()}


def simulate(
    study: Study | str | Path,
    output: str | Path | None = None,
    *,
    backend: str | None = None,
    until: float | str | None = None,
    observer: Observer | None = None,
) -> Run | Result:
    """Run a study to its end.

    study: a Study, or the path of a study file; output: directory to write (None keeps everything in memory);
    backend: auto, numpy, numba or cupy (None: solver.backend of the study); until: stop at this time [s], or such as
    "24 h"; observer: hears of every step.
    Raises RunError where `output` exists or `until` is not after 0, ResourceError for too little memory or disk,
    SolverError where it gets stuck.
    An interrupt (Ctrl-C) writes a checkpoint first when there is an `output`; `resume` goes on from there.
    """
    from payloadfield.solver import make_simulation
    from payloadfield.study import load_study

    end = _seconds(until)
    refuse_until(end)
    if backend is not None:
        resolve(backend)
    if output is not None:
        refuse_existing(output)
    resolved = load_study(study) if isinstance(study, (str, Path)) else study
    refuse_too_large(resolved)
    sim = make_simulation(resolved, backend)
    if output is None:
        return _in_memory(sim, end, observer or Observer())
    writer = start_run(sim, output, backend=backend)
    with listening() as stop:
        state = execute(sim, writer, until=end, observer=observer, stop=stop)
    return _opened(writer.directory, was_stopped=stop.is_set and state != "finished")


def resume(
    directory: str | Path,
    *,
    backend: str | None = None,
    until: float | str | None = None,
    observer: Observer | None = None,
) -> Run:
    """Continue an interrupted run from its newest checkpoint.

    After an interruption the result is the same, bit for bit, as without it; after `until` at a time that was neither
    one of an output nor of an event it agrees to the tolerance, for the last step was cut short to end there.
    Raises RunError where the run is finished, still going on, or its study has changed.
    """
    end = _seconds(until)
    sim, writer, spent = resume_run(directory, backend=backend, until=end)
    with listening() as stop:
        state = execute(sim, writer, until=end, observer=observer, stop=stop, spent=spent)
    return _opened(writer.directory, was_stopped=stop.is_set and state != "finished")


def _seconds(until: float | str | None) -> float | None:
    """A model time [s] from a number of seconds or a text such as "24 h"."""
    return parse_quantity(until, "s", "until") if isinstance(until, str) else until


def _opened(directory: Path, *, was_stopped: bool) -> Run:
    if was_stopped:
        raise KeyboardInterrupt(f"stopped; `payloadfield resume {directory}` continues")
    return open_run(directory)


def _in_memory(sim: Simulation, until: float | None, observer: Observer) -> Result:
    """Step without a disk: the same outputs, kept in a list."""
    snapshots: list[Snapshot] = []
    observer.start(sim)
    snapshots += [take_snapshot(sim, index) for index in sim.outputs_now()]
    for record in sim.steps(until=until):
        observer.step(sim, record)
        for index in record.outputs:
            snapshots.append(take_snapshot(sim, index))
            observer.output(sim, index)
    observer.finish(sim)
    return Result(sim.study, snapshots, cell_table(sim))

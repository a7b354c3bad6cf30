"""What a run will take: memory, disk and time, estimated from sizes before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from payloadfield.errors import ResourceError
from payloadfield.solver.outputs import ALWAYS_KEPT
from payloadfield.store.effort import Effort
from payloadfield.store.files import format_bytes
from payloadfield.study.resolve_geometry import geometry_memory

if TYPE_CHECKING:
    from payloadfield.study import Study

_BASE_MEMORY = 0.35e9  # bytes: the interpreter with NumPy, SciPy and Numba
_MEMORY_PER_VALUE = 250.0  # bytes per open voxel and field: the bound that the solver is held to
_MEMORY_PER_STATE = 200.0  # bytes per cell and state: state, stages, factors
_SNAPSHOT_VALUE = 3.7  # bytes per open voxel and field of a snapshot: single precision, compressed
# CPU time per step and open voxel and field, and per cell and state: from the T-DXd study with voxels of 20 and 10 um
# and one thread, which took 16 and 93 ms a step on one core of a server.
_SECONDS_PER_VALUE = 0.18e-6
_SECONDS_PER_STATE = 0.05e-6
_EXACT_VALUE = 8.0  # bytes per number of a checkpoint or a per-cell table


@dataclass(frozen=True)
class Estimate:
    """memory, disk [bytes]; n_steps: expected number of steps; seconds: of CPU time, once compiled."""

    memory: float
    disk: float
    n_steps: float
    seconds: float


def estimate_run(study: Study) -> Estimate:
    """Estimate what a study will take, from the number of open voxels, fields, cells and outputs."""
    n_values = int((study.geometry.open_fraction > 0).sum()) * len(study.mechanism.fields)
    n_states = len(study.cells.type_index) * len(study.mechanism.states)
    kept = len(study.output.fields) / max(len(study.mechanism.fields), 1)
    n_kept_states = len(study.output.cells) + sum(state.kind in ALWAYS_KEPT for state in study.mechanism.states)
    per_output = _SNAPSHOT_VALUE * n_values * kept + _EXACT_VALUE * n_kept_states * len(study.cells.type_index)
    checkpoints = 2 * _EXACT_VALUE * (n_values + n_states)
    n_steps = expected_effort(study).steps(study.duration)
    return Estimate(
        memory=_BASE_MEMORY
        + geometry_memory(study.geometry.label.size)
        + _MEMORY_PER_VALUE * n_values
        + _MEMORY_PER_STATE * n_states,
        disk=len(study.output.times) * per_output + checkpoints,
        n_steps=n_steps,
        seconds=n_steps * (_SECONDS_PER_VALUE * n_values + _SECONDS_PER_STATE * n_states),
    )


def expected_effort(study: Study) -> Effort:
    """How the steps of a study spread over its time."""
    longest = min((b - a for a, b in pairwise(study.output.times)), default=study.duration)
    events = [event.time for event in study.schedule]
    return Effort(events, study.duration, first_step=study.solver.first_step, longest=longest)


def refuse_too_large(study: Study) -> None:
    """Raise ResourceError where this machine has less free memory than the study needs, before anything is built."""
    import psutil

    need, free = estimate_run(study).memory, psutil.virtual_memory().available
    if need > free:
        raise ResourceError(
            f"{study.title}: about {format_bytes(need)} of memory needed, {format_bytes(free)} free. "
            "Coarsen grid.voxel, shrink grid.size, or use a machine with more memory; see `payloadfield check`"
        )

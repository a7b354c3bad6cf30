"""A batch of designs: studies that share geometry, cells and mechanism, advanced together with one step size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from payloadfield.solver.simulation import Attempt, Simulation, StepRecord
from payloadfield.solver.variants import make_plans


@dataclass(frozen=True)
class BatchRecord:
    """One step of a batch: number, time reached and step size [s], the largest scaled error and the design that has it,
    attempts rejected before it, and the record of every design."""

    index: int
    time: float
    dt: float
    error: float
    worst_design: int
    rejected: int
    records: tuple[StepRecord, ...]


class BatchSimulation:
    """Advances several studies over one geometry; each of `designs` answers as a Simulation of its own does.

    The error of a step is the largest of the designs'; a step lands on the events and outputs of all. The plans share
    their maps, and the designs take turns with one set of work arrays: another design costs its state, twice.
    `designs[i].steps` is not to be used: a design does not advance alone.
    """

    def __init__(self, studies: Sequence[Any], backend: str | None = None) -> None:
        """Raises StudyError for studies that differ in more than a batch may, naming it."""
        plans = make_plans(studies)
        first = Simulation(studies[0], backend, plan=plans[0])
        others = [Simulation(s, plan=p, beside=first) for s, p in zip(studies[1:], plans[1:], strict=True)]
        self.designs: tuple[Simulation, ...] = (first, *others)

    @property
    def time(self) -> float:
        """Time reached [s]."""
        return self.designs[0].time

    @property
    def n_steps(self) -> int:
        """Steps taken."""
        return self.designs[0].n_steps

    def steps(self, until: float | None = None) -> Iterator[BatchRecord]:
        """Advance to `until` [s] (default: the duration), yielding each accepted step."""
        first = self.designs[0]
        end = first.study.duration if until is None else min(float(until), first.study.duration)
        while first.is_before(self.time, end):
            yield self._advance(end)

    def run(self, until: float | None = None) -> list[BatchRecord]:
        """Advance to `until` [s] and return all steps."""
        return list(self.steps(until))

    def _advance(self, end: float) -> BatchRecord:
        first, rejected = self.designs[0], 0
        first.refuse_more_steps(end)
        target = min(design.target(end) for design in self.designs)
        while True:
            dt, cut_short = first.choose_step(target)
            tried = [design.attempt(dt) for design in self.designs]
            worst = int(np.argmax([t.error if np.isfinite(t.error) else np.inf for t in tried]))
            if tried[worst].error <= 1.0:
                break
            rejected += 1
            self.designs[worst].reject(tried[worst])
        first.controller.accept(dt, tried[worst].error, cut_short=cut_short)
        records = self._accept(tried, target if cut_short else np.inf, rejected)
        return BatchRecord(first.n_steps, self.time, dt, tried[worst].error, worst, rejected, records)

    def _accept(self, tried: Sequence[Attempt], target: float, rejected: int) -> tuple[StepRecord, ...]:
        """Take the step in every design; the events of each follow."""
        return tuple(design.accept(t, target, rejected) for design, t in zip(self.designs, tried, strict=True))

    # -- continuing ---------------------------------------------------------------------------------------------

    def checkpoint(self) -> list[dict[str, Any]]:
        """Everything needed to continue bit for bit, design by design; each continues a run of its own as well."""
        return [design.checkpoint() for design in self.designs]

    def restore(self, data: Sequence[dict[str, Any]]) -> None:
        """Continue from what `checkpoint` returned."""
        for design, each in zip(self.designs, data, strict=True):
            design.restore(each)

"""Progress of a run in model time: a live line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import logging
import math
from time import monotonic
from typing import TYPE_CHECKING

from payloadfield.cli.output import duration, make_console
from payloadfield.store.estimate import expected_effort
from payloadfield.store.runner import Observer

if TYPE_CHECKING:
    from payloadfield.solver import Simulation, StepRecord

_EVERY = 10.0  # s between lines where the output is no terminal
_REFRESH = 0.1  # s between renewals of the live line


class ProgressLine(Observer):
    """Shows model time, time left, step size and balance while a run goes on."""

    def __init__(self, *, is_quiet: bool = False) -> None:
        self._console = make_console(stderr=True)
        self._is_quiet = is_quiet
        self._is_live = self._console.is_terminal
        self._shown = 0.0

    def start(self, sim: Simulation) -> None:
        """Note where the run starts from."""
        study = sim.study
        self._effort = expected_effort(study)
        self._began = 0.0
        self._shown = 0.0 if self._is_live else monotonic()

    def step(self, sim: Simulation, record: StepRecord) -> None:
        """Renew the line, not too often; the first step, which may compile, is left out of the time left."""
        if not self._began:
            self._began, self._before = monotonic(), self._effort.steps(record.time)
        wait = _REFRESH if self._is_live else _EVERY
        if self._is_quiet or monotonic() - self._shown < wait:
            return
        self._shown = monotonic()
        self._show(self._text(sim, record))

    def finish(self, sim: Simulation) -> None:
        """Take the live line away."""
        if self._is_live and not self._is_quiet:
            self._console.file.write("\r\033[K")
            self._console.file.flush()

    def _text(self, sim: Simulation, record: StepRecord) -> str:
        end = sim.study.duration
        worst = max((abs(value) for value in record.balance.values()), default=0.0)
        reached = f"{duration(record.time)} of {duration(end)} ({record.time / end:.0%})"
        seconds = self._left(record.time, end)
        left = f"{duration(seconds)} left" if math.isfinite(seconds) else "time left not known yet"
        return f"{reached}  {left}  step {record.index}: {duration(record.dt)}  balance {worst:.0e}"

    def _left(self, time: float, end: float) -> float:
        done = self._effort.steps(time) - self._before
        left = self._effort.steps(end) - self._effort.steps(time)
        return (monotonic() - self._began) * left / done if done > 0 else float("inf")

    def _show(self, text: str) -> None:
        self._console.file.write(f"\r\033[K{text[: self._console.width - 1]}" if self._is_live else text + "\n")
        self._console.file.flush()


def show_log_messages(*, is_quiet: bool = False) -> None:
    """Let what the package announces (a fallback and its reason, a mechanism being compiled) reach the screen."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("payloadfield")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.WARNING if is_quiet else logging.INFO)

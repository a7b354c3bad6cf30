"""Step-size control: Gustafsson's predictive controller (Gustafsson, ACM TOMS 20:496, 1994)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from payloadfield.solver.tableau import ERROR_ORDER

SAFETY = 0.8
LARGEST_GROWTH = 6.0
LARGEST_SHRINKAGE = 5.0
NON_FINITE_SHRINKAGE = 10.0
SMALLEST_REMEMBERED_ERROR = 1e-2


@dataclass
class Controller:
    """Proposes step sizes [s] from the scaled errors of past steps (an error of 1 just meets the tolerance).

    dt_new = dt / max(f, f_gustafsson),  f = err^(1/3) / safety,
    f_gustafsson = (dt_old / dt) (err^2 / err_old)^(1/3) / safety.
    """

    proposal: float
    largest: float = np.inf
    accepted_dt: float = 0.0
    accepted_error: float = 0.0
    just_rejected: bool = False

    def __post_init__(self) -> None:
        self.proposal = min(self.proposal, self.largest)

    def restart(self, first_step: float) -> None:
        """Forget the past: after an event the solution is not smooth."""
        self.proposal = min(first_step, self.largest)
        self.accepted_dt = self.accepted_error = 0.0
        self.just_rejected = False

    def accept(self, dt: float, error: float, *, cut_short: bool) -> None:
        """Learn from an accepted step; a step that was cut short to land does not shorten the next one."""
        factor = _bounded(max(error, 1e-12) ** (1 / ERROR_ORDER) / SAFETY)
        if self.accepted_dt > 0.0:
            growth = (error**2 / self.accepted_error) ** (1 / ERROR_ORDER) / SAFETY
            factor = max(factor, _bounded(self.accepted_dt / dt * growth))
        new = dt / factor
        if self.just_rejected:
            new = min(new, dt)
        if cut_short:
            new = max(new, self.proposal)
        else:
            self.accepted_dt, self.accepted_error = dt, max(error, SMALLEST_REMEMBERED_ERROR)
        self.proposal = min(new, self.largest)
        self.just_rejected = False

    def reject(self, dt: float, error: float) -> None:
        """Shorten the step after a rejected one."""
        if np.isfinite(error):
            self.proposal = dt / _bounded(error ** (1 / ERROR_ORDER) / SAFETY)
        else:
            self.proposal = dt / NON_FINITE_SHRINKAGE
        self.just_rejected = True


def _bounded(factor: float) -> float:
    """A step divisor between the largest growth and the largest shrinkage."""
    return min(max(factor, 1.0 / LARGEST_GROWTH), LARGEST_SHRINKAGE)

"""From a study to a simulation of it on the CPU or on a GPU, whichever was asked for or is at hand."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from payloadfield.backends.plan import Plan
from payloadfield.backends.registry import resolve
from payloadfield.errors import StudyError
from payloadfield.solver.batch import BatchSimulation
from payloadfield.solver.simulation import Simulation

_log = logging.getLogger(__name__)


def choose_backend(study: Any, backend: str | None = None) -> tuple[str, str]:
    """The backend of a run of a study, and why; backend: as asked for, else solver.backend of the study.

    Raises BackendError for one that cannot be used here, or that does not solve this study.
    """
    return resolve(backend or study.solver.backend, _reason_against(study))


def make_simulation(study: Any, backend: str | None = None, *, plan: Plan | None = None) -> Simulation:
    """A simulation of a study; plan: of this study, where one is at hand."""
    name, reason = choose_backend(study, backend)
    if name != "cupy":
        return Simulation(study, backend, plan=plan)
    from payloadfield.backends.cuda.backend import make_cupy_machine
    from payloadfield.solver.device.simulation import simulate_on_device

    _log.info("Backend %s (%s)", name, reason)
    return simulate_on_device(study, make_cupy_machine, plan)


def make_batch(studies: Sequence[Any], backend: str | None = None) -> Any:
    """Designs that are solved together; see BatchSimulation, and DeviceBatch for those on a GPU."""
    if not studies:
        raise StudyError("a batch: got no study; at least one is needed")
    against = [reason for reason in (_reason_against(study) for study in studies) if reason]
    name, reason = resolve(backend or studies[0].solver.backend, against[0] if against else None)
    if name != "cupy":
        return BatchSimulation(studies, backend)
    from payloadfield.backends.cuda.backend import make_cupy_machine
    from payloadfield.solver.device.simulation import DeviceBatch

    _log.info("Backend %s (%s), %d designs", name, reason, len(studies))
    return DeviceBatch(studies, make_cupy_machine)


def _reason_against(study: Any) -> str | None:
    from payloadfield.solver.device.limits import reason_against

    return reason_against(study)

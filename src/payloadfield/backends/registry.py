"""Backends by name, made lazily so that an absent library costs nothing."""

from __future__ import annotations

import logging
from typing import Any

from payloadfield.backends.base import Backend
from payloadfield.backends.cuda.status import examine
from payloadfield.backends.plan import Plan
from payloadfield.errors import BackendError
from payloadfield.mechanism import generate

BACKENDS = ("numpy", "numba", "cupy")

_log = logging.getLogger(__name__)


def resolve(name: str, against_gpu: str | None = None) -> tuple[str, str]:
    """The backend that a name stands for, and why: "auto" takes a GPU that is usable, else Numba, and says why.

    against_gpu: why this study cannot be solved on a GPU, if so.
    """
    if name == "auto":
        return _choose(against_gpu)
    if name in ("numpy", "numba"):
        return name, "asked for by name"
    if name == "cupy":
        status = examine()
        if not status.is_usable or against_gpu:
            reason = against_gpu or status.reason
            raise BackendError(f"backend cupy: {reason}. Or use --backend numba; see `payloadfield devices`")
        return name, "asked for by name"
    allowed = ", ".join(("auto", *BACKENDS))
    raise BackendError(
        f"backend {name!r} is not available in this version of payloadfield; allowed: {allowed}. "
        "Use --backend numba, or see `payloadfield devices`."
    )


def _choose(against_gpu: str | None) -> tuple[str, str]:
    """What "auto" takes, and why."""
    status = examine()
    if status.is_usable and not against_gpu:
        from payloadfield.backends.cuda.backend import choose_device

        number = choose_device(status)
        return "cupy", f"auto: {next(device.name for device in status.devices if device.number == number)}"
    return "numba", f"auto: Numba on the CPU, since {against_gpu or status.reason}"


def make_backend(name: str, plan: Plan, settings: Any) -> Backend:
    """The operations on the CPU by name ("auto" allowed) with a plan's data; settings: the study's solver settings.

    A GPU takes whole steps and has no operations one by one: solver/make.py.
    """
    if name == "cupy":
        raise BackendError("backend cupy: a Simulation computes on the CPU; make one by solver.make_simulation")
    resolved, reason = resolve(name)
    if resolved == "cupy":
        resolved, reason = "numba", "auto: Numba for what is computed on the CPU"
    if settings.precision == "float32":
        raise BackendError(
            f'solver.precision: got "float32" on backend {resolved}; a state in single precision is for cards with '
            'slow doubles, backend cupy; allowed here: "mixed", "float64"'
        )
    _log.info("Backend %s (%s)", resolved, reason)
    code = generate(plan.mechanism, resolved).module
    if resolved == "numba":
        from payloadfield.backends.compiled import CompiledBackend, announce_compiling

        announce_compiling(plan.mechanism.name, code)
        return CompiledBackend(plan, settings.precision, code, threads=settings.threads)
    from payloadfield.backends.reference import ReferenceBackend

    return ReferenceBackend(plan, settings.precision, code)

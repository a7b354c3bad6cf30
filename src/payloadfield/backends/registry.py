"""Backends by name, made lazily so that an absent library costs nothing."""

from __future__ import annotations

import logging
from typing import Any

from payloadfield.backends.base import Backend
from payloadfield.backends.plan import Plan
from payloadfield.errors import NO_GPU, BackendError
from payloadfield.mechanism import generate

BACKENDS = ("numpy", "numba")

_log = logging.getLogger(__name__)


def resolve(name: str) -> tuple[str, str]:
    """The backend that a name stands for, and why: "auto" takes the fastest one at hand."""
    if name == "auto":
        return "numba", "auto: Numba is the default on a CPU; the GPU backend is not part of this version"
    if name in BACKENDS:
        return name, "asked for by name"
    if name == "cupy":
        raise BackendError(f"backend: {NO_GPU}, or see `payloadfield devices`")
    allowed = ", ".join(("auto", *BACKENDS))
    raise BackendError(
        f"backend {name!r} is not available in this version of payloadfield; allowed: {allowed}. "
        "Use --backend numba, or see `payloadfield devices`."
    )


def make_backend(name: str, plan: Plan, settings: Any) -> Backend:
    """The backend of a name ("auto" allowed) with a plan's data; settings: the study's solver settings."""
    resolved, reason = resolve(name)
    _log.info("Backend %s (%s)", resolved, reason)
    code = generate(plan.mechanism, resolved).module
    if resolved == "numba":
        from payloadfield.backends.compiled import CompiledBackend, announce_compiling

        announce_compiling(plan.mechanism.name, code)
        return CompiledBackend(plan, settings.precision, code, threads=settings.threads)
    from payloadfield.backends.reference import ReferenceBackend

    return ReferenceBackend(plan, settings.precision, code)

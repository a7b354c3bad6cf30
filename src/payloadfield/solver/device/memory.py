"""What a study takes on a device, counted before anything is allocated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from payloadfield.backends.cuda.machine import CountingMachine
from payloadfield.backends.cuda.precision import make_build
from payloadfield.backends.plan import Plan
from payloadfield.mechanism import generate
from payloadfield.solver.device.arrays import DeviceArrays
from payloadfield.solver.device.followed import Followed, find_followed
from payloadfield.solver.device.program import StepProgram
from payloadfield.solver.tableau import make_ros34pw2

SHARED_MEMORY = 48 * 1024
"""Shared memory of a block [bytes] that every GPU has: levels that fit into more of it take a little less."""


def count_bytes(plans: Sequence[Plan], precision: str, followed: Followed | None = None) -> dict[str, int]:
    """Bytes on a device by what they are for; the arrays are those that a run allocates."""
    return dict(_count(plans, precision, followed).allocated)


def _count(plans: Sequence[Plan], precision: str, followed: Followed | None) -> CountingMachine:
    code = generate(plans[0].mechanism, "cuda").module
    machine = CountingMachine(make_build(precision), vars(code), len(plans), SHARED_MEMORY)
    arrays = DeviceArrays(machine, plans, code, make_ros34pw2(), followed)
    StepProgram(arrays, iterations=1, corrections=1)  # some tables are uploaded for the launches that need them
    return machine


def count_device_memory(study: Any) -> tuple[int, int]:
    """Bytes that a study takes on a device, and those that its outputs lock in the memory of the host."""
    from payloadfield.solver.discretisation import make_plan

    machine = _count([make_plan(study)], study.solver.precision, find_followed([study]))
    return sum(machine.allocated.values()), machine.locked

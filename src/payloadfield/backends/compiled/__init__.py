"""The compiled backend: the operations of a step in Numba, the default on a CPU."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning OpenMP threads lose to one thread on a busy machine

from payloadfield.backends.compiled.backend import CompiledBackend
from payloadfield.backends.compiled.compiling import announce_compiling

__all__ = ["CompiledBackend", "announce_compiling"]

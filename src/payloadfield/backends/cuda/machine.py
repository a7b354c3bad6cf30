"""What the step's program needs of a machine: memory, checked launches, and their replay.

Two machines: CuPy's (backend.py), and the tests' host build of the same kernels (tests/emulation/machine.py). Whatever
is above this seam is the same code for both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from payloadfield.backends.cuda.loader import list_kernels
from payloadfield.backends.cuda.signature import Build, Launch, check_launch
from payloadfield.errors import BackendError


class Machine(ABC):
    """Memory and kernels of one device; counts the bytes that it gives out, and those of the host that it locks.

    build: types and block size. constants: sizes of the mechanism's arrays, and n_designs. shared_limit: bytes of
    shared memory that one block may ask for.
    """

    shared_limit: int

    def __init__(self, build: Build, constants: Mapping[str, int]) -> None:
        self.build, self.constants = build, dict(constants)
        self.kernels = list_kernels(of_mechanism=False) | list_kernels(of_mechanism=True)
        self.allocated: dict[str, int] = {}
        self.locked = 0

    # -- memory -------------------------------------------------------------------------------------------------

    def zeros(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """A device array of zeros; name: what it is counted under."""
        self._count(name, shape, dtype)
        return self._zeros(shape, np.dtype(dtype))

    def upload(self, name: str, values: Any, dtype: Any) -> Any:
        """A device array of these values."""
        values = np.ascontiguousarray(values, dtype)
        self._count(name, values.shape, dtype)
        return self._upload(values)

    def lock_host(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """A host array of zeros that the device can copy to on its own."""
        self.locked += int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        return self._lock_host(shape, dtype)

    def _lock_host(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        return np.zeros(shape, dtype)

    def refuse_more_than_free(self, needed: int) -> None:
        """Raise ResourceError where there is less memory than so many bytes; a host finds out by itself."""
        return None

    def _count(self, name: str, shape: tuple[int, ...], dtype: Any) -> None:
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        self.allocated[name] = self.allocated.get(name, 0) + size

    @abstractmethod
    def _zeros(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """See zeros."""

    @abstractmethod
    def _upload(self, values: np.ndarray) -> Any:
        """See upload."""

    @abstractmethod
    def write(self, array: Any, values: Any) -> None:
        """Copy host values into a device array of the same shape, in order with what was enqueued."""

    @abstractmethod
    def read(self, array: Any) -> np.ndarray:
        """A host copy of a device array, once all that was enqueued is done."""

    def send(self, program: Any, pairs: Sequence[tuple[Any, np.ndarray]]) -> Any:
        """Run a program behind all that was enqueued, then copy device arrays that it fills to locked host arrays.

        Gives a ticket to wait with; what is enqueued later does not wait, unless it is sent too.
        """
        self.run(program)
        for array, values in pairs:  # at once, unless the machine knows better
            values[...] = self.read(array)

    def wait_for(self, ticket: Any) -> None:
        """Wait, in any thread, until what was sent has come."""
        return None

    # -- launches -----------------------------------------------------------------------------------------------

    def prepare(self, name: str, *arguments: Any) -> Launch:
        """A checked launch, to be run as often as wanted: its arguments are fixed."""
        if name not in self.kernels:
            raise BackendError(f"there is no kernel {name!r}; there are: {', '.join(sorted(self.kernels))}")
        launch = check_launch(self.kernels[name], arguments, self.build, self.constants)
        if launch.shared > self.shared_limit:
            raise BackendError(
                f"kernel {name}: {launch.shared} bytes of shared memory asked for; a block has {self.shared_limit}"
            )
        return launch

    @abstractmethod
    def record(self, launches: Sequence[Launch]) -> Any:
        """A program of launches to run one after the other."""

    @abstractmethod
    def run(self, program: Any) -> None:
        """Enqueue a recorded program; does not wait for it."""


class CountingMachine(Machine):
    """Computes nothing: checks launches and counts bytes. Its arrays are not filled, so that they take no memory."""

    def __init__(self, build: Build, constants: Mapping[str, int], n_designs: int, shared_limit: int) -> None:
        super().__init__(build, {k: v for k, v in constants.items() if k.startswith("N_")} | {"n_designs": n_designs})
        self.shared_limit = shared_limit

    def _zeros(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        return np.zeros(shape, dtype)

    def _upload(self, values: np.ndarray) -> Any:
        return values

    def write(self, array: Any, values: Any) -> None:
        """See Machine."""

    def read(self, array: Any) -> np.ndarray:
        """See Machine."""
        return np.asarray(array)

    def record(self, launches: Sequence[Launch]) -> Any:
        """See Machine."""
        return list(launches)

    def run(self, program: Any) -> None:
        """See Machine."""

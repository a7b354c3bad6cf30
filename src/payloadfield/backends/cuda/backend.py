"""The GPU as a machine, through CuPy: memory, compiled kernels, and the step's program as a CUDA graph.

No line of this file has run on a GPU yet. It is written from CuPy's sources and documentation and tested with a CuPy of
the tests' own (tests/emulation/test_cupy_machine.py); what it runs is tested on the host's build of the kernels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

import numpy as np

from payloadfield.backends.cuda.declarations import kernel_files
from payloadfield.backends.cuda.loader import MECHANISM_FILES, compile_options, make_source
from payloadfield.backends.cuda.machine import Machine
from payloadfield.backends.cuda.precision import make_build
from payloadfield.backends.cuda.signature import Build, Launch
from payloadfield.backends.cuda.status import Status, examine, load_cupy
from payloadfield.errors import BackendError, ResourceError
from payloadfield.mechanism import Mechanism, generate

DEVICE_VARIABLE = "PAYLOADFIELD_DEVICE"
"""Number of the GPU where none is asked for; the command line's --device sets it."""

GRAPHS_VARIABLE = "PAYLOADFIELD_GRAPHS"
"""0: launch by launch instead of as a graph, for compute-sanitizer and profilers."""

LEAST_TIMED = 32
"""Launches at least in a graph that is timed."""

_STATIC_LIMIT = 48 * 1024
"""Bytes of shared memory that a block has without asking."""


def choose_device(status: Status, number: int | None = None) -> int:
    """The GPU to use: as asked for, by the variable, or the first that is usable.  Raises BackendError."""
    if not status.is_usable:
        raise BackendError(f"backend cupy: {status.reason}. Or use --backend numba; see `payloadfield devices`")
    if number is None:
        number = _number_from_environment()
    if number is None:
        return next(device.number for device in status.devices if not device.reason_against)
    known = {device.number: device for device in status.devices}
    if number not in known:
        there = ", ".join(f"{device.number} ({device.name})" for device in status.devices)
        raise BackendError(f"--device: got {number}; there is no such GPU; there are: {there}")
    if known[number].reason_against:
        raise BackendError(f"--device: got {number}; {known[number].reason_against}. See `payloadfield devices`")
    return number


def _number_from_environment() -> int | None:
    text = os.environ.get(DEVICE_VARIABLE, "").strip()
    if not text:
        return None
    if not text.isdigit():
        raise BackendError(f"{DEVICE_VARIABLE}: got {text!r}; the number of a GPU is needed, such as 0")
    return int(text)


def make_cupy_machine(mechanism: Mechanism, precision: str, n_designs: int) -> tuple[CupyMachine, Any]:
    """The machine of the GPU to use, with the kernels of a mechanism; and the mechanism's generated module."""
    code = generate(mechanism, "cuda")
    machine = CupyMachine(make_build(precision), code, n_designs, choose_device(examine()))
    return machine, code.module


class CupyMachine(Machine):
    """One GPU; all work is enqueued on one stream of its own, which does not wait for the default stream.

    What is sent to the host travels on a second stream, in order with the first one by events alone.
    """

    def __init__(self, build: Build, code: Any, n_designs: int, number: int) -> None:
        constants = {name: value for name, value in vars(code.module).items() if name.startswith("N_")}
        super().__init__(build, constants | {"n_designs": n_designs})
        self._cupy = load_cupy()
        self.number, self._device = number, self._cupy.cuda.Device(number)
        with self._watch("could not be opened"):
            self._stream, self._copies = (self._cupy.cuda.Stream(non_blocking=True) for _ in range(2))
            self._sent: Any = None
            self.shared_limit = self._most_shared_memory()
            self._compile(code.source)

    # -- kernels --------------------------------------------------------------------------------------------------

    def _most_shared_memory(self) -> int:
        """Bytes that a block may ask for, less what kernels hold for their sums."""
        attributes = self._device.attributes
        most = int(attributes.get("MaxSharedMemoryPerBlockOptin", _STATIC_LIMIT))
        return max(most, _STATIC_LIMIT) - 2 * 8 * self.build.block

    def _compile(self, generated: str) -> None:
        module = self._cupy.RawModule
        self._functions: dict[str, Any] = {}
        for file in kernel_files():
            source = make_source(file, self.build, generated if file in MECHANISM_FILES else "")
            compiled = module(code=source, backend="nvrtc", options=compile_options(file))
            for kernel in self.kernels.values():
                if kernel.file != file:
                    continue
                function = self._functions[kernel.name] = compiled.get_function(kernel.name)
                if kernel.shared:
                    function.max_dynamic_shared_size_bytes = self.shared_limit
                else:
                    _ = function.num_regs  # loads it: a graph cannot take in a kernel that is not loaded

    def record(self, launches: Sequence[Launch]) -> Any:
        """A CUDA graph of the launches; or their list, where PAYLOADFIELD_GRAPHS=0."""
        launches = list(launches)
        if os.environ.get(GRAPHS_VARIABLE) == "0" or not launches:
            return None, launches
        with self._watch("could not record the step as a graph"):
            self._stream.synchronize()
            self._stream.begin_capture()
            self._enqueue(launches)
            graph = self._stream.end_capture()
            graph.upload(self._stream)
        return graph, launches  # the launches hold the arrays that the graph works on

    def run(self, program: Any) -> None:
        """Enqueue a recorded program; does not wait for it."""
        graph, launches = program
        with self._watch("stopped answering"):
            if graph is None:
                self._enqueue(launches)
            else:
                graph.launch(self._stream)

    def _enqueue(self, launches: Sequence[Launch]) -> None:
        for launch in launches:
            function = self._functions[launch.kernel]
            function(launch.grid, (launch.block,), launch.arguments, shared_mem=launch.shared)

    def time_launches(self, launches: Sequence[Launch], rounds: int) -> float:
        """Median time of these launches one after the other, replayed as a graph, by the device's own clock [s].

        Few of them are repeated within the graph, so that it is their time and not that of starting it.
        """
        repeats = -(-LEAST_TIMED // len(launches))
        program = self.record([*launches] * repeats)
        return self._time(lambda: self.run(program), rounds) / repeats

    def time_copy(self, size: int, rounds: int) -> float:
        """Median time of a copy of so many bytes within the device [s]."""
        with self._watch("stopped answering"):
            source, target = (self._cupy.zeros(size // 8, np.float64) for _ in range(2))
        return self._time(lambda: self._cupy.copyto(target, source), rounds)

    def _time(self, call: Callable[[], Any], rounds: int) -> float:
        events, seconds = self._cupy.cuda.Event, []
        with self._watch("stopped answering"):
            call()
            for _ in range(rounds):
                start, end = events(), events()
                start.record(self._stream)
                call()
                end.record(self._stream)
                end.synchronize()
                seconds.append(1e-3 * self._cupy.cuda.get_elapsed_time(start, end))
        return median(seconds)

    # -- memory ---------------------------------------------------------------------------------------------------

    def _zeros(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        with self._watch("stopped answering"):
            return self._cupy.zeros(shape, dtype)

    def _upload(self, values: np.ndarray) -> Any:
        with self._watch("stopped answering"):
            array = self._cupy.empty(values.shape, values.dtype)
            if values.size:
                array.set(values, stream=self._stream)
                self._stream.synchronize()  # before the caller may change the values
            return array

    def write(self, array: Any, values: np.ndarray) -> None:
        """Copy host values into a device array, in order with what was enqueued."""
        with self._watch("stopped answering"):
            if values.size:
                array.set(np.ascontiguousarray(values), stream=self._stream)
                self._stream.synchronize()

    def read(self, array: Any) -> np.ndarray:
        """A host copy of a device array, once all that was enqueued is done."""
        with self._watch("stopped answering"):
            if not array.size:
                return np.zeros(array.shape, array.dtype)
            self._stream.synchronize()
            return np.asarray(array.get(stream=self._stream))

    def _lock_host(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        size = int(np.prod(shape, dtype=np.int64))
        if not size:
            return np.zeros(shape, dtype)
        try:
            with self._watch("could not lock memory of the host"):
                memory = self._cupy.cuda.alloc_pinned_memory(size * dtype.itemsize)
        except ResourceError as error:
            raise ResourceError(
                f"GPU {self.number}: the host has no {self.locked / 1e9:.2f} GB of memory that could be locked for "
                f"outputs ({error.__cause__}). Nothing is lost. Keep fewer output.fields, or coarsen grid.voxel"
            ) from error
        return np.frombuffer(memory, dtype, size).reshape(shape)

    def send(self, program: Any, pairs: Sequence[tuple[Any, np.ndarray]]) -> Any:
        """See Machine: the second stream copies once the program is done, and the next program waits for that."""
        event = self._cupy.cuda.Event
        with self._watch("stopped answering"):
            if self._sent is not None:
                self._stream.wait_event(self._sent)
            self.run(program)
            filled = event(disable_timing=True)
            filled.record(self._stream)
            self._copies.wait_event(filled)
            for array, values in pairs:
                if values.size:
                    array.get(stream=self._copies, out=values, blocking=False)
            self._sent = event(block=True, disable_timing=True)
            self._sent.record(self._copies)
            return self._sent

    def wait_for(self, ticket: Any) -> None:
        """See Machine; the thread keeps the device, so that CUDA opens no other one for it."""
        with self._ours("stopped answering"):
            self._cupy.cuda.Device(self.number).use()
            ticket.synchronize()

    def refuse_more_than_free(self, needed: int) -> None:
        """Raise ResourceError before anything is allocated where there is less memory than so many bytes."""
        with self._watch("does not tell its memory"):
            free = self._find_free()
        needed += self._count_local()
        if needed > free:
            raise out_of_memory(needed, self.number, f"{free / 1e9:.2f} GB are free")

    def _count_local(self) -> int:
        """Bytes that the driver keeps for what spills to memory: of the kernel with most, for all threads at once.

        Compiled kernels are loaded by now, so that they no longer count as free; graphs are small.
        """
        of_device = self._device.attributes
        threads = int(of_device["MultiProcessorCount"]) * int(of_device["MaxThreadsPerMultiProcessor"])
        return threads * max(int(function.local_size_bytes) for function in self._functions.values())

    def _find_free(self) -> int:
        """Bytes that are free: those of the device, and those that CuPy keeps."""
        free, _ = self._cupy.cuda.runtime.memGetInfo()
        return int(free) + int(self._cupy.get_default_memory_pool().free_bytes())

    # -- trouble --------------------------------------------------------------------------------------------------

    @contextmanager
    def _watch(self, what: str) -> Iterator[None]:
        """Work on our device and stream; errors of CUDA become ours."""
        with self._ours(what), self._device, self._stream_or_none():
            yield

    @contextmanager
    def _ours(self, what: str) -> Iterator[None]:
        """Errors of CUDA become ours."""
        cupy = self._cupy
        lost = cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.driver.CUDADriverError
        try:
            yield
        except cupy.cuda.memory.OutOfMemoryError as error:
            raise self._out_of_memory(error) from error
        except cupy.cuda.compiler.CompileException as error:
            first = (str(error).strip().splitlines() or ["no reason given"])[0]
            raise BackendError(f"backend cupy: a kernel does not compile on GPU {self.number}: {first}") from error
        except lost as error:
            if "MemoryAllocation" in str(error) or "OUT_OF_MEMORY" in str(error):
                raise self._out_of_memory(error) from error
            raise BackendError(
                f"GPU {self.number} {what}: {error}. What the run directory holds is kept, up to its last checkpoint; "
                "`payloadfield resume` goes on from there, with --backend numba on the CPU"
            ) from error

    def _out_of_memory(self, error: BaseException) -> ResourceError:
        try:
            free = f"; {self._find_free() / 1e9:.2f} GB are free"
        except self._cupy.cuda.runtime.CUDARuntimeError:
            free = ""
        return out_of_memory(sum(self.allocated.values()), self.number, f"{error}{free}")

    def _stream_or_none(self) -> Any:
        return getattr(self, "_stream", None) or self._cupy.cuda.Stream.null


def out_of_memory(needed: int, number: int, detail: str) -> ResourceError:
    """The error to raise where a device has too little memory."""
    return ResourceError(
        f"GPU {number} has too little memory: {needed / 1e9:.2f} GB or more are needed ({detail}). Nothing that was "
        "written is lost. Coarsen grid.voxel, shrink grid.size, solve fewer designs at once, set "
        'solver.precision = "float32", or use --backend numba'
    )

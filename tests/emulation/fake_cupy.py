"""A CuPy of the tests' own, with what the GPU backend uses of it: its kernels are the host's, its graphs lists.

Arrays are NumPy's with `get` and `set`. Whatever a real CuPy would refuse during a capture is refused here too.
"""

from contextlib import contextmanager
from threading import Lock
from types import SimpleNamespace

import numpy as np


class CUDARuntimeError(RuntimeError):
    """As cupy.cuda.runtime's."""


class CUDADriverError(RuntimeError):
    """As cupy.cuda.driver's."""


class OutOfMemoryError(MemoryError):
    """As cupy.cuda.memory's."""


class CompileException(Exception):  # noqa: N818 - CuPy's name
    """As cupy.cuda.compiler's."""


class Array(np.ndarray):
    """A device array."""

    def get(self, stream=None, out=None, blocking=True):
        """A copy on the host; without blocking it is made as late as may be, since nobody may count on less."""
        self.fake().forbid_in_capture("a copy")
        self.fake().fail("get")
        if out is None:
            return np.array(self)
        assert type(out) is np.ndarray and out.shape == self.shape and out.dtype == self.dtype and not blocking
        assert out.flags.c_contiguous and self.flags.c_contiguous and self.fake().is_locked(out)
        stream.later.append(lambda: np.copyto(out, self))
        return out

    def set(self, values, stream=None):
        """Take host values."""
        self.fake().forbid_in_capture("a copy")
        self.fake().fail("set")
        assert type(values) is np.ndarray and values.shape == self.shape and values.dtype == self.dtype
        assert values.flags.c_contiguous and self.flags.c_contiguous
        self[...] = values


class After:
    """An error that comes once so many calls have gone well."""

    def __init__(self, n, error):
        self.left, self.error = n, error


class FakeCupy:
    """The module; launch(source, name, arguments) runs a kernel, failures says where errors are raised."""

    __version__ = "14.0.0"

    spilled = 0
    """Bytes that a thread of each kernel keeps in memory."""

    lose_at = None
    """Number of the launch of a graph at which the device is lost."""

    def __init__(self, make_launcher, *, driver=13000, runtime=13000, count=1, free=10**9, major=9, failures=None):
        self.make_launcher, self.failures = make_launcher, failures or {}
        self.captured, self.in_stream, self.log, self.lock = None, 0, [], Lock()
        self.free, self.launches, self.locked, self.n_bytes = free, 0, [], 0
        Array.fake = lambda array: self
        properties = {"name": b"Fake GPU", "major": major, "minor": 0}
        self.cuda = SimpleNamespace(
            runtime=SimpleNamespace(
                CUDARuntimeError=CUDARuntimeError, driverGetVersion=lambda: driver, runtimeGetVersion=lambda: runtime,
                getDeviceCount=lambda: self.fail("getDeviceCount") or count, memGetInfo=lambda: (self.free, 2 * 10**9),
                getDeviceProperties=lambda number: self.fail("getDeviceProperties") or properties,
            ),
            driver=SimpleNamespace(CUDADriverError=CUDADriverError),
            memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            compiler=SimpleNamespace(CompileException=CompileException),
            nvrtc=SimpleNamespace(getVersion=lambda: self.fail("nvrtc") or (13, 0)),
            Stream=self.make_stream, Device=self.make_device,
        )  # fmt: skip
        self.cuda.Stream.null = None
        self.cuda.Event = lambda **options: Event(self, **options)
        self.cuda.alloc_pinned_memory = self.alloc_pinned_memory
        self.cuda.get_elapsed_time = lambda start, end: 2.0  # ms
        self.copyto = np.copyto

    # -- trouble ------------------------------------------------------------------------------------------------

    def fail(self, where):
        """Raise the error that is asked for here."""
        found = self.failures.get(where)
        if isinstance(found, After):
            found.left -= 1
            found = found.error if found.left < 0 else None
        if found is not None:
            raise found

    def lose(self):
        """From now on nothing answers."""
        lost = CUDARuntimeError("cudaErrorLaunchFailure: unspecified launch failure")
        self.failures |= dict.fromkeys(("graph", "get", "set", "event", "wait", "zeros"), lost)

    def forbid_in_capture(self, what):
        assert self.captured is None, f"{what} within a capture"

    # -- memory -------------------------------------------------------------------------------------------------

    def zeros(self, shape, dtype):
        """As cupy.zeros."""
        self.forbid_in_capture("an allocation")
        self.fail("zeros")
        array = np.zeros(shape, dtype).view(Array)
        self.n_bytes += array.nbytes
        return array

    def empty(self, shape, dtype):
        """As cupy.empty; poisoned."""
        array = self.zeros(shape, dtype)
        array.view(np.uint8)[...] = 0xFF if array.size else 0
        return array

    def alloc_pinned_memory(self, size):
        """As cupy.cuda.alloc_pinned_memory: a buffer, which may be larger than asked for."""
        self.fail("pinned")
        self.locked.append(bytearray(-(-size // 512) * 512))
        return self.locked[-1]

    def is_locked(self, values):
        """Whether an array lies in page-locked memory."""
        first = values.__array_interface__["data"][0]
        starts = [np.frombuffer(each, np.uint8).__array_interface__["data"][0] for each in self.locked]
        return any(s <= first < s + len(each) for s, each in zip(starts, self.locked, strict=True))

    def get_default_memory_pool(self):
        """Nothing kept."""
        return SimpleNamespace(free_bytes=lambda: 0)

    # -- streams, graphs, kernels -----------------------------------------------------------------------------

    @staticmethod
    def make_stream(non_blocking=False):
        raise AssertionError("replaced below")

    def make_device(self, number):
        """A context manager with attributes."""
        sizes = {"MultiProcessorCount": 2, "MaxThreadsPerMultiProcessor": 1024}
        return Device(sizes | {"MaxSharedMemoryPerBlockOptin": 96 * 1024})

    def RawModule(self, code, backend, options):
        """A module of kernels."""
        self.forbid_in_capture("a compilation")
        assert backend == "nvrtc" and "__global__" in code
        self.fail("compile")
        return SimpleNamespace(get_function=lambda name: Function(self, code, name))


class Device:
    """As cupy.cuda.Device."""

    def __init__(self, attributes):
        self.attributes = attributes

    def use(self):
        """The device of this thread from now on."""

    def __enter__(self):
        return self

    def __exit__(self, *args):
        return False


class Event:
    """As cupy.cuda.Event."""

    def __init__(self, cupy, block=False, disable_timing=False):
        self.cupy, self.stream, self.n = cupy, None, 0

    def record(self, stream):
        """All that the stream has been given so far."""
        self.stream, self.n = stream, stream.n_done + len(stream.later)

    def synchronize(self):
        """Wait; in any thread."""
        self.cupy.fail("event")
        self.reach()

    def reach(self):
        """Make the copies that come before."""
        with self.cupy.lock:
            while self.stream.n_done < self.n:
                self.stream.later.pop(0)()
                self.stream.n_done += 1


class Stream:
    """As cupy.cuda.Stream(non_blocking=True)."""

    def __init__(self, cupy):
        self.cupy, self.later, self.n_done = cupy, [], 0

    def wait_event(self, event):
        """What comes later comes after the event; launches are made at once, so that copies before them are too."""
        self.cupy.log.append("wait_event")
        event.reach()

    def __enter__(self):
        self.cupy.in_stream += 1
        return self

    def __exit__(self, *args):
        self.cupy.in_stream -= 1
        return False

    def synchronize(self):
        """Wait."""
        self.cupy.forbid_in_capture("a wait")
        self.cupy.fail("wait")

    def begin_capture(self):
        """Calls are kept from here on."""
        self.cupy.captured = []

    def end_capture(self):
        """What was kept."""
        calls, self.cupy.captured = self.cupy.captured, None
        return Graph(self.cupy, calls)


class Graph:
    """As cupy.cuda.Graph."""

    def __init__(self, cupy, calls):
        self.cupy, self.calls = cupy, calls

    def upload(self, stream):
        """Nothing to do."""

    def launch(self, stream):
        """Run what was captured."""
        self.cupy.launches += 1
        if self.cupy.launches == self.cupy.lose_at:
            self.cupy.lose()
        self.cupy.fail("graph")
        for call in self.calls:
            call()


class Function:
    """As cupy.RawKernel; must be touched before a capture, as a kernel that is not loaded cannot be captured."""

    def __init__(self, cupy, code, name):
        self.cupy, self.name, self.is_loaded, self.limit = cupy, name, False, 48 * 1024
        self.run = cupy.make_launcher(code, name)

    @property
    def num_regs(self):
        """Loads it."""
        self.is_loaded = True
        return 32

    @property
    def local_size_bytes(self):
        """What a thread spills."""
        return self.cupy.spilled

    @property
    def max_dynamic_shared_size_bytes(self):
        """Bytes that a launch may ask for."""
        return self.limit

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, value):
        self.limit, self.is_loaded = value, True

    def __call__(self, grid, block, arguments, shared_mem=0):
        assert self.cupy.in_stream and self.is_loaded and shared_mem <= self.limit and 0 not in grid
        assert all(isinstance(a, (Array, np.generic)) for a in arguments)
        call = lambda: self.run(grid, block, arguments, shared_mem)  # noqa: E731
        call() if self.cupy.captured is None else self.cupy.captured.append(call)


@contextmanager
def installed(monkeypatch, cupy):
    """As if this CuPy were installed."""
    from payloadfield.backends.cuda import backend, status

    def make_stream(non_blocking=False):
        assert non_blocking
        cupy.fail("stream")
        return Stream(cupy)

    make_stream.null = Stream(cupy)
    cupy.cuda.Stream = make_stream
    with monkeypatch.context() as patch:
        patch.setattr(status, "find_spec", lambda name: object())
        for module in (status, backend):
            patch.setattr(module, "load_cupy", lambda: cupy)
        yield cupy

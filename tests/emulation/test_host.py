"""The host's way of running kernels catches what it is there to catch: missing barriers, torn barriers, two writers."""

import ctypes

import numpy as np
import pytest
from tests.emulation import host, nvrtc
from tests.emulation.host import compile_library, make_build, make_unit, make_wrapper

from payloadfield.backends.cuda.declarations import Kernel, Parameter

SOURCES = {
    "reversed": """
        __shared__ double scratch[BLOCK];
        scratch[threadIdx.x] = a[item()];
        __syncthreads();
        out[item()] = scratch[BLOCK - 1 - threadIdx.x];""",
    "missing_barrier": """
        __shared__ double scratch[BLOCK];
        scratch[threadIdx.x] = a[item()];
        out[item()] = scratch[BLOCK - 1 - threadIdx.x];""",
    "two_writers": "out[0] = a[item()];",
    "torn_barrier": "if (threadIdx.x > 3) __syncthreads(); out[item()] = a[item()];",
    "left_before_barrier": "if (threadIdx.x > 3) return; __syncthreads(); out[item()] = a[item()];",
}


@pytest.fixture(scope="module")
def library():
    """All these kernels with the same two arguments."""
    build = make_build("float64")
    arguments = [Parameter(n, "double", True, n == "out", ("n",), ("n",), "1", "") for n in ("a", "out")]
    kernels = [Kernel(name, "", "", "", "n", "", "", tuple(arguments)) for name in SOURCES]
    bodies = [f'extern "C" __global__ void {n}(const double* a, double* out) {{ {b} }}' for n, b in SOURCES.items()]
    wrappers = [make_wrapper(kernel, build) for kernel in kernels]
    return ctypes.CDLL(str(compile_library("\n".join([make_unit(build, {}, None), *bodies, *wrappers]))))


def run(library, name, descending):
    """(status, result) of two blocks."""
    n = 2 * make_build("float64").block
    a, out = np.arange(n, dtype=float), np.zeros(n)
    shape = (ctypes.c_longlong * 4)(2, 1, n // 2, 0)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (a, out)]
    return getattr(library, f"host_{name}")(shape, ctypes.c_int(descending), *pointers), out


def test_threads_of_a_block_meet_at_a_barrier(library):
    for descending in (False, True):
        status, out = run(library, "reversed", descending)
        assert status == 0
        np.testing.assert_array_equal(out.reshape(2, -1), np.arange(out.size).reshape(2, -1)[:, ::-1])


@pytest.mark.parametrize("name", ["missing_barrier", "two_writers"])
def test_a_result_that_hangs_on_the_order_of_threads_shows(library, name):
    results = [run(library, name, descending) for descending in (False, True)]
    assert [status for status, _ in results] == [0, 0]
    assert (results[0][1] != results[1][1]).any()


@pytest.mark.parametrize("name", ["torn_barrier", "left_before_barrier"])
def test_a_barrier_that_not_all_threads_reach_is_an_error(library, name):
    assert [run(library, name, descending)[0] for descending in (False, True)] == [1, 1]


def test_a_barrier_in_a_kernel_that_was_said_to_have_none_is_an_error(monkeypatch):
    monkeypatch.setattr(host, "BARRIERS", ())
    kernels = host.HostKernels(make_build("float64"))
    r, partial, done, total = np.ones(40), np.zeros(2), np.zeros(1, np.int32), np.zeros(1)
    with pytest.raises(RuntimeError, match="square: the threads of a block disagree about a barrier"):
        kernels.launch("square", 40, r, partial, done, total)


def test_a_missing_compiler_skips_and_fails_where_it_is_required(monkeypatch):
    monkeypatch.setattr(host.shutil, "which", lambda name: None)
    monkeypatch.delenv("PAYLOADFIELD_REQUIRE_GXX", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"g\+\+ is not installed"):
        host.require_compiler()
    monkeypatch.setenv("PAYLOADFIELD_REQUIRE_GXX", "1")
    with pytest.raises(pytest.fail.Exception, match="PAYLOADFIELD_REQUIRE_GXX=1 asks for it"):
        host.require_compiler()


def test_a_missing_nvrtc_skips_and_fails_where_it_is_required(monkeypatch):
    monkeypatch.setattr(nvrtc, "find_library", lambda: None)
    monkeypatch.delenv("PAYLOADFIELD_REQUIRE_NVRTC", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"pip install 'payloadfield\[nvrtc\]'"):
        nvrtc.load.__wrapped__()
    monkeypatch.setenv("PAYLOADFIELD_REQUIRE_NVRTC", "1")
    with pytest.raises(pytest.fail.Exception, match="PAYLOADFIELD_REQUIRE_NVRTC=1 asks for it"):
        nvrtc.load.__wrapped__()

"""Every launch is checked: a wrong dtype, shape, stride, bound or scalar is refused; sources keep their rules."""

import re

import numpy as np
import pytest
from tests.emulation import readme

from payloadfield.backends.cuda import declarations
from payloadfield.backends.cuda.declarations import kernel_files, read_file, read_kernels
from payloadfield.backends.cuda.loader import list_kernels, make_source
from payloadfield.backends.cuda.signature import Build, check_launch
from payloadfield.backends.cuda.traffic import bytes_moved, traffic_text
from payloadfield.errors import BackendError

BUILD = Build(block=64)
N, WIDTH = 100, 6
SMOOTH = list_kernels(of_mechanism=False)["smooth"]
STAGE_RHS = list_kernels(of_mechanism=False)["stage_rhs"]
GATHER = list_kernels(of_mechanism=False)["gather"]
CELL_SOLVE = list_kernels(of_mechanism=True)["cell_solve"]


def smooth_arguments(**changes):
    """Arguments of `smooth` that fit, but for the changes."""
    fitting = {
        "n": N, "width": WIDTH, "neighbour": np.zeros((WIDTH, N), np.int32), "g": np.zeros((WIDTH, N), np.float32),
        "inverse": np.zeros(N, np.float32), "weight": 0.5, "b": np.zeros(N, np.float32), "x": np.zeros(N, np.float32),
        "out": np.zeros(N, np.float32),
    }  # fmt: skip
    return list((fitting | changes).values())


def stage_arguments(**changes):
    """Arguments of `stage_rhs` that fit, but for the changes."""
    fitting = {
        "n": N, "n_fields": 3, "n_members": 1, "n_terms": 4, "members": np.zeros(1, np.int32),
        "D": np.full((3, 1), 60.0), "n_words": 9, "words": np.zeros((9, 8), np.int32),
        "faces": np.zeros((3, N), np.float32), "capacity": np.zeros((1, N)), "capacity_of": np.zeros(3, np.int32),
        "value": np.zeros((1, 3, N)), "terms": np.zeros((4, 3, N)), "coefficients": np.zeros(4),
        "out": np.zeros((1, 3, N)),
    }  # fmt: skip
    return list((fitting | changes).values())


def gather_arguments(factor=2.0):
    """Arguments of `gather` that fit."""
    touched = np.zeros(N, np.int64), np.zeros(N + 1, np.int64), np.zeros(N, np.int64)
    return [N, N, N, 1, 0, 1, 0, factor, *touched, np.zeros((1, 1, N)), np.zeros((1, 1, N))]


def test_what_fits_is_launched_with_exact_scalar_types():
    launch = check_launch(SMOOTH, smooth_arguments(), BUILD)
    assert (launch.grid, launch.block, launch.shared) == ((2, 1), 64, 0)
    assert [launch.arguments[k].dtype for k in (0, 1, 5)] == [np.int64, np.int32, np.float32]
    assert check_launch(GATHER, gather_arguments(), BUILD).arguments[7].dtype == np.float64
    assert check_launch(GATHER, gather_arguments(np.float32(2)), BUILD).arguments[7].dtype == np.float64


shared = np.zeros(2 * N, np.float32)
REFUSED = {
    "dtype": ({"x": np.zeros(N)}, "x: got float64"),
    "dtype of an index": ({"neighbour": np.zeros((WIDTH, N), np.int64)}, "neighbour: got int64"),
    "shape": ({"b": np.zeros(N - 1, np.float32)}, "b: got float32 (99,)"),
    "shape against a scalar": ({"width": 7}, "and width = 7"),
    "number of dimensions": ({"g": np.zeros(WIDTH * N, np.float32)}, "g: got float32 (600,)"),
    "stride": ({"x": np.zeros(2 * N, np.float32)[::2]}, "x: got float32 (100,) with gaps"),
    "order": ({"g": np.zeros((N, WIDTH), np.float32).T}, "g: got float32 (6, 100) with gaps"),
    "no array": ({"x": 0.0}, "x: got float; an array"),
    "list": ({"x": [0.0] * N}, "x: got list; an array"),
    "float for a count": ({"n": 100.0}, "n: got 100.0; a whole number"),
    "claim for a count": ({"width": True}, "width: got True; a whole number"),
    "count beyond its type": ({"width": 2**31}, "width: got 2147483648; allowed: 0 .."),
    "negative count": ({"n": -1}, "n: got -1; allowed: 0 .."),
    "text for a number": ({"weight": "0.5"}, "weight: got '0.5'; a number"),
    "array for a number": ({"weight": np.zeros(1)}, "weight: got"),
    "output that is an input": ({"x": shared[:N], "out": shared[:N]}, "out is written and shares memory with x"),
    "output over an input": ({"x": shared[:N], "out": shared[10 : N + 10]}, "out is written and shares memory with x"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name):
    changes, message = REFUSED[name]
    with pytest.raises(BackendError, match=rf"kernel smooth.*{re.escape(message)}"):
        check_launch(SMOOTH, smooth_arguments(**changes), BUILD)


def test_indices_and_counts_that_would_reach_outside_are_refused():
    gather = gather_arguments()
    gather[6] = 1
    with pytest.raises(BackendError, match="field: got 1; allowed: below n_fields = 1"):
        check_launch(GATHER, gather, BUILD)
    with pytest.raises(BackendError, match="n_terms: got 5; allowed: up to n_stages = 4"):
        check_launch(STAGE_RHS, stage_arguments(n_terms=5), BUILD)


def test_sizes_of_the_mechanism_are_checked():
    arguments = [5, np.zeros((7, 5)), np.zeros((3, 5)), np.zeros((3, 5))]
    assert check_launch(CELL_SOLVE, arguments, BUILD, {"N_LU": 7, "N_STATES": 3}).grid == (1, 1)
    with pytest.raises(BackendError, match=r"lu: got float64 \(7, 5\).*and N_LU = 8"):
        check_launch(CELL_SOLVE, arguments, BUILD, {"N_LU": 8, "N_STATES": 3})


def test_another_number_of_arguments_is_refused():
    with pytest.raises(BackendError, match="got 8 arguments; 9 are needed"):
        check_launch(SMOOTH, smooth_arguments()[:-1], BUILD)


def test_a_wide_block_has_four_times_the_threads():
    kernels = list_kernels(of_mechanism=False)
    wide = [name for name, kernel in kernels.items() if kernel.over.startswith("one wide block")]
    assert wide == ["small_levels"]
    integers, numbers = (lambda n: np.zeros(n, np.int64)), (lambda n: np.zeros(n, np.float32))
    levels = integers(3), np.zeros(2, np.int32), integers(3), np.zeros(8, np.int32), numbers(8)
    nodes = np.zeros(5, np.int32), integers(6), np.zeros(4, np.int32), numbers(5)
    arguments = 2, 5, *levels, *nodes, 0.5, 0.5, numbers(4), numbers(4)
    launch = check_launch(kernels["small_levels"], arguments, BUILD)
    assert (launch.grid, launch.block, launch.shared) == ((1, 1), 4 * BUILD.block, 3 * 5 * 4)


def test_threads_may_be_spread_over_a_multiple_of_a_size():
    assert check_launch(STAGE_RHS, stage_arguments(), BUILD).grid == (-(-32 * 9 // BUILD.block), 1)


def square_arguments(n_designs=1, **changes):
    """Arguments of `square` that fit, but for the changes."""
    fitting = {
        "n": N, "r": np.zeros((n_designs, N)), "partial": np.zeros((n_designs, 2)),
        "done": np.zeros(n_designs, np.int32), "total": np.zeros(n_designs),
    }  # fmt: skip
    return list((fitting | changes).values())


def test_partial_sums_have_one_place_for_each_block():
    square = list_kernels(of_mechanism=False)["square"]
    check_launch(square, square_arguments(), BUILD)
    with pytest.raises(BackendError, match=r"partial: got float64.*and n_blocks = 2"):
        check_launch(square, square_arguments(partial=np.zeros((1, 1))), BUILD)


def test_a_batch_has_a_row_of_blocks_and_an_axis_of_every_array_for_each_design():
    square = list_kernels(of_mechanism=False)["square"]
    launch = check_launch(square, square_arguments(3), BUILD, {"n_designs": 3})
    assert launch.grid == (2, 3)
    for r in (np.zeros(N), np.zeros((2, N))):
        with pytest.raises(BackendError, match="kernel square, r: got float64"):
            check_launch(square, square_arguments(3, r=r), BUILD, {"n_designs": 3})


@pytest.mark.parametrize("options", [{"real": "half"}, {"block": 100}, {"block": 2048}])
def test_builds_that_the_kernels_are_not_written_for_are_refused(options):
    with pytest.raises(BackendError, match="kernels: got"):
        Build(**options)


# --- sources and their declarations ----------------------------------------------------------------------

SOURCE = """
// out_i = a_i
//
// Copies.
// over: n
// twin: numpy.copyto
//   n    scalar  [1]
//   a    (n)     [nM]
//   out  (n)     [nM]
extern "C" __global__ void __launch_bounds__(BLOCK) copy(
    const long long n, const real* __restrict__ a, real* __restrict__ out
) {
}
"""
BROKEN = {
    "no comment": (SOURCE[SOURCE.index("extern") :], "has no comment above it"),
    "argument without a line": (SOURCE.replace("//   a    (n)     [nM]\n", ""), "declared are"),
    "line without an argument": (SOURCE.replace("real* __restrict__ a,", "real* __restrict__ b,"), "declared are"),
    "scalar for an array": (SOURCE.replace("a    (n)   ", "a    scalar"), "a is declared as"),
    "no twin": (SOURCE.replace("// twin: numpy.copyto\n", ""), "`over` or `twin` is missing"),
    "unknown type": (SOURCE.replace("const long long n", "const size_t n"), "type is unknown"),
}


GUARD = r"if \(\w+ >= \w+\) return|\w+ < n\w*\b|threadIdx\.x; i <|if \(!?look_around\(item"


def read_text(monkeypatch, text):
    monkeypatch.setattr(declarations, "read_file", lambda name: text)
    return read_kernels.__wrapped__("copy")


def test_a_declaration_is_read_from_its_source(monkeypatch):
    kernel = read_text(monkeypatch, SOURCE)["copy"]
    assert (kernel.equation, kernel.text, kernel.over) == ("out_i = a_i", "Copies.", "n")
    assert [(p.name, p.shape, p.is_written, p.unit) for p in kernel.parameters] == [
        ("n", (), False, "1"), ("a", ("n",), False, "nM"), ("out", ("n",), True, "nM")
    ]  # fmt: skip
    assert traffic_text(kernel, BUILD) == "16 n"
    assert bytes_moved(kernel, Build("float", "float"), {"n": 10}) == 80


@pytest.mark.parametrize("name", BROKEN)
def test_a_source_whose_comment_does_not_fit_is_refused(monkeypatch, name):
    text, message = BROKEN[name]
    with pytest.raises(BackendError, match=message):
        read_text(monkeypatch, text)


@pytest.mark.parametrize("file", kernel_files())
def test_sources_keep_the_rules(file):
    """No printf, no block size of its own, lines that fit, a guard or a share of a block's work in every kernel."""
    text = read_file(f"{file}.cu")
    assert "printf" not in text and "#include" not in text and max(map(len, text.splitlines())) <= 120
    assert re.findall(r"\b(?:32|64|128|256|512|1024)\b", re.sub(r"//.*", "", text)) == []
    bodies = re.findall(r'extern "C" __global__.*?\n\) \{\n(.*?)\n\}\n', text, re.DOTALL)
    assert len(bodies) == len(read_kernels(file))
    for body in bodies:
        assert re.search(r"if \(\w+ >= \w+\) return|\w+ < n\w*\b|threadIdx\.x; i <|if \(!?look_around\(item", body), (
            body
        )


def test_names_of_kernels_are_used_once():
    names = [name for file in kernel_files() for name in read_kernels(file)]
    assert len(names) == len(set(names))


def test_the_readme_has_the_kernels_of_the_sources():
    """After a change: python -m tests.emulation.readme"""
    assert readme.PATH.read_text().partition(readme.MARK)[2].strip() == readme.write_tables().strip()


def test_generated_functions_go_with_their_sources_alone():
    with pytest.raises(BackendError, match="generated functions belong to cells and voxels"):
        make_source("cells", BUILD)
    with pytest.raises(BackendError, match="generated functions belong to cells and voxels"):
        make_source("vectors", BUILD, "// generated")

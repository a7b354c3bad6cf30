"""Kernels of cells, voxels and bath around every generated mechanism, run on the host, against the NumPy functions."""

from pathlib import Path

import numpy as np
import pytest
from tests.emulation.host import HostKernels, as_arrays, close, make_build
from tests.mechanism_oracle import ADC, RICH, Point

from payloadfield.mechanism import generate, load_mechanism

ROOT = Path(__file__).parents[2]
BENCHMARK = {"volume": 1000.0, "receptors": 1e6, "secretion": 10.0}
MECHANISMS = {
    "adc": ("adc", ADC),
    "benchmark": (str(ROOT / "benchmarks" / "reference" / "mechanism.toml"), BENCHMARK),
    "two_fields": (str(ROOT / "examples" / "two_fields" / "mechanism.toml"), None),
    "contacts": (str(ROOT / "tests" / "mechanisms" / "contacts.toml"), None),
    "rich": (None, None),
}
# Names that mean something to CUDA, or to the sources around the generated functions.
ODD = {"carrier": "real", "free": "small", "signal": "item", "site": "gridDim", "inside": "n_open", "size": "xor"}
CHUNK = 64


def write_mechanism(folder, text):
    path = folder / "mechanism.toml"
    path.write_text(text)
    return load_mechanism(path)


def load(name, folder):
    """A mechanism, and values of its parameters."""
    path, values = MECHANISMS[name]
    mechanism = write_mechanism(folder, RICH) if path is None else load_mechanism(path)
    ones = {p.name: 0.5 for p in mechanism.parameters if p.value is None} if values is None else {}
    return mechanism, ones | (values or {})


class Case:
    """A mechanism at a random point: NumPy's functions and arrays, the host's kernels and the same arrays for them."""

    def __init__(self, mechanism, values, precision, **sizes):
        self.point = Point(mechanism, values, **sizes)
        self.twin = generate(mechanism, "numpy").module
        self.code = generate(mechanism, "cuda")
        self.host = HostKernels(make_build(precision), self.code)
        self.build = self.host.build
        self.cells = as_arrays(self.build, *self.point.cells)
        self.sizes = (self.point.n_cell, self.point.fields.shape[1], len(self.point.weight))

    def empty(self, *shape):
        """An output, and one for its twin."""
        return np.full(shape, np.nan, self.build.dtype("real")), np.full(shape, np.nan)

    def rounded(self):
        """The cells' arguments for the twin: what the kernels were given."""
        return tuple(a.astype(float) if a.dtype.kind == "f" else a for a in self.cells)


@pytest.fixture(scope="module", params=["float64", "float32"])
def precision(request):
    return request.param


@pytest.fixture(scope="module", params=list(MECHANISMS))
def case(request, precision, tmp_path_factory):
    return Case(*load(request.param, tmp_path_factory.mktemp(request.param)), precision, n_cell=CHUNK + 9)


def run_cells(case):
    """Every function of the cells: {name: (kernel's result, twin's)}."""
    n_state, n_entry, module, launch = len(case.point.states), case.sizes[2], case.twin, case.host.launch
    given, known, results = case.cells, case.rounded(), {}
    d_states, d_twin = case.empty(n_state, case.point.n_cell)
    source, source_twin = case.empty(len(module.EXCHANGED), n_entry)
    launch("cell_rates", *case.sizes, *given, d_states, source)
    module.cell_rates(*known, d_twin, source_twin)
    results |= {"d_states": (d_states, d_twin), "entry_source": (source, source_twin)}
    lu, lu_twin = case.empty(module.N_LU, case.point.n_cell)
    schur, schur_twin = case.empty(module.N_SCHUR, n_entry)
    sg = np.array([case.point.sg], d_states.dtype)
    launch("cell_factor", *case.sizes, *given, sg, lu, schur)
    module.cell_factor(*known, float(sg[0]), lu_twin, schur_twin)
    results |= {"lu": (lu, lu_twin), "schur": (schur, schur_twin)}
    rhs = d_twin.astype(d_states.dtype)
    solution, solution_twin = case.empty(n_state, case.point.n_cell)
    launch("cell_solve", case.point.n_cell, lu, rhs, solution)
    module.cell_solve(lu.astype(float), rhs.astype(float), solution_twin)
    results["solution"] = (solution, solution_twin)
    for f, field in enumerate(module.EXCHANGED):
        out, out_twin = case.empty(n_entry)
        launch("cell_respond", *case.sizes, *given, lu, schur, rhs, f, out)
        module.cell_respond(*known, lu.astype(float), schur.astype(float), rhs.astype(float), f, out_twin)
        results[f"respond {f}"] = (out, out_twin)
        absorbed, absorbed_twin, increment = rhs.copy(), rhs.astype(float), given[0][field] / 3
        launch("cell_absorb", *case.sizes, *given, field, len(given[0]), given[0] / 3, f, -1.0, absorbed)
        module.cell_absorb(*known, increment.astype(float), f, -1.0, absorbed_twin)
        results[f"absorb {f}"] = (absorbed, absorbed_twin)
    return results | run_contacts(case, lu)


def run_contacts(case, lu):
    """What every cell gives by each contact, how that grows in a step, and how much of the cell is there."""
    n, contacts, results = case.point.n_cell, len(case.point.mechanism.contacts), {}
    if not contacts:
        return results
    (flux, flux_twin), *presences = (case.empty(contacts, n) for _ in range(3))
    gain, gain_twin = case.empty(contacts, n)
    case.host.launch("cell_contacts", *case.sizes, *case.cells, flux, presences[0][0])
    listed = contacts, np.arange(contacts, dtype=np.int32)
    case.host.launch("cell_contact_gains", *case.sizes, *case.cells, lu, *listed, gain, presences[1][0])
    for f in range(contacts):
        case.twin.cell_contacts(*case.rounded(), f, flux_twin[f], presences[0][1][f])
        case.twin.cell_contact_gains(*case.rounded(), lu.astype(float), f, gain_twin[f], presences[1][1][f])
    results |= {"flux": (flux, flux_twin), "gain": (gain, gain_twin)}
    return results | {f"presence {k}": pair for k, pair in enumerate(presences)}


def test_cells_are_those_of_the_twin(case):
    for name, (got, expected) in run_cells(case).items():
        assert np.isfinite(got).all(), name
        close(got, expected, case.build)


@pytest.mark.parametrize("scope", ["voxel", "bath"])
def test_reactions_of_voxels_and_bath_are_those_of_the_twin(case, scope):
    point, module = case.point, case.twin
    n = 1 if scope == "bath" else point.fields.shape[1]
    fields, p, capacity, index = as_arrays(case.build, point.fields[:, :n], *case_geometry(point, n))
    known = [a.astype(float) if a.dtype.kind == "f" else a for a in (fields, p, capacity, index)]
    sizes, given = (n,), (fields, p, capacity, index)
    if scope == "bath":  # fields come first among the small quantities; one volume for all
        sizes, index = (n, len(fields)), np.zeros_like(index)
        given = fields.ravel(), p, np.ascontiguousarray(capacity[:1, 0]), index
        known = [known[0], known[1], known[2][:1], index]
    for kind, rows in (("rates", len(fields)), ("jacobian", len(getattr(module, f"{scope.upper()}_PAIRS")))):
        (out, twin), flat = case.empty(rows, n), (rows,) if scope == "bath" else (rows, n)
        out = out.reshape(flat)
        case.host.launch(f"{scope}_{kind}", *sizes, *given, out)
        getattr(module, f"{scope}_{kind}")(*known, twin)
        close(out.reshape(rows, n), twin, case.build)
    check_losses(case, scope, sizes, given, known)


def check_losses(case, scope, sizes, given, known):
    """Rates and what increments add to them, in one sum."""
    n, n_loss, module = sizes[0], len(case.point.mechanism.accumulators), case.twin
    increments, twin, more = given[0] / 7, np.zeros(n_loss), np.zeros(n_loss)
    if scope == "bath":
        out = np.full(n_loss, np.nan)
        case.host.launch("bath_losses", *sizes, given[0], given[0], increments, *given[1:], out)
    else:
        partial = np.full((n_loss, -(-n // case.build.block)), np.nan)
        case.host.launch("voxel_losses", *sizes, given[0], given[0], increments, *given[1:], partial)
        out = partial.sum(axis=1)
    getattr(module, f"{scope}_losses")(*known, twin)
    change = increments.reshape(known[0].shape).astype(float)
    getattr(module, f"{scope}_losses_linear")(known[0], change, *known[1:], more)
    close(out[:, None], (twin + more)[:, None], case.build)


def test_jacobians_are_taken_where_nothing_is_negative(case):
    """An overshoot below zero must not turn a diagonal: the kernels clamp what the host's stepper stores clamped."""
    point, pairs = case.point, len(case.twin.VOXEL_PAIRS)
    below = case.cells[0] - 0.5 * np.median(case.cells[0])
    assert below.min() < 0 < below.max()
    states = case.cells[1] - 0.5 * np.median(case.cells[1])
    geometry = as_arrays(case.build, *case_geometry(point, point.fields.shape[1]))
    out, twin = case.empty(pairs, point.fields.shape[1])
    case.host.launch("voxel_jacobian", case.sizes[1], below, *geometry, out)
    known = [a.astype(float) if a.dtype.kind == "f" else a for a in (np.maximum(below, 0), *geometry)]
    case.twin.voxel_jacobian(*known, twin)
    close(out, twin, case.build)
    lu, lu_twin = case.empty(case.twin.N_LU, point.n_cell)
    schur, schur_twin = case.empty(case.twin.N_SCHUR, case.sizes[2])
    sg = np.array([point.sg], lu.dtype)
    case.host.launch("cell_factor", *case.sizes, below, states, *case.cells[2:], sg, lu, schur)
    clamped = np.maximum(below, 0).astype(float), np.maximum(states, 0).astype(float)
    case.twin.cell_factor(*clamped, *case.rounded()[2:], float(sg[0]), lu_twin, schur_twin)
    close(lu, lu_twin, case.build)
    close(schur, schur_twin, case.build)


def case_geometry(point, n):
    return point.p, point.capacity[:, :n], point.cap_index


def test_names_that_mean_something_to_cuda_are_allowed(tmp_path):
    text = RICH
    for old, new in ODD.items():
        text = text.replace(old, new)
    odd = Case(write_mechanism(tmp_path, text), {}, "float64")
    for got, expected in run_cells(odd).values():
        close(got, expected, odd.build)


def test_no_cells_are_no_launch(tmp_path):
    """A grid without blocks is refused by a GPU, so it is not launched."""
    case = Case(*load("two_fields", tmp_path), "float64")
    nothing = np.zeros((case.host.constants["N_LU"], 0)), np.zeros((case.host.constants["N_STATES"], 0))
    assert case.host.launch("cell_solve", 0, *nothing, nothing[1].copy()).is_empty


def test_generated_source_is_readable_and_says_what_it_is_from():
    mechanism = load_mechanism("adc")
    code = generate(mechanism, "cuda")
    assert code.path.suffix == ".cu" and code.path.read_text() == code.source
    assert mechanism.digest in code.source and "do not edit" in code.source
    assert max(map(len, code.source.splitlines())) <= 120
    for reaction in mechanism.reactions:
        assert f"// {reaction.text}"[:80] in code.source


def test_the_module_of_cuda_code_has_the_constants_of_the_others(tmp_path):
    mechanism = write_mechanism(tmp_path, RICH)
    ours, twin = generate(mechanism, "cuda").module, generate(mechanism, "numpy").module
    for name in ("N_A", "FIELDS", "STATES", "EXCHANGED", "N_LU", "SCHUR_PAIRS", "VOXEL_PAIRS", "BATH_PAIRS"):
        assert getattr(ours, name) == getattr(twin, name)
    assert len(twin.STATES) == ours.N_STATES and twin.N_SCHUR == ours.N_SCHUR

"""Every operation of a backend does what the reference does, on small irregular problems and any number of threads."""

from functools import cache

import numpy as np
import pytest
from tests import handmade, scenarios

from payloadfield.backends.registry import make_backend
from payloadfield.geometry import LabelArray, Sphere
from payloadfield.solver.discretisation import make_plan

TOLERANCE = 1e-12  # of one operation, relative to its largest value
SOLUTION = {"float64": 1e-10, "mixed": 1e-7}  # of a solve to a residual of 1e-11, whose iterations add up
BATH_ON_TOP = {"z_high": "bath"}


def box(shape, periodic=(False, False, False), sides=None, **options):
    """One solute in a box without cells."""
    geometry = handmade.make_box(shape, 10.0, periodic)
    start = {"initial": {"solute": 1.0}}
    return handmade.make_study("diffusion", geometry, duration=60.0, boundary=sides, **(start | options))


def joined(*axes):
    """Boundary table of periodic axes."""
    return {f"{a}_{e}": "periodic" for a in axes for e in ("low", "high")}


def gelled(**gel):
    """One solute in a box whose lower half is a gel."""
    label = np.zeros((4, 3, 5), np.uint8)
    label[:2] = 1
    materials = (handmade.MEDIUM, handmade.SOLID, handmade.make_gel(**gel))
    geometry = handmade.make_box((4, 3, 5), 10.0, shapes=[LabelArray(label, {0: None, 1: "gel"})], materials=materials)
    return handmade.make_study("diffusion", geometry, duration=60.0, initial={"solute": 1.0}, boundary=BATH_ON_TOP)


def sponge(shape, seed=3):
    """A box of which a third is solid in single voxels, cut by a ball: many pockets, every kind of neighbourhood."""
    label = (np.random.default_rng(seed).random(shape) < 0.35).astype(np.uint8)
    shapes = [LabelArray(label, {0: None, 1: "solid"}), Sphere("solid", (43.0, 31.0, 28.0), 23.0)]
    geometry = handmade.make_box(shape, 10.0, (False, False, True), shapes)
    options = {"boundary": BATH_ON_TOP | joined("x"), "bath_volume": 1e5, "initial": {"solute": 1.0}}
    return handmade.make_study("diffusion", geometry, duration=60.0, **options)


CASES = {scenario.__name__: scenario for scenario in scenarios.SCENARIOS} | {
    "one voxel": lambda: box((1, 1, 1)),
    "one voxel under a bath": lambda: box((1, 1, 1), sides=BATH_ON_TOP),
    "joined along x, one voxel long": lambda: box((4, 3, 1), (False, False, True), joined("x")),
    "joined along x, two voxels long": lambda: box((4, 3, 2), (False, False, True), joined("x")),
    "joined along x and z, odd": lambda: box((3, 2, 5), (True, False, True), joined("x", "z")),
    "joined all around, two voxels long": lambda: box((2, 2, 2), (True, True, True), joined("x", "y", "z")),
    "bath behind a tight membrane": lambda: box((4, 3, 5), sides=BATH_ON_TOP, bath_permeability={"solute": 0.0}),
    "solute that stays put": lambda: box((4, 3, 5), parameters={"D": 0.0}),
    "gel in which nothing moves": lambda: gelled(relative_diffusivity=0.0),
    "gel that nothing enters": lambda: gelled(accessible_fraction=0.0),
    "gel behind a tight skin": lambda: gelled(permeability=0.0),
    "sponge": lambda: sponge((7, 6, 9)),
    "large sponge": lambda: sponge((46, 31, 38)),
}  # fmt: skip


@cache
def plan_of(case):
    """Plan of a case."""
    return make_plan(CASES[case]())


@cache
def backend_of(case, name, precision="float64", threads=1):
    """A backend over the plan of a case."""
    return make_backend(name, plan_of(case), handmade.make_solver(precision=precision, threads=threads))


def draw(n):
    """Random values of either sign, (n,)."""
    return np.random.default_rng(0).normal(size=n)


def outcomes(backend):
    """What every operation makes of the same random input, by name."""
    plan, found = backend.plan, {}
    n, rng = plan.n_open, np.random.default_rng(1)
    u, old, new, out = rng.normal(size=(4, n))
    terms, few = rng.normal(size=(3, n)), rng.normal(size=3)
    entries = rng.normal(size=plan.cells.entry_voxel.size)
    states = rng.normal(size=(3, plan.n_states, plan.cells.n_cells))

    def written(method, start, *arguments, at, **keywords):
        result = start.copy()
        method(*arguments[:at], result, *arguments[at:], **keywords)
        return result

    pairs = np.array([2, 0]), np.array([u, old]), np.array([1, 0])
    for k in range(4):
        first = terms[:k]
        found[f"combine {k}"] = written(backend.combine, out, u, first, few[:k], at=0)
        found[f"combine {k} from zero"] = written(backend.combine, out, None, first, few[:k], at=0)
        found[f"stage_rhs {k}"] = written(backend.stage_rhs, out, 0, u, 0.7, first, few[:k], at=5)
    found["clamp"] = written(backend.clamp, out, u, at=0)
    found["gather"] = written(backend.gather, out, entries, 0.3, at=2)
    found["add_product"] = written(backend.add_products, out, terms, *pairs, at=0)
    found["norm"], found["sums"] = backend.norm(u), backend.sums(terms)
    if plan.cells.n_cells:
        found["state_error_norms"] = backend.state_error_norms(*states, np.linspace(0.5, 2.0, plan.n_states))
    for f in range(plan.n_fields):
        found |= {f"{key} of field {f}": value for key, value in of_field(backend, f, u, old, new, written).items()}
    return found


def of_field(backend, f, u, old, new, written):
    """The operations that concern one field."""
    capacity = backend.plan.field_capacity(f)
    backend.set_operator(f, 3e-3, 2e-3 * capacity * np.abs(old))
    found = {
        "subtract_image": written(backend.subtract_image, new, f, u, at=2),
        "pocket_sums": backend.pocket_sums(f, u),
        "diagonal_sums": backend.diagonal_sums(f),
        "shift_pockets": written(backend.shift_pockets, old, f, backend.pocket_sums(f, old), at=2),
        "bath_inflow": backend.bath_inflow(f, u, 0.4),
        "bath_coupling": written(backend.bath_coupling, old, f, at=1),
        "error_norm": backend.error_norm(f, u, old, new, 0.3),
        "amount": backend.amount(f, u),
    }
    for start in ("cold", "warm"):
        rhs, solution = capacity * u, (capacity > 0) * old
        backend.solve(f, rhs, solution, 1e-11 * np.linalg.norm(rhs), warm=start == "warm")
        found[f"solve {start}"] = solution
    return found


@pytest.mark.parametrize("precision", SOLUTION)
@pytest.mark.parametrize("case", CASES)
def test_every_operation_does_what_the_reference_does(case, precision):
    expected = outcomes(backend_of(case, "numpy", "float64"))
    found = outcomes(backend_of(case, "numba", precision))
    assert found.keys() == expected.keys()
    for name, right in expected.items():
        size = max(np.abs(right).max(initial=0), 1e-300)
        allowed = SOLUTION[precision] if name.startswith("solve") else TOLERANCE
        assert np.abs(found[name] - right).max(initial=0) <= allowed * size, name


@pytest.mark.parametrize("precision", SOLUTION)
@pytest.mark.parametrize("case", ["permeable_surfaces", "sponge", "large sponge"])
def test_two_threads_give_the_bits_of_one(case, precision):
    serial, shared = (backend_of(case, "numba", precision, threads) for threads in (1, 2))
    assert shared.threads == 2
    found = outcomes(shared)
    for key, right in outcomes(serial).items():
        np.testing.assert_array_equal(found[key], right, err_msg=key)


@pytest.mark.parametrize("name", ["numpy", "numba"])
@pytest.mark.parametrize("case", CASES)
def test_solution_of_an_elliptic_problem_leaves_the_residual_that_it_reports(case, name):
    backend = backend_of(case, name)
    for f in range(backend.plan.n_fields):
        backend.set_operator(f, 1e-4, np.zeros(backend.plan.n_open))
        right = backend.plan.field_capacity(f) * draw(backend.plan.n_open)
        size, rest, solution = np.linalg.norm(right), right.copy(), np.zeros_like(right)
        report = backend.solve(f, rest, solution, 1e-9 * size)
        backend.subtract_image(f, solution, right)
        assert report.residual == pytest.approx(np.linalg.norm(rest)) and report.residual <= 1e-9 * size
        np.testing.assert_allclose(right, rest, rtol=0, atol=1e-11 * size)


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_a_solve_that_met_nan_does_not_spoil_the_next_one(name):
    backend = backend_of("sponge", name)
    n = backend.plan.n_open
    rhs, first, second = backend.plan.field_capacity(0) * draw(n), np.zeros(n), np.zeros(n)
    backend.set_operator(0, 1e-3, np.zeros(n))
    backend.solve(0, rhs.copy(), first, 1e-6)
    with np.errstate(all="ignore"):
        backend.set_operator(0, 1e-3, np.full(n, np.nan))
        assert not np.isfinite(backend.solve(0, rhs.copy(), second, 1e-6).residual)
    backend.set_operator(0, 1e-3, np.zeros(n))
    backend.solve(0, rhs.copy(), second, 1e-6)
    np.testing.assert_array_equal(second, first)

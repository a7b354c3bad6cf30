"""Timings for pytest-benchmark: `pytest benchmarks -m bench --benchmark-enable`.

Figures beside their limits come from benchmarks/run.py.
"""

import numpy as np
import pytest

from benchmarks import bandwidth, cases, ours, peers
from benchmarks.lod import LodSolver
from benchmarks.measure import first_accurate
from benchmarks.problem import DOSE, exposure_error, make_problem

pytestmark = pytest.mark.bench
SIZES = (16, 32)


def _accurate(solution, exact):
    return cases.relative_error(solution, exact) <= 1e-3


@pytest.mark.parametrize("n", SIZES)
def test_reference_problem(benchmark, n):
    study = ours.make_reference_study(n)
    simulation = benchmark.pedantic(ours.run, (study,), rounds=3, warmup_rounds=1)
    with np.load(ours.REFERENCE / f"rkc-{n}.npz") as stored:
        assert exposure_error(simulation.cell_state("X"), stored["exposure"]) < 3e-4


@pytest.mark.parametrize("n", SIZES)
def test_hundred_lod_steps(benchmark, n):
    solver = LodSolver(make_problem(n), 0.6)
    benchmark.pedantic(solver.advance, (100, DOSE), rounds=5, warmup_rounds=1)
    assert all(np.isfinite(field).all() for field in solver.fields)


def test_triad(benchmark):
    assert benchmark.pedantic(bandwidth.measure_triad, rounds=1) > 0


def test_our_box(benchmark):
    case = cases.make_box_case(32)
    study = ours.make_box_study(case, 1e-2)
    solution = benchmark.pedantic(ours.run_box, (study, case), rounds=3, warmup_rounds=1)
    assert _accurate(solution, case.exact)


def test_our_sphere(benchmark):
    study = ours.make_sphere_study(32, 1e-2)
    case = cases.make_sphere_case(32, ours.uptake_of(study))
    solution = benchmark.pedantic(ours.run_sphere, (study,), rounds=3, warmup_rounds=1)
    assert _accurate(solution, case.exact)


OPPONENTS = [(peers.BOX_OPPONENTS, cases.make_box_case), (peers.SPHERE_OPPONENTS, cases.make_sphere_case)]


@pytest.mark.parametrize(
    ("opponent", "make_case"),
    [pytest.param(each, make, id=f"{each.name}-{make.__name__}") for group, make in OPPONENTS for each in group],
)
def test_peer(benchmark, opponent, make_case):
    if opponent.installed is None:
        pytest.skip(f"{opponent.package} is not installed (extra: peers)")
    case = make_case(16)
    solve = opponent.make(case)
    found = first_accurate(solve, opponent.settings, lambda u: cases.relative_error(u, case.exact), 1e-3)
    assert found is not None
    assert _accurate(benchmark.pedantic(solve, (found[0],), rounds=1), case.exact)

"""The figures that are measured, one function each; every figure beside its limit."""

import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np

from benchmarks import cases, ours, peers
from benchmarks.bandwidth import measure_all
from benchmarks.kernels import measure_kernels
from benchmarks.lod import LodSolver
from benchmarks.measure import Result, alternate, cpu_seconds, first_accurate, fit_line
from benchmarks.problem import DOSE, END_TIME, Floats, exposure_error, make_problem
from payloadfield.study import Study

REFERENCE = Path(__file__).parent / "reference"
EXPOSURE_ERROR = 7e-3  # at which the LOD opponent is compared
PEER_ERROR = 1e-3  # at which the peers are compared
LOD_STEPS = {True: 0.576, False: 1.8}  # s: the longest that stay at EXPOSURE_ERROR, by implicit_payload


@cache
def reference_exposure(n: int) -> Floats:
    """The stored independent exposure of every cell [nM s]."""
    with np.load(REFERENCE / f"rkc-{n}.npz") as stored:
        return stored["exposure"]


def _warm(study: Study) -> None:
    """Compile what a study needs."""
    simulation = ours.Simulation(study)
    for _ in zip(range(2), simulation.steps(), strict=False):
        pass


def measure_main(n: int = 64, rounds: int = 3) -> Iterator[Result]:
    """CPU time of one run of the reference problem, and its exposure error."""
    study = ours.make_reference_study(n)
    _warm(study)
    seconds = [cpu_seconds(lambda: ours.run(study)) for _ in range(rounds)]
    simulation = ours.run(study)
    error = exposure_error(simulation.cell_state("X"), reference_exposure(n))
    work = {"steps": simulation.n_steps, "rejected": simulation.n_rejected, "iterations": simulation.n_iterations}
    limit = 3.0 if n == 64 else None
    yield Result(f"reference problem {n}^3, one core", statistics.median(seconds), "CPU s", limit, "at most", work)
    yield Result(f"reference problem {n}^3, exposure error", error, "relative L2", 3e-4, "at most")
    worst = max(abs(line.relative_defect) for line in simulation.ledger)
    yield Result(f"reference problem {n}^3, balance", worst, "relative", 1e-11, "at most")


def measure_lod(n: int = 64, check: int = 32, sample: int = 400, rounds: int = 3) -> Iterator[Result]:
    """CPU time of the LOD opponent over ours at an exposure error of 0.7%.

    The opponent's error is that of a whole run at `check`^3. Each of its steps costs the same, so its time at n^3 is
    that of `sample` steps, scaled to 24 h.
    """
    study = ours.make_reference_study(n)
    _warm(study)
    for implicit, dt in LOD_STEPS.items():
        error = exposure_error(LodSolver(make_problem(check), dt, implicit).solve(), reference_exposure(check))
        opponent = LodSolver(make_problem(n), dt, implicit)
        opponent.advance(20, DOSE)
        scale = END_TIME / dt / sample
        theirs, own, ratio = alternate(partial(opponent.advance, sample, DOSE), partial(ours.run, study), rounds)
        detail = {
            "LOD step [s]": dt,
            f"LOD exposure error at {check}^3": error,
            "LOD accurate enough": error <= EXPOSURE_ERROR,
            "LOD CPU s for 24 h, scaled": theirs * scale,
            "our CPU s": own,
        }
        name = "BioFVM's uptake" if implicit else "a variant with explicit payload exchange, not BioFVM's"
        yield Result(f"LOD / ours {n}^3, {name}", ratio * scale, "ratio", 100.0 if implicit else None, detail=detail)


def measure_scaling(small: int = 32, large: int = 64, rounds: int = 3) -> Iterator[Result]:
    """Growth of time and memory for each doubling of the open voxels."""
    problems = [make_problem(n) for n in (small, large)]
    studies = [ours.make_reference_study(problem) for problem in problems]
    _warm(studies[0])
    big, little, ratio = alternate(lambda: ours.run(studies[1]), lambda: ours.run(studies[0]), rounds)
    doublings = np.log2(problems[1].n_open / problems[0].n_open)
    detail = {f"CPU s {small}^3": little, f"CPU s {large}^3": big}
    yield Result("time per doubling of voxels", float(ratio ** (1 / doublings)), "ratio", 2.0, "at most", detail)
    used = [peak_memory(study) for study in studies]
    yield Result(
        "memory per doubling of voxels", float((used[1] / used[0]) ** (1 / doublings)), "ratio", 2.0, "at most"
    )
    each = used[1] / problems[1].n_open / 3
    yield Result(f"memory {large}^3", each, "bytes per open voxel and field", 250.0, "at most")


def peak_memory(study: Study) -> int:
    """Most bytes that a simulation holds at once, from its making to its third step; the study itself not counted."""
    tracemalloc.start()
    try:
        _warm(study)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def measure_open_fraction(
    n: int = 64, radii: tuple[float, ...] = (0.0, 50.0, 75.0, 100.0, 115.0), rounds: int = 3
) -> Iterator[Result]:
    """CPU time of a step against open voxels, for strands from none to thick; the geometries take turns."""
    problems = [make_problem(n, radius=radius) for radius in radii]
    studies = [ours.make_reference_study(problem) for problem in problems]
    runs: list[list[float]] = [[] for _ in studies]
    iterations: list[float] = []
    _warm(studies[0])
    for _ in range(rounds):
        iterations.clear()
        for study, seconds in zip(studies, runs, strict=True):
            simulation = ours.Simulation(study)
            spent = cpu_seconds(simulation.run)
            attempts = simulation.n_steps + simulation.n_rejected
            seconds.append(spent / attempts)
            iterations.append(simulation.n_iterations / attempts)
    voxels = [float(problem.n_open) for problem in problems]
    per_step = [statistics.median(seconds) for seconds in runs]
    slope, intercept, r_squared = fit_line(voxels, per_step)
    detail = {
        "open voxels": voxels,
        "CPU s per step": per_step,
        "CG iterations per step": iterations,
        "slope": slope,
        "intercept": intercept,
    }
    yield Result("time of a step against open voxels, R^2 of a line", r_squared, "R^2", 0.98, "at least", detail)
    per_iteration = [seconds / count for seconds, count in zip(per_step, iterations, strict=True)]
    slope, intercept, r_squared = fit_line(voxels, per_iteration)
    detail = {"open voxels": voxels, "CPU s per CG iteration": per_iteration, "slope": slope, "intercept": intercept}
    yield Result("time of an iteration against open voxels, R^2 of a line", r_squared, "R^2", 0.98, "at least", detail)


def measure_modules(n: int = 64, rounds: int = 3) -> Iterator[Result]:
    """CPU time of a field and a step with all modules over that of the usual ones; 24 h each, in pairs."""
    core, full = (ours.make_module_study(n, is_full=is_full) for is_full in (False, True))
    pairs = []
    for study in (core, full):
        _warm(study)
    for _ in range(rounds):
        pairs.append([_cost_of_a_field(study) for study in (full, core)])
    ratio = statistics.median(a["CPU s per field and step"] / b["CPU s per field and step"] for a, b in pairs)
    detail = {"full model": pairs[-1][0], "core model": pairs[-1][1]}
    yield Result(f"field and step, all modules / the usual ones {n}^3", ratio, "ratio", 1.2, "at most", detail)


def _cost_of_a_field(study: Study) -> dict[str, float]:
    simulation = ours.Simulation(study)
    spent = cpu_seconds(simulation.run)
    attempts, fields = simulation.n_steps + simulation.n_rejected, len(study.mechanism.fields)
    return {
        "CPU s per field and step": spent / attempts / fields,
        "CPU s": spent,
        "steps": simulation.n_steps,
        "rejected": simulation.n_rejected,
        "iterations": simulation.n_iterations,
        "fields": fields,
        "states of a cell": len(study.mechanism.states),
        "cells": len(study.cells.type_index),
    }


def measure_bandwidth() -> Iterator[Result]:
    """The machine's triad, then our kernels as a share of it."""
    for name, value in measure_all().items():
        yield Result(f"triad, {name}", value, "GB/s")
    yield from measure_kernels()


def measure_startup(rounds: int = 7) -> Iterator[Result]:
    """Wall time of `payloadfield --help` in a process of its own."""
    command = [str(Path(sys.executable).with_name("payloadfield")), "--help"]
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    yield Result("payloadfield --help", statistics.median(seconds), "wall s", 0.3, "at most")


def measure_peers(n: int = 32, rounds: int = 3) -> Iterator[Result]:
    """CPU time of other programs over ours at the same accuracy, on what they can solve."""
    box = cases.make_box_case(n)
    own_box = _choose_own(lambda rtol: ours.run_box(ours.make_box_study(box, rtol), box), box.exact)
    box_study = ours.make_box_study(box, own_box)
    for opponent in peers.BOX_OPPONENTS:
        yield _compare(opponent, box, f"box {n}^3", own_box, lambda: ours.run_box(box_study, box), rounds)
    sphere = cases.make_sphere_case(n)
    own_exact = cases.make_sphere_case(n, ours.uptake_of(ours.make_sphere_study(n, 1e-2))).exact
    own_sphere = _choose_own(lambda rtol: ours.run_sphere(ours.make_sphere_study(n, rtol)), own_exact)
    sphere_study = ours.make_sphere_study(n, own_sphere)
    for opponent in peers.SPHERE_OPPONENTS:
        yield _compare(opponent, sphere, f"sphere {n}^3", own_sphere, lambda: ours.run_sphere(sphere_study), rounds)
    yield Result(f"sme / ours, sphere {n}^3", None, detail={"why": "its voxel solver holds no concentration at a side"})


def _choose_own(solve: Callable[[float], Floats], exact: Floats) -> float:
    """Our loosest tolerance that is accurate enough."""
    found = first_accurate(solve, (0.1, 0.01, 1e-3), lambda u: cases.relative_error(u, exact), PEER_ERROR)
    if found is None:
        raise RuntimeError(f"our own solution misses {PEER_ERROR} at every tolerance")
    return found[0]


def _compare(
    opponent: peers.Opponent,
    case: cases.BoxCase | cases.SphereCase,
    label: str,
    rtol: float,
    own: Callable[[], Floats],
    rounds: int,
) -> Result:
    name = f"{opponent.name} / ours, {label}"
    if opponent.installed is None:
        return Result(name, None, detail={"why": f"{opponent.package} is not installed (extra: peers)"})
    solve = opponent.make(case)
    found = first_accurate(solve, opponent.settings, lambda u: cases.relative_error(u, case.exact), PEER_ERROR)
    if found is None:
        return Result(name, None, detail={"why": f"{opponent.name} misses {PEER_ERROR} at every {opponent.setting}"})
    setting, error = found
    theirs, mine, ratio = alternate(lambda: solve(setting), own, rounds)
    detail = {opponent.setting: setting, "error": error, "CPU s": theirs, "our rtol": rtol, "our CPU s": mine}
    return Result(name, ratio, detail=detail | {"version": opponent.installed})


FIGURES: dict[str, Callable[[], Iterator[Result]]] = {
    "main": measure_main,
    "lod": measure_lod,
    "scaling": measure_scaling,
    "open_fraction": measure_open_fraction,
    "modules": measure_modules,
    "bandwidth": measure_bandwidth,
    "startup": measure_startup,
    "peers": measure_peers,
}

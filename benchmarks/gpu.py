"""Everything that is asked of a GPU, in one report: `python -m benchmarks.gpu`, or `make bench-gpu`.

Bandwidth and kernels by payloadfield.compare.bench; then the reference problem over 24 h, alone and as a batch, its
memory, and the same on the CPU. Its studies are made without a study file: a machine with a bare CuPy has no pydantic.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.measure import RESULTS, Result
from benchmarks.problem import DOSE, END_TIME, WASH_TIME, H, make_problem
from payloadfield.cells import Cells
from payloadfield.compare import bench
from payloadfield.errors import ResourceError
from payloadfield.geometry import LabelArray, VoxelGrid, make_geometry
from payloadfield.mechanism import load_mechanism
from payloadfield.solver import make_batch, make_simulation
from payloadfield.solver.discretisation import make_plan
from payloadfield.study import Event, OutputSettings, SolverSettings, Study
from payloadfield.units import AVOGADRO_NM_UM3

MECHANISM = Path(__file__).parent / "reference" / "mechanism.toml"
ROUNDS = 3
BANDWIDTH_BOUND = 20e-6
"""Seconds that a kernel's bytes take at the speed of the copy, from which on its launch matters little."""


def make_reference_study(n: int, settings: SolverSettings) -> Study:
    """The reference problem (problem.py), as `ours.make_reference_study` loads it."""
    problem, shape = make_problem(n), (n, n, n)
    solid = LabelArray(problem.solid.astype(np.uint8), {0: None, 1: "solid"})
    geometry = make_geometry(VoxelGrid(shape, H, (False, False, False)), [solid], [bench.MEDIUM, bench.SOLID])
    voxel = problem.cell_voxel
    count = len(voxel)
    cells = Cells(
        type_names=("target", "stroma"), type_index=(problem.antigen == 0.0).astype(np.int32),
        position=(np.stack(np.unravel_index(voxel, shape), axis=1) + 0.5) * H, radius=np.full(count, 0.4 * H),
        variation={}, entry_start=np.arange(count + 1), entry_voxel=voxel, entry_weight=np.ones(count),
    )  # fmt: skip
    molecules = AVOGADRO_NM_UM3 * H**3
    of_cells = {"volume": np.full(count, H**3), "receptors": problem.antigen * molecules}
    of_cells |= {"secretion": problem.secretion * molecules}
    schedule = Event(0.0, {0: DOSE}), Event(WASH_TIME, {}, 1.0)
    mechanism = load_mechanism(str(MECHANISM))
    study = bench.assemble_study(
        f"reference problem, {n}^3", mechanism, geometry, cells, of_cells, END_TIME, schedule, settings
    )
    return replace(study, output=OutputSettings(times=(), fields=("A", "P", "E"), cells=(), peaks=("X",)))


def time_run(study: Study, rounds: int = ROUNDS) -> dict[str, Any]:
    """Wall time of a whole run, the plan and the program being made [s]: the median, steps, sizes and memory."""
    plan, seconds = make_plan(study), []
    for _ in range(rounds):
        simulation = make_simulation(study, plan=plan)
        start = perf_counter()
        simulation.run()
        seconds.append(perf_counter() - start)
    engine = getattr(simulation, "engine", None)
    memory = sum(engine.machine.allocated.values()) if engine is not None else None
    return {
        "n": study.geometry.grid.shape[0], "seconds": median(seconds), "rounds": rounds, "steps": simulation.n_steps,
        "rejected": simulation.n_rejected, "n_open": plan.n_open, "n_fields": plan.n_fields, "bytes": memory,
    }  # fmt: skip


def time_batch(study: Study, n_designs: int, rounds: int = ROUNDS) -> dict[str, Any]:
    """The same of designs that differ in their dose."""
    first, *later = study.schedule
    designs = [
        replace(study, schedule=(replace(first, dose={0: DOSE * (1 + d / 64)}), *later)) for d in range(n_designs)
    ]
    seconds = []
    for _ in range(rounds):
        batch = make_batch(designs)
        start = perf_counter()
        batch.run()
        seconds.append(perf_counter() - start)
    return {"n_designs": n_designs, "seconds": median(seconds), "rounds": rounds, "steps": batch.n_steps}


def judge_kernels(found: dict[str, Any]) -> Result:
    """The smallest share of the copy's bandwidth among kernels that it bounds."""
    bound = found["bandwidth_bytes_per_second"] * BANDWIDTH_BOUND
    shares = {each["name"]: each["share_of_bandwidth"] for each in found["operations"] if each["bytes"] > bound}
    detail = {"kernels": shares, "open voxels": found["operations_at"]}
    return Result("smallest share of the copy", min(shares.values(), default=None), limit=0.85, detail=detail)


def judge_runs(settings: SolverSettings, small: int, large: int, n_designs: int, threads: int) -> list[Result]:
    """The reference problem at two sizes, as a batch, and on the CPU; what does not fit into memory says so."""
    results = []
    study = make_reference_study(small, settings)
    one = time_run(study)
    results.append(Result(f"{small}^3 over 24 h", one["seconds"], "s", 0.2, "at most", one))
    try:
        batch = time_batch(study, n_designs)
        value = batch["seconds"] / one["seconds"]
        results.append(Result(f"{n_designs} designs over one", value, "ratio", 8.0, "at most", batch))
    except ResourceError as error:
        results.append(Result(f"{n_designs} designs over one", None, "ratio", 8.0, "at most", {"reason": str(error)}))
    try:
        one = time_run(make_reference_study(large, settings))
    except ResourceError as error:
        return [*results, Result(f"{large}^3 over 24 h", None, "s", 3.0, "at most", {"reason": str(error)})]
    attempts = one["steps"] + one["rejected"]
    speed = one["n_open"] * one["n_fields"] * attempts / one["seconds"]
    on_cpu = replace(settings, backend="numba", precision="mixed", threads=threads)
    time_run(make_reference_study(16, on_cpu), 1)  # compiles
    cpu = time_run(make_reference_study(large, on_cpu), 1)
    results += [
        Result(f"{large}^3 over 24 h", one["seconds"], "s", 3.0, "at most", one),
        Result("open voxels through a step of one field", speed, "1/s", 2e8, "at least"),
        Result(f"Numba on {threads} cores over it", cpu["seconds"] / one["seconds"], "ratio", 50.0, "at least", cpu),
    ]
    if one["bytes"] is not None:
        value = one["bytes"] / one["n_open"] / one["n_fields"]
        results.append(Result("bytes an open voxel and field", value, "bytes", 128.0, "at most"))
    return results


def report(
    backend: str = "cupy", sizes: Sequence[int] = (64, 128, 256), *, small: int = 64, n_designs: int = 64,
    threads: int = 2, precision: str = "mixed",
) -> dict[str, Any]:  # fmt: skip
    """Everything as plain data; sizes: of the runs of bench, the largest also of the reference problem."""
    found = bench.measure(backend, sizes, precision)
    settings = SolverSettings(backend=backend, precision=precision)
    results = [judge_kernels(found), *judge_runs(settings, small, max(sizes), n_designs, threads)]
    machine = bench.describe_machine()  # clocks under load are seen best right after it
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "method": "wall seconds, medians; kernels as replayed graphs by the device's clock",
        "machine": machine,
        "results": [asdict(result) | {"holds": result.holds} for result in results],
        "bench": found,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", default="cupy")
    parser.add_argument("--sizes", default="64,128,256", help="voxels along a side, separated by commas")
    parser.add_argument("--precision", default="mixed", choices=("mixed", "float64", "float32"))
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-gpu.json")
    given = parser.parse_args()
    found = report(given.backend, [int(size) for size in given.sizes.split(",")], precision=given.precision)
    given.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for each in found["results"]:
        value = "not measured" if each["value"] is None else f"{each['value']:.4g} {each['unit']}"
        print(f"{each['name']:<42}{value:>20}   {each['sense']} {each['limit']:g}: {each['holds']}")
    print(given.output)


if __name__ == "__main__":
    main()

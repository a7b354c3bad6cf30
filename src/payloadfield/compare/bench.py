"""How fast this machine is: its bandwidth, each operation's share of it, and whole runs at three sizes.

Needs no study file, and nothing that a machine with a bare CuPy lacks: two fields and cells with four slots on a
woodpile, in round numbers of no molecule in particular.
"""

from __future__ import annotations

import csv
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

from payloadfield.cells import Cells
from payloadfield.errors import ResourceError
from payloadfield.geometry import Geometry, Material, VoxelGrid, find_pockets, make_geometry
from payloadfield.geometry.woodpile import Woodpile
from payloadfield.mechanism import Mechanism, evaluate, load_mechanism
from payloadfield.solver import Simulation, choose_backend, make_simulation
from payloadfield.study import Bath, Event, OutputSettings, SolverSettings, Study
from payloadfield.units import AVOGADRO_NM_UM3

SIZES = (32, 48, 64)
SPACING = 10.0
HOURS = 24.0
VOXELS_PER_CELL = 60
ROUNDS = 9
COPIED, LEAST_COPIED = 1 << 31, 1 << 27
"""Bytes of the copy on a GPU, and how few it may come down to where there is less memory."""

CLOCKS = "name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.limit"
"""What nvidia-smi is asked for."""

MEDIUM = Material("medium", "medium", {"default": 1.0}, {"default": 1.0}, {})
SOLID = Material("solid", "impermeable", {"default": 0.0}, {"default": 0.0}, {})

MECHANISM = """
name = "bench"
[moieties]
drug = {}
[parameters]
D_carrier = { unit = "um^2/s", from = "bench.D_carrier", value = "60 um^2/s" }
D_free = { unit = "um^2/s", from = "bench.D_free", value = "400 um^2/s" }
k_on = { unit = "1/nM/s", from = "bench.k_on", value = "1e5 / M / s" }
k = { unit = "1/s", from = "bench.k", value = "1e-4 / s" }
sites = { unit = "molecules", from = "bench.sites", value = "4e5 molecules" }
dose = { unit = "nM", from = "bench.dose", value = "50 nM" }
volume = { unit = "um^3", from = "bench.volume", value = "2200 um^3" }
[fields.carrier]
contains = { drug = 1 }
diffusivity = "D_carrier"
typical = "dose"
[fields.free]
contains = { drug = 1 }
diffusivity = "D_free"
typical = "0.1 * dose"
[states.site]
initial = "sites"
typical = "sites"
[states.complex]
contains = { drug = 1 }
typical = "sites"
[states.inside]
contains = { drug = 1 }
typical = "sites"
[exposures.exposure]
rate = "inside / (N_A * volume)"
unit = "nM*s"
[accumulators.lost]
contains = { drug = 1 }
[reactions.cell]
binding = { equation = "carrier + site <=> complex", rate = "k_on * carrier * site", back = "k * complex" }
uptake = { equation = "complex -> inside + site", rate = "k * complex" }
release = { equation = "inside -> free", rate = "k * inside" }
[reactions.voxel]
loss = { equation = "free -> lost", rate = "k * free" }
"""


@dataclass(frozen=True)
class Timing:
    """One operation: calls timed, bytes that a call has to move at least, median time of a call [s], share of the copy
    bandwidth, and its share of a step's time where that is known."""

    name: str
    calls: int
    bytes: float
    seconds: float
    share_of_bandwidth: float
    share_of_step: float | None = None


@dataclass(frozen=True)
class WholeRun:
    """One run over 24 h: voxels along a side, open voxels, fields, steps and rejected ones, wall and CPU time [s], and
    open voxels that an elliptic solve of one field passes through in a second of the run."""

    n: int
    n_open: int
    n_fields: int
    steps: int
    rejected: int
    wall: float
    cpu: float
    voxels_per_second: float


def make_bench_study(n: int, settings: SolverSettings) -> Study:
    """A woodpile on n^3 voxels under a bath, a cell for every 60 open voxels, dosed at once and washed after 8 h."""
    side = n * SPACING
    strands = Woodpile("solid", side / 4, side / 2.5, side / 4)
    geometry = make_geometry(VoxelGrid((n, n, n), SPACING, (False, False, False)), [strands], [MEDIUM, SOLID])
    end = HOURS * 3600.0
    schedule = Event(0.0, {0: 50.0}), Event(end / 3, {}, 1.0)
    return assemble_study(f"bench {n}^3", _load(), geometry, _place_cells(geometry, n), {}, end, schedule, settings)


def assemble_study(
    title: str, mechanism: Mechanism, geometry: Geometry, cells: Cells, of_cells: Mapping[str, Any], duration: float,
    schedule: tuple[Event, ...], settings: SolverSettings,
) -> Study:  # fmt: skip
    """A study under an infinite bath at z_high from its parts, all else as the mechanism says and without outputs.

    of_cells: values of the parameters that each cell has, (n_cell,); duration in s.
    """
    n_cells = cells.n_cells
    given = {p.name: p.value for p in mechanism.parameters if p.value is not None}
    values = {"N_A": AVOGADRO_NM_UM3} | given | dict(of_cells)

    def find(expression: Any) -> Any:
        return np.nan if expression is None else evaluate(expression, values)

    of_each = [np.broadcast_to(of_cells[name], n_cells) for name in mechanism.cell_parameters]
    initial = np.array([np.broadcast_to(find(state.initial), n_cells) for state in mechanism.states], float)
    return Study(
        title=title, duration=duration, seed=1, mechanism=mechanism,
        parameters=np.array([values[name] for name in mechanism.study_parameters], float),
        cell_parameters=np.array(of_each, float).reshape(len(of_each), n_cells), geometry=geometry,
        pockets=find_pockets(geometry, {"z_high"}), cells=cells,
        diffusivity=np.array([float(find(field.diffusivity)) for field in mechanism.fields]),
        bath=Bath(sides=frozenset({"z_high"})), boundary={"z_high": "bath"},
        initial_fields=np.zeros(len(mechanism.fields)), initial_states=initial,
        initial_bath=np.zeros(len(mechanism.fields)),
        typical_fields=np.array([np.mean(find(field.typical)) for field in mechanism.fields], float),
        typical_states=np.array([np.mean(find(state.typical)) for state in mechanism.states], float),
        schedule=schedule, solver=settings, output=OutputSettings(times=(), fields=(), cells=()),
    )  # fmt: skip


def _load() -> Mechanism:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.toml"
        path.write_text(MECHANISM, encoding="utf-8")
        return load_mechanism(str(path))


def _place_cells(geometry: Any, n: int) -> Cells:
    """Cells of one voxel, evenly over the open ones."""
    voxel = np.flatnonzero(geometry.open_fraction.ravel() > 0.5)[::VOXELS_PER_CELL]
    count = len(voxel)
    position = (np.stack(np.unravel_index(voxel, (n, n, n)), axis=1) + 0.5) * SPACING
    return Cells(
        type_names=("cell",), type_index=np.zeros(count, np.int32), position=position, radius=np.full(count, 8.0),
        variation={}, entry_start=np.arange(count + 1), entry_voxel=voxel, entry_weight=np.ones(count),
    )  # fmt: skip


# -- measuring ------------------------------------------------------------------------------------------------------


def measure(backend: str | None = None, sizes: Sequence[int] = SIZES, precision: str = "mixed") -> dict[str, Any]:
    """Bandwidth by a copy first, then every operation, then whole runs; as plain data.

    Operations are those of the middle size, on a GPU of the largest that fits, where no cache holds a field.
    """
    settings, sizes = SolverSettings(backend=backend or "auto", precision=precision), sorted(sizes)
    name, reason = choose_backend(make_bench_study(min(sizes), settings))
    on_gpu = name == "cupy"
    n, simulation = _make_largest(sizes if on_gpu else sizes[len(sizes) // 2 :][:1], settings)
    timings, bandwidth = _time_all(simulation, on_gpu=on_gpu)
    n_open = int(simulation.plan.n_open)
    del simulation  # what it holds is needed for the runs
    runs = [_run(make_bench_study(each, settings)) for each in sizes if not on_gpu or each <= n]
    return {
        "backend": name,
        "reason": reason,
        "precision": precision,
        "machine": describe_machine(),
        "bandwidth_bytes_per_second": bandwidth,
        "operations": [asdict(timing) for timing in timings],
        "operations_at": n_open,
        "runs": [asdict(each) for each in runs],
        "sizes_beyond_memory": [each for each in sizes if on_gpu and each > n],
    }


def _make_largest(sizes: Sequence[int], settings: SolverSettings) -> tuple[int, Any]:
    """The largest size that fits into memory, and its simulation.  Raises ResourceError where none does."""
    for n in sorted(sizes, reverse=True):
        try:
            return n, make_simulation(make_bench_study(n, settings))
        except ResourceError:
            if n == min(sizes):
                raise
    raise ValueError("no size")


def _time_all(simulation: Any, *, on_gpu: bool) -> tuple[list[Timing], float]:
    bandwidth = _device_bandwidth(simulation) if on_gpu else _host_bandwidth()
    timings = _time_kernels(simulation, bandwidth) if on_gpu else list(_time_operations(simulation, bandwidth))
    return timings, bandwidth


def describe_machine() -> dict[str, Any]:
    """Processor, versions, and the GPUs with their clocks as found now."""
    from payloadfield.backends.cuda.status import examine

    status = examine()
    gpus = [asdict(device) for device in status.devices]
    found = {"processor": _processor(), "cores": os.cpu_count(), "python": platform.python_version()}
    return {**found, "numpy": np.__version__, "gpus": gpus, "cupy": status.cupy_version, "driver": status.driver,
            "clocks": _find_clocks()}  # fmt: skip


def _find_clocks() -> list[dict[str, str]]:
    """What nvidia-smi says of driver, clocks and power limit of each GPU; nothing where there is none."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    asked = [command, f"--query-gpu={CLOCKS}", "--format=csv"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [dict(row) for row in csv.DictReader(said.splitlines(), skipinitialspace=True)]


def _processor() -> str:
    """Name of the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _run(study: Study) -> WholeRun:
    simulation = make_simulation(study)
    next(simulation.steps())  # what is compiled or recorded is so by now
    wall, cpu = perf_counter(), process_time()
    simulation.run()
    wall, cpu = perf_counter() - wall, process_time() - cpu
    plan, solves = simulation.plan, 4 * len(study.diffusivity) * (simulation.n_steps + simulation.n_rejected)
    return WholeRun(
        n=study.geometry.grid.shape[0], n_open=plan.n_open, n_fields=plan.n_fields, steps=simulation.n_steps,
        rejected=simulation.n_rejected, wall=wall, cpu=cpu,
        voxels_per_second=plan.n_open * solves / wall,
    )  # fmt: skip


def _time(call: Callable[[], Any]) -> float:
    """Median wall time of a call, after one to warm up [s]."""
    call()
    seconds = []
    for _ in range(ROUNDS):
        start = perf_counter()
        call()
        seconds.append(perf_counter() - start)
    return median(seconds)


def _host_bandwidth() -> float:
    """Bytes per second of a copy of 128 MiB, read and written."""
    source = np.ones(1 << 24)
    target = np.zeros_like(source)
    return 2 * source.nbytes / _time(lambda: np.copyto(target, source))


def _time_operations(simulation: Simulation, bandwidth: float) -> Iterator[Timing]:
    """Operations of a backend on the CPU, for one field; bytes are those of all arrays once."""
    backend, plan = simulation.backend, simulation.plan
    n, rng = plan.n_open, np.random.default_rng(1)
    a, b, out = (rng.uniform(size=n) for _ in range(3))
    terms, weights = rng.uniform(size=(3, n)), np.ones(3)
    backend.set_operator(0, 1e-3, np.zeros(n))
    enough = 1e-2 * backend.norm(a)
    rhs, solution = a.copy(), np.zeros(n)
    iterations = max(backend.solve(0, rhs, solution, enough).iterations, 1)

    def solve() -> None:
        rhs[...] = a
        backend.solve(0, rhs, solution, enough)

    face = 24  # six conductances in single precision
    cycle = 5 * face + 60
    calls: dict[str, tuple[Callable[[], Any], int]] = {
        "combine, 3 terms": (lambda: backend.combine(out, a, terms, weights), 40),
        "stage right-hand side, 3 terms": (lambda: backend.stage_rhs(0, a, 1.0, terms, weights, out), face + 56),
        "residual": (lambda: backend.subtract_image(0, a, out), face + 32),
        "set the operator": (lambda: backend.set_operator(0, 1e-3, b), 40),
        "norm": (lambda: backend.norm(a), 8),
        "error norm": (lambda: backend.error_norm(0, a, b, out, 1.0), 32),
        f"solve, {iterations} iterations": (solve, 16 + iterations * (cycle + face + 116)),
    }
    for name, (call, per_voxel) in calls.items():
        seconds = _time(call)
        yield Timing(name, 1, float(per_voxel * n), seconds, per_voxel * n / seconds / bandwidth)


def _device_bandwidth(simulation: Any) -> float:
    """Bytes per second of a copy of 2 GiB, read and written, or of less where memory is short."""
    machine, size = simulation.engine.machine, COPIED
    while True:
        try:
            return 2 * size / float(machine.time_copy(size, ROUNDS))
        except ResourceError:
            if size <= LEAST_COPIED:
                raise
            size //= 2


def _time_kernels(simulation: Any, bandwidth: float) -> list[Timing]:
    """Every kernel of a step on the GPU: its launches one after the other, and its share of all of them."""
    engine = simulation.engine
    program, machine = engine.program(engine.iterations)[0], engine.machine
    moved, counts = program.bytes(machine.build), program.count()
    seconds = {
        name: float(machine.time_launches([k for k in program.launches if k.kernel == name], ROUNDS)) for name in counts
    }
    total = sum(seconds.values())
    return [
        Timing(name, counts[name], moved[name] / counts[name], seconds[name] / counts[name],
               moved[name] / seconds[name] / bandwidth, seconds[name] / total)
        for name in sorted(counts, key=lambda name: -seconds[name])
    ]  # fmt: skip

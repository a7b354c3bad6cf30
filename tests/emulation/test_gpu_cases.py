"""What the tests on a GPU launch, counted without one: every kernel, and in more than one block where there is more."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.emulation.fake_cupy import FakeCupy, installed
from tests.emulation.machine import HostMachine
from tests.emulation.test_cupy_machine import make_launcher_of
from tests.gpu import cases

from payloadfield.backends.cuda.loader import list_kernels
from payloadfield.backends.cuda.machine import CountingMachine
from payloadfield.mechanism import generate
from payloadfield.solver import make_simulation
from payloadfield.solver.device.engine import DeviceEngine
from payloadfield.solver.device.followed import find_followed
from payloadfield.solver.device.simulation import simulate_on_device
from payloadfield.solver.discretisation import make_plan

ROOT = Path(__file__).parents[2]
SHARED = 223 * 1024
"""Bytes of shared memory that a block may ask for on the cards of today."""
MANY = ("n", "n_words", "n_coarse", "n_cell", "n_touched", "n_contact", "n_pockets", "n_components", "n_chunks")
"""What there is much of: voxels, nodes, cells, and what is counted by them."""
OF_ONE = {"bath_rates", "bath_jacobian", "bath_losses", "hold"}
"""Kernels over as many as are asked for, which is one: the bath, or a sum."""


class Recorder(CountingMachine):
    """Counts the blocks of what is recorded: {kernel: most blocks along x}."""

    def __init__(self, *given):
        super().__init__(*given)
        self.blocks = {}

    def record(self, launches):
        """See Machine."""
        for launch in launches:
            if not launch.is_empty:
                self.blocks[launch.kernel] = max(self.blocks.get(launch.kernel, 0), launch.grid[0])
        return super().record(launches)


def count_blocks(case, monkeypatch):
    """{kernel: most blocks} of a case's programs: those of steps and of outputs."""
    study = case.make()
    case.limits.impose(monkeypatch)
    code = generate(study.mechanism, "cuda").module
    machine = Recorder(case.limits.build(study.solver.precision), vars(code), 1, SHARED)
    DeviceEngine(machine, [make_plan(study)], code, find_followed([study]))
    return machine.blocks


@pytest.fixture(scope="module")
def blocks():
    """{kernel: most blocks} of all cases."""
    found = {}
    for case in cases.CASES.values():
        with pytest.MonkeyPatch.context() as monkeypatch:
            for kernel, n in count_blocks(case, monkeypatch).items():
                found[kernel] = max(found.get(kernel, 0), n)
    return found


def test_the_cases_of_the_gpu_launch_every_kernel(blocks):
    assert set(blocks) == set(list_kernels(of_mechanism=False) | list_kernels(of_mechanism=True))


def test_what_there_is_much_of_is_done_in_more_than_one_block(blocks):
    """Sums over blocks, too, whose last block adds up what the others left."""
    known = list_kernels(of_mechanism=False) | list_kernels(of_mechanism=True)
    many = {name for name, kernel in known.items() if kernel.over.partition(" by ")[0].split()[-1] in MANY}
    assert {"apply_dot", "coarsen_diagonal", "smooth", "residual_restrict", "invert_pockets", "gather"} <= many
    assert {name for name in many - OF_ONE if blocks[name] < 2} == set()


def test_without_small_limits_kernels_are_left_out(monkeypatch):
    """A control."""
    case = cases.replace(cases.CASES["gel_under_a_finite_bath"], limits=cases.OWN)
    assert not {"begin_cycle", "end_cycle", "restrict_finest"} & set(count_blocks(case, monkeypatch))


# --- the tests themselves, without a GPU ---------------------------------------------------------------------


def run_on_host(case, until):
    """A case by the same launches on the host."""

    def make_machine(mechanism, precision, n_designs):
        machine = HostMachine(mechanism, precision, n_designs, most_nodes=case.limits.most_nodes)
        return machine, machine.code.module

    sim = simulate_on_device(case.make(), make_machine)
    sim.run(until)
    return sim


def test_limits_are_those_of_what_is_run_through_cupy(monkeypatch):
    """Bit for bit what the host's build gives with blocks and levels as small."""
    case = cases.CASES["loop_of_fields"]
    study = case.make()
    case.limits.impose(monkeypatch)
    with installed(monkeypatch, FakeCupy(make_launcher_of(study.mechanism))):
        sim = make_simulation(study, "cupy")
        sim.run(1.0)
        fields = np.array(sim.state.fields)
    np.testing.assert_array_equal(fields, run_on_host(case, 1.0).state.fields)


BARE = """
import importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ImportError(f"blocked: {{name}}")

sys.meta_path.insert(0, Blocked())
{what}
"""
LACKING = ("pydantic", "pydantic_core", "psutil", "matplotlib", "jinja2", "hypothesis", "xdist", "pytest_benchmark")


def run_bare(what, lacking):
    """A program in a Python that lacks packages."""
    path = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    given = os.environ | {"PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    given.pop("PAYLOADFIELD_REQUIRE_GPU", None)
    text = BARE.format(names=set(lacking), what=what)
    return subprocess.run(
        [sys.executable, "-c", text], cwd=ROOT, env=given, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_tests_of_the_gpu_are_found_on_a_machine_that_lacks_most_packages():
    options = ["-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib", "tests/gpu", "-q", "--collect-only"]
    done = run_bare(f"import pytest; sys.exit(pytest.main({options!r}))", (*LACKING, "rich"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"[{name}]" in done.stdout for name in cases.CASES)


@pytest.mark.parametrize(
    ("command", "lacking", "expected"),
    [(["devices"], (), "CPU: "), (["devices", "--json"], ("rich",), "memory_free")],
)
def test_devices_are_shown_on_a_machine_that_lacks_most_packages(command, lacking, expected):
    what = f"sys.argv[1:] = {command!r}; from payloadfield.cli import main; main()"
    done = run_bare(what, (*LACKING, *lacking))
    assert done.returncode == 0 and expected in done.stdout, done.stderr

"""Bytes and launches by counting, as kernels/README.md states them: what a change of a kernel costs or saves."""

from collections import Counter

import numpy as np
import pytest
from tests import scenarios
from tests.emulation import readme
from tests.emulation.device import Device
from tests.emulation.host import HostKernels, make_build

from payloadfield.backends.cuda.loader import list_kernels
from payloadfield.backends.cuda.signature import Build
from payloadfield.backends.cuda.traffic import bytes_moved
from payloadfield.solver.discretisation import make_plan

KERNELS = list_kernels(of_mechanism=False)
CYCLE = ("first_guess", "smooth", "residual_restrict", "prolong_smooth", "smooth")
ITERATION = ("dot_cycle", "direction", "apply_dot", "advance")
FINE, COARSE = 64**3, 32**3


def bytes_per_voxel(names):
    """Bytes of launches on the finest level, for each voxel; partial sums left out."""
    sizes = {"n": FINE, "n_coarse": COARSE, "width": 6, "n_blocks": 0}
    return sum(bytes_moved(KERNELS[name], Build(), sizes) for name in names) / FINE


def test_bytes_of_a_cycle_and_of_an_iteration_are_those_of_the_readme():
    cycle, iteration = bytes_per_voxel(CYCLE), bytes_per_voxel(ITERATION)
    text = readme.PATH.read_text()
    assert f"a V-cycle moves {cycle:.0f} bytes a voxel on the finest level" in text
    assert f"the rest of an iteration {iteration:.0f}" in text


class Counting:
    """Launches by name, on the way to the kernels."""

    def __init__(self, host):
        self.host, self.build, self.count = host, host.build, Counter()

    def launch(self, name, *arguments):
        self.count[name] += 1
        return self.host.launch(name, *arguments)


@pytest.mark.parametrize("most_nodes", [0, 60])
def test_launches_of_an_iteration_are_those_of_the_readme(most_nodes):
    plan = make_plan(scenarios.finite_bath())
    host = Counting(HostKernels(make_build("mixed"), once=True))
    device = Device(plan, host, 1, most_nodes)
    device.set_operator(1e-3, np.zeros(plan.n_open))
    launches = {}
    for iterations in (1, 2):
        host.count.clear()
        device.solve(np.ones(plan.n_open), np.zeros(plan.n_open), iterations)
        launches[iterations] = host.count.total()
    assert launches[2] - launches[1] == 9 + 4 * device.first_small
    assert "9 launches, and 4 for each level above those in shared memory" in readme.PATH.read_text()

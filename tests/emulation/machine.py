"""The host as a machine: the step's program of the GPU backend, run on the unchanged kernels built by g++."""

import numpy as np
from tests.emulation.host import HostKernels, make_build

from payloadfield.backends.cuda.machine import Machine
from payloadfield.mechanism import generate

MOST_NODES = 60


class HostMachine(Machine):
    """NumPy arrays, and launches that run at once."""

    def __init__(self, mechanism, precision="float64", n_designs=1, once=True, most_nodes=MOST_NODES):
        """once: run every launch once, upwards only; otherwise twice, and compare."""
        build, self.code = make_build(precision), generate(mechanism, "cuda")
        self.shared_limit = 3 * build.dtype("small").itemsize * most_nodes
        super().__init__(build, {k: v for k, v in vars(self.code.module).items() if k.startswith("N_")})
        self.constants |= {"n_designs": n_designs}
        hosts = HostKernels(build, once=once), HostKernels(build, self.code, once=once)
        self.host_of = {name: host for host in hosts for name in host.kernels}

    def _zeros(self, shape, dtype):
        return np.zeros(shape, dtype)

    def _upload(self, values):
        return values.copy()

    def write(self, array, values):
        """See Machine."""
        assert array.shape == values.shape and array.dtype == values.dtype
        array[...] = values

    def read(self, array):
        """See Machine."""
        return array.copy()

    def record(self, launches):
        """See Machine."""
        return list(launches)

    def run(self, program):
        """See Machine."""
        for launch in program:
            self.host_of[launch.kernel].run_checked(launch)

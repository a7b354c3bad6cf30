"""Small irregular plans with their arrays, on the host's build and on the reference backend; two designs at a time."""

from dataclasses import replace
from functools import cache

import numpy as np
from tests import scenarios
from tests.emulation.host import close
from tests.emulation.machine import HostMachine

from payloadfield.backends.reference import ReferenceBackend
from payloadfield.mechanism import generate
from payloadfield.solver.device import arrays as device_arrays
from payloadfield.solver.device.arrays import DeviceArrays
from payloadfield.solver.device.solve import FieldSolver
from payloadfield.solver.discretisation import make_plan
from payloadfield.solver.tableau import make_ros34pw2

SCENARIOS = {
    "gel_under_a_finite_bath": scenarios.finite_bath,
    "periodic": scenarios.periodic_sides,
    "closed_pocket": scenarios.closed_pocket,
}
SG, FIELD, DESIGNS, POCKET_CHUNK = 3e-4, 1, 2, 50


@cache
def find_plans(name):
    """The plan of a scenario, and one with other coefficients."""
    plan = make_plan(SCENARIOS[name]())
    contact = replace(plan.bath, conductance=0.7 * plan.bath.conductance)
    return plan, replace(plan, diffusivity=0.8 * plan.diffusivity, bath=contact)


@cache
def find_machine(name, precision, most_nodes):
    """Every launch runs twice, threads upwards and downwards."""
    return HostMachine(find_plans(name)[0].mechanism, precision, DESIGNS, once=False, most_nodes=most_nodes)


class Case:
    """Two plans, their arrays on the device and their reference backends, with random vectors in the device's types."""

    def __init__(self, name, precision, most_nodes=1):
        self.plans, self.machine = find_plans(name), find_machine(name, precision, most_nodes)
        self.plan, self.n = self.plans[0], self.plans[0].n_open
        self.build, tableau = self.machine.build, make_ros34pw2()
        self.a = DeviceArrays(self.machine, self.plans, self.machine.code.module, tableau)
        code = generate(self.plan.mechanism, "numpy").module
        self.twins = [ReferenceBackend(plan, "float64", code) for plan in self.plans]
        self.solver = FieldSolver(self.a, self.launch)
        self.random = np.random.default_rng(5)

    def launch(self, name, *arguments):
        """Check and run a kernel."""
        launch = self.machine.prepare(name, *arguments)
        if not launch.is_empty:
            self.machine.run([launch])

    def vector(self, *shape, low=0.0):
        """Random numbers from `low` to 1, as they are in the device's memory; of both designs unless said otherwise."""
        return self.random.uniform(low, 1.0, shape or (DESIGNS, self.n)).astype(self.a.real)

    def set_operator(self):
        """A zeroth-order term with something beside capacity and bath, and its diagonals."""
        a, extra = self.a, 10.0 * self.vector()
        a.sg[...] = SG
        zeroth = a.zeroth[FIELD]
        self.launch("set_zeroth", self.n, a.sg, a.capacity[a.capacity_row[FIELD]], zeroth)
        negative = (-extra).reshape(DESIGNS, 1, self.n)
        self.launch("subtract_row", self.n, 1, 0, negative, zeroth)
        self.solver.couple_bath(FIELD, zeroth)
        self.solver.set_diagonals(FIELD)
        for twin, more in zip(self.twins, extra, strict=True):
            twin.set_operator(FIELD, float(a.sg[0]), as_double(more))

    def close(self, got, expected):
        """Row by row, the designs first."""
        got, expected = np.asarray(got), np.asarray(expected)
        close(got.reshape(-1, got.shape[-1]), expected.reshape(-1, expected.shape[-1]), self.build)

    def operator(self):
        """Arguments of the elliptic operator."""
        tables = self.a.tables(FIELD)
        return self.a.D[FIELD], *tables.around, self.a.zeroth[FIELD]


def as_double(values):
    return np.asarray(values, float).copy()


def of_designs(function):
    """The same for every design, stacked."""
    return np.stack([function(d) for d in range(DESIGNS)])


def cut_small(group, chunks=device_arrays.make_pocket_chunks):
    """Pockets of several chunks, on a small grid too."""
    return chunks(group, POCKET_CHUNK)


def dense(twin, n):
    """The operator of the reference backend as a matrix."""
    return np.stack([twin._apply(FIELD, row) for row in np.eye(n)], axis=1)

"""A backend of the tests' own: every operation of a step as launches of the CUDA kernels, run on the host.

Not the GPU backend: it waits for every number, and the stepper around it is the CPU's. It shows that the kernels make
up a whole run.
"""

import numpy as np
from tests.emulation.device import Device
from tests.emulation.host import HostKernels, make_build

from payloadfield.backends.base import MAX_ITERATIONS, Backend, SolveReport
from payloadfield.mechanism import generate

MOST_NODES = 60


class HostCode:
    """The generated functions with the arguments that the stepper gives them, as launches."""

    def __init__(self, code, host):
        vars(self).update({k: v for k, v in vars(code.module).items() if k.isupper()})
        self.host, self.n_accumulators = host, code.module.N_ACCUMULATORS

    def __getattr__(self, name):
        scope, _, kind = name.partition("_")
        if scope == "cell":
            return self.cell_solve if kind == "solve" else lambda *arguments: self.cells(name, *arguments)
        if scope in ("voxel", "bath"):
            run = self.losses if kind.startswith("losses") else self.fields
            return lambda *arguments: run(name, *arguments)
        raise AttributeError(name)

    def cells(self, name, fields, states, p, cp, start, voxel, weight, *more):
        sizes = states.shape[1], fields.shape[1], len(weight)
        if name == "cell_factor":
            more = (np.array([more[0]]), *more[1:])
        self.host.launch(name, *sizes, fields, states, p, cp, start, voxel, weight, *more)

    def cell_solve(self, lu, rhs, out):
        self.host.launch("cell_solve", rhs.shape[1], lu, rhs, out)

    def fields(self, name, fields, *more):
        self.host.launch(name, fields.shape[1], fields, *more)

    def losses(self, name, fields, *more):
        partial = np.full((self.n_accumulators, -(-fields.shape[1] // self.host.build.block)), np.nan)
        self.host.launch(name, fields.shape[1], fields, *more[:-1], partial)
        more[-1][...] = partial.sum(axis=1)


class HostBackend(Backend):
    """Every operation of the step on the host's kernels; state in double precision."""

    name = "host"

    def __init__(self, plan, precision):
        super().__init__(plan, precision)
        build = make_build(precision)
        code = generate(plan.mechanism, "cuda")
        self.host = HostKernels(build, once=True)
        self.code = HostCode(code, HostKernels(build, code, once=True))
        self.devices = [Device(plan, self.host, field, MOST_NODES) for field in range(plan.n_fields)]
        self.launch, self.n = self.host.launch, plan.n_open

    def combine(self, out, base, terms, coefficients):
        """See Backend."""
        flat, terms = out.reshape(-1), np.ascontiguousarray(terms).reshape(len(terms), out.size)
        coefficients = np.ascontiguousarray(coefficients[: len(terms)])
        if base is None:
            self.launch("combine_terms", out.size, len(terms), terms, coefficients, flat)
        else:
            self.launch("combine", out.size, len(terms), base.reshape(-1), terms, coefficients, flat)

    def clamp(self, out, values):
        """See Backend."""
        self.launch("clamp", out.size, values.reshape(-1), out.reshape(-1))

    def stage_rhs(self, field, value, bath, terms, coefficients, out):
        """See Backend."""
        device, contact = self.devices[field], self.plan.bath.voxel
        history = np.ascontiguousarray(terms).reshape(len(terms), 1, self.n)
        self.launch(
            "stage_rhs", self.n, 1, 0, len(terms), device.D, self.plan.neighbour, device.g, device.capacity, value,
            history, np.ascontiguousarray(coefficients[: len(terms)]), out,
        )  # fmt: skip
        self.launch("bath_flux", contact.size, contact, device.bath, np.array([bath]), value, out)

    def gather(self, entries, factor, out):
        """See Backend."""
        cells = self.plan.cells
        touched = cells.touched_voxel, cells.touched_start, cells.touched_entry
        self.launch("gather", cells.touched_voxel.size, factor, *touched, entries, out)

    def add_product(self, out, a, b, factor):
        """See Backend."""
        self.launch("add_product", out.size, factor, a, b, out)

    def set_operator(self, field, sg, extra):
        """See Backend."""
        self.devices[field].set_operator(sg, extra)

    def solve(self, field, rhs, out, enough, *, warm=False):
        """See Backend."""
        if warm:
            self.subtract_image(field, out, rhs)
        else:
            out[...] = 0.0
        iterations, residual = self.devices[field].solve(rhs, out, MAX_ITERATIONS, enough)
        return SolveReport(iterations, residual)

    def subtract_image(self, field, value, rhs):
        """See Backend."""
        device = self.devices[field]
        self.launch("subtract_image", self.n, device.D, self.plan.neighbour, device.g, device.zeroth, value, rhs)

    def pocket_sums(self, field, values):
        """See Backend."""
        return self.devices[field].pocket_sums(values)

    def diagonal_sums(self, field):
        """See Backend."""
        return self.pocket_sums(field, self.devices[field].zeroth)

    def shift_pockets(self, field, shift, out):
        """See Backend."""
        self.launch("shift_pockets", self.n, self.plan.group(field).pocket, np.ascontiguousarray(shift), out)

    def bath_inflow(self, field, value, bath):
        """See Backend."""
        device, contact = self.devices[field], self.plan.bath.voxel
        partial = device.partial(contact.size)
        self.launch("bath_inflow", contact.size, contact, device.bath, np.array([bath]), value, partial)
        return float(device.add_up(partial)[0])

    def bath_coupling(self, field, out):
        """See Backend."""
        out[...] = 0.0
        self.launch("bath_coupling", self.plan.bath.voxel.size, self.plan.bath.voxel, self.devices[field].bath, out)

    def error_norm(self, field, error, old, new, floor):
        """See Backend."""
        device = self.devices[field]
        partial = device.partial(self.n)
        self.launch("error_norm", self.n, floor, device.capacity, error, old, new, partial)
        return float(np.sqrt(device.add_up(partial)[0] / device.capacity.sum()))

    def state_error_norms(self, error, old, new, floor):
        """See Backend."""
        rows, n = error.shape
        partial = np.full((rows, -(-n // self.host.build.block)), np.nan)
        self.launch("state_error_norms", n, rows, floor, error, old, new, partial)
        return np.sqrt(self.devices[0].add_up(partial) / n)

    def norm(self, values):
        """See Backend."""
        return float(np.sqrt(self.devices[0].dot(values, values)[0]))

    def amount(self, field, value):
        """See Backend."""
        return float(self.devices[field].dot(self.devices[field].capacity, value)[0])

    def sums(self, values):
        """See Backend."""
        partial = np.full((len(values), -(-values.shape[1] // self.host.build.block)), np.nan)
        self.launch("row_sums", values.shape[1], len(values), values, partial)
        return self.devices[0].add_up(partial)

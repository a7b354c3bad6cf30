"""A plan on the host's kernels: the operations of a step put together from launches, as a GPU backend will."""

import numpy as np

from payloadfield.backends.base import smoother_weights
from payloadfield.backends.cuda.tables import first_small_level, join_levels, make_levels, make_pocket_chunks

POCKET_CHUNK = 50


class Device:
    """The arrays of a plan in the types of a build, and the sequences of launches that make up an operation."""

    def __init__(self, plan, host, field, most_nodes):
        """field: the one that the operator is of; most_nodes: how many nodes one block's shared memory holds."""
        self.plan, self.host, self.field, self.n = plan, host, field, plan.n_open
        self.real, self.small = host.build.dtype("real"), host.build.dtype("small")
        self.group = plan.group(field)
        self.levels = make_levels(self.group, plan.neighbour)
        self.chunks = make_pocket_chunks(self.group, POCKET_CHUNK)
        self.first_small = first_small_level(self.levels, most_nodes)
        self.joined = join_levels(self.levels[self.first_small :])
        self.D = float(plan.diffusivity[field])
        self.g = self.group.conductance
        self.capacity = self.as_real(plan.field_capacity(field))
        self.bath = self.as_real(plan.bath.conductance[field])
        self.zeroth = np.zeros(self.n, self.real)
        self.inverse = [np.zeros(level.n, self.small) for level in self.levels]
        self.weights = [float(self.small.type(w)) for w in smoother_weights()]

    def as_real(self, values):
        return np.ascontiguousarray(values, self.real)

    def empty(self, like):
        """Room for a result, filled with NaN."""
        return np.full_like(like, np.nan)

    def partial(self, n, rows=1):
        """Room for one sum of every block."""
        shape = -(-n // self.host.build.block)
        return np.full(shape if rows == 1 else (rows, shape), np.nan)

    def add_up(self, partial):
        """Second launch of a sum: one number for each row."""
        partial = np.atleast_2d(partial)
        start, out = np.arange(len(partial) + 1) * partial.shape[1], np.full(len(partial), np.nan)
        self.host.launch("segment_sums", len(partial), start, partial.ravel(), out)
        return out

    def dot(self, a, b):
        partial = self.partial(a.size)
        self.host.launch("dot", a.size, a, b, partial)
        return self.add_up(partial)

    def pocket_sums(self, values):
        chunks = self.chunks
        partial = np.full(len(chunks.chunk_start) - 1, np.nan)
        self.host.launch("pocket_sums", partial.size, chunks.chunk_start, chunks.order, values, partial)
        out = np.full(self.group.n_pockets, np.nan)
        self.host.launch("segment_sums", out.size, chunks.pocket_start, partial, out)
        return out

    def set_operator(self, sg, extra):
        launch, contact = self.host.launch, self.plan.bath.voxel
        launch("set_zeroth", self.n, self.as_real([sg]), self.capacity, extra, self.zeroth)
        launch("bath_coupling", contact.size, contact, self.bath, self.zeroth)
        work = [self.empty(self.as_real(level.row_sum)) for level in self.levels]
        sums = [self.as_real(level.row_sum) for level in self.levels]
        launch("set_diagonal", self.n, self.D, self.zeroth, sums[0], work[0], self.inverse[0])
        for k, level in enumerate(self.levels[:-1]):
            launch(
                "coarsen_diagonal", self.levels[k + 1].n, level.child_start, level.child, work[k], sums[k + 1],
                work[k + 1], self.inverse[k + 1],
            )  # fmt: skip

    def table(self, k):
        """What the kernels of a level begin with."""
        level = self.levels[k]
        return level.width, level.neighbour, level.g, self.inverse[k]

    def cycle(self, b, x):
        """V-cycle from b and x, the first smoothing step; all levels from first_small on are one launch."""
        return self.small_part(b) if self.first_small == 0 else self.descend(0, b, x)

    def descend(self, k, b, x):
        first, second = self.weights
        level, launch = self.levels[k], self.host.launch
        if k == self.first_small:
            return self.small_part(b)
        t, after = self.empty(b), self.empty(b)
        launch("smooth", level.n, *self.table(k), second, b, x, t)
        coarse_b, coarse_x = self.empty(self.inverse[k + 1]), self.empty(self.inverse[k + 1])
        launch(
            "residual_restrict", level.n, coarse_b.size, *self.table(k), b, t, level.child_start, level.child,
            self.inverse[k + 1], first, coarse_b, coarse_x,
        )  # fmt: skip
        coarse = self.descend(k + 1, coarse_b, coarse_x)
        launch("prolong_smooth", level.n, *self.table(k), second, b, t, level.parent, coarse, after)
        launch("smooth", level.n, *self.table(k), first, b, after, t)
        return t

    def small_part(self, b):
        j, out = self.joined, self.empty(b)
        inverse = np.concatenate(self.inverse[self.first_small :])
        self.host.launch(
            "small_levels", len(j.width), inverse.size, j.offset, j.width, j.table_start, j.neighbour, j.g, j.parent,
            j.child_start, j.child, inverse, *self.weights, b, out,
        )  # fmt: skip
        return out

    def solve(self, rhs, out, most, enough=-1.0):
        """Conjugate gradients, (iterations, residual): at most `most`, until the norm of the residual is `enough`.

        The residual takes the place of rhs. A negative `enough`: so many iterations without a test, as on a GPU.
        """
        launch, n = self.host.launch, self.n
        p, image, old, count = np.zeros_like(rhs), self.empty(rhs), np.zeros(1), 0
        rr = self.dot(rhs, rhs)
        while count < most and not np.sqrt(rr[0]) <= enough:
            b, x = np.full(n, np.nan, self.small), np.full(n, np.nan, self.small)
            launch("first_guess", n, self.D, self.weights[0], rr, rhs, self.inverse[0], b, x)
            t, partial = self.cycle(b, x), self.partial(n)
            launch("dot_cycle", n, rr, rhs, t, partial)
            rho = self.add_up(partial)
            launch("direction", n, rr, rho, old, t, p)
            launch("apply_dot", n, self.D, self.plan.neighbour, self.g, self.zeroth, p, image, partial)
            launch("advance", n, rho, self.add_up(partial), p, image, out, rhs, partial)
            rr, old, count = self.add_up(partial), rho, count + 1
        return count, float(np.sqrt(rr[0]))

"""One field's elliptic problem as launches: diagonals, V-cycle, conjugate gradients, sums over pockets and bath."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from payloadfield.solver.device.arrays import DeviceArrays


class FieldSolver:
    """Appends the launches of solves to a program; right-hand side in arrays.r, solution in arrays.x."""

    def __init__(self, arrays: DeviceArrays, do: Callable[..., None]) -> None:
        self.a, self.do = arrays, do

    # -- sums ---------------------------------------------------------------------------------------------------

    def add_up(self, partial: Any, n_sums: int, length: int, out: Any) -> None:
        """Second launch of sums of several kinds: partial (D, n_sums x length) to out (D, n_sums)."""
        a = self.a
        flat = partial.reshape(a.n_designs, n_sums * length)
        start = a.starts(n_sums, length)
        self.do("segment_sums", n_sums, n_sums * length, start, flat, out.reshape(a.n_designs, n_sums))

    def square(self, out: Any) -> None:
        """Squared norm of the right-hand side, (D, 1)."""
        a = self.a
        self.do("square", a.n, a.r, *a.total(a.n_designs, a.n), self._flat(out))

    def pocket_sums(self, field: int, values: Any, out: Any) -> None:
        """Sums of values (D, n) over the pockets of a field, (D, P)."""
        a, t = self.a, self.a.tables(field)
        if t.is_single:
            self.do("single_sums", a.n, t.pocket, values, out)
            return
        partial = a.partial(a.n_designs, t.n_chunks)
        self.do("pocket_sums", t.n_chunks, a.n, t.n_pockets, t.chunk_start, t.order, values, partial)
        self.do("segment_sums", t.n_pockets, t.n_chunks, t.pocket_start, partial, out)

    def bath_inflow(self, values: Any, small: Any, out: Any) -> None:
        """What enters from the bath at values (D, F, n) and the bath's concentrations, (D, F)."""
        a = self.a
        if not a.n_contact:
            return
        rows = a.n_designs * a.n_fields
        given = a.contact, a.conductance.reshape(rows, a.n_contact), small, values.reshape(rows, a.n)
        total = *a.total(rows, a.n_contact), out.reshape(rows)
        self.do("bath_inflow", a.n_contact, rows, a.n, a.n_fields, a.n_small, *given, *total)

    def bath_dot(self, field: int, x: Any, row: int, out: Any) -> None:
        """sum g_bath x of a solution, a row of x (D, rows, n); (D, 1)."""
        a = self.a
        sizes, total = (a.n_contact, a.n, a.n_fields, field, x.shape[1], row), a.total(a.n_designs, a.n_contact)
        self.do("bath_dot", *sizes, a.contact, a.conductance, x, *total, self._flat(out))

    def couple_bath(self, field: int, out: Any, b: Any = None, column: int = 0) -> None:
        """out (D, n) += b g_bath, with b a column of small quantities, or 1."""
        a = self.a
        b = a.ones if b is None else b
        given = a.contact, a.conductance, b.shape[1], column, b
        self.do("bath_coupling", a.n_contact, a.n, a.n_fields, field, *given, out)

    # -- operators ----------------------------------------------------------------------------------------------

    def set_diagonals(self, field: int) -> None:
        """Reciprocal diagonals of the smoother on every level, from the zeroth-order terms."""
        a, t, inverse = self.a, self.a.tables(field), self.a.inverse[field]
        d, top = a.D[field], a.zeroth[field]
        if inverse:
            self.do("finest_diagonal", a.n, *t.around, d, top, inverse[0])
        for k in range(t.first_small):
            sizes, links = (t.sizes[k], t.sizes[k + 1]), (t.child_start[k], t.child[k])
            work = a.diagonal_work(k + 1, t.sizes[k + 1])
            given = d, top, t.row_sum[k + 1], work, inverse[k + 1]
            if k == 0:
                self.do("coarsen_finest", *sizes, *t.around[:2], *links, *given)
            else:
                self.do("coarsen_diagonal", *sizes, *links, *given)
            top = work
        if t.n_small_levels == 1:
            return  # the last level has what it needs
        tables = t.offset, t.small_child_start, t.small_child, t.small_row_sum
        self.do("small_diagonals", t.n_small_levels, t.n_small_nodes, *tables, d, top, a.small_inverse[field])

    def set_border(self, field: int) -> None:
        """z = A^-1 g_bath by one iteration from the last step's: how the field answers to its bath."""
        a, t, border = self.a, self.a.tables(field), self.a.border[field]
        z = border.reshape(a.n_designs, 1, a.n)
        self.do("clear", a.n, a.r)
        self.couple_bath(field, a.r)
        self.do("heal", a.n, border)
        operator = a.D[field], *t.around, a.zeroth[field]
        self.do("subtract_image", a.n, 1, 0, *operator, z, a.r)
        self.square(a.rr[0])
        self.solve(field, a.rr[0], a.rr[1], 1, z, 0, a.border_residual[field], is_begun=True)
        self.bath_dot(field, z, 0, a.border_dot[field])

    # -- conjugate gradients ------------------------------------------------------------------------------------

    def solve(
        self, field: int, first: Any, last: Any, iterations: int, x: Any, row: int, residual: Any, *,
        is_begun: bool = False,
    ) -> None:  # fmt: skip
        """So many iterations on A x = r, begun from zero, or from what x is.

        first, last: (D, 1) squared norms of the residual, known before and left after. The solution is a row of x,
        (D, rows, n). residual: (D, P), for the sums over the pockets of what is left; (D, 1), where they do not matter.
        """
        a, t = self.a, self.a.tables(field)
        operator, (b, *turns) = (a.D[field], *t.around, a.zeroth[field]), a.cycle_vectors(0, a.n)
        before: list[Any] = []
        rr, p_old, p = self._flat(first), None, None
        for k in range(iterations):
            rho, p_image = self._flat(a.rho[k % 2]), self._flat(a.p_image[k % 2])
            free = [vector for vector in turns if vector is not p]
            self._precondition(field, rr, b, free, rho)
            images = a.image, *a.total(a.n_designs, a.n_places), p_image
            p_old, p = p, free[1] if before else free[0]
            if before:
                self.do("apply_next", a.n, *operator, rr, before[0], rho, before[1], free[0], p_old, p, *images)
            else:
                self.do("apply_dot", a.n, *operator, p, *images)
            if is_begun:  # x is carried from step to step
                self.do("hold", 1, a.clock.size, a.clock, a.p_image[k % 2])
            is_last, now = k + 1 == iterations, [rr, rho, p_image]
            left = self._flat(last if is_last else a.rr[1 + k % 3])
            total = *a.total(a.n_designs, a.n), left
            if k % 2 == 0 and not is_last:  # x follows with the next direction
                self.do("step_residual", a.n, *now, a.image, a.r, *total)
            else:
                earlier = (*before, *now, p_old) if k % 2 else (rr, rho, a.no_image, *now, p)
                given = *earlier, p, a.image, int(k < 2 and not is_begun), x, a.r, *total
                if is_last and residual.shape[1] == 1:
                    more = *a.total(a.n_designs, a.n, which=1), self._flat(residual)
                    self.do("advance_last", a.n, x.shape[1], row, *given, *more)
                    return
                self.do("advance", a.n, x.shape[1], row, *given)
            before, rr = now, left
        self.pocket_sums(field, a.r, residual)

    def _flat(self, value: Any) -> Any:
        """(D, 1) as (D,)."""
        return value.reshape(self.a.n_designs)

    def _precondition(self, field: int, rr: Any, b: Any, free: Sequence[Any], rho: Any) -> None:
        """V-cycle of the right-hand side, in free[0], and rho = r.z; free[1] is for use on the way. rr, rho: (D,)."""
        a, t, n = self.a, self.a.tables(field), self.a.n
        (x, other), (first, second) = free[:2], a.weights
        if t.first_small == 0:
            self.do("scale", n, a.D[field], rr, a.r, b)
            self._cycle_of_few(field, b, x)
            self.do("dot_cycle", n, a.D[field], rr, b, x, *a.total(a.n_designs, n), rho)
            return
        table = *t.around, a.inverse[field][0]
        coarse_b, coarse_x, _ = a.cycle_vectors(1, t.sizes[1])
        self.do("begin_cycle", n, *table, a.D[field], first, second, rr, a.r, b, x)
        links = t.child_start[0], t.child[0], a.inverse[field][1]
        self.do("restrict_finest", n, t.sizes[1], *table, b, x, *links, first, coarse_b, coarse_x)
        coarse = self._cycle(field, 1)
        self.do("prolong_finest", n, t.sizes[1], *table, second, b, x, t.parent[0], coarse, other)
        total = *a.total(a.n_designs, a.n_places), rho
        self.do("end_cycle", n, *table, first, b, other, a.D[field], rr, x, *total)

    def _cycle(self, field: int, k: int) -> Any:
        """V-cycle from b and x of a level above the voxels, the first smoothing step done; the result's vector."""
        a, t = self.a, self.a.tables(field)
        n, (first, second) = t.sizes[k], a.weights
        b, x, out = a.cycle_vectors(k, n)
        if k == t.first_small:
            self._cycle_of_few(field, b, out)
            return out
        table = t.neighbour[k].shape[0], t.neighbour[k], t.g[k], a.inverse[field][k]
        coarse_b, coarse_x, _ = a.cycle_vectors(k + 1, t.sizes[k + 1])
        self.do("smooth", n, *table, second, b, x, out)
        links = t.child_start[k], t.child[k], a.inverse[field][k + 1]
        self.do("residual_restrict", n, t.sizes[k + 1], *table, b, out, *links, first, coarse_b, coarse_x)
        coarse = self._cycle(field, k + 1)
        self.do("prolong_smooth", n, t.sizes[k + 1], *table, second, b, out, t.parent[k], coarse, x)
        self.do("smooth", n, *table, first, b, x, out)
        return out

    def _cycle_of_few(self, field: int, b: Any, out: Any) -> None:
        """V-cycle over the levels that one block works on alone, or the last level where that has too many nodes."""
        a, t = self.a, self.a.tables(field)
        if t.n_small_levels == 1:
            self.do("last_level", t.sizes[t.first_small], a.inverse[field][t.first_small], b, out)
            return
        tables = t.offset, t.width, t.table_start, t.small_neighbour, t.small_g, t.small_parent
        links = t.small_child_start, t.small_child, a.small_inverse[field]
        self.do("small_levels", t.n_small_levels, t.n_small_nodes, *tables, *links, *a.weights, b, out)

"""Method of lines for small grids: every equation of a study in one ODE system, integrated by SciPy.

Shares with the solver only the study's arrays (geometry, footprints, parameters) and the text of its mechanism.
Uptake is local: voxel j of a footprint takes part with w_j rate(u_j, s). No lumping, splitting, multigrid or
generated code.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.integrate import solve_ivp
from tests.references import conductances, reaction_text
from tests.references.reaction_text import AVOGADRO


@dataclass(frozen=True)
class Solution:
    """Values at times: fields (time, F, n_open), states (time, S, n_cell), bath (time, F), lost (time, n_acc)."""

    times: np.ndarray
    voxel: np.ndarray
    fields: np.ndarray
    states: np.ndarray
    bath: np.ndarray
    lost: np.ndarray


class DenseSystem:
    """The ODE system of a study: y = fields in open voxels, states of cells, bath, amounts lost in voxels and bath."""

    def __init__(self, study):
        """study: a Study, or anything with its attributes."""
        self.study, self.text = study, study.mechanism.source_text
        self.fields = tuple(f.name for f in study.mechanism.fields)
        self.states = tuple(s.name for s in study.mechanism.states)
        self.accumulators = tuple(a.name for a in study.mechanism.accumulators)
        self.voxel = np.flatnonzero(study.geometry.open_fraction.ravel() > 0)
        self.n, self.n_cell = len(self.voxel), study.cells.type_index.size
        self.infinite = not np.isfinite(study.bath.volume)
        self.place_fields()
        self.place_cells()
        self.read_reactions()
        sizes = [len(self.fields) * self.n, len(self.states) * self.n_cell, len(self.fields), len(self.accumulators)]
        self.cuts = np.cumsum(sizes)[:-1]
        self.size = sum(sizes)

    def place_fields(self):
        """Accessible volumes (F, n), exchange matrices and conductances to the bath (F, n)."""
        pairs = list(enumerate(self.fields))
        self.capacity = np.array([conductances.capacity(self.study, f).ravel()[self.voxel] for _, f in pairs])
        take = np.ix_(self.voxel, self.voxel)
        self.exchange = [conductances.exchange_matrix(self.study, i, f)[take].tocsr() for i, f in pairs]
        self.to_bath = np.array([conductances.bath_conductance(self.study, i, f)[self.voxel] for i, f in pairs])

    def place_cells(self):
        """Cell, open voxel and weight of every entry of the footprints."""
        cells = self.study.cells
        self.entry_cell = np.repeat(np.arange(self.n_cell), np.diff(cells.entry_start))
        self.entry_voxel = np.searchsorted(self.voxel, cells.entry_voxel)
        self.weight = np.asarray(cells.entry_weight)

    def read_reactions(self):
        """Reactions by scope, the exposures among those of cells, and the values of the parameters."""
        mechanism, study = self.study.mechanism, self.study
        self.of_study = dict(zip(mechanism.study_parameters, study.parameters, strict=True))
        self.of_cells = dict(zip(mechanism.cell_parameters, study.cell_parameters, strict=True))
        self.steps = [step for step in reaction_text.steps(self.text) if not self.is_absent(step)]
        self.of_study |= dict.fromkeys(mechanism.left_out, 0.0)
        for name, rate in reaction_text.exposures(self.text).items():
            self.steps.append(reaction_text.Step(name, "cell", ((name, 1.0, "1"),), rate))

    def is_absent(self, step):
        """A step that changes what the study leaves out, since it stays at zero."""
        return any(species in self.study.mechanism.left_out for species, _, _ in step.changes)

    def unpack(self, y):
        """Fields (F, n), states (S, n_cell), bath (F,), lost (n_acc,)."""
        u, s, bath, lost = np.split(y, self.cuts)
        return u.reshape(len(self.fields), -1), s.reshape(len(self.states), -1), bath, lost

    def right_hand_side(self, _time, y):
        """dy/dt of everything."""
        u, s, bath, lost = self.unpack(y)
        amount, ds, d_bath, d_lost = np.zeros_like(u), np.zeros_like(s), np.zeros_like(bath), np.zeros_like(lost)
        for f in range(len(self.fields)):
            flow = self.to_bath[f] * (bath[f] - u[f])
            amount[f] += self.exchange[f] @ u[f] + flow
            d_bath[f] -= flow.sum()
        for step in self.steps:
            if step.scope == "cell":
                self.add_cell_step(step, u, s, amount, ds)
            elif step.scope == "voxel":
                self.add_medium_step(step, u, self.capacity, amount, d_lost)
            elif not self.infinite:
                volume = np.full((len(self.fields), 1), self.study.bath.volume)
                self.add_medium_step(step, bath[:, None], volume, d_bath[:, None], d_lost)
        d_bath = np.zeros_like(bath) if self.infinite else d_bath / self.study.bath.volume
        return np.concatenate([(amount / self.capacity).ravel(), ds.ravel(), d_bath, d_lost])

    def add_cell_step(self, step, u, s, amount, ds):
        """One cell reaction: in every voxel of the footprint if its rate mentions a field, once per cell if not."""
        local = bool(reaction_text.names_in(step.rate) & set(self.fields))
        at = self.entry_cell if local else slice(None)
        names = {k: v[at] for k, v in zip(self.states, s, strict=True)} | {k: v[at] for k, v in self.of_cells.items()}
        if local:
            names |= {k: v[self.entry_voxel] for k, v in zip(self.fields, u, strict=True)}
        rate = reaction_text.value(step.rate, self.of_study | names)
        per_entry = self.weight * (rate if local else np.broadcast_to(rate, self.n_cell)[self.entry_cell])
        per_cell = np.bincount(self.entry_cell, per_entry, self.n_cell)
        for species, sign, coefficient in step.changes:
            nu = sign * reaction_text.value(coefficient, self.of_study)
            if species in self.fields:
                f = self.fields.index(species)
                amount[f] += nu / AVOGADRO * np.bincount(self.entry_voxel, per_entry, self.n)
            else:
                ds[self.states.index(species)] += nu * per_cell

    def add_medium_step(self, step, u, capacity, amount, d_lost):
        """One voxel or bath reaction, in the smallest accessible volume of its fields (those it uses, if any)."""
        used = {k for k, sign, _ in step.changes if sign < 0} | reaction_text.names_in(step.rate)
        used = used & set(self.fields) or {k for k, _, _ in step.changes}
        rows = [i for i, f in enumerate(self.fields) if f in used]
        names = self.of_study | dict(zip(self.fields, u, strict=True))
        rate = capacity[rows].min(0) * reaction_text.value(step.rate, names)
        for species, sign, coefficient in step.changes:
            nu = sign * reaction_text.value(coefficient, self.of_study)
            if species in self.fields:
                amount[self.fields.index(species)] += nu * rate
            else:
                d_lost[self.accumulators.index(species)] += nu * rate.sum()

    def sparsity(self):
        """Structure of the Jacobian, without the rows of the losses, which feed back on nothing."""
        n_f, n_s, n, n_cell = len(self.fields), len(self.states), self.n, self.n_cell
        everything = np.ones((n_f, n_f))
        own = sparse.kron(everything, sparse.identity(n))
        near = sparse.block_diag([abs(k) > 0 for k in self.exchange])
        covers = sparse.coo_matrix((self.weight, (self.entry_voxel, self.entry_cell)), (n, n_cell))
        seen = sparse.kron(np.ones((n_f, n_s)), covers)
        inside = sparse.kron(np.ones((n_s, n_s)), sparse.identity(n_cell))
        wet = sparse.block_diag([sparse.csr_matrix(g[:, None]) for g in self.to_bath])
        wells = sparse.csr_matrix(everything)
        pattern = sparse.bmat([
            [own + near, seen, wet, None],
            [seen.T, inside, None, None],
            [wet.T, None, wells, None],
            [None, None, None, sparse.csr_matrix((len(self.accumulators),) * 2)],
        ])  # fmt: skip
        pattern = pattern.tocsr()
        pattern.eliminate_zeros()
        return (abs(pattern) > 0).astype(float)

    def start(self):
        """y at time zero, before the events of time zero."""
        study = self.study
        fields = np.repeat(study.initial_fields[:, None], self.n, axis=1)
        parts = [fields.ravel(), study.initial_states.ravel(), study.initial_bath, np.zeros(len(self.accumulators))]
        return np.concatenate(parts).astype(float)

    def apply(self, event, y):
        """The bath after an event: a wash replaces a part of it by fresh medium, a dose sets its concentration."""
        bath = self.unpack(y)[2]
        bath *= 1 - event.wash
        for field, concentration in event.dose.items():
            bath[field] = concentration
        return y

    def solve(self, times, relative=1e-9, method="BDF", scale_fields=1.0, scale_states=1e3):
        """Values at the times (sorted, in seconds), those at an event's time after the event."""
        times = np.asarray(times, float)
        absolute = np.full(self.size, relative * scale_fields)
        absolute[self.cuts[0] : self.cuts[1]] = relative * scale_states
        pattern, y, now, kept = self.sparsity(), self.start(), 0.0, {}
        events = sorted(self.study.schedule, key=lambda event: event.time)
        for event in [*events, None]:
            until = times[-1] if event is None else event.time
            y = self.advance(y, now, until, times, kept, pattern, relative=relative, absolute=absolute, method=method)
            now = until
            y = y if event is None else self.apply(event, y)
            kept[now] = y.copy()
        parts = [np.array(part) for part in zip(*(self.unpack(kept[t]) for t in times), strict=True)]
        return Solution(times, self.voxel, *parts)

    def advance(self, y, now, until, times, kept, pattern, *, relative, absolute, method):
        """y at `until`; what falls on asked times on the way is put into `kept`."""
        if until <= now:
            return y
        inside = times[(times >= now) & (times <= until)]
        options = {"jac": None} if method == "LSODA" else {"jac_sparsity": pattern}
        found = solve_ivp(
            self.right_hand_side, (now, until), y, method, t_eval=np.union1d(inside, [until]),
            rtol=relative, atol=absolute, first_step=min(1e-3, until - now), **options,
        )  # fmt: skip
        if not found.success:
            raise RuntimeError(found.message)
        kept.update(zip(found.t, found.y.T, strict=True))
        return found.y[:, -1].copy()

"""An independent reading of a mechanism: rates reaction by reaction as written, slopes by differences."""

import numpy as np

from payloadfield.mechanism import evaluate
from payloadfield.units import AVOGADRO_NM_UM3

# Everything at once: saturation, powers, pieces, a coefficient of the study, losses, a field that is only released.
RICH = """
name = "rich"
[moieties]
drug = {}
[parameters]
D = { unit = "um^2/s", value = "100 um^2/s" }
n_load = { unit = "1", value = "3" }
k = { unit = "1/s", value = "1e-3 / s" }
K = { unit = "nM", value = "7 nM" }
amount = { unit = "molecules", per = "cell", value = "900 molecules" }
size = { unit = "um^3", per = "cell", value = "1000 um^3" }
[fields.carrier]
contains = { drug = "n_load" }
diffusivity = "D"
[fields.free]
contains = { drug = 1 }
diffusivity = "D * 2"
[fields.signal]
diffusivity = "D / 2"
[states.site]
initial = "amount"
[states.loaded]
contains = { drug = "n_load" }
[states.inside]
contains = { drug = 1 }
[states.lambda]
[accumulators.lost]
contains = { drug = 1 }
[exposures.seen]
rate = "hill(free, K, 1.5) * inside / (size * N_A)"
unit = "nM*s"
[reactions.cell]
load = { equation = "carrier + site <=> loaded", rate = "k * amount * hill(carrier, K, 2) * site / (site + amount)", \
back = "k * loaded * (1 + hill(free, 2 * K, 1))" }
unload = { equation = "loaded -> site + n_load inside", rate = "k * sqrt(loaded * amount) * exp(-loaded / amount)" }
export = { equation = "inside -> free", rate = "max(0, inside - 0.1 * amount) * k" }
import = { equation = "free -> inside", rate = "k * size * N_A * min(free, 2 * K + inside / (size * N_A))" }
break = { equation = "inside -> lost", rate = "k * inside ** 2 / amount" }
call = { equation = "-> signal", rate = "k * lambda * log(1 + inside / amount)" }
turn = { equation = "-> lambda", rate = "k * amount" }
decline = { equation = "lambda -> ", rate = "k * lambda * (1 + (signal / K) ** 2)" }
[reactions.voxel]
split = { equation = "carrier -> n_load free", rate = "k * carrier * hill(signal, K, 1)" }
decay = { equation = "free -> lost", rate = "k * free ** 2 / (K + free)" }
fade = { equation = "signal ->", rate = "k * signal" }
seep = { equation = "-> signal", rate = "k * K" }
[reactions.bath]
split = { equation = "carrier -> n_load free", rate = "k * carrier" }
decay = { equation = "free -> lost", rate = "2 * k * free" }
"""

# Rates of the size of those in the literature, so that slopes are of very unlike size.
ADC = {
    "DAR": 8.0, "k_on": 1e-4, "KD": 0.3, "k_dec": 1e-6, "kcat_over_km": 1e-4, "k_cleave": 1e-5, "k_in": 1.28e-2,
    "k_out": 3.7e-3, "fu": 0.9, "k_on_target": 1e-3, "KD_target": 161.0, "target_concentration": 65.0, "k_target": 1e-5,
    "k_decay": 1e-6, "k_protease_loss": 2e-4, "D_adc": 50.0, "D_antibody": 50.0, "D_payload": 400.0,
    "D_protease": 100.0,
    "receptors": 1e6, "k_endo": 4.27e-5, "k_rec": 2.4e-5, "k_deg": 1.27e-4, "volume": 3800.0, "protease_secretion": 2.0,
}  # fmt: skip


class Point:
    """Random concentrations, states and footprints for a mechanism, with the arrays that generated functions take."""

    def __init__(self, mechanism, values=None, n_cell=7, n_voxel=40, seed=3):
        rng = np.random.default_rng(seed)
        known = {item.name: item.value for item in mechanism.parameters if item.value is not None} | (values or {})
        self.mechanism, self.sg = mechanism, 2e-3
        self.p = np.array([known[name] for name in mechanism.study_parameters])
        scale = 0.5 + rng.random((len(mechanism.cell_parameters), n_cell))
        self.cp = np.array([known[name] for name in mechanism.cell_parameters])[:, None] * scale
        self.fields = 20.0 * rng.random((len(mechanism.fields), n_voxel))
        self.states = 1000.0 * (0.1 + rng.random((len(mechanism.states), n_cell)))
        counts = rng.integers(1, 6, n_cell)
        self.start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.voxel = rng.integers(0, n_voxel, self.start[-1]).astype(np.int64)
        weight = 0.1 + rng.random(self.start[-1])
        total = np.add.reduceat(weight, self.start[:-1])
        self.weight = weight / np.repeat(total, counts)
        self.capacity = 1000.0 * rng.random((2, n_voxel))
        self.cap_index = np.arange(len(mechanism.fields), dtype=np.int64) % 2

    @property
    def n_cell(self):
        return self.states.shape[1]

    @property
    def cells(self):
        """The arguments that all functions of cells share."""
        return self.fields, self.states, self.p, self.cp, self.start, self.voxel, self.weight

    @property
    def voxels(self):
        """The arguments that all functions of voxels share."""
        return self.p, self.capacity, self.cap_index

    def entries(self, cell):
        return slice(self.start[cell], self.start[cell + 1])

    def study_values(self):
        return dict(zip(self.mechanism.study_parameters, self.p, strict=True)) | {"N_A": AVOGADRO_NM_UM3}

    def cell_values(self, cell):
        return self.study_values() | dict(zip(self.mechanism.cell_parameters, self.cp[:, cell], strict=True))


def cell_rates(point, cell, states, fields):
    """(d_states (S,), source (F, n_entry)) of one cell, in the words of the contract.

    q_j = w_j rate(u_j) for a rate that contains a field; otherwise one rate, shared among the entries by w_j.
    """
    mechanism, weight = point.mechanism, point.weight[point.entries(cell)]
    values = point.cell_values(cell) | dict(zip(mechanism.state_names, states, strict=True))
    at_entry = [values | dict(zip(mechanism.field_names, column, strict=True)) for column in fields.T]
    d_states, source = np.zeros(len(states)), np.zeros(fields.shape)
    flows = [(item.rate, item.stoichiometry) for item in mechanism.reactions if item.scope == "cell"]
    for rate, changes in flows:
        q = weight * np.array([evaluate(rate, entry) for entry in at_entry])
        for species, change in changes.items():
            nu = evaluate(change, values)
            if species in mechanism.field_names:
                source[mechanism.field_names.index(species)] += nu * q
            else:
                d_states[mechanism.state_names.index(species)] += nu * q.sum()
    for row, state in enumerate(mechanism.states):
        if state.rate is not None:
            d_states[row] += sum(w * evaluate(state.rate, entry) for w, entry in zip(weight, at_entry, strict=True))
    return d_states, source


class Slopes:
    """Dense Jacobian of one cell and its entries by central differences."""

    def __init__(self, point, cell):
        self.point, self.cell = point, cell
        self.states = point.states[:, cell].copy()
        self.fields = point.fields[:, point.voxel[point.entries(cell)]].copy()
        n_state, (n_field, n_entry) = len(self.states), self.fields.shape
        self.ss, self.fs = np.zeros((n_state, n_state)), np.zeros((n_field, n_entry, n_state))
        self.sf, self.ff = np.zeros((n_state, n_field, n_entry)), np.zeros((n_field, n_field, n_entry))
        for s in range(n_state):
            self.ss[:, s], self.fs[:, :, s] = self._difference(self.states, s)
        for g in range(n_field):
            for j in range(n_entry):
                d_states, source = self._difference(self.fields, (g, j))
                self.sf[:, g, j], self.ff[:, g, j] = d_states, source[:, j]

    def _difference(self, array, index):
        step, base = 1e-5 * array[index], array[index]
        array[index] = base + step
        above = cell_rates(self.point, self.cell, self.states, self.fields)
        array[index] = base - step
        below = cell_rates(self.point, self.cell, self.states, self.fields)
        array[index] = base
        return tuple((a - b) / (2 * step) for a, b in zip(above, below, strict=True))

    def inverse(self):
        """M = (sg I - J_ss)^-1."""
        return np.linalg.inv(self.point.sg * np.eye(len(self.states)) - self.ss)

    def schur(self, f, g):
        """-(kappa + A_f . M beta_g) at every entry."""
        lumped = self.fs[f].sum(axis=0)
        return -(self.ff[f, g] + lumped @ self.inverse() @ self.sf[:, g])


def voxel_rates(point, fields, capacity, cap_index, scope="voxel"):
    """(sources (F, n), losses (n_acc,)) in amounts, voxel reactions one by one."""
    mechanism = point.mechanism
    out, lost = np.zeros(fields.shape), np.zeros(len(mechanism.accumulators))
    for item in (item for item in mechanism.reactions if item.scope == scope):
        values = point.study_values() | dict(zip(mechanism.field_names, fields, strict=True))
        nu = {species: evaluate(change, values) for species, change in item.stoichiometry.items()}
        used = [f for f, name in enumerate(mechanism.field_names) if nu.get(name, 0) < 0 or name in str(item.rate)]
        used = used or [f for f, name in enumerate(mechanism.field_names) if name in nu]
        amount = evaluate(item.rate, values) * np.min([capacity[cap_index[f]] for f in used], axis=0)
        for species, change in nu.items():
            if species in mechanism.field_names:
                out[mechanism.field_names.index(species)] += change * amount
            else:
                lost[mechanism.accumulator_names.index(species)] += np.sum(change * amount)
    return out, lost

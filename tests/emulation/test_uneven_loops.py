"""Loops of many fields, and of fields that do not reach the same pockets, on the GPU's program.

Rings of fields: each turns into the next, in voxels and bath; cells take up the first, and give the last.
"""

import tempfile
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tests import handmade, scenarios, tolerances
from tests.emulation.host import close
from tests.emulation.machine import HostMachine
from tests.emulation.plan_cases import cut_small
from tests.emulation.test_whole_runs import TOLERANCE, compare, fixed, largest_defect, make_machine  # noqa: F401
from tests.footprints import draw_footprints

from payloadfield.backends.cuda.tables import make_pocket_chunks
from payloadfield.errors import BackendError
from payloadfield.mechanism import load_mechanism
from payloadfield.solver.device import engine, pockets
from payloadfield.solver.device.arrays import DeviceArrays
from payloadfield.solver.device.limits import reason_against
from payloadfield.solver.device.pockets import count_unknowns, find_pieces, share_pockets
from payloadfield.solver.device.program import StepProgram
from payloadfield.solver.device.simulation import DeviceBatch, simulate_on_device
from payloadfield.solver.discretisation import make_plan
from payloadfield.solver.tableau import make_ros34pw2
from payloadfield.units import AVOGADRO_NM_UM3

DESIGNS, SG = 2, 3e-3
DOSE = [(0.0, {"f0": 30.0}, 0.0)]
HEAD = """
name = "ring"
[moieties]
drug = {}
[parameters]
D = { unit = "um^2/s", from = "drug.D", per = "study", value = "400 um^2/s" }
k = { unit = "1/s", from = "drug.k", per = "study", value = "2e-3 / s" }
k_in = { unit = "1/s", from = "drug.k_in", per = "study", value = "0.0041 / s" }
K = { unit = "nM", from = "drug.K", per = "study", value = "20 nM" }
scale = { unit = "nM", from = "drug.scale", per = "study", value = "1 nM" }
volume = { unit = "um^3", from = "cell_type.volume", per = "cell" }
[states.inside]
contains = { drug = 1 }
[accumulators.lost]
contains = { drug = 1 }
"""


@cache
def make_ring(n_fields, stay=(), makes_itself=False):
    """A mechanism of so many fields, of which some do not move; the second may make itself of the first."""
    pairs = [(k, (k + 1) % n_fields) for k in range(n_fields)]
    turns = "\n".join(f'turn_{k} = {{ equation = "f{k} -> f{j}", rate = "k * f{k}" }}' for k, j in pairs)
    if makes_itself:
        turns = turns.replace('"k * f0"', '"k * f0 * f1 / scale"')
    speed = ["0" if k in stay else f"{1 / (1 + k)} * D" for k in range(n_fields)]
    fields = "\n".join(
        f'[fields.f{k}]\ncontains = {{ drug = 1 }}\ntypical = "scale"\ndiffusivity = "{value}"'
        for k, value in enumerate(speed)
    )
    cells = f"""
[reactions.cell]
uptake = {{ equation = "f0 -> inside", rate = "k_in * volume * N_A * f0 / (1 + f0 / K)" }}
release = {{ equation = "inside -> f{n_fields - 1}", rate = "k * inside" }}
"""
    loss = f'loss = {{ equation = "f{n_fields - 1} -> lost", rate = "0.1 * k * f{n_fields - 1}" }}'
    text = f"{HEAD}{fields}\n{cells}\n[reactions.voxel]\n{turns}\n{loss}\n[reactions.bath]\n{turns}\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ring.toml"
        path.write_text(text)
        return load_mechanism(str(path))


def make_study(n_fields, stay=(), gel=None, makes_itself=False, **options):
    """Cells in and above a gel, under a finite bath."""
    geometry = scenarios.make_irregular(gel=gel or handmade.make_gel(0.5, 0.9))
    cells = handmade.make_cells(draw_footprints(geometry, 5, 8), scenarios.SHAPE, scenarios.SPACING)
    standard = {
        "duration": 30.0, "boundary": {"z_high": "bath"}, "bath_volume": 6e5, "schedule": DOSE, "outputs": [],
        "of_cells": {"volume": np.full(5, 2200.0)}, "solver": handmade.make_solver(precision="float64"),
    }  # fmt: skip
    return handmade.make_study(make_ring(n_fields, stay, makes_itself), geometry, cells=cells, **(standard | options))


STUCK = {"relative_diffusivity": {"f0": 0.0, "f2": 0.0, "default": 1.0}, "accessible_fraction": 0.9}
SKIN = {"relative_diffusivity": 1.0, "accessible_fraction": 0.9, "permeability": {"f1": 0.0, "default": 0.1}}
CASES = {
    "one stays": lambda: make_study(3, (1,)),
    "two that stay turn into each other": lambda: make_study(4, (1, 2)),
    "two do not move in the gel": lambda: make_study(3, gel=handmade.make_gel(**STUCK)),
    "one does not pass the gel's surface": lambda: make_study(3, gel=handmade.make_gel(**SKIN)),
    "one stays, another does not pass": lambda: make_study(4, (2,), gel=handmade.make_gel(**SKIN)),
    "twelve fields, two of which stay": lambda: make_study(12, (3, 7)),
}
SEEDED = {"schedule": [(0.0, {"f0": 30.0, "f1": 1.0}, 0.0)], "parameters": {"k": 0.02}}
UNKNOWNS = {
    "one stays": 2,
    "two that stay turn into each other": 2,
    "two do not move in the gel": 3,
    "one does not pass the gel's surface": 4,
    "one stays, another does not pass": 4,
    "twelve fields, two of which stay": 10,
}


# --- kernels ---------------------------------------------------------------------------------------------


class Shifts:
    """The shifts of a loop of random matrices and residuals on the device, and the same by whole matrices."""

    def __init__(self, name, precision):
        plan = make_plan(CASES[name]())
        self.plans = plan, replace(plan, bath=replace(plan.bath, conductance=0.7 * plan.bath.conductance))
        (self.group,) = plan.mechanism.field_groups
        machine = HostMachine(plan.mechanism, precision, DESIGNS, once=False)
        self.a = a = DeviceArrays(machine, self.plans, machine.code.module, make_ros34pw2())
        self.program = StepProgram(a, iterations=1, corrections=1)
        self.program.do = self.program._solver.do = self.launch
        self.machine, self.plan, self.random = machine, plan, np.random.default_rng(3)
        a.sg[...] = SG
        for zeroth in a.zeroth:
            zeroth[...] = self.random.uniform(1.0, 3.0, zeroth.shape)
        a.zeroth[self.group[1]][:, 5] = 0.0  # where a field cannot be
        for slopes in (a.jacobian, a.entry_schur):
            slopes[...] = self.random.uniform(-0.3, 0.3, slopes.shape)
        self.left = self.random.uniform(-1.0, 1.0, (len(self.group), DESIGNS, a.n)).astype(a.real)
        for small in (a.bath_jacobian, a.bath_rhs, a.all_inner):
            small[...] = self.random.uniform(-1.0, 1.0, small.shape)

    def launch(self, name, *arguments):
        """Check and run a kernel, upwards and downwards."""
        launch = self.machine.prepare(name, *arguments)
        if not launch.is_empty:
            self.machine.run([launch])

    def run(self):
        """Shifts of the fields (m, D, n) and of their bath (D, m)."""
        a, own = self.a, self.a.pockets[self.group]
        self.program._set_shifts(self.group)
        for k, left in enumerate(self.left):
            own.measure(self.launch, k, left)
        own.set_right(self.launch, a.x)
        a.small_terms[0] = 0.0
        a.terms[0] = 0.0
        self.program._solve_shifts(0, self.group)
        for k in range(len(self.group)):
            self.program._shift(0, self.group, k)
        return a.terms[0].transpose(1, 0, 2)[list(self.group)], a.small_terms[0][:, list(self.group)]

    def solve(self, d):
        """The same of a design: every field's every pocket an unknown, then its bath."""
        a, plan, m = self.a, self.plans[d], len(self.group)
        pocket = [plan.group(f).pocket for f in self.group]
        start = np.cumsum([0, *(each.max() + 1 for each in pocket)])
        size, bath = start[-1] + m, start[-1] + np.arange(m)
        matrix, right, entry = np.zeros((size, size)), np.zeros(size), plan.cells.entry_voxel
        for k, f in enumerate(self.group):
            rows = start[k] + pocket[k]
            np.add.at(matrix, (rows, rows), a.zeroth[f][d])
            np.add.at(right, rows, self.left[k, d])
            for j, g in enumerate(self.group):
                columns = start[j] + pocket[j]
                if f != g and (f, g) in self.program._voxel_row:
                    np.add.at(matrix, (rows, columns), -a.jacobian[d, self.program._voxel_row[f, g]])
                if f != g and (f, g) in self.program._schur_row:
                    lost = a.entry_schur[d, self.program._schur_row[f, g]] / AVOGADRO_NM_UM3
                    np.add.at(matrix, (rows[entry], columns[entry]), lost)
                pair = int(a.pair_row[f, g])
                matrix[bath[k], bath[j]] -= a.bath_jacobian[d, pair] if pair >= 0 else 0.0
            given = plan.bath.conductance[f]
            np.add.at(matrix, (rows[plan.bath.voxel], bath[k]), -given)
            np.add.at(matrix, (bath[k], rows[plan.bath.voxel]), -given)
            matrix[bath[k], bath[k]] += float(a.sg[0]) * plan.bath.volume + given.sum()
            right[bath[k]] = a.bath_rhs[d, f] + a.all_inner[k, d]
        diagonal = np.einsum("ii->i", matrix)
        diagonal[diagonal == 0.0] = 1.0
        shift = np.linalg.solve(matrix, right)
        return np.stack([shift[start[k] + pocket[k]] for k in range(m)]), shift[bath]


@pytest.mark.parametrize(
    ("name", "precision"),
    [*((name, "float64") for name in CASES), *((name, "float32") for name in list(CASES)[::4])],
)
def test_shifts_are_those_of_one_matrix_with_every_pocket(name, precision, monkeypatch):
    monkeypatch.setattr(pockets, "make_pocket_chunks", cut_small)
    case = Shifts(name, precision)
    assert case.a.pockets[case.group].n_slots == UNKNOWNS[name]
    found, of_bath = case.run()
    for d in range(DESIGNS):
        shifts, bath = case.solve(d)
        close(found[:, d], shifts, case.machine.build)
        close(of_bath[d], bath, case.machine.build)


@pytest.mark.parametrize("m", [1, 2, 3, 11, 40])
def test_inverses_hold_where_the_diagonal_is_next_to_nothing(m):
    """With pivots as they stand the first of them would take most digits; a control says so."""
    random, n = np.random.default_rng(m), 37
    matrix = random.uniform(-1.0, 1.0, (DESIGNS, n, m, m))
    if m > 1:
        matrix[..., 0, 0] = 1e-13
    given = np.ascontiguousarray(matrix.transpose(2, 3, 0, 1))
    machine, found = HostMachine(make_ring(3), "float64", DESIGNS, once=False), np.zeros_like(given)
    machine.run([machine.prepare("invert_pockets", n, m, given, found)])
    identity = np.einsum("dpij,jkdp->dpik", matrix, found) - np.eye(m)
    size = np.linalg.norm(found, axis=(0, 1)) * np.linalg.norm(matrix, axis=(2, 3))
    assert (np.linalg.norm(identity, axis=(2, 3)) < 1e-14 * size).all()
    assert m == 1 or np.abs(matrix @ eliminate_in_order(matrix) - np.eye(m)).max() > 1e-5


def eliminate_in_order(matrix):
    """Inverses by Gauss and Jordan with pivots as they stand."""
    work = np.concatenate([matrix, np.broadcast_to(np.eye(matrix.shape[-1]), matrix.shape)], axis=-1)
    for k in range(matrix.shape[-1]):
        row = work[..., k : k + 1, :] / work[..., k : k + 1, k : k + 1]
        work = work - work[..., :, k : k + 1] * row
        work[..., k : k + 1, :] = row
    return work[..., matrix.shape[-1] :]


@pytest.mark.parametrize("name", CASES)
def test_pieces_cover_every_pocket_once(name):
    """In each component every pocket of a field has a slot of its own, and every voxel one in each field or none."""
    plan = make_plan(CASES[name]())
    (group,) = plan.mechanism.field_groups
    assert not share_pockets(plan, group)
    pieces = find_pieces([plan], group)
    for k, f in enumerate(group):
        slot, component = pieces.slot[k, pieces.piece], pieces.component[pieces.piece]
        pocket, shared = plan.group(f).pocket, slot >= 0
        pairs = {*zip(pocket[shared], component[shared], slot[shared], strict=True)}
        assert len(pairs) == len(np.unique(pocket[shared])) == len({(c, s) for _, c, s in pairs})
        assert (np.bincount(pocket)[pocket[~shared]] == 1).all()
        assert ((slot[shared] >= pieces.slots_of[k]) & (slot[shared] < pieces.slots_of[k + 1])).all()
    assert (np.diff(pieces.first_piece) > 0).all()


@pytest.mark.parametrize(("n_pockets", "n", "size"), [(1, 50, 8), (7, 1000, 16), (40, 40, 4096), (5, 13, 3)])
def test_chunks_begin_anew_with_every_pocket(n_pockets, n, size):
    more = np.random.default_rng(n).integers(0, n_pockets, n - n_pockets)
    pocket = np.concatenate([np.arange(n_pockets), more]).astype(np.int32)
    found = make_pocket_chunks(SimpleNamespace(pocket=pocket, n_pockets=n_pockets), size)
    first = np.concatenate([[0], np.cumsum(np.bincount(pocket))])
    starts = [range(*map(int, pair), size) for pair in pairwise(first)]
    assert [*found.chunk_start] == [*(start for each in starts for start in each), n]
    assert [*np.diff(found.pocket_start)] == [len(each) for each in starts]


# --- whole runs ------------------------------------------------------------------------------------------

SHORT = 3.0
LONG = ("twelve fields, two of which stay", "one stays, another does not pass", "two that stay turn into each other")


@pytest.mark.parametrize("name", [pytest.param(k, marks=pytest.mark.validate) if k in LONG else k for k in CASES])
def test_a_run_is_that_of_the_reference(name, fixed, monkeypatch):  # noqa: F811
    monkeypatch.setattr(engine, "RESIDUAL_LIMIT", np.inf)
    study = CASES[name]()
    assert reason_against(study) is None
    sim = simulate_on_device(study, make_machine)
    records = sim.run(SHORT)
    expected, twins = fixed(study, SHORT)
    assert len(records) == len(twins) > 4
    compare(sim, expected, TOLERANCE["float64"])
    assert largest_defect(records) < tolerances.BALANCE


@pytest.mark.validate
@pytest.mark.parametrize("name", list(CASES)[:-1])
def test_a_run_over_hours_is_that_of_the_reference(name, fixed, monkeypatch):  # noqa: F811
    """Steps of minutes, where solves and corrections end far from convergence."""
    monkeypatch.setattr(engine, "RESIDUAL_LIMIT", np.inf)
    study = replace(CASES[name](), duration=7200.0)
    sim = simulate_on_device(study, make_machine)
    records = sim.run()
    expected, twins = fixed(study)
    assert max(record.dt for record in records) > 100.0 and len(records) == len(twins)
    compare(sim, expected, TOLERANCE["float64"])
    assert largest_defect(records) < tolerances.BALANCE


def test_a_run_of_a_field_that_makes_itself_is_that_of_the_reference(fixed, monkeypatch):  # noqa: F811
    """Autocatalysis: a loop whose matrices are not those of losses alone."""
    monkeypatch.setattr(engine, "RESIDUAL_LIMIT", np.inf)
    study = make_study(2, makes_itself=True, **SEEDED)
    sim = simulate_on_device(study, make_machine)
    records = sim.run()
    expected, twins = fixed(study)
    assert len(records) == len(twins) > 4
    compare(sim, expected, TOLERANCE["float64"])
    assert largest_defect(records) < tolerances.BALANCE


def test_without_the_elimination_books_would_not_close(monkeypatch):
    """A control: single voxels left out of the pockets' matrices and right-hand sides."""
    study, defects = make_study(3, (1,), parameters={"k": 0.5}), []
    for _ in "ab":
        defects.append(largest_defect(simulate_on_device(study, make_machine).run(SHORT)))
        monkeypatch.setattr(pockets.GroupPockets, "_eliminate", lambda self, do, k, right, work, out: None)
    assert defects[0] < tolerances.BALANCE < 0.1 * defects[1]


def test_a_batch_of_designs_is_that_of_each_alone(fixed):  # noqa: F811
    """Designs that differ in their rates: what is single in one is single in all."""
    studies = [make_study(3, (1,), parameters={"k": k}) for k in (2e-3, 5e-3)]
    batch = DeviceBatch(studies, make_machine)
    alike = DeviceBatch([studies[0], studies[0]], make_machine)
    batch.run(0.5)
    alike.run(0.5)
    np.testing.assert_array_equal(*(design.state.fields for design in alike.designs))
    difference = batch.designs[0].state.fields - batch.designs[1].state.fields
    assert np.abs(difference).max() > 1e-6


# --- what is refused -------------------------------------------------------------------------------------


def test_loops_of_more_than_forty_fields_are_refused():
    study = make_study(41)
    assert "a loop of more than 40 fields (f0, f1," in reason_against(study)
    with pytest.raises(BackendError, match=r"does not yet solve a loop of more than 40 fields .* --backend numba"):
        simulate_on_device(study, make_machine)
    assert reason_against(make_study(40)) is None


def test_too_many_pockets_that_hang_together_are_refused(monkeypatch):
    """Told beforehand, and by the arrays themselves."""
    monkeypatch.setattr(pockets, "MOST_UNKNOWNS", 3)
    study = CASES["one does not pass the gel's surface"]()
    what = "a loop of the fields f0, f1, f2, which reach different pockets, of which 4 hang together (more than 3)"
    assert what in reason_against(study)
    plan = make_plan(study)
    assert count_unknowns([plan], plan.mechanism.field_groups[0]) == 4
    machine, code = make_machine(plan.mechanism, "float64", 1)
    with pytest.raises(BackendError, match="which reach different pockets, of which 4 hang together"):
        DeviceArrays(machine, [plan], code, make_ros34pw2())

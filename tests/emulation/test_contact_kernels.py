"""Kernels of contacts between cells, and the Jacobians of shares, run on the host, against the solver of the CPU.

Two designs at a time, which differ in how fast, how far and which cells exchange; launches run upwards and downwards.
"""

import numpy as np
import pytest
from tests import touching_studies as studies
from tests.emulation.host import close
from tests.emulation.machine import HostMachine

from payloadfield.backends.reference import ReferenceBackend
from payloadfield.mechanism import generate
from payloadfield.solver.contacts import STABLE_SHARE, ContactExchange
from payloadfield.solver.device.arrays import DeviceArrays
from payloadfield.solver.device.program import cell_arguments, set_cell_rates
from payloadfield.solver.rosenbrock import rebase_shares, share_rows
from payloadfield.solver.tableau import make_ros34pw2
from payloadfield.solver.variants import make_plans

SG = 2e-3


class Case:
    """Two designs at random states; on the device, and for the functions of the CPU with the numbers of the device."""

    def __init__(self, kind, precision, designs=(0, 1), low=0.0):
        self.plans = make_plans([studies.make_designs(kind)[k] for k in designs])
        self.plan, mechanism = self.plans[0], self.plans[0].mechanism
        self.machine = HostMachine(mechanism, precision, len(self.plans), once=False)
        self.a = DeviceArrays(self.machine, self.plans, self.machine.code.module, make_ros34pw2())
        self.build, self.code = self.machine.build, generate(mechanism, "numpy").module
        self.twins = [ContactExchange(plan, ReferenceBackend(plan, "float64", self.code)) for plan in self.plans]
        random = np.random.default_rng(8)
        self.a.fields[...] = random.uniform(0.0, 50.0, self.a.fields.shape)
        self.a.states[...] = random.uniform(low, 1.0, self.a.states.shape) * 1e4
        self.a.sg[...] = SG
        self.cells = cell_arguments(self.a, self.a.fields, self.a.states)

    def do(self, name, *arguments):
        """Check and run a kernel."""
        self.machine.run([self.machine.prepare(name, *arguments)])

    def arguments(self, design, states=None):
        """Of the functions of the cells, for the CPU."""
        a, cells = self.a, self.plan.cells
        states = a.states[design] if states is None else states
        given = a.fields[design], states, a.parameters[design], a.cell_parameters[design], a.entry_weight
        fields, states, p, cp, weight = (np.asarray(values, float) for values in given)
        return fields, states, p, cp, cells.entry_start, cells.entry_voxel, weight

    def base(self, design):
        """Fields and states where Jacobians are taken."""
        fields, states, *rest = self.arguments(design)
        base = np.maximum(states, 0.0)
        rebase_shares(share_rows(self.plan.mechanism), states, base)
        return np.maximum(fields, 0.0), base, *rest

    def factors(self, design):
        """What `cell_factor` gives at the base."""
        lu = np.zeros((self.code.N_LU, self.plan.cells.n_cells))
        schur = np.zeros((self.code.N_SCHUR, len(self.plan.cells.entry_voxel)))
        self.code.cell_factor(*self.base(design), SG, lu, schur)
        return lu, schur

    def close(self, got, expected):
        """Row by row."""
        close(got.reshape(-1, got.shape[-1]), expected.reshape(-1, expected.shape[-1]), self.build)


@pytest.fixture(params=["float64", "float32"])
def precision(request):
    return request.param


@pytest.mark.parametrize("kind", ["bridges", "both"])
@pytest.mark.parametrize("designs", [(0, 1), (2, 0)])
def test_exchange_is_that_of_the_twin(kind, designs, precision):
    case = Case(kind, precision, designs)
    case.a.cell_rates[...] = 1.0
    case.a.contacts.add_rates(case.do, case.cells, case.a.cell_rates)
    expected = np.ones(case.a.cell_rates.shape)
    for design, twin in enumerate(case.twins):
        twin.add_rates(case.arguments(design), expected[design])
    assert np.abs(expected - 1.0).max() > 1.0 and relative_change(*expected) > 0.05
    case.close(case.a.cell_rates, expected)


def relative_change(a, b):
    """How far two designs lie apart."""
    return np.abs(a - b).max() / np.abs(a).max()


@pytest.mark.parametrize("kind", ["bridges", "both"])
def test_what_one_cell_gives_another_gets(kind):
    """Over all cells the exchange adds up to round-off of the largest rate; what is counted as taken up does not."""
    case = Case(kind, "float64")
    case.a.contacts.add_rates(case.do, case.cells, case.a.cell_rates)
    names = list(case.plan.mechanism.state_names)
    for rates in case.a.cell_rates:
        inside = [rates[row] for row, name in enumerate(names) if name == "inside"]
        shares = [rates[row] for row, name in enumerate(names) if name.startswith("inside_from")]
        for group in (inside, shares):
            if group:
                assert abs(np.sum(group)) < 1e-14 * np.abs(group).sum()
        assert np.abs(inside).max() > 1.0
        if shares:
            assert rates[names.index("taken_up_from_bridges")].sum() > 1.0


def test_a_design_whose_cells_do_not_touch_exchanges_nothing(precision):
    """... though those of the design beside it do."""
    case = Case("bridges", precision)
    case.a.contacts._strength[0] = 0.0
    case.a.contacts.add_rates(case.do, case.cells, case.a.cell_rates)
    assert not case.a.cell_rates[0].any() and case.a.cell_rates[1].any()


@pytest.mark.parametrize("kind", ["bridges", "both"])
def test_haste_is_that_of_the_twin(kind, precision):
    """With states and shares below zero among them; the largest of several blocks of cells."""
    case = Case(kind, precision, low=-0.2)
    assert case.a.n_cells > case.build.block
    lu = np.stack([case.factors(design)[0] for design in range(2)]).astype(case.a.real)
    partial = case.a.partial(2, case.a.blocks(case.a.n_cells))
    case.a.contacts.measure_haste(case.do, case.cells, lu, partial, case.a.haste)
    given = zip(case.twins, lu, strict=True)
    expected = [twin.haste(case.base(design), own.astype(float)) for design, (twin, own) in enumerate(given)]
    assert min(expected) > 1e-9 and expected[0] != pytest.approx(expected[1], rel=0.1)
    case.close(case.a.haste[:, None], np.array(expected)[:, None])


def test_haste_by_the_solution_of_a_whole_cell():
    """2 |M e q'|_k sum_j g_kj, as it is defined, with all of M."""
    case = Case("bridges", "float64")
    for design, (twin, plan) in enumerate(zip(case.twins, case.plans, strict=True)):
        base, (lu, _) = case.base(design), case.factors(design)
        row, table = plan.mechanism.state_names.index("inside"), plan.contacts[0]
        links = np.array(
            [table.strength[a:b].sum() for a, b in zip(table.row_start, table.row_start[1:], strict=False)]
        )
        values = dict(zip(plan.mechanism.study_parameters, plan.parameters, strict=True))
        volume = plan.cell_parameters[plan.mechanism.cell_parameters.index("volume")]
        rhs, out = np.zeros_like(base[1]), np.zeros_like(base[1])
        rhs[row] = 2.0 * values["k_bridge"] / volume * links
        case.code.cell_solve(lu, rhs, out)
        assert twin.haste(base, lu) == pytest.approx((np.abs(out[row]).max() / 0.63) ** 3, rel=1e-12)


def test_without_pairs_nothing_is_launched():
    plans = make_plans([studies.make_study("bridges", parameters={"reach": 1e-9})])
    machine = HostMachine(plans[0].mechanism, "float64", 1)
    a, launched = DeviceArrays(machine, plans, machine.code.module, make_ros34pw2()), []
    set_cell_rates(a, lambda name, *_: launched.append(name), a.fields, a.states)
    a.contacts.measure_haste(lambda name, *_: launched.append(name), (), a.lu, None, a.haste)
    assert launched == ["cell_rates"] and "contacts" not in machine.allocated


@pytest.mark.parametrize("kind", ["sources", "both"])
def test_jacobians_of_shares_are_taken_where_they_add_up(kind, precision):
    """Shares are not clamped, whatever their sign, but follow their clamped total."""
    case = Case(kind, precision, low=-0.5)
    a, (states, base) = case.a, (case.arguments(0)[1], case.base(0)[1])
    rows = share_rows(case.plan.mechanism)
    assert all(states[total].min() < 0 and base[list(parts)].min() < 0 for total, parts in rows)
    for total, parts in rows:
        excess = states[list(parts)].sum(axis=0) - states[total]
        np.testing.assert_allclose(base[list(parts)].sum(axis=0) - base[total], excess, atol=1e-9)
    case.do("cell_factor", *case.cells, a.sg, a.lu, a.entry_schur)
    for design in range(2):
        lu, schur = case.factors(design)
        case.close(a.lu[design], lu)
        case.close(a.entry_schur[design], schur)


def test_the_share_that_is_alive_is_a_factor_of_every_pair(precision):
    """Of the exchange, and of how hasty a step is."""
    case, launches = Case("bridges", precision), []
    own = case.a.contacts
    own.add_rates(lambda *launch: launches.append(case.machine.prepare(*launch)), case.cells, case.a.cell_rates)
    case.machine.run(launches[:1])
    assert (own.present == 1.0).all()
    random = np.random.default_rng(9).uniform(0.0, 1.0, own.present.shape)
    own.present[...] = np.where(random < 0.3, 0.0, random)
    case.machine.run(launches[1:])
    row, partial = case.plan.mechanism.state_names.index("inside"), case.a.partial(2, case.a.blocks(case.a.n_cells))
    hasty = []
    lu = np.stack([case.factors(design)[0] for design in range(2)]).astype(case.a.real)
    own.measure_haste(
        lambda *launch: hasty.append(case.machine.prepare(*launch)), case.cells, lu, partial, case.a.haste
    )
    case.machine.run(hasty[1:])  # with flux in the place of the gains
    for design, twin in enumerate(case.twins):
        flux, present = (np.asarray(values[design, 0], float) for values in (own.flux, own.present))
        expected, share = np.zeros((2, case.a.n_cells))
        twin.backend.exchange(0, flux, present, 1.0, 1.0, expected)
        twin.backend.exchange(0, flux, present, 0.0, -2.0, share)
        case.close(case.a.cell_rates[design, row][None], expected[None])
        case.close(case.a.haste[design].reshape(1, 1), ((share.max() / STABLE_SHARE) ** 3).reshape(1, 1))
        assert not expected[present == 0.0].any() and np.count_nonzero(expected) > 10

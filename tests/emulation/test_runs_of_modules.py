"""Whole runs of the built-in modules with large loops of fields on the GPU's program, against the reference."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks import ours
from tests import tolerances
from tests.emulation.test_whole_runs import TOLERANCE, fixed, largest_defect, make_machine  # noqa: F401
from tests.laws.test_modules import STUDY
from tests.running import relative_error

from payloadfield.solver.device import engine
from payloadfield.solver.device.limits import reason_against
from payloadfield.solver.device.pockets import share_pockets
from payloadfield.solver.device.simulation import simulate_on_device
from payloadfield.study import load_study

NOTHING = 1e-12
"""Molecules, or nM, below which a quantity is what rounding has left."""
USUAL = {key: value for key, value in STUDY.items() if key not in ("modules", "agents", "inhibitor")}
DOSED = [{"at": "0 h", "dose": {"T-DXd": "50 nM", "payload": "20 nM"}}]
DESTINY = USUAL | {"schedule": DOSED, "solver": {"precision": "float64"}}


def everything():
    """All modules that go together, on the geometry of the reference problem."""
    study = ours.make_module_study(8, is_full=True)
    return replace(study, solver=replace(study.solver, precision="float64"))


UNTIL = 20.0
CASES = {  # study; fields of its largest loop, and whether those of every loop reach the same pockets
    "polymer_sorption": (lambda: load_study(DESTINY | {"modules": {"polymer_sorption": True}}), 2, False),
    "dar_species": (
        lambda: load_study(DESTINY | {"modules": {"dar_species": True, "extracellular_cleavage": "saturated"}}),
        9, True,
    ),
    "everything": (everything, 10, False),
}  # fmt: skip


def compare(found, expected, tolerance):
    """As for whole runs, but for what is there by rounding alone."""
    for quantity in ("fields", "states", "bath", "accumulators", "inflow"):
        for a, b in zip(getattr(found.state, quantity), getattr(expected.state, quantity), strict=True):
            if np.abs(b).max(initial=0) > NOTHING:
                assert relative_error(a, b) < tolerance, quantity
            else:
                assert np.abs(a).max(initial=0) < 2 * NOTHING, quantity


@pytest.mark.validate
@pytest.mark.parametrize("name", CASES)
def test_a_run_of_modules_is_that_of_the_reference(name, fixed, monkeypatch):  # noqa: F811
    monkeypatch.setattr(engine, "RESIDUAL_LIMIT", np.inf)
    make, n_fields, are_even = CASES[name]
    study = make()
    sim = simulate_on_device(study, make_machine)
    loops = [group for group in study.mechanism.field_groups if len(group) > 1]
    assert max(map(len, loops)) >= n_fields and all(share_pockets(sim.plan, loop) for loop in loops) == are_even
    records = sim.run(UNTIL)
    expected, twins = fixed(study, UNTIL)
    assert len(records) == len(twins) > 10
    compare(sim, expected, TOLERANCE["float64"])
    assert largest_defect(records) < tolerances.BALANCE
    for ours_, twin in zip(records, twins, strict=True):
        assert ours_.dt == pytest.approx(twin.dt, rel=1e-6)


def test_no_set_of_modules_is_refused_any_more():
    assert reason_against(ours.make_module_study(8, is_full=True)) is None

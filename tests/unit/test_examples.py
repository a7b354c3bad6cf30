"""The studies that come with the project load, and the example runs with a closed ledger."""

from pathlib import Path

import pytest

from payloadfield.resources import find_seed, list_seeds
from payloadfield.study import load_study

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", list_seeds())
def test_every_seed_loads_and_says_how_much_of_it_is_assumed(name: str) -> None:
    study = load_study(find_seed(name) / "study.toml")
    assert study.cells.n_cells > 0
    assert any("inputs are assumed" in warning for warning in study.warnings)


def test_a_mechanism_of_ones_own_runs_from_its_folder() -> None:
    from payloadfield.solver import Simulation

    study = load_study(EXAMPLES / "two_fields" / "study.toml", ["duration=1 h", "schedule.1.at=30 min"])
    simulation = Simulation(study, "numpy")
    for _ in simulation.steps():
        pass
    assert simulation.state.time == 3600
    inside = simulation.state.states[study.mechanism.state_names.index("inside")]
    assert (inside > 0).all()
    assert all(line.relative_defect < 1e-10 for line in simulation.ledger)

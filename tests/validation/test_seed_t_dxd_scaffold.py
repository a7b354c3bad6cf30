"""seeds/t-dxd-scaffold shows what its README says, at a coarse size: directions, not magnitudes."""

import tomllib
from typing import Any

import numpy as np
import pytest
from tests import tolerances
from tests.running import run

from payloadfield.resources import find_seed
from payloadfield.solver import Simulation
from payloadfield.study import Study, load_study

COARSE = ["grid.voxel=40 um", "cells.0.count=1000", "cells.1.count=500", "output.every=6 h"]
TUMOUR, NEIGHBOUR = 0, 1


def seed_study(agent: str) -> Study:
    table = tomllib.loads((find_seed("t-dxd-scaffold") / "study.toml").read_text(encoding="utf-8"))
    table["schedule"][0]["dose"] = {agent: "50 nM"}
    return load_study(table, COARSE)


def follow(agent: str) -> dict[str, Any]:
    """Mean of every field [nM] and every cell state [molecules] by type, at each output."""
    study = seed_study(agent)
    simulation = Simulation(study)
    times, fields, states = [], [], []
    of_type = [study.cells.type_index == kind for kind in (TUMOUR, NEIGHBOUR)]
    for record in simulation.steps():
        if record.outputs:
            times.append(record.time)
            fields.append(simulation.state.fields.mean(axis=1))
            states.append([simulation.state.states[:, mask].mean(axis=1) for mask in of_type])
    found: dict[str, Any] = dict(zip(study.mechanism.field_names, np.array(fields).T, strict=True))
    found |= dict(zip(study.mechanism.state_names, np.array(states).transpose(2, 0, 1), strict=True))
    return found | {"time": np.array(times)}


@pytest.fixture(scope="module")
def t_dxd() -> dict[str, Any]:
    return follow("T-DXd")


@pytest.fixture(scope="module")
def t_dm1() -> dict[str, Any]:
    return follow("T-DM1")


def test_neighbours_without_antigen_are_exposed_although_they_bind_no_conjugate(t_dxd: dict[str, Any]) -> None:
    exposure = t_dxd["payload_exposure"][-1]
    assert t_dxd["complex"][:, NEIGHBOUR].max() == 0
    assert 0.05 * exposure[TUMOUR] < exposure[NEIGHBOUR] < exposure[TUMOUR]


def test_the_non_cleavable_conjugate_hits_the_neighbours_far_less(t_dxd: dict[str, Any], t_dm1: dict[str, Any]) -> None:
    def share(run: dict[str, Any]) -> float:
        exposure = run["bound_payload_exposure"][-1]
        return float(exposure[NEIGHBOUR] / exposure[TUMOUR])

    assert share(t_dm1) < 0.1 * share(t_dxd)
    assert t_dm1["bound_payload_exposure"][-1, NEIGHBOUR] < 0.3 * t_dxd["bound_payload_exposure"][-1, NEIGHBOUR]


def test_the_washout_takes_the_conjugate_at_once_and_the_payload_slowly(t_dxd: dict[str, Any]) -> None:
    washed = int(np.argmin(np.abs(t_dxd["time"] - 24 * 3600)))
    after = {name: t_dxd[name][washed + 1] / t_dxd[name][washed] for name in ("adc", "payload")}
    assert after["adc"] < 0.02 < after["payload"]  # six hours later
    assert t_dxd["payload"][-1] < 0.01 * t_dxd["payload"][washed]
    assert (np.diff(t_dxd["payload_exposure"], axis=0) > 0).all()


@pytest.mark.validate
def test_half_the_voxel_changes_mean_exposures_of_both_types_by_less_than_two_percent() -> None:
    names, means = ("payload_exposure", "bound_payload_exposure", "medium_payload_exposure"), []
    for voxel in (20, 10):
        study = load_study(find_seed("t-dxd-scaffold") / "study.toml", [f"grid.voxel={voxel} um", "output.every=72 h"])
        trace = run(study)
        of_type = [study.cells.type_index == kind for kind in (TUMOUR, NEIGHBOUR)]
        means.append(np.array([[trace.exposure(name)[mask].mean() for name in names] for mask in of_type]))
    assert np.abs(means[0] / means[1] - 1).max() < tolerances.RESOLUTION

"""All modules at once in space: every moiety is balanced at every step, and what is off changes nothing."""

import numpy as np
import pytest
from tests.references.dense import DenseSystem
from tests.running import run

from payloadfield.errors import StudyError
from payloadfield.mechanism import find_modules, load_mechanism
from payloadfield.solver.variants import refuse_unlike
from payloadfield.study import load_study

# Those that go together; fates are followed by tests of their own.
OFF = ("fate", "growth", "sasp", "lactate", "ros", "senolytic", "sources", "bridges", "released", "polymer_sorption")
ALL = {name: True for name in find_modules("adc") if name not in OFF}
ALL |= {"protein_binding": "explicit", "extracellular_cleavage": "saturated"}
STUDY = {
    "duration": "40 min",
    "grid": {"size": ["50 um", "40 um", "60 um"], "voxel": "10 um"},
    "boundary": {"z_high": "bath"},
    "bath": {"volume": "2e-3 uL"},
    "scaffold": [
        {"shape": "box", "material": "GelMA", "low": ["0 um"] * 3, "high": ["50 um", "40 um", "20 um"]},
        {"shape": "sphere", "material": "PCL", "centre": ["30 um", "20 um", "35 um"], "radius": "14 um"},
    ],
    "cells": [{"type": "HCC1806", "count": 2, "place": "medium"}, {"type": "fibroblast", "count": 2, "place": "gel"}],
    "cell_types": {"HCC1806": {"efflux": {"vmax": "500 molecules/s"}}},
    "inhibitor": "osimertinib",
    # Degrader and lactone at once is no molecule: every reaction is to take part.
    "agents": {
        "all in one": {
            "based_on": "sacituzumab govitecan",
            "linker": {"acid_share": 0.3, "kcat_over_km": "1e5 / M / s"},
            "payload": {
                "degrader": {"KD_ligase": "200 nM", "ligase": "100 nM", "cooperativity": 5, "k_degrade": "1e-3 / s"},
            },
        }
    },
    "schedule": [
        {"at": "0 h", "dose": {"all in one": "50 nM", "osimertinib": "200 nM", "payload": "20 nM", "adc_4": "10 nM"}},
        {"at": "20 min", "wash": 0.5},
    ],
    "modules": ALL,
}


def test_all_modules_together_conserve_every_moiety():
    study = load_study(STUDY)
    assert study.mechanism.left_out == ()
    trace = run(study, "numpy")  # asserts the balance at every step
    assert all(np.abs(np.array(trace.fields)[-1, row]).max() > 0 for row in range(len(study.mechanism.fields)))


@pytest.mark.validate
def test_all_modules_together_agree_with_the_method_of_lines():
    study = load_study(STUDY, ["solver.rtol=1e-3"])
    trace, hours = run(study, "numba"), np.array([0.0, 2 / 3])
    expected = DenseSystem(study).solve(hours * 3600, relative=1e-6)
    for row, name in enumerate(study.mechanism.state_names):
        found, exact = trace.sim.cell_state(name), expected.states[-1, row]
        assert np.abs(found - exact).max() <= 2e-3 * np.abs(exact).max() + 1e-9, name
    for row, name in enumerate(study.mechanism.field_names):
        found, exact = trace.fields[-1][row], expected.fields[-1, row]
        assert np.abs(found - exact).max() <= 5e-3 * np.abs(exact).max(), name


def test_modules_that_are_off_change_not_one_digit():
    """The same study by the usual modules, said and not said; and one with a module whose reactions do nothing."""
    usual = {key: value for key, value in STUDY.items() if key not in ("modules", "agents", "inhibitor")}
    usual |= {"duration": "20 min", "schedule": [{"at": "0 h", "dose": {"T-DXd": "50 nM"}}]}
    plain = run(load_study(usual), "numpy").exposure("payload_exposure")
    said = {name: setting for name, setting in load_mechanism("adc").modules.items()}
    np.testing.assert_array_equal(
        run(load_study(usual | {"modules": said}), "numpy").exposure("payload_exposure"), plain
    )
    pumped = run(load_study(usual | {"modules": {"efflux": True}}), "numpy").exposure("payload_exposure")
    assert (pumped < plain).any()


def sorbing(**changes):
    """A ball of polymer in a closed box, its skin smaller than the open part of every voxel; payload mixes at once."""
    ball = {"shape": "sphere", "material": "PCL", "centre": ["25 um", "25 um", "20 um"], "radius": "13 um"}
    return {
        "duration": "48 h", "grid": {"size": ["50 um", "50 um", "40 um"], "voxel": "10 um"}, "agent": "T-DXd",
        "scaffold": [ball], "initial": {"fields": {"payload": "100 nM"}}, "modules": {"polymer_sorption": True},
        "parameters": {"sorption_depth": "2 um", "D_sorbed": "4e-5 um^2/s"}, "solver": {"rtol": 1e-4},
        "output": {"times": ["6 h", "24 h"]},
    } | changes  # fmt: skip


def test_polymer_takes_payload_up_to_its_partition():
    """d(sorbed)/dt = k (K P - sorbed) with P V + sorbed A d kept: one exponential."""
    study = load_study(sorbing())
    names, trace = study.mechanism.field_names, run(study, "numpy")
    k, partition, depth = 1e-5, 10.0, 2.0
    volume = study.geometry.open_fraction.sum() * 1000.0
    skin = study.geometry.wall_area.sum() * depth
    room = trace.sim.plan.field_capacity(names.index("sorbed"))
    for time, fields in zip(trace.times, trace.fields, strict=True):
        rate = k * (1 + partition * skin / volume)
        sorbed = partition * 100.0 / (1 + partition * skin / volume) * -np.expm1(-rate * time)
        found = fields[names.index("sorbed")]
        np.testing.assert_allclose(found[room > 0], sorbed, rtol=2e-3, atol=1e-6)
        np.testing.assert_allclose(fields[names.index("payload")], 100.0 - sorbed * skin / volume, rtol=1e-3)
    assert found[room > 0].min() > 300.0 and not found[room == 0].any()


def test_designs_of_other_depths_do_not_share_their_maps():
    first, deeper, tighter = (
        load_study(sorbing(), [f"parameters.{text}"])
        for text in ("D_sorbed=1e-5 um^2/s", "sorption_depth=4 um", "fu=0.5")
    )
    refuse_unlike([first, tighter])
    with pytest.raises(StudyError, match="depth of skins on the walls"):
        refuse_unlike([first, deeper])


def test_without_the_module_nothing_is_sorbed_and_without_walls_nothing_can_be():
    assert "sorbed" not in load_study(sorbing(modules={}, parameters={})).mechanism.field_names
    with pytest.raises(
        StudyError, match=r"modules\.polymer_sorption: sorbed is in the walls of a scaffold, but there is no"
    ):
        load_study(sorbing(scaffold=[]))
    with pytest.raises(StudyError, match=r"only 0\.001 to 10000 um is possible for polymer"):
        load_study(sorbing(), ["parameters.sorption_depth=0 um"])

"""All modules at once in space: every moiety is balanced at every step, and what is off changes nothing."""

from copy import deepcopy
from functools import cache

import numpy as np
import pytest
from tests.references.dense import DenseSystem
from tests.running import run

from payloadfield.errors import StudyError
from payloadfield.mechanism import find_modules, load_mechanism
from payloadfield.solver.variants import refuse_unlike
from payloadfield.study import load_study

# Those that the method of lines below follows; what it leaves out is in `EVERYTHING`.
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

# Every module of the mechanism, with what those need that are not in the study above.
EVERYTHING = STUDY | {
    "duration": "25 min",
    "modules": ALL | {name: True for name in OFF} | {"fate": "expected"},
    "senolytic": "navitoclax",
    "schedule": [{"at": "0 h", "dose": STUDY["schedule"][0]["dose"] | {"navitoclax": "1 uM"}}, STUDY["schedule"][1]],
    "agents": {"all in one": deepcopy(STUDY["agents"]["all in one"])},
}
EVERYTHING["agents"]["all in one"]["payload"]["degrader"]["kill"] = {"threshold": 0.3, "hill": 2}


def test_all_modules_together_conserve_every_moiety():
    study = load_study(EVERYTHING)
    assert {name for name, setting in study.mechanism.modules.items() if setting} == set(find_modules("adc"))
    assert study.mechanism.left_out == ()
    trace = run(study, "numpy")  # asserts the balance at every step
    assert all(np.abs(np.array(trace.fields)[-1, row]).max() > 0 for row in range(len(study.mechanism.fields)))
    for name in ("ternary", "vesicle_cargo", "taken_up_from_bridges", "damage", "released_by_acid", "released_inside"):
        assert trace.exposure(name).max() > 0, name


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


USUAL = {key: value for key, value in STUDY.items() if key not in ("modules", "agents", "inhibitor")} | {
    "duration": "20 min",
    "schedule": [{"at": "0 h", "dose": {"T-DXd": "50 nM"}}],
    "cell_types": {name: {"efflux": {"vmax": "0 molecules/s"}} for name in ("HCC1806", "fibroblast")},
}


def changed(tables, key, value):
    """A study with another value at a key, / for a step into a table."""
    tables = inner = deepcopy(tables)
    *way, last = key.split("/")
    for step in way:
        inner = inner.setdefault(step, {})
    inner[last] = value
    return tables


@cache
def plain(*modules):
    return run(load_study(USUAL | {"modules": dict.fromkeys(modules, True)}), "numpy")


def is_the_same(trace, expected):
    """Whether every field and state of the smaller model is the same to the last digit."""
    small = expected.sim.study.mechanism
    names = trace.sim.study.mechanism.field_names
    pairs = [(trace.fields[-1][names.index(name)], expected.fields[-1][k]) for k, name in enumerate(small.field_names)]
    pairs += [(trace.exposure(name), expected.exposure(name)) for name in small.state_names]
    return trace.times == expected.times and all(np.array_equal(*pair) for pair in pairs)


def test_modules_that_are_on_unsaid_are_the_same_said():
    said = USUAL | {"modules": dict(load_mechanism("adc").modules)}
    assert is_the_same(run(load_study(said), "numpy"), plain())


DOSED_WITH = {name: [{"at": "0 h", "dose": {"T-DXd": "50 nM", name: "1 uM"}}] for name in ("osimertinib", "navitoclax")}
# Modules that a number or a dose makes idle: its key, the value that does, and one that does not.
IDLE = {
    "efflux": ("cell_types/HCC1806/efflux/vmax", "0 molecules/s", "500 molecules/s"),
    "vesicles": ("vesicles/EV/cargo_fraction", "0 / s", "1e-4 / s"),
    "bridges": ("bridges/nanotube/rate", "0 / s", "1e-3 / s"),
    "target_loss": ("fates/tumour cells/target_loss/kmax", "0 / s", "1e-4 / s"),
    "acid_release": ("agents/T-DXd/linker/acid_share", 0, 0.4),
    "tki": ("schedule", USUAL["schedule"], DOSED_WITH["osimertinib"]),
    "senolytic": ("schedule", USUAL["schedule"], DOSED_WITH["navitoclax"]),
}


@pytest.mark.parametrize("module", IDLE)
def test_a_module_whose_reactions_do_nothing_changes_not_one_digit(module):
    key, nothing, something = IDLE[module]
    needed = ["fate"] if module == "senolytic" else []
    with_module = USUAL | {"modules": dict.fromkeys([*needed, module], True)}
    with_module |= {"inhibitor": "osimertinib"} if module == "tki" else {}
    with_module |= {"senolytic": "navitoclax"} if module == "senolytic" else {}
    assert is_the_same(run(load_study(changed(with_module, key, nothing)), "numpy"), plain(*needed))
    assert not is_the_same(run(load_study(changed(with_module, key, something)), "numpy"), plain(*needed))


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

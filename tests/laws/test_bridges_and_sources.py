"""Bridges and vesicles of the built-in mechanism: what they bring to cells without antigen, and where it came from."""

from functools import cache

import numpy as np
import pytest
from tests.running import relative_error

from payloadfield.solver import Simulation
from payloadfield.study import load_study

FOLLOWED = ("payload_lysosome", "payload_cytosol", "payload_bound")
TIGHT = (("k_in", "0 / s"), ("k_out", "0 / s"))
"""Membranes, those of lysosomes too, that no free payload passes."""
BRIDGES = (("bridge_reach", "2"), ("k_bridge", "1e-5 / s"))
WAYS = ("bridges", "vesicles", "efflux", "fate")
SOURCES = ("conjugate", "outside", "vesicles", "bridges")


@cache
def solve(modules=(), parameters=()):
    """Six cells with antigen and six without, near one another: eight hours under T-DXd, and four after a washout."""
    study = {
        "duration": "12 h",
        "grid": {"size": ["60 um"] * 3, "voxel": "20 um"},
        "boundary": {"z_high": "bath"},
        "cells": [{"type": name, "count": 6, "place": "medium"} for name in ("SK-BR-3", "fibroblast")],
        "cell_types": {"fibroblast": {"receptors": "0 molecules"}},
        "schedule": [{"at": "0 h", "dose": {"T-DXd": "20 nM"}}, {"at": "8 h", "wash": 1.0}],
        "modules": dict.fromkeys(modules, True),
        "parameters": dict(parameters),
        "solver": {"rtol": 3e-2},
    }
    sim = Simulation(load_study(study), "numpy")
    worst = max(max(record.balance.values()) for record in sim.steps())
    assert worst < 1e-11
    return sim


def in_cells(sim, names):
    """Molecules in states of each cell, added up."""
    return sum(sim.cell_state(name) for name in names)


def is_without_antigen(sim):
    cells = sim.study.cells
    return np.array([cells.type_names[k] == "fibroblast" for k in cells.type_index])


@pytest.mark.parametrize("way", ["bridges", "vesicles"])
def test_cells_without_antigen_get_payload_behind_tight_membranes(way):
    """Negative control: without the module nothing comes at all."""
    parameters = (*TIGHT, *(BRIDGES if way == "bridges" else ()))
    sim, without = solve((way, "sources"), parameters), solve(("sources",), TIGHT)
    poor = is_without_antigen(sim)
    assert in_cells(sim, FOLLOWED)[poor].min() > 0.01
    assert not in_cells(without, FOLLOWED)[poor].any() and in_cells(without, FOLLOWED)[~poor].min() > 1e3
    gained = sim.cell_state(f"taken_up_from_{way}")[poor]
    assert gained.min() > 0 and way not in without.study.mechanism.tags


def test_sources_add_up_to_the_total_and_change_nothing_else():
    sim, without = solve((*WAYS, "sources"), BRIDGES), solve(WAYS, BRIDGES)
    for name in FOLLOWED:
        parts = in_cells(sim, [f"{name}_from_{source}" for source in SOURCES])
        assert relative_error(parts, sim.cell_state(name)) < 1e-12
    for name in without.study.mechanism.state_names:
        np.testing.assert_array_equal(sim.cell_state(name), without.cell_state(name))
    np.testing.assert_array_equal(sim.state.fields, without.state.fields)


def test_every_source_is_where_it_belongs():
    """Cells with antigen live on their own conjugate, cells without on what comes from others."""
    sim = solve((*WAYS, "sources"), BRIDGES)
    assert sim.study.mechanism.tags == SOURCES
    taken, poor = {source: sim.cell_state(f"taken_up_from_{source}") for source in SOURCES}, is_without_antigen(sim)
    assert not taken["conjugate"][poor].any() and taken["conjugate"][~poor].min() > 1e3
    assert min(taken[source].max() for source in SOURCES[1:]) > 0 and taken["outside"].min() > 1.0
    exposure = {source: sim.cell_state(f"payload_exposure_from_{source}") for source in SOURCES}
    assert not exposure["conjugate"][poor].any() and np.all(exposure["conjugate"] > exposure["vesicles"], where=~poor)
    assert relative_error(sum(exposure.values()), sim.cell_state("payload_exposure")) < 1e-12


@pytest.mark.parametrize("share", ["0", "0.4"], ids=["enzymes", "acid"])
def test_what_is_released_in_a_cell_is_from_its_conjugate(share):
    """However the linker is cut; behind tight membranes nothing is from outside."""
    cut = (*TIGHT, ("k_cleave", "1e-4 / s"), ("acid_share", share))
    sim = solve(("acid_release", "released", "sources"), cut)
    rich = ~is_without_antigen(sim)
    taken, released = (sim.cell_state(name)[rich] for name in ("taken_up_from_conjugate", "released_inside"))
    assert taken.min() > 1e3 and relative_error(taken, released) < 1e-9
    assert "outside" not in sim.study.mechanism.tags or not sim.cell_state("taken_up_from_outside").any()


def test_bridges_without_cells_that_touch_change_nothing():
    """A reach of next to nothing: fields and states keep every digit."""
    sim, without = solve(("bridges",), (("bridge_reach", "1e-9"),)), solve()
    np.testing.assert_array_equal(sim.state.fields, without.state.fields)
    np.testing.assert_array_equal(sim.state.states, without.state.states)
    assert any("no two of the 12 cells lie within 1e-09 times" in text for text in sim.study.warnings)
    assert not any("no two" in text for text in solve(("bridges",), BRIDGES).study.warnings)
    touching = solve(("bridges",), BRIDGES).cell_state("payload_lysosome")
    assert relative_error(touching, without.cell_state("payload_lysosome")) > 1e-4

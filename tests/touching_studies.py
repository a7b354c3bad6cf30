"""Studies of tests/mechanisms/contacts.toml: cells that touch in an irregular geometry, drug followed by source."""

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from tests import handmade, scenarios
from tests.footprints import draw_footprints

from payloadfield.mechanism import load_mechanism

N_CELLS = 40
STRONG = {"k_bridge": 2.0, "k_in": 5.0, "k_on": 2e-6}

DOSED = [(0.0, {"adc": 50.0, "payload": 1.0}, 0.0)]


@cache
def make_mechanism(kind):
    """With "bridges", "sources" or "both"."""
    text = (handmade.MECHANISMS / "contacts.toml").read_text()
    plain, contacts = text[: text.index("[contacts.bridge]")], text[text.index("[contacts.bridge]") :]
    tagged = "\n[tagged]\ninside = {}\nbound = {}\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{kind}.toml"
        path.write_text(plain + (contacts if kind != "sources" else "") + (tagged if kind != "bridges" else ""))
        return load_mechanism(str(path))


def make_study(kind, *, parameters=None, of_cells=None, **options):
    """Cells at places of their own, 8 um in radius, of which each touches a few; some of them make the drug."""
    geometry, random = scenarios.make_irregular(), np.random.default_rng(6)
    cells = handmade.make_cells(draw_footprints(geometry, N_CELLS, 4), scenarios.SHAPE, scenarios.SPACING)
    size = np.array(scenarios.SHAPE) * scenarios.SPACING
    cells = replace(cells, position=random.random((N_CELLS, 3)) * size)
    own = {"making": random.uniform(0.0, 2.0, N_CELLS), "volume": random.uniform(1000.0, 3000.0, N_CELLS)}
    standard = {
        "duration": 3600.0, "boundary": {"z_high": "bath"}, "bath_volume": 6e5,
        "schedule": [(0.0, {"drug": 40.0}, 0.0), (1800.0, {}, 0.9)], "outputs": [900.0],
        "solver": handmade.make_solver(precision="float64"),
    }  # fmt: skip
    return handmade.make_study(
        make_mechanism(kind), geometry, cells=cells, parameters=STRONG | (parameters or {}),
        of_cells=own | (of_cells or {}), **(standard | options),
    )  # fmt: skip


def make_designs(kind):
    """Three that differ in how fast, how far and which cells exchange."""
    few = {"bridging": np.where(np.arange(N_CELLS) % 3 == 0, 0.0, 1.5)}
    return [
        make_study(kind),
        make_study(kind, parameters={"reach": 1.6, "k_bridge": 0.5}),
        make_study(kind, parameters={"k_in": 1.0, "reach": 0.9}, of_cells=few),
    ]


def make_adc(**options):
    """The built-in mechanism with bridges and sources: conjugate and free payload; cells that touch."""
    mechanism = load_mechanism("adc", {"bridges": True, "sources": True})
    given = {"k_bridge": 1e-3, "bridge_volume": 2200.0, "bridge_lysosomal": 0.5, "bridge_reach": 2.0}
    geometry, n_cells = scenarios.make_irregular(), 6
    cells = handmade.make_cells(draw_footprints(geometry, n_cells, 4), scenarios.SHAPE, scenarios.SPACING)
    standard = {
        "duration": 3600.0, "boundary": {"z_high": "bath"}, "bath_volume": 6e5,
        "schedule": [*DOSED, (1800.0, {}, 0.9)],
        "solver": handmade.make_solver(precision="float64"),
    }  # fmt: skip
    return handmade.make_study(
        mechanism, geometry, cells=cells, parameters=scenarios.ADC | given, of_cells=scenarios.cell_values(n_cells),
        **(standard | options),
    )  # fmt: skip


def make_everything(fate="expected"):
    """The built-in mechanism with bridges, vesicles, efflux, fates and sources; half of the cells die."""
    from payloadfield.study import load_study  # needs pydantic, which a bare machine with a GPU lacks

    study = {
        "duration": "48 h",
        "grid": {"size": ["60 um"] * 3, "voxel": "20 um"},
        "boundary": {"z_high": "bath"},
        "cells": [{"type": name, "count": 6, "place": "medium"} for name in ("SK-BR-3", "fibroblast")],
        "cell_types": {"fibroblast": {"receptors": "0 molecules"}},
        "schedule": [{"at": "0 h", "dose": {"T-DXd": "20 nM"}}, {"at": "8 h", "wash": 1.0}],
        "modules": dict.fromkeys(("bridges", "vesicles", "efflux", "sources"), True) | {"fate": fate},
        "parameters": {"bridge_reach": "2", "k_bridge": "1e-5 / s", "K_death": "1 nM", "k_death": "1e-4 / s"},
        "solver": {"rtol": 3e-2, "precision": "float64"},
    }
    return load_study(study)


def worst_sum(sim):
    """Largest difference between a followed state and the sum of its shares, over the state's largest value."""
    worst = 0.0
    for item in sim.study.mechanism.followed:
        total, parts = sim.cell_state(item.state), sum(sim.cell_state(name) for name in item.parts)
        worst = max(worst, float(np.abs(parts - total).max() / np.abs(total).max()))
    return worst

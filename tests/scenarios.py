"""Small irregular studies of the whole mechanism: curved solid, gel, spread cells, every boundary."""

from functools import cache

import numpy as np
from tests import handmade
from tests.footprints import draw_footprints
from tests.running import run

from payloadfield.geometry import LabelArray, Sphere, find_pockets

HOUR = 3600.0
# T-DXd on SK-BR-3 in round numbers; protease and loss rates raised so that every reaction matters within hours.
ADC = {
    "D_adc": 60.0, "D_antibody": 65.0, "D_payload": 420.0, "D_protease": 100.0, "DAR": 8.0, "k_on": 1e-4, "KD": 0.3,
    "k_dec": 1e-6, "kcat_over_km": 3e-6, "k_cleave": 2e-5, "k_in": 1.28e-2, "k_out": 3.7e-3, "fu": 0.9,
    "k_on_target": 1e-4, "KD_target": 161.0, "target_concentration": 65.0, "k_target": 2e-5, "k_decay": 8e-6,
    "k_protease_loss": 1e-4,
}  # fmt: skip
CELL = {"k_endo": 4.27e-5, "k_rec": 2.4e-5, "k_deg": 1.27e-4, "volume": 2200.0}
SHAPE, SPACING = (6, 5, 7), 10.0


def cell_values(n_cell, receptors=4e5, secretion=2.0):
    """Parameters of cells that alternate between antigen without protease and protease without antigen."""
    even = np.arange(n_cell) % 2 == 0
    spread = 1 + 0.1 * np.arange(n_cell)
    return {k: np.full(n_cell, v) for k, v in CELL.items()} | {
        "receptors": np.where(even, receptors, 0.05 * receptors) * spread,
        "protease_secretion": np.where(even, 0.0, secretion),
    }


def make_irregular(periodic=(False, False, False), gel=None):
    """A grid of unequal sides with a ball of solid and a slab of gel in it."""
    gel = gel or handmade.make_gel(
        {"adc": 0.3, "antibody": 0.3, "default": 0.7}, {"adc": 0.5, "antibody": 0.5, "default": 0.9}
    )
    lower = np.zeros(SHAPE, np.uint8)
    lower[:2] = 1
    shapes = [LabelArray(lower, {0: None, 1: "gel"}), Sphere("solid", (33.0, 21.0, 38.0), 17.0)]
    return handmade.make_box(SHAPE, SPACING, periodic, shapes, (handmade.MEDIUM, handmade.SOLID, gel))


def make_adc(geometry, boundary, *, n_cells=6, seed=4, among=None, parameters=None, **options):
    """The built-in mechanism with random footprints, dosed at once and washed after six of twelve hours."""
    cells = handmade.make_cells(draw_footprints(geometry, n_cells, seed, among=among), SHAPE, SPACING)
    standard = {
        "duration": 12 * HOUR, "boundary": boundary, "of_cells": cell_values(n_cells),
        "schedule": [(0.0, {"adc": 50.0, "antibody": 5.0}, 0.0), (6 * HOUR, {}, 0.9)],
        "outputs": [3 * HOUR, 5.9 * HOUR, 12 * HOUR],
    }  # fmt: skip
    return handmade.make_study(
        "adc", geometry, cells=cells, parameters=ADC | (parameters or {}), **(standard | options)
    )


def finite_bath(**options):
    """A finite bath on top, as small as three times the construct."""
    return make_adc(make_irregular(), {"z_high": "bath"}, bath_volume=6e5, **options)


def infinite_bath(**options):
    """A bath that stays at its concentration on two sides; the wash takes everything and a second dose follows."""
    schedule = [(0.0, {"adc": 50.0}, 0.0), (4 * HOUR, {}, 1.0), (8 * HOUR, {"adc": 20.0, "payload": 2.0}, 0.0)]
    return make_adc(make_irregular(), {"z_high": "bath", "x_low": "bath"}, **({"schedule": schedule} | options))


def periodic_sides(**options):
    """Joined sides along x and y under a finite bath."""
    sides = {"z_high": "bath"} | {f"{a}_{e}": "periodic" for a in "xy" for e in ("low", "high")}
    return make_adc(make_irregular(periodic=(False, True, True)), sides, bath_volume=2e6, **options)


def permeable_surfaces(**options):
    """A gel with a skin, and a bath behind a membrane, each different for every field."""
    skin = {"adc": 0.02, "antibody": 0.05, "payload": 0.5, "default": 0.1}
    gel = handmade.make_gel(0.6, {"adc": 0.5, "default": 0.9}, skin)
    membrane = {"adc": 0.05, "antibody": 0.05, "payload": 0.3}
    return make_adc(make_irregular(gel=gel), {"z_high": "bath"}, bath_volume=6e5, bath_permeability=membrane, **options)


def closed_pocket(**options):
    """Four voxels of medium behind solid walls, with cells and conjugate in them, beside a room under a finite bath."""
    label = np.zeros(SHAPE, np.uint8)
    label[1:5, 1:4, 3] = 1
    label[1:5, 1:4, 6] = 1
    label[[1, 4], 1:4, 3:7] = 1
    label[1:5, 0, 3:7] = label[1:5, 4, 3:7] = 1
    geometry = handmade.make_box(SHAPE, SPACING, shapes=[LabelArray(label, {0: None, 1: "solid"})])
    pockets = find_pockets(geometry, {"z_high"})
    inner = np.flatnonzero((pockets.label == 1).ravel())
    outer = np.flatnonzero((pockets.label == 0).ravel())
    footprints = draw_footprints(geometry, 2, 1, most=3, among=inner) + draw_footprints(geometry, 4, 2, among=outer)
    study = make_adc(geometry, {"z_high": "bath"}, bath_volume=6e5, initial={"adc": 20.0, "payload": 1.0}, **options)
    cells = handmade.make_cells(footprints, SHAPE, SPACING)
    return handmade.replace(study, cells=cells)


def binding_site_barrier(**options):
    """Slow diffusion and tenfold binding: the first cells take the conjugate, and footprints drain their own voxels."""
    slow = {"D_adc": 2.0, "D_antibody": 2.0, "D_payload": 20.0, "k_on": 1e-3}
    short = {"duration": 4 * HOUR, "schedule": [(0.0, {"adc": 20.0}, 0.0), (2 * HOUR, {}, 0.9)],
             "outputs": [HOUR, 1.9 * HOUR, 4 * HOUR]}  # fmt: skip
    return make_adc(make_irregular(), {"z_high": "bath"}, **({"parameters": slow} | short | options))


def loop_of_fields(**options):
    """Two forms of a drug that turn into one another, in cells, medium and a finite bath."""
    geometry = make_irregular(gel=handmade.make_gel(0.5, {"carboxylate": 0.7, "default": 0.9}))
    cells = handmade.make_cells(draw_footprints(geometry, 5, 8), SHAPE, SPACING)
    standard = {
        "duration": 4 * HOUR, "boundary": {"z_high": "bath"}, "bath_volume": 6e5,
        "of_cells": {"volume": np.full(5, 2200.0)},
        "schedule": [(0.0, {"lactone": 30.0}, 0.0), (2 * HOUR, {}, 0.7)], "outputs": [HOUR, 1.9 * HOUR, 4 * HOUR],
    }  # fmt: skip
    return handmade.make_study("loop", geometry, cells=cells, **(standard | options))


@cache
def solved(scenario, backend="numba", rtol=1e-2):
    """A scenario run by the solver, once for all tests: not to be changed."""
    return run(scenario(solver=handmade.make_solver(rtol)), backend)


SCENARIOS = (
    finite_bath,
    infinite_bath,
    periodic_sides,
    permeable_surfaces,
    closed_pocket,
    binding_site_barrier,
    loop_of_fields,
)
EXPOSURE = {"adc": "payload_exposure", "loop": "exposure"}

"""seeds/escape-routes shows what its README says, at a coarse size: directions and ranks, not magnitudes."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

from payloadfield.compare.cases import make_cases
from payloadfield.compare.metrics import as_mapping
from payloadfield.compare.ranking import rank_designs
from payloadfield.compare.solve import solve_and_measure
from payloadfield.compare.space import make_points
from payloadfield.resources import find_seed
from payloadfield.solver import Simulation
from payloadfield.study import load_study, make_variants, read_variants
from payloadfield.study.sweep_file import read_sweep_file

pytestmark = pytest.mark.validate

SEED = find_seed("escape-routes")
STUDY = SEED / "study.toml"
COARSE = ["grid.voxel=60 um", "output.every=24 h"]
NO_PROTEASE = [f"cell_types.{name}.protease_secretion=0 molecules / s" for name in ("clone A", "clone B", "fibroblast")]
TUMOUR, NEIGHBOUR = ("clone A", "clone B"), "fibroblast"
GGFG, OUTSIDE, DEGRADER, IMMUNE = "GGFG", "extracellular-cleavable", "degrader", "immune-activating"
SENSITIVE, LOST, RESISTANT = "sensitive", "antigen lost", "payload resistant"

EXAMPLE = Path(__file__).parents[2] / "examples" / "antigen_crossover.py"


def measured(study):
    found = as_mapping(solve_and_measure(study).metrics)
    n_cells = [found[name, "n_cells"] for name in TUMOUR]
    killed = np.average([found[name, "fraction_killed"] for name in TUMOUR], weights=n_cells)
    return found | {("tumour", "fraction_killed"): float(killed)}


@pytest.fixture(scope="module")
def studies():
    """Every design under every scenario."""
    return {(case.scenario, case.design): case.study for case in make_cases(STUDY, COARSE)}


@pytest.fixture(scope="module")
def cases(studies):
    """What came of each."""
    return {key: measured(study) for key, study in studies.items()}


@pytest.fixture(scope="module")
def without_protease():
    """Two of them without what cuts linkers outside."""
    variants = read_variants(STUDY)
    lost = {design: variants["scenario"][LOST] | variants["design"][design] for design in (GGFG, OUTSIDE)}
    made = make_variants(STUDY, lost, [*COARSE, *NO_PROTEASE])
    return {(LOST, each.name): measured(each.study) for each in made}


def ranks(cases, scenario):
    values = {d: m["tumour", "fraction_killed"] for (s, d), m in cases.items() if s == scenario}
    return {each.design: each.rank for each in rank_designs(values)}


def killed(cases, scenario, design):
    return cases[scenario, design]["tumour", "fraction_killed"]


def test_the_ranking_flips_between_the_two_resistances(cases):
    lost, resistant = ranks(cases, LOST), ranks(cases, RESISTANT)
    assert lost[OUTSIDE] == 1 < lost[DEGRADER]
    assert resistant[DEGRADER] == 1
    assert resistant[OUTSIDE] > resistant[GGFG] > resistant[DEGRADER]


def test_without_a_resistance_release_inside_is_no_worse_and_nothing_flips(cases):
    sensitive = ranks(cases, SENSITIVE)
    assert sensitive[GGFG] < sensitive[OUTSIDE]
    assert sensitive[DEGRADER] == ranks(cases, RESISTANT)[DEGRADER] == 1


def test_release_outside_rescues_the_kill_where_the_antigen_is_lost(cases, without_protease):
    assert killed(cases, LOST, GGFG) < 0.05 * killed(cases, SENSITIVE, GGFG)
    assert killed(cases, LOST, OUTSIDE) > 0.3 * killed(cases, SENSITIVE, OUTSIDE)
    assert killed(cases, LOST, OUTSIDE) > 10 * killed(cases, LOST, GGFG)
    assert killed(without_protease, LOST, OUTSIDE) == pytest.approx(killed(without_protease, LOST, GGFG), rel=0.01)
    assert killed(without_protease, LOST, OUTSIDE) < 0.1 * killed(cases, LOST, OUTSIDE)


def test_release_outside_does_nothing_against_a_payload_that_no_longer_binds(cases):
    assert killed(cases, RESISTANT, OUTSIDE) <= killed(cases, RESISTANT, GGFG) < 0.1 * killed(cases, SENSITIVE, GGFG)
    assert killed(cases, SENSITIVE, OUTSIDE) > 10 * killed(cases, RESISTANT, OUTSIDE)  # without the mutation it kills


def test_a_new_warhead_does_not_notice_the_mutation_and_needs_the_antigen(cases):
    assert killed(cases, RESISTANT, DEGRADER) == pytest.approx(killed(cases, SENSITIVE, DEGRADER), rel=1e-6)
    lost = cases[LOST, DEGRADER]
    assert (
        lost["clone A", "fraction_killed"] > 50 * lost["clone B", "fraction_killed"]
    )  # the clone without antigen lives
    assert cases[SENSITIVE, DEGRADER]["clone B", "fraction_killed"] > 0.5  # with it, it does not
    # Without antigen it is as good as a payload that stays where it is released, and both spare the clone without.
    assert killed(cases, LOST, DEGRADER) == pytest.approx(killed(cases, LOST, "non-cleavable"), rel=0.1)
    assert max(killed(cases, LOST, design) for design in (GGFG, "high-permeability payload")) < 0.1 * killed(
        cases, LOST, DEGRADER
    )


def test_mutated_top1_is_no_matter_to_a_payload_with_another_target_and_the_study_says_so(studies):
    told = "TOP1-E418K changes TOP1, and the payload binds GSPT1: it has no effect"
    assert any(told in warning for warning in studies[RESISTANT, DEGRADER].warnings)
    assert not any("has no effect" in warning for warning in studies[RESISTANT, GGFG].warnings)


def test_the_price_is_paid_by_healthy_neighbours(cases, without_protease):
    def price(found, design, metric="bound_payload_exposure_mean"):
        return found[LOST, design][NEIGHBOUR, metric]

    assert price(cases, OUTSIDE) > 10 * price(cases, GGFG)
    assert price(cases, OUTSIDE, "fraction_killed") > 50 * price(cases, GGFG, "fraction_killed")
    # Neighbours without antigen fare no better than the tumour that lost it, wherever payload is released outside.
    assert price(cases, OUTSIDE) == pytest.approx(
        cases[LOST, OUTSIDE]["clone B", "bound_payload_exposure_mean"], rel=0.1
    )
    assert price(without_protease, OUTSIDE) < 0.05 * price(cases, OUTSIDE)


def test_an_immune_activating_payload_kills_those_without_antigen_and_without_its_module_nobody(cases):
    changes = read_variants(STUDY)["scenario"][LOST] | read_variants(STUDY)["design"][IMMUNE]
    (silent,) = make_variants(STUDY, {"silent": changes | {"modules.immune": False}}, COARSE)
    found = cases[LOST, IMMUNE]
    for name in ("clone B", NEIGHBOUR):
        assert found[name, "fraction_killed"] > 0.05
    assert found[NEIGHBOUR, "payload_exposure_mean"] < 0.3 * found["clone A", "payload_exposure_mean"]
    nobody = as_mapping(solve_and_measure(silent.study).metrics)
    assert all(nobody[name, "fraction_killed"] < 1e-6 for name in (*TUMOUR, NEIGHBOUR))


def neighbours_killed(secretion):
    """Share of neighbours killed in each third of a long channel, tumour cells with the payload at its left end."""
    study = load_study(
        {
            "duration": "72 h",
            "grid": {"size": ["600 um", "100 um", "100 um"], "voxel": "25 um"},
            "boundary": {"z_high": "bath"},
            "modules": {"fate": True, "immune": True},
            "agents": {"ADC": {"based_on": "T-agonist"}},
            "cells": [
                {"type": "SK-BR-3", "count": 60, "place": "medium", "gradient": {"axis": "x", "low": 1, "high": 0}},
                {"type": "fibroblast", "count": 120, "place": "medium"},
            ],
            "cell_types": {"fibroblast": {"receptors": 0}},
            "effectors": {"innate cytokine": {"secretion": secretion}},
            "schedule": [{"at": "0 h", "dose": {"ADC": "10 nM"}}],
        }
    )
    simulation = Simulation(study)
    for _ in simulation.steps():
        pass
    cells, dead = study.cells, simulation.cell_state("dead")
    third = cells.position[:, 2] // 200  # along x [um]
    is_neighbour = cells.type_index == cells.type_names.index("fibroblast")
    return [float(dead[is_neighbour & (third == k)].mean()) for k in range(3)]


def test_what_an_immune_activating_payload_calls_in_kills_around_its_source():
    near, middle, far = neighbours_killed("10 molecules / s")
    assert near > 1.3 * far > 0 and near > middle > far
    assert max(neighbours_killed("0 molecules / s")) < 1e-6


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("antigen_crossover", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_below_a_crossover_level_of_antigen_release_outside_beats_internalisation(example):
    table = example.solve()
    gain = table["clone A"][1] / table["clone A"][0]
    assert 1e5 < example.crossover(table) < 1e6
    assert gain[0] > 5 and gain[-1] < 0.95 and (np.diff(np.sign(np.log(gain))) != 0).sum() == 1
    assert (table["fibroblast"][1] > table["fibroblast"][0]).all()  # the price, at every level


def test_without_protease_there_is_no_crossover(example):
    table = example.solve(overrides=NO_PROTEASE)
    assert table["clone A"][1] == pytest.approx(table["clone A"][0], rel=1e-6)
    assert math.isnan(example.crossover(table)) or np.abs(table["clone A"][1] / table["clone A"][0] - 1).max() < 1e-6


def test_the_sweep_of_two_hundred_designs_varies_what_it_says():
    sweep = read_sweep_file(SEED / "designs_200.toml")
    points = make_points(sweep)
    assert len(points) == 200 and len({tuple(point.changes.items()) for point in points}) == 200
    first, last = make_variants(
        sweep.study, {p.name: {**p.changes, "grid.voxel": "60 um"} for p in (points[0], points[-1])}
    )
    assert not np.array_equal(first.study.parameters, last.study.parameters)
    assert load_study(sweep.study).geometry.grid.shape == (48, 48, 48)

"""Targets in stirred cultures: what cells take up, release, and whether they live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import brentq

from payloadfield.compare.verify.checks import (
    AT_LEAST,
    AT_MOST,
    DIFFERENCE,
    FACTOR,
    RELATIVE,
    Check,
)
from payloadfield.compare.verify.solving import (
    Floats,
    Solver,
    living,
    load,
    number_in,
    observed,
    observed_all,
)

Changes = Mapping[str, Any]
AVOGADRO = 0.602214076  # molecules / (nM um^3)
T_DXD = 153.702  # ng/mL of 1 nM
DXD = 0.4935  # ng/mL of 1 nM
HALF = 0.5
LINES = ("SK-BR-3", "NCI-N87", "KPL-4")
FITTED_LINES = ("SK-BR-3", "NCI-N87")
FITTED_DOSES = (1, 10)  # nM of SN-38
CONJUGATES = ("T-DXd", "T-DM1", "trastuzumab-charged-DXd")


# -- 1, 2: uptake and release of T-DM1 ------------------------------------------------------------------------------


def chase(solver: Solver, line: str, changes: Changes | None = None) -> tuple[Floats, Floats, Floats]:
    """T-DM1 left on the surface, unconjugated payload in the cell [nM] and outside [nM], at each output."""
    study = load("pulse_chase", {"cells.0.type": line} | dict(changes or {}))
    parts = ("payload_lysosome", "payload_cytosol", "payload_bound")
    states, outside = solver.at_outputs(study, ("complex", *parts), "payload")
    of_cell = dict(zip(study.mechanism.cell_parameters, study.cell_parameters[:, 0], strict=True))
    inside = sum(states[part] for part in parts) / (of_cell["volume"] * AVOGADRO)
    return states["complex"] / of_cell["receptors"], np.asarray(inside), outside


def check_chase(solver: Solver, target: str, line: str) -> Iterator[Check]:
    """Every figure that is known of one line against the chase."""
    hours = (2, 4, 8, 16, 24)
    tables = ("surface_fraction", "unconjugated_inside", "payload_outside")
    names = ("T-DM1 on the surface", "unconjugated payload in the cell", "payload in the medium")
    for table, name, found in zip(tables, names, chase(solver, line), strict=True):
        unit = "1" if table == "surface_fraction" else "nM"
        for key, expected in observed_all(f"T-DM1 chase on {line}", table, unit).items():
            hour = int(number_in(key))
            got = float(found[hours.index(hour)])
            yield Check(target, f"{line}, {name} at {hour} h", expected, got, unit, RELATIVE, 0.01)


def pulse_chase(solver: Solver) -> Iterator[Check]:
    """T-DM1 on SK-BR-3."""
    yield from check_chase(solver, "pulse-chase", "SK-BR-3")


def pulse_chase_others(solver: Solver) -> Iterator[Check]:
    """T-DM1 on BT-474EEI and MCF7-neo/HER2."""
    for line in ("BT-474EEI", "MCF7-neo/HER2"):
        yield from check_chase(solver, "pulse-chase-others", line)


# -- 4, 5: growth ---------------------------------------------------------------------------------------------------


def alive(
    solver: Solver, study: str, dose: float, changes: Changes, field: str = "adc", treated: Changes | None = None
) -> float:
    """Living cells under a dose [nM], over those without it; `treated` changes the cells with the dose alone."""
    with_dose = load(study, {**changes, **(treated or {}), f"initial.fields.{field}": f"{dose} nM"})
    without = load(study, {**changes, f"initial.fields.{field}": "0 nM"})
    return float(living(solver(with_dose))[0] / living(solver(without))[0])


def half_dose(
    solver: Solver, line: str, treated: Changes | None = None, low: float = 1.0, high: float = 300.0
) -> float:
    """T-DXd [ng/mL] that leaves half of the cells of a line after six days; nan outside low to high."""
    given = {"cells.0.type": line}
    untreated = living(solver(load("assay", given)))[0]

    def excess(log_mass: float) -> float:
        dose = f"{np.exp(log_mass) / T_DXD} nM"
        changes = {**given, **(treated or {}), "initial.fields.adc": dose}
        return float(living(solver(load("assay", changes)))[0] / untreated - HALF)

    ends = np.log([low, high])
    if excess(ends[0]) < 0 or excess(ends[1]) > 0:
        return float("nan")
    return float(np.exp(brentq(excess, *ends, xtol=1e-3)))


def half_doses(solver: Solver) -> Iterator[Check]:
    """IC50 of T-DXd on three lines, and their order."""
    found = {line: half_dose(solver, line) for line in LINES}
    for line, got in found.items():
        expected = observed(f"T-DXd on {line}", "IC50_mass", "ng/mL")
        yield Check("IC50", f"T-DXd on {line}, 6 d", expected, got, "ng/mL", FACTOR, 2.0, line in FITTED_LINES)
    for lower, upper in pairwise(LINES):
        yield Check("IC50", f"{upper} over {lower}", 1.0, found[upper] / found[lower], "1", AT_LEAST)


SN38 = {"agent": "SN-38", "cells.0.type": "HCC1806", "duration": "72 h", "output.times": '["72 h"]'}


def dose_response(solver: Solver) -> Iterator[Check]:
    """Free SN-38 on HCC1806 for three days."""
    for key, expected in observed_all("SN-38 on HCC1806", "alive", "1").items():
        dose = number_in(key)
        got = alive(solver, "assay", dose, SN38, "payload")
        what = f"HCC1806 alive at {dose:g} nM, 72 h"
        yield Check("SN-38", what, expected, got, "1", DIFFERENCE, 0.10, dose in FITTED_DOSES)


# -- 6: release -----------------------------------------------------------------------------------------------------


def released(solver: Solver, receptors: float, changes: Changes | None = None) -> float:
    """DXd in the medium after a day of Dato-DXd [ng/mL]."""
    given = {"parameters.receptors": f"{receptors} molecules"} | dict(changes or {})
    return float(np.nanmean(solver(load("release", given)).field_on_grid("payload"))) * DXD


def release_by_antigen(solver: Solver) -> Iterator[Check]:
    """DXd released by Dato-DXd at eight levels of TROP2."""
    measured = {number_in(key): value for key, value in _measured_release().items()}
    levels = sorted(measured)
    found = [released(solver, level) for level in levels]
    for level, got in zip(levels, found, strict=True):
        what = f"DXd in the medium, {level:,.0f} TROP2"
        yield Check("release", what, measured[level], got, "ng/mL", FACTOR, 3.0, level in levels[::2])
    rises = float(np.min(np.diff(found)))
    yield Check("release", "smallest rise from a level to the next", 0.0, rises, "ng/mL", AT_LEAST)


def _measured_release() -> dict[str, float]:
    return observed_all("DXd released by Dato-DXd", "released", "ng/mL")


# -- 7: bystanders --------------------------------------------------------------------------------------------------


def left_in_coculture(solver: Solver, agent: str, changes: Changes | None = None) -> tuple[float, float]:
    """Living KPL-4 and MDA-MB-468 after five days together, over those of an untreated culture."""
    counts = []
    for dose in ("10 nM", "0 nM"):
        simulation = solver(load("coculture", {"agent": agent, "initial.fields.adc": dose} | dict(changes or {})))
        alive_now, kind = living(simulation), simulation.study.cells.type_index
        counts.append([alive_now[kind == each].sum() for each in (0, 1)])
    return counts[0][0] / counts[1][0], counts[0][1] / counts[1][1]


def coculture(solver: Solver) -> Iterator[Check]:
    """Which of two kinds of cells three conjugates kill: fewer than half are left."""
    for agent in CONJUGATES:
        positive, negative = left_in_coculture(solver, agent)
        yield Check("co-culture", f"KPL-4 left under {agent}", HALF, positive, "1", AT_MOST)
        rule = AT_MOST if agent == "T-DXd" else AT_LEAST
        yield Check("co-culture", f"MDA-MB-468 left under {agent}", HALF, negative, "1", rule)

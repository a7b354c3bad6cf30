"""Targets in tissue: an antibody in a spheroid, payload around a vessel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from payloadfield.compare.verify.checks import AT_LEAST, AT_MOST, RELATIVE, Check
from payloadfield.compare.verify.solving import HOUR, Floats, Solver, load, number_in, observed, observed_all
from payloadfield.library import load_library
from payloadfield.solver import Simulation, make_simulation
from payloadfield.units import parse_quantity

Changes = Mapping[str, Any]
MEASURED = "rituximab in a spheroid"
WASH, FAST = 30.0, "568 um/s"  # half a minute; the surface while it is washed, 1e4 radii an hour
RECEPTORS = (1e3, 1e4, 1e5, 1e6)
INSIDE = ("payload_lysosome", "payload_cytosol", "payload_bound")


# -- 3: a spheroid --------------------------------------------------------------------------------------------------


def spheroid_readings(solver: Solver, washed: bool = True) -> tuple[list[float], list[float]]:
    """Volume means [nM] at each hour of entering and of leaving, each after its wash."""
    hours = [number_in(key) for key in observed_all(MEASURED, "entering", "nM")]
    entered = _fields(solver, {}, hours)
    start = entered[hours.index(24)]
    hours_out = [number_in(key) for key in observed_all(MEASURED, "leaving", "nM")]
    clearing = load_library().find("spheroid", "setup").quantity("permeability_clearing.adc").text
    left = _fields(solver, {"setup.permeability.adc": clearing, "initial.bath.adc": "0 nM"}, hours_out, start)
    return [_reading(solver, each, washed) for each in entered], [_reading(solver, each, washed) for each in left]


def spheroid(solver: Solver) -> Iterator[Check]:
    """Rituximab entering and leaving: the published model, and its distance from the data."""
    found = dict(zip(("entering", "leaving"), spheroid_readings(solver), strict=True))
    misses = []
    for table, values in found.items():
        published = observed_all(MEASURED, f"model_{table}", "nM")
        for (key, expected), got in zip(published.items(), values, strict=True):
            yield Check("spheroid", f"{table}, {number_in(key):g} h", expected, got, "nM", RELATIVE, 0.02)
            misses.append(got - observed(MEASURED, f"{table}.{key}", "nM"))
    error = float(np.sqrt(np.mean(np.square(misses))))
    yield Check("spheroid", "root mean square distance from the data", 4.4, error, "nM", AT_MOST)


def _fields(solver: Solver, changes: Changes, hours: list[float], start: Floats | None = None) -> list[Floats]:
    """Concentrations in the open voxels at each hour, from those given or from none."""
    times = "[" + ", ".join(f'"{hour} h"' for hour in hours) + "]"
    study = load("spheroid", {**changes, "duration": f"{max(hours)} h", "output.times": times})
    simulation = make_simulation(study, solver.backend)
    if start is not None:
        _begin_with(simulation, start)
    simulation.outputs_now()
    kept = []
    for record in simulation.steps():
        kept += [simulation.state.fields[0] for _ in record.outputs]
    return kept


def _begin_with(simulation: Simulation, start: Floats) -> None:
    """Put concentrations of the only field into a simulation that has not begun."""
    data, plan = simulation.checkpoint(), simulation.plan
    gained = plan.field_capacity(0) @ (start - data["state_fields"][0])
    data["ledger_initial"] = data["ledger_initial"] + plan.moiety_of_field[:, 0] * gained
    data["state_fields"][0] = start
    simulation.restore(data)


def _reading(solver: Solver, field: Floats, washed: bool) -> float:
    """Amount over the volume of the ball [nM], after the wash."""
    changes = {"setup.permeability.adc": FAST, "initial.bath.adc": "0 nM"}
    study = load("spheroid", {**changes, "duration": f"{WASH} s", "output.times": f'["{WASH} s"]'})
    simulation = make_simulation(study, solver.backend)
    _begin_with(simulation, field)
    if washed:
        simulation.run()
    radius = parse_quantity(load_library().find("spheroid", "setup").quantity("radius").text, "um", "radius")
    amount = simulation.plan.field_capacity(0) @ simulation.state.fields[0]
    return float(amount / (4 / 3 * np.pi * radius**3))


# -- 8, 9: around a vessel ------------------------------------------------------------------------------------------


def near_and_far(simulation: Simulation, values: Floats) -> tuple[float, float]:
    """Means over the quarter of the cells nearest to the vessel and over the quarter farthest from it."""
    study = simulation.study
    _, ny, nx = study.geometry.grid.shape
    half = np.array([ny, nx]) * study.geometry.grid.spacing / 2
    order = np.argsort(np.hypot(*(study.cells.position[:, 1:] - half).T), kind="stable")
    quarter = len(order) // 4
    return float(values[order[:quarter]].mean()), float(values[order[-quarter:]].mean())


def far_share(solver: Solver, receptors: float, changes: Changes | None = None) -> float:
    """Payload in far cells over that in near ones."""
    given = {"parameters.receptors": f"{receptors} molecules"} | dict(changes or {})
    simulation = solver(load("barrier", given))
    near, far = near_and_far(simulation, np.sum([simulation.cell_state(name) for name in INSIDE], axis=0))
    return far / near


def barrier(solver: Solver) -> Iterator[Check]:
    """Payload far from a vessel over that near it: the more receptors, the less."""
    found = [far_share(solver, receptors) for receptors in RECEPTORS]
    for receptors, got, (rule, bound) in zip(
        RECEPTORS, found, ((AT_LEAST, 0.9), (AT_LEAST, 0.9), (AT_MOST, 0.6), (AT_MOST, 0.2)), strict=True
    ):
        yield Check("barrier", f"far over near, {receptors:,.0f} receptors", bound, got, "1", rule)
    yield Check(
        "barrier", "smallest fall from a number to the next", 0.0, float(-np.max(np.diff(found))), "1", AT_LEAST
    )


def uptake_half_lives() -> dict[str, float]:
    """Half-lives of uptake of the payloads that have been measured [s], shortest first."""
    found = {}
    for name, entry in load_library().entries["payload"].items():
        rate, half = entry.values.get("k_in"), entry.values.get("uptake_half_life")
        if half is not None:
            found[name] = parse_quantity(half.text, "s", half.key)
        elif rate is not None and rate.grade != "assumed":
            found[name] = float(np.log(2) / parse_quantity(rate.text, "1/s", rate.key))
    return dict(sorted(found.items(), key=lambda item: item[1]))


def coverage(solver: Solver, half_life: float, changes: Changes | None = None) -> float:
    """Exposure of far cells to payload that left other cells [nM h]."""
    given = {"parameters.k_in": f"{np.log(2) / half_life} / s"} | dict(changes or {})
    simulation = solver(load("bystanders", given))
    return near_and_far(simulation, simulation.cell_state("payload_exposure_from_outside"))[1] / HOUR


def bystanders(solver: Solver) -> Iterator[Check]:
    """Coverage of far cells against the rate of uptake: the best is neither the fastest nor the slowest."""
    half_lives = uptake_half_lives()
    found = [coverage(solver, each) for each in half_lives.values()]
    names, best = list(half_lives), int(np.argmax(found))
    yield Check(
        "bystanders", f"best ({names[best]}) over fastest ({names[0]})", 1.05, found[best] / found[0], "1", AT_LEAST
    )
    yield Check("bystanders", f"best over slowest ({names[-1]})", 1.05, found[best] / found[-1], "1", AT_LEAST)
    turns = int(np.count_nonzero(np.diff(np.sign(np.diff(found)))))
    yield Check("bystanders", "turns from rise to fall over the half-lives", 1, turns, "1", AT_MOST)

"""What is followed from step to step besides its integral: peaks, and times above thresholds."""

from __future__ import annotations

import math
from typing import Any

from payloadfield.errors import UnitsError
from payloadfield.mechanism import Mechanism
from payloadfield.mechanism.exposures import exposure_to, own_exposures, rate_unit, with_exposures
from payloadfield.study.problems import Problems, did_you_mean
from payloadfield.study.schema import OutputTable
from payloadfield.units import parse_quantity


def follow_named(mechanism: Mechanism, table: OutputTable) -> Mechanism:
    """The mechanism with an exposure to everything that [output] names under peaks and thresholds."""
    return with_exposures(mechanism, [*(table.peaks or ()), *table.thresholds])


def resolve_peaks(
    table: OutputTable, mechanism: Mechanism, problems: Problems
) -> tuple[tuple[str, ...], dict[str, float]]:
    """Exposures to be followed, the mechanism's own first, and thresholds by exposure in its unit per second."""
    peaks, thresholds = list(own_exposures(mechanism)), {}
    for name in table.peaks or ():
        found = _find(name, "output.peaks", mechanism, problems)
        peaks += [found] if found else []
    for name, given in table.thresholds.items():
        key = f"output.thresholds.{name}"
        found = _find(name, key, mechanism, problems)
        if found in thresholds:
            problems.add(key, f"{found} has a threshold already, under another name; one can be followed")
        elif found:
            peaks.append(found)
            thresholds[found] = _threshold(given, found, key, mechanism, problems)
    return tuple(dict.fromkeys(peaks)), thresholds


def _find(name: str, key: str, mechanism: Mechanism, problems: Problems) -> str | None:
    found = exposure_to(mechanism, name)
    if found is None:
        known = (*mechanism.field_names, *mechanism.state_names)
        problems.add(key, f"got {name!r}, no field, state or exposure; {did_you_mean(name, known)}")
    return found


def _threshold(given: Any, exposure: str, key: str, mechanism: Mechanism, problems: Problems) -> float:
    unit = rate_unit(next(state.unit for state in mechanism.states if state.name == exposure))
    try:
        value = parse_quantity(given, unit, problems.at(key))
    except UnitsError as error:
        problems.add(key, str(error).removeprefix(f"{problems.at(key)}: "))
        return math.nan
    if not (math.isfinite(value) and value >= 0):
        problems.add(key, f"got {given!r}; a finite value of at least 0 {unit} is needed")
    return value

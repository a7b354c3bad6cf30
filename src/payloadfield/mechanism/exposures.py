"""Exposures by what they integrate: the one to a field or state, and one more where there is none yet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from payloadfield.mechanism.dimensions import internal_unit
from payloadfield.mechanism.model import Mechanism, State
from payloadfield.mechanism.nodes import Number, Symbol, symbols
from payloadfield.units import dimension

ENDING = "_exposure"


def with_exposures(mechanism: Mechanism, names: Iterable[str]) -> Mechanism:
    """The mechanism with an exposure to each of the fields and states named; what is unknown is passed over."""
    for name in names:
        species = {**dict.fromkeys(mechanism.field_names, "nM"), **{s.name: s.unit for s in mechanism.states}}
        if exposure_to(mechanism, name) is None and name in species:
            unit = internal_unit(dimension(f"({species[name]}) * s"))
            doc = f"integral of {name}" + (" around the cell" if name in mechanism.field_names else "")
            own = State(f"{name}{ENDING}", "exposure", {}, Number(0.0), None, unit, doc, Symbol(name))
            digest = hashlib.sha256(f"{mechanism.digest} with {own.name}".encode()).hexdigest()
            mechanism = replace(mechanism, states=(*mechanism.states, own), digest=digest)
    return mechanism


def exposure_to(mechanism: Mechanism, name: str) -> str | None:
    """The exposure of that name, else the first whose rate depends on no field or state but that one; None if none."""
    species = {*mechanism.field_names, *mechanism.state_names}
    for state in _integrals(mechanism):
        if state.name == name or (state.rate is not None and symbols(state.rate) & species == {name}):
            return state.name
    return None


def own_exposures(mechanism: Mechanism) -> tuple[str, ...]:
    """Exposures that the mechanism declares, without their parts by source."""
    parts = tuple(f"_from_{tag}" for tag in mechanism.tags)
    return tuple(state.name for state in _integrals(mechanism) if not state.name.endswith(parts))


def rate_unit(unit: str) -> str:
    """Unit of what an exposure integrates: that of the exposure per second."""
    return internal_unit(dimension(f"({unit}) / s"))


def short_name(exposure: str) -> str:
    """What an exposure is of, as results are named: payload_exposure gives payload_peak."""
    return exposure.removesuffix(ENDING)


def result_names(peaks: Iterable[str], thresholds: Iterable[str]) -> list[str]:
    """Names of what is found of exposures: peaks and their times, then times above thresholds."""
    of_peaks = [f"{short_name(name)}_{what}" for name in peaks for what in ("peak", "peak_time")]
    return of_peaks + [f"{short_name(name)}_time_above" for name in thresholds]


def _integrals(mechanism: Mechanism) -> Iterator[State]:
    return (state for state in mechanism.states if state.kind == "exposure" and state.rate is not None)

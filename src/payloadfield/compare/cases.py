"""The cases of a comparison: each design under each scenario and at each dose, on one geometry with the same cells."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from payloadfield.errors import StudyError, UnitsError
from payloadfield.study import Study, make_variants, read_variants
from payloadfield.study.reading import read_study
from payloadfield.units import number_and_unit

MOST_CASES = 1000
"""More cases than this in one comparison are refused: `sweep` is made for them."""

_LONGEST_SLUG = 40


@dataclass(frozen=True, eq=False)
class Case:
    """One run of a comparison.

    scenario, design: names.  dose_factor: what every dose of the schedule is multiplied by.  study: resolved.
    changes: what it sets in the study, by dotted key.  folder: of its run, relative to the comparison's.
    """

    scenario: str
    design: str
    dose_factor: float
    study: Study
    changes: Mapping[str, Any]
    folder: str

    @property
    def name(self) -> str:
        """How messages call it."""
        dose = "" if self.dose_factor == 1.0 else f" at {self.dose_factor:g} times the dose"
        return f"{self.design!r} in {self.scenario!r}{dose}"


def make_cases(
    study: str | Path | Mapping[str, Any], overrides: Sequence[str] = (), dose_factors: Sequence[float] = (1.0,)
) -> tuple[Case, ...]:
    """Every scenario, design and dose factor of a study, in this order, the last fastest.

    overrides: texts "key=value" for all.  dose_factors: 1, the dose of the study, is always among them.
    Raises StudyError for what is wrong in any case, and for more than `MOST_CASES`.
    """
    factors = _checked(dose_factors)
    variants = read_variants(study, overrides)
    names = [(s, d, f) for s in variants["scenario"] for d in variants["design"] for f in factors]
    if len(names) > MOST_CASES:
        raise StudyError(
            f"{read_study(study).file}: {len(variants['scenario'])} scenarios of {len(variants['design'])} designs at "
            f"{len(factors)} doses are {len(names)} runs; a comparison takes at most {MOST_CASES}: leave some out, or "
            "use `payloadfield sweep`"
        )
    schedule = read_study(study).raw.get("schedule", [])
    made = make_variants(study, {_label(*each): _changes(variants, schedule, *each) for each in names}, overrides)
    return tuple(
        Case(*each, variant.study, variant.changes, f"runs/{index:03d}-{slug(variant.name)}")
        for index, (each, variant) in enumerate(zip(names, made, strict=True))
    )


def slug(name: str) -> str:
    """A name as a part of a path: letters, digits and dashes."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:_LONGEST_SLUG] or "unnamed"


def _checked(dose_factors: Sequence[float]) -> tuple[float, ...]:
    for factor in dose_factors:
        if not (math.isfinite(factor) and factor > 0):
            raise StudyError(f"doses: got {factor:g}; factors above 0 are needed, such as 0.1, 1, 10")
    return tuple(sorted({1.0, *dose_factors}))


def _label(scenario: str, design: str, factor: float) -> str:
    dose = "" if factor == 1.0 else f", {factor:g} times the dose"
    return f"{design}, {scenario}{dose}"


def _changes(
    variants: Mapping[str, Mapping[str, Mapping[str, Any]]],
    schedule: Sequence[Mapping[str, Any]],
    scenario: str,
    design: str,
    factor: float,
) -> dict[str, Any]:
    """What a case sets: the scenario's values, then the design's, then the doses of whichever was set last."""
    # Copies: what one case sets inside a table that a design gives must not reach the others.
    changes = deepcopy({**variants["scenario"][scenario], **variants["design"][design]})
    if factor != 1.0:
        set_already = {key.replace('"', ""): value for key, value in deepcopy(changes).items()}
        rows = [
            {**row, "dose": set_already.get(f"schedule[{index}].dose", row.get("dose", {}))}
            for index, row in enumerate(set_already.get("schedule", schedule))
        ]
        for key, amount in _doses(rows).items():
            changes[key] = _scaled(set_already.get(key.replace('"', ""), amount), factor, key)
    return changes


def _doses(schedule: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every dose of a schedule by its dotted key; a curve has no one number to multiply."""
    found: dict[str, Any] = {}
    for index, row in enumerate(schedule):
        if "curve" in row:
            raise StudyError(
                f"schedule[{index}].curve: doses can be multiplied, a curve cannot; leave out the doses to compare"
            )
        found |= {f'schedule[{index}].dose."{name}"': amount for name, amount in row.get("dose", {}).items()}
    return found


def _scaled(amount: Any, factor: float, key: str) -> Any:
    if isinstance(amount, (int, float)):
        return amount * factor
    try:
        number, unit = number_and_unit(str(amount), key)
    except UnitsError as error:
        raise StudyError(str(error)) from None
    return f"{number * factor!r} {unit}"

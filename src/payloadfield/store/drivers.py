"""Which assumed numbers drive the results of a study: each moved over its range, one at a time, in the study in small.

What a geometry assumes (lengths of a set-up, shapes) is not moved: the small study has no shapes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from payloadfield.errors import PayloadfieldError
from payloadfield.geometry import Material
from payloadfield.solver import Simulation
from payloadfield.store import layout
from payloadfield.store.files import write_atomically
from payloadfield.store.reduction import Reduction, reduce_study
from payloadfield.study import Source, Study

THRESHOLD = 0.1
"""A number that changes a result by more than this share of it is named."""

WITHOUT_RANGE = 2.0
"""A number without a range is divided and multiplied by this."""

SMALLEST = 1e-9
"""Exposures below this share of the largest of their kind are not compared: they are zero but for rounding."""

FEW = 0.01
"""Fates that fewer cells than this come to, of each at the start, are not compared."""

_Floats = NDArray[np.float64]
_Outcomes = dict[tuple[str, str], float]


@dataclass(frozen=True)
class Driver:
    """An assumed number, and what it does: moving it to `moved` [unit] changes `result` of `cell_type` by the share
    `change`, which is the largest of all. moved is None where no move could be solved."""

    key: str
    value: float
    unit: str
    low: float
    high: float
    moved: float | None
    result: str
    cell_type: str
    change: float

    @property
    def matters(self) -> bool:
        """Whether a result changes by more than `THRESHOLD`."""
        return abs(self.change) > THRESHOLD


def find_drivers(study: Study) -> list[Driver]:
    """Every assumed input that can be moved, the one that does most first; none for a study without cells.

    Exposures and fates (expected ones, where they are sampled too) of each cell type are compared, at the end.
    """
    small = reduce_study(study)
    if small is None:
        return []
    base = _outcomes(small.study, small.type_index)
    if not base:  # nothing to compare: no exposure at all, or none that could be solved
        return []
    found = [_driver(source, small, base) for source in study.sources if _is_movable(source, small)]
    return sorted(found, key=lambda each: -abs(each.change))


def keep_drivers(directory: Path, study: Study) -> None:
    """Write what `find_drivers` finds into a run directory."""
    found = [asdict(driver) for driver in find_drivers(study)]
    write_atomically(directory / layout.DRIVERS, json.dumps(found, indent=1, allow_nan=False).encode())


def describe_driver(driver: Driver) -> str:
    """One line for people."""
    unit = "" if driver.unit == "1" else f" {driver.unit}"
    return (
        f"{driver.key} = {driver.value:g}{unit}: at {driver.moved:g}{unit}, {driver.result} of {driver.cell_type} "
        f"changes by {100 * driver.change:+.0f}%"
    )


def _is_movable(source: Source, small: Reduction) -> bool:
    return source.grade.startswith("assumed") and any(True for _ in _moved(source, small, source.value))


def _driver(source: Source, small: Reduction, base: _Outcomes) -> Driver:
    """The largest change of a result as a number moves to the ends of its range."""
    low, high = _range(source)
    best = Driver(source.key, source.value, source.unit, low, high, None, "", "", 0.0)
    for end in dict.fromkeys((low, high)):
        if end == source.value:
            continue
        for study in _moved(source, small, end):
            moved = _outcomes(study, small.type_index)
            if moved is None:
                continue
            for (result, cell_type), value in base.items():
                change = moved.get((result, cell_type), 0.0) / value - 1
                if best.moved is None or abs(change) > abs(best.change):
                    best = replace(best, moved=end, result=result, cell_type=cell_type, change=float(change))
    return best


def _range(source: Source) -> tuple[float, float]:
    low = source.value / WITHOUT_RANGE if source.low is None else source.low
    high = source.value * WITHOUT_RANGE if source.high is None else source.high
    return low, high


def _moved(source: Source, small: Reduction, value: float) -> Iterator[Study]:
    """The small study with one number in the place of another; nothing where the number is none of its parameters."""
    study = small.study
    if source.parameters:
        parameters, of_cells = study.parameters.copy(), study.cell_parameters.copy()
        _set(source, value, study, parameters, of_cells)
        yield small.with_values(parameters, of_cells)
        return
    material = _other_material(source, value, study)
    if material is not None:
        yield small.with_values(study.parameters, study.cell_parameters, material)


def _set(source: Source, value: float, study: Study, parameters: _Floats, of_cells: _Floats) -> None:
    """Put a value into every parameter that reads it; spread between cells and factors of resistance stay."""
    mechanism, cells = study.mechanism, study.cells
    own = [f"cell_types.{name}." for name in cells.type_names]
    is_own = np.array([source.key.startswith(start) for start in own])
    members = is_own[cells.type_index] if is_own.any() else np.ones(cells.n_cells, bool)
    for name in source.parameters:
        rows = (
            (mechanism.study_parameters, parameters[:, None], slice(None)),
            (mechanism.cell_parameters, of_cells, members),
        )
        for names, values, columns in rows:
            if name in names:
                row = values[names.index(name)]
                row[columns] = row[columns] * (value / source.value) if source.value else value


def _other_material(source: Source, value: float, study: Study) -> Material | None:
    """The material with another value of one of its tables; None where the source is none of it."""
    material = study.geometry.materials[0]
    start = f"materials.{material.name}."
    table, _, name = source.key.removeprefix(start).partition(".")
    attribute = "relative_diffusivity" if table == "diffusivity" else table
    if not source.key.startswith(start) or attribute not in ("relative_diffusivity", "accessible_fraction"):
        return None
    given = dict(getattr(material, attribute))
    own = {each.key.removeprefix(start) for each in study.sources}
    reads = [f for f in given if f == name or (name == "default" and not {f"{table}.{f}", f"diffusivity.{f}"} & own)]
    if not reads or source.value == 0:
        return None
    given |= {each: min(given[each] * value / source.value, 1.0 if attribute == "accessible_fraction" else np.inf)
              for each in reads}  # fmt: skip
    tables = {each: getattr(material, each) for each in ("relative_diffusivity", "accessible_fraction")}
    return Material(material.name, material.kind, **(tables | {attribute: given}))


def _outcomes(study: Study, type_index: NDArray[np.int32]) -> _Outcomes | None:
    """Mean of every exposure and fate over the cells of each type at the end; None where it cannot be solved."""
    kinds = {state.name: state.kind for state in study.mechanism.states if state.kind in ("exposure", "fate")}
    try:
        simulation = Simulation(study)
        simulation.run()
    except PayloadfieldError:
        return None
    found: _Outcomes = {}
    for name, kind in kinds.items():
        values = simulation.cell_state(name)
        means = {number: float(values[type_index == number].mean()) for number in np.unique(type_index)}
        least = FEW if kind == "fate" else SMALLEST * max(abs(value) for value in means.values())
        found |= {(name, study.cells.type_names[k]): v for k, v in means.items() if abs(v) > least}
    return found

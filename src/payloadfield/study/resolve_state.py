"""What the mechanism computes from the parameters: diffusivities, initial and typical values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from payloadfield.cells import Cells
from payloadfield.errors import MechanismError
from payloadfield.geometry import Geometry
from payloadfield.mechanism import Mechanism, backward_rates, evaluate
from payloadfield.mechanism.expressions import parse
from payloadfield.mechanism.nodes import Expr, symbols
from payloadfield.study.problems import Problems, did_you_mean
from payloadfield.study.resolve_schedule import Dosing, concentration
from payloadfield.study.study import FloatArray
from payloadfield.units import AVOGADRO_NM_UM3

Values = Mapping[str, Any]


def all_values(mechanism: Mechanism, parameters: FloatArray, cell_parameters: FloatArray) -> dict[str, Any]:
    """Every name that an expression may read, for all cells at once."""
    study = zip(mechanism.study_parameters, parameters, strict=True)
    cells = zip(mechanism.cell_parameters, cell_parameters, strict=True)
    return {"N_A": AVOGADRO_NM_UM3, **dict(study), **dict(cells)}


def check_rates(mechanism: Mechanism, values: Values, problems: Problems) -> None:
    """Note rates that can only be negative: the reaction would run backwards, and take what need not be there."""
    for place, rate in backward_rates(mechanism, values):
        negative = [name for name in sorted(symbols(rate)) if name in values and np.min(values[name], initial=0.0) < 0]
        given = ", ".join(f"{name} is {np.min(values[name]):g}" for name in negative)
        problems.add(
            f"mechanism, {place}.rate",
            f"{rate} is never positive{f' ({given})' if given else ''}, so that it would run backwards and take what "
            "need not be there; write what goes the other way as a reaction of its own, with a positive rate",
        )


def diffusivities(mechanism: Mechanism, values: Values, problems: Problems) -> FloatArray:
    """Diffusivity of each field in medium (F,) [um^2/s]."""
    found = np.array([float(evaluate(item.diffusivity, values)) for item in mechanism.fields])
    for item, value in zip(mechanism.fields, found, strict=True):
        if not (math.isfinite(value) and value >= 0):
            problems.add("parameters", f"the diffusivity of {item.name!r}, {item.diffusivity}, is {value:g} um^2/s; "
                         "a finite number of at least 0 is needed")  # fmt: skip
    return found


def refuse_homeless(mechanism: Mechanism, geometry: Geometry, values: Values, problems: Problems) -> None:
    """Note a problem for fields that are in the walls of a study that has none, or in a skin without depth."""
    depths = {item.name: float(evaluate(item.depth, values)) for item in mechanism.fields if item.depth is not None}
    for name, depth in depths.items():
        if not (math.isfinite(depth) and depth > 0):
            problems.add("parameters", f"the depth of {name!r} is {depth:g} um; a finite number above 0 is needed")
    names = list(depths)
    if names and not geometry.wall_area.any():
        modules = {mechanism.origin.get(("fields", name), "") for name in names} - {""}
        problems.add(
            f"modules.{min(modules)}" if modules else "mechanism",
            f"{', '.join(names)} is in the walls of a scaffold, but there is no impermeable wall in this study",
        )


def typical_fields(mechanism: Mechanism, values: Values) -> FloatArray:
    """Typical concentration of each field (F,) [nM]; NaN where the solver is to find it."""
    return np.array([_typical(item.typical, values) for item in mechanism.fields])


def typical_states(mechanism: Mechanism, values: Values) -> FloatArray:
    """Typical size of each slot of a cell (S,): the mean over cells that have any; NaN where there is none."""
    return np.array([_typical(state.typical, values) for state in mechanism.states])


def _typical(expression: Expr | None, values: Values) -> float:
    if expression is None:
        return math.nan
    sizes = np.atleast_1d(np.asarray(evaluate(expression, values), float))
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    return float(sizes.mean()) if sizes.size else math.nan


def initial_concentrations(given: Mapping[str, Any], key: str, dosing: Dosing, problems: Problems) -> FloatArray:
    """Concentrations at the start (F,) [nM]; 0 where nothing is said.  Names as in a dose."""
    found = np.zeros(len(dosing.mechanism.fields))
    for name, amount in given.items():
        index, role = dosing.field_of(name)
        if index is None:
            problems.add(f"{key}.{name}", f"unknown field; {did_you_mean(name, dosing.mechanism.field_names)}")
        else:
            found[index] = concentration(amount, dosing.molar_mass(role), problems, f"{key}.{name}")
    return found


def initial_states(
    mechanism: Mechanism, given: Mapping[str, Any], values: Values, cells: Cells, problems: Problems
) -> FloatArray:
    """Every slot of every cell at the start (S, n_cell): by the study's expression, or else by the mechanism's."""
    states = {state.name: state.initial for state in mechanism.states if state.kind in ("state", "fate")}
    for name, text in given.items():
        key = f"initial.states.{name}"
        if name not in states:
            problems.add(key, f"unknown state; {did_you_mean(name, states)}")
            continue
        expression = _read(text, key, values, problems)
        states[name] = expression if expression is not None else states[name]
    found = np.zeros((len(mechanism.states), cells.n_cells))
    for row, state in zip(found, mechanism.states, strict=True):
        if state.name in states:
            row[:] = evaluate(states[state.name], values)
            _check(row, state.name, states[state.name], problems)
    return found


def _read(text: Any, key: str, values: Values, problems: Problems) -> Expr | None:
    try:
        expression = parse(str(text), key)
    except MechanismError as error:
        problems.add(key, str(error).removeprefix(f"{key}: "))
        return None
    for name in sorted(symbols(expression) - set(values)):
        problems.add(key, f"unknown name {name!r} in {str(text)!r}; {did_you_mean(name, values)}")
        return None
    return expression


def _check(row: FloatArray, name: str, expression: Expr, problems: Problems) -> None:
    wrong = ~np.isfinite(row) | (row < 0)
    if wrong.any():
        problems.add(
            f"initial.states.{name}",
            f"{expression} is {row[wrong][0]:g} in {int(wrong.sum())} cells; finite numbers of at least 0 are needed",
        )


def scale_parameters(mechanism: Mechanism) -> frozenset[str]:
    """Parameters that only set typical sizes, and so the error norm: they are no inputs of the model."""
    inputs: set[str] = set()
    for expression in _model_expressions(mechanism):
        inputs |= symbols(expression)
    return frozenset(parameter.name for parameter in mechanism.parameters) - inputs


def _model_expressions(mechanism: Mechanism) -> Iterator[Expr]:
    for reaction in mechanism.reactions:
        yield from (reaction.rate, *reaction.stoichiometry.values())
    for item in mechanism.fields:
        yield from (item.diffusivity, *item.contains.values())
    for state in mechanism.states:
        yield from (state.initial, *state.contains.values(), *([state.rate] if state.rate else ()))
    for loss in mechanism.accumulators:
        yield from loss.contains.values()

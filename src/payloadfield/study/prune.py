"""A study without the fields and states of cells that can never leave zero in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np

from payloadfield.mechanism.pruning import find_absent, without
from payloadfield.study.study import Event, FloatArray, OutputSettings, Study


def prune(study: Study, asked: Collection[str]) -> Study:
    """The study with a smaller mechanism and arrays to match.

    asked: fields and states that its output names, which are kept, zero as they are.
    """
    mechanism = study.mechanism
    present, has_cells = {*_present(study), *asked}, len(study.cells.type_index) > 0
    absent = find_absent(mechanism, present, set(_zero(study)), has_cells=has_cells)
    if set(mechanism.field_names) <= set(absent):  # a study of nothing keeps its fields
        present |= set(mechanism.field_names)
        absent = find_absent(mechanism, present, set(_zero(study)), has_cells=has_cells)
    fields = [index for index, name in enumerate(mechanism.field_names) if name not in absent]
    states = [index for index, name in enumerate(mechanism.state_names) if name not in absent]
    if not absent:
        return study
    permeability = study.bath.permeability
    output = _output(study.output, absent)
    shown = {**study.effective.get("output", {}), "fields": list(output.fields), "cells": list(output.cells)}
    return replace(
        study,
        mechanism=without(mechanism, absent),
        diffusivity=_kept(study.diffusivity, fields),
        bath=replace(study.bath, permeability=None if permeability is None else _kept(permeability, fields)),
        initial_fields=_kept(study.initial_fields, fields),
        initial_states=_kept(study.initial_states, states),
        initial_bath=_kept(study.initial_bath, fields),
        typical_fields=_kept(study.typical_fields, fields),
        typical_states=_kept(study.typical_states, states),
        schedule=tuple(_event(event, fields) for event in study.schedule),
        output=output,
        effective={**study.effective, "output": shown} if study.effective else study.effective,
    )


def _present(study: Study) -> Iterator[str]:
    """Species that are there at the start, or that the schedule brings."""
    mechanism = study.mechanism
    for index, name in enumerate(mechanism.field_names):
        events = (event.dose.get(index, 0.0) or index in event.curve for event in study.schedule)
        if study.initial_fields[index] or study.initial_bath[index] or any(events):
            yield name
    for name, values in zip(mechanism.state_names, study.initial_states, strict=True):
        if np.any(values):
            yield name


def _zero(study: Study) -> Iterator[str]:
    """Parameters that are exactly zero, of the study or in every cell."""
    mechanism = study.mechanism
    yield from (n for n, value in zip(mechanism.study_parameters, study.parameters, strict=True) if value == 0)
    rows = zip(mechanism.cell_parameters, study.cell_parameters, strict=True)
    yield from (name for name, values in rows if not np.any(values))


def _kept(array: FloatArray, rows: list[int]) -> FloatArray:
    kept = np.ascontiguousarray(array[rows])
    kept.setflags(write=False)
    return kept


def _event(event: Event, fields: list[int]) -> Event:
    row = {index: place for place, index in enumerate(fields)}
    dose = {row[index]: value for index, value in event.dose.items() if index in row}
    return replace(event, dose=dose, curve={row[index]: each for index, each in event.curve.items() if index in row})


def _output(output: OutputSettings, absent: Collection[str]) -> OutputSettings:
    fields, cells = (tuple(name for name in names if name not in absent) for names in (output.fields, output.cells))
    return replace(output, fields=fields, cells=cells)

"""Whether a checkpoint belongs to a study: everything that decides a number counts, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from tests.store.real import STUDY, interrupted, load

import payloadfield
from payloadfield.cells import Cells
from payloadfield.errors import RunError
from payloadfield.geometry import Geometry, Material, VoxelGrid
from payloadfield.store import layout
from payloadfield.store.digest import FREE, study_digest
from payloadfield.store.runner import resume_run
from payloadfield.study import Study
from payloadfield.study.study import Bath, Event, OutputSettings, SolverSettings

PARTS = {"": Study, "solver.": SolverSettings, "output.": OutputSettings, "bath.": Bath, "geometry.": Geometry,
         "geometry.grid.": VoxelGrid, "cells.": Cells}  # fmt: skip
PATHS = [f"{prefix}{item.name}" for prefix, kind in PARTS.items() for item in fields(kind)]
LEAVES = [path for path in PATHS if f"{path}." not in PARTS]


@pytest.fixture(scope="module")
def study():
    return load()


def changed(value):
    """Another value of the same kind."""
    if isinstance(value, np.ndarray):
        other = value.copy() if value.size else np.ones(1, value.dtype)
        first = other.flat[0]
        other.flat[0] = not first if value.dtype == bool else 1.0 if math.isnan(first) else first + 1
        return other
    if isinstance(value, (bool, str)):
        return not value if isinstance(value, bool) else value + "x"
    if isinstance(value, (int, float)):
        return 7.5 if math.isinf(value) else value + 1
    if is_dataclass(value):
        first = fields(value)[0].name
        return replace(value, **{first: changed(getattr(value, first))})
    if isinstance(value, Mapping):
        return {**value, "one more": 1.0}
    if isinstance(value, frozenset):
        return value | {"one more"}
    if isinstance(value, tuple):
        return (changed(value[0]), *value[1:]) if value else (1.0,)
    assert value is None
    return 1.5


def with_other(thing, path):
    name, _, rest = path.partition(".")
    value = getattr(thing, name)
    if name == "mechanism":
        from types import SimpleNamespace

        return replace(thing, mechanism=SimpleNamespace(digest="another"))
    if name == "spacing" or (name == "shape" and not rest):
        return replace(thing, **{name: changed(value)})
    return replace(thing, **{name: with_other(value, rest) if rest else changed(value)})


@pytest.mark.parametrize("path", LEAVES)
def test_every_part_of_a_study_counts_unless_it_decides_no_number(path, study):
    is_same = study_digest(with_other(study, path)) == study_digest(study)
    assert is_same == (path in FREE), path


def test_everything_that_is_free_is_there():
    assert not FREE - set(PATHS)


@pytest.mark.parametrize("item", [item.name for item in fields(Material)])
def test_every_property_of_a_material_counts(item, study):
    material = study.geometry.materials[0]
    value = getattr(material, item)
    other = replace(material, kind="gel") if item == "kind" else replace(material, **{item: changed(value)})
    geometry = replace(study.geometry, materials=(other, *study.geometry.materials[1:]))
    assert study_digest(replace(study, geometry=geometry)) != study_digest(study)


@pytest.mark.parametrize("event", [Event(0.0, {0: 50.0}), Event(0.0, {0: 50.0}, wash=0.5), Event(1.0, {0: 50.0})])
def test_every_part_of_an_event_counts(event, study):
    assert study_digest(replace(study, schedule=(event,))) != study_digest(study)


def test_nothing_without_a_digest_is_passed_over(study):
    with pytest.raises(TypeError, match=r"title|seed"):
        study_digest(replace(study, seed=object()))


@pytest.mark.parametrize(
    "overrides",
    [
        ['bath.volume="500 uL"', "bath.copies=1000", 'bath.permeability.adc="1 um/s"'],
        ['solver.max_step="1 h"', "solver.threads=1", "solver.precision=float64"],
        ['scaffold[0].material="collagen"', "cells[0].variation.receptors=0.3", 'initial.fields.payload="2 nM"'],
    ],
)
def test_the_study_kept_in_a_run_has_the_digest_of_the_one_that_was_run(overrides, tmp_path):
    if "collagen" in overrides[0]:
        overrides = [*overrides, 'materials.collagen.kind="gel"', "materials.collagen.relative_diffusivity.default=0.5"]
    study = load(*overrides)
    directory = interrupted(tmp_path / "run", study, at_step=2)
    assert study_digest(payloadfield.load_study(directory / layout.STUDY)) == study_digest(study)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('\nduration = "43200.0 s"', '\nduration = "43300.0 s"'),
        ('\nvolume = "1000000000.0 um^3"', '\nvolume = "2000000000.0 um^3"'),
        ("\nrtol = 0.01", "\nrtol = 0.02"),
        ('\nprecision = "mixed"', '\nprecision = "float64"'),
    ],
)
def test_a_run_whose_study_was_edited_does_not_go_on(before, after, tmp_path):
    directory = interrupted(tmp_path / "run", load("bath.volume=1 uL"))
    text = (directory / layout.STUDY).read_text()
    assert text.count(before) == 1
    (directory / layout.STUDY).write_text(text.replace(before, after))
    with pytest.raises(RunError, match="differs from the one that the checkpoint belongs to"):
        resume_run(directory)


def test_a_run_goes_on_with_another_limit_on_its_steps(tmp_path):
    directory = interrupted(tmp_path / "run", load("solver.max_steps=1000"))
    text = (directory / layout.STUDY).read_text()
    (directory / layout.STUDY).write_text(text.replace("max_steps = 1000", "max_steps = 2000"))
    sim, writer, _ = resume_run(directory)
    assert sim.study.solver.max_steps == 2000
    writer.abandon("interrupted", "")


def test_the_digest_of_a_file_is_the_same_each_time_it_is_read():
    assert study_digest(payloadfield.load_study(STUDY)) == study_digest(payloadfield.load_study(STUDY))

"""Loads a study: reads it, puts it over the library, and resolves every number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from payloadfield.cells import CellRequest, Cells, exclude_volume, place_cells
from payloadfield.errors import StudyError
from payloadfield.geometry import Geometry, Material, Pockets, VoxelGrid, find_pockets, make_geometry
from payloadfield.library import count_grades, load_library, unit_of
from payloadfield.mechanism import Mechanism, built_in_mechanisms, find_modules, load_mechanism, refuse_modules
from payloadfield.study.effective import Resolved, make_effective
from payloadfield.study.leaves import Leaf, LeafReader
from payloadfield.study.lookup import AGENT, CELL_TYPE, PARAMETERS, PROTEASE, Lookup, read_given
from payloadfield.study.merge import Merger
from payloadfield.study.merged import Merged
from payloadfield.study.overrides import Path as KeyPath
from payloadfield.study.overrides import apply_changes, apply_overrides
from payloadfield.study.problems import Problems
from payloadfield.study.prune import prune
from payloadfield.study.reading import StudyText, is_file, read_study
from payloadfield.study.resistance import KEY as RESISTANCE
from payloadfield.study.resistance import payload_factors, refuse_unread_factors
from payloadfield.study.resolve_agent import find_agent, refuse_other_k_off
from payloadfield.study.resolve_cells import CellResolver, cell_parameters, cell_values
from payloadfield.study.resolve_curves import CurveReader
from payloadfield.study.resolve_fates import check_fates
from payloadfield.study.resolve_geometry import (
    bath_warnings,
    resolve_bath,
    resolve_boundary,
    resolve_grid,
    resolve_materials,
    resolve_profile,
)
from payloadfield.study.resolve_peaks import follow_named
from payloadfield.study.resolve_schedule import Dosing, concentration, curve_tables, resolve_output, resolve_schedule
from payloadfield.study.resolve_shapes import resolve_shapes
from payloadfield.study.resolve_state import (
    all_values,
    check_rates,
    diffusivities,
    initial_concentrations,
    initial_states,
    refuse_homeless,
    scale_parameters,
    typical_fields,
    typical_states,
)
from payloadfield.study.schema import StudyTable
from payloadfield.study.settings import setting_sources
from payloadfield.study.setups import expand_setup, note_setup
from payloadfield.study.shared_space import refuse_other_space
from payloadfield.study.slots import SLOTS, find_slots, unread_values, unused_choices
from payloadfield.study.study import Event, FloatArray, OutputSettings, SolverSettings, Study
from payloadfield.study.touching import contact_warnings
from payloadfield.study.validate import validate

DEFAULT_PROTEASE = "cathepsin L"
PHARMACOKINETICS = "pharmacokinetics"
_KIND_OF_ROOT = {AGENT: "conjugate", PROTEASE: "protease", CELL_TYPE: "cell_type"}
_KIND_OF_ROOT |= {slot.name: slot.kind for slot in SLOTS.values()}


def load_study(study: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Study:
    """A study with every number resolved.

    study: path of a study file, or its tables.  overrides: texts "key=value", as given to --set.
    Raises StudyError (or MechanismError, for the mechanism) that names the file and the key of everything wrong.
    """
    text = read_study(study)
    overridden = apply_overrides(text.raw, overrides, load_library())
    return _load(text, overridden)


def load_variant(
    text: StudyText, overrides: Sequence[str], name: str, changes: Mapping[str, Any], base: Study | None
) -> Study:
    """One design of a study: the tables of `text` with the overrides and then the changes (dotted key -> value).

    base: another design of the same study, whose geometry and cells this one shares.
    Raises StudyError as `load_study` does, and where the changes need another geometry or other cells.
    """
    library, raw = load_library(), deepcopy(text.raw)
    overridden = apply_overrides(raw, overrides, library)
    file = f"{text.file}, design {name!r}"
    designed = apply_changes(raw, changes, library, file)
    raw["variant"] = name
    return _load(StudyText(raw, file, text.folder), overridden, designed, base)


def _load(
    text: StudyText,
    overridden: frozenset[KeyPath],
    designed: frozenset[KeyPath] = frozenset(),
    base: Study | None = None,
) -> Study:
    problems = Problems(text.file)
    reader = LeafReader(problems, overridden, designed)
    setup = expand_setup(text.raw, problems, reader)
    problems.raise_any()
    table = validate(text.raw, text.file)
    name, mechanism = _load_mechanism(table, text)
    merger = Merger(load_library(), reader, _units_of_mechanism(mechanism))
    return _Loading(text, table, name, mechanism, merger, setup, base).resolve()


def _load_mechanism(table: StudyTable, text: StudyText) -> tuple[str, Mechanism]:
    """The mechanism, and how an effective study names it: a built-in name, or a full path."""
    name, path = table.mechanism, text.folder / table.mechanism
    if name not in built_in_mechanisms():
        if not is_file(path):
            known = ", ".join(built_in_mechanisms())
            raise StudyError(f"{text.file}, mechanism: got {name!r}, neither built in ({known}) nor a file at {path}")
        name = str(path)
    problems = Problems(text.file)
    modules = {**_needed_modules(name, table), **table.modules}
    for module, reason in refuse_modules(name, modules):
        problems.add(f"modules.{module}", reason)
    problems.raise_any()
    return name, follow_named(load_mechanism(name, modules), table.output)


def _needed_modules(mechanism: str, table: StudyTable) -> dict[str, bool]:
    """Modules that a study turns on without a word: cell types with factors on the payload."""
    has_factors = any(payload_factors(table.cell_types))
    return {RESISTANCE: True} if has_factors and RESISTANCE in find_modules(mechanism) else {}


def _units_of_mechanism(mechanism: Mechanism) -> dict[str, dict[str, str]]:
    """Units of values that the mechanism reads and the library does not know, by kind and path."""
    units: dict[str, dict[str, str]] = {kind: {} for kind in _KIND_OF_ROOT.values()}
    for parameter in mechanism.parameters:
        root, _, path = (parameter.source or "").partition(".")
        kind = _KIND_OF_ROOT.get(root)
        if kind is not None and path and unit_of(kind, path) is None:
            units[kind][path] = parameter.unit
    return units


@dataclass(frozen=True)
class _Numbers:
    """What a study says before anything is built."""

    boundary: Mapping[str, str]
    parameters: FloatArray
    requests: list[CellRequest]
    of_type: dict[str, dict[str, float]]
    materials: list[Material]
    entries: list[Merged]
    output: OutputSettings
    schedule: tuple[Event, ...]
    initial_fields: FloatArray
    initial_bath: FloatArray


@dataclass(frozen=True)
class _Space:
    """Geometry, pockets and cells."""

    grid: VoxelGrid
    geometry: Geometry
    pockets: Pockets
    cells: Cells


class _Loading:
    """One study on its way from tables to a `Study`."""

    def __init__(
        self, text: StudyText, table: StudyTable, mechanism_name: str, mechanism: Mechanism, merger: Merger,
        setup: Merged | None = None, base: Study | None = None,
    ) -> None:  # fmt: skip
        self.text, self.table, self.mechanism_name = text, table, mechanism_name
        self.setup, self.base = setup, base
        self.mechanism, self.merger, self.problems = mechanism, merger, merger.problems
        off = {
            p: name for name, module in find_modules(mechanism_name).items() for p in module.data.get(PARAMETERS, {})
        }
        given = read_given(table.parameters, mechanism.parameters, merger.reader, off)
        protease = merger.merge_single("protease", "protease", DEFAULT_PROTEASE, table.protease)
        slots = find_slots(table, mechanism, merger)
        agent = find_agent(table, merger)
        refuse_other_k_off(agent, mechanism, self.problems)
        merger.payload_target = agent.labels.get("payload.target_protein") if agent else None
        self.lookup = Lookup(merger, agent, protease, given, slots, scale_parameters(mechanism))
        self.dosing = Dosing(mechanism, self.lookup.agent, merger, slots)
        self.resolver = CellResolver(table, mechanism, self.lookup, text.folder)

    def resolve(self) -> Study:
        """The study.  Numbers first, so that a wrong one is refused before the geometry is built."""
        numbers = self._numbers()
        self.problems.raise_any()
        space = self._space(numbers) if self.base is None else self._shared_space(numbers, self.base)
        study = self._study(numbers, space)
        self.problems.raise_any()
        return prune(study, {*(self.table.output.fields or ()), *(self.table.output.cells or ())})

    def _numbers(self) -> _Numbers:
        table, problems, mechanism = self.table, self.problems, self.mechanism
        boundary = resolve_boundary(table.boundary, problems)
        study_parameters = [parameter for parameter in mechanism.parameters if parameter.per == "study"]
        parameters = np.array([self.lookup.study_value(parameter) for parameter in study_parameters])
        requests = self.resolver.requests()
        of_type = cell_values(mechanism, self.resolver.types, self.lookup)
        refuse_unread_factors(mechanism, self.resolver.types.values(), problems)
        in_medium = dict(zip(mechanism.field_names, self._diffusivities(parameters), strict=True))
        materials, entries = resolve_materials(table, mechanism, self.merger, self.lookup, in_medium)
        note_setup(self.setup, self.lookup)
        has_bath = "bath" in boundary.values() or any(material.kind == "bath" for material in materials)
        numbers = _Numbers(
            boundary=boundary,
            parameters=parameters,
            requests=requests,
            of_type=of_type,
            materials=materials,
            entries=entries,
            output=resolve_output(table.output, table.duration, mechanism, problems),
            schedule=resolve_schedule(table, self.dosing, self._curve_reader(), problems, has_bath=has_bath),
            initial_fields=initial_concentrations(table.initial.fields, "initial.fields", self.dosing, problems),
            initial_bath=initial_concentrations(table.initial.bath, "initial.bath", self.dosing, problems),
        )
        self.lookup.note_missing_agent()
        self.lookup.note_missing_choices(mechanism)
        return numbers

    def _diffusivities(self, parameters: FloatArray) -> FloatArray:
        """Diffusivity of every field in medium [um^2/s], before there are cells."""
        values = all_values(self.mechanism, parameters, np.zeros((len(self.mechanism.cell_parameters), 0)))
        return diffusivities(self.mechanism, values, Problems(""))

    def _curve_reader(self) -> CurveReader:
        library, problems = self.merger.library, self.problems

        def find(name: str) -> dict[str, Leaf] | None:
            if not library.has(name, PHARMACOKINETICS):
                return None
            return {path: Leaf(q, "library") for path, q in library.find(name, PHARMACOKINETICS).values.items()}

        def read(given: object, molar_mass: float, key: str) -> float:
            return concentration(given, molar_mass, problems, key)

        names = library.names(PHARMACOKINETICS)
        return CurveReader(problems, self.text.folder, read, find, names, self.lookup.note_source)

    def _space(self, numbers: _Numbers) -> _Space:
        """Build geometry and cells; each step needs the one before, so the first refusal ends it."""
        with self.problems.noting():
            grid = resolve_grid(self.table, numbers.boundary)
        self.problems.raise_any()
        with self.problems.noting("scaffold"):
            shapes, profile = resolve_shapes(self.table, self.text.folder), resolve_profile(self.table, grid)
            geometry = make_geometry(grid, shapes, numbers.materials, accessible_profile=profile)
        self.problems.raise_any()
        sides = {side for side, kind in numbers.boundary.items() if kind == "bath"}
        pockets = find_pockets(geometry, sides)
        with self.problems.noting():
            cells = place_cells(numbers.requests, geometry, pockets, self.table.seed)
            geometry = exclude_volume(geometry, cells)
        self.problems.raise_any()
        return _Space(grid, geometry, pockets, cells)

    def _shared_space(self, numbers: _Numbers, base: Study) -> _Space:
        """Geometry and cells of another design of the same study."""
        refuse_other_space(base.effective, self._effective(numbers), self.problems)
        self.problems.raise_any()
        return _Space(base.geometry.grid, base.geometry, base.pockets, base.cells)

    def _study(self, numbers: _Numbers, space: _Space) -> Study:
        table, mechanism, problems = self.table, self.mechanism, self.problems
        effective = self._effective(numbers)
        of_cell = cell_parameters(mechanism, numbers.of_type, space.cells)
        values = all_values(mechanism, numbers.parameters, of_cell)
        refuse_homeless(mechanism, space.geometry, values, problems)
        start = initial_states(mechanism, table.initial.states, values, space.cells, problems)
        check_rates(mechanism, values, problems)
        check_fates(mechanism, values, numbers.initial_fields, start, problems)
        return Study(
            title=table.title,
            variant=table.variant,
            duration=table.duration,
            seed=table.seed,
            mechanism=mechanism,
            parameters=_locked(numbers.parameters),
            cell_parameters=_locked(of_cell),
            geometry=space.geometry,
            pockets=space.pockets,
            cells=space.cells,
            diffusivity=_locked(diffusivities(mechanism, values, problems)),
            bath=resolve_bath(table.bath, space.grid, numbers.boundary, mechanism, problems),
            boundary=numbers.boundary,
            initial_fields=_locked(numbers.initial_fields),
            initial_states=_locked(start),
            initial_bath=_locked(numbers.initial_bath),
            typical_fields=_locked(typical_fields(mechanism, values)),
            typical_states=_locked(typical_states(mechanism, values)),
            schedule=numbers.schedule,
            solver=SolverSettings(**dict(table.solver)),
            output=numbers.output,
            sources=(*self.lookup.sources, *setting_sources(effective, self.text.raw, self.merger.reader)),
            effective=effective,
            warnings=tuple(self._warnings(numbers, space)),
        )

    def _effective(self, numbers: _Numbers) -> dict[str, Any]:
        curves = curve_tables(self.table, numbers.schedule, self.dosing)
        resolved = Resolved(
            self.lookup, self.resolver.types, numbers.entries, self.mechanism.modules, curves, self.setup
        )
        folder, name = self.text.folder, self.mechanism_name
        return make_effective(self.table, resolved, name, folder, numbers.boundary, numbers.output)

    def _warnings(self, numbers: _Numbers, space: _Space) -> Iterator[str]:
        yield from dict.fromkeys((*self.merger.warnings, *self.lookup.warnings))
        yield from unused_choices(self.table, self.mechanism, self.lookup.slots, self.merger.library)
        modules = find_modules(self.mechanism_name)
        yield from unread_values(self.lookup.slots, self.lookup.agent, self.mechanism, modules)
        yield from space.geometry.warnings
        yield from bath_warnings(self.table.bath, space.grid, numbers.boundary)
        yield from self.resolver.warnings()
        yield from self._unlikely(space)
        values = all_values(self.mechanism, numbers.parameters, np.zeros((len(self.mechanism.cell_parameters), 0)))
        yield from contact_warnings(self.mechanism, values, space.cells)
        if self.table.design:
            yield f"design: {len(self.table.design)} listed; `run` solves the study without them, `compare` each"
        sources = self.lookup.sources
        inputs = count_grades(source.grade for source in sources)
        own = count_grades(source.grade for source in sources if source.origin in ("study", "design", "--set"))[
            "assumed"
        ]
        if inputs["assumed"]:
            shown = f"{inputs['assumed']} of {sum(inputs.values())} inputs are assumed"
            yield f"{shown}, {own} of them set in the study without a source"

    def _unlikely(self, space: _Space) -> Iterator[str]:
        """Sentences on what can be computed but is hardly meant."""
        names = [space.cells.type_names[number] for number in space.cells.type_index]
        for index, row in enumerate(self.table.cells):
            types = {self.merger.canonical(CELL_TYPE, name) for name in row.type_names}
            if row.density is not None and not types & set(names):
                yield f"cells[{index}].density: gives not one cell in a place of this size"
        n_same = len(names) - len(np.unique(space.cells.position, axis=0))
        if n_same:
            yield f"cells: {n_same} of {len(names)} lie exactly where another cell does; see the file that lists them"
        for index, event in enumerate(self.table.schedule):
            if event.at == self.table.duration:
                yield f"schedule[{index}].at: is the end of the study, so that nothing follows from it"


def _locked(array: FloatArray) -> FloatArray:
    """The array, which nobody can write to any more."""
    array.setflags(write=False)
    return array

"""Mechanism files: TOML to `Mechanism`, with every check that can be made before anything runs."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from payloadfield.errors import MechanismError
from payloadfield.mechanism.compose import Composition, compose
from payloadfield.mechanism.contacts import read_contacts
from payloadfield.mechanism.dependency import order_fields
from payloadfield.mechanism.fates import (
    FATE,
    MODES,
    TRANSITIONS,
    FateLowering,
    declare_transitions,
    read_fates,
    read_mode,
    read_transitions,
)
from payloadfield.mechanism.model import DOSED_BY, Accumulator, Field, Mechanism, Parameter, State
from payloadfield.mechanism.modules import Module, Setting, read_module, settle
from payloadfield.mechanism.nodes import Number
from payloadfield.mechanism.pruning import without
from payloadfield.mechanism.reactions import read_reactions, read_release
from payloadfield.mechanism.tables import Names, Table, near
from payloadfield.mechanism.tagging import read_tagged, with_tags
from payloadfield.toml_text import dump_toml
from payloadfield.units import parse_quantity

BUILT_IN = Path(__file__).parent / "library"
MAX_BYTES = 200_000
_TOP_LEVEL = (
    *("name", "doc", "moieties", "parameters", "fields", "states", "accumulators", "exposures", "reactions"),
    *("fate", "fates", "transitions", "contacts", "tagged"),
)
_EXTENDS, _MODULES = "extends", "modules"
_COMPOSED = (_EXTENDS, _MODULES, "definitions")  # a file with any of these is more than it says


def load_mechanism(name_or_path: str | Path, modules: Mapping[str, Setting] | None = None) -> Mechanism:
    """Read and check a mechanism: the built-in one of that name ("adc"), else the file at that path.

    modules: which of its modules are on (or in which of their ways), by name; the others are as by default.
    Raises MechanismError, with file, reaction and reason, for anything that is unknown, unbalanced or in wrong units.
    """
    path = _find(name_or_path)
    text, data = _read(path)
    parts = _modules_of(path, data)
    settings, wrong = settle(parts, {**_switched_on(path, data), **(modules or {})})
    if wrong:
        raise MechanismError("; ".join(f"{path.stem}, modules.{name}: {reason}" for name, reason in wrong))
    if not parts and not any(key in data for key in _COMPOSED):
        return _build(Table(data, path.name, ""), path, text)
    composition = _composed(path, data, parts, settings)
    made = _build(Table(composition.data, path.name, ""), path, dump_toml(composition.data))
    return replace(made, modules=settings, origin=composition.origin)


def with_expected_fates(mechanism: Mechanism) -> Mechanism:
    """The same mechanism, slot for slot, with expected fates in the place of draws."""
    if not mechanism.is_sampled:
        return mechanism
    data = {**tomllib.loads(mechanism.source_text), FATE: MODES[0]}
    made = _build(Table(data, mechanism.file, ""), Path(mechanism.file), dump_toml(data))
    followed = tuple(item for item in mechanism.states if item.kind == "exposure" and item.name not in made.state_names)
    digest = hashlib.sha256(f"{mechanism.digest} expected".encode()).hexdigest()
    modules = {**mechanism.modules, FATE: MODES[0]}
    made = replace(made, states=(*made.states, *followed), digest=digest, modules=modules, origin=mechanism.origin)
    return without(made, mechanism.left_out)


def built_in_mechanisms() -> tuple[str, ...]:
    """Names of the mechanisms that come with the program."""
    return tuple(sorted(path.name for path in BUILT_IN.iterdir() if (path / f"{path.name}.toml").is_file()))


def find_modules(name_or_path: str | Path) -> dict[str, Module]:
    """The modules that a mechanism knows, by name, in the order in which they are put together."""
    path = _find(name_or_path)
    return _modules_of(path, _read(path)[1])


def refuse_modules(name_or_path: str | Path, modules: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Everything that is wrong with a choice of modules, as (module, reason)."""
    path = _find(name_or_path)
    data = _read(path)[1]
    return settle(_modules_of(path, data), {**_switched_on(path, data), **modules})[1]


def _find(name_or_path: str | Path) -> Path:
    name = str(name_or_path)
    if name in built_in_mechanisms():
        return BUILT_IN / name / f"{name}.toml"
    path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(built_in_mechanisms())
        raise MechanismError(f"mechanism '{name}': neither a file nor built in; built in: {known}")
    return path


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    text = _read_text(path)
    try:
        return text, deepcopy(_parsed(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise MechanismError(f"{path.name}: not a TOML file: {error}") from error


@lru_cache(maxsize=64)
def _parsed(text: str) -> dict[str, Any]:
    """The tables of a text, parsed once: each point of a sweep reads the same files."""
    return tomllib.loads(text)


def _read_text(path: Path) -> str:
    if path.stat().st_size > MAX_BYTES:
        raise MechanismError(f"{path.name}: {path.stat().st_size} bytes; a mechanism has at most {MAX_BYTES}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise MechanismError(f"{path.name}: not a text file in UTF-8: {error}") from error


def _modules_of(path: Path, data: Mapping[str, Any]) -> dict[str, Module]:
    """Modules beside a built-in mechanism, those named first by it first; those of the one that a file extends.

    A file that stands alone and has transitions has one: `fate`, by which a study says how they are carried out.
    """
    if path.parent.parent == BUILT_IN:
        names = [file.stem for file in sorted(path.parent.glob("*.toml")) if file != path]
        first = [name for name in data.get(_MODULES, []) if name in names]
        files = [path.parent / f"{name}.toml" for name in dict.fromkeys([*first, *names])]
        return {file.stem: read_module(_read(file)[1], file.name, file.stem) for file in files}
    if _EXTENDS in data:
        return find_modules(_extended(path, data))
    mode = data.get(FATE, MODES[0])
    if TRANSITIONS not in data or mode not in MODES:
        return {}
    choices = (mode, *(other for other in MODES if other != mode))
    doc = "what becomes of cells, expected as fractions or sampled"
    return {FATE: Module(FATE, doc, True, (), (), choices, {TRANSITIONS: data[TRANSITIONS]}, path.name)}


def _extended(path: Path, data: Mapping[str, Any]) -> str:
    name = data[_EXTENDS]
    if name not in built_in_mechanisms():
        known = near(str(name), built_in_mechanisms())
        raise MechanismError(f"{path.name}, {_EXTENDS}: got {name!r:.80}; a built-in mechanism is extended; {known}")
    return str(name)


def _switched_on(path: Path, data: Mapping[str, Any]) -> dict[str, Setting]:
    """Modules of the mechanism that a file extends, which it turns on."""
    if _EXTENDS not in data:
        return {}
    names = data.get(_MODULES, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise MechanismError(f"{path.name}, {_MODULES}: got {names!r:.80}; a list of names is needed")
    return dict.fromkeys(names, True)


def _composed(path: Path, data: dict[str, Any], parts: dict[str, Module], settings: dict[str, Setting]) -> Composition:
    """The main file, the modules that are on, and last what a file of the user's adds to them."""
    own = {key: value for key, value in data.items() if key not in (_EXTENDS, _MODULES)}
    if _EXTENDS not in data and FATE in parts and path.parent.parent != BUILT_IN:
        own = {key: value for key, value in own.items() if key not in (FATE, TRANSITIONS)}
    if _EXTENDS not in data:
        if _MODULES in data and not parts:
            raise MechanismError(f'{path.name}, {_MODULES}: has no meaning without extends = "adc"')
        return compose(own, path.name, parts.values(), settings)
    file = _find(_extended(path, data))
    main = {key: value for key, value in _read(file)[1].items() if key != _MODULES}
    words = {"name": own.pop("name", path.stem), "doc": own.pop("doc", "")}
    added = Module(path.stem, "", True, (), (), (), own, path.name)
    return compose({**main, **words}, file.name, [*parts.values(), added], {**settings, path.stem: True})


def _build(top: Table, path: Path, text: str) -> Mechanism:
    top.allow(_TOP_LEVEL)
    names = Names(top.file)
    moieties = tuple(name for name, table in top.children("moieties") if table.allow(("doc",)))
    for name in moieties:
        names.check_spelling(name, f"{top.file}, moieties.{name}")
    names.moieties = moieties
    parameters = tuple(_parameter(name, table, names) for name, table in top.children("parameters"))
    fields = _declare(top, names, "fields", "nM")
    states = _declare(top, names, "states", "molecules")
    fates = read_fates(top, names)
    ways = declare_transitions(top, names)
    losses = _declare(top, names, "accumulators", "molecules")
    exposures = _declare(top, names, "exposures", "")
    accumulators = tuple(_accumulator(name, table, names) for name, table in losses)
    read_states = tuple(_state(name, table, names) for name, table in states)
    read_fields = tuple(_field(name, table, names) for name, table in fields)
    names.contents = {
        **{field.name: field.contains for field in read_fields},
        **{state.name: state.contains for state in read_states},
        **{loss.name: loss.contains for loss in accumulators},
        **{fate.name: {} for fate in fates},
    }
    given = read_reactions(top.child("reactions"), names)
    releases = {name: read_release(name, table, names) for name, table in states}
    is_sampled = read_mode(top, names) == "sampled"
    lowering = FateLowering(fates, read_transitions(ways, names), parameters, is_sampled=is_sampled, file=top.file)
    reactions = lowering.reactions(given, read_states, read_fields, releases)
    slots = _slots(accumulators, {name for item in reactions if item.scope == "cell" for name in item.stoichiometry})
    read_exposures = lowering.exposures(_exposure(name, table, names) for name, table in exposures)
    all_states = (*read_states, *lowering.slots(), *slots, *read_exposures)
    if not read_fields:
        raise MechanismError(f"{top.file}: no fields; a mechanism needs at least one, such as [fields.payload]")
    made = Mechanism(
        name=top.text("name", path.stem),
        doc=top.text("doc", ""),
        moieties=moieties,
        parameters=parameters,
        fields=read_fields,
        states=all_states,
        accumulators=accumulators,
        reactions=reactions,
        field_groups=order_fields(read_fields, all_states, reactions),
        source_text=text,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        file=path.name,
        fates=fates,
        transitions=lowering.transitions,
        is_sampled=is_sampled,
        contacts=lowering.contacts(read_contacts(top, names)),
    )
    return with_tags(made, read_tagged(top, names))


def _parameter(name: str, table: Table, names: Names) -> Parameter:
    table.allow(("unit", "from", "per", "value", "extensive", "doc"))
    per = table.text("per", "study")
    if per not in ("study", "cell"):
        raise table.refuse("per", f"got '{per}'; 'study' or 'cell' is allowed")
    is_extensive = table.flag("extensive")
    if is_extensive and per != "cell":
        raise table.refuse("extensive", 'only what belongs to one cell (per = "cell") is multiplied by their number')
    unit = names.declare_parameter(name, table.unit("unit"), per, table.where)
    source = table.optional_text("from")
    value = None
    if "value" in table.data:
        value = parse_quantity(table.data["value"], unit, f"{table.where}.value")
    if source is None and value is None:
        raise table.refuse("from", "missing; name where a study finds it ('from') or give a 'value'")
    return Parameter(name, unit, per, source, value, table.text("doc", ""), is_extensive)


def _declare(top: Table, names: Names, kind: str, unit: str) -> list[tuple[str, Table]]:
    """Names of one kind of species, known before any expression is read."""
    children = top.children(kind)
    for name, table in children:
        own = table.unit("unit") if "unit" in table.data or not unit else unit
        names.declare_species(name, kind, own, table.where)
    return children


def _field(name: str, table: Table, names: Names) -> Field:
    table.allow(("contains", "diffusivity", "typical", "dosed_by", "like", "depth", "doc"))
    like = table.optional_text("like")
    if like is not None and like not in names.of_kind("fields"):
        raise table.refuse("like", f"got '{like}', which is no field; {near(like, names.of_kind('fields'))}")
    dosed_by = table.optional_text("dosed_by")
    if dosed_by is not None and dosed_by not in DOSED_BY:
        raise table.refuse("dosed_by", f"got '{dosed_by}'; allowed: {', '.join(DOSED_BY)}")
    return Field(
        name=name,
        contains=names.contains(table),
        diffusivity=names.expression(table, "diffusivity", "um^2/s", names.study_names),
        typical=names.optional_expression(table, "typical", "nM", names.study_names),
        dosed_by=dosed_by,
        doc=table.text("doc", ""),
        like=like,
        depth=names.optional_expression(table, "depth", "um", names.study_names),
    )


def _state(name: str, table: Table, names: Names) -> State:
    table.allow(("contains", "unit", "initial", "typical", "released_as", "doc"))
    unit, contains = names.unit_of(name), names.contains(table)
    if contains and unit != "molecules":
        raise table.refuse(
            "contains", f"a state in {unit} is no amount, so that it cannot contain {', '.join(contains)}"
        )
    return State(
        name=name,
        kind="state",
        contains=contains,
        initial=names.optional_expression(table, "initial", unit, names.parameter_names) or Number(0.0),
        typical=names.optional_expression(table, "typical", unit, names.parameter_names),
        unit=unit,
        doc=table.text("doc", ""),
    )


def _accumulator(name: str, table: Table, names: Names) -> Accumulator:
    table.allow(("contains", "typical", "doc"))
    typical = names.optional_expression(table, "typical", "molecules", names.parameter_names)
    return Accumulator(name, names.contains(table), typical, table.text("doc", ""))


def _slots(accumulators: tuple[Accumulator, ...], changed: set[str]) -> tuple[State, ...]:
    """A slot per cell for every accumulator that a cell reaction feeds."""
    return tuple(
        State(loss.name, "accumulator", loss.contains, Number(0.0), loss.typical, "molecules", loss.doc)
        for loss in accumulators
        if loss.name in changed
    )


def _exposure(name: str, table: Table, names: Names) -> State:
    table.allow(("rate", "unit", "typical", "doc"))
    unit = names.unit_of(name)
    rate = names.expression(table, "rate", f"{unit}/s", names.cell_rate_names)
    typical = names.optional_expression(table, "typical", unit, names.parameter_names)
    return State(name, "exposure", {}, Number(0.0), typical, unit, table.text("doc", ""), rate)

"""Slots: what a study chooses by name besides the agent and the cell types, such as the inhibitor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from payloadfield.library import Library
from payloadfield.mechanism import Mechanism
from payloadfield.mechanism.modules import Module
from payloadfield.study.merge import Merger
from payloadfield.study.merged import Merged
from payloadfield.study.problems import did_you_mean
from payloadfield.study.schema import StudyTable


@dataclass(frozen=True)
class Slot:
    """name: the key of the study, and the root of `from` in a mechanism.  kind: of the library.  table: of the study,
    with values over the library's.  default: the entry where none is named; None where one has to be."""

    name: str
    kind: str
    table: str
    default: str | None = None


SLOTS = {
    slot.name: slot
    for slot in (
        Slot("inhibitor", "inhibitor", "inhibitors"),
        Slot("senolytic", "senolytic", "senolytics"),
        Slot("effector", "effector", "effectors", "innate cytokine"),
        Slot("vesicle", "vesicle", "vesicles", "EV"),
        Slot("bridge", "bridge", "bridges", "nanotube"),
        Slot("fate", "fate", "fates", "tumour cells"),
        Slot("sasp", "secreted", "secreted", "SASP"),
        Slot("lactate", "secreted", "secreted", "lactate"),
        Slot("ros", "secreted", "secreted", "ROS"),
        Slot("polymer", "material", "materials", "PCL"),
    )
}


def read_by(mechanism: Mechanism) -> dict[str, list[str]]:
    """Parameters of a mechanism that are read from each slot, by slot."""
    found: dict[str, list[str]] = {}
    for parameter in mechanism.parameters:
        root = (parameter.source or "").partition(".")[0]
        if root in SLOTS:
            found.setdefault(root, []).append(parameter.name)
    return found


def find_slots(table: StudyTable, mechanism: Mechanism, merger: Merger) -> dict[str, Merged]:
    """The entry in each slot that the mechanism reads, or that the study names or doses.

    Notes a problem for an unknown name, and for two of them in one slot.
    """
    wanted, found = read_by(mechanism), {}
    for slot in SLOTS.values():
        own: Mapping[str, Mapping[str, Any]] = getattr(table, slot.table)
        tables = {merger.canonical(slot.kind, name): values for name, values in own.items()}
        name = _name(slot, tables, table, merger, is_read=slot.name in wanted)
        if name is None:
            continue
        merged = merger.merge(slot.kind, slot.table, name, tables)
        if merged is not None:
            found[slot.name] = merged
        elif name not in tables:  # else its own refusal was noted
            known = (*tables, *merger.library.names(slot.kind))
            merger.problems.add(slot.name, f"there is no {slot.name} {name!r}; {did_you_mean(name, known)}")
    _check_unused(table, found, merger)
    return found


def _name(slot: Slot, tables: Mapping[str, Any], table: StudyTable, merger: Merger, *, is_read: bool) -> str | None:
    chosen = getattr(table, slot.name)
    names = [merger.canonical(slot.kind, chosen)] if chosen is not None else []
    if slot.default is None:
        names += [
            merger.canonical(slot.kind, name) for name in _dosed(table, own=tables, kind=slot.kind, merger=merger)
        ]
    distinct = list(dict.fromkeys(names))
    if len(distinct) > 1:
        key = slot.name if chosen is not None else "schedule"
        merger.problems.add(key, f"two of them in one study ({' and '.join(distinct)}); a mechanism carries one")
    if distinct:
        return distinct[0]
    if not is_read:
        return None
    return slot.default if slot.default is not None else next(iter(tables)) if len(tables) == 1 else None


def _dosed(table: StudyTable, *, own: Iterable[str], kind: str, merger: Merger) -> Sequence[str]:
    names = [name for event in table.schedule for name in (*event.dose, *event.curve)]
    return [name for name in names if name in own or merger.library.has(name, kind)]


def _check_unused(table: StudyTable, found: Mapping[str, Merged], merger: Merger) -> None:
    """What is not used is checked all the same."""
    used = {(merged.table, merged.name) for merged in found.values()}
    for slot in {slot.table: slot for slot in SLOTS.values()}.values():
        own = getattr(table, slot.table)
        tables = {merger.canonical(slot.kind, name): values for name, values in own.items()}
        for name in tables:
            if (slot.table, name) not in used:
                merger.merge(slot.kind, slot.table, name, tables)


def unused_choices(
    table: StudyTable, mechanism: Mechanism, found: Mapping[str, Merged], library: Library
) -> Iterable[str]:
    """Sentences on slots that a study fills and nothing reads, and on entries of them that fill none.

    found: what fills each slot.
    """
    wanted = read_by(mechanism)
    used = {(merged.table, merged.name) for merged in found.values()}
    for slot in {slot.table: slot for slot in SLOTS.values() if slot.kind != "material"}.values():
        for name in getattr(table, slot.table):
            known = library.find(name, slot.kind).name if library.has(name, slot.kind) else name
            bases = {own.get("based_on") for own in getattr(table, slot.table).values()}
            if (slot.table, known) not in used and not bases & {name, known}:
                yield f"{slot.table}.{name}: nothing in the study uses it, so it has no effect"
    for slot in SLOTS.values():
        if getattr(table, slot.name) is not None and slot.name not in wanted:
            yield f"{slot.name}: no module of the mechanism that is on reads it"


def unread_values(
    slots: Mapping[str, Merged], agent: Merged | None, mechanism: Mechanism, modules: Mapping[str, Module]
) -> Iterable[str]:
    """Sentences on values that a study sets in what fills a slot, or in its agent, and that nothing reads.

    modules: all that the mechanism knows, on or off; what one of them reads of an agent may well stand there.
    """
    read = {parameter.source for parameter in mechanism.parameters}
    for name, merged in slots.items():
        for path in _own(merged) if SLOTS[name].kind != "material" else ():
            if f"{name}.{path}" not in read:
                yield f"{merged.key(path)}: no module of the mechanism that is on reads it, so it has no effect"
    tables = [table for module in modules.values() for table in module.data.get("parameters", {}).values()]
    read |= {table.get("from") for table in tables}
    for path in _own(agent) if agent is not None else ():
        if agent is not None and f"agent.{path}" not in read:
            yield f"{agent.key(path)}: the mechanism {mechanism.name!r} does not read it, so it has no effect"


def _own(merged: Merged) -> Iterable[str]:
    """Values that the study itself sets, but for masses, which doses are read by."""
    own = (path for path, leaf in merged.leaves.items() if leaf.origin in ("study", "--set", "design"))
    return (path for path in own if not path.endswith("molecular_weight"))


def missing_choice(slot: str, names: Sequence[str], mechanism: Mechanism, merger: Merger) -> str:
    """Why a study cannot do without an entry in a slot."""
    modules = {mechanism.origin.get(("parameters", name), "") for name in names} - {""}
    readers = f"the module {' and '.join(sorted(modules))}" if modules else "the mechanism"
    known = merger.library.names(SLOTS[slot].kind)
    example = known[0] if known else "NAME"
    return (
        f"is missing, and none is dosed, but {readers} reads {len(names)} values of it ({', '.join(names)}); "
        f'name one, such as {slot} = "{example}", at the top'
    )

"""The schedule: doses, curves and washes in order of time, with names of molecules turned into fields."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from payloadfield.errors import UnitsError
from payloadfield.mechanism import Mechanism
from payloadfield.study.curve import Curve, Tabulated
from payloadfield.study.fields import quantity_text
from payloadfield.study.free_payload import is_free_payload
from payloadfield.study.merge import Merger
from payloadfield.study.merged import PARTS, Merged
from payloadfield.study.problems import Problems, did_you_mean
from payloadfield.study.resolve_curves import CurveReader, curve_table
from payloadfield.study.resolve_peaks import resolve_peaks
from payloadfield.study.schema import EventTable, OutputTable, StudyTable
from payloadfield.study.slots import SLOTS
from payloadfield.study.study import Event, OutputSettings
from payloadfield.units import parse_quantity

MAX_OUTPUTS = 100_000
#: About twice what pure water is [nM].
LARGEST_CONCENTRATION = 1e11
_CONJUGATE = "conjugate"


@dataclass(frozen=True)
class Dosing:
    """What can be dosed: the fields of the mechanism, and the molecules of the agent behind them."""

    mechanism: Mechanism
    agent: Merged | None
    merger: Merger
    slots: Mapping[str, Merged] = field(default_factory=dict)

    def field_of(self, name: str) -> tuple[int | None, str]:
        """Index of the field that carries a dosed name, or None and the reason; and the part of the agent it is."""
        names = self.mechanism.field_names
        if name in names:
            return names.index(name), self.mechanism.fields[names.index(name)].dosed_by or ""
        role = self.roles().get(name) or self.roles().get(self._library_name(name))
        for index, item in enumerate(self.mechanism.fields):
            if role is not None and item.dosed_by == role:
                return index, role
        return None, role or ""

    def roles(self) -> dict[str, str]:
        """What each name of the agent is to the mechanism."""
        of_slots = {merged.name: slot for slot, merged in self.slots.items()}
        if self.agent is None:
            return of_slots
        parts = {self.agent.labels.get(role, ""): role for role in PARTS if role != "linker"}
        whole = {self.agent.name: "payload" if is_free_payload(self.agent) else _CONJUGATE}
        return {name: role for name, role in {**of_slots, **parts, **whole}.items() if name}

    def _library_name(self, name: str) -> str:
        library = self.merger.library
        kinds = (_CONJUGATE, *PARTS, *(SLOTS[slot].kind for slot in self.slots))
        return next((library.find(name, kind).name for kind in kinds if library.has(name, kind)), name)

    def refuse(self, name: str, role: str, key: str) -> None:
        """Note why a name cannot be dosed, unless what it names was refused already."""
        problems = self.merger.problems
        if not any(each.startswith(f"agents.{name}.") for each in problems.keys):
            problems.add(key, self.refusal(name, role))

    def refusal(self, name: str, role: str) -> str:
        """Why a name cannot be dosed, and what can."""
        if role:
            kind = f"an {role}" if role[0] in "aeiou" else f"a {role}"
            return f"the mechanism {self.mechanism.name!r}, with the modules that are on, has no field dosed by {kind}"
        known = {*self.roles(), *self.mechanism.field_names}
        carried = f"this study is about {self.agent.name}; " if self.agent else ""
        if any(self.merger.library.has(name, kind) for kind in ("antibody", "payload")) and self.agent:
            return f"{name} is no part of {self.agent.name}; dose one of: {', '.join(sorted(known))}"
        if self.merger.library.has(name, "antibody"):
            part = f"{name} is an antibody without a payload, dosed as the antibody of an agent"
            return f'{part}; name that agent, such as agent = "T-DXd", beside the dose'
        nearest = self.merger.library.names(_CONJUGATE) if self.agent is None else ()
        return f"unknown agent; {carried}{did_you_mean(name, (*sorted(known), *nearest))}"

    def molar_mass(self, role: str) -> float:
        """Molar mass of a part [g/(nM um^3)]; NaN where it is not known."""
        path = "molecular_weight" if role in (_CONJUGATE, *self.slots) else f"{role}.molecular_weight"
        entry = self.slots.get(role, self.agent)
        leaf = entry.leaves.get(path) if entry else None
        return leaf.value_in("g/nM/um^3", path) if leaf else math.nan

    def hint_on_mass(self, role: str, molar_mass: float) -> str:
        """How to make a mass concentration possible where the molar mass is not known."""
        if role in self.slots and not math.isfinite(molar_mass):
            return f" (or its molar mass, to convert: {self.slots[role].key('molecular_weight')})"
        if self.agent is None or not role or math.isfinite(molar_mass):
            return ""
        path = self.agent.key("molecular_weight" if role == _CONJUGATE else f"{role}.molecular_weight")
        return f" (or the molar mass of the {role}, to convert: {path})"


def resolve_schedule(
    table: StudyTable, dosing: Dosing, curves: CurveReader, problems: Problems, *, has_bath: bool
) -> tuple[Event, ...]:
    """Events in order.

    Notes problems: outside the duration, out of order, empty, unknown names, no bath to dose, curves of a finite bath,
    and tables that end before their curve does.
    """
    events, latest = list[Event](), 0.0
    for index, row in enumerate(table.schedule):
        key = f"schedule[{index}]"
        if row.at > table.duration:
            end = f"{table.duration / 3600:g} h"
            problems.add(f"{key}.at", f"is at {row.at / 3600:g} h, after the end at {end}; lengthen duration")
        if row.at < latest:
            problems.add(
                f"{key}.at",
                f"is at {row.at / 3600:g} h, before the event above it at {latest / 3600:g} h; list events in order",
            )
        latest = max(latest, row.at)
        # A wash of 0 that is said, as one of several in a comparison, changes nothing and is no slip.
        if not row.dose and not row.curve and "wash" not in row.model_fields_set:
            problems.add(key, "neither dose nor curve nor wash; say what happens to the bath")
        elif not has_bath:
            problems.add(key, 'there is no bath to dose or wash; open a side to it, such as [boundary] z_high = "bath"')
        elif row.curve and math.isfinite(table.bath.volume):
            problems.add(
                f"{key}.curve", 'the bath is finite, so that its concentrations follow from the balance; a curve needs '
                'bath.volume = "infinite"',
            )  # fmt: skip
        doses = _doses(row.dose, dosing, problems, f"{key}.dose")
        events.append(Event(row.at, doses, row.wash, _curves(row, doses, dosing, curves, f"{key}.curve")))
    _refuse_short_tables(table, events, problems)
    return tuple(events)


def _curves(
    row: EventTable, doses: Mapping[int, float], dosing: Dosing, curves: CurveReader, key: str
) -> dict[int, Curve]:
    """Curves of one event by field; a field has one, and no dose beside it."""
    found: dict[int, Curve] = {}
    for name, given in row.curve.items():
        index, role = dosing.field_of(name)
        if index is None:
            dosing.refuse(name, role, f"{key}.{name}")
            continue
        field = dosing.mechanism.field_names[index]
        if index in found:
            curves.problems.add(f"{key}.{name}", f"a second curve for the field {field!r}; a field follows one")
        elif index in doses:
            curves.problems.add(f"{key}.{name}", f"the field {field!r} is dosed in the same event; keep one of them")
        curve = curves.read(given, row.at, dosing.molar_mass(role), f"{key}.{name}")
        if curve is not None:
            found[index] = curve
    return found


def _refuse_short_tables(table: StudyTable, events: Sequence[Event], problems: Problems) -> None:
    """A table has to last until another event ends its curve, or to the end of the study."""
    for number, event in enumerate(events):
        for index, curve in event.curve.items():
            following = (e.time for e in events[number + 1 :] if e.wash > 0 or index in {*e.dose, *e.curve})
            end = next(following, table.duration)
            if isinstance(curve, Tabulated) and curve.times[-1] < end * (1 - 1e-12):
                problems.add(
                    f"schedule[{number}].curve",
                    f"the table ends {(curve.times[-1] - event.time) / 3600:g} h after the event, but is followed for "
                    f"{(end - event.time) / 3600:g} h; add rows up to there",
                )


def curve_tables(table: StudyTable, events: Sequence[Event], dosing: Dosing) -> list[dict[str, Any]]:
    """The curves of every event by name, as tables that read back as the same."""
    found = []
    for row, event in zip(table.schedule, events, strict=True):
        placed = ((name, dosing.field_of(name)[0]) for name in row.curve)
        found.append(
            {n: curve_table(event.curve[k], row.curve[n]) for n, k in placed if k is not None and k in event.curve}
        )
    return found


def _doses(given: Mapping[str, Any], dosing: Dosing, problems: Problems, key: str) -> dict[int, float]:
    doses: dict[int, float] = {}
    for name, amount in given.items():
        index, role = dosing.field_of(name)
        if index is None:
            dosing.refuse(name, role, f"{key}.{name}")
            continue
        mass = dosing.molar_mass(role)
        value = concentration(amount, mass, problems, f"{key}.{name}", dosing.hint_on_mass(role, mass))
        if index in doses:
            field = dosing.mechanism.field_names[index]
            problems.add(f"{key}.{name}", f"the field {field!r} is dosed twice in one event")
        doses[index] = value
    return doses


def concentration(given: Any, molar_mass: float, problems: Problems, key: str, unknown_mass: str = "") -> float:
    """A concentration [nM], also from a mass concentration where the molar mass is known; NaN and a problem if not.

    unknown_mass: end of the message where it is not known.
    """
    try:
        value = _concentration(given, molar_mass, problems.at(key))
    except UnitsError as error:
        problems.add(key, str(error).removeprefix(f"{problems.at(key)}: ") + unknown_mass)
        return math.nan
    if value < 0:
        problems.add(key, f"got {given!r}; a concentration of at least 0 such as '50 nM' is needed")
    elif value > LARGEST_CONCENTRATION:
        problems.add(key, f"got {given!r}; more than {LARGEST_CONCENTRATION * 1e-9:g} M is no solution; check the unit")
    return value


def _concentration(given: Any, molar_mass: float, where: str) -> float:
    try:
        return parse_quantity(given, "nM", where)
    except UnitsError:
        if not math.isfinite(molar_mass):
            raise
        try:
            return parse_quantity(given, "g/um^3", where) / molar_mass
        except UnitsError:
            pass
        raise


def resolve_output(table: OutputTable, duration: float, mechanism: Mechanism, problems: Problems) -> OutputSettings:
    """Times from 0 to the end, and what is kept at each; all fields and states where nothing is said."""
    states = [state.name for state in mechanism.states]
    for key, given, known in (("fields", table.fields, mechanism.field_names), ("cells", table.cells, states)):
        for name in given or ():
            if name not in known:
                problems.add(f"output.{key}", f"got {name!r}; {did_you_mean(name, known)}")
    plain = tuple(state.name for state in mechanism.states if state.kind == "state")
    peaks, thresholds = resolve_peaks(table, mechanism, problems)
    return OutputSettings(
        times=_times(table, duration, problems),
        fields=tuple(dict.fromkeys(table.fields)) if table.fields is not None else mechanism.field_names,
        cells=tuple(dict.fromkeys(table.cells)) if table.cells is not None else plain,
        checkpoint_every=table.checkpoint_every,
        peaks=peaks,
        thresholds=thresholds,
        sensitivity=table.sensitivity,
    )


def _times(table: OutputTable, duration: float, problems: Problems) -> tuple[float, ...]:
    if table.every is not None and table.times is not None:
        problems.add("output", "'every' and 'times' are both given; keep one of them")
    for time in table.times or ():
        if time > duration:
            problems.add("output.times", f"got {quantity_text(time, 's')}, after the end at {duration:g} s")
    if table.times is not None:
        return tuple(sorted({0.0, *table.times, duration}))
    every = table.every or duration
    if duration / every > MAX_OUTPUTS:
        problems.add("output.every", f"gives {duration / every:.3g} snapshots; at most {MAX_OUTPUTS} are kept")
        return (0.0, duration)
    whole = [number * every for number in range(math.ceil(duration / every))]
    return (*(time for time in whole if time < duration * (1 - 1e-12)), duration)

"""Finds the numbers that a mechanism names: in the agent, the protease, the cell types, or the study itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from payloadfield.errors import UnitsError
from payloadfield.library import Quantity, limits_of, unit_of
from payloadfield.mechanism import Mechanism, Parameter
from payloadfield.study import free_payload
from payloadfield.study.free_payload import is_free_payload
from payloadfield.study.leaves import Leaf, LeafReader
from payloadfield.study.merge import Merger
from payloadfield.study.merged import Merged
from payloadfield.study.resistance import FACTORS
from payloadfield.study.slots import SLOTS, missing_choice
from payloadfield.study.study import Source
from payloadfield.units import dimension

AGENT, PROTEASE, CELL_TYPE, PARAMETERS = "agent", "protease", "cell_type", "parameters"

# Where a value hangs on the agent: its own, and what cells do with its antigen.
_OF_AGENT = (f"{AGENT}.", f"{CELL_TYPE}.receptors", f"{CELL_TYPE}.trafficking.")

#: Grade of a parameter that only scales the error norm, and so is no input of the model.
SCALE = "scale"

_LAST_WORD = ("library", "study", "--set", "design")

# Ten times a gas, a hundred times the collisions of small molecules in water, a molecular vibration.
_LARGEST = {dimension("um^2/s"): 1e8, dimension("1/nM/s"): 1e3, dimension("1/s"): 1e13}


@dataclass
class Lookup:
    """Where numbers are looked for, and what was found on the way.

    agent: None where the study has none.  given: the [parameters] of the study.  slots: what fills them, by slot.
    scales: parameters that only set the error norm.  sources, warnings: as they arise.
    defaults: parameters for which the mechanism's own value was taken.
    without_agent: parameters that only an agent could give, in a study without one.
    without_slot: parameters that only a slot could give, where nothing fills it, by slot.
    """

    merger: Merger
    agent: Merged | None
    protease: Merged | None
    given: Mapping[str, Leaf]
    slots: Mapping[str, Merged] = field(default_factory=dict)
    scales: frozenset[str] = frozenset()
    defaults: dict[str, Leaf] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    without_agent: list[str] = field(default_factory=list)
    without_slot: dict[str, list[str]] = field(default_factory=dict)

    @property
    def antigen(self) -> str | None:
        """What the agent binds."""
        return self.agent.labels.get("antibody.antigen") if self.agent else None

    def study_value(self, parameter: Parameter) -> float:
        """Value of a parameter of the whole study, in its unit; NaN, and a problem noted, where there is none."""
        key, leaf = self._find(parameter, None)
        return self._take(parameter, key, leaf)

    def cell_value(self, parameter: Parameter, cell_type: Merged) -> float:
        """Value of a parameter for one cell type, in its unit."""
        key, leaf = self._find(parameter, cell_type)
        return self._take(parameter, key, leaf) * self._factor(parameter, cell_type)

    def _factor(self, parameter: Parameter, cell_type: Merged) -> float:
        """What a resistance of the cell type makes of a value of the agent, as a factor."""
        root, _, path = (parameter.source or "").partition(".")
        name = f"{FACTORS}.{path}"
        if root != AGENT or name not in cell_type.leaves:
            return 1.0
        leaf = cell_type.leaves[name]
        value = leaf.value_in("1", cell_type.key(name))
        self.note_source(cell_type.key(name), leaf, value, "1", parameter=parameter.name)
        return value

    def _find(self, parameter: Parameter, cell_type: Merged | None) -> tuple[str, Leaf | None]:
        root, _, path = (parameter.source or "").partition(".")
        entry = {AGENT: self.agent, PROTEASE: self.protease, CELL_TYPE: cell_type, **self.slots}.get(root)
        if parameter.name in self.given:
            for place in (path, f"antigens.{self.antigen}.{path}"):
                if entry is not None and place in entry.leaves:
                    self._refuse_contradiction(parameter, entry.key(place), entry.leaves[place])
            return f"{PARAMETERS}.{parameter.name}", self.given[parameter.name]
        if root == CELL_TYPE and cell_type is not None:
            found = self._of_cell_type(cell_type, path)
            if found is not None:
                return cell_type.key(path), found
        elif entry is not None and path in entry.leaves:
            return entry.key(path), entry.leaves[path]
        elif root == AGENT and self.agent is not None and is_free_payload(self.agent):
            leaf = free_payload.of_agent(self.agent, path)
            if leaf is not None:
                return self.agent.key(path), leaf
        if parameter.value is not None:
            self.defaults[parameter.name] = _of_mechanism(parameter)
            return f"{PARAMETERS}.{parameter.name}", self.defaults[parameter.name]
        return entry.key(path) if entry else f"{PARAMETERS}.{parameter.name}", None

    def _refuse_contradiction(self, parameter: Parameter, key: str, leaf: Leaf) -> None:
        """Two values for one parameter, both set in the same place, are a slip."""
        given = self.given[parameter.name]
        if given.origin != leaf.origin or given.origin not in ("study", "--set"):
            return
        values = [each.value_in(parameter.unit, key) for each in (given, leaf)]
        other = f"{PARAMETERS}.{parameter.name}"
        if values[0] != values[1] and other not in self.merger.problems.keys:
            said = f"says {given.quantity.text!r}, {key} says {leaf.quantity.text!r}"
            self.merger.problems.add(other, f"{said}; both set the same parameter: keep one of them")

    def _of_cell_type(self, cell_type: Merged, path: str) -> Leaf | None:
        """A value of a cell type; what concerns its receptor is that of the agent's antigen.

        Said of both, --set and designs go before the study, and the study before the library.
        """
        antigen = self.antigen
        leaf = cell_type.leaves.get(f"antigens.{antigen}.{path}")
        direct = cell_type.leaves.get(path)
        if direct is not None:
            if leaf is None or _rank(leaf) < _rank(direct):
                return direct
            if _rank(leaf) == _rank(direct):
                return self._same(cell_type, path, direct, leaf)
        if leaf is None and antigen is not None and self.merger.library.has(antigen, "antigen"):
            quantity = self.merger.library.find(antigen, "antigen").values.get(path)
            leaf = Leaf(quantity, "library") if quantity else None
        if leaf is None and path == "receptors" and antigen is not None:
            leaf = _no_receptors(antigen, cell_type)
        if leaf is not None:
            cell_type.leaves[path] = leaf
        return leaf or (free_payload.of_cell(path) if is_free_payload(self.agent) else None)

    def _same(self, cell_type: Merged, path: str, direct: Leaf, leaf: Leaf) -> Leaf:
        """A value that is said twice of a cell type, as its own and for the antigen; two that differ are a slip."""
        key, other = cell_type.key(path), cell_type.key(f"antigens.{self.antigen}.{path}")
        unit, problems = unit_of(CELL_TYPE, path), self.merger.problems
        is_other = unit is not None and direct.value_in(unit, key) != leaf.value_in(unit, other)
        if is_other and _rank(leaf) > 0 and key not in problems.keys:
            said = f"says {direct.quantity.text!r}, {other} says {leaf.quantity.text!r}"
            problems.add(key, f"{said}; the agent binds {self.antigen}, so both set the same value: keep one of them")
        return direct

    def _take(self, parameter: Parameter, key: str, leaf: Leaf | None) -> float:
        problems = self.merger.problems
        if leaf is None:
            root = (parameter.source or "").partition(".")[0]
            if self.agent is None and (parameter.source or "").startswith(_OF_AGENT):
                self.without_agent.append(parameter.name)
            elif root in SLOTS and root not in self.slots:
                self.without_slot.setdefault(root, []).append(parameter.name)
            else:
                problems.add(key, self._missing(parameter))
            return float("nan")
        try:
            value = leaf.value_in(parameter.unit, problems.at(key))
        except UnitsError as error:
            problems.add(key, str(error).removeprefix(f"{problems.at(key)}: "))
            return float("nan")
        if leaf is self.given.get(parameter.name):
            self._refuse_impossible(parameter, key, leaf, value)
        largest = _largest(parameter.unit)
        if abs(value) > largest:
            unit = "" if parameter.unit == "1" else f" {parameter.unit}"
            problems.add(key, f"got {leaf.quantity.text!r}; more than {largest:g}{unit} is refused: check the unit")
        if leaf.quantity.citation != free_payload.CITATION:
            grade = SCALE if parameter.name in self.scales else None
            self.note_source(key, leaf, value, parameter.unit, grade=grade, parameter=parameter.name)
        return value

    def _refuse_impossible(self, parameter: Parameter, key: str, leaf: Leaf, value: float) -> None:
        """A value under [parameters] is held to the limits of what it stands for."""
        root, _, path = (parameter.source or "").partition(".")
        if root not in (AGENT, PROTEASE, CELL_TYPE, *SLOTS) or key in self.merger.problems.keys:
            return
        limits = limits_of(path, parameter.unit)
        if not limits.hold(value):
            possible = f"{limits.text(parameter.unit)} is possible for {parameter.source}"
            said = f"got {leaf.quantity.text!r}; {possible}: check it"
            self.merger.problems.add(key, said)

    def note_source(
        self, key: str, leaf: Leaf, value: float, unit: str, *, grade: str | None = None, parameter: str = ""
    ) -> None:
        """Keep where a number comes from; `parameter` reads it."""
        quantity = leaf.quantity
        low, high = (leaf.limit_in(limit, unit, key) for limit in (quantity.low, quantity.high))
        known = Source(
            key, value, unit, grade or quantity.standing, quantity.citation, leaf.origin, quantity.note, low, high
        )
        same = [n for n, each in enumerate(self.sources) if replace(each, parameters=()) == known]
        readers = self.sources[same[0]].parameters if same else ()
        read = (*readers, parameter) if parameter and parameter not in readers else readers
        if same:
            self.sources[same[0]] = replace(known, parameters=read)
        else:
            self.sources.append(replace(known, parameters=read))

    def _missing(self, parameter: Parameter) -> str:
        wanted = f"no value for the mechanism's parameter {parameter.name!r} [{parameter.unit}]"
        return f"{wanted} (read from {parameter.source or 'the study'}); set this key or {PARAMETERS}.{parameter.name}"

    def note_missing_agent(self) -> None:
        """One problem for everything that only an agent could give, unless its name was refused already."""
        problems, names = self.merger.problems, list(dict.fromkeys(self.without_agent))
        if names and not any(key.startswith((AGENT, "schedule")) for key in problems.keys):
            problems.add(
                AGENT,
                f"is missing, and no agent is dosed, so that {len(names)} parameters of the mechanism have no value "
                f'({", ".join(names)}); dose one in [[schedule]], add agent = "T-DXd" at the top, or set each under '
                f"[{PARAMETERS}]",
            )

    def note_missing_choices(self, mechanism: Mechanism) -> None:
        """One problem for each slot that nothing fills, unless its name was refused already."""
        problems = self.merger.problems
        for slot, names in self.without_slot.items():
            if slot not in problems.keys:
                distinct = list(dict.fromkeys(names))
                problems.add(slot, missing_choice(slot, distinct, mechanism, self.merger))


def read_given(
    table: Mapping[str, Any], parameters: tuple[Parameter, ...], reader: LeafReader, off: Mapping[str, str]
) -> dict[str, Leaf]:
    """The [parameters] of a study: values by the mechanism's own names; off: module of every parameter of one."""
    from payloadfield.study.problems import did_you_mean

    units = {parameter.name: parameter.unit for parameter in parameters}
    found = {}
    for name, given in table.items():
        if name not in units:
            of_module = f"it is one of the module {off[name]}; set modules.{off[name]} = true" if name in off else ""
            hint = of_module or did_you_mean(name, units)
            reader.problems.add(f"{PARAMETERS}.{name}", f"unknown parameter; {hint}")
            continue
        leaf = reader.read(given, units[name], (PARAMETERS, name))
        if leaf is not None:
            found[name] = leaf
    return found


def _rank(leaf: Leaf) -> int:
    """Who has the last word: a design, then --set, then the study, then what it takes from elsewhere."""
    return _LAST_WORD.index(leaf.origin) if leaf.origin in _LAST_WORD else 0


def _largest(unit: str) -> float:
    """Largest value of a parameter that is not taken for a slip of the unit."""
    return _LARGEST.get(dimension(unit), 1e30)


def _of_mechanism(parameter: Parameter) -> Leaf:
    assert parameter.value is not None
    citation, note = "none (default of the mechanism)", f"[A] {parameter.doc or 'default of the mechanism file'}"
    quantity = Quantity(parameter.value, parameter.unit, None, None, "assumed", citation, "", note, parameter.name)
    return Leaf(quantity, "mechanism")


def _no_receptors(antigen: str, cell_type: Merged) -> Leaf:
    note = f"[A] the library has no number of {antigen} for {cell_type.name}; taken as none"
    citation = "none (engineering assumption)"
    quantity = Quantity(0.0, "molecules", None, None, "assumed", citation, "", note, cell_type.key("receptors"))
    return Leaf(quantity, "default")

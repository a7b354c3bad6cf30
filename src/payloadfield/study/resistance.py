"""Named resistances: what a cell type or an agent of a study has instead, as factors of the library on its values.

Factors on the payload reach one cell type through its `factors`, which multiply what the agent gives (lookup.py); the
mechanism then reads those parameters cell by cell. A resistance that says `target_protein` changes that protein, and
leaves payloads that bind another one alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from payloadfield.library import Library, Quantity, load_library
from payloadfield.mechanism import Mechanism
from payloadfield.study.leaves import Leaf
from payloadfield.study.merged import Merged
from payloadfield.study.problems import Problems, did_you_mean

KEY, KIND, FACTORS = "resistance", "resistance", "factors"
TARGET = "target_protein"


def apply_resistances(
    merged: Merged, kind: str, given: Any, library: Library, problems: Problems, payload_target: str | None = None
) -> list[str]:
    """Put the named resistances into the values of a cell type or an agent; problems noted for what cannot be.

    payload_target: protein that the study's payload binds, if it is known.  Returns what is to be told: resistances
    that change another protein, and so nothing.
    """
    key, without_effect = merged.key(KEY), []
    bound = merged.labels.get(f"payload.{TARGET}") if kind == "conjugate" else payload_target
    for name in given if isinstance(given, list) else [given]:
        if not isinstance(name, str) or not library.has(name, KIND):
            problems.add(key, f"there is no resistance {name!r}; {did_you_mean(str(name), library.names(KIND))}")
            continue
        changed = library.find(name, KIND).labels.get(TARGET)
        if None not in (changed, bound) and changed != bound:
            without_effect.append(f"{key}: {name} changes {changed}, and the payload binds {bound}: it has no effect")
            continue
        for path, factor in library.find(name, KIND).values.items():
            target = _target(merged, kind, path)
            if target is None:
                problems.add(key, _misplaced(name, kind, path, merged))
            else:
                merged.leaves[target] = _scaled(merged.leaves.get(target), factor, name, merged.key(target))
    return without_effect


def payload_factors(cell_types: Mapping[str, Any]) -> Iterator[str]:
    """Paths of the payload, such as "payload.k_out", that some cell type of a study has its own factor on."""
    library = load_library()
    for own in cell_types.values():
        names = own.get(KEY, []) if isinstance(own, Mapping) else []
        for name in [names] if isinstance(names, str) else names if isinstance(names, list) else []:
            if isinstance(name, str) and library.has(name, KIND):
                yield from (path for path in library.find(name, KIND).values if path.startswith("payload."))
        given = own.get(FACTORS, {}) if isinstance(own, Mapping) else {}
        yield from _paths(given, "")


def refuse_unread_factors(mechanism: Mechanism, cell_types: Iterable[Merged], problems: Problems) -> None:
    """Note a problem for a factor that no parameter of the cells takes up: it would have no effect."""
    read = {parameter.source for parameter in mechanism.parameters if parameter.per == "cell"}
    for merged in cell_types:
        for path in merged.leaves:
            if path.startswith(f"{FACTORS}.") and f"agent.{path.removeprefix(f'{FACTORS}.')}" not in read:
                problems.add(
                    merged.key(path),
                    f"the mechanism {mechanism.name!r} has no such value for each cell; turn the module "
                    "'resistance' on, or change the agent itself: agents.NAME.resistance",
                )


def _paths(table: Any, prefix: str) -> Iterator[str]:
    for name, value in table.items() if isinstance(table, Mapping) else ():
        if isinstance(value, Mapping) and "value" not in value:
            yield from _paths(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _target(merged: Merged, kind: str, path: str) -> str | None:
    """Which value of the entry a factor acts on; None where it has none such."""
    if kind == "conjugate":
        return path if path in merged.leaves else None
    if path.startswith("payload."):
        return f"{FACTORS}.{path}"
    return path if path in merged.leaves else None


def _misplaced(name: str, kind: str, path: str, merged: Merged) -> str:
    if kind == "conjugate":
        return f"{name!r} changes {path}, which an agent does not have; give it to a cell type, under cell_types"
    return f"{name!r} changes {path}, which {merged.name} does not have; set that value beside it"


def _scaled(leaf: Leaf | None, factor: Quantity, name: str, key: str) -> Leaf:
    """A value times the factor, with the range of both; the factor itself where there is no value."""
    if leaf is None:
        return Leaf(replace(factor, note=f"{factor.note}; factor of the resistance {name}"), "library")
    value = leaf.quantity
    ranges = [(q.value if q.low is None else q.low, q.value if q.high is None else q.high) for q in (value, factor)]
    note = f"[{factor.flags or 'A'}] {value.value:g} {value.unit} ({value.standing}) times {factor.value:g} of {name}"
    return Leaf(
        Quantity(
            value.value * factor.value, value.unit, ranges[0][0] * ranges[1][0], ranges[0][1] * ranges[1][1],
            factor.grade, factor.citation, factor.doi, note, key,
        ), leaf.origin,
    )  # fmt: skip

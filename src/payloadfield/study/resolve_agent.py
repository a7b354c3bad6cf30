"""Which conjugate a study is about."""

from __future__ import annotations

from payloadfield.study.merge import Merged, Merger
from payloadfield.study.problems import did_you_mean
from payloadfield.study.schema import StudyTable


def find_agent(table: StudyTable, merger: Merger) -> Merged | None:
    """The agent that the study names or doses, or the only one it describes; None where there is none.

    Notes a problem for an unknown name, and for two conjugates: a mechanism carries one.
    """
    tables = {merger.canonical("conjugate", each): own for each, own in table.agents.items()}
    merged = {name: merger.merge("conjugate", "agents", name, tables) for name in tables}
    names = _dosed(table, merger)
    if table.agent is not None:
        names = [merger.canonical("conjugate", table.agent), *names]
        if names[0] not in tables and not merger.library.has(names[0], "conjugate"):
            known = (*tables, *merger.library.names("conjugate"))
            merger.problems.add("agent", f"there is no agent {table.agent!r}; {did_you_mean(table.agent, known)}")
            return None
    distinct = list(dict.fromkeys(names))
    if len(distinct) > 1:
        merger.problems.add(
            "agent" if table.agent else "schedule",
            f"two conjugates in one study ({' and '.join(distinct)}); this mechanism carries one: make two studies",
        )
        return None
    if not distinct:
        return next(iter(merged.values())) if len(merged) == 1 else None
    return merged[distinct[0]] if distinct[0] in merged else merger.merge("conjugate", "agents", distinct[0], {})


def _dosed(table: StudyTable, merger: Merger) -> list[str]:
    found = []
    for event in table.schedule:
        for name in (*event.dose, *event.curve):
            if name in table.agents or merger.library.has(name, "conjugate"):
                found.append(merger.canonical("conjugate", name))
    return found

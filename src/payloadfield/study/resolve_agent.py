"""Which conjugate a study is about."""

from __future__ import annotations

from payloadfield.study.merge import Merged, Merger
from payloadfield.study.problems import did_you_mean
from payloadfield.study.schema import StudyTable


def find_agent(table: StudyTable, merger: Merger) -> Merged | None:
    """The agent that the study names or doses, or the only one it describes; None where there is none.

    Notes a problem for an unknown name, and for two conjugates: a mechanism carries one.
    """
    names = _dosed(table, merger)
    if table.agent is not None:
        names = [merger.canonical("conjugate", table.agent), *names]
    distinct = list(dict.fromkeys(names))
    if len(distinct) > 1:
        merger.problems.add(
            "agent" if table.agent else "schedule",
            f"two conjugates in one study ({' and '.join(distinct)}); this mechanism carries one: make two studies",
        )
        return None
    if not distinct and len(table.agents) == 1:
        distinct = [merger.canonical("conjugate", next(iter(table.agents)))]
    return _merge(distinct[0], table, merger) if distinct else None


def _dosed(table: StudyTable, merger: Merger) -> list[str]:
    found = []
    for event in table.schedule:
        for name in event.dose:
            if name in table.agents or merger.library.has(name, "conjugate"):
                found.append(merger.canonical("conjugate", name))
    return found


def _merge(name: str, table: StudyTable, merger: Merger) -> Merged | None:
    tables = {merger.canonical("conjugate", each): own for each, own in table.agents.items()}
    agent = merger.merge("conjugate", "agents", name, tables)
    if agent is None and name not in tables:
        known = (*tables, *merger.library.names("conjugate"))
        merger.problems.add("agent", f"there is no agent {name!r}; {did_you_mean(name, known)}")
    return agent

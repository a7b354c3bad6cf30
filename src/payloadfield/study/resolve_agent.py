"""Which agent a study is about: a conjugate, or a payload alone."""

from __future__ import annotations

from payloadfield.mechanism import Mechanism
from payloadfield.study.merge import Merger
from payloadfield.study.merged import Merged
from payloadfield.study.problems import Problems, did_you_mean
from payloadfield.study.schema import StudyTable

_ROUNDING = 0.01  # of published constants


def find_agent(table: StudyTable, merger: Merger) -> Merged | None:
    """The agent that the study names or doses, or the only one it describes; None where there is none.

    A payload of the library that is named or dosed where there is no conjugate is an agent by itself.
    Notes a problem for an unknown name, and for two agents: a mechanism carries one.
    """
    tables = {merger.canonical("conjugate", each): own for each, own in table.agents.items()}
    merged = {name: merger.merge("conjugate", "agents", name, tables) for name in tables}
    names = _dosed(table, merger)
    if table.agent is not None:
        names = [merger.canonical("conjugate", table.agent), *names]
        if names[0] not in tables and merger.library.has(names[0], "payload"):
            return _payload_alone([names[0], *_dosed_payloads(table, merger)], merger)
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
    if not distinct and not merged:
        return _payload_alone(_dosed_payloads(table, merger), merger)
    if not distinct:
        return next(iter(merged.values())) if len(merged) == 1 else None
    return merged[distinct[0]] if distinct[0] in merged else merger.merge("conjugate", "agents", distinct[0], {})


def refuse_other_k_off(agent: Merged | None, mechanism: Mechanism, problems: Problems) -> None:
    """Note a problem for a k_off that a study gives beside k_on and KD, and that is not their product."""
    paths = {"antibody.k_off": "1/s", "antibody.k_on": "1/nM/s", "antibody.KD": "nM"}
    is_read = any(parameter.source == "agent.antibody.k_off" for parameter in mechanism.parameters)
    if agent is None or is_read or not all(path in agent.leaves for path in paths):
        return
    key = agent.key("antibody.k_off")
    if agent.leaves["antibody.k_off"].origin not in ("study", "--set", "design"):
        return
    k_off, k_on, K_D = (agent.leaves[path].value_in(unit, key) for path, unit in paths.items())
    if abs(k_off - k_on * K_D) > _ROUNDING * k_on * K_D:
        hint = f"KD = k_off / k_on = {k_off / k_on:.4g} nM" if k_on > 0 else "KD and k_on"
        given = agent.leaves["antibody.k_off"].quantity.text
        problems.add(key, f"got {given!r}, but k_on KD = {k_on * K_D:.4g} 1/s; leave k_off out and set {hint}")


def _payload_alone(names: list[str], merger: Merger) -> Merged | None:
    distinct = list(dict.fromkeys(merger.canonical("payload", name) for name in names))
    if len(distinct) > 1:
        merger.problems.add(
            "schedule",
            f"two payloads in one study ({' and '.join(distinct)}); this mechanism carries one: make two studies",
        )
    if len(distinct) != 1:
        return None
    return merger.merge("conjugate", "agents", distinct[0], {distinct[0]: {"payload": distinct[0]}})


def _dosed_payloads(table: StudyTable, merger: Merger) -> list[str]:
    names = (name for event in table.schedule for name in (*event.dose, *event.curve))
    return [name for name in names if merger.library.has(name, "payload")]


def _dosed(table: StudyTable, merger: Merger) -> list[str]:
    found = []
    for event in table.schedule:
        for name in (*event.dose, *event.curve):
            if name in table.agents or merger.library.has(name, "conjugate"):
                found.append(merger.canonical("conjugate", name))
    return found

"""The targets: what each is, where its numbers come from, and how it is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from payloadfield.compare.verify import cultures, exact, tissue
from payloadfield.compare.verify.checks import Check
from payloadfield.compare.verify.solving import Solver
from payloadfield.errors import RunError


@dataclass(frozen=True)
class Target:
    """One target of the literature.

    number, name: what it goes by.  source: where its numbers come from.  is_long: more than some seconds.
    """

    number: int
    name: str
    doc: str
    source: str
    check: Callable[[Solver], Iterator[Check]]
    is_long: bool = False


TARGETS = (
    Target(1, "pulse-chase", "T-DM1 washed and chased on SK-BR-3", "Scheuher 2023", cultures.pulse_chase),
    Target(2, "pulse-chase-others", "the same on two other lines", "Scheuher 2023", cultures.pulse_chase_others),
    Target(3, "spheroid", "rituximab in and out of a spheroid", "TransportCocktails", tissue.spheroid, is_long=True),
    Target(4, "IC50", "T-DXd on three lines", "Ogitani 2016", cultures.half_doses),
    Target(5, "SN-38", "dose response of HCC1806", "Cheng 2022", cultures.dose_response),
    Target(6, "release", "DXd released by Dato-DXd against TROP2", "Okajima 2021", cultures.release_by_antigen),
    Target(7, "co-culture", "who is killed beside HER2-positive cells", "Ogitani 2016", cultures.coculture),
    Target(8, "barrier", "payload around a vessel against receptors", "Vasalou 2015", tissue.barrier),
    Target(9, "bystanders", "coverage of distant cells against uptake", "Khera 2018", tissue.bystanders),
    Target(10, "exact", "slab, front, Krogh, Thiele, retardation", "exact solutions", exact.solutions),
)


def find_targets(names: Sequence[str], *, is_all: bool = False) -> tuple[Target, ...]:
    """Targets by name or number; without names the quick ones, or all.  Raises RunError for an unknown name."""
    if not names:
        return tuple(target for target in TARGETS if is_all or not target.is_long)
    by_name = {key: target for target in TARGETS for key in (target.name, str(target.number))}
    for name in names:
        if name not in by_name:
            near = get_close_matches(name, by_name, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            known = ", ".join(f"{target.number} {target.name}" for target in TARGETS)
            raise RunError(f"verify: there is no target {name!r}; {hint}there are: {known}")
    chosen = {by_name[name].number for name in names}
    return tuple(target for target in TARGETS if target.number in chosen)


def verify(targets: Sequence[Target], backend: str | None = None) -> Iterator[Check]:
    """The checks of the targets, as they are done."""
    solver = Solver(backend)
    for target in targets:
        yield from target.check(solver)

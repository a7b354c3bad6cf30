"""Every fact of the literature table is in the library as it was read, and values derived from one say so.

facts.csv holds key, value, range, unit and grade of each fact, typed apart from the library.
"""

import csv
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from payloadfield.library import KINDS, LIMITS, load_library, unit_of
from payloadfield.library.limits import FIRST_ORDER, Limits, limits_of
from payloadfield.units import parse_quantity

LIBRARY = load_library()
FACTS = {row["key"]: row for row in csv.DictReader(Path(__file__).with_name("facts.csv").open())}
#: Facts whose source gives no number, or none that a unit of the program could carry.
WORDS = {"res.efflux", "wall.PCL"}

BY_KEY = defaultdict(list)
for _kind in KINDS:
    for _entry in LIBRARY.entries[_kind].values():
        for _path, _quantity in _entry.values.items():
            BY_KEY[_quantity.key].append((_kind, _entry.name, _path, _quantity))


def says_the_same(quantity, fact):
    """Whether a value of the library is the fact word for word."""
    limits = {name: float(fact[name]) if fact[name] else None for name in ("low", "high")}
    return (
        bool(fact["value"])
        and quantity.value == float(fact["value"])
        and (quantity.low, quantity.high) == (limits["low"], limits["high"])
        and (quantity.unit, quantity.grade) == (fact["unit"], fact["grade"])
    )


def test_there_are_209_facts():
    assert len(FACTS) == 209


@pytest.mark.parametrize("key", FACTS)
def test_every_fact_is_in_the_library_as_it_was_read(key):
    assert key in BY_KEY
    if key not in WORDS:
        assert any(says_the_same(quantity, FACTS[key]) for *_, quantity in BY_KEY[key])


def test_a_value_that_is_not_the_fact_itself_tells_how_it_was_converted():
    """Rates from half-lives, and an association rate kept in the note of its dissociation constant."""
    converted = defaultdict(list)
    for key, fact in FACTS.items():
        for *_, path, quantity in BY_KEY[key]:
            if not says_the_same(quantity, fact) and key not in WORDS:
                converted[path.removeprefix("payload.")].append(quantity)
    assert set(converted) == {"target.turnover", "target.k_on"}
    assert all("18 h" in quantity.note for quantity in converted["target.turnover"])
    assert all("k_off 13.1 1/day" in quantity.note for quantity in converted["target.k_on"])


def test_what_is_no_fact_has_a_key_of_its_own_place():
    """A conjugate has values of its parts, an entry those of the defaults of its kind; nothing else shares a key."""
    places = Counter(key for key, found in BY_KEY.items() if key not in FACTS for _ in found)
    shared = {key for key, count in places.items() if count > 1}
    assert all(key.split(".")[0] in KINDS for key in places)
    assert all(key.startswith(("antibody.", "linker.", "payload.")) or ".default." in key for key in shared), shared


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_entries_whose_values_are_possible(kind):
    assert LIBRARY.entries[kind]
    for entry in LIBRARY.entries[kind].values():
        for path, quantity in entry.values.items():
            unit = unit_of(kind, path)
            assert limits_of(path, unit).hold(parse_quantity(quantity.text, unit, quantity.key)), quantity.key


def test_limits_are_by_the_end_of_a_path():
    assert limits_of("payload.fraction_unbound") == LIMITS["fraction_unbound"] == Limits(0.0, 1.0)
    assert limits_of("relative_diffusivity.adc") == LIMITS["relative_diffusivity.*"]
    assert limits_of("k_in") == Limits() and limits_of("payload.k_in", "1/s") == FIRST_ORDER
    assert limits_of("payload.k_on", "1/nM/s") == Limits()


def test_an_open_limit_is_itself_impossible_and_a_closed_one_is_not():
    opened, closed = Limits(0.0, 1.0, is_open=True), Limits(0.0, 1.0)
    assert [opened.hold(x) for x in (-1.0, 0.0, 0.5, 1.0, 2.0)] == [False, False, True, False, False]
    assert [closed.hold(x) for x in (-1.0, 0.0, 0.5, 1.0, 2.0)] == [False, True, True, True, False]
    assert opened.text("1") == "only a number above 0 and below 1" and closed.text("nM") == "only 0 to 1 nM"
    assert Limits(is_open=True).text("nM") == "only a number above 0"


@pytest.mark.parametrize("name", ["T-nc-DXd", "T-ec-DXd", "T-hp-DXd", "T-degrader", "T-agonist"])
def test_a_design_differs_from_t_dxd_in_what_it_is_named_for_and_says_that_it_is_assumed(name):
    design, base = LIBRARY.find(name, "conjugate"), LIBRARY.find("T-DXd", "conjugate")
    assert design.doc.startswith("a design:") and design.labels["antibody"] == base.labels["antibody"]
    own = {"T-ec-DXd": {"linker"}, "T-nc-DXd": {"linker", "payload"}}.get(name, {"payload"})
    assert {role for role in ("linker", "payload") if design.labels[role] != base.labels[role]} == own
    for role in own:
        part = LIBRARY.find(design.labels[role], role)
        changed = {
            p: q
            for p, q in part.values.items()
            if q.value != getattr(LIBRARY.find(base.labels[role], role).values.get(p), "value", None)
        }
        assert changed and all(
            q.grade == "assumed" for p, q in changed.items() if p.startswith(("k_", "kcat", "target.KD"))
        )


def test_every_assumed_number_that_is_new_to_a_design_has_a_range():
    for *_, quantity in (row for rows in BY_KEY.values() for row in rows):
        if quantity.grade == "assumed" and quantity.citation.startswith("none") and quantity.key not in FACTS:
            assert quantity.low is not None and quantity.high is not None, quantity.key

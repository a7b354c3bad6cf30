"""Quantities at the edge: exact conversion, refusals that say what is needed, dimensions for the mechanism's check."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payloadfield.errors import PayloadfieldError, UnitsError
from payloadfield.units import (
    AVOGADRO_NM_UM3,
    combine_dimensions,
    describe_dimension,
    dimension,
    format_dimension,
    parse_quantity,
)


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("72 h", "s", 259200.0),
        ("1 day", "s", 86400.0),
        ("10 um", "um", 10.0),
        ("10 µm", "um", 10.0),
        ("5 mm", "um", 5000.0),
        ("50 nM", "nM", 50.0),
        ("2 uM", "nM", 2000.0),
        ("3 pM", "nM", 0.003),
        ("1 mol/L", "nM", 1e9),
        ("1 nmol / L", "nM", 1.0),
        ("1e5 / M / s", "1/nM/s", 1e-4),
        ("0.072 / day", "1/s", 0.072 / 86400),
        ("500 uL", "um^3", 5e11),
        ("2 pL", "um^3", 2000.0),
        ("5e6 / mL", "1/um^3", 5e-6),
        ("5e6 cells / mL", "1/um^3", 5e-6),
        ("420 um^2/s", "um^2/s", 420.0),
        ("420 um²/s", "um^2/s", 420.0),
        ("420 um2/s", "um^2/s", 420.0),
        ("420 um**2 * s-1", "um^2/s", 420.0),
        ("4.2e-6 cm^2/s", "um^2/s", 420.0),
        ("12.2 1e-6 cm/s", "um/s", 0.122),
        ("30 %", "1", 0.3),
        ("7", "1", 7.0),
        (7, "1", 7.0),
        ("1 molecules/(nM um^3)", "molecules/nM/um^3", 1.0),
        ("-5 um", "um", -5.0),
    ],
)
def test_quantities_are_converted_to_the_internal_unit(text: object, unit: str, value: float) -> None:
    assert parse_quantity(text, unit, "key") == pytest.approx(value, rel=1e-15)


def test_a_plain_count_of_molecules_needs_no_unit_but_a_concentration_does() -> None:
    assert parse_quantity(1.12e6, "molecules", "key") == 1.12e6
    assert parse_quantity("1.12e6 / cell", "molecules", "key") == 1.12e6
    with pytest.raises(UnitsError, match="number without a unit"):
        parse_quantity(50, "nM", "key")


def test_a_wrong_dimension_is_refused_in_words_with_an_example() -> None:
    with pytest.raises(UnitsError) as refusal:
        parse_quantity("420 um/s", "um^2/s", "study.toml, agents.T-DXd.payload.diffusivity")
    assert str(refusal.value) == (
        "study.toml, agents.T-DXd.payload.diffusivity: got '420 um/s', a velocity; "
        "a diffusivity such as '420 um^2/s' is needed"
    )


@pytest.mark.parametrize(
    "text",
    ["", "um", "nan s", "inf s", "1e999 s", "5 parsec", "( s", "5 s +", "5 s - 3 s", "5 s + 3 s", "1 s**99999",
     "1 s**(99999)", "1 s __class__", "1" * 5000, "1 " + "s" * 5000, True, None, [1], {"a": 1}, float("nan"),
     float("inf"), "5 s; import os", "lambda: 3", "1 s/0", "1 0/0 s", 10**400],
)  # fmt: skip
def test_nonsense_is_refused_with_its_place(text: object) -> None:
    with pytest.raises(UnitsError, match=r"study\.toml, duration"):
        parse_quantity(text, "s", "study.toml, duration")


@given(st.text(max_size=20))
def test_any_text_gives_a_finite_number_or_our_refusal(text: str) -> None:
    try:
        value = parse_quantity("1" + text, "s", "key")
    except PayloadfieldError:
        return
    assert abs(value) < float("inf")


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_internal_units_pass_through_unchanged(value: float) -> None:
    for unit in ("um", "s", "nM", "um^2/s", "1/nM/s", "molecules", "um^3"):
        assert parse_quantity(f"{value!r} {unit}", unit, "key") == value


def test_molecules_and_concentration_times_volume_are_different_dimensions() -> None:
    amount = combine_dimensions(dimension("nM"), dimension("um^3"))
    assert amount != dimension("molecules")
    assert combine_dimensions(amount, dimension("molecules/nM/um^3")) == dimension("molecules")
    assert pytest.approx(6.02214076e23 * 1e-9 * 1e-15) == AVOGADRO_NM_UM3


def test_dimensions_are_hashable_exponents_over_the_bases() -> None:
    assert dimension("1/nM/s") == (("s", Fraction(-1)), ("nM", Fraction(-1)))
    assert dimension("1") == dimension("-") == dimension("") == dimension("nM/uM") == ()
    assert len({dimension("um^2/s"), dimension("cm^2/h"), dimension("um/s")}) == 2
    assert format_dimension(dimension("um^2/s")) == "um^2 s^-1"
    assert describe_dimension(dimension("cm/s")) == "a velocity"
    assert describe_dimension(dimension("um^5")) == "a quantity in um^5"


def test_powers_of_dimensions_combine() -> None:
    root = combine_dimensions((), dimension("um^2/s"), Fraction(1, 2))
    assert combine_dimensions((), root, 2) == dimension("um^2/s")
    assert combine_dimensions(dimension("nM"), dimension("nM"), -1) == ()

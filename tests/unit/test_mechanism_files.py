"""Mechanism files: what is read, in which order, and what is refused with which words."""

import contextlib
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payloadfield.errors import MechanismError, PayloadfieldError
from payloadfield.mechanism import evaluate, load_mechanism
from payloadfield.mechanism.dependency import grouped_order
from payloadfield.units import AVOGADRO_NM_UM3

TINY = """
name = "tiny"
[moieties]
drug = {}
[parameters]
D = { unit = "um^2/s", value = "100 um^2/s" }
k = { unit = "1/s", value = "3.6 / h" }
n_load = { unit = "1", value = 4 }
volume = { unit = "um^3", per = "cell", from = "cell_type.volume" }
[fields.prodrug]
contains = { drug = "n_load" }
diffusivity = "D"
[fields.drug_free]
contains = { drug = 1 }
diffusivity = "D"
[states.inside]
contains = { drug = 1 }
[accumulators.lost]
contains = { drug = 1 }
[exposures.seen]
rate = "inside / (volume * N_A)"
unit = "nM*h"
[reactions.cell]
uptake = { equation = "drug_free <=> inside", rate = "k * volume * N_A * drug_free", back = "k * inside" }
[reactions.voxel]
split = { equation = "prodrug -> n_load drug_free", rate = "k * prodrug" }
decay = { equation = "drug_free -> lost", rate = "k * drug_free" }
"""


def load(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load_mechanism(path)


def test_a_user_mechanism_is_read(tmp_path):
    mechanism = load(tmp_path, TINY)
    assert mechanism.field_names == ("prodrug", "drug_free")
    assert mechanism.state_names == ("inside", "seen")
    assert mechanism.study_parameters == ("D", "k", "n_load") and mechanism.cell_parameters == ("volume",)
    assert mechanism.field_groups == ((0,), (1,))
    assert [item.name for item in mechanism.reactions] == ["uptake", "uptake_back", "split", "decay"]


def test_units_of_the_file_are_internal_units_inside(tmp_path):
    mechanism = load(tmp_path, TINY)
    k = mechanism.parameters[1]
    assert (k.unit, k.value) == ("1/s", pytest.approx(1e-3))
    assert mechanism.states[-1].unit == "nM*s"


def test_accumulators_get_a_slot_in_cells_only_where_a_cell_feeds_them(tmp_path):
    assert "lost" not in load(tmp_path, TINY).state_names
    more = TINY.replace(
        "[reactions.voxel]", 'burn = { equation = "inside -> lost", rate = "k * inside" }\n[reactions.voxel]'
    )
    kinds = [(state.name, state.kind) for state in load(tmp_path, more).states]
    assert kinds == [("inside", "state"), ("lost", "accumulator"), ("seen", "exposure")]


def test_the_example_mechanism_loads():
    path = Path(__file__).resolve().parents[2] / "examples" / "two_fields" / "mechanism.toml"
    assert load_mechanism(path).field_names == ("prodrug", "drug")


# --- the adc mechanism -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def adc():
    return load_mechanism("adc")


def test_adc_solves_protease_first_then_conjugate_with_antibody_then_payload(adc):
    groups = [tuple(adc.field_names[f] for f in group) for group in adc.field_groups]
    assert groups == [("protease",), ("adc", "antibody"), ("payload",)]


def test_adc_reads_the_library_where_it_is(adc):
    paths = {item.name: item.source for item in adc.parameters if item.source}
    assert paths["kcat_over_km"] == "agent.linker.kcat_over_km"
    assert paths["fu"] == "agent.payload.fraction_unbound"
    assert paths["k_target"] == "agent.payload.target.turnover"
    assert paths["k_endo"] == "cell_type.trafficking.k_endo"
    assert all(item.doc for item in adc.parameters)


def test_adc_without_drug_is_at_rest(adc):
    """Receptor synthesis, trafficking and target turnover balance at the initial values."""
    values = {item.name: item.value for item in adc.parameters if item.value is not None}
    values |= {
        "N_A": AVOGADRO_NM_UM3,
        "receptors": 1.1e6,
        "k_endo": 4e-5,
        "k_rec": 2e-5,
        "k_deg": 1.3e-4,
        "volume": 3800.0,
    }
    values |= {"k_target": 1e-5, "target_concentration": 65.0}
    values |= {state.name: evaluate(state.initial, values) for state in adc.states}
    change = dict.fromkeys(adc.state_names, 0.0)
    size = dict.fromkeys(adc.state_names, 0.0)
    for item in adc.reactions:
        if item.scope == "cell" and not {"adc", "antibody", "payload", "protease"} & set(item.stoichiometry):
            values |= {name: 0.5 for name in ("k_cleave", "k_in", "k_out", "k_on_target", "KD_target", "k_on", "KD")}
            rate = evaluate(item.rate, values)
            for species, nu in item.stoichiometry.items():
                change[species] += evaluate(nu, values | {"DAR": 8.0}) * rate
                size[species] += abs(rate)
    assert size["receptor"] > 1.0 and size["target"] > 0.1
    assert all(abs(change[name]) <= 1e-12 * size[name] for name in change)


# --- order of fields -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "pairs", "expected"),
    [
        (3, {(0, 1), (1, 2)}, ((2,), (1,), (0,))),
        (3, {(0, 1), (1, 0)}, ((0, 1), (2,))),
        (4, {(0, 3), (1, 0), (0, 1), (2, 0)}, ((3,), (0, 1), (2,))),
        (3, {(0, 1), (1, 2), (2, 0)}, ((0, 1, 2),)),
        (2, set(), ((0,), (1,))),
    ],
)
def test_groups_follow_what_they_depend_on(n, pairs, expected):
    assert grouped_order(n, pairs) == expected


def test_a_field_depends_on_another_through_a_chain_of_states(tmp_path):
    """prodrug -> a -> b -> drug within the cell: drug depends on prodrug, not the other way round."""
    text = TINY.replace("[reactions.voxel]\nsplit", "[reactions.voxel]\n# split").replace(
        "[reactions.cell]",
        '[states.a]\ncontains = { drug = "n_load" }\n[reactions.cell]\n'
        'enter = { equation = "prodrug -> a", rate = "k * volume * N_A * prodrug" }\n'
        'open = { equation = "a -> n_load inside", rate = "k * a" }',
    )
    assert load(tmp_path, text).field_groups == ((0,), (1,))
    back = text.replace(
        "# split", 'join = { equation = "n_load drug_free -> prodrug", rate = "k * drug_free" }\n# split'
    )
    assert load(tmp_path, back).field_groups == ((0, 1),)


# --- refusals --------------------------------------------------------------------------------------------

REFUSALS = [
    (
        'uptake = { equation = "drug_free <=> inside", rate = "k * volume * N_A * drug_free"',
        'uptake = { equation = "drug_free <=> inside", rate = "k * volume * N_A * drugfree"',
        "uptake.rate: in 'k * volume * N_A * drugfree', 'drugfree' is neither a parameter nor a species; "
        "did you mean 'drug_free'",
    ),
    (
        'rate = "k * volume * N_A * drug_free"',
        'rate = "k * volume * drug_free"',
        "reactions.cell.uptake.rate: 'k * volume * drug_free' is in um^3*nM/s; molecules/s is needed",
    ),
    (
        'rate = "k * prodrug"',
        'rate = "k * prodrug + k"',
        "unlike units are added or compared: nM/s ('k * prodrug') and 1/s ('k')",
    ),
    (
        'rate = "k * prodrug"',
        'rate = "k * prodrug * exp(prodrug)"',
        "the argument of exp must be a pure number, but 'prodrug' is in nM",
    ),
    ('rate = "k * prodrug"', 'rate = "prodrug ** k"', "an exponent must be a pure number, but 'k' is in 1/s"),
    ('rate = "k * prodrug"', 'rate = "k * prodrug ** n_load"', "its exponent must be a number, not 'n_load'"),
    (
        'rate = "k * prodrug"',
        'rate = "k * hill(prodrug, k, 1)"',
        "hill(x, K, n) needs x and K in the same unit, got nM and 1/s",
    ),
    (
        'rate = "k * prodrug"',
        'rate = "k * prodrug * volume / volume"',
        "'volume' cannot be used here: it is a parameter of each cell",
    ),
    (
        'rate = "k * prodrug"',
        'rate = "k * prodrug * inside / inside"',
        "'inside' cannot be used here: it is one of states",
    ),
    ('rate = "k * prodrug"', 'rate = "k * prodrug + 9**9**9**9"', "unlike units"),
    ('rate = "k * prodrug"', 'rate = "k * prodrug * 9**9**9**9"', "is not a finite number"),
    ('rate = "k * prodrug"', "rate = true", "got True; an expression is needed"),
    (
        'rate = "k * prodrug"',
        'rat = "k * prodrug"',
        "reactions.voxel.split.rat: unknown key; allowed: equation, rate, back, doc",
    ),
    (
        '"prodrug -> n_load drug_free"',
        '"prodrug -> drug_free"',
        "does not conserve the moiety 'drug': it gains -1*n_load + 1",
    ),
    ('"prodrug -> n_load drug_free"', '"prodrug -> 4 drug_free"', "does not conserve the moiety 'drug'"),
    (
        '"prodrug -> n_load drug_free"',
        '"prodrug -> k drug_free"',
        "'k' before 'drug_free' must be a pure number, but is in 1/s",
    ),
    (
        '"prodrug -> n_load drug_free"',
        '"prodrug -> volume drug_free"',
        "'volume' before 'drug_free' is no parameter of the study",
    ),
    (
        '"prodrug -> n_load drug_free"',
        '"prodrug -> n_load drug_fre"',
        "'drug_fre' is neither a species nor an accumulator; did you mean",
    ),
    (
        '"prodrug -> n_load drug_free"',
        '"prodrug -> n_load inside"',
        "'inside' is one of states; a voxel reaction changes fields",
    ),
    ('"prodrug -> n_load drug_free"', '"prodrug = drug_free"', "needs one arrow, '->' or '<=>'"),
    ('"prodrug -> n_load drug_free"', '"prodrug -> a b c d"', "'a b c d' cannot be read"),
    ('"prodrug -> n_load drug_free"', '"prodrug -> 0 drug_free"', "must be a number above zero"),
    ('"prodrug -> n_load drug_free"', '"prodrug -> prodrug"', "changes nothing"),
    ('"prodrug -> n_load drug_free"', '" -> "', "names no species"),
    ('equation = "drug_free <=> inside"', 'equation = "drug_free -> inside"', "given, but '->' has no way back"),
    ('"drug_free -> lost"', '"drug_free <=> lost"', "missing: '<=>' needs the rate of the way back"),
    (
        "[states.inside]",
        "[states.prodrug]\n[states.inside]",
        "the name 'prodrug' is taken: it is one of fields already",
    ),
    ("[states.inside]", "[states.N_A]\n[states.inside]", "'N_A' is a function or constant of expressions"),
    ("[states.inside]", '[states."a b"]\n[states.inside]', "'a b' is no name"),
    (
        "[states.inside]\ncontains = { drug = 1 }",
        "[states.inside]\ncontains = { dru = 1 }",
        "unknown moiety; did you mean 'drug'",
    ),
    (
        "[states.inside]\ncontains = { drug = 1 }",
        '[states.inside]\ncontains = { drug = "k" }',
        "'k' is in 1/s; 1 is needed",
    ),
    (
        "[states.inside]\ncontains = { drug = 1 }",
        '[states.inside]\ncontains = { drug = "1/n_load" }',
        "use numbers, study parameters, + - *",
    ),
    (
        "[states.inside]",
        '[states.inside]\ninitial = "volume"',
        "states.inside.initial: 'volume' is in um^3; molecules is needed",
    ),
    ("[states.inside]", "[states.inside]\ninitial = 5", "'5.0' is in 1; molecules is needed"),
    ("[states.inside]", '[states.inside]\ncolour = "red"', "states.inside.colour: unknown key"),
    ('diffusivity = "D"', 'diffusivity = "k"', "fields.prodrug.diffusivity: 'k' is in 1/s; um^2/s is needed"),
    ('diffusivity = "D"', 'typical = "D"\ndiffusivity = "D"', "fields.prodrug.typical: 'D' is in um^2/s; nM is needed"),
    ('diffusivity = "D"', 'dosed_by = "hand"\ndiffusivity = "D"', "got 'hand'; allowed: conjugate, antibody, payload"),
    ('diffusivity = "D"', "", "fields.prodrug.diffusivity: missing"),
    (
        'rate = "inside / (volume * N_A)"',
        'rate = "inside"',
        "exposures.seen.rate: 'inside' is in molecules; nM is needed",
    ),
    ('per = "cell"', 'per = "voxel"', "parameters.volume.per: got 'voxel'; 'study' or 'cell' is allowed"),
    (', from = "cell_type.volume"', "", "parameters.volume.from: missing; name where a study finds it"),
    ('value = "3.6 / h"', 'value = "3.6 um"', "parameters.k.value: got '3.6 um', a length"),
    ('unit = "1/s"', 'unit = "1/fortnight"', "parameters.k.unit: unit '1/fortnight'"),
    ('unit = "1/s"', "unit = 3", "parameters.k.unit: got 3; a string is needed"),
    ('name = "tiny"', 'name = "tiny"\n[reaction.cell]', "reaction: unknown key; allowed: name, doc, moieties"),
    ("[reactions.cell]", "[reactions.cells]", "reactions.cells: unknown key"),
    ("[moieties]", "[moieties", "not a TOML file"),
    ('name = "tiny"', "name = " + "[" * 5000, "not a TOML file"),
]


@pytest.mark.parametrize(("old", "new", "message"), REFUSALS, ids=[case[2][:60] for case in REFUSALS])
def test_what_is_wrong_is_refused_with_file_place_and_reason(tmp_path, old, new, message):
    assert old in TINY
    with pytest.raises(PayloadfieldError, match=re.escape(message)) as caught:
        load(tmp_path, TINY.replace(old, new, 1))
    assert str(caught.value).startswith("mine.toml")


def test_a_content_that_expands_without_end_is_refused(tmp_path):
    names = "".join(f'p{i} = {{ unit = "1", value = 1 }}\n' for i in range(24))
    content = "*".join(f"(1 + p{i})" for i in range(24))
    text = TINY.replace("[fields.prodrug]", names + "[fields.prodrug]", 1)
    with pytest.raises(MechanismError, match="expands to more than"):
        load(tmp_path, text.replace('contains = { drug = "n_load" }', f'contains = {{ drug = "{content}" }}'))


_PIECES = st.sampled_from(
    [
        "",
        "(",
        ")",
        "**",
        "-> ",
        "k",
        "inside",
        "{",
        "}",
        '"',
        "1e999",
        "drug",
        "[states]",
        "\n",
        "= 3",
        "[]",
        "true",
        "\x00",
        "é",
    ]
)


@settings(max_examples=250)
@given(st.integers(0, len(TINY)), st.integers(0, 12), _PIECES)
def test_a_damaged_file_is_read_or_refused_but_never_fails_otherwise(at, length, piece):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.toml"
        path.write_text(TINY[:at] + piece + TINY[at + length :])
        with contextlib.suppress(PayloadfieldError):
            load_mechanism(path)


def test_a_mechanism_without_fields_is_refused(tmp_path):
    with pytest.raises(MechanismError, match="at least one"):
        load(tmp_path, 'name = "none"\n')


def test_an_unknown_name_lists_the_built_in_mechanisms():
    with pytest.raises(MechanismError, match=r"mechanism 'abc': neither a file nor built in; built in: adc"):
        load_mechanism("abc")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MechanismError, match="UTF-8"):
        load_mechanism(path)

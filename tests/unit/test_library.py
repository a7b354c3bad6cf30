"""The library: every number has unit, range, grade and source, and agrees with facts typed from the literature."""

import math

import pytest

from payloadfield.errors import LibraryError
from payloadfield.library import GRADES, KINDS, Entry, Quantity, describe, load_library, unit_of
from payloadfield.units import parse_quantity

LIBRARY = load_library()
ENTRIES = [entry for kind in KINDS for entry in LIBRARY.entries[kind].values()]
QUANTITIES = [(entry, path, value) for entry in ENTRIES for path, value in entry.values.items()]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.kind}:{entry.name}")
def test_every_value_has_unit_grade_citation_and_an_ordered_range(entry: Entry) -> None:
    assert entry.doc and entry.values
    for value in entry.values.values():
        assert value.grade in GRADES
        assert value.citation and value.note and value.key
        assert value.flags, f"{value.key}: the note must start with a flag"
        low, high = value.low, value.high
        assert (low is None or low <= value.value) and (high is None or value.value <= high)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.kind}:{entry.name}")
def test_every_value_is_one_that_the_program_knows_in_its_dimension(entry: Entry) -> None:
    for path, value in entry.values.items():
        unit = unit_of(entry.kind, path)
        assert unit is not None, path
        assert parse_quantity(value.text, unit, value.key) >= 0


def test_every_engineering_assumption_is_graded_assumed_or_flagged_as_recalled() -> None:
    for _, _, value in QUANTITIES:
        if value.citation.startswith("none"):
            assert value.grade == "assumed" or "M" in value.flags, value.key


def test_a_recalled_number_is_never_shown_without_that_remark() -> None:
    recalled = [value for _, _, value in QUANTITIES if "M" in value.flags]
    assert recalled
    assert all("recalled, not re-read" in value.standing for value in recalled)
    shown = {row.path: row.standing for row in describe("JIMT-1").rows}
    assert shown["antigens.HER2.receptors"] == "estimated (recalled, not re-read)"


@pytest.mark.parametrize(
    ("name", "path", "unit", "value"),
    [
        ("T-DXd", "DAR", "1", 8),
        ("T-DM1", "DAR", "1", 3.5),
        ("Dato-DXd", "DAR", "1", 4),
        ("sacituzumab govitecan", "DAR", "1", 7.6),
        ("sac-TMT", "DAR", "1", 7.4),
        ("T-DXd", "linker.k_dec", "1/s", -math.log(0.97) / (21 * 86400)),
        ("T-DM1", "linker.k_dec", "1/s", 6.41e-7),
        ("T-DM1", "linker.kcat_over_km", "1/nM/s", 0),
        ("sacituzumab govitecan", "linker.k_dec", "1/s", math.log(2) / (16.6 * 3600)),
        ("vc-MMAE", "linker.k_dec", "1/s", 0.072 / 86400),
        ("T-DXd", "antibody.KD", "nM", 0.314),
        ("Dato-DXd", "antibody.KD", "nM", 0.74),
        ("T-DXd", "antibody.k_on", "1/nM/s", 1e-4),
        ("DXd", "k_in", "1/s", math.log(2) / (0.9 * 60)),
        ("Lys-SMCC-DM1", "k_in", "1/s", math.log(2) / (194 * 60)),
        ("MMAE", "k_in", "1/s", math.log(2) / (2.2 * 60)),
        ("SN-38", "k_in", "1/s", math.log(2) / (2.8 * 60)),
        ("DXd", "target.KD", "nM", 161),
        ("Lys-SMCC-DM1", "target.KD", "nM", 950),
        ("MMAE", "target.KD", "nM", 13.1 / 0.44),
        ("SK-BR-3", "antigens.HER2.receptors", "molecules", 1.12e6),
        ("BT-474EEI", "antigens.HER2.receptors", "molecules", 4.7e5),
        ("MCF7-neo/HER2", "antigens.HER2.receptors", "molecules", 1.3e6),
        ("SK-BR-3", "volume", "um^3", 3820),
        ("NCI-N87", "antigens.TROP2.receptors", "molecules", 2e5),
        ("HER2", "trafficking.k_endo", "1/s", 0.154 / 3600),
        ("TROP2", "trafficking.k_endo", "1/s", 0.773 / 3600),
        ("GelMA", "relative_diffusivity.adc", "1", 0.3),
        ("cathepsin L", "diffusivity", "um^2/s", 126),
    ],
)
def test_the_library_agrees_with_the_literature(name: str, path: str, unit: str, value: float) -> None:
    found = LIBRARY.find(name).quantity(path)
    assert parse_quantity(found.text, unit, path) == pytest.approx(value, rel=0.02)


def test_the_conjugates_and_cells_of_the_field_are_there() -> None:
    assert {"T-DXd", "T-DM1", "Dato-DXd", "sacituzumab govitecan", "sac-TMT", "vc-MMAE"} <= set(
        LIBRARY.names("conjugate")
    )
    for name in ("SK-BR-3", "BT-474", "BT-474EEI", "MCF7-neo/HER2", "NCI-N87", "KPL-4", "MDA-MB-468", "fibroblast"):
        assert LIBRARY.find(name, "cell_type").quantity("volume").value > 0
    assert LIBRARY.find("PCL").labels["kind"] == "impermeable"


def test_a_conjugate_is_its_parts_and_its_own_value_wins() -> None:
    t_dxd, payload = LIBRARY.find("T-DXd", "conjugate"), LIBRARY.find("DXd", "payload")
    assert t_dxd.part("payload") == dict(payload.values)
    assert LIBRARY.find("sacituzumab govitecan").quantity("antibody.KD").key == "sg.KD"
    assert LIBRARY.find("sac-TMT").quantity("antibody.KD").key == "sactmt.KD"
    assert LIBRARY.find("T-DXd").labels["antibody.antigen"] == "HER2"


def test_aliases_find_and_unknown_names_are_refused_with_the_nearest() -> None:
    assert LIBRARY.find("trastuzumab deruxtecan").name == "T-DXd"
    with pytest.raises(LibraryError, match="no conjugate 'T-DXD'; did you mean 'T-DXd'"):
        LIBRARY.find("T-DXD", "conjugate")
    with pytest.raises(LibraryError, match="there are: medium, PCL"):
        LIBRARY.find("zzzzz", "material")


def test_a_description_counts_what_is_assumed_and_is_plain_data() -> None:
    import json

    shown = describe("T-DXd")
    assert 0 < shown.n_assumed < len(shown.rows)
    assert json.loads(json.dumps(shown.as_dict()))["name"] == "T-DXd"


def test_a_malformed_quantity_is_refused() -> None:
    with pytest.raises(LibraryError, match="low <= value <= high"):
        Quantity(1.0, "nM", 2.0, 3.0, "measured", "x", "", "[R]", "key")
    with pytest.raises(LibraryError, match="grade 'guessed'"):
        Quantity(1.0, "nM", None, None, "guessed", "x", "", "[R]", "key")


def test_entries_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        LIBRARY.find("T-DXd").values["DAR"] = None  # type: ignore[index]

"""Layouts of cells in study files: contradictions, units of densities, the same cells in every design."""

import numpy as np
import pytest

from payloadfield.errors import StudyError
from payloadfield.study import load_study

AROUND = {
    "duration": "1 h",
    "seed": 5,
    "grid": {"size": ["120 um", "120 um", "120 um"], "voxel": "20 um"},
    "boundary": {"z_high": "bath"},
    "scaffold": [{"shape": "box", "material": "GelMA", "low": ["0 um"] * 3, "high": ["120 um", "120 um", "60 um"]}],
    "schedule": [{"at": "0 h", "dose": {"T-DXd": "50 nM"}}],
}
BALL = {"place": "spheroid", "centre": ["60 um", "60 um", "60 um"], "radius": "40 um"}


def load(*rows, **changes):
    return load_study({**AROUND, "cells": [{"type": "SK-BR-3", **row} for row in rows], **changes})


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"count": 3, "coverage": 0.5}, "cells[0]: exactly one of count, density, coverage, interstitial_fraction"),
        ({"count": 3, "density": "1e6 / mL", "coverage": 0.5}, "got count and density and coverage"),
        ({"density": "5 um"}, "got '5 um'; a number density such as '5e6 / mL' or a number per area such as"),
        ({"density": "-5 / cm^2"}, "got '-5 / cm^2'; a number per area above 0"),
        ({"density": 5}, "cells[0].density: got 5"),
        ({"density": True}, "cells[0].density: got True"),
        ({"density": "5e4 / cm^2", "place": "gel"}, "area density with place 'gel'; only the place 'surface'"),
        ({"coverage": 1.5}, "cells[0].coverage: got 1.5; a pure number of at least 0 and at most 1"),
        ({"coverage": 0.0}, "coverage 0; a number above 0"),
        ({"coverage": 0.5, "types": {"MCF-7": 1.0}}, "'type' and 'types' are both given"),
        ({"count": 9, "pattern": "stripes"}, "cells[0].pattern: got 'stripes'; 'mixed', 'patches', 'core' or 'shell'"),
        ({"count": 9, "pattern": "core"}, "pattern 'core' with one type"),
        ({**BALL, "count": 9, "centres": [["1 um"] * 3]}, "exactly one of centre and centres is needed for spheroids"),
        ({**BALL, "interstitial_fraction": 1.0}, "cells[0].interstitial_fraction: got 1; a number above 0 and below 1"),
        ({**BALL, "interstitial_fraction": 0.3, "place": "gel"}, "cells[0].place: got 'gel' with centre and radius"),
        ({**BALL, "interstitial_fraction": 0.3, "radius": "70 um"}, "outside the grid"),
        ({"interstitial_fraction": 0.3}, "exactly one of centre and centres is needed for spheroids"),
        ({"count": 9, "gradient": {"axis": "z", "low": 1.0}}, "cells[0].gradient.high: is missing"),
        ({"count": 9, "gradient": {"axis": "r", "low": 1.0, "high": 0.0}}, "cells[0].gradient.axis: got 'r'"),
        ({"count": 9, "gradient": {"axis": "z", "low": 1.0, "high": 0.0, "n": 1}}, "cells[0].gradient.n: unknown key"),
        ({"count": 9, "gradient": {"axis": "z", "low": -1.0, "high": 0.0}}, "cells[0].gradient.low: got -1.0"),
        ({"count": 9, "minimum_distance": "0 um"}, "cells[0].minimum_distance: got '0 um'; a length above 0"),
        ({"count": 500, "minimum_distance": "30 um", "place": "gel"}, "random placement finds room for"),
        ({"count": 9, "excludes_volume": "yes"}, "cells[0].excludes_volume: got 'yes'; true or false is needed"),
        ({"count": 9, "unit": "um"}, "cells[0].unit: belongs to a file of cells in AnnData format"),
        ({"count": 9, "place": "gel", "material": "PCL"}, "material 'PCL'; an open one of this study is needed"),
    ],
)  # fmt: skip
def test_a_layout_that_makes_no_sense_is_refused_with_its_key(row, words):
    with pytest.raises(StudyError) as caught:
        load(row)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_shares_of_types_add_up_and_their_names_are_known():
    rows = [
        {"types": {"SK-BR-3": 0.5, "MCF-7": 0.4}, "count": 9},
        {"types": {"SK-BR-3": 0.5, "MFC-7": 0.5}, "count": 9},
    ]
    for row, words in zip(
        rows, ("cells[0].types: the shares add up to 0.9; 1", "cells[0].types.MFC-7: there is no"), strict=True
    ):
        with pytest.raises(StudyError) as caught:
            load_study({**AROUND, "cells": [row]})
        assert words in str(caught.value)


def test_densities_per_volume_and_per_area_count_as_they_should():
    area = load({"density": "1e5 / cm^2"})
    assert area.cells.n_cells == round(1e5 / 1e8 * 120 * 120)
    assert load({"density": "1e7 / mL", "place": "gel"}).cells.n_cells == round(1e7 / 1e12 * 120 * 120 * 60)
    assert area.effective["cells"][0]["density"] == "0.001 1/um^2"


def test_cells_are_the_same_whatever_the_design_doses_and_another_for_another_seed():
    rows = [
        {"density": "2e7 / mL", "place": "gel", "minimum_distance": "12 um"},
        {**BALL, "centre": ["60 um", "60 um", "88 um"], "radius": "28 um", "interstitial_fraction": 0.4},
    ]
    one, dosed, other = (
        load(*rows),
        load(*rows, schedule=[{"at": "0 h", "dose": {"T-DM1": "5 nM"}}]),
        load(*rows, seed=6),
    )
    np.testing.assert_array_equal(one.cells.position, dosed.cells.position)
    assert one.cells.n_cells > 20 and not np.array_equal(one.cells.position, other.cells.position)


def test_radii_of_types_come_from_the_library_and_the_study():
    table = {"types": {"SK-BR-3": 0.5, "small": 0.5}, "count": 40, "place": "gel", "pattern": "mixed"}
    study = load_study({**AROUND, "cells": [table], "cell_types": {"small": {"based_on": "SK-BR-3", "radius": "4 um"}}})
    assert study.cells.type_names == ("SK-BR-3", "small")
    assert set(study.cells.radius[study.cells.type_index == 1]) == {4.0}
    assert np.bincount(study.cells.type_index).tolist() == [20, 20]

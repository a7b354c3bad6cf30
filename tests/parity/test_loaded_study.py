"""A study as a user writes it, with the library's numbers and placed cells, against the method of lines."""

import numpy as np
from tests import tolerances
from tests.references.dense import DenseSystem
from tests.running import run

from payloadfield.study import load_study

STUDY = {
    "title": "a strand in a small bath",
    "duration": "6 h",
    "seed": 3,
    "mechanism": "adc",
    "grid": {"size": ["60 um", "70 um", "60 um"], "voxel": "10 um"},
    "boundary": {"x": "periodic", "z_high": "bath"},
    "bath": {"volume": "1e6 um^3"},
    "scaffold": [
        {"shape": "cylinder", "axis": "y", "centre": ["40 um", "35 um", "20 um"], "radius": "18 um", "material": "PCL"},
    ],
    "cells": [
        {"type": "SK-BR-3", "count": 3, "place": "surface"},
        {"type": "fibroblast", "count": 2, "place": "medium"},
    ],
    "schedule": [{"at": "0 h", "dose": {"T-DXd": "50 nM"}}, {"at": "3 h", "wash": 0.8}],
    "output": {"every": "3 h"},
}


def test_a_study_from_a_file_gives_the_exposures_of_the_method_of_lines():
    study = load_study(STUDY)
    expected = DenseSystem(study).solve([study.duration], relative=1e-6).states[-1]
    row = study.mechanism.state_names.index("payload_exposure")
    assert np.diff(study.cells.entry_start).max() > 1
    assert expected[row].max() > 1.05 * expected[row].min()
    np.testing.assert_allclose(run(study).sim.state.states[row], expected[row], rtol=tolerances.EXPOSURE[1e-2])

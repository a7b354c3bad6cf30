import pytest

from payloadfield.compare.comparison import Request, compare_designs

STUDY = """
title = "a small sweep"
duration = "20 min"
[grid]
size = ["60 um", "40 um", "50 um"]
voxel = "10 um"
[boundary]
z_high = "bath"
[[cells]]
type = "SK-BR-3"
count = 12
place = "medium"
[[schedule]]
at = "0 h"
dose = { "T-DXd" = "50 nM" }
[output]
every = "5 min"
"""

SWEEP = """
study = "study.toml"
[space]
"agents.T-DXd.DAR" = [2, 4, 8]
"agents.T-DXd.linker.kcat_over_km" = { low = "1e3 / M / s", high = "1e5 / M / s", scale = "log", steps = 2 }
"""


@pytest.fixture
def small_sweep(tmp_path):
    """A folder with a study and a sweep of six points; the path of the sweep file."""
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    (tmp_path / "sweep.toml").write_text(SWEEP, encoding="utf-8")
    return tmp_path / "sweep.toml"


DESIGNS = """
title = "two linkers"
duration = "2 h"
[grid]
size = ["60 um", "40 um", "50 um"]
voxel = "10 um"
[boundary]
z_high = "bath"
[[cells]]
type = "SK-BR-3"
count = 6
place = "medium"
[[cells]]
type = "fibroblast"
count = 12
place = "medium"
[cell_types.fibroblast]
receptors = 0
[[schedule]]
at = "0 h"
dose = { "T-DXd" = "5 nM" }
[modules]
fate = true
sources = true
[output]
every = "1 h"
[[scenario]]
name = "amplified"
[[scenario]]
name = "antigen lost"
set = { "cell_types.SK-BR-3.receptors" = 500 }
[[design]]
name = "inside"
[[design]]
name = "outside"
set = { "agents.T-DXd.linker.kcat_over_km" = "1e6 / M / s", "agents.T-DXd.linker.k_cleave" = "0 / s" }
"""


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "study.toml"
    path.write_text(DESIGNS, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def whole_request(study):
    """Everything that can be asked of a comparison."""
    return Request(
        study, dose_factors=[1.0, 10.0], n_samples=2, n_placements=1, with_refinement=True, with_benchmark=True
    )


@pytest.fixture(scope="session")
def compared(study, whole_request):
    return compare_designs(whole_request, study.parent / "comparison")

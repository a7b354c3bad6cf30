import pytest

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

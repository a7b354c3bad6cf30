"""The studies that come with the project load; the examples run: a script, and a mechanism of one's own."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests import tolerances
from tests.running import run

import payloadfield
from payloadfield.resources import find_seed, list_seeds
from payloadfield.study import load_study

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_script_compares_two_linkers_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("compare_linkers", EXAMPLES / "compare_linkers.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    coarser = ["grid.voxel=80 um", "cells[0].count=20", "cells[1].count=10", "duration=25 h"]
    monkeypatch.setattr(script, "SMALL", [*script.SMALL, *coarser])
    picture = script.main(tmp_path)
    assert picture.read_bytes().startswith(b"\x89PNG")
    exposure = {line.split(":")[0]: float(line.split()[-3]) for line in capsys.readouterr().out.splitlines()[:4]}
    labels = list(script.LINKERS)
    assert exposure[f"{labels[1]}, fibroblast"] > exposure[f"{labels[0]}, fibroblast"] > 0  # released outside the cells
    assert payloadfield.open_run(tmp_path / "my-run").state == "finished"


@pytest.mark.parametrize("name", list_seeds())
def test_every_seed_loads_and_says_how_much_of_it_is_assumed(name: str) -> None:
    study = load_study(find_seed(name) / "study.toml")
    assert study.cells.n_cells > 0
    assert any("inputs are assumed" in warning for warning in study.warnings)


def test_a_mechanism_of_ones_own_runs_from_its_folder() -> None:
    study = load_study(EXAMPLES / "two_fields" / "study.toml", ["duration=1 h", "schedule.1.at=30 min"])
    simulation = run(study, "numpy").sim
    assert simulation.state.time == 3600
    inside = simulation.state.states[study.mechanism.state_names.index("inside")]
    assert (inside > 0).all()
    assert all(abs(line.relative_defect) <= tolerances.BALANCE for line in simulation.ledger)


def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    cells = json.loads((EXAMPLES / "two_linkers.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert all(not cell.get("outputs") for cell in cells)
    script = tmp_path / "notebook.py"
    script.write_text(code.replace('duration = "48 h"', 'duration = "8 h"').replace("count = 60", "count = 20"))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("HER2 lost: 1. cut outside") for line in lines)
    assert any(line.startswith("HER2-amplified: 1. cut inside") for line in lines)
    assert "report.html" in lines[-1]

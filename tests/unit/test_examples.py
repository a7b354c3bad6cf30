"""The studies that come with the project load; the examples run: a script, and a mechanism of one's own."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests import tolerances
from tests.running import run

import payloadfield
from payloadfield.resources import find_seed, list_seeds
from payloadfield.study import load_study

EXAMPLES = Path(__file__).parents[2] / "examples"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_compares_designs_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = script("compare_linkers")
    whole = example.STUDY.read_text(encoding="utf-8").split("[[design]]")
    example.STUDY = tmp_path / "study.toml"  # three of its designs
    example.STUDY.write_text("[[design]]".join(part for part in whole if not _is_left_out(part)), encoding="utf-8")
    coarse = ["grid.voxel=120 um", "duration=48 h", "output.every=24 h", "cells.0.density=1e7 / mL"]
    picture = example.main(tmp_path, coarse)
    assert picture.read_bytes().startswith(b"\x89PNG")
    best = {line.split(":")[0]: line.split("1 ")[1] for line in capsys.readouterr().out.splitlines()[:3]}
    assert best["antigen lost"].startswith("extracellular-cleavable")
    assert best["payload resistant"].startswith("degrader")
    run = next((tmp_path / "comparison/runs").iterdir())
    assert payloadfield.open_run(run).state == "finished"


def _is_left_out(part: str) -> bool:
    return any(part.lstrip().startswith(f'name = "{name}') for name in ("non-cleavable", "high-perm", "immune"))


def test_the_script_finds_how_much_antigen_release_inside_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coarse = {"grid.voxel": "120 um", "duration": "24 h"}
    picture = script("antigen_crossover").main(tmp_path, coarse)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert 3e4 < float(capsys.readouterr().out.split()[1]) < 3e6


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

"""The example of a scanned scaffold with segmented cells: it is written, it loads, it says what was put in, it runs."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from tests.running import run

from payloadfield.study import load_study

pytest.importorskip("tifffile")
EXAMPLE = Path(__file__).parents[2] / "examples" / "imaged_scaffold"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_stacks", EXAMPLE / "make_stacks.py")
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def folder(script, tmp_path_factory):
    folder = tmp_path_factory.mktemp("imaged_scaffold")
    script.main(folder)
    (folder / "study.toml").write_text((EXAMPLE / "study.toml").read_text())
    return folder


def test_a_scan_becomes_the_scaffold_that_it_was_made_from(script, folder):
    study = load_study(folder / "study.toml")
    # By many points in each voxel of the scan, from the strands themselves.
    z, y, x = ((np.arange(4 * n) + 0.5) * s / 4 for n, s in zip(script.SHAPE, script.SPACING, strict=True))
    along_x = np.any([(y[None] - at) ** 2 + (z[:, None] - 15) ** 2 < 13**2 for at in script.STRANDS], axis=0)
    along_y = np.any([(x[None] - at) ** 2 + (z[:, None] - 40) ** 2 < 13**2 for at in script.STRANDS], axis=0)
    porosity = np.mean([1 - (along_x[k][:, None] | along_y[k][None]).mean() for k in range(len(z))])
    # Otsu's threshold is 112.5 where 120 was meant, and strands are five voxels across.
    assert study.geometry.open_fraction.mean() == pytest.approx(porosity, rel=1.2e-2)
    assert any("by Otsu" in warning for warning in study.warnings)


def test_labels_become_cells_with_their_volumes_and_types(script, folder):
    study = load_study(folder / "study.toml")
    labels = script.cells(_after_scan(script))
    volumes = np.bincount(labels.reshape(-1))[1:] * np.prod(script.SPACING)
    own = study.cell_parameters[study.mechanism.cell_parameters.index("volume")]
    np.testing.assert_allclose(np.sort(own), np.sort(volumes), rtol=1e-9)
    counts = {name: int((study.cells.type_index == i).sum()) for i, name in enumerate(study.cells.type_names)}
    assert counts == {"SK-BR-3": 8, "MDA-MB-468": 4}


def _after_scan(script) -> np.random.Generator:
    rng = np.random.default_rng(script.SEED)
    script.scan(rng)
    return rng


def test_the_example_runs(folder):
    simulation = run(load_study(folder / "study.toml", ["duration=10 min", "grid.voxel=10 um"]), "numpy").sim
    assert simulation.state.time == 600

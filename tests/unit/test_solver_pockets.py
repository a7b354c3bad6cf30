"""Pockets in which nothing can happen are left out; those with a source, a cell or a bath are solved."""

import textwrap
from itertools import pairwise

import numpy as np
import pytest

from payloadfield.errors import StudyError
from payloadfield.solver import Simulation
from payloadfield.solver.conservation import PocketSystem
from payloadfield.solver.discretisation import find_idle_pockets
from payloadfield.study import load_study

_RNG = np.random.default_rng(5)


@pytest.mark.parametrize("sizes", [(1, 1), (3, 1, 3), (1, 40, 2), (30, 1, 30)])
@pytest.mark.parametrize("is_finite", [False, True])
def test_shifts_solve_the_whole_system(sizes, is_finite):
    """Fields with one, few and many pockets, coupled in voxels and at entries of cells, against a dense solve."""
    n, n_bath = 60, len(sizes) if is_finite else 0
    starts, size = np.cumsum([0, *sizes]), sum(sizes)
    pockets = [(np.arange(n) % count).astype(np.int32) for count in sizes]
    system, dense = PocketSystem(sizes, finite_bath=is_finite), np.zeros((size + n_bath, size + n_bath))
    for k, (start, count) in enumerate(zip(starts, sizes, strict=False)):
        diagonal, at = 5.0 + _RNG.random(count), np.arange(start, start + count)
        system.add_field(k, diagonal)
        dense[at, at] += diagonal
        for j in range(len(sizes)):
            if j != k and not (sizes[k] == sizes[j] > 5):  # two fields of many pockets each are not in one loop here
                for where, factor in ((slice(None), -1.0), (_RNG.integers(0, n, 25), 0.5)):
                    values = 0.02 * _RNG.random(len(np.arange(n)[where]))
                    system.add_coupling(k, j, factor, values, pockets[k], pockets[j], at=where)
                    np.add.at(dense, (start + pockets[k][where], starts[j] + pockets[j][where]), factor * values)
        if is_finite:
            conductance = 0.1 * _RNG.random(count)
            system.add_bath(k, 7.0, conductance, {j: 0.3 for j in range(len(sizes)) if j != k})
            dense[at, size + k] -= conductance
            dense[size + k, at] -= conductance
            dense[size + k, size : size + n_bath] = 0.3
            dense[size + k, size + k] = 7.0
    system.factor()
    right = _RNG.random(size + n_bath)
    shifts, bath = system.solve([right[a:b] for a, b in pairwise(starts)], list(right[size:]))
    expected = np.linalg.solve(dense, right)
    np.testing.assert_allclose(np.concatenate(shifts), expected[:size], rtol=1e-12)
    np.testing.assert_allclose(bath[:n_bath], expected[size:], rtol=1e-12)


MECHANISM = """
    name = "made"
    [moieties]
    [parameters]
    D = { unit = "um^2/s", value = "100 um^2/s" }
    k = { unit = "nM/s", value = "RATE nM/s" }
    [fields.a]
    diffusivity = "D"
    [reactions.voxel]
    production = { equation = "-> a", rate = "k" }
"""


def closed_pocket(folder, rate):
    """A box of medium under a bath, and another between two sheets of solid."""
    (folder / "made.toml").write_text(textwrap.dedent(MECHANISM).replace("RATE", str(rate)))
    sheets = [
        {
            "shape": "box",
            "low": ["0 um", "0 um", f"{z} um"],
            "high": ["40 um", "40 um", f"{z + 10} um"],
            "material": "PCL",
        }
        for z in (20, 50)
    ]
    return load_study(
        {
            "title": "closed pocket",
            "duration": "1000 s",
            "mechanism": str(folder / "made.toml"),
            "grid": {"size": ["40 um", "40 um", "80 um"], "voxel": "10 um"},
            "boundary": {"z_high": "bath"},
            "scaffold": sheets,
        }
    )


@pytest.mark.parametrize("rate", [0.0, 1e-3])
def test_a_closed_pocket_is_left_out_only_where_nothing_is_produced(tmp_path, rate):
    study = closed_pocket(tmp_path, rate)
    assert find_idle_pockets(study).sum() == (2 if rate == 0.0 else 0)
    simulation = Simulation(study, "numpy")
    simulation.run()
    inside = simulation.field_on_grid("a")[0]
    if rate == 0.0:
        assert np.isnan(inside).all()
    else:
        assert inside == pytest.approx(rate * 1000.0, rel=1e-4)
        assert inside.mean() == pytest.approx(rate * 1000.0, rel=1e-12)


@pytest.mark.parametrize("other", ["1e-3 um/s", "2e-3 um/s"])
def test_bath_materials_of_unlike_permeability_are_refused(tmp_path, other):
    (tmp_path / "made.toml").write_text(textwrap.dedent(MECHANISM).replace("RATE", "1e-3"))
    walls = [("one", "0 um", "20 um"), ("two", "60 um", "80 um")]
    study = load_study(
        {
            "title": "two walls",
            "duration": "1000 s",
            "mechanism": str(tmp_path / "made.toml"),
            "grid": {"size": ["40 um", "40 um", "80 um"], "voxel": "10 um"},
            "materials": {
                name: {"kind": "bath", "permeability": {"a": value}}
                for name, value in (("one", "1e-3 um/s"), ("two", other))
            },
            "scaffold": [
                {"shape": "box", "low": ["0 um", "0 um", low], "high": ["40 um", "40 um", high], "material": name}
                for name, low, high in walls
            ],
        }
    )
    if other == "1e-3 um/s":
        Simulation(study, "numpy")
    else:
        with pytest.raises(StudyError, match=r"one 0\.001 um/s, two 0\.002 um/s"):
            Simulation(study, "numpy")

"""payloadfield on the problems of this folder, through the same door as any user: a study, loaded and run."""

import csv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.cases import BOX_DECAY, BOX_TIME, CONCENTRATION, DIFFUSIVITY, SPHERE_RADIUS, SPHERE_UPTAKE, BoxCase
from benchmarks.problem import DOSE, END_TIME, WASH_TIME, Floats, H, Problem, make_problem
from payloadfield.mechanism import find_modules
from payloadfield.solver.simulation import Simulation
from payloadfield.study import Study, load_study
from payloadfield.units import AVOGADRO_NM_UM3

REFERENCE = Path(__file__).parent / "reference"
SOLVER = {"backend": "numba", "threads": 1}
STEADY_TIME = 1000.0  # s: the slowest mode of the sphere's box has then decayed by e^-17


def _grid(n: int) -> dict[str, Any]:
    return {"size": [f"{n * H} um"] * 3, "voxel": f"{H} um"}


def _write_cells(path: Path, problem: Problem) -> None:
    """A cell in the middle of each of its voxels."""
    z, y, x = np.unravel_index(problem.cell_voxel, problem.solid.shape)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("x_um", "y_um", "z_um", "type"))
        for position, antigen in zip(np.stack([x, y, z], 1), problem.antigen, strict=True):
            writer.writerow((*((position + 0.5) * H), "target" if antigen else "stroma"))


def make_reference_study(problem: Problem | int, rtol: float = 1e-2, **solver: Any) -> Study:
    """The reference problem as a study; cells come out in the order of `problem.cell_voxel`."""
    problem = make_problem(problem) if isinstance(problem, int) else problem
    molecules = AVOGADRO_NM_UM3 * H**3  # of 1 nM in a voxel
    cell = {"volume": f"{H**3} um^3", "radius": f"{0.4 * H} um"}
    receptors, secretion = (float(each.max() * molecules) for each in (problem.antigen, problem.secretion))
    types = {
        "target": {"receptors": f"{receptors!r} molecules", "protease_secretion": "0 molecules/s"},
        "stroma": {"receptors": "0 molecules", "protease_secretion": f"{secretion!r} molecules/s"},
    }
    with TemporaryDirectory() as folder:
        np.save(Path(folder) / "labels.npy", problem.solid.astype(np.uint8))
        _write_cells(Path(folder) / "cells.csv", problem)
        return load_study(
            {
                "title": f"reference problem, {problem.n}^3",
                "duration": f"{END_TIME} s",
                "mechanism": str(REFERENCE / "mechanism.toml"),
                "grid": _grid(problem.n),
                "boundary": {"z_high": "bath"},
                "scaffold": [
                    {"shape": "array", "file": f"{folder}/labels.npy", "labels": {"0": "untouched", "1": "PCL"}}
                ],
                "cell_types": {name: cell | own for name, own in types.items()},
                "cells": [{"file": f"{folder}/cells.csv"}],
                "schedule": [{"at": "0 s", "dose": {"A": f"{DOSE} nM"}}, {"at": f"{WASH_TIME} s", "wash": 1.0}],
                "solver": SOLVER | {"rtol": rtol} | solver,
                "output": {"times": []},
            }
        )


# No two of the modules left out go with all others: `released` counts what `dar_species` splits.
APART = ("released",)


def make_module_study(problem: Problem | int, *, is_full: bool) -> Study:
    """The built-in mechanism on the reference problem's geometry and cells: the usual modules, or all at once.

    Two molecules in one, so that every module has something to do: a degrader with a lactone ring.
    """
    problem = make_problem(problem) if isinstance(problem, int) else problem
    modules: dict[str, Any] = {name: True for name in find_modules("adc") if name not in APART}
    modules |= {"protein_binding": "explicit", "extracellular_cleavage": "saturated"}
    degrader = {"KD_ligase": "200 nM", "ligase": "100 nM", "cooperativity": 5, "k_degrade": "1e-3 / s"}
    payload = {"degrader": degrader | {"kill": {"threshold": 0.3, "hill": 2}}}
    agent = {
        "based_on": "sacituzumab govitecan",
        "linker": {"acid_share": 0.3, "kcat_over_km": "1e5 / M / s"},
        "payload": payload,
    }
    doses = {"all in one": f"{DOSE} nM"} | ({"osimertinib": "200 nM", "navitoclax": "1 uM"} if is_full else {})
    full = {"modules": modules, "inhibitor": "osimertinib", "senolytic": "navitoclax", "polymer": "PCL"}
    with TemporaryDirectory() as folder:
        np.save(Path(folder) / "labels.npy", problem.solid.astype(np.uint8))
        _write_cells(Path(folder) / "cells.csv", problem)
        return load_study(
            {
                "title": f"modules, {problem.n}^3",
                "duration": f"{END_TIME} s",
                "grid": _grid(problem.n),
                "boundary": {"z_high": "bath"},
                "scaffold": [
                    {"shape": "array", "file": f"{folder}/labels.npy", "labels": {"0": "untouched", "1": "PCL"}}
                ],
                "cell_types": {"target": {"based_on": "HCC1806"}, "stroma": {"based_on": "fibroblast"}},
                "cells": [{"file": f"{folder}/cells.csv"}],
                "agents": {"all in one": agent},
                "schedule": [{"at": "0 s", "dose": doses}, {"at": f"{WASH_TIME} s", "wash": 1.0}],
                "solver": SOLVER,
                "output": {"times": []},
            }
            | (full if is_full else {})
        )


def make_box_study(case: BoxCase, rtol: float) -> Study:
    """The closed box; the start is spread evenly here, and put in its octant by `run_box`."""
    return load_study(
        {
            "duration": f"{BOX_TIME} s",
            "mechanism": str(REFERENCE / "solute.toml"),
            "grid": _grid(case.n),
            "parameters": {"D": f"{DIFFUSIVITY} um^2/s", "decay": f"{BOX_DECAY} / s"},
            "initial": {"fields": {"c": f"{float(case.start.mean())} nM"}},
            "solver": SOLVER | {"rtol": rtol},
            "output": {"times": []},
        }
    )


def make_sphere_study(n: int, rtol: float) -> Study:
    """One cell as large as the ball, which takes up at rate `SPHERE_UPTAKE` in every voxel that it covers."""
    middle = f"{n * H / 2}"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cells.csv"
        path.write_text(f"x_um,y_um,z_um,type\n{middle},{middle},{middle},ball\n")
        volume = 4 / 3 * np.pi * SPHERE_RADIUS**3
        return load_study(
            {
                "duration": f"{STEADY_TIME} s",
                "mechanism": str(REFERENCE / "solute.toml"),
                "grid": _grid(n),
                "boundary": {"x": "bath", "y": "bath", "z": "bath"},
                "parameters": {"D": f"{DIFFUSIVITY} um^2/s", "uptake": f"{SPHERE_UPTAKE} / s"},
                "cell_types": {"ball": {"volume": f"{volume} um^3", "radius": f"{SPHERE_RADIUS} um"}},
                "cells": [{"file": str(path)}],
                "initial": {"fields": {"c": f"{CONCENTRATION} nM"}, "bath": {"c": f"{CONCENTRATION} nM"}},
                "solver": SOLVER | {"rtol": rtol},
                "output": {"times": []},
            }
        )


def make_empty_box(n: int) -> Study:
    """An open box of medium under a bath: the largest grid that a kernel walks over."""
    return load_study(
        {
            "duration": "1 h",
            "mechanism": str(REFERENCE / "solute.toml"),
            "grid": _grid(n),
            "boundary": {"z_high": "bath"},
            "initial": {"bath": {"c": f"{CONCENTRATION} nM"}},
            "solver": SOLVER,
            "output": {"times": []},
        }
    )


def uptake_of(study: Study) -> Floats:
    """First-order uptake rate that the study's cells make in each voxel [1/s], on the grid."""
    volume = study.cell_parameters[study.mechanism.cell_parameters.index("volume"), 0]
    rate = np.zeros(study.geometry.grid.n_voxels)
    np.add.at(rate, study.cells.entry_voxel, SPHERE_UPTAKE * volume * study.cells.entry_weight / H**3)
    return rate.reshape(study.geometry.grid.shape)


def run(study: Study) -> Any:
    """Run to the end without writing anything; returns the simulation."""
    simulation = Simulation(study)
    simulation.run()
    return simulation


def run_box(study: Study, case: BoxCase) -> Floats:
    """The closed box from its start; returns the field (n, n, n) [nM]."""
    simulation = Simulation(study)
    start = simulation.checkpoint()
    start["state_fields"][0] = case.start.ravel()[simulation.plan.voxel]
    simulation.restore(start)
    simulation.run()
    return simulation.field_on_grid("c")


def run_sphere(study: Study) -> Floats:
    """The sphere to its steady state; returns the field (n, n, n) [nM]."""
    return run(study).field_on_grid("c")

"""Studies of tests/mechanisms/fates.toml: cells in a large or small voxel, their fates expected or sampled."""

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from tests import handmade
from tests.references.fates import FATES, HOUR

from payloadfield.mechanism import evaluate, load_mechanism
from payloadfield.units import AVOGADRO_NM_UM3

LARGE, SMALL = 3000.0, 30.0  # edges [um] of voxels in which a cell takes away nothing, and much


@cache
def make_mechanism(mode):
    """The mechanism with its fates expected or sampled."""
    text = (handmade.MECHANISMS / "fates.toml").read_text()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fates.toml"
        path.write_text(f'fate = "{mode}"\n{text}')
        return load_mechanism(path)


def make_study(
    mode, *, n_cells=1, hours=48.0, drug=20.0, edge=LARGE, seed=1, n_outputs=6, mechanism=None, order=None,
    parameters=None, solver=None, schedule=(), shape=(1, 1, 1), initial_states=None,
):  # fmt: skip
    """Cells at places of their own in the first voxel; order: of their rows."""
    mechanism = make_mechanism(mode) if mechanism is None else mechanism
    box = handmade.make_box(shape, edge)
    cells = handmade.make_cells([{0: 1.0} for _ in range(n_cells)], shape, edge)
    places = np.random.default_rng(7).random((n_cells, 3)) * edge
    cells = replace(cells, position=places if order is None else places[order])
    times = np.linspace(0.0, hours * HOUR, n_outputs + 1)
    study = handmade.make_study(
        mechanism, box, duration=hours * HOUR, cells=cells, parameters=parameters, initial={"drug": drug},
        outputs=times, schedule=schedule, initial_states=initial_states,
        solver=solver or handmade.make_solver(precision="float64"),
    )  # fmt: skip
    names = *mechanism.study_parameters, *mechanism.cell_parameters
    values = {"N_A": AVOGADRO_NM_UM3, **dict(zip(names, (*study.parameters, *study.cell_parameters), strict=True))}
    sizes = [np.nan if s.typical is None else np.mean(evaluate(s.typical, values)) for s in mechanism.states]
    return replace(study, typical_states=np.array(sizes, float), seed=seed)


def of_fates(trace, k=-1):
    """Fates of the cells at an output, (n_fate, n_cell)."""
    names = trace.sim.study.mechanism.state_names
    return trace.states[k][[names.index(name) for name in FATES]]


def rows(trace, *names):
    """Some states of the first cell at every output, (n_time, n_name)."""
    all_names = trace.sim.study.mechanism.state_names
    return np.array([[state[all_names.index(name), 0] for name in names] for state in trace.states])

"""Whole runs that together launch every kernel on a GPU, those over voxels, nodes and cells in more than one block.

Small studies do so within small limits: few threads a block, and few nodes of the levels that one block works on alone.
That every kernel is launched, and in how many blocks, is counted without a GPU in tests/emulation/test_gpu_cases.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tests import handmade, scenarios, touching_studies
from tests.emulation import test_drawn_fates, test_runs_of_fates_and_curves, test_uneven_loops, test_whole_runs
from tests.footprints import draw_footprints

from payloadfield.backends.cuda import backend as cuda_backend
from payloadfield.backends.cuda import precision as cuda_precision
from payloadfield.geometry import LabelArray, Sphere
from payloadfield.solver.device import arrays


@dataclass(frozen=True)
class Limits:
    """Threads of a block, and nodes of the levels that one block works on alone."""

    block: int
    most_nodes: int

    def build(self, precision):
        """Types and block size of the kernels."""
        return replace(cuda_precision.make_build(precision), block=self.block)

    def impose(self, monkeypatch):
        """Let the next simulations on a GPU keep to these limits."""
        monkeypatch.setattr(cuda_backend, "make_build", self.build)
        monkeypatch.setattr(arrays, "MOST_SMALL_NODES", self.most_nodes)


OWN, SMALL = Limits(256, arrays.MOST_SMALL_NODES), Limits(32, 30)


@dataclass(frozen=True)
class Case:
    """A study to be made, until when it is run [s], the limits, and what it may differ by from the reference."""

    make: Callable[[], Any]
    until: float | None = None
    limits: Limits = SMALL
    tolerance: float = 1e-9


def make_large(precision="float64"):
    """40^3 voxels with a ball of solid, a slab of gel, and as many cells as need two blocks."""
    shape, n_cells = (40, 40, 40), 300
    lower = np.zeros(shape, np.uint8)
    lower[:10] = 1
    gel = handmade.make_gel({"adc": 0.3, "default": 0.7}, 0.9)
    shapes = [LabelArray(lower, {0: None, 1: "gel"}), Sphere("solid", (200.0, 170.0, 240.0), 70.0)]
    geometry = handmade.make_box(
        shape, scenarios.SPACING, shapes=shapes, materials=(handmade.MEDIUM, handmade.SOLID, gel)
    )
    cells = handmade.make_cells(draw_footprints(geometry, n_cells, 4), shape, scenarios.SPACING)
    return handmade.make_study(
        "adc", geometry, cells=cells, parameters=scenarios.ADC, of_cells=scenarios.cell_values(n_cells),
        duration=30.0, boundary={"z_high": "bath"}, bath_volume=6e7, schedule=test_whole_runs.ADC,
        outputs=[], solver=handmade.make_solver(precision=precision),
    )  # fmt: skip


def make_islands():
    """A loop of fields, one of which stays, in fifty islands of two voxels, some of them under the bath."""
    shape = (9, 9, 6)
    label = np.ones(shape, np.uint8)
    label[::2, ::2, [0, 1, 3, 4]] = 0
    geometry = handmade.make_box(shape, scenarios.SPACING, shapes=[LabelArray(label, {0: None, 1: "solid"})])
    cells = handmade.make_cells(draw_footprints(geometry, 40, 8), shape, scenarios.SPACING)
    return handmade.make_study(
        test_uneven_loops.make_ring(3, (1,)), geometry, cells=cells, duration=30.0, boundary={"z_high": "bath"},
        bath_volume=6e5, schedule=test_uneven_loops.DOSE, initial={"f0": 10.0}, outputs=[],
        of_cells={"volume": np.full(40, 2200.0)}, solver=handmade.make_solver(precision="float64"),
    )  # fmt: skip


def make_watched():
    """A first exposure that is washed out, whose peak and time above a threshold are followed; 40 cells."""
    schedule = [(0.0, {"payload": 50.0}, 0.0), (15.0, {}, 0.99)]
    study = test_whole_runs.make_case("gel_under_a_finite_bath", schedule=schedule, n_cells=40)
    output = replace(study.output, peaks=("payload_exposure",), thresholds={"payload_exposure": 0.2})
    return replace(study, output=output)


def make_drawn():
    """Fates that are drawn of 40 cells, and a peak that starts anew with each."""
    study = test_drawn_fates.make_study(n_cells=40)
    return replace(study, output=replace(study.output, peaks=("exposure",)))


def make_expected():
    """Expected fates of 40 cells."""
    return test_runs_of_fates_and_curves.make_fates(n_cells=40)


def make_kept(kind):
    """Cells that touch, drug followed by source, with outputs of every field and state."""
    study = touching_studies.make_study(kind)
    names = study.mechanism.field_names, study.mechanism.state_names
    return replace(study, output=replace(study.output, fields=tuple(names[0]), cells=tuple(names[1])))


CASES = {
    **{name: Case(lambda name=name: test_whole_runs.make_case(name)) for name in test_whole_runs.CASES},
    **{
        f"loop, {name}": Case(make, test_uneven_loops.SHORT, tolerance=1e-7)
        for name, make in test_uneven_loops.CASES.items()
    },
    **{
        f"bath that follows {name}": Case(lambda name=name: test_runs_of_fates_and_curves.make_driven(name), 20.0)
        for name in test_runs_of_fates_and_curves.CURVES
    },
    **{f"cells that touch, {kind}": Case(lambda kind=kind: make_kept(kind)) for kind in ("bridges", "sources", "both")},
    "loop, islands": Case(make_islands, test_uneven_loops.SHORT, tolerance=1e-7),
    "peaks": Case(make_watched),
    "expected fates": Case(make_expected, tolerance=1e-7),
    "drawn fates": Case(make_drawn, tolerance=1e-7),
    "large": Case(make_large, 3.0, OWN),
}

"""The central types of a study: all of it resolved, nothing to change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from payloadfield.cells import Cells
from payloadfield.geometry import Geometry, Pockets
from payloadfield.library import count_grades
from payloadfield.mechanism import Mechanism
from payloadfield.study.curve import Curve

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """Where one resolved number comes from.

    key: place in the study, such as "agents.T-DXd.linker.k_dec".  value: in `unit`.
    grade: as in the library, with "(recalled, not re-read)" where that is so; "scale" for what only sets the
    error norm; "setting" for a choice of the study.  origin: "library", "study", "--set", "design",
    "mechanism" or "default".
    low, high: range in `unit`, None where none is given.  parameters: of the mechanism that read it.
    """

    key: str
    value: float
    unit: str
    grade: str
    citation: str
    origin: str
    note: str
    low: float | None = None
    high: float | None = None
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Event:
    """What happens to the bath at one time.

    time: [s].  dose: concentration set from here on, by field index [nM].
    wash: fraction of the bath replaced by fresh medium, before the dose.
    curve: what the bath's concentration follows from here on, by field index; a later dose or curve of the field ends
    it, and so does a wash, which leaves the concentration where it then is.
    """

    time: float
    dose: Mapping[int, float]
    wash: float = 0.0
    curve: Mapping[int, Curve] = field(default_factory=dict)


@dataclass(frozen=True)
class Bath:
    """The well-mixed medium outside the grid.

    volume: share of this grid [um^3], infinite if it never changes.  sides: those that touch it.
    permeability: of those sides, per field [um/s]; infinite where nothing is said; None if nothing is said of any.
    """

    volume: float = math.inf
    sides: frozenset[str] = frozenset()
    permeability: FloatArray | None = None


@dataclass(frozen=True)
class SolverSettings:
    """How accurately and on what a study is solved.

    rtol: relative tolerance of a step.  backend: "auto" or a name.  threads: None for as many as help.
    precision: "mixed" or "float64" of the preconditioner.  first_step, max_step: [s].  max_steps: of the whole run.
    """

    rtol: float = 1e-2
    backend: str = "auto"
    threads: int | None = None
    precision: str = "mixed"
    first_step: float = 1.0
    max_step: float = math.inf
    max_steps: int = 1_000_000


@dataclass(frozen=True)
class OutputSettings:
    """What a run keeps.

    times: of the snapshots [s], from 0 to the end.  fields, cells: names of fields and cell states.
    checkpoint_every: wall time between checkpoints [s].
    peaks: exposures whose peaks are followed, as names of slots.  thresholds: by exposure, in its unit per second: how
    long it is exceeded is followed.
    sensitivity: whether a run ends by finding out which assumed numbers drive its results.
    """

    times: tuple[float, ...]
    fields: tuple[str, ...]
    cells: tuple[str, ...]
    checkpoint_every: float = 600.0
    peaks: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    sensitivity: bool = True


@dataclass(frozen=True, eq=False)
class Study:
    """A study with every number resolved, in internal units (um, s, nM, molecules); arrays cannot be written.

    duration: [s].  parameters: (n_study_param,), cell_parameters: (n_cell_param, n_cell), in the mechanism's units.
    diffusivity: in water, per field [um^2/s].  boundary: "wall", "periodic" or "bath" by side.
    initial_fields, initial_bath: per field [nM].  initial_states: (n_state, n_cell) [molecules].
    typical_fields [nM], typical_states [molecules]: sizes for the error norm, NaN where the solver is to find them.
    sources: where each number comes from.  effective: the study as a table that loads to this study again.
    variant: name of the design that this is, where it is one.
    """

    title: str
    duration: float
    seed: int
    mechanism: Mechanism
    parameters: FloatArray
    cell_parameters: FloatArray
    geometry: Geometry
    pockets: Pockets
    cells: Cells
    diffusivity: FloatArray
    bath: Bath
    boundary: Mapping[str, str]
    initial_fields: FloatArray
    initial_states: FloatArray
    initial_bath: FloatArray
    typical_fields: FloatArray
    typical_states: FloatArray
    schedule: tuple[Event, ...]
    solver: SolverSettings
    output: OutputSettings
    sources: tuple[Source, ...] = ()
    effective: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    variant: str = ""

    def __repr__(self) -> str:
        nz, ny, nx = self.geometry.grid.shape
        return (
            f"Study({self.title!r}, {self.mechanism.name}, {self.duration:g} s, {nx} x {ny} x {nz} voxels (x, y, z) of "
            f"{self.geometry.grid.spacing:g} um, {len(self.cells.type_index)} cells, {len(self.output.times)} outputs)"
        )

    @property
    def n_assumed(self) -> int:
        """How many of the inputs no source gives."""
        return count_grades(source.grade for source in self.sources)["assumed"]

"""The tables and keys of a study file, and what each may hold.

Agents, cell types, materials, parameters and initial values stay as they are here: their keys depend on the library and
on the mechanism, and merging them checks them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StrictBool, StrictInt, StrictStr

from payloadfield.study.cells_table import CellsTable, GradientTable, LabelsTable
from payloadfield.study.fields import (
    Duration,
    Fraction,
    Length,
    LongestStep,
    Position,
    Positive,
    Time,
    Tolerance,
    Velocity,
    Volume,
)
from payloadfield.study.scaffold_tables import SHAPES, STRICT, Count, FileName, RepeatTable, ScaffoldTable

Triple = tuple[Length, Length, Length]
SideKind = Literal["wall", "periodic", "bath"]


def _title(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError(f"got {value!r}; one line of printable text is needed")
    return value


Title = Annotated[StrictStr, AfterValidator(_title)]


class Table(BaseModel):
    """A table of the file: unknown keys are refused."""

    model_config = STRICT


def _module_setting(value: Any) -> Any:
    if not isinstance(value, (bool, str)):
        raise ValueError(f"got {value!r:.80}; true or false is needed, or in quotes one of its choices")
    return value


ModuleSetting = Annotated[Any, BeforeValidator(_module_setting)]


class GridTable(Table):
    """[grid]: edges along x, y, z and the edge of a voxel [um]."""

    size: Triple
    voxel: Length


class BoundaryTable(Table):
    """[boundary]: what is outside each side of the grid; both sides of an axis, or one."""

    x: SideKind | None = None
    y: SideKind | None = None
    z: SideKind | None = None
    x_low: SideKind | None = None
    x_high: SideKind | None = None
    y_low: SideKind | None = None
    y_high: SideKind | None = None
    z_low: SideKind | None = None
    z_high: SideKind | None = None


class BathTable(Table):
    """[bath]: volume [um^3] shared by the whole construct; how many grids are in it, or how large it is."""

    volume: Volume = float("inf")
    copies: Positive | None = None
    construct_size: Triple | None = Field(default=None, alias="construct")
    permeability: dict[str, Velocity] = {}


class ProfileTable(Table):
    """[accessible_profile]: factor inner + rise (r / radius)^power of the accessible fraction, around a centre."""

    centre: tuple[Position, Position, Position]
    radius: Length
    inner: Fraction
    rise: Fraction
    power: Positive


class EventTable(Table):
    """[[schedule]]: at a time [s], wash the bath, then set concentrations in it or let them follow curves."""

    at: Time
    dose: dict[str, Any] = {}
    curve: dict[str, Any] = {}
    wash: Fraction = 0.0


class DesignTable(Table):
    """[[design]], [[scenario]]: a variant of the study, and the values that it sets, by dotted key."""

    name: Title
    set: dict[str, Any] = {}


class SolverTable(Table):
    """[solver]: accuracy and hardware."""

    rtol: Tolerance = 1e-2
    backend: Literal["auto", "numpy", "numba", "cupy"] = "auto"
    threads: Count | None = None
    precision: Literal["mixed", "float64", "float32"] = "mixed"
    first_step: Duration = 1.0
    max_step: LongestStep = float("inf")
    max_steps: Count = 1_000_000


class OutputTable(Table):
    """[output]: when a snapshot is kept, and of what."""

    every: Duration | None = None
    times: list[Time] | None = None
    fields: list[StrictStr] | None = None
    cells: list[StrictStr] | None = None
    peaks: list[StrictStr] | None = None
    thresholds: dict[str, Any] = {}
    sensitivity: StrictBool = True
    checkpoint_every: Duration = 600.0


class InitialTable(Table):
    """[initial]: concentrations in the grid and in the bath, and expressions for cell states."""

    fields: dict[str, Any] = {}
    bath: dict[str, Any] = {}
    states: dict[str, Any] = {}


class SlotTable(Table):
    """What a study chooses by name besides the agent, and values over the library's; see slots.py."""

    inhibitor: StrictStr | None = None
    senolytic: StrictStr | None = None
    effector: StrictStr | None = None
    vesicle: StrictStr | None = None
    bridge: StrictStr | None = None
    fate: StrictStr | None = None
    sasp: StrictStr | None = None
    lactate: StrictStr | None = None
    ros: StrictStr | None = None
    polymer: StrictStr | None = None
    inhibitors: dict[str, dict[str, Any]] = {}
    senolytics: dict[str, dict[str, Any]] = {}
    effectors: dict[str, dict[str, Any]] = {}
    vesicles: dict[str, dict[str, Any]] = {}
    bridges: dict[str, dict[str, Any]] = {}
    fates: dict[str, dict[str, Any]] = {}
    secreted: dict[str, dict[str, Any]] = {}


class StudyTable(SlotTable):
    """The whole file."""

    title: Title = "untitled"
    variant: Title | Literal[""] = ""
    duration: Duration
    seed: Annotated[StrictInt, Field(ge=0, lt=2**63)] = 0
    mechanism: FileName = "adc"
    modules: dict[str, ModuleSetting] = {}
    agent: StrictStr | None = None
    grid: GridTable
    boundary: BoundaryTable = BoundaryTable()
    bath: BathTable = BathTable()
    setup: dict[str, Any] = {}
    scaffold: list[ScaffoldTable] = []
    accessible_profile: ProfileTable | None = None
    cells: list[CellsTable] = []
    schedule: list[EventTable] = []
    design: list[DesignTable] = []
    scenario: list[DesignTable] = []
    agents: dict[str, dict[str, Any]] = {}
    cell_types: dict[str, dict[str, Any]] = {}
    materials: dict[str, dict[str, Any]] = {}
    protease: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    initial: InitialTable = InitialTable()
    solver: SolverTable = SolverTable()
    output: OutputTable = OutputTable()


#: Model of each table, by its place in the file (list positions left out), for the list of allowed keys.
TABLES: dict[tuple[str, ...], type[BaseModel]] = {
    (): StudyTable,
    ("grid",): GridTable,
    ("boundary",): BoundaryTable,
    ("bath",): BathTable,
    ("accessible_profile",): ProfileTable,
    ("cells",): CellsTable,
    ("cells", "gradient"): GradientTable,
    ("cells", "image"): LabelsTable,
    ("schedule",): EventTable,
    ("design",): DesignTable,
    ("scenario",): DesignTable,
    ("solver",): SolverTable,
    ("output",): OutputTable,
    ("initial",): InitialTable,
    ("scaffold", "repeat"): RepeatTable,
    **{("scaffold", name): model for name, model in SHAPES.items()},
}

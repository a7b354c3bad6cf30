"""The sweep file: a study, the values that are varied, and how points are chosen among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictFloat, StrictInt, StrictStr, ValidationError

from payloadfield.errors import StudyError, UnitsError
from payloadfield.study.problems import Problems, did_you_mean, join_path
from payloadfield.study.reading import read_study
from payloadfield.study.scaffold_tables import STRICT
from payloadfield.units import number_and_unit, parse_quantity

Value = StrictInt | StrictFloat | StrictStr


class _Range(BaseModel):
    model_config = STRICT
    low: Value
    high: Value
    scale: Literal["linear", "log"] = "linear"
    steps: Annotated[StrictInt, Field(ge=2)] | None = None


class _Point(BaseModel):
    model_config = STRICT
    name: StrictStr | None = None
    set: dict[str, Any]


class _Table(BaseModel):
    model_config = STRICT
    study: StrictStr
    set: dict[str, Any] = {}
    method: Literal["grid", "list", "latin_hypercube", "sobol"] = "grid"
    samples: Annotated[StrictInt, Field(gt=0)] | None = None
    seed: Annotated[StrictInt, Field(ge=0, lt=2**63)] = 0
    most: Annotated[StrictInt, Field(gt=0)] = 10_000
    space: dict[str, list[Value] | _Range] = {}
    point: list[_Point] = []


@dataclass(frozen=True)
class Axis:
    """One value that a sweep varies.

    key: dotted key of the study.  values: to choose from, if they are listed; else a range from low to high in `unit`,
    linear or logarithmic, in so many steps if it is one of a grid.
    """

    key: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    unit: str = "1"
    is_log: bool = False
    steps: int | None = None


@dataclass(frozen=True)
class SweepFile:
    """A sweep as it was written.

    file: path of the sweep file.  study: path of the study.  common: values set at every point, by dotted key.
    axes: what is varied, none for method "list".  points: those that are listed, name -> values.
    samples: how many points a sampled space gives.  most: more points than this are refused.
    """

    file: Path
    study: Path
    common: Mapping[str, Any]
    method: str
    samples: int
    seed: int
    most: int
    axes: tuple[Axis, ...]
    points: Mapping[str, Mapping[str, Any]]


def read_sweep_file(path: str | Path) -> SweepFile:
    """The sweep of a TOML file.  Raises StudyError with everything wrong in it."""
    text = read_study(path)
    problems = Problems(text.file)
    try:
        table = _Table.model_validate(text.raw)
    except ValidationError as error:
        for item in error.errors():
            problems.add(join_path(*_place(item["loc"])), _message(item))
        problems.raise_any()
        raise AssertionError("a failed validation without a problem") from error
    axes = tuple(_axis(key, given, table.method, problems) for key, given in table.space.items())
    points = _points(table.point, problems)
    _check_method(table, problems)
    problems.raise_any()
    return SweepFile(
        file=Path(path), study=text.folder / table.study, common=table.set, method=table.method,
        samples=table.samples or 0, seed=table.seed, most=table.most, axes=axes, points=points,
    )  # fmt: skip


def _check_method(table: _Table, problems: Problems) -> None:
    """Each method takes its own keys, and gives at least one point."""
    is_sampled = table.method in ("latin_hypercube", "sobol")
    if is_sampled and table.samples is None:
        problems.add("samples", f"is missing; method = {table.method!r} needs a number of points")
    if not is_sampled and table.samples is not None:
        problems.add("samples", f"is of the methods latin_hypercube and sobol; this is {table.method!r}")
    if table.method == "list":
        if table.space:
            problems.add("space", 'method = "list" takes its points from [[point]]; leave [space] out')
        if not table.point:
            problems.add("point", "the sweep has no points; list some as [[point]] with set = { KEY = VALUE }")
        return
    if table.point:
        problems.add("point", f'listed points need method = "list"; this is {table.method!r}')
    if not table.space or any(value == [] for value in table.space.values()):
        problems.add("space", "the sweep has no points; give every key of [space] values, or a range")


def _axis(key: str, given: list[Value] | _Range, method: str, problems: Problems) -> Axis:
    place = f"space.{key}"
    if isinstance(given, list):
        return Axis(key, tuple(given))
    if method == "grid" and given.steps is None:
        problems.add(place, "is a range in a grid; steps = N, of at least 2, is needed")
    if method != "grid" and given.steps is not None:
        problems.add(place, f"steps are of a grid; the method is {method!r}")
    try:
        low, unit = number_and_unit(given.low, problems.at(place))
        high = parse_quantity(given.high, unit, problems.at(place))
    except UnitsError as error:
        problems.add(place, str(error).removeprefix(f"{problems.at(place)}: "))
        return Axis(key)
    if not low < high:
        problems.add(place, f"got low = {given.low!r} and high = {given.high!r}; low below high is needed")
    if given.scale == "log" and low <= 0:
        problems.add(place, f"got low = {given.low!r}; a logarithmic range starts above 0")
    return Axis(key, (), low, high, unit, given.scale == "log", given.steps)


def _points(rows: list[_Point], problems: Problems) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for index, row in enumerate(rows):
        name = row.name if row.name is not None else f"point {index}"
        if not name.strip() or not name.isprintable():
            problems.add(f"point[{index}].name", f"got {name!r}; one line of printable text is needed")
        if name in found:
            problems.add(f"point[{index}].name", f"got {name!r} a second time; each point needs its own name")
        found[name] = row.set
    return found


def _place(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Key path without the tags that pydantic adds for the two kinds of an axis."""
    return location[:2] if location[0] == "space" else location


def _message(item: Any) -> str:
    kind, got = item["type"], item["input"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden" and len(item["loc"]) == 1:
        return f"unknown key; {did_you_mean(str(item['loc'][-1]), _Table.model_fields)}"
    if kind == "literal_error":
        return f"got {got!r}; {item['ctx']['expected']} is needed"
    if item["loc"][0] == "space":
        return 'a list of values, or a range { low = ..., high = ..., scale = "log", steps = 5 } is needed'
    return f"got {got!r}; {item['msg']}"


def refuse_missing_study(sweep: SweepFile) -> None:
    """Raise StudyError where the study of a sweep is not there."""
    if not sweep.study.is_file():
        raise StudyError(f"{sweep.file}, study: there is no such file: {sweep.study}")

"""Solves the small studies that come with the checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payloadfield.library import load_library
from payloadfield.solver import Simulation, make_simulation
from payloadfield.study import Study, load_study
from payloadfield.units import parse_quantity

Floats = NDArray[np.float64]
HOUR = 3600.0
_STUDIES = files("payloadfield.compare.verify").joinpath("studies")


def load(name: str, changes: Mapping[str, Any] | None = None) -> Study:
    """A study of this folder by name, with some values changed: {dotted key: value}."""
    with as_file(_STUDIES) as folder:
        return load_study(folder / f"{name}.toml", [f"{key}={_toml(value)}" for key, value in (changes or {}).items()])


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Solver:
    """Solves studies on one backend; None: the study's own choice."""

    backend: str | None = None

    def __call__(self, study: Study) -> Simulation:
        """A study at its end."""
        simulation = make_simulation(study, self.backend)
        simulation.run()
        return simulation

    def at_outputs(self, study: Study, states: tuple[str, ...], field: str) -> tuple[dict[str, Floats], Floats]:
        """States of the first cell and the mean of a field at every output after the start."""
        simulation = make_simulation(study, self.backend)
        simulation.outputs_now()
        kept: dict[str, list[float]] = {name: [] for name in states}
        means = []
        for record in simulation.steps():
            for _ in record.outputs:
                for name in states:
                    kept[name].append(float(simulation.cell_state(name)[0]))
                means.append(float(np.nanmean(simulation.field_on_grid(field))))
        return {name: np.array(values) for name, values in kept.items()}, np.array(means)


def of_cells(simulation: Simulation, name: str) -> Floats:
    """A state of every cell; zero where the study has been freed of it."""
    names = simulation.study.mechanism.state_names
    return simulation.cell_state(name) if name in names else np.zeros(len(simulation.study.cells.type_index))


def living(simulation: Simulation) -> Floats:
    """Living cells of each agent."""
    fates = [fate.name for fate in simulation.study.mechanism.fates if fate.lysis is None]
    return np.sum([simulation.cell_state(name) for name in fates], axis=0)


def observed(name: str, path: str, unit: str) -> float:
    """What an experiment saw, from the library, in a unit."""
    quantity = load_library().find(name, "observation").quantity(path)
    scale = parse_quantity(f"1 {unit}", unit, path)
    return parse_quantity(quantity.text, unit, quantity.key) / scale


def observed_all(name: str, table: str, unit: str) -> dict[str, float]:
    """All values of one table of an observation, by the last part of their path."""
    part = load_library().find(name, "observation").part(table)
    return {key: observed(name, f"{table}.{key}", unit) for key in part}


def number_in(key: str) -> float:
    """The number in a name such as `h24` or `TROP2_6355`."""
    return float("".join(c for c in key.rpartition("_")[2] if c.isdigit()))

"""A small stand-in for a study and its simulation: decaying fields, with a step size that remembers its past."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from types import SimpleNamespace

import numpy as np

from payloadfield.errors import SolverError
from payloadfield.solver.ledger import LedgerLine
from payloadfield.solver.outputs import Held, kept_states

SHAPE = (3, 4, 5)
DURATION = 3600.0


@dataclass(frozen=True)
class Source:
    key: str
    value: float
    unit: str
    grade: str
    citation: str
    origin: str
    note: str = ""


def record(**values):
    """A dataclass with these fields, as the parts of a study are."""
    return make_dataclass("Record", values)(**values)


def make_study(*, checkpoint_every: float = 1e9, n_outputs: int = 7):
    grid = record(shape=SHAPE, spacing=10.0, periodic=(False, True, True))
    open_fraction = np.ones(SHAPE)
    open_fraction[0, :2] = 0.0
    geometry = record(
        grid=grid,
        materials=(record(name="medium"), record(name="PCL")),
        label=(open_fraction == 0).astype(np.uint8),
        open_fraction=open_fraction,
        aperture_z=np.ones((4, 4, 5)),
        aperture_y=np.ones((3, 5, 5)),
        aperture_x=np.ones((3, 4, 6)),
        surface_distance=np.full(SHAPE, 5.0),
    )
    cells = record(
        type_names=("SK-BR-3", "fibroblast"),
        type_index=np.asarray([0, 1, 0, 1], dtype=np.int32),
        position=np.asarray([[15.0, 5.0, 5.0], [15.0, 25.0, 35.0], [25.0, 5.0, 45.0], [25.0, 35.0, 15.0]]),
        radius=np.full(4, 6.0),
        entry_voxel=np.asarray([20, 33, 44, 56]),
        entry_weight=np.ones(4),
    )
    state = lambda name, kind, unit: record(name=name, kind=kind, unit=unit)  # noqa: E731
    mechanism = record(
        name="fake",
        digest="0" * 64,
        fields=(record(name="adc"), record(name="payload")),
        states=(state("receptor", "state", "molecules"), state("payload_exposure", "exposure", "nM*s")),
        parameters=(record(name="receptors", unit="molecules", per="cell"),),
        cell_parameters=("receptors",),
        accumulators=(record(name="decayed"),),
        modules={},
        fates=(),
        is_sampled=False,
        field_names=("adc", "payload"),
        field_groups=((0,), (1,)),
        transitions=(),
        contacts=(),
        followed=(),
    )
    source = {
        "key": "agents.X.KD",
        "value": 0.3,
        "unit": "nM",
        "grade": "assumed",
        "citation": "none",
        "origin": "library",
    }
    return record(
        title="a fake study",
        duration=DURATION,
        seed=1,
        mechanism=mechanism,
        geometry=geometry,
        cells=cells,
        parameters=np.ones(3),
        cell_parameters=np.asarray([[1e6, 0.0, 2e6, 0.0]]),
        diffusivity=np.ones(2),
        initial_fields=np.ones(2),
        initial_states=np.ones((2, 4)),
        initial_bath=np.ones(2),
        schedule=(),
        bath=record(sides=frozenset({"z_high"})),
        solver=record(rtol=1e-2, first_step=1.0, backend="auto", precision="mixed"),
        output=record(
            times=tuple(np.linspace(0.0, DURATION, n_outputs)),
            fields=("adc", "payload"),
            cells=("receptor",),
            checkpoint_every=checkpoint_every,
            peaks=("payload_exposure",),
            thresholds={},
        ),
        sources=(Source(**source),),
        effective={
            "mechanism": "adc",
            "title": "a fake study",
            "grid": {"voxel": "10 um"},
            "cells": [{"type": "SK-BR-3", "count": 2}],
        },
        warnings=(),
    )


class FakeSimulation:
    """Multiplies its fields by a factor each step; the step size depends on the number of steps so far."""

    notes = ()

    def __init__(self, study, backend="fake", *, fail_at=None):
        self.study = study
        self.backend = SimpleNamespace(name="numpy")
        self.fail_at = fail_at
        self.open = study.geometry.open_fraction > 0
        n_open = int(self.open.sum())
        fields = np.linspace(1.0, 2.0, 2 * n_open).reshape(2, n_open)
        self.state = SimpleNamespace(
            time=0.0, fields=fields, states=np.ones((2, 4)), bath=np.ones(2), accumulators=np.zeros(1)
        )
        self.index, self.memory, self.next_output = 0, 1.0, 0

    def steps(self, until=None):
        end = min(self.study.duration, until or self.study.duration)
        while self.state.time < end:
            yield self.one_step(end)

    def one_step(self, end):
        if self.index + 1 == self.fail_at:
            raise SolverError(f"t = {self.state.time} s: adc is not finite in voxel (0, 0, 0)")
        times = np.asarray([*self.study.output.times, end])
        limit = times[times > self.state.time].min()
        self.memory = 0.5 * self.memory + 0.3 * np.sin(self.index)
        dt = min(61.7 + 20 * self.memory, limit - self.state.time)
        self.index += 1
        time = limit if dt == limit - self.state.time else self.state.time + dt
        fields = self.state.fields * np.exp(-dt * 1e-4) + 1e-3 * np.sin(self.state.fields)
        states = self.state.states + dt * 0.1
        self.state = SimpleNamespace(**{**vars(self.state), "time": time, "fields": fields, "states": states})
        return SimpleNamespace(
            index=self.index, time=time, dt=dt, error=0.1, worst_quantity="adc", iterations=2, worst_residual=1e-4,
            rejected=0, balance={"payload": float("nan")}, outputs=self.outputs_now(), event=None, moves={},
        )  # fmt: skip

    @property
    def time(self):
        return self.state.time

    def outputs_now(self):
        due = [i for i, t in enumerate(self.study.output.times) if i >= self.next_output and t <= self.state.time]
        self.next_output += len(due)
        return tuple(due)

    def field_on_grid(self, name):
        values = np.full(SHAPE, np.nan)
        values[self.open] = self.state.fields[("adc", "payload").index(name)]
        return values

    def cell_state(self, name):
        return self.state.states[("receptor", "payload_exposure").index(name)]

    bath = property(lambda self: self.state.bath)
    accumulators = property(lambda self: self.state.accumulators)

    def hold(self):
        fields = {name: self.field_on_grid(name).astype(np.float32) for name in self.study.output.fields}
        kept = fields, {name: self.cell_state(name).copy() for name in kept_states(self.study)}
        return Held(lambda: kept)

    def commitments(self):
        return {}

    def peaks(self):
        return {"payload_peak": (self.state.states[1] * 0.5, "nM"), "payload_peak_time": (np.full(4, self.time), "s")}

    @property
    def ledger(self):
        return [LedgerLine("payload", *[float(self.index)] * 11)]

    def checkpoint(self):
        state = vars(self.state)
        return {
            **state,
            "index": self.index,
            "memory": self.memory,
            "next_output": self.next_output,
            "name": "x",
            "nothing": None,
        }

    def restore(self, values):
        keys = ("time", "fields", "states", "bath", "accumulators")
        self.state = SimpleNamespace(**{key: values[key] for key in keys})
        self.index, self.memory = values["index"], values["memory"]
        self.next_output = values["next_output"]
        assert values["nothing"] is None and values["name"] == "x"

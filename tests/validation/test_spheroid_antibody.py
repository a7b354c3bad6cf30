"""Rituximab entering and leaving a spheroid: the published model in three dimensions, against figures and data."""

import numpy as np
import pytest
from tests import handmade, tolerances
from tests.references import spheroid
from tests.running import run

from payloadfield.geometry import Material, Sphere

N_ACROSS = 50


def make_spheroid(n, permeability):
    """A ball of the spheroid's accessible fraction in a bath behind a permeable wall, n voxels across its diameter."""
    h = 2 * spheroid.RADIUS / n
    box = (n + 2) * h
    centre = (box / 2,) * 3
    wall = Material("bath", "bath", permeability={"default": permeability})
    geometry = handmade.make_box((n + 2,) * 3, h, shapes=[Sphere("bath", centre, spheroid.RADIUS, outside=True)],
                                 materials=(handmade.MEDIUM, wall))  # fmt: skip
    away = [geometry.grid.centres(a).reshape(np.roll((-1, 1, 1), a)) - c for a, c in enumerate(centre)]
    r = np.sqrt(sum(o**2 for o in away))
    return handmade.with_profile(geometry, spheroid.accessible_fraction(np.minimum(r, spheroid.RADIUS)))


def phase(n, permeability, bath, seconds, start=None, outputs=()):
    """One phase of the experiment; start: concentrations in the open voxels."""
    study = handmade.make_study(
        "diffusion", make_spheroid(n, permeability), duration=seconds, parameters={"D": spheroid.DIFFUSIVITY},
        initial_bath={"solute": bath}, initial={"solute": 1e-9}, outputs=outputs,
        solver=handmade.make_solver(rtol=1e-3),
    )  # fmt: skip
    return run(study, start=None if start is None else {"solute": start})


def reading(n, state, washed=True):
    """Volume mean after the wash of half a minute [nM]."""
    trace = phase(n, spheroid.PERMEABILITY_WASH, 0.0, spheroid.WASH, start=state)
    amount = trace.sim.plan.field_capacity(0) @ (trace.sim.state.fields[0] if washed else state)
    return amount / (4 / 3 * np.pi * spheroid.RADIUS**3)


@pytest.fixture(scope="module")
def states():
    """Concentrations in the spheroid at the nine times, before the wash."""
    hours = np.array(spheroid.UPTAKE_HOURS) * spheroid.HOUR
    uptake = phase(N_ACROSS, spheroid.PERMEABILITY_UPTAKE, spheroid.BATH, hours[-1], outputs=hours)
    loaded = dict(zip(np.round(uptake.times), uptake.fields, strict=True))
    hours_out = np.array(spheroid.CLEARANCE_HOURS) * spheroid.HOUR
    clearance = phase(N_ACROSS, spheroid.PERMEABILITY_CLEARANCE, 0.0, hours_out[-1], outputs=hours_out,
                      start=loaded[spheroid.LOADING_HOURS * spheroid.HOUR][0])  # fmt: skip
    cleared = dict(zip(np.round(clearance.times), clearance.fields, strict=True))
    return [loaded[t][0] for t in hours] + [cleared[t][0] for t in hours_out]


@pytest.mark.validate
def test_antibody_in_a_spheroid_follows_the_published_model_and_the_data(states):
    found = np.array([reading(N_ACROSS, state) for state in states])
    np.testing.assert_allclose(found, spheroid.RESOLVED, rtol=tolerances.PUBLISHED_SPHEROID)
    assert np.sqrt(((found - spheroid.MEASURED) ** 2).mean()) <= 4.4


@pytest.mark.validate
def test_without_the_wash_the_first_reading_is_far_off(states):
    assert abs(reading(N_ACROSS, states[0], washed=False) / spheroid.RESOLVED[0] - 1) > 0.1

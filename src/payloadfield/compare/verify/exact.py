"""Target 10: transport with exact solutions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import erfc, i0, i1, k0, k1

from payloadfield.compare.verify.checks import DIFFERENCE, RELATIVE, Check
from payloadfield.compare.verify.solving import Floats, Solver, load

ALLOWED = 0.005  # of the largest value
D, FACE, BATH = 60.0, 7.0, 10.0  # um^2/s, nM, nM: as in the studies


def slab(x: Floats, time: float, length: float) -> Floats:
    """Filling of a slab from one face, the other closed: Crank 1975, eq. 2.45 as images of the error function."""
    total, width = np.zeros_like(x), 2 * np.sqrt(D * time)
    for n in range(60):
        images = erfc((2 * n * length + x) / width) + erfc((2 * (n + 1) * length - x) / width)
        total += (-1) ** n * images
    return FACE * total


def front(x: Floats, time: float, diffusivity: float = D, retardation: float = 1.0) -> Floats:
    """A front into a half-space."""
    return FACE * erfc(x / (2 * np.sqrt(diffusivity * time / retardation)))


def retardation(share: float, entry: float, bound: float) -> float:
    """Total over free amount: phi_c / phi_e, k_in / k_out and what is bound for each that is free inside."""
    return 1 + share * entry * (1 + bound)


def sphere_uptake(radius: float, decay: float) -> float:
    """What a ball takes up that consumes at first order, its surface held at the bath's concentration [nM um^3/s]."""
    phi = radius * np.sqrt(decay / D)
    return float(4 * np.pi * radius * D * BATH * (phi / np.tanh(phi) - 1))


def vessel_uptake(vessel: float, tissue: float, decay: float, permeability: float) -> float:
    """What tissue around a vessel takes up through its wall, for each length [nM um^2/s]."""
    q = np.sqrt(decay / D)
    level = i0(q * vessel) * k1(q * tissue) + k0(q * vessel) * i1(q * tissue)
    slope = q * (i1(q * vessel) * k1(q * tissue) - k1(q * vessel) * i1(q * tissue))
    return float(2 * np.pi * vessel * D * BATH * -slope / (level - D * slope / permeability))


def solutions(solver: Solver) -> Iterator[Check]:
    """Slab, front, slowed front, sphere and cylinder."""
    x = np.arange(2.5, 400, 5.0)
    short = x[x < 200]
    filled = _row(solver, "column", {"grid.size": '["200 um", "5 um", "5 um"]', "duration": "200 s"})
    yield _largest("slab filled from a face", filled, slab(short, 200.0, 200.0))
    yield _largest("front from a face (erfc)", _row(solver, "column"), front(x, 150.0))
    factor = retardation(0.3, 0.256 / 0.074, 1.5)
    slowed = front(x, 20000.0, 0.5, factor)
    yield _largest(f"front slowed by cells, R = {factor:.3g}", _row(solver, "retardation"), slowed)
    yield _uptake(solver, "sphere", "uptake of Thiele's sphere", sphere_uptake(100.0, 0.02), 0.02)
    yield _uptake(solver, "vessel", "uptake of Krogh's cylinder", 2.0 * vessel_uptake(20.0, 80.0, 0.01, 0.4), 0.01)


def _row(solver: Solver, name: str, changes: dict[str, str] | None = None) -> Floats:
    field: Floats = solver(load(name, changes)).field_on_grid("solute")[0, 0]
    return field


def _largest(what: str, found: Floats, exact: Floats) -> Check:
    """The largest deviation along a column, over the largest value."""
    error = float(np.abs(found - exact).max() / np.abs(exact).max())
    return Check("exact", f"{what}: largest error over the largest value", 0.0, error, "1", DIFFERENCE, ALLOWED)


def _uptake(solver: Solver, name: str, what: str, expected: float, decay: float) -> Check:
    simulation = solver(load(name))
    geometry = simulation.study.geometry
    amount = np.nansum(simulation.field_on_grid("solute") * geometry.open_fraction) * geometry.grid.spacing**3
    return Check("exact", what, expected, float(decay * amount), "nM um^3/s", RELATIVE, ALLOWED)

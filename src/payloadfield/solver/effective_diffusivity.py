"""Steady diffusion through a scaffold from side to side: its effective diffusivity and tortuosity along each axis.

Between the two sides of a free axis the concentration falls from 1 to 0; along a periodic one it falls by 1 from each
box to the next. The flux F through the area A over the length L gives
    D_eff / D = F L / (A D),    tortuosity = porosity * D / D_eff,
the other sides being closed, or periodic where the grid is.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payloadfield.backends.base import Backend
from payloadfield.backends.plan import Plan
from payloadfield.errors import SolverError
from payloadfield.geometry import AXES, Geometry, find_pockets
from payloadfield.solver.discretisation import make_plan

RESIDUAL = 1e-8
"""Residual at which a solve is done, over that of no concentration at all: the flux is then right to some 1e-7."""

ROUNDS = 20
"""Solves, each going on from the one before, after which it is given up."""

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EffectiveDiffusivity:
    """What a scaffold leaves of diffusion along one axis.

    axis: "x", "y" or "z"; relative: effective diffusivity over that in the free medium [1]
    tortuosity: porosity over `relative`; infinite where nothing passes [1]; iterations: of conjugate gradients
    """

    axis: str
    relative: float
    tortuosity: float
    iterations: int


def effective_diffusivity(
    geometry: Geometry, axis: str, *, field: str = "default", diffusivity: float = 1.0
) -> EffectiveDiffusivity:
    """Effective diffusivity of a field through a geometry along one axis.

    field: whose accessible fractions, relative diffusivities and permeabilities of the materials count
    diffusivity: of the field in the medium, which matters only beside permeabilities [um^2/s]
    Raises SolverError where the solve does not converge.
    """
    from payloadfield.backends.compiled import CompiledBackend

    plan = _transport_plan(geometry, field, diffusivity)
    along = AXES.index(axis)
    is_periodic = geometry.grid.periodic[along] and geometry.grid.shape[along] > 1
    drive = _PeriodicDrive(plan, along) if is_periodic else _SideDrive(plan, geometry, along, field)
    backend = CompiledBackend(plan, "mixed", ModuleType("no_reactions"))
    backend.set_operator(0, 0.0, drive.held)
    value, iterations = _solve(backend, drive.source, axis)
    area = geometry.grid.spacing**2 * geometry.grid.n_voxels / geometry.grid.shape[along]
    relative = drive.flux(value) * geometry.grid.size[along] / (area * diffusivity)
    tortuosity = float(geometry.open_fraction.mean()) / relative if relative > 0 else np.inf
    return EffectiveDiffusivity(axis, relative, tortuosity, iterations)


def _transport_plan(geometry: Geometry, field: str, diffusivity: float) -> Plan:
    """The plan of one field without reactions, cells and bath."""
    nothing = np.zeros(0, np.int64)
    cells = SimpleNamespace(type_index=nothing, entry_start=np.zeros(1, np.int64), entry_voxel=nothing,
                            entry_weight=np.zeros(0))  # fmt: skip
    mechanism = SimpleNamespace(
        fields=(SimpleNamespace(name=field, contains={}, depth=None),), field_names=(field,), states=(),
        accumulators=(), moieties=(), contacts=(), study_parameters=(), cell_parameters=(),
    )  # fmt: skip
    study: Any = SimpleNamespace(
        geometry=geometry, mechanism=mechanism, diffusivity=np.array([diffusivity]), pockets=find_pockets(geometry),
        cells=cells, bath=SimpleNamespace(sides=frozenset(), volume=np.inf, permeability=None),
        initial_fields=np.ones(1), parameters=np.zeros(0), cell_parameters=np.zeros((0, 0)),
    )  # fmt: skip
    return make_plan(study)


class _SideDrive:
    """Sides held at 1 and 0: conductances to them, and the flux from the first."""

    def __init__(self, plan: Plan, geometry: Geometry, along: int, field: str) -> None:
        mobility = np.array([m.relative_diffusivity_of(field) * m.accessible_fraction_of(field)
                             for m in geometry.materials])[geometry.open_label]  # fmt: skip
        if geometry.mobility_profile is not None:
            mobility = mobility * geometry.mobility_profile
        # From the middle of a voxel to its side: h^2 a kappa / (h / 2).
        across = 2.0 * geometry.grid.spacing * float(plan.diffusivity[0]) * np.moveaxis(mobility, along, 0)
        aperture = np.moveaxis(geometry.apertures[along], along, 0)
        sides = np.zeros((2, *across.shape))
        sides[0, 0] = aperture[0] * across[0]
        sides[1, -1] = aperture[-1] * across[-1]
        low, high = (np.moveaxis(side, 0, along).reshape(-1)[plan.voxel] for side in sides)
        self.held = low + high
        self.source = low.copy()
        self._low = low

    def flux(self, value: _Floats) -> float:
        """Amount that enters at the side held at 1."""
        return float(np.sum(self._low * (1.0 - value)))


class _PeriodicDrive:
    """A fall by 1 from box to box: what enters through the lower periodic side, and the flux there."""

    def __init__(self, plan: Plan, along: int) -> None:
        minus, plus = 2 * (2 - along), 2 * (2 - along) + 1
        place = np.unravel_index(plan.voxel, plan.shape)[along]
        conductance = plan.group(0).conductance.astype(np.float64) * float(plan.diffusivity[0])
        self._enters = np.where(place == 0, conductance[minus], 0.0)
        leaves = np.where(place == plan.shape[along] - 1, conductance[plus], 0.0)
        self._before = plan.neighbour[minus]
        self.held = np.zeros(plan.n_open)
        self.source = self._enters - leaves

    def flux(self, value: _Floats) -> float:
        """Amount that enters through the lower side."""
        return float(np.sum(self._enters * (value[self._before] + 1.0 - value)))


def _solve(backend: Backend, source: _Floats, axis: str) -> tuple[_Floats, int]:
    value, iterations = np.zeros(len(source)), 0
    enough = RESIDUAL * backend.norm(source)
    for _ in range(ROUNDS):
        report = backend.solve(0, source.copy(), value, enough, warm=iterations > 0)
        iterations += report.iterations
        if report.residual <= enough:
            return value, iterations
    raise SolverError(
        f"steady diffusion along {axis} does not converge: after {iterations} iterations the residual is "
        f"{report.residual / backend.norm(source):.2g} of the source; are there materials with nearly no diffusivity?"
    )

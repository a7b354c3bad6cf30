"""Other programs on the problems of cases.py, each with the setting that trades time for accuracy.

A solver is a function of one setting that returns the solution (n, n, n). What is paid once (meshes, compiled
right-hand sides) is made before, so that only the solution is timed. Settings go from loose to tight; the measurement
takes the first that is accurate enough.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.cases import (
    BOX_DECAY,
    BOX_TIME,
    CONCENTRATION,
    DIFFUSIVITY,
    BoxCase,
    SphereCase,
)
from benchmarks.problem import Floats, H

Solve = Callable[[float], Floats]


@dataclass(frozen=True)
class Opponent:
    """One program on one problem: settings from loose to tight, and the function that makes its solver."""

    name: str
    package: str
    setting: str
    settings: Sequence[float]
    make: Callable[..., Solve]

    @property
    def installed(self) -> str | None:
        """Version of the package, or None."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None


def _pypde_march(case: BoxCase | SphereCase, uptake: object, bc: dict) -> Callable[[float, float], Floats]:
    """Compiled explicit Euler at a fixed step, (dt, end) to the solution; adaptive Runge-Kutta took far longer."""
    import pde

    grid = pde.CartesianGrid([[0, case.n * H]] * 3, [case.n] * 3)
    k = pde.ScalarField(grid, uptake) if isinstance(uptake, np.ndarray) else uptake
    equation = pde.PDE({"c": "D * laplace(c) - k * c"}, bc=bc, consts={"D": DIFFUSIVITY, "k": k})
    start = case.start if isinstance(case, BoxCase) else np.full((case.n,) * 3, CONCENTRATION)
    steppers: dict[float, Callable] = {}

    def march(dt: float, end: float) -> Floats:
        state = pde.ScalarField(grid, start)
        if dt not in steppers:
            steppers[dt] = pde.solvers.EulerSolver(equation).make_stepper(state, dt=dt)
            steppers[dt](state.copy(), 0.0, dt)
        steppers[dt](state, 0.0, end)
        return state.data

    return march


def pypde_box(case: BoxCase) -> Solve:
    """py-pde; the setting is the step, at most h^2 / 6D = 0.28 s."""
    march = _pypde_march(case, BOX_DECAY, {"derivative": 0})
    return lambda dt: march(dt, BOX_TIME)


def pypde_sphere(case: SphereCase) -> Solve:
    """py-pde marching to the steady state; the setting is the time marched [s]."""
    march = _pypde_march(case, case.uptake, {"value": CONCENTRATION})
    return lambda end: march(0.25, end)


def fipy_box(case: BoxCase) -> Solve:
    """FiPy, backward Euler with steps that grow geometrically; the setting is the number of steps."""
    import fipy

    mesh = fipy.Grid3D(nx=case.n, ny=case.n, nz=case.n, dx=H, dy=H, dz=H)
    equation = fipy.TransientTerm() == fipy.DiffusionTerm(DIFFUSIVITY) - fipy.ImplicitSourceTerm(BOX_DECAY)
    solver = fipy.LinearCGSolver(tolerance=1e-6, iterations=1000)

    def solve(setting: float) -> Floats:
        field = fipy.CellVariable(mesh=mesh, value=case.start.ravel())
        steps = round(setting)
        edges = BOX_TIME * np.linspace(0, 1, steps + 1) ** 3
        for dt in np.diff(edges):
            equation.solve(var=field, dt=float(dt), solver=solver)
        return field.value.reshape(case.start.shape)

    return solve


def fipy_sphere(case: SphereCase) -> Solve:
    """FiPy, the steady state at once by conjugate gradients; the setting is their tolerance."""
    import fipy

    mesh = fipy.Grid3D(nx=case.n, ny=case.n, nz=case.n, dx=H, dy=H, dz=H)
    uptake = fipy.CellVariable(mesh=mesh, value=case.uptake.ravel())
    equation = fipy.DiffusionTerm(DIFFUSIVITY) - fipy.ImplicitSourceTerm(uptake) == 0

    def solve(setting: float) -> Floats:
        field = fipy.CellVariable(mesh=mesh, value=CONCENTRATION)
        field.constrain(CONCENTRATION, where=mesh.exteriorFaces)
        equation.solve(var=field, solver=fipy.LinearCGSolver(tolerance=setting, iterations=5000))
        return field.value.reshape(case.uptake.shape)

    return solve


def sme_box(case: BoxCase) -> Solve:
    """Spatial Model Editor, its voxel solver, one thread, explicit Euler; the setting is the step, at most 0.28 s.

    Its adaptive Runge-Kutta took twice the time at the accuracy asked for.
    """
    import sme

    with TemporaryDirectory() as folder:
        path = Path(folder) / "box.xml"
        path.write_text(_sbml(case.n))
        model = sme.open_sbml_file(str(path))
    species = model.compartments[0].species[0]
    options = model.simulation_settings.options.pixel
    options.integrator = sme.PixelIntegratorType.RK101
    options.enable_multithreading = False

    def solve(dt: float) -> Floats:
        options.max_timestep = dt
        species.concentration_image = case.start
        results = model.simulate(BOX_TIME, BOX_TIME, simulator_type=sme.SimulatorType.Pixel, n_threads=1)
        return np.asarray(results[-1].species_concentration[species.name])

    return solve


_SBML = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core"
 xmlns:spatial="http://www.sbml.org/sbml/level3/version1/spatial/version1" level="3" version="2"
 spatial:required="true">
<model id="box">
<listOfCompartments>
 <compartment id="box" name="box" spatialDimensions="3" size="{volume}" constant="true">
  <spatial:compartmentMapping spatial:id="box_map" spatial:domainType="box_type" spatial:unitSize="1"/></compartment>
</listOfCompartments>
<listOfSpecies>
 <species id="c" name="c" compartment="box" initialConcentration="0" hasOnlySubstanceUnits="false"
  boundaryCondition="false" constant="false" spatial:isSpatial="true"/>
</listOfSpecies>
<listOfParameters>
 <parameter id="x" value="0" constant="false"><spatial:spatialSymbolReference spatial:spatialRef="xc"/></parameter>
 <parameter id="y" value="0" constant="false"><spatial:spatialSymbolReference spatial:spatialRef="yc"/></parameter>
 <parameter id="z" value="0" constant="false"><spatial:spatialSymbolReference spatial:spatialRef="zc"/></parameter>
 <parameter id="c_D" value="{diffusivity}" constant="true">
  <spatial:diffusionCoefficient spatial:variable="c" spatial:type="isotropic"/></parameter>
 <parameter id="k" value="{decay}" constant="true"/>
</listOfParameters>
<listOfReactions>
 <reaction id="decay" name="decay" reversible="false" compartment="box" spatial:isLocal="true">
  <listOfReactants><speciesReference species="c" stoichiometry="1" constant="true"/></listOfReactants>
  <kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML">
   <apply><times/><ci>k</ci><ci>c</ci></apply></math></kineticLaw>
 </reaction>
</listOfReactions>
<spatial:geometry spatial:coordinateSystem="cartesian">
 <spatial:listOfCoordinateComponents>
{axes} </spatial:listOfCoordinateComponents>
 <spatial:listOfDomainTypes><spatial:domainType spatial:id="box_type" spatial:spatialDimensions="3"/>
 </spatial:listOfDomainTypes>
 <spatial:listOfDomains><spatial:domain spatial:id="box_domain" spatial:domainType="box_type">
  <spatial:listOfInteriorPoints>
   <spatial:interiorPoint spatial:coord1="5" spatial:coord2="5" spatial:coord3="5"/></spatial:listOfInteriorPoints>
 </spatial:domain></spatial:listOfDomains>
 <spatial:listOfGeometryDefinitions>
  <spatial:sampledFieldGeometry spatial:id="sampled" spatial:isActive="true" spatial:sampledField="image">
   <spatial:listOfSampledVolumes><spatial:sampledVolume spatial:id="box_samples" spatial:domainType="box_type"
    spatial:sampledValue="1"/></spatial:listOfSampledVolumes>
  </spatial:sampledFieldGeometry>
 </spatial:listOfGeometryDefinitions>
 <spatial:listOfSampledFields>
  <spatial:sampledField spatial:id="image" spatial:dataType="uint32" spatial:numSamples1="{n}" spatial:numSamples2="{n}"
   spatial:numSamples3="{n}" spatial:interpolationType="nearestNeighbor" spatial:compression="uncompressed"
   spatial:samplesLength="{samples}">{values}</spatial:sampledField>
 </spatial:listOfSampledFields>
</spatial:geometry>
</model></sbml>
"""

_AXIS = """  <spatial:coordinateComponent spatial:id="{axis}c" spatial:type="cartesian{upper}">
   <spatial:boundaryMin spatial:id="{axis}min" spatial:value="0"/>
   <spatial:boundaryMax spatial:id="{axis}max" spatial:value="{length}"/></spatial:coordinateComponent>
"""


def _sbml(n: int) -> str:
    """The box as SBML with a sampled geometry of one compartment."""
    axes = "".join(_AXIS.format(axis=axis, upper=axis.upper(), length=n * H) for axis in "xyz")
    return _SBML.format(
        axes=axes,
        n=n,
        samples=n**3,
        values=" ".join(["1"] * n**3),
        volume=(n * H) ** 3,
        diffusivity=DIFFUSIVITY,
        decay=BOX_DECAY,
    )


BOX_OPPONENTS = (
    Opponent("py-pde", "py-pde", "step [s]", (0.27, 0.2, 0.1, 0.05), pypde_box),
    Opponent("FiPy", "fipy", "steps", (10, 20, 40, 80, 160, 320, 640), fipy_box),
    Opponent("sme", "sme", "step [s]", (0.27, 0.2, 0.1, 0.05), sme_box),
)
SPHERE_OPPONENTS = (
    Opponent("py-pde", "py-pde", "time marched [s]", (50.0, 100.0, 150.0, 200.0, 300.0, 400.0), pypde_sphere),
    Opponent("FiPy", "fipy", "CG tolerance", (1e-2, 1e-3, 1e-4, 1e-5, 1e-6), fipy_sphere),
)

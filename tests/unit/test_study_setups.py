"""Set-ups by name: against exact solutions from a study file, kept by effective studies, and what is refused."""

import numpy as np
import pytest
from tests import tolerances
from tests.analytic.test_curved_transport import open_mean, weighted_norm, within
from tests.references import krogh, spheroid

from payloadfield.errors import StudyError
from payloadfield.library import load_library
from payloadfield.store.digest import study_digest
from payloadfield.store.simulate import simulate
from payloadfield.study import load_study

DOSE = [{"at": "0 h", "dose": {"T-DXd": "60 nM"}}]


def tables(setup, **more):
    return {"duration": "1 h", "schedule": DOSE, "setup": setup} | more


def refusal(setup, **more):
    with pytest.raises(StudyError) as caught:
        load_study(tables(setup, **more))
    return str(caught.value)


def krogh_field(setup, loss):
    """The conjugate around a vessel once nothing changes, with a loss in the tissue [1/s]; and its study."""
    given = tables(setup, duration="5 h", parameters={"k_dec": f"{loss} 1/s"}, solver={"rtol": 1e-3})
    result = simulate(load_study(given))
    return np.nan_to_num(result.field("adc")), result.study


def krogh_deviation(field, study, loss, permeability):
    """Root mean square of the deviation from the formula, over the largest concentration in the tissue.

    Fluxes and amounts are those of the accessible share phi: phi D c' = P (c - c_b), so that P / phi stands for P.
    """
    values = load_library().find("krogh", "setup").values
    vessel, tissue = values["vessel_radius"].value, values["tissue_radius"].value
    d, phi = values["diffusivity.adc"].value, values["accessible_fraction.adc"].value
    profile = lambda r: krogh.first_order(r, vessel, tissue, d, loss, 60.0, permeability / phi)  # noqa: E731
    geometry = study.geometry
    centre = [geometry.grid.size[axis] / 2 for axis in (1, 2)]
    expected = open_mean(within(profile, vessel, tissue), geometry, centre, (1, 2))
    expected = np.where(geometry.bath_area > 0, profile(vessel + geometry.bath_distance), expected)
    return weighted_norm(field - expected, geometry) / np.nanmax(expected)


LOSS = 2e-3
PERMEABILITY = 334 / 86400  # [um/s]


@pytest.fixture(scope="module")
def steady():
    return krogh_field({"based_on": "krogh", "voxel": "2 um", "length": "2 um"}, LOSS)


def test_the_conjugate_around_the_vessel_of_the_krogh_set_up_is_as_the_formula_says(steady):
    assert krogh_deviation(*steady, LOSS, PERMEABILITY) < tolerances.EXACT_SOLUTION


@pytest.mark.parametrize("slip", ["wall", "loss"])
def test_another_wall_or_another_loss_would_be_seen(steady, slip):
    loss, wall = (LOSS, 1.2 * PERMEABILITY) if slip == "wall" else (0.5 * LOSS, PERMEABILITY)
    assert krogh_deviation(*steady, loss, wall) > 2 * tolerances.EXACT_SOLUTION


def spheroid_means(voxel, profile=None):
    """Mean of the antibody over the whole spheroid at the times of the published uptake [nM]."""
    own = {"accessible_profile": profile} if profile else {}
    times = [f"{hours} h" for hours in spheroid.UPTAKE_HOURS]
    given = tables({"based_on": "spheroid", "voxel": voxel}, duration="48 h", output={"times": times}, **own)
    result = simulate(load_study(given | {"parameters": {"k_dec": "0 1/s"}}))
    geometry = result.study.geometry
    amounts = geometry.open_fraction * geometry.accessible_profile * geometry.grid.spacing**3
    fields = [np.nan_to_num(result.field("adc", k)) for k in range(1, len(result.times))]
    return np.array([(f * amounts).sum() for f in fields]) / (4 / 3 * np.pi * spheroid.RADIUS**3)


def published_means():
    """The published radial model without the wash, which the readings had and a culture has not."""
    uptake = spheroid.Shells(spheroid.PERMEABILITY_UPTAKE)
    states = [uptake.advance(np.zeros(800), spheroid.BATH, h * spheroid.HOUR) for h in spheroid.UPTAKE_HOURS]
    return np.array([uptake.mean(state) for state in states])


def test_an_antibody_enters_the_spheroid_of_the_set_up_as_in_the_published_model():
    np.testing.assert_allclose(spheroid_means("20.5 um"), published_means(), rtol=tolerances.PUBLISHED_SPHEROID)


def test_without_the_profile_of_the_spheroid_the_amounts_would_be_off():
    flat = {"inner": 1.0, "rise": 0.0}
    deviation = np.abs(spheroid_means("20.5 um", flat) / published_means() - 1)
    assert deviation[-1] > 5 * tolerances.PUBLISHED_SPHEROID


@pytest.mark.validate
def test_a_finer_spheroid_is_closer_to_the_published_model():
    coarse, fine = (np.abs(spheroid_means(h) / published_means() - 1).max() for h in ("20.5 um", "10.25 um"))
    assert fine < coarse and fine < tolerances.PUBLISHED_SPHEROID / 2


def test_the_accessible_fraction_of_a_spheroid_follows_its_formula():
    geometry = load_study(tables("spheroid")).geometry
    n = geometry.grid.shape[0] // 2
    middle, edge = geometry.accessible_profile[n, n, n], geometry.accessible_profile[0, 0, 0]
    r = np.sqrt(3) * geometry.grid.spacing / 2
    assert middle == pytest.approx(0.5605 + 0.4395 * (r / 205) ** 3.197)
    assert edge == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["krogh", "spheroid", "woodpile"])
def test_every_set_up_makes_a_study_that_its_effective_study_repeats(name):
    given = tables(name, cells=[{"type": "NCI-N87", "count": 3, "place": "anywhere"}])
    study = load_study(given)
    again = load_study(study.effective)
    assert study_digest(study) == study_digest(again)
    assert study.n_assumed == again.n_assumed
    assert set(load_library().names("setup")) == {"krogh", "spheroid", "woodpile"}


def test_lengths_and_transport_of_a_set_up_are_inputs_with_their_sources():
    sources = {source.key: source for source in load_study(tables("krogh")).sources}
    assert sources["setup.vessel_radius"].value == 8 and "Vasalou" in sources["setup.vessel_radius"].citation
    assert "Shah" in sources["materials.vessel.permeability.adc"].citation
    assert sources["materials.tissue.diffusivity.adc"].value == 13
    assert sources["setup.voxel"].grade == "setting"


def test_a_set_up_with_a_cell_type_is_filled_with_cells_at_its_density():
    study = load_study(tables({"based_on": "krogh", "cell_type": "NCI-N87", "length": "30 um"}))
    tissue = np.pi * (75**2 - 8**2) * 30
    assert len(study.cells.type_index) == pytest.approx(3e8 * 1e-12 * tissue, abs=1.5)


def test_a_study_may_add_to_a_set_up_and_put_its_own_in_place_of_its_values():
    bead = {"shape": "sphere", "centre": ["30 um", "30 um", "12 um"], "radius": "9 um", "material": "PCL"}
    own = {"vessel": {"permeability": {"adc": "1 um/s"}}}
    study = load_study(tables({"based_on": "krogh", "tissue_radius": "60 um"}, scaffold=[bead], materials=own))
    by_name = {material.name: material for material in study.geometry.materials}
    assert by_name["vessel"].permeability["adc"] == 1.0 and by_name["vessel"].permeability["payload"] == 21000 / 86400
    assert "PCL" in by_name and study.geometry.grid.shape[2] == 42


def test_a_diffusivity_in_a_material_is_one_over_that_in_medium():
    gel = {"kind": "gel", "diffusivity": {"adc": "30.45 um^2/s"}, "relative_diffusivity": {"default": 0.9}}
    box = {"shape": "box", "low": ["0 um"] * 3, "high": ["60 um"] * 3, "material": "mine"}
    room = {"grid": {"size": ["60 um"] * 3, "voxel": "20 um"}, "boundary": {"z_high": "bath"}, "scaffold": [box]}
    study = load_study({"duration": "1 h", "schedule": DOSE, "materials": {"mine": gel}} | room)
    (mine,) = [material for material in study.geometry.materials if material.name == "mine"]
    assert mine.relative_diffusivity_of("adc") == pytest.approx(0.5)
    assert mine.relative_diffusivity_of("payload") == 0.9


REFUSED = {
    "unknown": ("kroggh", "did you mean 'krogh'?"),
    "no name": ({"voxel": "2 um"}, "there are: krogh, spheroid, woodpile"),
    "a number": (5, "there are: krogh, spheroid, woodpile"),
    "misspelt": ({"based_on": "krogh", "vessel_radios": "8 um"}, "did you mean 'vessel_radius'?"),
    "wide vessel": ({"based_on": "krogh", "vessel_radius": "80 um"}, "is not less than tissue_radius"),
    "coarse": ({"based_on": "krogh", "voxel": "9 um"}, "the radius of the vessel, which it has to resolve"),
    "no length": ({"based_on": "krogh", "voxel": "0 um"}, "a length above 0"),
    "no whole voxels": ({"based_on": "woodpile", "voxel": "70 um"}, "does not divide strand + pore"),
    "unknown cells": ({"based_on": "krogh", "cell_type": "N-87"}, "did you mean"),
    "no density": ({"based_on": "woodpile", "cell_type": "NCI-N87"}, "list them under [[cells]]"),
}


@pytest.mark.parametrize(("setup", "reason"), REFUSED.values(), ids=list(REFUSED))
def test_a_set_up_that_cannot_be_made_is_refused(setup, reason):
    assert reason in refusal(setup)


def test_a_profile_of_ones_own_is_checked():
    profile = {"centre": ["0 um"] * 3, "radius": "0 um", "inner": 0.5, "rise": 2.0, "power": 3}
    with pytest.raises(StudyError) as caught:
        load_study(tables("spheroid", accessible_profile=profile))
    assert "accessible_profile.radius" in str(caught.value) and "accessible_profile.rise" in str(caught.value)

"""Each module alone in a well-mixed volume, against its equations written down again, and against itself when off."""

from dataclasses import replace

import numpy as np
import pytest
from tests import handmade
from tests.references import modules as reference
from tests.running import run
from tests.wells import AGREE, CELL, CORE, HOUR, RTOL, VALUES, agree, differ, settings, wells

from payloadfield.mechanism import evaluate, load_mechanism


def test_pumps_carry_payload_out_and_saturate(tmp_path):
    hours, own = (0.2, 0.5, 1, 3), {"efflux_vmax": 800.0, "KM_efflux": 150.0}
    found = wells(tmp_path, {"efflux": True}, hours, start={"payload": 200.0}, **own)
    expected = reference.solve(reference.efflux, (200.0, 0.0), np.array(hours) * HOUR, settings(**own))
    agree(found, ("payload", "payload_cytosol"), expected)
    # Without saturation the pump would carry out several times as much.
    linear = own | {"efflux_vmax": 800.0 * 1e3, "KM_efflux": 150.0 * 1e3}
    differ(found, wells(tmp_path, {"efflux": True}, hours, start={"payload": 200.0}, **linear), "payload_cytosol", 0.1)
    differ(found, wells(tmp_path, {}, hours, start={"payload": 200.0}), "payload_cytosol", 0.1)


def test_only_free_payload_enters_where_proteins_bind_it(tmp_path):
    hours, own = (0.05, 0.2, 1, 4), {"fraction_free": 0.3, "D_protein": 60.0}
    fast = wells(tmp_path, {"protein_binding": "fast"}, hours, start={"payload": 50.0}, **own)
    agree(
        fast,
        ("payload", "payload_cytosol"),
        reference.solve(reference.binding_fast, (50.0, 0.0), np.array(hours) * HOUR, settings(**own)),
    )
    differ(fast, wells(tmp_path, {}, hours, start={"payload": 50.0}), "payload_cytosol", 0.5)
    slow = own | {"k_off_protein": 2e-3}
    explicit = wells(tmp_path, {"protein_binding": "explicit"}, hours, start={"payload": 50.0}, **slow)
    expected = reference.solve(reference.binding_explicit, (50.0, 0.0, 0.0), np.array(hours) * HOUR, settings(**slow))
    agree(explicit, ("payload", "payload_protein", "payload_cytosol"), expected)


def test_quick_binding_to_proteins_tends_to_its_equilibrium(tmp_path):
    hours, own = (0.2, 1, 4), {"fraction_free": 0.3, "D_protein": 60.0}
    start = {"payload": 50.0 * 0.3, "payload_protein": 50.0 * 0.7}
    quick = wells(tmp_path, {"protein_binding": "explicit"}, hours, start=start, k_off_protein=5.0, **own)
    fast = wells(tmp_path, {"protein_binding": "fast"}, hours, start={"payload": 50.0}, **own)
    np.testing.assert_allclose(quick["payload"] + quick["payload_protein"], fast["payload"], rtol=2e-3)
    np.testing.assert_allclose(quick["payload_cytosol"], fast["payload_cytosol"], rtol=2e-3)


def test_payload_in_quick_exchange_with_proteins_moves_as_the_two_in_the_mean():
    mechanism = load_mechanism("adc", CORE | {"protein_binding": "fast"})
    payload = mechanism.fields[mechanism.field_names.index("payload")]
    values = {"D_payload": 420.0, "D_protein": 60.0, "fraction_free": 0.3}
    assert evaluate(payload.diffusivity, values) == pytest.approx(0.3 * 420.0 + 0.7 * 60.0)


LACTONE = {"lactone_open": 822.0, "lactone_close": 15300.0, "carboxylate_entry": 0.1}


def test_the_lactone_opens_and_only_it_reaches_the_target(tmp_path):
    hours = (0.1, 0.5, 2, 12)
    on = {"lactone": True, "target_binding": True}
    own = LACTONE | {"k_decay": 8e-6}
    found = wells(tmp_path, on, hours, start={"payload": 40.0}, **own)
    s = settings(**own)
    start = (40.0, 0.0, 0.0, 0.0, s.target_concentration * s.N, 0.0)
    names = ("payload", "carboxylate", "payload_cytosol", "carboxylate_cytosol", "target", "payload_bound")
    agree(found, names, reference.solve(reference.lactone, start, np.array(hours) * HOUR, s))
    off = wells(tmp_path, {"target_binding": True}, hours, start={"payload": 40.0})
    assert found["payload_bound"][-1] < 0.2 * off["payload_bound"][-1]


def test_at_rest_five_percent_of_a_camptothecin_are_lactone(tmp_path):
    found = wells(tmp_path, {"lactone": True, "membrane_transport": False}, (48,), start={"payload": 40.0}, **LACTONE)
    assert found["payload"][-1] / 40.0 == pytest.approx(13.7 / (13.7 + 255), rel=1e-3)


def test_the_target_is_lost_while_the_payload_is_on_it(tmp_path):
    hours, own = (1, 6, 24), {"k_target_loss": 1e-4}
    on = {"target_binding": True, "target_loss": True}
    found = wells(tmp_path, on, hours, start={"payload": 300.0}, **own)
    s = settings(**own)
    start = (300.0, 0.0, s.target_concentration * s.N, 0.0)
    agree(
        found,
        ("payload", "payload_cytosol", "target", "payload_bound"),
        reference.solve(reference.target_loss, start, np.array(hours) * HOUR, s),
    )
    off = wells(tmp_path, {"target_binding": True}, hours, start={"payload": 300.0})
    whole = s.target_concentration * s.N
    assert (
        off["target"][-1] + off["payload_bound"][-1]
        > 0.999 * whole
        > 1.5 * (found["target"][-1] + found["payload_bound"][-1])
    )


DEGRADER = {
    "KD_target": 50.0,
    "KD_ligase": 200.0,
    "ligase_concentration": 100.0,
    "cooperativity": 5.0,
    "k_degrade": 2e-4,
}
SPECIES = ("payload", "payload_cytosol", "target", "payload_bound", "ligase", "payload_ligase", "ternary")


def degraded(tmp_path, dose, hours=(1, 4, 24), **changes):
    on = {"target_binding": True, "degrader": True}
    own = DEGRADER | {"target_concentration": 100.0} | changes
    return wells(tmp_path, on, hours, start={"payload": dose}, **own), settings(**own)


def test_a_degrader_forms_ternary_complexes_and_is_used_again(tmp_path):
    found, s = degraded(tmp_path, 20.0)
    start = (20.0, 0.0, s.target_concentration * s.N, 0.0, s.ligase_concentration * s.N, 0.0, 0.0)
    agree(found, SPECIES, reference.solve(reference.degrader, start, np.array((1, 4, 24)) * HOUR, s))
    ligase = found["ligase"] + found["payload_ligase"] + found["ternary"]
    np.testing.assert_allclose(ligase, s.ligase_concentration * s.N, rtol=1e-9)


def test_one_degrader_molecule_removes_many_targets(tmp_path):
    """Without synthesis, what is gone was removed; a payload that only binds removes nothing."""
    dose, hours = 0.02, (120,)
    found, s = degraded(tmp_path, dose, hours, k_target=0.0)
    start = s.target_concentration * s.N
    removed = start - found["target"][-1] - found["payload_bound"][-1] - found["ternary"][-1]
    assert removed > 5 * dose * s.M
    idle, _ = degraded(tmp_path, dose, hours, k_target=0.0, k_degrade=0.0)
    np.testing.assert_allclose(idle["target"] + idle["payload_bound"] + idle["ternary"], start, rtol=1e-9)


def test_too_much_degrader_spares_the_target(tmp_path):
    """The hook effect, which a payload that does not need a ligase has not."""
    left = [
        (found["target"][-1] + found["payload_bound"][-1])
        for found, _ in (degraded(tmp_path, d) for d in (1.0, 100.0, 30000.0))
    ]
    assert left[1] < 0.7 * left[0] and left[2] > 1.3 * left[1]


def test_vesicles_carry_payload_and_conjugate(tmp_path):
    hours = (1, 6, 24)
    own = {"k_vesicle": 2e-5, "k_vesicle_uptake": 5e-3, "k_vesicle_loss": 1e-5, "D_vesicle": 6.6, "k_on": 0.0}
    on = {"trafficking": True, "payload_release": True, "vesicles": True, "membrane_transport": False}
    start = {"complex_endosomal": 1e5, "receptor": 0.0, "receptor_endosomal": 0.0}
    found = wells(tmp_path, on, hours, states=start, **own, **{"k_rec": 0.0, "k_endo": 0.0, "receptors": 0.0})
    s = settings(**own)
    names = (
        "complex_endosomal",
        "vesicle_cargo",
        "payload_lysosome",
        "payload_cytosol",
        "vesicle",
        "vesicle_adc",
        "payload",
        "adc",
        "vesicle_uptake",
    )
    expected = reference.solve(reference.vesicles, (1e5, 0, 0, 0, 0, 0, 0, 0, 0), np.array(hours) * HOUR, s)
    agree(found, names, expected)
    assert found["vesicle"][-1] > 0 and found["payload"][-1] > 0


def test_bridges_level_out_what_two_cells_of_unlike_size_hold(tmp_path):
    path, hours = tmp_path / "bridges.toml", np.array([0.5, 2, 6])
    on = {"trafficking": True, "payload_release": True, "membrane_transport": False, "bridges": True}
    path.write_text(load_mechanism("adc", CORE | on).source_text)
    geometry, volumes = handmade.make_box((1, 1, 1), 60.0), np.array([2200.0, 1100.0])
    cells = handmade.make_cells([{0: 1.0}] * 2, geometry.grid.shape, 60.0)
    cells = replace(cells, position=np.array([[30.0, 30.0, 25.0], [30.0, 30.0, 35.0]]))
    own = {"k_bridge": 5e-5, "bridge_volume": 2000.0, "bridge_lysosomal": 0.3, "bridge_reach": 1.2, "k_in": 1e-4}
    held = {"payload_lysosome": np.array([4e4, 1e4]), "payload_cytosol": np.array([0.0, 3e4]), "receptor": 0.0}
    study = handmade.make_study(
        str(path), geometry, duration=6 * HOUR, cells=cells, parameters=VALUES | own,
        of_cells=CELL | {"volume": volumes, "receptors": 0.0}, initial_states=held | {"receptor_endosomal": 0.0},
        outputs=hours * HOUR, solver=handmade.make_solver(RTOL),
    )  # fmt: skip
    trace, names = run(study, "numpy"), study.mechanism.state_names
    rows = [names.index(name) for name in ("payload_lysosome", "payload_cytosol")]
    at = [trace.times.index(time) for time in hours * HOUR]
    s = settings(**own)
    s.volumes = volumes
    expected = reference.solve(reference.bridges, (4e4, 1e4, 0.0, 3e4), hours * HOUR, s).reshape(3, 2, 2)
    found = np.array(trace.states)[at][:, rows]
    np.testing.assert_allclose(found, expected, atol=AGREE * 4e4)
    s.k_bridge = 0.0
    without = reference.solve(reference.bridges, (4e4, 1e4, 0.0, 3e4), hours * HOUR, s).reshape(3, 2, 2)
    assert np.abs(found - without).max() > 0.05 * 4e4


def test_a_cell_without_antigen_is_reached_by_vesicles_alone(tmp_path):
    """Two cells, membranes shut; the second has no antigen. Without vesicles it gets nothing at all."""
    received = {}
    for is_on in (True, False):
        path = tmp_path / f"{is_on}.toml"
        modules = {
            "naked_antibody": False,
            "extracellular_cleavage": False,
            "membrane_transport": False,
            "vesicles": is_on,
        }
        path.write_text(load_mechanism("adc", modules).source_text)
        geometry = handmade.make_box((1, 1, 2), 40.0)
        cells = handmade.make_cells([{0: 1.0}, {1: 1.0}], geometry.grid.shape, 40.0)
        own = {"k_vesicle": 1e-5, "k_vesicle_uptake": 1e-3, "k_vesicle_loss": 1e-6, "D_vesicle": 6.6}
        study = handmade.make_study(
            str(path), geometry, duration=24 * HOUR, cells=cells, parameters=VALUES | own,
            of_cells=CELL | {"receptors": np.array([4e5, 0.0])}, initial={"adc": 50.0}, outputs=[24 * HOUR],
        )  # fmt: skip
        received[is_on] = run(study, "numpy").exposure("payload_exposure")
    assert received[False][1] == 0 < 1e-4 * received[True][0] < received[True][1] < received[True][0]


def test_cells_that_hold_the_payload_secrete_the_effector(tmp_path):
    hours = (0.5, 2, 8)
    own = {
        "D_effector": 150.0,
        "k_effector_loss": 1e-4,
        "effector_secretion": 10.0,
        "EC50_effector": 20.0,
        "hill_effector": 2.0,
        "effector_scale": 0.1,
    }
    found = wells(tmp_path, {"immune": True}, hours, start={"payload": 10.0}, **own)
    expected = reference.solve(reference.immune, (10.0, 0.0, 0.0, 0.0), np.array(hours) * HOUR, settings(**own))
    agree(found, ("payload", "payload_cytosol", "effector", "effector_exposure"), expected)
    assert not wells(tmp_path, {"immune": True}, hours, **own)["effector"].any()


TKI = {
    "D_inhibitor": 578.0, "k_inhibitor_decay": 2e-5, "IC50_inhibitor": 15.0, "hill_inhibitor": 1.5,
    "inhibitor_response": 0.9, "myc_half_life": 1800.0, "antigen_fold": 4.0, "induction_half_time": 4 * HOUR,
    "reversion_half_time": 9 * HOUR,
}  # fmt: skip


def test_the_inhibitor_lowers_c_myc_and_raises_the_antigen(tmp_path):
    hours = (1, 4, 12, 24, 72)
    found = wells(tmp_path, {"trafficking": True, "tki": True}, hours, start={"inhibitor": 200.0}, **TKI)
    s = settings(**TKI)
    resting = s.receptors * s.k_endo / (s.k_rec + s.k_deg)
    expected = reference.solve(
        reference.kinase_inhibitor, (200.0, 1.0, 0.0, s.receptors, resting), np.array(hours) * HOUR, s
    )
    agree(found, ("inhibitor", "myc", "induction", "receptor", "receptor_endosomal"), expected)
    assert found["receptor"].max() > 1.5 * s.receptors and found["receptor"][-1] < 0.9 * found["receptor"].max()
    off = wells(tmp_path, {"trafficking": True, "tki": True}, hours, **TKI)
    np.testing.assert_allclose(off["receptor"], s.receptors, rtol=1e-9)
    np.testing.assert_allclose(off["myc"], 1.0, rtol=1e-9)


def cut(tmp_path, choice, hours=(1, 6, 24), **own):
    on = {
        "trafficking": True,
        "naked_antibody": True,
        "protease": True,
        "extracellular_cleavage": choice,
        "membrane_transport": False,
    }
    return wells(
        tmp_path,
        on,
        hours,
        start={"adc": 80.0},
        states={"receptor": 0.0, "receptor_endosomal": 0.0},
        receptors=0.0,
        **own,
    )


def test_protease_saturates(tmp_path):
    hours, own = (1, 6, 24), {"KM_protease": 20.0, "kcat_over_km": 2e-5}
    found = cut(tmp_path, "saturated", **own)
    expected = reference.solve(reference.cleavage, (80.0, 0.0, 0.0, 0.0), np.array(hours) * HOUR, settings(**own))
    agree(found, ("adc", "antibody", "payload", "protease"), expected)
    differ(found, cut(tmp_path, "linear", kcat_over_km=2e-5), "payload", 0.3)


def by_species(tmp_path, choice, hours, cleavage="linear", **own):
    on = {"trafficking": True, "naked_antibody": True, "protease": True, "extracellular_cleavage": cleavage,
          "membrane_transport": False, "dar_species": choice}  # fmt: skip
    return wells(
        tmp_path,
        on,
        hours,
        start={"adc": 80.0},
        states={"receptor": 0.0, "receptor_endosomal": 0.0},
        receptors=0.0,
        **own,
    )


CHAIN = ("adc", *(f"adc_{n}" for n in range(7, 0, -1)), "antibody", "payload")


def mean_payloads(found):
    """Payloads per antibody, mean over all species, as share of the DAR."""
    counts = np.arange(8, -1, -1)
    amounts = np.array([found[name] for name in CHAIN[:9]])
    return counts @ amounts / 8 / amounts.sum(0)


def test_payloads_lost_one_by_one_have_the_mean_of_those_lost_at_once(tmp_path):
    hours, own = (6, 24, 72), {"k_dec": 5e-6, "kcat_over_km": 2e-6}
    found, whole = by_species(tmp_path, "linear", hours, **own), cut(tmp_path, "linear", hours, **own)
    share = whole["adc"] / (whole["adc"] + whole["antibody"])
    np.testing.assert_allclose(mean_payloads(found), share, rtol=AGREE)
    np.testing.assert_allclose(found["payload"], whole["payload"], rtol=AGREE)
    assert found["antibody"][-1] < 0.3 * whole["antibody"][-1]  # where the two differ: who still carries any


def test_all_species_together_saturate_the_protease(tmp_path):
    hours, own = (3, 9, 30), {"KM_protease": 20.0, "kcat_over_km": 1e-4}
    found = by_species(tmp_path, "linear", hours, "saturated", **own)
    expected = reference.solve(reference.saturated_losing, [80.0] + [0.0] * 10, np.array(hours) * HOUR, settings(**own))
    agree(found, (*CHAIN, "protease"), expected)
    # Where only what is fully loaded took up the protease, as without this module, much more would be cut.
    apart = cut(tmp_path, "saturated", hours, **own)
    assert found["payload"][1] < 0.93 * apart["payload"][1]


@pytest.mark.validate
def test_species_follow_the_chain_and_its_measured_steps(tmp_path):
    hours = (6, 24, 72)
    steps = {1: 0.0939 / 86400, 2: 0.255 / 86400}
    own = {"k_step_1": steps[1], "k_step_2": steps[2], "k_step_high": 0.341 / 86400, "kcat_over_km": 0.0}
    found = by_species(tmp_path, "stepwise", hours, **own)
    s = settings()
    s.step = lambda n: steps.get(n, own["k_step_high"])
    expected = reference.solve(reference.losing_one_by_one, [80.0] + [0.0] * 9, np.array(hours) * HOUR, s)
    agree(found, CHAIN, expected)
    s.step = lambda n: n * own["k_step_1"]
    linear = by_species(tmp_path, "linear", hours, k_dec=own["k_step_1"], kcat_over_km=0.0)
    agree(linear, CHAIN, reference.solve(reference.losing_one_by_one, [80.0] + [0.0] * 9, np.array(hours) * HOUR, s))


@pytest.mark.validate
def test_partly_loaded_conjugate_brings_its_share_of_payload_into_cells(tmp_path):
    """One antibody with half its payload binds as half a full one and half a naked one: payload and antigen add up."""
    on = {"trafficking": True, "naked_antibody": True, "protease": True, "extracellular_cleavage": True,
          "payload_release": True, "dar_species": True}  # fmt: skip
    own = {"k_dec": 0.0, "kcat_over_km": 0.0}
    half = wells(tmp_path, on, (24,), start={"adc_4": 20.0}, **own)
    mixed = wells(tmp_path, on, (24,), start={"adc": 10.0, "antibody": 10.0}, **own)
    for name in ("payload_exposure", "payload_cytosol", "payload_lysosome"):
        np.testing.assert_allclose(half[name], mixed[name], rtol=1e-3)
    differ(half, wells(tmp_path, on, (24,), start={"adc": 20.0}, **own), "payload_exposure", 0.5)


def test_exposure_to_the_medium_is_to_what_proteins_leave_free(tmp_path):
    hours, own = (1, 4), {"fraction_free": 0.3, "D_protein": 60.0, "k_off_protein": 0.5}
    fast = wells(tmp_path, {"protein_binding": "fast"}, hours, start={"payload": 100.0}, **own)
    start = {"payload": 30.0, "payload_protein": 70.0}
    explicit = wells(tmp_path, {"protein_binding": "explicit"}, hours, start=start, **own)
    for name in ("medium_payload_exposure", "payload_exposure"):
        np.testing.assert_allclose(fast[name], explicit[name], rtol=2e-3)
    differ(fast, wells(tmp_path, {}, hours, start={"payload": 100.0}), "medium_payload_exposure", 0.5)


@pytest.mark.parametrize("with_antibody", [True, False])
def test_release_by_acid_is_a_part_of_all_release_and_not_more(tmp_path, with_antibody):
    on = {"trafficking": True, "naked_antibody": with_antibody, "payload_release": True}
    names = {"start": {"adc": 20.0}, "k_cleave": 3e-4}
    plain = wells(tmp_path, on, (24,), **names)
    on |= {"acid_release": True}
    none, some, all_of_it = (wells(tmp_path, on, (24,), **names, acid_share=share) for share in (0.0, 0.4, 1.0))
    for found in (none, some, all_of_it):
        np.testing.assert_allclose(found["payload_exposure"], plain["payload_exposure"], rtol=1e-9)
    assert none["released_by_acid"][-1] == 0.0
    np.testing.assert_allclose(some["released_by_acid"], 0.4 * all_of_it["released_by_acid"], rtol=1e-9)
    differ(plain, wells(tmp_path, on, (24,), start={"adc": 20.0}, k_cleave=0.0), "payload_exposure", 0.1)


def test_naked_antibody_competes_for_the_antigen(tmp_path):
    on = {"trafficking": True, "naked_antibody": True, "payload_release": True}
    alone = wells(tmp_path, on, (12,), start={"adc": 10.0})
    beside = wells(tmp_path, on, (12,), start={"adc": 10.0, "antibody": 90.0})
    assert 0.05 < beside["payload_exposure"][-1] / alone["payload_exposure"][-1] < 0.3


def test_recycling_brings_conjugate_back_to_the_surface(tmp_path):
    on = {"trafficking": True, "payload_release": True}
    slow, quick = (wells(tmp_path, on, (12,), start={"adc": 10.0}, k_rec=k_rec) for k_rec in (0.0, 2e-4))
    ratio = [found["complex"][-1] / found["complex_endosomal"][-1] for found in (slow, quick)]
    assert ratio[1] > 1.3 * ratio[0]


def test_what_the_payload_does_may_differ_between_cells(tmp_path):
    on = {"target_binding": True, "resistance": True}
    path = tmp_path / "resistance.toml"
    path.write_text(load_mechanism("adc", CORE | on).source_text)
    geometry = handmade.make_box((1, 1, 2), 40.0)
    cells = handmade.make_cells([{0: 1.0}, {1: 1.0}], geometry.grid.shape, 40.0)
    of_cells = VALUES | {"k_out": np.array([1e-3, 5e-3]), "KD_target": np.array([161.0, 161.0])}
    study = handmade.make_study(
        str(path), geometry, duration=12 * HOUR, cells=cells, parameters=VALUES, of_cells=of_cells,
        initial={"payload": 20.0}, outputs=[12 * HOUR],
    )  # fmt: skip
    cytosol = run(study, "numpy").exposure("payload_cytosol")
    assert cytosol[0] / cytosol[1] == pytest.approx(5.0, rel=1e-2)

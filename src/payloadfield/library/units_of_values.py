"""Which values an entry of each kind may carry, and in which unit the program uses them."""

from __future__ import annotations

_ANTIBODY = {"k_on": "1/nM/s", "KD": "nM", "k_off": "1/s", "diffusivity": "um^2/s", "molecular_weight": "g/nM/um^3"}
_LINKER = {
    "k_dec": "1/s",
    "k_dec_mouse": "1/s",
    "kcat_over_km": "1/nM/s",
    "KM_protease": "nM",
    "k_cleave": "1/s",
    "acid_share": "1",
    "dar_species.k_dec_1": "1/s",
    "dar_species.k_dec_2": "1/s",
    "dar_species.k_dec_high": "1/s",
}
_PAYLOAD = {
    "k_in": "1/s",
    "k_out": "1/s",
    "fraction_unbound": "1",
    "k_decay": "1/s",
    "diffusivity": "um^2/s",
    "molecular_weight": "g/nM/um^3",
    "target.k_on": "1/nM/s",
    "target.KD": "nM",
    "target.concentration": "nM",
    "target.turnover": "1/s",
    "kill.kmax": "1/s",
    "kill.KC50": "nM",
    "kill.hill": "1",
    "kill.delay": "s",
    "damage.K_death": "nM",
    "damage.K_senescence": "nM",
    "damage.hill": "1",
    "efflux.KM": "nM",
    "protein.fraction_unbound": "1",
    "protein.fraction_unbound_plasma": "1",
    "protein.k_off": "1/s",
    "protein.diffusivity": "um^2/s",
    "lactone.open.half_life": "s",
    "lactone.close.half_life": "s",
    "lactone.fraction_plasma": "1",
    "lactone.carboxylate_entry": "1",
    "degrader.KD_ligase": "nM",
    "degrader.ligase": "nM",
    "degrader.cooperativity": "1",
    "degrader.k_degrade": "1/s",
    "degrader.kill.threshold": "1",
    "degrader.kill.hill": "1",
    "tumour_partition": "1",
    "pampa": "um/s",
    "logP": "1",
    "uptake_half_life": "s",
    "k_in_lumped": "1/s",
    "k_out_lumped": "1/s",
}
_DRUG = {"diffusivity": "um^2/s", "molecular_weight": "g/nM/um^3", "k_decay": "1/s"}
_FACTORS = ("payload.k_in", "payload.k_out", "payload.target.KD", "payload.target.concentration")
_TRAFFICKING = {"trafficking.k_endo": "1/s", "trafficking.k_rec": "1/s", "trafficking.k_deg": "1/s"}

#: Unit of each value, by kind and dotted path; `*` stands for one name (of an antigen, of a field).
UNITS: dict[str, dict[str, str]] = {
    "antibody": _ANTIBODY,
    "linker": _LINKER,
    "payload": _PAYLOAD,
    "conjugate": {
        "DAR": "1",
        "molecular_weight": "g/nM/um^3",
        **{f"antibody.{path}": unit for path, unit in _ANTIBODY.items()},
        **{f"linker.{path}": unit for path, unit in _LINKER.items()},
        **{f"payload.{path}": unit for path, unit in _PAYLOAD.items()},
    },
    "antigen": _TRAFFICKING,
    "cell_type": {
        "receptors": "molecules",
        **_TRAFFICKING,
        "antigens.*.receptors": "molecules",
        **{f"antigens.*.{path}": unit for path, unit in _TRAFFICKING.items()},
        "volume": "um^3",
        "radius": "um",
        "protease_secretion": "molecules/s",
        "doubling_time": "s",
        "growth_rate": "1/s",
        "antigen_concentration": "nM",
        "efflux.vmax": "molecules/s",
        "inhibitor_response": "1",
        **{f"factors.{path}": "1" for path in _FACTORS},
    },
    "material": {
        "relative_diffusivity.*": "1",
        "accessible_fraction.*": "1",
        "permeability.*": "um/s",
        "diffusivity.*": "um^2/s",
        "sorption.partition": "1",
        "sorption.diffusivity": "um^2/s",
        "sorption.depth": "um",
    },
    "protease": {"diffusivity": "um^2/s", "k_loss": "1/s", "concentration": "nM"},
    "inhibitor": {
        **{"IC50": "nM", "hill": "1", "dose": "nM"},
        **_DRUG,
        **{"logP": "1", "survivors": "1", "kill.kmax": "1/s"},
        **{"antigen_induction.fold": "1", "antigen_induction.half_time": "s", "antigen_reversion.half_time": "s"},
        **{"myc.half_life": "s", "persister.entry": "1/s", "persister.exit": "1/s"},
    },
    "senolytic": {"EC50": "nM", "hill": "1", "kmax": "1/s", **_DRUG},
    "effector": {
        **{"diffusivity": "um^2/s", "secretion": "molecules/s", "k_loss": "1/s"},
        **{"activation.EC50": "nM", "activation.hill": "1"},
        **{"kill.kmax": "1/s", "kill.EC50": "nM", "kill.hill": "1"},
    },
    "vesicle": {
        **{"release": "1/s", "adc_per_ev": "1", "payload_per_ev": "1", "cargo_fraction": "1/s", "uptake": "1/s"},
        **{"diffusivity": "um^2/s", "diffusivity_tissue": "um^2/s", "k_loss": "1/s"},
    },
    "bridge": {"rate": "1/s", "volume": "um^3", "reach": "1", "lysosomal_fraction": "1"},
    "fate": {
        **{"senescent_fraction": "1", "target_residual": "1", "target_loss.kmax": "1/s"},
        **{"target_turnover.half_life": "s", "damage.rate": "1/s", "damage.repair.half_life": "s"},
        **{"death.kmax": "1/s", "death.lag": "s", "senescence.kmax": "1/s", "senescence.reversion": "1/s"},
        **{"senescence.target": "1", "persister.protection": "1"},
        **{"arrest.K": "1", "growth.capacity": "1/um^3", "growth.territory": "um^3", "lysis.half_life": "s"},
    },
    "secreted": {"diffusivity": "um^2/s", "secretion": "molecules/s", "baseline": "1", "k_loss": "1/s"},
    "resistance": {
        **dict.fromkeys(_FACTORS, "1"),
        **{"receptors": "1", "antigens.*.receptors": "1"},
    },
    "bath_medium": {"fraction_unbound.*": "1", "lactone_fraction.*": "1"},
    "culture": {"volume": "um^3", "cell_density": "1/um^3"},
    "setup": {
        **{"vessel_radius": "um", "tissue_radius": "um", "radius": "um", "length": "um", "voxel": "um"},
        **{"diffusivity.*": "um^2/s", "relative_diffusivity.*": "1", "accessible_fraction.*": "1"},
        **{"permeability.*": "um/s", "permeability_clearing.*": "um/s", "cell_density": "1/um^3"},
        **{"profile.inner": "1", "profile.rise": "1", "profile.power": "1"},
        **{"strand": "um", "pore": "um", "layer": "um", "porosity": "1", "construct_xy": "um", "construct_z": "um"},
    },
    "pharmacokinetics": {
        **{"clearance": "um^3/s", "Q": "um^3/s", "V1": "um^3", "V2": "um^3"},
        **{"clearance_per_mass": "um^3/s/g", "Q_per_mass": "um^3/s/g"},
        **{"V1_per_mass": "um^3/g", "V2_per_mass": "um^3/g"},
        **{"half_life": "s", "mean_residence_time": "s"},
    },
    "observation": {
        **{"IC50": "nM", "IC50_mass": "g/um^3", "EC50": "nM", "antigen_concentration": "nM"},
        **{"*.half_life": "s", "net_rate": "1/s", "diffusivity.*": "um^2/s"},
        **{"surface_fraction.*": "1", "unconjugated_inside.*": "nM", "payload_outside.*": "nM"},
        **{"entering.*": "nM", "leaving.*": "nM", "model_entering.*": "nM", "model_leaving.*": "nM"},
        **{"alive.*": "1", "released.*": "g/um^3"},
    },
}


def unit_of(kind: str, path: str) -> str | None:
    """Unit in which the program uses the value at `path` of an entry of `kind`; None where there is no such value."""
    units = UNITS[kind]
    if path in units:
        return units[path]
    parts = path.split(".")
    for pattern, unit in units.items():
        names = pattern.split(".")
        if len(names) == len(parts) and all(a in ("*", b) for a, b in zip(names, parts, strict=True)):
            return unit
    return None

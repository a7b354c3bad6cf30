"""What a value can physically be, whatever its source: a value outside is a slip, and refused."""

from __future__ import annotations

_SHARE = (0.0, 1.0)

#: Lowest and highest value in the program's units (units_of_values.py), by the end of a dotted path.
LIMITS: dict[str, tuple[float, float]] = {
    "DAR": (0.0, 40.0),  # an antibody has about 40 lysines within reach
    "diffusivity": (0.0, 1e4),  # a proton in water: 9.3e3 um^2/s
    "diffusivity_tissue": (0.0, 1e4),
    "relative_diffusivity.*": (0.0, 10.0),
    "accessible_fraction.*": _SHARE,
    "protein.fraction_unbound": (1e-4, 1.0),  # none free: no exchange between the free and the bound
    "fraction_unbound": _SHARE,
    "fraction_unbound_plasma": _SHARE,
    "lactone.fraction_plasma": _SHARE,
    "lactone.carboxylate_entry": _SHARE,
    "senescent_fraction": _SHARE,
    "target_residual": _SHARE,
    "senescence.target": _SHARE,
    "persister.protection": _SHARE,
    "survivors": _SHARE,
    "lysosomal_fraction": _SHARE,
    "acid_share": _SHARE,
    "inhibitor_response": _SHARE,
    "baseline": _SHARE,
    "porosity": _SHARE,
    "hill": (0.1, 20.0),
    "target.KD": (0.0, 1e9),  # 1 M: no binding at all
    "antibody.KD": (0.0, 1e9),
    "target.concentration": (0.0, 1e7),  # 10 mM: all protein of a cell
    "receptors": (0.0, 1e8),  # a cell's surface full of proteins
    "sorption.depth": (1e-3, 1e4),
    "growth.territory": (1.0, 1e18),
    "volume": (1.0, 1e18),  # a bacterium; a litre
    "doubling_time": (600.0, 1e9),
    "half_life": (1e-6, 1e12),
    "half_time": (1e-6, 1e12),
    "antibody.molecular_weight": (1e-21, 1e-17),  # 1 kg/mol to 10 t/mol: a peptide, a virus
    "payload.molecular_weight": (1e-23, 1e-19),  # 10 g/mol to 100 kg/mol
}


def limits_of(path: str) -> tuple[float, float] | None:
    """Lowest and highest possible value at a dotted path, in the program's unit; None where nothing is said."""
    parts = path.split(".")
    for end, limits in LIMITS.items():
        names = end.split(".")
        last = parts[-len(names) :]
        if len(last) == len(names) and all(name in ("*", part) for name, part in zip(names, last, strict=True)):
            return limits
    return None

"""Which values an entry of each kind may carry, and in which unit the program uses them."""

from __future__ import annotations

_ANTIBODY = {"k_on": "1/nM/s", "KD": "nM", "diffusivity": "um^2/s", "molecular_weight": "g/nM/um^3"}
_LINKER = {"k_dec": "1/s", "kcat_over_km": "1/nM/s", "k_cleave": "1/s"}
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
}
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
    },
    "material": {"relative_diffusivity.*": "1", "accessible_fraction.*": "1", "permeability.*": "um/s"},
    "protease": {"diffusivity": "um^2/s", "k_loss": "1/s", "concentration": "nM"},
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

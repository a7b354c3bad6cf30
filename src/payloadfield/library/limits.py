"""What a value can physically be, whatever its source: a value outside is a slip, and refused."""

from __future__ import annotations

from typing import NamedTuple

INFINITE = float("inf")


class Limits(NamedTuple):
    """Lowest and highest value that is possible; is_open: neither of the two itself is."""

    low: float = 0.0
    high: float = INFINITE
    is_open: bool = False

    def hold(self, value: float) -> bool:
        """Whether a value is possible."""
        return self.low < value < self.high if self.is_open else self.low <= value <= self.high

    def text(self, unit: str) -> str:
        """What is possible, in words."""
        shown = "" if unit == "1" else f" {unit}"
        if self.high == INFINITE:
            return f"only a number {'above' if self.is_open else 'of at least'} {self.low:g}{shown if self.low else ''}"
        between = f"a number above {self.low:g} and below {self.high:g}"
        return f"only {between if self.is_open else f'{self.low:g} to {self.high:g}'}{shown}"


ANY = Limits()
"""Of a value of which nothing else is said: it counts or measures something."""

_SHARE = Limits(0.0, 1.0)
_DIVISOR = Limits(is_open=True)  # a rate divides by it, or by a power of it

#: Of a process of first order [1/s]: faster than milliseconds is mixing, not transport or chemistry of a cell.
FIRST_ORDER = Limits(0.0, 1e3)

#: Lowest and highest value in the program's units (units_of_values.py), by the end of a dotted path.
LIMITS: dict[str, Limits] = {
    "DAR": Limits(0.0, 40.0),  # an antibody has about 40 lysines within reach
    "diffusivity": Limits(0.0, 1e4),  # a proton in water: 9.3e3 um^2/s
    "diffusivity_tissue": Limits(0.0, 1e4),
    "relative_diffusivity.*": Limits(0.0, 10.0),
    "accessible_fraction.*": _SHARE,
    "protein.fraction_unbound": Limits(1e-4, 1.0),  # none free: no exchange between the free and the bound
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
    "hill": Limits(0.1, 20.0),
    "target.KD": Limits(0.0, 1e9),  # 1 M: no binding at all
    "antibody.KD": Limits(0.0, 1e9),
    "target.concentration": Limits(0.0, 1e7),  # 10 mM: all protein of a cell
    "receptors": Limits(0.0, 1e8),  # a cell's surface full of proteins
    "sorption.depth": Limits(1e-3, 1e4),
    "growth.territory": Limits(1.0, 1e18),
    "volume": Limits(1.0, 1e18),  # a bacterium; a litre
    "doubling_time": Limits(600.0, 1e9),
    "half_life": Limits(1e-6, 1e12),
    "half_time": Limits(1e-6, 1e12),
    "antibody.molecular_weight": Limits(1e-21, 1e-17),  # 1 kg/mol to 10 t/mol: a peptide, a virus
    "payload.molecular_weight": Limits(1e-23, 1e-19),  # 10 g/mol to 100 kg/mol
    "cargo_fraction": Limits(0.0, 0.1),  # [1/s]: all that a cell holds within ten seconds
    "efflux.KM": _DIVISOR,
    "KM_protease": _DIVISOR,
    "damage.K_death": _DIVISOR,
    "damage.K_senescence": _DIVISOR,
    "degrader.cooperativity": _DIVISOR,
    "degrader.kill.threshold": Limits(0.0, 1.0, is_open=True),  # of the target that is left
    "IC50": _DIVISOR,
    "EC50": _DIVISOR,
    "death.lag": _DIVISOR,
    "growth.capacity": _DIVISOR,
    "arrest.K": _DIVISOR,
    "antigen_induction.fold": _DIVISOR,
}


def limits_of(path: str, unit: str = "") -> Limits:
    """Lowest and highest possible value at a dotted path that is used in a unit, the program's."""
    parts = path.split(".")
    for end, limits in LIMITS.items():
        names = end.split(".")
        last = parts[-len(names) :]
        if len(last) == len(names) and all(name in ("*", part) for name, part in zip(names, last, strict=True)):
            return limits
    return FIRST_ORDER if unit == "1/s" else ANY

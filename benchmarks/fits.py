"""Fit to half of the data, and say what is predicted of the other half: `python -m benchmarks.fits`.

| number | fitted to | then predicted |
|---|---|---|
| damage.K_death of DXd (K_senescence a quarter of it) | T-DXd on SK-BR-3, IC50 6.8 ng/mL, 6 d | free DXd on cells |
| TOP1-low, a factor on TOP1 | T-DXd on NCI-N87, IC50 25.0 ng/mL, 6 d | T-DXd on KPL-4 |
| damage.K_death, K_senescence of SN-38 | HCC1806, 72 h: half alive at 1 nM, 26% at 10 nM | 100 nM |
| damage.K_death of Lys-SMCC-DM1 (K_senescence a quarter) | T-DM1 on SK-BR-3, half alive, 72 h | bystanders of T-DM1 |
| k_deg of TROP2 under Dato-DXd | DXd released at four of eight levels of TROP2 | the other four |

The studies are those of `payloadfield verify`.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq, least_squares, minimize_scalar

from payloadfield.compare.verify import cultures
from payloadfield.compare.verify.solving import Solver, number_in, observed, observed_all

SOLVER = Solver("numpy")
HOUR = 3600.0
TOP1 = 65.0  # nM, of the library
T_DM1 = 148.781  # ng/mL of 1 nM
PLATEAU, HILL = 0.32, 2.1  # of the curve of T-DM1 on SK-BR-3


def damage(death: float, senescence: float | None = None) -> dict[str, str]:
    """Both constants of damage; senescence at a quarter of death where it is not given."""
    return {"parameters.K_death": f"{death} nM", "parameters.K_senescence": f"{senescence or death / 4} nM"}


def less_target(factor: float) -> dict[str, str]:
    """TOP1 of every cell times a factor, in place of that of the study's lines."""
    lines = {f"cell_types.{line}.resistance": "[]" for line in ("NCI-N87", "KPL-4")}
    return lines | {"parameters.target_concentration": f"{factor * TOP1} nM"}


def root(excess: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function of the logarithm is zero."""
    return float(np.exp(brentq(lambda x: excess(float(np.exp(x))), np.log(low), np.log(high), xtol=1e-4)))


def alive(line: str, agent: str, dose: float, hours: int, changes: dict[str, str]) -> float:
    """Share of a line alive under a conjugate [nM]; only treated cells have numbers of damage."""
    given = {"agent": agent, "cells.0.type": line, "duration": f"{hours} h", "output.times": f'["{hours} h"]'}
    return cultures.alive(SOLVER, "assay", dose, given, treated=changes)


def fit_dxd() -> float:
    """K_death of DXd [nM]."""
    dose = observed("T-DXd on SK-BR-3", "IC50_mass", "ng/mL") / cultures.T_DXD
    return root(lambda death: alive("SK-BR-3", "T-DXd", dose, 144, damage(death)) - 0.5, 1.0, 20.0)


def fit_top1(death: float) -> float:
    """TOP1 of NCI-N87 over the library's."""
    dose = observed("T-DXd on NCI-N87", "IC50_mass", "ng/mL") / cultures.T_DXD

    def excess(factor: float) -> float:
        return alive("NCI-N87", "T-DXd", dose, 144, damage(death) | less_target(factor)) - 0.5

    return root(excess, 0.05, 1.0)


def fit_sn38() -> tuple[float, float]:
    """K_death and K_senescence of SN-38 [nM]."""
    seen = observed_all("SN-38 on HCC1806", "alive", "1")

    def misses(logs: np.ndarray) -> list[float]:
        changes = damage(*np.exp(logs))
        return [alive_free(dose, changes) - seen[f"nM{dose}"] for dose in (1, 10)]

    found = least_squares(misses, np.log([1.0, 0.1]), diff_step=0.05, xtol=1e-4)
    death, senescence = np.exp(found.x)
    return float(death), float(senescence)


def alive_free(dose: float, changes: dict[str, str]) -> float:
    """Share of HCC1806 alive under free SN-38 [nM]."""
    return cultures.alive(SOLVER, "assay", dose, cultures.SN38, "payload", treated=changes)


def fit_dm1() -> float:
    """K_death of Lys-SMCC-DM1 [nM]; the dose is where the curve of the observation, with its plateau, is at a half."""
    relative = observed("T-DM1 on SK-BR-3", "IC50_mass", "ng/mL")
    dose = relative * ((1 - PLATEAU) / (0.5 - PLATEAU) - 1) ** (1 / HILL) / T_DM1
    return root(lambda death: alive("SK-BR-3", "T-DM1", dose, 72, damage(death)) - 0.5, 1.0, 64.0)


def fit_release() -> tuple[float, list[float]]:
    """k_deg of TROP2 [1/h] on the first, third, fifth and seventh level, and the ratios found over measured of all."""
    measured = observed_all("DXd released by Dato-DXd", "released", "ng/mL")
    levels = sorted(number_in(key) for key in measured)
    seen = np.array([measured[f"TROP2_{level:.0f}"] for level in levels])

    def ratios(rate: float, chosen: list[float]) -> np.ndarray:
        return np.array([cultures.released(SOLVER, level, {"parameters.k_deg": f"{rate} / h"}) for level in chosen])

    half = levels[::2]
    miss = lambda log: float((np.log(ratios(float(np.exp(log)), half) / seen[::2]) ** 2).sum())  # noqa: E731
    rate = float(np.exp(minimize_scalar(miss, bounds=np.log([0.02, 1.0]), method="bounded", options={"xatol": 1e-3}).x))
    return rate, list(ratios(rate, levels) / seen)


def main() -> None:
    """Fit everything and print it."""
    death = fit_dxd()
    print(f"DXd: K_death {death:.4g} nM, K_senescence {death / 4:.4g} nM")
    factor = fit_top1(death)
    print(f"TOP1-low: {factor:.4g}")
    for line in cultures.LINES:
        for share in (1.0, factor):
            found = cultures.half_dose(SOLVER, line, damage(death) | less_target(share))
            print(f"  T-DXd on {line} with {share:.3g} of the TOP1: IC50 {found:.4g} ng/mL")
    print("SN-38: K_death {:.4g} nM, K_senescence {:.4g} nM".format(*(sn38 := fit_sn38())))
    print(f"  alive at 100 nM: {alive_free(100, damage(*sn38)):.3f}")
    dm1 = fit_dm1()
    print(f"Lys-SMCC-DM1: K_death {dm1:.4g} nM, K_senescence {dm1 / 4:.4g} nM")
    rate, ratios = fit_release()
    print(f"TROP2 k_deg: {rate:.4g} 1/h; found over measured by level: {', '.join(f'{r:.2f}' for r in ratios)}")


if __name__ == "__main__":
    main()

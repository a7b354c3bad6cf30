"""The trafficking model of Scheuher et al. (2023) in a well-mixed medium, solved again.

J Pharmacokinet Pharmacodyn 51:429, doi:10.1007/s10928-023-09884-6: pulse-chase of T-DM1, 1e7 cells in 1 mL.
Ten states per cell [molecules]: receptor free, with conjugate, with naked antibody, on the surface and in endosomes;
payload in lysosomes, in the cytosol and on its target; free target. Three of the medium [nM]: conjugate, naked
antibody, payload.
"""

from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

AVOGADRO = 0.602214076  # [molecules / (nM um^3)]
HOUR = 3600.0  # [s]
MEDIUM_PER_CELL = 1e5  # [um^3]: 1 mL over 1e7 cells
SURFACE_HOURS = (2, 4, 8, 16, 24)
SURFACE_FRACTION = (0.712, 0.570, 0.357, 0.137, 0.053)
INTRACELLULAR = (146, 388, 743, 795, 543)  # [nM]
MEDIUM = (0.071, 0.627, 4.79, 22.4, 39.6)  # [nM]


@dataclass(frozen=True)
class Trafficking:
    """Settings of the pulse-chase: rates [1/s], [1/nM/s]; concentrations [nM]; volume of a cell [um^3]."""

    receptors: float = 1.12e6
    volume: float = 3820.0
    k_dec: float = 6.41e-7
    DAR: float = 3.5
    k_on: float = 1e-4
    KD: float = 0.314
    k_endo: float = 4.27e-5
    k_rec: float = 2.4e-5
    k_deg: float = 1.27e-4
    k_cleave: float = 0.0
    k_on_target: float = 1e-3
    KD_target: float = 950.0
    target_concentration: float = 65.0
    k_target: float = 0.0
    k_in: float = 5.95e-5
    k_out: float = 3.95e-5
    fu: float = 1.0


SK_BR_3 = Trafficking()
BT_474EEI = Trafficking(receptors=4.7e5, volume=3960.0)
MCF7_HER2 = Trafficking(receptors=1.3e6, volume=3650.0)
TARGET_2 = ((BT_474EEI, 224.0, 16.3), (MCF7_HER2, 655.0, 46.2))  # settings, in cells and medium at 24 h [nM]


def right_hand_side(y, s):
    """dy/dt of the ten cell states and medium (A, B, P); the influx is scaled by the volume of the cell."""
    R, RA, RB, Re, RAe, RBe, L, C, T, TP, A, B, P = y
    n_cell, n_medium = s.volume * AVOGADRO, MEDIUM_PER_CELL * AVOGADRO
    k_off, k_off_target = s.k_on * s.KD, s.k_on_target * s.KD_target
    synthesis = s.receptors * s.k_endo * s.k_deg / (s.k_deg + s.k_rec)
    bind_a, bind_b = s.k_on * A * R - k_off * RA, s.k_on * B * R - k_off * RB
    bind_t = s.k_on_target * T * C / n_cell - k_off_target * TP
    exchange = s.k_out * C - s.k_in * s.fu * P * n_cell
    shed = s.k_dec * A
    return np.array([
        synthesis - s.k_endo * R + s.k_rec * Re - bind_a - bind_b,
        bind_a - s.k_endo * RA + s.k_rec * RAe,
        bind_b - s.k_endo * RB + s.k_rec * RBe,
        s.k_endo * R - (s.k_rec + s.k_deg) * Re,
        s.k_endo * RA - (s.k_rec + s.k_deg + s.k_cleave) * RAe,
        s.k_endo * RB - (s.k_rec + s.k_deg) * RBe + s.k_cleave * RAe,
        s.DAR * (s.k_deg + s.k_cleave) * RAe - s.k_in * L,
        s.k_in * L - bind_t - exchange,
        s.k_target * (s.target_concentration * n_cell - T) - bind_t,
        bind_t,
        -shed - bind_a / n_medium,
        shed - bind_b / n_medium,
        s.DAR * shed + exchange / n_medium,
    ])  # fmt: skip


def pulse_chase(settings, hours=SURFACE_HOURS, relative=1e-10):
    """Surface fraction, intracellular unconjugated payload [nM], medium payload [nM] at each hour: (3, n_hours)."""
    s = settings
    start = np.zeros(13)
    start[1] = s.receptors
    start[3] = s.receptors * s.k_endo / (s.k_rec + s.k_deg)
    start[8] = s.target_concentration * s.volume * AVOGADRO
    scale = np.full(13, s.receptors)
    scale[10:] = 1.0
    solution = solve_ivp(
        lambda t, y: right_hand_side(y, s), (0, max(hours) * HOUR), start, "LSODA",
        t_eval=np.array(hours) * HOUR, rtol=relative, atol=relative * scale,
    )  # fmt: skip
    y = solution.y
    return np.array([y[1] / s.receptors, (y[6] + y[7] + y[9]) / (s.volume * AVOGADRO), y[12]])

"""The expected fates of tests/mechanisms/fates.toml in one well-mixed voxel, written down again and solved by SciPy."""

import numpy as np
from scipy.integrate import solve_ivp

AVOGADRO = 0.602214076  # [molecules / (nM um^3)]
HOUR = 3600.0
REMNANT = 1e-4  # share of a dead cell's volume that still counts
FATES = ("cycling", "doomed", "senescent", "persister", "dead")
PARAMETERS = {
    "k_in": 5e-3, "k_out": 2e-3, "k_bind": 1e-3, "k_release": 5e-4, "volume": 2000.0, "secretion": 5.0,
    "k_damage": 0.25 / HOUR, "k_repair": 0.2 / HOUR, "steepness": 2.0,
    "k_death": 0.06 / HOUR, "K_death": 20.0, "k_senescence": 0.03 / HOUR, "K_senescence": 5.0, "lag": 6 * HOUR,
    "k_enter": 0.02 / HOUR, "k_leave": 0.05 / HOUR, "k_growth": 0.0, "capacity": 8.0,
}  # fmt: skip


def right_hand_side(y, p, medium):
    """dy/dt of drug in the medium [nM], inside and bound [molecules], damage [nM], the fates, and the signal [nM]."""
    drug, inside, bound, damage, cycling, doomed, senescent, persister, dead, _ = y
    living = cycling + doomed + senescent + persister
    space = p["volume"] * AVOGADRO * (living + REMNANT * dead)
    dying = doomed / p["lag"]
    loss = dying / (living + REMNANT * dead)
    hill = lambda K: damage ** p["steepness"] / (K ** p["steepness"] + damage ** p["steepness"])  # noqa: E731
    dooming = p["k_death"] * hill(p["K_death"]) * cycling
    senescing = p["k_senescence"] * hill(p["K_senescence"]) * cycling
    entry = p["k_in"] * space * drug - p["k_out"] * inside
    binding = p["k_bind"] * inside - p["k_release"] * bound
    tolerance = p["k_enter"] * cycling - p["k_leave"] * persister
    growth = p["k_growth"] * cycling * (1 - living / p["capacity"])
    return np.array([
        (loss * (inside + bound) - entry) / (AVOGADRO * medium),
        entry - binding - loss * inside,
        binding - loss * bound,
        p["k_damage"] * bound / space - p["k_repair"] * damage,
        growth - dooming - senescing - tolerance,
        dooming - dying,
        senescing,
        tolerance,
        dying,
        p["secretion"] * senescent / (AVOGADRO * medium),
    ])  # fmt: skip


def solve(times, drug, medium, **changes):
    """Values at the times [s], (n_time, 10), from a concentration of drug [nM] in a medium [um^3] around one cell."""
    p = PARAMETERS | changes
    start = np.array([drug, 0, 0, 0, 1, 0, 0, 0, 0, 0], float)
    scale = np.array([drug, 1e4, 1e4, 10, 1, 1, 1, 1, 1, 0.01])
    solution = solve_ivp(
        lambda t, y: right_hand_side(y, p, medium), (0, max(times)), start, "LSODA", t_eval=times, rtol=1e-9,
        atol=1e-10 * scale,
    )  # fmt: skip
    return solution.y.T

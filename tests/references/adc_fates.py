"""Fates of the built-in mechanism in a well-mixed medium, written down again by hand: one agent, no conjugate.

Amounts in cells [molecules], medium and damage [nM], fates in cells; v = volume of a cell * N_A, M = medium * N_A
[molecules/nM]. Nothing is read from mechanism files.
"""

import numpy as np

FATES = ("cycling", "damaged", "senescent", "persister", "dead")
NAMES = ("payload", "payload_cytosol", "target", "payload_bound", "damage", "inhibitor", "senolytic_drug", "effector",
         "sasp", "lactate", "ros", *FATES)  # fmt: skip
REMNANT = 1e-4  # share of a dead cell's volume that still counts

# With a degrader, without an inhibitor: what binds, and the fates that are left.
OF_DEGRADER = ("payload", "payload_cytosol", "target", "payload_bound", "ligase", "payload_ligase", "ternary",
               "cycling", "damaged", "dead")  # fmt: skip


def hill(x, half, exponent=1.0):
    """Share of the largest effect."""
    return max(x, 0.0) ** exponent / (half**exponent + max(x, 0.0) ** exponent)


def start(s, **given):
    """One living cell at rest, but for what is given."""
    rest = {"cycling": 1.0, "target": s.target_concentration * s.N} | given
    return [rest.get(name, 0.0) for name in NAMES]


def rates(y, s):
    """dy/dt of NAMES."""
    P, C, T, X, G, inhibitor, senolytic, effector, sasp, lactate, ros, cycling, damaged, senescent, persister, dead = y
    living = cycling + damaged + senescent + persister
    number = living + REMNANT * dead
    v = s.N * number  # of all cells of the agent
    i = s.inhibitor_response * hill(inhibitor, s.IC50_inhibitor, s.hill_inhibitor)

    dooming = s.k_death * hill(G, s.K_death, s.damage_steepness)
    senescing = s.k_senescence * hill(G, s.K_senescence, s.damage_steepness)
    killed_near = s.k_attack * hill(effector, s.EC50_attack, s.attack_steepness)
    senolysis = s.k_senolysis * hill(senolytic, s.EC50_senolytic, s.senolytic_steepness)
    starving, persisting = s.k_starvation * i, s.k_persist * i
    returning = s.k_return * (1 - i)
    divided = np.log(2) / s.doubling_time * max(1 - living / (s.capacity * s.territory), 0.0)
    divided *= (1 - G / (G + s.K_arrest * s.K_senescence)) * (1 - i)
    dying = damaged / s.death_lag + killed_near * (cycling + senescent + persister) + senolysis * senescent
    lost = dying / number

    out = s.k_out * C - s.k_in * s.fu * P * v
    bound = s.k_on_target * (T * C / v - s.KD_target * X)
    less = 1 - (1 - s.senescent_target) * senescent / living
    others = living - senescent
    return [
        out / s.M + lost * (C + X) / s.M,
        -out - bound - lost * C,
        s.k_target * (s.target_concentration * v * less - T) - bound - lost * T,
        bound - lost * X,
        s.k_damage * X / v - np.log(2) / s.repair_time * G,
        -s.k_inhibitor_decay * inhibitor,
        -s.k_senolytic_decay * senolytic,
        s.effector_secretion * number * hill(C / v, s.EC50_effector, s.hill_effector) / s.M
        - s.k_effector_loss * effector,
        s.sasp_secretion * (senescent + s.sasp_baseline * others) / s.M - s.k_sasp_loss * sasp,
        s.lactate_secretion * (senescent + s.lactate_baseline * others) / s.M - s.k_lactate_loss * lactate,
        s.ros_secretion * (senescent + s.ros_baseline * others) / s.M - s.k_ros_loss * ros,
        (divided - dooming - senescing - starving - persisting - killed_near) * cycling
        + returning * persister
        + s.k_reversion * senescent,
        (dooming + starving) * cycling + s.protection * dooming * persister - damaged / s.death_lag,
        senescing * cycling
        + s.protection * senescing * persister
        - (killed_near + senolysis + s.k_reversion) * senescent,
        persisting * cycling - (returning + s.protection * (dooming + senescing) + killed_near) * persister,
        dying,
    ]


def start_with_degrader(s, payload):
    """One living cell at rest beside the payload."""
    return [payload, 0.0, s.target_concentration * s.N, 0.0, s.ligase_concentration * s.N, 0.0, 0.0, 1.0, 0.0, 0.0]


def rates_with_degrader(y, s):
    """dy/dt of OF_DEGRADER: what is lost of the target dooms, and dying cells give back payload."""
    P, C, T, TP, L, LP, TPL, cycling, damaged, dead = y
    number = cycling + damaged + REMNANT * dead
    v, k = s.N * number, s.k_on_target
    out = s.k_out * C - s.k_in * s.fu * P * v
    to_target = k * (T * C / v - s.KD_target * TP)
    to_ligase = k * (L * C / v - s.KD_ligase * LP)
    by_target = k * (TP * L / v - s.KD_ligase / s.cooperativity * TPL)
    by_ligase = k * (LP * T / v - s.KD_target / s.cooperativity * TPL)
    degraded = s.k_degrade * TPL
    left = (T + TP + TPL) / (s.target_concentration * v)
    dooming = s.k_death * hill(1 - left, 1 - s.loss_threshold, s.loss_steepness) * cycling
    dying = damaged / s.death_lag
    lost = dying / number
    return [
        (out + lost * (C + TP + LP + TPL)) / s.M,
        -out - to_target - to_ligase - lost * C,
        s.k_target * (s.target_concentration * v - T) - to_target - by_ligase - lost * T,
        to_target - by_target - lost * TP,
        -to_ligase - by_target - lost * L,
        to_ligase - by_ligase + degraded - lost * LP,
        by_target + by_ligase - degraded - lost * TPL,
        -dooming,
        dooming - dying,
        dying,
    ]

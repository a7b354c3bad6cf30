"""Modules of the built-in mechanism in a well-mixed medium, each written down again by hand and solved with SciPy.

One kind of cell per medium volume V_m; amounts in cells [molecules], medium [nM], N = volume of the cell * N_A and
M = V_m * N_A [molecules/nM]. Nothing is read from mechanism files.
"""

import numpy as np
from scipy.integrate import solve_ivp

AVOGADRO = 0.602214076  # [molecules / (nM um^3)]


def solve(right_hand_side, start, times, settings, relative=1e-10):
    """Values of every quantity (n_time, n) at the times, from the start."""
    found = solve_ivp(
        lambda t, y: right_hand_side(y, settings), (0.0, times[-1]), np.array(start, float), "Radau",
        t_eval=times, rtol=relative, atol=relative * (1e-6 + np.abs(start).max()),
    )  # fmt: skip
    assert found.success, found.message
    return found.y.T


def exchange(P, C, s):
    """Payload through the membrane, outwards [molecules/s]."""
    return s.k_out * C - s.k_in * s.fu * P * s.N


def efflux(y, s):
    """P, C; pumps carry vmax c / (KM + c) out, c = C / N."""
    P, C = y
    pumped = s.efflux_vmax * C / (s.KM_efflux * s.N + C)
    out = exchange(P, C, s) + pumped
    return [out / s.M, -out]


def binding_fast(y, s):
    """P all payload of the medium, free f P; C."""
    P, C = y
    out = exchange(s.fraction_free * P, C, s)
    return [out / s.M, -out]


def binding_explicit(y, s):
    """P free, B on protein, C; B (off) f = P (on) (1 - f)."""
    P, B, C = y
    out, bound = exchange(P, C, s), s.k_off_protein * (P * (1 - s.fraction_free) / s.fraction_free - B)
    return [out / s.M - bound, bound, -out]


def lactone(y, s):
    """Lactone and carboxylate in the medium (P, Q) and in the cytosol (C, K), and free and bound target."""
    P, Q, C, K, T, X = y
    opening, closing = np.log(2) / s.lactone_open, np.log(2) / s.lactone_close
    out, slow = exchange(P, C, s), s.carboxylate_entry * exchange(Q, K, s)
    bound = s.k_on_target * (T * C / s.N - s.KD_target * X)
    inside, outside = opening * C - closing * K, opening * P - closing * Q
    made = s.k_target * (s.target_concentration * s.N - T)
    lost, lost_slow = s.k_decay * P, s.k_decay * Q
    return [
        out / s.M - outside - lost,
        slow / s.M + outside - lost_slow,
        -out - inside - bound,
        -slow + inside,
        made - bound,
        bound,
    ]


def target_loss(y, s):
    """P, C, free target, bound target, which is lost with k_target_loss and lets its payload go."""
    P, C, T, X = y
    out, lost = exchange(P, C, s), s.k_target_loss * X
    bound = s.k_on_target * (T * C / s.N - s.KD_target * X)
    return [out / s.M, -out - bound + lost, s.k_target * (s.target_concentration * s.N - T) - bound, bound - lost]


def degrader(y, s):
    """P, C, target T, T.P, ligase L, L.P, T.P.L by mass action around the thermodynamic square."""
    P, C, T, TP, L, LP, TPL = y
    out, k = exchange(P, C, s), s.k_on_target
    to_target = k * (T * C / s.N - s.KD_target * TP)
    to_ligase = k * (L * C / s.N - s.KD_ligase * LP)
    by_target = k * (TP * L / s.N - s.KD_ligase / s.cooperativity * TPL)
    by_ligase = k * (LP * T / s.N - s.KD_target / s.cooperativity * TPL)
    degraded = s.k_degrade * TPL
    return [
        out / s.M,
        -out - to_target - to_ligase,
        s.k_target * (s.target_concentration * s.N - T) - to_target - by_ligase,
        to_target - by_target,
        -to_ligase - by_target,
        to_ligase - by_ligase + degraded,
        by_target + by_ligase - degraded,
    ]


def vesicles(y, s):
    """A cell that starts with conjugate in endosomes; no binding, no passage through its membrane.

    Conjugate in endosomes, conjugate that vesicles brought, payload in lysosomes and cytosol; in the medium payload and
    conjugate in vesicles, and both outside of them; payload taken up in vesicles so far.
    """
    E, W, L, C, V, U, *_ = y
    taken_v, taken_u = (s.k_vesicle_uptake * s.N * x for x in (V, U))
    released = (s.k_deg + s.k_cleave) * W
    return [
        -(s.k_deg + s.k_cleave + s.k_vesicle) * E,
        taken_u - released,
        s.DAR * (s.k_deg + s.k_cleave) * E + taken_v + s.DAR * released - s.k_in * L,
        s.k_in * L - s.k_vesicle * C,
        (s.k_vesicle * C - taken_v) / s.M - s.k_vesicle_loss * V,
        (s.k_vesicle * E - taken_u) / s.M - s.k_vesicle_loss * U,
        s.k_vesicle_loss * V,
        s.k_vesicle_loss * U,
        taken_v + s.DAR * taken_u,
    ]


def bridges(y, s):
    """Payload in lysosomes and cytosol of two cells that touch, s.volumes [um^3] each; nothing crosses membranes."""
    L, C = np.reshape(y, (2, 2))
    through = s.k_bridge * s.bridge_volume * np.diff(C / s.volumes)
    of_lysosomes = s.bridge_lysosomal * s.k_bridge * s.bridge_volume * np.diff(L / s.volumes)
    ways = np.array([1.0, -1.0])
    return [*(ways * of_lysosomes - s.k_in * L), *(ways * through + s.k_in * L)]


def immune(y, s):
    """P, C, effector, its integral."""
    P, C, S, _ = y
    out, c = exchange(P, C, s), C / s.N
    n = s.hill_effector
    made = s.effector_secretion * c**n / (s.EC50_effector**n + c**n)
    return [out / s.M, -out, made / s.M - s.k_effector_loss * S, S]


def kinase_inhibitor(y, s):
    """Inhibitor, c-Myc, induction, antigen on the surface and in endosomes."""
    drug, myc, induction, R, E = y
    k_myc = np.log(2) / s.myc_half_life
    target = 1 - myc
    k = np.log(2) / (s.induction_half_time if target > induction else s.reversion_half_time)
    synthesis = s.receptors * s.k_endo * s.k_deg / (s.k_deg + s.k_rec) * (1 + (s.antigen_fold - 1) * induction)
    inhibited = s.inhibitor_response / (1 + (s.IC50_inhibitor / drug) ** s.hill_inhibitor) if drug > 0 else 0.0
    return [
        -s.k_inhibitor_decay * drug,
        k_myc * (1 - inhibited - myc),
        k * (target - induction),
        synthesis - s.k_endo * R + s.k_rec * E,
        s.k_endo * R - (s.k_rec + s.k_deg) * E,
    ]


def cleavage(y, s):
    """Conjugate, naked antibody, payload, protease: chemistry, and protease as Michaelis and Menten have it."""
    A, _, _, E = y
    lost = (s.k_dec + s.kcat_over_km * E / (1 + A / s.KM_protease)) * A
    return [-lost, lost, s.DAR * lost, s.protease_secretion / s.M - s.k_protease_loss * E]


def saturated_losing(y, s):
    """Conjugate with 8, 7, .. 0 eighths of its payload, payload, protease, which all that carry any compete for."""
    *A, _, E = y
    A = np.array(A)
    cut = s.kcat_over_km * E / (1 + A[:8].sum() / s.KM_protease)
    flow = np.arange(8, 0, -1) * (s.k_dec + cut) * A[:8]
    chain = np.append(0.0, flow) - np.append(flow, 0.0)
    return [*chain, s.DAR / 8 * flow.sum(), s.protease_secretion / s.M - s.k_protease_loss * E]


def losing_one_by_one(y, s):
    """Conjugate with 8, 7, .. 0 eighths of its payload, and payload; s.step(n) is the rate at which n become n - 1."""
    A, rates = np.array(y[:9]), np.array([s.step(n) for n in range(8, 0, -1)])
    flow = rates * A[:8]
    return [*(np.append(0.0, flow) - np.append(flow, 0.0)), s.DAR / 8 * flow.sum()]

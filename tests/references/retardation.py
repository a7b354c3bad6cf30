"""How reversible uptake into cells slows a front (local equilibrium)."""


def retardation_factor(cell_volume_per_free_volume, k_in, k_out, bound_per_free=0.0):
    """R = 1 + (phi_c / phi_e) (k_in / k_out) (1 + T / KD): total over free amount at equilibrium.

    cell_volume_per_free_volume: phi_c / phi_e; bound_per_free: T / KD of a target far from saturation.
    """
    return 1 + cell_volume_per_free_volume * (k_in / k_out) * (1 + bound_per_free)

"""Effective diffusivity around impermeable spheres on a simple cubic lattice.

D_eff / D = 1 - 3 phi / (2 + phi - 3/4 * 1.305 phi^(10/3) + ...)
Lord Rayleigh (1892) Phil. Mag. 34, 481; coefficient as corrected by McPhedran and McKenzie (1978) Proc. R. Soc. A 359,
45, and Sangani and Acrivos (1983) Proc. R. Soc. A 386, 263. Without the last term it is Maxwell's (1873).
"""

LATTICE_COEFFICIENT = 1.305


def effective_diffusivity_of_sphere_array(phi: float) -> float:
    """Over that of the free medium, for a volume fraction phi of spheres below 0.5."""
    return 1 - 3 * phi / (2 + phi - 0.75 * LATTICE_COEFFICIENT * phi ** (10 / 3))


def maxwell(phi: float) -> float:
    """For dilute spheres anywhere: (1 - phi) / (1 + phi / 2)."""
    return (1 - phi) / (1 + phi / 2)

"""ROS34PW2: the Rosenbrock-W method of the solver (Rang & Angermann, BIT Numer Math 45:761, 2005).

Four stages, order 3 with an embedded second-order solution, L-stable, and of order 2 at least with any approximation
of the Jacobian (a W-method).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_GAMMA = 0.43586652150845899942

_ALPHA = np.array(
    [
        [0.0, 0.0, 0.0, 0.0],
        [0.87173304301691799883, 0.0, 0.0, 0.0],
        [0.84457060015369423945, -0.11299064236484185, 0.0, 0.0],
        [0.0, 0.0, 1.0, 0.0],
    ]
)
_GAMMAS = np.array(
    [
        [_GAMMA, 0.0, 0.0, 0.0],
        [-0.87173304301691799883, _GAMMA, 0.0, 0.0],
        [-0.90338057013044082, 0.054180672388095326, _GAMMA, 0.0],
        [0.24212380706095346, -1.2232505839045147, 0.54526025533510214, _GAMMA],
    ]
)
_B = np.array([0.24212380706095346, -1.2232505839045147, 1.5452602553351021, 0.43586652150845900])
_B_EMBEDDED = np.array([0.37810903145819369, -0.096042292212423178, 0.5, 0.21793326075422950])


@dataclass(frozen=True)
class Tableau:
    """Coefficients of a Rosenbrock method in the form that needs no product with the Jacobian.

    (I / (gamma dt) - J) U_i = f(y + sum_j a_ij U_j) + sum_j c_ij U_j / dt,   y_new = y + sum_i m_i U_i,
    error = sum_i (m_i - m_embedded_i) U_i, with a = alpha Gamma^-1, c = I / gamma - Gamma^-1, m = b Gamma^-1
    (Hairer & Wanner, Solving Ordinary Differential Equations II, IV.7).
    """

    gamma: float
    alpha: NDArray[np.float64]
    gammas: NDArray[np.float64]
    b: NDArray[np.float64]
    b_embedded: NDArray[np.float64]
    a: NDArray[np.float64]
    c: NDArray[np.float64]
    m: NDArray[np.float64]
    error: NDArray[np.float64]

    @property
    def n_stages(self) -> int:
        """Number of stages."""
        return len(self.b)


def make_ros34pw2() -> Tableau:
    """ROS34PW2 with its transformed coefficients."""
    inverse = np.linalg.inv(_GAMMAS)
    return Tableau(
        gamma=_GAMMA,
        alpha=_ALPHA,
        gammas=_GAMMAS,
        b=_B,
        b_embedded=_B_EMBEDDED,
        a=_ALPHA @ inverse,
        c=np.eye(4) / _GAMMA - inverse,
        m=_B @ inverse,
        error=(_B - _B_EMBEDDED) @ inverse,
    )


ERROR_ORDER = 3
"""Exponent of the step size in the estimated error of one step (embedded order 2, plus one)."""

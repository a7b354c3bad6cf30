"""A slab whose face follows a sum of decaying concentrations (Duhamel's integral, Carslaw and Jaeger 1959, 3.5)."""

import numpy as np


def slab_concentration(x, time, length, diffusivity, amplitudes, rates, n_terms=2000):
    """u at places x (n,) of du/dt = D u'', u'(L) = 0, u = 0 at t = 0, u(0, t) = b(t) = sum_k a_k exp(-k t).

    With s_n = 4 / (pi (2n + 1)) sin(q_n x), l_n = D q_n^2 and q_n = (2n + 1) pi / (2 L), the modes of u - b(t) obey
    w_n' = -l_n w_n - s_n b'(t), w_n(0) = -s_n b(0), so that each decaying term a exp(-k t) adds
    w_n = -s_n a exp(-l_n t) + s_n a k (exp(-k t) - exp(-l_n t)) / (l_n - k).
    """
    odd = 2 * np.arange(n_terms) + 1
    q = odd * np.pi / (2 * length)
    decay = diffusivity * q**2
    shape = 4 / (np.pi * odd) * np.sin(np.outer(np.atleast_1d(x), q))
    total = np.zeros(len(np.atleast_1d(x)))
    for a, k in zip(amplitudes, rates, strict=True):
        now, gone = np.exp(-k * time), np.exp(-decay * time)
        total += a * now + shape @ (a * (k * (now - gone) / (decay - k) - gone))
    return total

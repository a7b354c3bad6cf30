"""Shares of a followed state (mechanism/tagging.py): where Jacobians are taken for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from payloadfield.mechanism import Mechanism

_Floats = NDArray[np.float64]


def share_rows(mechanism: Mechanism) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Rows of every followed state and of its shares."""
    rows = {name: row for row, name in enumerate(mechanism.state_names)}
    return tuple((rows[item.state], tuple(rows[part] for part in item.parts)) for item in mechanism.followed)


def rebase_shares(rows: tuple[tuple[int, tuple[int, ...]], ...], states: _Floats, base: _Floats) -> None:
    """Shares of the base as they are, not clamped, so that they add up to their clamped total s.

    base_t = s_t + (max(s, 0) - s) / n.  The slopes of the shares then add up to the total's, and so do the shares after
    a step, to the last digits.
    """
    for total, parts in rows:
        excess = (base[total] - states[total]) / len(parts)
        for part in parts:
            np.add(states[part], excess, out=base[part])

"""Concentrations given as functions of time: what an infinite bath follows until the next event that concerns it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Piece:
    """A smooth part of a curve: with s = t - start, c = sum_j cubic_j s^j + sum_i amplitude_i exp(-rate_i s).

    start: [s].  cubic: (4,) [nM / s^j].  amplitudes: [nM].  rates: [1/s].
    """

    start: float
    cubic: _Floats
    amplitudes: _Floats = field(default_factory=lambda: np.zeros(0))
    rates: _Floats = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, eq=False)
class Decay:
    """c(t) = sum_i amplitude_i exp(-rate_i (t - start)), as plasma after a dose into a vein.

    start: [s].  amplitudes: [nM].  rates: [1/s].
    """

    start: float
    amplitudes: _Floats
    rates: _Floats

    @property
    def knots(self) -> _Floats:
        """Times [s] at which a derivative jumps: none."""
        return np.zeros(0)

    def value(self, time: float) -> float:
        """Concentration at a time [nM]."""
        return float(self.amplitudes @ np.exp(-self.rates * (time - self.start)))

    def slope(self, time: float) -> float:
        """Its derivative [nM/s]."""
        return float(-(self.rates * self.amplitudes) @ np.exp(-self.rates * (time - self.start)))

    def piece(self, time: float) -> Piece:
        """What it is from a time [s] to the next knot."""
        return Piece(self.start, np.zeros(4), self.amplitudes, self.rates)


@dataclass(frozen=True, eq=False)
class Tabulated:
    """A table of concentrations, straight between the points or a monotone cubic (Fritsch and Carlson 1980).

    times: (n,) [s], the first of them the start.  values: (n,) [nM].  slopes: (n,) [nM/s], None for straight lines.
    After the last point the concentration stays what it was there.
    """

    times: _Floats
    values: _Floats
    slopes: _Floats | None

    @property
    def knots(self) -> _Floats:
        """Times [s] at which a derivative jumps: every point."""
        return self.times

    def value(self, time: float) -> float:
        """Concentration at a time [nM]."""
        k, h, s = self._place(time)
        if h == 0.0:
            return float(self.values[-1])
        a, b = self.values[k], self.values[k + 1]
        if self.slopes is None:
            return float(a + s * (b - a))
        p, q = h * self.slopes[k], h * self.slopes[k + 1]
        return float(a + s * (p + s * (3 * (b - a) - 2 * p - q + s * (2 * (a - b) + p + q))))

    def slope(self, time: float) -> float:
        """Its derivative, at a point that of what follows [nM/s]."""
        k, h, s = self._place(time)
        if h == 0.0:
            return 0.0
        rise = self.values[k + 1] - self.values[k]
        if self.slopes is None:
            return float(rise / h)
        p, q = h * self.slopes[k], h * self.slopes[k + 1]
        return float((p + s * (2 * (3 * rise - 2 * p - q) + 3 * s * (p + q - 2 * rise))) / h)

    def piece(self, time: float) -> Piece:
        """What it is from a time [s] to the next knot."""
        k, h, _ = self._place(time)
        if h == 0.0:
            return Piece(float(self.times[-1]), np.array([self.values[-1], 0.0, 0.0, 0.0]))
        a, rise = self.values[k], self.values[k + 1] - self.values[k]
        if self.slopes is None:
            return Piece(float(self.times[k]), np.array([a, rise / h, 0.0, 0.0]))
        p, q = self.slopes[k], self.slopes[k + 1]
        cubic = np.array([a, p, (3 * rise / h - 2 * p - q) / h, (p + q - 2 * rise / h) / h**2])
        return Piece(float(self.times[k]), cubic)

    def _place(self, time: float) -> tuple[int, float, float]:
        """Interval of a time, its length, and the share of it that has passed; length 0 after the last point."""
        k = int(np.searchsorted(self.times, time, side="right")) - 1
        if k >= len(self.times) - 1:
            return len(self.times) - 1, 0.0, 0.0
        k = max(k, 0)
        h = float(self.times[k + 1] - self.times[k])
        return k, h, (time - float(self.times[k])) / h


Curve = Decay | Tabulated

"""One comparison of a computed number with what is known of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

RELATIVE, FACTOR, DIFFERENCE, AT_MOST, AT_LEAST = "relative", "factor", "difference", "at most", "at least"
RULES = (RELATIVE, FACTOR, DIFFERENCE, AT_MOST, AT_LEAST)


@dataclass(frozen=True)
class Check:
    """What was expected, what came out, and how far apart they may be.

    rule: how they are compared; for "at most" and "at least", `expected` is the bound and nothing is allowed beyond it.
    is_fitted: whether a number of the library was fitted to this very value.
    """

    target: str
    what: str
    expected: float
    got: float
    unit: str
    rule: str
    allowed: float = 0.0
    is_fitted: bool = False

    @property
    def deviation(self) -> float:
        """How far off the number is, in the sense of its rule; nan where it is not finite."""
        if not math.isfinite(self.got):
            return math.nan
        if self.rule == RELATIVE:
            return abs(self.got / self.expected - 1)
        if self.rule == FACTOR:
            return max(self.got / self.expected, self.expected / self.got) if self.got > 0 else math.inf
        if self.rule == DIFFERENCE:
            return abs(self.got - self.expected)
        beyond = self.got - self.expected if self.rule == AT_MOST else self.expected - self.got
        return max(beyond, 0.0)

    @property
    def passed(self) -> bool:
        """Whether the deviation is within what is allowed."""
        return self.deviation <= self.allowed


def as_markdown(checks: Iterable[Check]) -> str:
    """A table of checks, one line each."""
    lines = ["| target | what | expected | got | deviation | allowed | holds |", "|---|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(row_of(check)) + " |" for check in checks]
    return "\n".join(lines)


def row_of(check: Check) -> tuple[str, ...]:
    """A check in words: target, what, expected, got, deviation, allowed, whether it holds."""
    bound = f"{check.rule} " if check.rule in (AT_MOST, AT_LEAST) else ""
    unit = "" if check.unit == "1" else f" {check.unit}"
    return (
        check.target,
        check.what + (" (fitted)" if check.is_fitted else ""),
        f"{bound}{check.expected:.4g}{unit}",
        f"{check.got:.4g}{unit}",
        _spread(check, check.deviation),
        _spread(check, check.allowed),
        "yes" if check.passed else "NO",
    )


def _spread(check: Check, value: float) -> str:
    if check.rule == RELATIVE:
        return f"{value:.2%}"
    if check.rule == FACTOR:
        return f"factor {value:.2f}"
    if check.rule == DIFFERENCE:
        return f"{value:.3g}"
    return "-" if value == 0 else f"{value:.3g}"

"""What metrics, fields and numbers are called on the page: words that a chemist uses, shares in percent."""

from __future__ import annotations

import math

from payloadfield.report.style import readable

_EXPOSURES = {
    "payload_exposure": "free payload in cells",
    "bound_payload_exposure": "payload bound to its target",
    "medium_payload_exposure": "payload around cells",
}
_LABELS = {
    "adc": "conjugate",
    "antibody": "antibody without payload",
    "payload": "free payload",
    "fraction_killed": "killed",
    "fraction_senescent": "senescent",
    "fraction_spared": "neither dead nor senescent",
    "share_from_conjugate": "payload from own conjugate",
    "share_from_outside": "payload from outside",
    "share_released_outside": "payload released outside cells",
}


def label(name: str) -> str:
    """The name of a metric or field in words: `bound_payload_exposure_mean` -> mean exposure to payload bound to ..."""
    if name in _LABELS:
        return _LABELS[name]
    for exposure, words in sorted(_EXPOSURES.items(), key=lambda item: -len(item[0])):
        if name == exposure:
            return f"exposure to {words}"
        if name == f"{exposure}_mean":
            return f"mean exposure to {words}"
    if name.endswith("_penetration_depth"):
        return "penetration depth"
    if name.startswith(("share_from_", "taken_up_from_")):
        return f"payload from {readable(name.rpartition('from_')[2])}"
    return readable(name.removeprefix("fraction_"))


def is_share(name: str) -> bool:
    """Whether a metric is a part of a whole, told in percent."""
    return name.startswith(("fraction_", "share_"))


def axis_label(name: str, unit: str, who: str = "") -> str:
    """A metric with its unit, as columns and axes are headed."""
    shown = "%" if is_share(name) else "µm" if unit == "um" else unit
    head = f"{who}: {label(name)}" if who else label(name)
    return head if shown == "1" else f"{head} [{shown}]"


def number(value: float, digits: int = 3) -> str:
    """A number for people; a dash where there is none, and words for what never happens."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "never"
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-3 <= abs(value) < 1e6:
        text = f"{value:.0f}"
    return text.replace("-", "−") if value < 0 else text


def metric(name: str, value: float) -> str:
    """A metric's value under a head that says its unit: shares in percent, with what a share is worth."""
    if not is_share(name) or not math.isfinite(value):
        return number(value)
    percent = 100 * value
    return "0" if percent < 5e-3 else f"{percent:.1f}" if percent >= 1 else f"{percent:.2g}"


def with_spread(name: str, value: float, spread: tuple[float, float] | None) -> str:
    """A metric's value, and in brackets where the samples put it."""
    if spread is None:
        return metric(name, value)
    own, low, high = (metric(name, each) for each in (value, *spread))
    return own if own == low == high else f"{own} ({low} to {high})"

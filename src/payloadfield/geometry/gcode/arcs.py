"""Arcs as chords."""

import math

from payloadfield.errors import GeometryError

Plane = tuple[float, float]

# How far a chord may lie beside its arc: in um, and as a share of the radius.
SAGITTA, SAGITTA_SHARE = 0.2, 1 / 500
# An arc whose ends are unlike far from its centre is a slip, beyond what rounding to few decimals does [um, share].
SLACK, SLACK_SHARE = 10.0, 1e-3


def centre_by_radius(start: Plane, end: Plane, radius: float, *, clockwise: bool, where: str) -> Plane:
    """Centre of the arc from start to end with a radius; a negative one asks for the longer way around.

    Raises GeometryError where the ends are too far apart, or the same.
    """
    dx, dy = end[0] - start[0], end[1] - start[1]
    apart = math.hypot(dx, dy)
    if apart == 0:
        raise GeometryError(f"{where}: an arc by radius R that ends where it starts has no centre; I and J are needed")
    short = apart / 2 - abs(radius)
    if short > SLACK + SLACK_SHARE * abs(radius):
        raise GeometryError(
            f"{where}: the ends of the arc are {apart:.4g} um apart, more than twice its radius of {abs(radius):.4g} um"
        )
    away = math.sqrt(max(0.0, radius * radius - apart * apart / 4))
    side = -1.0 if clockwise == (radius > 0) else 1.0
    return (start[0] + end[0]) / 2 - side * away * dy / apart, (start[1] + end[1]) / 2 + side * away * dx / apart


def chords(start: Plane, end: Plane, centre: Plane, *, clockwise: bool, where: str) -> list[tuple[float, float, float]]:
    """Ends of the chords of an arc as x, y and the share of the way; a full circle where it ends where it starts.

    Raises GeometryError for an arc that does not close on its end.
    """
    first, last = math.dist(start, centre), math.dist(end, centre)
    if abs(first - last) > SLACK + SLACK_SHARE * first or first == 0:
        raise GeometryError(
            f"{where}: the arc does not reach its end: it starts {first:.6g} um from its centre and would end "
            f"{last:.6g} um from it"
        )
    angle = math.atan2(start[1] - centre[1], start[0] - centre[0])
    turn = math.atan2(end[1] - centre[1], end[0] - centre[0]) - angle
    turn = -((-turn) % math.tau) if clockwise else turn % math.tau
    if start == end or abs(turn) < 1e-12:
        turn = -math.tau if clockwise else math.tau
    sagitta = min(SAGITTA, first * SAGITTA_SHARE)
    n = max(1, math.ceil(abs(turn) / (2 * math.acos(1 - sagitta / first))))
    found = []
    for k in range(1, n):
        radius, at = first + (last - first) * k / n, angle + turn * k / n
        found.append((centre[0] + radius * math.cos(at), centre[1] + radius * math.sin(at), k / n))
    return [*found, (*end, 1.0)]

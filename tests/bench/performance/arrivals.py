"""Rates out of a curve of arrivals: how many there were at a moment, moment after moment.

Pure.
"""

from collections.abc import Sequence

__all__ = ["Curve", "caught_up", "rate", "since"]

Curve = Sequence[tuple[float, int]]
"""Moments in seconds and how many had come by then, both rising."""


def rate(curve: Curve) -> float:
    """Give what came a second between the first moment and the last; what came in the first one has no time."""
    (first_at, first), (last_at, last) = (curve[0], curve[-1]) if curve else ((0.0, 0), (0.0, 0))
    if last_at <= first_at:
        raise ValueError("all came at once: too few to time")
    return (last - first) / (last_at - first_at)


def since(curve: Curve, moment: float) -> Curve:
    """Give the part of a curve from a moment on."""
    return [point for point in curve if point[0] >= moment]


def caught_up(curve: Curve, began: float, a_second: float, slack_seconds: float) -> tuple[float, int] | None:
    """Give when a curve has all but the last moments of what came at a steady rate, and how many these are."""
    for moment, count in curve:
        if count >= a_second * (moment - began - slack_seconds):
            return moment, count
    return None

"""A plot as an SVG: medians as curves with their smallest and largest values, and limits as dashed lines with names.

Pure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from statistics import median

from tests.bench.picture import COLOURS, document, line, words

__all__ = ["Line", "Plot", "drawn"]

_WIDTH, _HEIGHT = 920, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 250, 50, 60
_MANY_TICKS, _APART = 8, 15
_ROOM = 1.06
_TRUNK = 4


@dataclass(frozen=True, slots=True)
class Line:
    """What is measured at each step: the values of all rounds; a limit is what could at most be reached."""

    name: str
    points: Mapping[float, Sequence[float]]
    limit: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot before it is drawn; `shown` writes a step, and both axes may be logarithmic."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    shown: Callable[[float], str] = "{:,.0f}".format
    log_x: bool = True
    log_y: bool = False


class _Axis:
    """Turns values into places along one axis."""

    def __init__(self, values: Sequence[float], begin: float, end: float, *, log: bool, from_zero: bool) -> None:
        low, high = min(values), max(values)
        if log:
            spare = 1.25 if from_zero else 1.0
            self._low, self._high = low / spare, high * spare
        else:
            self._low, self._high = (0.0 if from_zero else low), high * (_ROOM if from_zero else 1)
        if self._low == self._high:
            self._high = self._low + 1
        self._begin, self._end, self._log = begin, end, log

    def place(self, value: float) -> float:
        low, high = self._low, self._high
        share = log10(value / low) / log10(high / low) if self._log else (value - low) / (high - low)
        return self._begin + share * (self._end - self._begin)

    def ticks(self) -> list[float]:
        """Give round values: 1, 2, 5 of each decade, or five to ten equal steps."""
        if self._log:
            decades = range(floor(log10(self._low)), ceil(log10(self._high)) + 1)
            found = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
            whole = [tick for tick in found if self._low <= tick <= self._high]
            return whole if len(whole) <= _MANY_TICKS else [tick for tick in whole if log10(tick).is_integer()]
        step = 10.0 ** floor(log10(self._high - self._low))
        step = next(
            step * part for part in (0.1, 0.2, 0.5, 1, 2) if (self._high - self._low) / (step * part) <= _MANY_TICKS
        )
        return [number * step for number in range(ceil(self._low / step), floor(self._high / step) + 1)]


def drawn(plot: Plot) -> str:
    """Draw a plot; raises `ValueError` where there is nothing to draw."""
    lines = [each for each in plot.lines if each.points]
    steps = sorted({step for each in lines for step in each.points})
    values = [value for each in lines for rounds in each.points.values() for value in rounds]
    if not values:
        raise ValueError(f"nothing is measured of {plot.title!r}")
    x_axis = _Axis(steps, _LEFT, _WIDTH - _RIGHT, log=plot.log_x, from_zero=False)
    y_axis = _Axis(values, _HEIGHT - _BOTTOM, _TOP, log=plot.log_y, from_zero=True)
    parts = [words(_LEFT, 24, plot.title, "strong"), *_grid(plot, steps, x_axis, y_axis)]
    names: list[tuple[float, str, str]] = []
    for number, each in enumerate(lines):
        colour = f"c{number % COLOURS}"
        parts += _curve(each, colour, x_axis, y_axis)
        names.append((y_axis.place(median(each.points[max(each.points)])), each.name, colour))
    return document(_WIDTH, _HEIGHT, plot.title, [*parts, *_names(names)])


def _grid(plot: Plot, steps: Sequence[float], x_axis: _Axis, y_axis: _Axis) -> list[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for tick in y_axis.ticks():
        y = y_axis.place(tick)
        parts += [line([(_LEFT, y), (right, y)], "grid"), words(_LEFT - 8, y + 4, f"{tick:,.10g}", "faint", "end")]
    for tick in steps if len(steps) <= _MANY_TICKS else x_axis.ticks():
        x = x_axis.place(tick)
        parts += [
            line([(x, bottom), (x, bottom + 5)], "axis"),
            words(x, bottom + 20, plot.shown(tick), "faint", "middle"),
        ]
    middle = (_LEFT + right) / 2
    return [
        *parts,
        line([(_LEFT, _TOP), (_LEFT, bottom), (right, bottom)], "axis"),
        words(middle, _HEIGHT - 14, plot.x_label, "ink", "middle"),
        words(20, (_TOP + bottom) / 2, plot.y_label, "ink", "middle", turned=-90),
    ]


def _curve(each: Line, colour: str, x_axis: _Axis, y_axis: _Axis) -> list[str]:
    points = [(x_axis.place(step), y_axis.place(median(each.points[step]))) for step in sorted(each.points)]
    if each.limit:
        return [line(points, f"limit {colour}")]
    whiskers = [
        line(
            [(x_axis.place(step), y_axis.place(min(rounds))), (x_axis.place(step), y_axis.place(max(rounds)))],
            f"axis {colour}",
        )
        for step, rounds in each.points.items()
        if len(rounds) > 1
    ]
    dots = [f'<circle class="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
    return [*whiskers, line(points, f"curve {colour}"), *(dots if len(points) <= _MANY_TICKS else [])]


def _names(names: Sequence[tuple[float, str, str]]) -> list[str]:
    """Write each name where its line ends, and those that would cover each other below one another."""
    parts, lowest = [], -1e9
    for y, name, colour in sorted(names):
        lowest = max(y + _TRUNK, lowest + _APART)
        parts.append(words(_WIDTH - _RIGHT + 10, lowest, name, colour))
    return parts

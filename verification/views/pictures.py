"""Coordinates of the small pictures on the pages; ``templates/pictures.svg.jinja`` draws them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

from verification.audit.polar import PolarAngles
from verification.audit.threshold_report import Curve

Point = tuple[float, float]


def _path(points: Iterable[Point]) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


# ---- caps: the axis points up from the centre; old to the left (−1), new to the right

_CENTRE, _RADIUS = (180.0, 178.0), 132.0


@dataclass(frozen=True)
class Half:
    """One model's half of the picture: path data, and where its words stand."""

    name: str
    outline: str
    arc: str
    ticks: list[tuple[str, str, str]]
    x: int
    anchor: str


@dataclass(frozen=True)
class Caps:
    """``half`` where nothing lies beyond 90° and the lower half of the picture is left away."""

    half: bool
    circles: list[str]
    sides: list[Half]


def caps(polar: PolarAngles) -> Caps:
    """Both models' angles to the axis of the class: shares as areas, the caps that hold most samples as arcs."""
    highest = max(*polar.old, *polar.new)
    half = not any(share for shares in (polar.old, polar.new) for share in shares[len(shares) // 2 :])
    sides = []
    for side, name, shares, radius in (
        (-1, "old", polar.old, polar.old_radius),
        (1, "new", polar.new, polar.new_radius),
    ):
        edges = [math.pi * i / len(shares) for i in range(len(shares) + 1)]
        outline = [
            _polar(side, angle, _RADIUS * math.sqrt(share / highest))
            for share, ends in zip(shares, pairwise(edges), strict=True)
            for angle in ends
        ]
        arc = _RADIUS + 7.0
        begin, end = (_path([_polar(side, angle, arc)]) for angle in (0.0, radius))
        ticks = [
            (f"{x:.1f}", f"{y + 4.0:.1f}", f"{angle}°")
            for angle in ((30, 60, 90) if half else (30, 60, 90, 120, 150))
            for x, y in [_polar(side, math.radians(angle), _RADIUS + 16.0)]
        ]
        sides.append(
            Half(
                name=name,
                outline=f"M180 178L{_path(outline)}Z",
                arc=f"M{begin}A{arc} {arc} 0 0 {int(side > 0)} {end}",
                ticks=ticks,
                x=180 + 90 * side,
                anchor="end" if side < 0 else "start",
            )
        )
    return Caps(half, [_circle(radius, half) for radius in (_RADIUS, _RADIUS / 2)], sides)


def _polar(side: int, angle: float, radius: float) -> Point:
    return _CENTRE[0] + side * radius * math.sin(angle), _CENTRE[1] - radius * math.cos(angle)


def _circle(radius: float, half: bool) -> str:
    left, right = (_path([_polar(side, math.pi / 2.0, radius)]) for side in (-1, 1))
    lower = "" if half else f"A{radius} {radius} 0 0 1 {left}"
    return f"M{left}A{radius} {radius} 0 0 1 {right}{lower}"


# ---- ROC and DET

_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 332.0, 12.0, 206.0
_RATES = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Curves:
    """Ticks with their text, (name, band, line) of each model as path data, and where the old FAR is."""

    across: list[tuple[float, str]]
    upward: list[tuple[float, str]]
    lines: list[tuple[str, str, str]]
    old_far: float | None


def roc(old: Curve, new: Curve, old_far: float) -> Curves:
    """TAR over FAR, FAR in powers of ten."""
    low = math.floor(math.log10(min((far for curve in (old, new) for far in curve.far if far > 0.0), default=1e-3)))

    def x(far: float) -> float:
        return _between(math.log10(max(far, 10.0**low)), low, 0.0, _LEFT, _RIGHT)

    def y(tar: float) -> float:
        return _between(tar, 0.0, 1.0, _BOTTOM, _TOP)

    across = [(x(10.0**power), _rate(10.0**power)) for power in range(low, 1)]
    upward = [(y(tar), f"{100 * tar:.0f} %") for tar in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return _curves(old, new, old_far, x, y, across, upward)


def det(old: Curve, new: Curve, old_far: float) -> Curves:
    """False reject over false accept rate on normal deviates, where two normal scores give a straight line."""
    deviate = NormalDist().inv_cdf
    rates = [rate for c in (old, new) for rate in (*c.far, *(1.0 - tar for tar in c.tar)) if 0.0 < rate < 1.0]
    low = deviate(max(min(rates, default=1e-3), 1e-7))
    high = deviate(max(0.5, min(max(rates, default=0.5), 1.0 - 1e-4)))

    def place(rate: float) -> float:
        return deviate(min(max(rate, 1e-9), 1.0 - 1e-9))

    def x(far: float) -> float:
        return _between(place(far), low, high, _LEFT, _RIGHT)

    def y(tar: float) -> float:
        return _between(place(1.0 - tar), low, high, _BOTTOM, _TOP)

    ticks = [rate for rate in _RATES if low <= deviate(rate) <= high]
    across, upward = ([(axis(rate), _rate(rate)) for rate in ticks] for axis in (x, lambda frr: y(1.0 - frr)))
    return _curves(old, new, old_far, x, y, across, upward)


def _between(value: float, low: float, high: float, start: float, end: float) -> float:
    return start + (min(max(value, low), high) - low) / (high - low) * (end - start)


def _rate(rate: float) -> str:
    return f"{100 * rate:g} %" if rate >= 1e-3 else f"{rate:.0e}".replace("e-0", "e−")


def _curves(
    old: Curve,
    new: Curve,
    old_far: float,
    x: Callable[[float], float],
    y: Callable[[float], float],
    across: list[tuple[float, str]],
    upward: list[tuple[float, str]],
) -> Curves:
    def points(far: Sequence[float], tar: Sequence[float]) -> list[Point]:
        return [(x(f), y(t)) for f, t in zip(far, tar, strict=True)]

    lines = [
        (
            name,
            f"M{_path([*points(c.far, c.upper), *reversed(points(c.far, c.lower))])}Z",
            f"M{_path(points(c.far, c.tar))}",
        )
        for name, c in (("old", old), ("new", new))
    ]
    return Curves(_spread(across, 34.0), _spread(upward, 14.0), lines, x(old_far) if old_far > 0.0 else None)


def _spread(ticks: Sequence[tuple[float, str]], least: float) -> list[tuple[float, str]]:
    """Ticks far enough apart for their text."""
    kept: list[tuple[float, str]] = []
    for tick in ticks:
        if not kept or abs(tick[0] - kept[-1][0]) >= least:
            kept.append(tick)
    return kept

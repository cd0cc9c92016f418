"""ROC and DET of both models' queries as inline SVG, with bands; colours come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from statistics import NormalDist
from typing import Any

_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 332.0, 12.0, 206.0
_RATES = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5)


def _across(value: float, low: float, high: float) -> float:
    return _LEFT + (value - low) / (high - low) * (_RIGHT - _LEFT)


def _up(value: float, low: float, high: float) -> float:
    return _BOTTOM - (min(max(value, low), high) - low) / (high - low) * (_BOTTOM - _TOP)


def _text(rate: float) -> str:
    return f"{100 * rate:g} %" if rate >= 1e-3 else f"{rate:.0e}".replace("e-0", "e−")


def roc_picture(curves: Sequence[tuple[str, dict[str, Any]]], threshold_far: float, title: str) -> str:
    """TAR over FAR, FAR in powers of ten; the dashed line is the old FAR at the old threshold."""
    fars = [far for _, curve in curves for far in curve["far"] if far > 0.0]
    low, high = math.floor(math.log10(min(fars, default=1e-3))), 0.0

    def x(far: float) -> float:
        return _across(math.log10(max(far, 10.0**low)), low, high)

    def y(tar: float) -> float:
        return _up(tar, 0.0, 1.0)

    across = [(x(10.0**power), _text(10.0**power)) for power in range(low, 1)]
    upward = [(y(tar), f"{100 * tar:.0f} %") for tar in (0.0, 0.25, 0.5, 0.75, 1.0)]
    lines = [
        _line(
            name,
            [(x(f), y(t)) for f, t in zip(curve["far"], curve["tar"], strict=True)],
            [(x(f), y(t)) for f, t in zip(curve["far"], curve["upper"], strict=True)],
            [(x(f), y(t)) for f, t in zip(curve["far"], curve["lower"], strict=True)],
        )
        for name, curve in curves
    ]
    return _frame(across, upward, lines, x(threshold_far) if threshold_far > 0.0 else None, "FAR", "TAR", title)


def det_picture(curves: Sequence[tuple[str, dict[str, Any]]], threshold_far: float, title: str) -> str:
    """False reject over false accept rate on normal deviates, where two normal scores give a straight line."""
    deviate = NormalDist().inv_cdf
    rates = [rate for _, c in curves for rate in (*c["far"], *(1.0 - tar for tar in c["tar"])) if 0.0 < rate < 1.0]
    least = max(min(rates, default=1e-3), 1e-7)
    low, high = deviate(least), deviate(max(0.5, min(max(rates, default=0.5), 1.0 - 1e-4)))

    def place(rate: float) -> float:
        return min(max(deviate(min(max(rate, 1e-9), 1.0 - 1e-9)), low), high)

    def x(far: float) -> float:
        return _across(place(far), low, high)

    def y(frr: float) -> float:
        return _up(place(frr), low, high)

    ticks = [rate for rate in (*_RATES, 0.9, 0.99) if low <= deviate(rate) <= high]
    across, upward = [(x(rate), _text(rate)) for rate in ticks], [(y(rate), _text(rate)) for rate in ticks]
    lines = [
        _line(
            name,
            [(x(f), y(1.0 - t)) for f, t in zip(curve["far"], curve["tar"], strict=True)],
            [(x(f), y(1.0 - t)) for f, t in zip(curve["far"], curve["lower"], strict=True)],
            [(x(f), y(1.0 - t)) for f, t in zip(curve["far"], curve["upper"], strict=True)],
        )
        for name, curve in curves
    ]
    old = x(threshold_far) if threshold_far > 0.0 else None
    return _frame(across, upward, lines, old, "FAR", "FRR = 1 − TAR", title)


def _line(
    name: str,
    points: Sequence[tuple[float, float]],
    upper: Sequence[tuple[float, float]],
    lower: Sequence[tuple[float, float]],
) -> str:
    def path(some: Sequence[tuple[float, float]]) -> str:
        return "L".join(f"{x:.1f} {y:.1f}" for x, y in some)

    dash = ' stroke-dasharray="6 3"' if name == "new" else ""
    return (
        f'<path class="band {name}" d="M{path([*upper, *reversed(lower)])}Z"/>'
        f'<path class="curve {name}" d="M{path(points)}"{dash}/>'
    )


def _frame(
    across: Sequence[tuple[float, str]],
    upward: Sequence[tuple[float, str]],
    lines: Sequence[str],
    old: float | None,
    horizontal: str,
    vertical: str,
    title: str,
) -> str:
    grid = "".join(
        f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_BOTTOM + 4}"/>'
        f'<text x="{x:.1f}" y="{_BOTTOM + 17}" text-anchor="middle">{text}</text>'
        for x, text in _spread(across, 34.0)
    ) + "".join(
        f'<line class="axis" x1="{_LEFT - 4}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
        for y, text in _spread(upward, 14.0)
    )
    mark = "" if old is None else f'<line class="margin" x1="{old:.1f}" x2="{old:.1f}" y1="{_TOP}" y2="{_BOTTOM}"/>'
    return (
        f'<svg viewBox="0 0 350 240" role="img"><title>{escape(title)}</title>{grid}{mark}{"".join(lines)}'
        f'<text x="{(_LEFT + _RIGHT) / 2}" y="{_BOTTOM + 32}" text-anchor="middle">{horizontal}</text>'
        f'<text class="strong" x="{_LEFT}" y="9" text-anchor="start">{vertical}</text>'
        f'<text class="old" x="{_RIGHT - 78}" y="9" text-anchor="end">old —</text>'
        f'<text class="new" x="{_RIGHT}" y="9" text-anchor="end">new - -</text></svg>'
    )


def _spread(ticks: Sequence[tuple[float, str]], least: float) -> list[tuple[float, str]]:
    """Ticks far enough apart for their text."""
    kept: list[tuple[float, str]] = []
    for tick in ticks:
        if not kept or abs(tick[0] - kept[-1][0]) >= least:
            kept.append(tick)
    return kept

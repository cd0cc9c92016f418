"""What tests of certificates read of balls and boxes."""

from __future__ import annotations

from typing import Any

from theory.certify import Box, Certificate


def ends(ball: Any) -> tuple[float, float]:
    """The interval of a ball."""
    return float(ball.lower()), float(ball.upper())


def all_boxes(certificate: Certificate) -> tuple[Box, ...]:
    """Whatever was decided of them."""
    return (*certificate.positive, *certificate.negative, *certificate.open)

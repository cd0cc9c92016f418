"""What a certificate is: boxes of parameters with a verdict each (paper, Eqs. 1a and 1b)."""

from __future__ import annotations

import math
from dataclasses import dataclass

Interval = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle of the two laws' parameters, or the part of it on one side of the diagonal.

    Attributes
    ----------
    new, old : (low, high)
        Ranges of α_t and of α_k, radians; of κ_t and κ_k for von Mises–Fisher laws.
    part : {"all", "less", "greater"}
        The whole rectangle, or its part where the new parameter is less, or greater, than the old one.
    """

    new: Interval
    old: Interval
    part: str = "all"

    @property
    def area(self) -> float:
        """Area, in square radians for caps."""
        (x0, x1), (y0, y1) = self.new, self.old
        whole = (x1 - x0) * (y1 - y0)
        if self.part == "all":
            return whole
        above = ((1, y1 - x0), (-1, y0 - x0), (-1, y1 - x1), (1, y0 - x1))
        less = 0.5 * sum(sign * max(side, 0.0) ** 2 for sign, side in above)
        return less if self.part == "less" else whole - less


@dataclass(frozen=True)
class Certificate:
    """Boxes on which a gap is proved positive, proved negative, and those left open.

    Positive means compatible in expectation. Together the boxes fill the region, but for the diagonal, where both gaps
    vanish.
    """

    positive: tuple[Box, ...]
    negative: tuple[Box, ...]
    open: tuple[Box, ...]

    @property
    def shares(self) -> dict[str, float]:
        """Share of the region's area that is positive, negative and open; the three add up to 1."""
        verdicts = {"positive": self.positive, "negative": self.negative, "open": self.open}
        areas = {name: math.fsum(box.area for box in boxes) for name, boxes in verdicts.items()}
        total = math.fsum(areas.values())
        return {name: area / total for name, area in areas.items()}

    def open_share(self, distance: float) -> float:
        """Share of the boxes left open in the area that lies farther than ``distance`` from the diagonal.

        By centres of boxes, and the relative distance |x/y − 1| of the parameters.
        """

        def far(box: Box) -> bool:
            return abs((box.new[0] + box.new[1]) / (box.old[0] + box.old[1]) - 1.0) > distance

        left = math.fsum(box.area for box in self.open if far(box))
        return left / math.fsum(box.area for box in (*self.positive, *self.negative, *self.open) if far(box))


@dataclass(frozen=True)
class GapCertificates:
    """The certificates of inequality 1a (same class) and of 1b (different classes), and the case they are about.

    1b is certified for every axis cosine in ``axis_cosine``; for K classes these are the two floats around −1/(K−1).
    """

    dim: int
    metric: str
    law: str
    axis_cosine: Interval
    same_class: Certificate
    different_class: Certificate

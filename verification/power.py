"""How many samples would decide an audit that did not: the number that gives 80 % power at the gaps observed.

The variance of a gap has a part that falls with the number of samples and one that falls with its square (what only
pairs show, :mod:`verification.inequalities`), and Student's quantile falls as well: at small n all three matter. The
answer takes the gaps for the true ones; they have errors, and so has it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scipy import special

from verification.inequalities import SideEstimate
from verification.statistics.paired import root
from verification.statistics.student import upper_quantile

POWER = 0.8
# samples times this are not worth a number: the gap is at the boundary
MOST = 1e4


@dataclass(frozen=True)
class SamplesNeeded:
    """Samples that would decide, were the gaps as observed.

    Attributes
    ----------
    towards : {"compatible", "incompatible"}
        The verdict that the gaps point to.
    power : float
        Chance that it falls.
    factor : float or None
        Samples to have over those there are, every class (and the gallery) alike; None where no number is worth naming.
    more, more_per_class : int or None
        Samples to add, in all and on average a class; two digits.
    sentence : str
        The same in words.
    """

    towards: Literal["compatible", "incompatible"]
    power: float
    factor: float | None
    more: int | None
    more_per_class: int | None
    sentence: str


def samples_needed(
    sides: Sequence[SideEstimate],
    margin: float,
    level: float,
    num_samples: int,
    num_classes: int,
    margin_error: float = 0.0,
) -> SamplesNeeded:
    """Samples for 80 % power at the gaps observed and the margin.

    Parameters
    ----------
    sides : sequence of SideEstimate
        Both sides, in the unit of the margin.
    margin, margin_error : float
    level : float
        Each side's chance of not covering.
    num_samples, num_classes : int
    """

    losing = [side for side in sides if side.gap < -margin]
    towards: Literal["compatible", "incompatible"] = "incompatible" if losing else "compatible"

    def power(factor: float) -> float:
        # a loss on one side decides; without a loss both sides have to, and they go together (T8: nearly one condition)
        chances = [_power(side, factor, margin, margin_error, level) for side in losing or sides]
        return max(chances) if losing else min(chances)

    if not all(math.isfinite(side.standard_error) for side in losing or sides):
        return SamplesNeeded(towards, POWER, None, None, None, "They are too few to say how many would decide.")
    if power(MOST) < POWER:
        sentence = "The gap is so close to the boundary that more samples of this kind will hardly decide."
        return SamplesNeeded(towards, POWER, None, None, None, sentence)
    # SciPy's optimizers take a while to load, and most audits need none

    log = root(lambda x: power(math.exp(x)) - POWER, -math.log(MOST), math.log(MOST))
    factor = math.exp(log)
    more = _two_digits((factor - 1.0) * num_samples)
    each = _two_digits((factor - 1.0) * num_samples / num_classes)
    sentence = (
        f"If the gaps are as observed, about {each:,} more samples a class ({more:,} in all) would show it "
        f"{towards} with {POWER:.0%} probability."
    )
    return SamplesNeeded(towards, POWER, factor, more, each, sentence)


def _power(side: SideEstimate, factor: float, margin: float, margin_error: float, level: float) -> float:
    """Chance that a side decides in the direction of its gap with ``factor`` times the samples."""
    second = min(side.second_order, side.standard_error**2)
    error = math.sqrt((side.standard_error**2 - second) / factor + second / factor**2)
    distance = abs(side.gap + margin)
    if error == 0.0:
        return 1.0
    quantile = float(upper_quantile(level / 2.0, factor * side.degrees_of_freedom))
    return float(special.ndtr((distance - quantile * (error + margin_error / math.sqrt(factor))) / error))


def _two_digits(value: float) -> int:
    unit = 10.0 ** max(math.floor(math.log10(max(value, 1.0))) - 1, 0)
    return max(1, round(math.ceil(value / unit) * unit))

"""How many samples would decide an audit that did not: the number that gives 80 % power at the gaps observed.

The variance of a gap has a part that falls with the number of samples and one that falls with its square (what only
pairs show, :mod:`verification.statistics.gaps`), and Student's quantile falls as well: at small n all three matter. The
answer takes the gaps for the true ones; they have errors, and so has it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import special

from verification.statistics.interval import Criterion, Verdict
from verification.statistics.paired import root
from verification.statistics.student import upper_quantile
from verification.statistics.variance import Estimate

POWER = 0.8
# samples times this are not worth a number: the gap is at the boundary
MOST = 1e4


@dataclass(frozen=True, kw_only=True)
class SamplesNeeded:
    """Samples that would decide, were the gaps as observed.

    Attributes
    ----------
    towards : Verdict
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

    towards: Verdict
    power: float
    factor: float | None
    more: int | None
    more_per_class: int | None
    sentence: str


def samples_needed(
    sides: Sequence[Estimate], criterion: Criterion, num_samples: int, num_classes: int
) -> SamplesNeeded:
    """Samples for 80 % power at the gaps observed and the margin.

    Parameters
    ----------
    sides : sequence of Estimate
        Both sides, in the unit of the margin.
    criterion : Criterion
        Of each side.
    num_samples, num_classes : int
    """
    losing = [side for side in sides if side.value < -criterion.margin]
    towards = Verdict.incompatible if losing else Verdict.compatible
    if not all(math.isfinite(side.standard_error) for side in losing or sides):
        return _no_number(towards, "These samples are too few to say how many would decide.")
    factor = samples_factor(sides, criterion)
    if factor is None:
        return _no_number(
            towards, "The gap is so close to the boundary that more samples of this kind will hardly decide."
        )
    more = _two_digits((factor - 1.0) * num_samples)
    each = _two_digits((factor - 1.0) * num_samples / num_classes)
    sentence = (
        f"If the gaps are as observed, about {each:,} more samples per class ({more:,} in all) would show it "
        f"{towards} with {100 * POWER:.0f} % probability."
    )
    return SamplesNeeded(towards=towards, power=POWER, factor=factor, more=more, more_per_class=each, sentence=sentence)


def samples_factor(sides: Sequence[Estimate], criterion: Criterion) -> float | None:
    """Samples for 80 % power over those there are, were the values the true ones; None where no number is worth naming.

    A loss on one side decides; without a loss all sides have to, and they go together.
    """
    losing = [side for side in sides if side.value < -criterion.margin]

    def power(factor: float) -> float:
        chances = [power_at(side, factor, criterion) for side in losing or sides]
        return max(chances) if losing else min(chances)

    if not all(math.isfinite(side.standard_error) for side in losing or sides) or power(MOST) < POWER:
        return None
    # halving: SciPy's optimizers take a while to load, and most audits need none
    return math.exp(root(lambda x: power(math.exp(x)) - POWER, -math.log(MOST), math.log(MOST)))


def _no_number(towards: Verdict, sentence: str) -> SamplesNeeded:
    return SamplesNeeded(towards=towards, power=POWER, factor=None, more=None, more_per_class=None, sentence=sentence)


def power_at(side: Estimate, factor: float, criterion: Criterion) -> float:
    """Chance that a side decides in the direction of its gap with ``factor`` times the samples."""
    second = min(side.second_order, side.standard_error**2)
    error = math.sqrt((side.standard_error**2 - second) / factor + second / factor**2)
    distance = abs(side.value + criterion.margin)
    if error == 0.0:
        return 1.0
    quantile = float(upper_quantile((1.0 - criterion.confidence) / 2.0, factor * side.freedom))
    margin_error = criterion.margin_error / math.sqrt(factor)
    return float(special.ndtr((distance - quantile * (error + margin_error)) / error))


def _two_digits(value: float) -> int:
    unit = 10.0 ** max(math.floor(math.log10(max(value, 1.0))) - 1, 0)
    return max(1, round(math.ceil(value / unit) * unit))

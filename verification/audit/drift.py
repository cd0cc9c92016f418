r"""How much drift the update tolerates: how far each class mean rotated, and how far it may before Definition 1 fails.

In the squared distance this follows from means alone (first-moment identity): with the new mean of length m at an angle
ω to the old one, inequality 1a holds while :math:`m \cos ω ≥ μ_u·μ_v/|μ_v|`, so :math:`\cos ω^* = m_k/m_t`. In other
distances the features themselves are turned, until the gap of the class is used up: no law is assumed. Trained classes
are no caps, and what :func:`theory.tolerable_drift` gives for caps of their concentration stands beside.

Inequality 1b for one pair of classes, the new mean turning straight at the other class, tolerates far less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from verification.audit.turning import RotatedClass
from verification.statistics.linear import LinearPairs
from verification.statistics.protocol import Statistics

# pairs of rows that are turned, all classes together, at each step of the search for an angle
TURNED_PAIRS = 1e6
# of a class, for a pair of classes
MOST_ROWS = 512
TINY = np.finfo(float).tiny


@dataclass(frozen=True, kw_only=True)
class ClassDrift:
    """One class: how far its mean turned, and how far it may from where the old mean was before 1a fails; radians."""

    label: int | str
    rotated: float
    tolerates: float


@dataclass(frozen=True, kw_only=True)
class PairDrift:
    """One pair of classes: how far the mean of the first turned towards the second, and how far it may; radians.

    ``rotated`` is negative where it turned away.
    """

    query: int | str
    gallery: int | str
    rotated: float
    tolerates: float


@dataclass(frozen=True, kw_only=True)
class DriftMargin:
    """The drift of the class means beside what the update tolerates.

    Attributes
    ----------
    rotated, tolerates : float
        Medians over the classes, radians.
    worst : ClassDrift
        The class whose mean may rotate least further.
    by_class : tuple of ClassDrift
        Every class that has pairs of its own. ``rotated`` exceeds ``tolerates`` where the class's gap of 1a is
        negative.
    pair : PairDrift or None
        The pair of classes with the least gap of 1b, turned straight at each other.
    tolerates_as_caps : float or None
        What uniform caps of the median concentrations would bear; None in the squared distance, where the shape of a
        class does not matter.
    """

    rotated: float
    tolerates: float
    worst: ClassDrift
    by_class: tuple[ClassDrift, ...]
    pair: PairDrift | None
    tolerates_as_caps: float | None


def drift_margin(
    metric: str,
    source: Statistics,
    labels: ndarray,
    gaps: Float[ndarray, " k"],
    worst_pair: Sequence[int] | None,
) -> DriftMargin | None:
    """Measure the margin of an audit.

    Parameters
    ----------
    metric : {"sqeuclidean", "euclidean", "angular"}
    source : Statistics
        What the audit read.
    labels : ndarray, shape (K,)
    gaps : ndarray, shape (K,)
        The gap of 1a of each class, which a turn is to use up.
    worst_pair : two int, optional
        Positions of the classes of queries and of gallery items, to be turned at each other.

    Returns
    -------
    DriftMargin or None
        None in one dimension, where nothing can turn.
    """
    means = _Means.of(source)
    some = means.paired
    if source.rows.old.shape[1] < 2 or not len(some):
        return None
    rotated, tolerates, caps = means.rotated()[some], means.tolerates()[some], None
    if metric != "sqeuclidean":
        size = max(2, int(math.sqrt(TURNED_PAIRS / len(some))))
        turned = [RotatedClass.of(metric, source, c, c, size) for c in some]
        tolerates = np.array([found.angle + found.slack(gaps[c]) for found, c in zip(turned, some, strict=True)])
        # sampling turns the means of the rows at hand apart, which is taken out of `rotated`: the sides do not change
        tolerates = np.where(gaps[some] < 0.0, np.minimum(tolerates, rotated), np.maximum(tolerates, rotated))
        caps = means.tolerates_as_caps(metric)
    by_class = tuple(
        ClassDrift(label=labels[c].item(), rotated=float(turn), tolerates=float(limit))
        for c, turn, limit in zip(some, rotated, tolerates, strict=True)
    )
    worst = min(by_class, key=lambda found: found.tolerates - found.rotated)
    pair = None
    if worst_pair is not None:
        y, z = map(int, worst_pair)
        towards, limit = means.towards(y, z)
        if metric != "sqeuclidean":
            gap = -float(source.pair_means(slice(y, y + 1))[0, z])
            limit = towards + RotatedClass.of(metric, source, y, z, MOST_ROWS).slack(gap)
        pair = PairDrift(query=labels[y].item(), gallery=labels[z].item(), rotated=towards, tolerates=limit)
    return DriftMargin(
        rotated=float(np.median(rotated)),
        tolerates=float(np.median(tolerates)),
        worst=worst,
        by_class=by_class,
        pair=pair,
        tolerates_as_caps=caps,
    )


@dataclass(frozen=True, kw_only=True)
class _Means:
    """Class means of the new and the old model over the samples, and of the old one over what is searched.

    Lengths and products of means of the same samples are over pairs i ≠ j, which sampling does not inflate.
    """

    new: Float[ndarray, "k dim"]
    old: Float[ndarray, "k dim"]
    items: Float[ndarray, "k dim"]
    new_length: Float[ndarray, " k"]
    old_length: Float[ndarray, " k"]
    item_length: Float[ndarray, " k"]
    cross: Float[ndarray, " k"]
    within: Float[ndarray, " k"]
    paired: Int[ndarray, " some"]

    @classmethod
    def of(cls, source: Statistics) -> _Means:
        if isinstance(source, LinearPairs):
            sums, item_sums = source.sums, source.gallery_sums
        else:
            sums, item_sums = source.rows.sums, None if source.gallery is None else source.gallery.sums
        n, (shift, old) = sums.counts, sums.means
        new = old + shift
        new_length, old_length = (np.sqrt(np.maximum(_over_pairs(a, a, 1.0, n), TINY)) for a in (new, old))
        if item_sums is None:
            cross = _over_pairs(new, old, sums.own / np.maximum(n, 1) + 1.0, n)
            within = _over_pairs(old, old, 1.0, n)
            return cls(
                new=new,
                old=old,
                items=old,
                new_length=new_length,
                old_length=old_length,
                item_length=old_length,
                cross=cross,
                within=within,
                paired=np.flatnonzero(n > 1),
            )
        g, items = item_sums.counts, item_sums.means[-1]
        item_length = np.sqrt(np.maximum(_over_pairs(items, items, 1.0, g), TINY))
        cross, within = np.vecdot(new, items), np.vecdot(old, items)
        paired = np.flatnonzero((n > 0) & (g > 0))
        return cls(
            new=new,
            old=old,
            items=items,
            new_length=new_length,
            old_length=old_length,
            item_length=item_length,
            cross=cross,
            within=within,
            paired=paired,
        )

    def rotated(self) -> Float[ndarray, " k"]:
        """Angle of each new class mean to the mean of what is searched."""
        return _angle(self.cross / (self.new_length * self.item_length))

    def tolerates(self) -> Float[ndarray, " k"]:
        """That angle at which 1a is an equality in the squared distance."""
        return _angle(self.within / (self.new_length * self.item_length))

    def towards(self, y: int, z: int) -> tuple[float, float]:
        """How far the new mean of y turned towards the items of z, and how far it may in the squared distance."""
        after, before = (float(means[y] @ self.items[z] / self.item_length[z]) for means in (self.new, self.old))
        begin = _angle(before / self.old_length[y])
        turned, limit = begin - _angle(np.array([after, before]) / self.new_length[y])
        return float(turned), float(limit)

    def tolerates_as_caps(self, metric: str) -> float:
        """What caps bear whose mean resultant lengths are the medians over the classes."""
        from scipy import optimize

        from theory.caps import UniformCap
        from theory.compatibility import tolerable_drift

        dim = self.new.shape[1]

        def cap(length: float) -> UniformCap:
            def excess(radius: float) -> float:
                return float(UniformCap(dim, radius).mean_resultant_length()) - length

            ends = 1e-6, math.pi
            inside = excess(ends[1]) < 0.0 < excess(ends[0])
            return UniformCap(dim, optimize.brentq(excess, *ends) if inside else ends[length < 0.5])

        new, old = (cap(float(np.median(m[self.paired]))) for m in (self.new_length, self.old_length))
        return float(tolerable_drift(new, old, 2, metric).same_class)


def _over_pairs(a: ndarray, b: ndarray, itself: ndarray | float, n: ndarray) -> ndarray:
    """Mean of a_i·b_j over i ≠ j of each class from means, ``itself`` that over i = j; of a class of one over i = j."""
    products = np.vecdot(a, b)
    return np.where(n > 1, (n * products - itself) / np.maximum(n - 1.0, 1.0), products)


def _angle(cosine: ndarray) -> ndarray:
    return np.arccos(np.clip(cosine, -1.0, 1.0))

r"""Theorem D on data: no true accept rate falls, and no false accept rate rises from the bound on (docs/theorem-d.md).

For each class the true accept rate, and for each ordered pair of classes the false accept rate, of new and of old
queries against old items is compared at many thresholds. The change of a rate is a mean over pairs of samples of

.. math:: t_{ij}(τ) = [u_i·v_j ≥ τ] − [v_i·v_j ≥ τ],

a U-statistic whose units are the samples: its variance is that of the means by query and by item. Besides the share of
the single settings that go the wrong way there is a test per class, or per pair, at all thresholds at once, whose
quantile is that of the largest of the standardised changes under Gaussian multipliers.

References
----------
Hoeffding, *A class of statistics with asymptotically normal distribution*, 1948; Chernozhukov, Chetverikov & Kato,
*Gaussian approximations and multiplier bootstrap*, 2013.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from verification.features import FeatureSet
from verification.statistics.rows import stream
from verification.upgrade import Upgrade

COVERAGE = 0.9  # of the samples that count for a class's radius
FEW = 10  # pairs told apart below which a variance is not believed
_MULTIPLIERS = 500


@dataclass(frozen=True, kw_only=True)
class RateTests:
    """Counts of how often accept rates changed in the wrong direction.

    Attributes
    ----------
    tested : int
        Number of settings (class, threshold) or (pair of classes, threshold) with enough pairs of samples that differ.
    wrong : int
        How many of these are worse at the level, one-sided, each by itself.
    families : int
        Classes or pairs of classes with at least one setting.
    wrong_families : int
        How many of these are worse somewhere, at the level for all their thresholds at once.
    level : float
    """

    tested: int
    wrong: int
    families: int
    wrong_families: int
    level: float

    @property
    def share(self) -> float:
        """Share of the settings that are worse."""
        return self.wrong / self.tested if self.tested else math.nan

    @property
    def family_share(self) -> float:
        """Share of the classes or pairs that are worse somewhere."""
        return self.wrong_families / self.families if self.families else math.nan


@dataclass(frozen=True, kw_only=True)
class DecisionCheck:
    """Theorem D on two models' features of the same samples.

    There is one hypothesis per class: under the new model its samples are on average not farther from the old axis.
    There is one per pair: the new mean of the first class is not nearer to the axis of the other than the old mean is.

    Attributes
    ----------
    true_accepts : RateTests
        Tests of each class that is not wider, at every threshold; a fall is worse.
    false_accepts : RateTests
        Tests of each ordered pair whose hypotheses are satisfied, at the thresholds from its bound on; a rise is worse.
    below : RateTests
        The same tests below the bound, where the theorem says nothing.
    wider, nearer : RateTests
        True accepts of the classes, and false accepts of the pairs from the bound on, whose hypothesis fails.
    silent : int
        Number of pairs of classes about which the theorem says nothing, because their bound is above 1.
    """

    true_accepts: RateTests
    false_accepts: RateTests
    below: RateTests
    wider: RateTests
    nearer: RateTests
    silent: int


def check_decisions(
    upgrade: Upgrade,
    vertices: Float[ndarray, "k dim"] | None = None,
    *,
    num_thresholds: int = 30,
    level: float = 0.025,
) -> DecisionCheck:
    """Test Theorem D on every class and every ordered pair of classes.

    The bound of a pair is ρ where the axes' cosine ρ ≤ 0, and ρ/(cos α_k cos α') else, with the radii of the caps that
    hold 90 % of the old samples. Thresholds are spread over the cosines that occur.

    Parameters
    ----------
    upgrade : Upgrade
        An upgrade without a gallery: queries are the samples under both models, items the samples under the old one.
    vertices : ndarray, shape (K, d), optional
        The classes' axes, in the order of ``upgrade.labels``; the class means of the old model if not given.
    num_thresholds : int
        Number of thresholds for each class, and for each pair on either side of its bound.
    level : float
        One-sided level of each test, in (0, 1).

    Raises
    ------
    ValueError
        For an upgrade with a gallery, vertices of another shape, or a level outside (0, 1).
    """
    if upgrade.gallery is not None:
        raise ValueError("Theorem D is tested on the queries among themselves; leave the gallery out.")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be in (0, 1), got {level!r}.")
    shape = upgrade.num_classes, upgrade.old.dim
    if vertices is not None and vertices.shape != shape:
        raise ValueError(f"vertices must have shape {shape}, one row per class, got {vertices.shape}.")
    rows = upgrade.read().rows
    new, old = rows.models
    groups = [np.flatnonzero(rows.codes == c) for c in range(len(rows.sizes))]
    axes = np.array([old[some].mean(axis=0) for some in groups]) if vertices is None else vertices
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    radii = [
        float(np.quantile(np.arccos(np.clip(old[some] @ axis, -1.0, 1.0)), COVERAGE))
        for some, axis in zip(groups, axes, strict=True)
    ]
    rng = stream(upgrade.seed, "decisions")
    counts = {name: _Counts(level) for name in ("true", "false", "below", "wider", "nearer")}
    means = np.array([new[some].mean(axis=0) for some in groups])
    narrower = [
        bool(mean @ axis >= old[some].mean(axis=0) @ axis) for mean, some, axis in zip(means, groups, axes, strict=True)
    ]
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    silent = 0
    for c, some in enumerate(groups):
        for k, items in enumerate(groups):
            before, after = old[some] @ old[items].T, new[some] @ old[items].T
            if c == k:
                at = _spread(before, after, -1.0, 1.0, num_thresholds)
                counts["true" if narrower[c] else "wider"].add(_standardised(before, after, at, rng))
                continue
            rho = float(axes[c] @ axes[k])
            bound = pair_bound(rho, radii[c], radii[k])
            silent += bound > 1.0
            obeys = narrower[c] and float(means[c] @ axes[k]) <= rho
            for name, low, high in (("false" if obeys else "nearer", bound, 1.0), ("below", -1.0, min(bound, 1.0))):
                if low < high and (obeys or name != "below"):
                    at = _spread(before, after, low, high, num_thresholds)
                    counts[name].add(_standardised(after, before, at, rng, other=True))
    return DecisionCheck(
        true_accepts=counts["true"].tests(),
        false_accepts=counts["false"].tests(),
        below=counts["below"].tests(),
        wider=counts["wider"].tests(),
        nearer=counts["nearer"].tests(),
        silent=silent,
    )


def pair_bound(axis_cosine: float, old_radius: float, other_radius: float) -> float:
    """The threshold of D2 or D3, from which the false accept rate does not rise; infinity where nothing is said."""
    if axis_cosine <= 0.0:
        return axis_cosine
    if max(old_radius, other_radius) >= 0.5 * math.pi:
        return math.inf
    return axis_cosine / (math.cos(old_radius) * math.cos(other_radius))


def without_drift(upgrade: Upgrade, vertices: Float[ndarray, "k dim"]) -> Upgrade:
    """The same features, each class turned by the least rotation that takes its mean to its vertex.

    What is left of the hypotheses of Theorems 1 and D is then the shape of the classes.
    """
    return Upgrade(*(_turned_to(features, vertices) for features in (upgrade.new, upgrade.old)))


def _turned_to(features: FeatureSet, vertices: Float[ndarray, "k dim"]) -> FeatureSet:
    x = features.unit
    means = np.array([x[features.codes == c].mean(axis=0) for c in range(len(features.classes))])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    m, w = means[features.codes], vertices[features.codes]
    # the rotation in the plane of m and w: x + 2(m·x)w − (m+w)·x/(1+m·w) (m+w)
    both = m + w
    along = np.einsum("nd,nd->n", both, x) / (1.0 + np.einsum("nd,nd->n", m, w))
    turned = x + 2.0 * np.einsum("nd,nd->n", m, x)[:, None] * w - along[:, None] * both
    return FeatureSet(turned, features.labels)


@dataclass(frozen=True)
class _Changes:
    """Standardised changes towards the wrong side at some thresholds, and their largest under multipliers."""

    scores: Float[ndarray, " t"]
    largest: Float[ndarray, " b"]


class _Counts:
    """Tests added up."""

    def __init__(self, level: float) -> None:
        self.level = level
        self.tested = self.wrong = self.families = self.wrong_families = 0

    def add(self, changes: _Changes | None) -> None:
        """Count the settings of one class or pair."""
        if changes is None:
            return
        self.tested += len(changes.scores)
        self.wrong += int(np.count_nonzero(changes.scores > stats.norm.isf(self.level)))
        self.families += 1
        self.wrong_families += bool(changes.scores.max() > np.quantile(changes.largest, 1.0 - self.level))

    def tests(self) -> RateTests:
        return RateTests(
            tested=self.tested,
            wrong=self.wrong,
            families=self.families,
            wrong_families=self.wrong_families,
            level=self.level,
        )


def _spread(before: ndarray, after: ndarray, low: float, high: float, count: int) -> Float[ndarray, " t"]:
    """Thresholds in [low, high] at quantiles of the cosines that occur there, the ends of the range left out."""
    values = np.concatenate((before.ravel(), after.ravel()))
    values = values[(values >= low) & (values <= high)]
    return np.unique(np.quantile(values, (np.arange(count) + 0.5) / count)) if len(values) else values


def _standardised(
    first: ndarray, second: ndarray, thresholds: ndarray, rng: np.random.Generator, other: bool = False
) -> _Changes | None:
    """Excess of the share of ``first`` above thresholds over that of ``second``, in standard errors: the wrong side.

    Rows are queries and columns items: the same samples, which never meet themselves, unless of another class.
    """
    if not len(thresholds):
        return None
    t = (first[..., None] >= thresholds).astype(np.float64) - (second[..., None] >= thresholds)
    n, g = t.shape[:2]
    if not other:
        t[np.arange(n), np.arange(n)] = 0.0
    apart = np.count_nonzero(t, axis=(0, 1)) >= FEW
    if not other:
        if n < 3:
            return None
        h = (t.sum(axis=1) + t.sum(axis=0)) / (n - 1)  # twice the projection
        change = h.mean(axis=0) / 2.0
        parts = (h - h.mean(axis=0)) / n
        parts *= math.sqrt(n / (n - 1))
    else:
        if min(n, g) < 2:
            return None
        change = t.mean(axis=(0, 1))
        by_query, by_item = t.mean(axis=1) - change, t.mean(axis=0) - change
        parts = np.concatenate((by_query / n * math.sqrt(n / (n - 1)), by_item / g * math.sqrt(g / (g - 1))))
    error = np.sqrt(np.sum(parts**2, axis=0))
    told = apart & (error > 0.0)
    if not np.any(told):
        return None
    scaled = parts[:, told] / error[told]
    largest = (rng.standard_normal((_MULTIPLIERS, len(scaled))) @ scaled).max(axis=1)
    return _Changes(change[told] / error[told], largest)

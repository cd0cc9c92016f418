"""Definition 1 from a stream, or from many machines: sums that update and merge.

Mean gaps in the squared distance follow from sums by class. What varies from sample to sample is told by a random part
of the rows: each row draws a priority, and the rows of each class with the smallest ones are kept, so the parts of two
streams merge to a random part of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from verification.audit.definition1 import judge_sides, side_confidence
from verification.audit.report import Sides
from verification.statistics.gaps import estimate
from verification.statistics.interval import Criterion
from verification.statistics.linear import LinearPairs
from verification.statistics.rows import Rows
from verification.statistics.sums import ClassSums

KEPT_PER_CLASS = 512


@dataclass
class _Kept:
    """Rows with the smallest priorities: (new, old) of each, its class and its priority."""

    models: ndarray
    codes: ndarray
    priorities: ndarray

    def with_more(self, other: _Kept, most: int) -> _Kept:
        """The rows of both, of each class those with the smallest priorities."""
        models = np.concatenate([self.models, other.models], axis=1)
        codes = np.concatenate([self.codes, other.codes])
        priorities = np.concatenate([self.priorities, other.priorities])
        order = np.lexsort((priorities, codes))
        starts = np.searchsorted(codes[order], codes[order])
        some = order[np.arange(len(order)) - starts < most]
        return _Kept(models[:, some], codes[some], priorities[some])


class UpgradeSums:
    """Sums of two models' features of the same samples, which a loop feeds and which merge.

    Parameters
    ----------
    num_classes : int
        ≥ 2.
    dim : int
        d ≥ 1, of both models.
    seed : int
        ≥ 0; of the rows that are kept. Streams that are to be merged take different seeds.
    kept_per_class : int
        ≥ 4, rows of each class that tell how much varies.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    def __init__(self, num_classes: int, dim: int, seed: int = 0, kept_per_class: int = KEPT_PER_CLASS) -> None:
        for name, value, least in (
            ("num_classes", num_classes, 2),
            ("dim", dim, 1),
            ("kept_per_class", kept_per_class, 4),
        ):
            if not (isinstance(value, int | np.integer) and value >= least):
                raise ValueError(f"{name} must be an integer >= {least}, got {value!r}.")
        self.num_classes, self.dim, self.kept_per_class = int(num_classes), int(dim), int(kept_per_class)
        self._rng = np.random.default_rng(seed)
        self._sums = ClassSums(2, num_classes, dim)
        self._kept = _Kept(np.empty((2, 0, dim)), np.empty(0, dtype=np.intp), np.empty(0))

    @property
    def counts(self) -> Integer[ndarray, " k"]:
        """Samples of each class so far."""
        return self._sums.counts

    def update(
        self, new: Float[ndarray, "n dim"], old: Float[ndarray, "n dim"], labels: Integer[ndarray, " n"]
    ) -> UpgradeSums:
        """Take in a batch.

        Parameters
        ----------
        new, old : array_like, shape (n, d)
            Features of the same samples, row by row; need not be normalised.
        labels : array_like of int, shape (n,)
            Classes 0 … K−1.

        Raises
        ------
        ValueError
            If shapes or labels do not fit, or a row has no direction.
        """
        rows = np.stack([np.asarray(new, dtype=np.float64), np.asarray(old, dtype=np.float64)])
        codes = np.asarray(labels).astype(np.intp)
        if rows.shape != (2, len(codes), self.dim):
            raise ValueError(f"new and old must have shape ({len(codes)}, {self.dim}), got {rows.shape[1:]}.")
        if len(codes) and not 0 <= codes.min() <= codes.max() < self.num_classes:
            raise ValueError(f"labels must be integers in [0, {self.num_classes}), got {codes.min()} to {codes.max()}.")
        lengths = np.linalg.norm(rows, axis=2, keepdims=True)
        if not np.all((lengths > 0.0) & np.isfinite(lengths)):
            raise ValueError("features must be finite, with no row of zeros.")
        if len(codes):
            rows /= lengths
            self._sums.add(codes, rows)
            drawn = _Kept(rows, codes, self._rng.random(len(codes)))
            self._kept = self._kept.with_more(drawn, self.kept_per_class)
        return self

    def merge(self, other: UpgradeSums) -> UpgradeSums:
        """Take in the sums of another stream of the same classes and dimension.

        Raises
        ------
        ValueError
            If classes or dimension differ.
        """
        if (self.num_classes, self.dim) != (other.num_classes, other.dim):
            raise ValueError(
                f"sums must be of {self.num_classes} classes in dimension {self.dim}, got {other.num_classes} in "
                f"{other.dim}."
            )
        self._sums.merge(other._sums)
        self._kept = self._kept.with_more(other._kept, self.kept_per_class)
        return self

    def report(self, criterion: Criterion | None = None) -> Sides:
        """Judge Definition 1 of what was taken in, in the squared distance, every pair counting once.

        Parameters
        ----------
        criterion : Criterion, optional
            Confidence of both sides together, and the accepted loss of gap; 95 % and none if not given.

        Raises
        ------
        ValueError
            Before two classes have come, or a class has two samples.
        """
        criterion = criterion or Criterion()
        counts = self._sums.counts
        if np.count_nonzero(counts) < 2 or counts.max() < 2:
            raise ValueError("a report needs samples of two classes, and two samples of one.")
        kept = self._kept  # sorted by class
        rows = Rows(models=kept.models, codes=kept.codes, sizes=counts)
        source = LinearPairs(rows=rows, gallery=None, sums=self._sums, gallery_sums=None, seed=0)
        one = Criterion(confidence=side_confidence(criterion.confidence), margin=criterion.margin)
        return judge_sides(estimate(source)[0]["pairs"], one, contrast=criterion)

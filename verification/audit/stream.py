"""Definition 1 from a stream, or from many machines: sums that update and merge.

Mean gaps in the squared distance follow from sums by class. What varies from sample to sample is told by a random part
of the rows: each row draws a priority, and the rows of each class with the smallest ones are kept, so the parts of two
streams merge to a random part of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Integer
from numpy import ndarray
from numpy.typing import ArrayLike

from verification.audit.definition1 import judge_sides, side_confidence
from verification.audit.report import Sides
from verification.statistics.gaps import estimate
from verification.statistics.interval import Criterion
from verification.statistics.linear import LinearPairs
from verification.statistics.rows import Rows
from verification.statistics.sums import ClassSums

KEPT_PER_CLASS = 512
# rows that wait at most, or as many as are kept
WAITING = 2**12


@dataclass
class _Kept:
    """Rows with the smallest priorities: (new, old) of each, its class and its priority."""

    models: ndarray
    codes: ndarray
    priorities: ndarray

    def with_more(self, others: Sequence[_Kept], most: int) -> _Kept:
        """The rows of all, of each class those with the smallest priorities."""
        models = np.concatenate([self.models, *(other.models for other in others)], axis=1)
        codes = np.concatenate([self.codes, *(other.codes for other in others)])
        priorities = np.concatenate([self.priorities, *(other.priorities for other in others)])
        order = np.lexsort((priorities, codes))
        starts = np.searchsorted(codes[order], codes[order])
        some = order[np.arange(len(order)) - starts < most]
        return _Kept(models[:, some], codes[some], priorities[some])

    def bars(self, num_classes: int, most: int) -> ndarray:
        """Priority of each class below which one more row would be kept: of a full class, the largest that is."""
        bars = np.zeros(num_classes)
        np.maximum.at(bars, self.codes, self.priorities)
        return np.where(np.bincount(self.codes, minlength=num_classes) < most, np.inf, bars)


class UpgradeSums:
    """Sums over two models' features of the same samples, which a loop can feed batch by batch and which can be merged.

    Parameters
    ----------
    num_classes : int
        ≥ 2.
    dim : int
        d ≥ 1, of both models.
    seed : int
        Seed ≥ 0 of the choice of rows that are kept. Streams that are to be merged take different seeds.
    kept_per_class : int
        Number of rows, ≥ 4, that are kept of each class to estimate variances.

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
        # rows that are sorted in later: to sort after every batch would copy all that is kept each time
        self._waiting: list[_Kept] = []
        self._bars = np.full(num_classes, np.inf)

    @property
    def counts(self) -> Integer[ndarray, " k"]:
        """Samples of each class so far."""
        return self._sums.counts

    def update(self, new: ArrayLike, old: ArrayLike, labels: ArrayLike) -> UpgradeSums:
        """Add a batch.

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
            priorities = self._rng.random(len(codes))
            some = priorities < self._bars[codes]
            self._waiting.append(_Kept(rows[:, some], codes[some], priorities[some]))
            if sum(len(each.codes) for each in self._waiting) > max(WAITING, len(self._kept.codes)):
                self._settle()
        return self

    def _settle(self) -> _Kept:
        """Sort in the rows that wait, and return all that are kept."""
        if self._waiting:
            self._kept = self._kept.with_more(self._waiting, self.kept_per_class)
            self._bars = self._kept.bars(self.num_classes, self.kept_per_class)
            self._waiting = []
        return self._kept

    def __getstate__(self) -> dict[str, Any]:
        """What travels between machines: only rows that are kept."""
        self._settle()
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take in what came from another machine; Ray hands over arrays that must not be written to."""
        self.__dict__.update(state)
        self._sums = deepcopy(self._sums)

    def merge(self, other: UpgradeSums) -> UpgradeSums:
        """Add the sums of another stream of the same classes and dimension.

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
        self._waiting.append(other._settle())
        self._settle()
        return self

    def report(self, criterion: Criterion | None = None) -> Sides:
        """Judge Definition 1 on the samples so far, in the squared distance, every pair counting once.

        Parameters
        ----------
        criterion : Criterion, optional
            Confidence of both sides together, and the accepted loss of gap; 95 % and no loss if not given.

        Raises
        ------
        ValueError
            If there are not two classes yet, or no class has two samples.
        """
        criterion = criterion or Criterion()
        counts = self._sums.counts
        if np.count_nonzero(counts) < 2 or counts.max() < 2:
            raise ValueError("a report needs samples of two classes, and two samples of one.")
        kept = self._settle()  # sorted by class
        rows = Rows(models=kept.models, codes=kept.codes, sizes=counts)
        source = LinearPairs(rows=rows, gallery=None, sums=self._sums, gallery_sums=None, seed=0)
        one = Criterion(confidence=side_confidence(criterion.confidence), margin=criterion.margin)
        return judge_sides(estimate(source, ("pairs",))[0]["pairs"], one, contrast=criterion)

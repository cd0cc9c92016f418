"""Per-class sums of unit rows, and of what an update changes in them: parts of the data merge to the whole.

Sums are all that a mean gap in the squared distance needs (first-moment identity).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import sparse

# float32 additions one after the other before a float64 takes over: rounding stays at 64·2^-24 of a term
RUN = 64


class ClassSums:
    """Sums over samples, by class, of (new − old, old), or of (old,); sums of parts of the data merge to the whole.

    Attributes
    ----------
    counts : ndarray of int, shape (K,)
    sums : ndarray, shape (models, K, d), float64
    own : ndarray, shape (K,)
        Sum over samples of (new − old)·old, or of old·old.
    """

    def __init__(self, models: int, num_classes: int, dim: int) -> None:
        self.counts = np.zeros(num_classes, dtype=np.int64)
        self.sums = np.zeros((models, num_classes, dim))
        self.own = np.zeros(num_classes)

    def add(
        self,
        codes: Int[ndarray, " n"],
        models: Float[ndarray, "models rows dim"],
        scales: Float[ndarray, "models n"] | None = None,
        products: Float[ndarray, " n"] | None = None,
    ) -> ClassSums:
        """Take in the first n rows of (new, old) or (old,), multiplied by ``scales``.

        ``products`` are what a sample adds to ``own``, computed here if they are not known. ``models`` is contiguous.
        """
        num = len(codes)
        if scales is None:
            scales = np.ones((len(models), num), models.dtype)
        if products is None:  # of rows that are not scaled
            products = np.vecdot(models[0, :num], models[-1, :num])
            if len(models) == 2:
                products -= np.vecdot(models[1, :num], models[1, :num])
        runs = _Runs(codes, len(self.counts))
        block = runs.matrix(scales, models.shape[1]) @ models.reshape(-1, models.shape[2])
        runs.add_to(self.sums, block.reshape(-1, len(models), block.shape[1]).swapaxes(0, 1))
        self.counts += runs.counts
        self.own += np.bincount(codes, products, minlength=len(self.counts))
        return self

    def merge(self, other: ClassSums, classes: Int[ndarray, " some"] | slice = slice(None)) -> ClassSums:
        """Take in the sums of another part of the data, whose classes are the given ones here."""
        self.counts[classes] += other.counts
        for total, part in zip(self.sums, other.sums, strict=True):
            total[classes] += part
        self.own[classes] += other.own
        return self

    @property
    def means(self) -> Float[ndarray, "models k dim"]:
        """Class means; 0 for a class without samples."""
        return self.sums / np.maximum(self.counts, 1)[:, None]


class _Runs:
    """The samples of each class in runs of at most ``RUN``: first one of every class, then what is left."""

    def __init__(self, codes: Int[ndarray, " n"], num_classes: int) -> None:
        self.counts = np.bincount(codes, minlength=num_classes)
        there = np.flatnonzero(self.counts)
        first, end = int(there[0]), int(there[-1]) + 1
        # nearly all classes between the first and the last: a slice of them is faster than their numbers
        self.classes: slice | ndarray = slice(first, end) if end - first < 2 * len(there) else there
        sizes = self.counts[self.classes]
        further = np.maximum((sizes - 1) // RUN, 0)
        self.more = np.flatnonzero(further)  # classes of several runs
        self.bounds = np.cumsum(further[self.more]) - further[self.more]
        begins = np.cumsum(sizes) - sizes
        of = np.repeat(self.more, further[self.more])
        self.num_further = len(of)
        skipped = RUN * (np.arange(len(of)) - np.repeat(self.bounds, further[self.more]) + 1)
        self.lengths = np.concatenate([np.minimum(sizes, RUN), np.minimum(sizes[of] - skipped, RUN)])
        self.starts = np.cumsum(self.lengths) - self.lengths
        shift = np.concatenate([begins, begins[of] + skipped]) - self.starts
        by_class = np.argsort(codes.astype(np.min_scalar_type(num_classes)), kind="stable")
        self.order = by_class[np.repeat(shift, self.lengths) + np.arange(len(codes))]

    def matrix(self, scales: Float[ndarray, "models n"], height: int) -> sparse.csr_array:
        """What sums the scaled rows of stacked models, ``height`` each: new less old of a run, then old of it.

        A sample's new and old row are added one after the other, so that rounding is that of their difference, and
        nothing where both are alike.
        """
        order, both = self.order, len(scales) == 2
        old = scales[-1][order]
        if not both:
            return sparse.csr_array(
                (old, order.astype(np.int32), np.append(self.starts, len(order)).astype(np.int32)),
                shape=(len(self.starts), height),
            )
        rank = np.arange(len(order)) - np.repeat(self.starts, self.lengths)
        pair = 3 * np.repeat(self.starts, self.lengths) + 2 * rank
        alone = pair - rank + 2 * np.repeat(self.lengths, self.lengths)
        columns, values = np.empty(3 * len(order), np.int32), np.empty(3 * len(order), scales.dtype)
        columns[pair], columns[pair + 1], columns[alone] = order, order + height, order + height
        values[pair], values[pair + 1], values[alone] = scales[0][order], -old, old
        ends = np.empty(2 * len(self.starts) + 1, np.int32)
        ends[::2] = 3 * np.append(self.starts, len(order))
        ends[1::2] = 3 * self.starts + 2 * self.lengths
        return sparse.csr_array((values, columns, ends), shape=(len(ends) - 1, 2 * height))

    def add_to(self, sums: Float[ndarray, "models k dim"], block: Float[ndarray, "models runs dim"]) -> None:
        """Add the sums of the runs to those of their classes."""
        first = block.shape[1] - self.num_further
        for total, part in zip(sums, block, strict=True):
            some = total[self.classes]
            some += part[:first]
            if self.num_further:
                some[self.more] += np.add.reduceat(part[first:], self.bounds, axis=0, dtype=np.float64)
            total[self.classes] = some


def class_sums(rows: Float[ndarray, "n dim"], codes: Int[ndarray, " n"], num_classes: int) -> Float[ndarray, "k dim"]:
    """Sum of the rows of each class, shape (num_classes, d), float64."""
    return ClassSums(1, num_classes, rows.shape[1]).add(codes, np.ascontiguousarray(rows)[None]).sums[0]

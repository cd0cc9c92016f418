"""Compressed copies of a model's vectors: cut to their first coordinates, quantised to int8, or to signs.

A copy replaces the vectors that it was made of, queries and gallery alike, so it is searched in itself. It is another
case than a new model, whose queries meet vectors that stay.
"""

from __future__ import annotations

from dataclasses import dataclass

from verification.features.feature_set import FeatureSet


@dataclass(frozen=True, kw_only=True)
class Compression:
    """How a copy of a model's vectors is smaller than what it was made of.

    Attributes
    ----------
    kind : str
        What the copy holds, in words.
    bytes_before, bytes_after : int
        What a vector takes in the original and in the copy, as they are stored.
    dim : int
        d of the original.
    hamming : bool
        Whether the copy is ranked by the Hamming distance of its signs, and not as the original is.
    """

    kind: str
    bytes_before: int
    bytes_after: int
    dim: int
    hamming: bool = False

    @property
    def share(self) -> float:
        """Bytes of a vector of the copy over those of one of the original."""
        return self.bytes_after / self.bytes_before


def truncate(features: FeatureSet, k: int) -> tuple[FeatureSet, Compression]:
    """Return the first k coordinates, with zeros in the others, so that both sets have one dimension; nothing is read.

    Parameters
    ----------
    features : FeatureSet
    k : int
        From 1 to d − 1.

    Raises
    ------
    ValueError
        If k is out of range.
    """
    if not 1 <= k < features.dim:
        raise ValueError(f"truncate must be from 1 to {features.dim - 1}, less than the dimension, got {k!r}.")
    return features.first(k, features.dim), Compression(
        kind=f"the first {k} of {features.dim} coordinates",
        bytes_before=vector_bytes(features),
        bytes_after=k * features.stored.itemsize,
        dim=features.dim,
    )


def vector_bytes(features: FeatureSet) -> int:
    """Bytes that a vector takes as it is stored."""
    return features.dim * features.stored.itemsize

"""What compressed copies hold and how much smaller they are."""

from __future__ import annotations

import numpy as np
import pytest

from verification.bridge.copies import compressed_copy, signs_of
from verification.features import FeatureSet
from verification.features.compression import Compression, truncate, vector_bytes

RNG = np.random.default_rng(0)
OLD = FeatureSet(RNG.standard_normal((60, 20)).astype(np.float32))


@pytest.mark.parametrize("k", [1, 5, 19])
def test_the_first_coordinates_with_zeros_behind(k):
    cut, found = truncate(OLD, k)
    np.testing.assert_array_equal(cut.features, np.where(np.arange(20) < k, OLD.features, 0.0))
    assert found == Compression(
        kind=f"the first {k} of 20 coordinates", bytes_before=80, bytes_after=4 * k, dim=20, hamming=False
    )
    assert found.share == k / 20


@pytest.mark.parametrize("k", [0, 20, -1])
def test_no_coordinate_and_all_of_them_are_no_copy(k):
    with pytest.raises(ValueError, match=f"truncate must be from 1 to 19, less than the dimension, got {k}"):
        truncate(OLD, k)


def test_copies_are_told_by_how_they_are_stored():
    rows = OLD.features
    packed = FeatureSet(np.packbits(rows > 0.0, axis=1))
    signs = FeatureSet(np.where(rows > 0.0, 1, -1).astype(np.int8))
    bits = FeatureSet((rows > 0.0).astype(np.uint8))
    step = np.abs(rows).max() / 127.0
    int8 = FeatureSet(np.rint(rows / step).astype(np.int8))
    cut = FeatureSet(rows[:, :8])
    for new, kind, after, hamming in (
        (packed, "packed binary codes", 3, True),
        (signs, "binary codes", 20, True),
        (bits, "binary codes", 20, True),
        (int8, "int8 codes", 20, False),
        (cut, "the first 8 of 20 coordinates", 32, False),
    ):
        decode, found = compressed_copy(new, OLD)
        assert (found.kind, found.bytes_before, found.bytes_after, found.hamming) == (kind, 80, after, hamming)
        assert decode(new).dim == 20
        if hamming:
            np.testing.assert_array_equal(decode(new).features, np.where(rows > 0.0, 1.0, -1.0))
            np.testing.assert_array_equal(signs_of(new).features[:, :20], np.where(rows > 0.0, 1.0, -1.0))
    assert vector_bytes(packed) == 3
    other = FeatureSet(RNG.standard_normal((60, 20)).astype(np.float32))
    for new, old in (
        (OLD, OLD),
        (other, OLD),
        (int8, int8),
        (FeatureSet(other.features[:, :8]), OLD),
        (FeatureSet(RNG.integers(-90, 90, (60, 20)).astype(np.int8)), OLD),
        (FeatureSet(RNG.integers(2, 90, (60, 4)).astype(np.uint8)), OLD),
    ):
        assert compressed_copy(new, old) is None

"""The bridge of a large gallery beside reading and writing the file."""

from __future__ import annotations

import time

import numpy as np
import pytest

from verification._writers import write_features
from verification.bridge import fitting
from verification.bridge.apply import apply
from verification.bridge.splits import split
from verification.features import FeatureSet


@pytest.mark.slow
def test_a_million_vectors_are_mapped_in_three_times_what_reading_and_writing_takes(tmp_path, capsys):
    rows, dim, num_classes = 1_000_000, 512, 1000
    rng = np.random.default_rng(0)
    labels = rng.integers(num_classes, size=rows)
    means = rng.standard_normal((num_classes, dim), np.float32)
    turn = np.linalg.qr(rng.standard_normal((dim, dim)))[0].astype(np.float32)

    def drawn(turned: bool):
        noise = np.random.default_rng(1)
        for start in range(0, rows, 2**14):
            block = means[labels[start : start + 2**14]]
            block = block + noise.standard_normal(block.shape, np.float32)
            yield block @ turn if turned else block

    for name, turned in (("old", False), ("new", True)):
        write_features(tmp_path / f"{name}.npz", drawn(turned), labels, dim, np.float32)
    old, new = (FeatureSet.load(tmp_path / f"{name}.npz") for name in ("old", "new"))

    def seconds(work) -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    floor = min(
        seconds(lambda: write_features(tmp_path / "copy.npz", old.blocks(), old.labels, dim, np.float32))
        for _ in range(2)
    )
    (tmp_path / "copy.npz").unlink()

    def fit():
        part = split(new, old, 0).fit
        return fitting.fit("orthogonal", part.old, part.new, "gallery")

    start = time.perf_counter()
    found = fit()
    fitted = time.perf_counter() - start
    applied = min(seconds(lambda: apply(found, old, tmp_path / "mapped.npz")) for _ in range(2))
    with capsys.disabled():
        print(
            f"\nread and write {floor:.1f} s, fit {fitted:.1f} s, apply {applied:.1f} s: "
            f"apply {applied / floor:.2f}, fit and apply {(fitted + applied) / floor:.2f} times the file"
        )
    mapped = next(FeatureSet.load(tmp_path / "mapped.npz").normalized_blocks())
    # the turn is found from float32 rows: of each row's 512 coordinates, float32 rounding is seen
    assert np.max(np.abs(mapped - next(new.normalized_blocks()))) < 1e-5
    assert applied <= 3.0 * floor

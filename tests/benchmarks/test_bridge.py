"""The bridge of a large gallery beside reading and writing the file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from verification.bridge import fit
from verification.bridge.splits import split
from verification.features import FeatureSet
from verification.features.columns import Columns
from verification.features.files.writers import write_features

ROWS, SAMPLE, DIM, CLASSES = 1_000_000, 50_000, 512, 1000
BUFFER = 2**22
STATIONARY = Path(sys.executable).parent / "stationary"


def copy(source: Path, target: Path) -> None:
    """Read and write a file, and nothing else."""
    memory = memoryview(bytearray(BUFFER))
    with open(source, "rb", buffering=0) as read, open(target, "wb", buffering=0) as write:
        while count := read.readinto(memory):
            write.write(memory[:count])


def on_disk(path: Path, evict: bool = False) -> None:
    """Wait until the file is on the disk; with ``evict`` it is no longer in memory either."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        if evict:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@pytest.mark.slow
def test_a_million_vectors_are_mapped_in_three_times_what_reading_and_writing_takes(tmp_path, capsys):
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=ROWS)
    means = rng.standard_normal((CLASSES, DIM), np.float32)
    turn = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0].astype(np.float32)

    def drawn(rows: int):
        noise = np.random.default_rng(1)
        for start in range(0, rows, 2**14):
            block = means[labels[start : min(start + 2**14, rows)]]
            yield block + noise.standard_normal(block.shape, np.float32)

    old, mapped, copied = (tmp_path / f"{name}.npz" for name in ("old", "mapped", "copied"))
    write_features(old, drawn(ROWS), Columns(labels=labels), (ROWS, DIM), np.float32)
    # the gallery's images are not read again: the new model has seen a sample of them
    first = np.concatenate(list(drawn(SAMPLE)))
    FeatureSet(first, labels[:SAMPLE]).save(tmp_path / "sample-old.npz")
    FeatureSet(first @ turn, labels[:SAMPLE]).save(tmp_path / "sample-new.npz")

    def to_disk(work, target: Path, cold: bool) -> float:
        target.unlink(missing_ok=True)
        on_disk(old, evict=cold)
        return seconds(lambda: (work(), on_disk(target) if cold else None))

    start = time.perf_counter()
    sets = (FeatureSet.load(tmp_path / f"sample-{name}.npz") for name in ("new", "old"))
    part = split(*sets, 0).fit
    fit("orthogonal", part.old, part.new, "gallery").save(tmp_path / "map.npz")
    fitted = time.perf_counter() - start
    command = [STATIONARY, "bridge", "apply", tmp_path / "map.npz", old, mapped]

    def apply() -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    ratios = {}
    for cold in (True, False):
        rounds = [(to_disk(lambda: copy(old, copied), copied, cold), to_disk(apply, mapped, cold)) for _ in range(3)]
        copied.unlink()
        floor, applied = (float(np.median(times)) for times in zip(*rounds, strict=True))
        ratios[cold] = (fitted + applied) / floor
        with capsys.disabled():
            print(
                f"\n{'from disk to disk' if cold else 'from memory to memory'}: read and write {floor:.1f} s, "
                f"fit {fitted:.1f} s, apply {applied:.1f} s: apply {applied / floor:.2f}, "
                f"fit and apply {ratios[cold]:.2f} times the file"
            )
    # the turn is found from float32 rows: of each row's 512 coordinates, float32 rounding is seen
    rows = next(FeatureSet.load(mapped).normalized_blocks(SAMPLE))
    assert np.max(np.abs(rows - FeatureSet(first @ turn, labels[:SAMPLE]).unit)) < 1e-5
    assert ratios[True] <= 3.0

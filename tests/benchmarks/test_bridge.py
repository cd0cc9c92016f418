"""The bridge of a large gallery beside reading and writing the file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from verification._writers import write_features
from verification.bridge import fit
from verification.bridge.splits import split
from verification.features import FeatureSet

ROWS, DIM, CLASSES = 1_000_000, 512, 1000
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

    def drawn(turned: bool):
        noise = np.random.default_rng(1)
        for start in range(0, ROWS, 2**14):
            block = means[labels[start : start + 2**14]]
            block = block + noise.standard_normal(block.shape, np.float32)
            yield block @ turn if turned else block

    old, new, mapped, copied = (tmp_path / f"{name}.npz" for name in ("old", "new", "mapped", "copied"))
    for path, turned in ((old, False), (new, True)):
        write_features(path, drawn(turned), labels, DIM, np.float32)

    def to_disk(work, target: Path, cold: bool) -> float:
        target.unlink(missing_ok=True)
        on_disk(old, evict=cold)
        return seconds(lambda: (work(), on_disk(target) if cold else None))

    for path in (old, new):
        on_disk(path, evict=True)
    sets = FeatureSet.load(new), FeatureSet.load(old)
    start = time.perf_counter()
    part = split(*sets, 0).fit
    fit("orthogonal", part.old, part.new, "gallery").save(tmp_path / "map.npz")
    fitted = time.perf_counter() - start
    command = [STATIONARY, "bridge", "--apply", tmp_path / "map.npz", old, mapped]

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
    first = [next(FeatureSet.load(path).normalized_blocks()) for path in (mapped, new)]
    assert np.max(np.abs(first[0] - first[1])) < 1e-5
    assert ratios[True] <= 3.0

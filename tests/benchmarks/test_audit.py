"""An audit of a million rows beside reading them: ``pytest tests/benchmarks/test_audit.py --benchmark-only -s``.

1 000 000 × 512 float32 features of two models, 1000 classes, 4.1 GB in a temporary folder and then in the page cache.
Five rounds take turns: read both files in blocks and sum them (one thread, the floor), audit them by the command line.
CPU time, user and system, of the process in each case, so that other work on the machine counts little; the floor is
without the start of Python, the audit with it. ``extra_info`` has both, their ratios, and the bytes moved: the audit
reads each file once, looks at each block three times for lengths and products while it is in the cache of its core
and once more for the sums, and writes nothing.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

ROWS, DIM, CLASSES, ROUNDS = 1_000_000, 512, 1000, 5
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
FLOOR = """
import sys, time
import numpy as np
start = time.process_time()
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        while (block := np.fromfile(file, np.float32, 2**22)).size:
            block.sum()
print(time.process_time() - start)
"""
# a process keeps the peak memory of the one it was started from: this small one starts the audit
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 2**10)
"""


def cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def blocks(labels: np.ndarray, axes: np.ndarray, spread: float, rng: np.random.Generator):
    for start in range(0, len(labels), 20_000):
        own = axes[labels[start : start + 20_000]]
        yield own + np.float32(spread) * rng.standard_normal(own.shape, dtype=np.float32)


def write(path: Path, labels: np.ndarray, features) -> None:
    """As NumPy and safetensors do, block by block."""
    if path.suffix == ".npz":
        raw = path.with_suffix(".npy")
        array = np.lib.format.open_memmap(raw, "w+", np.float32, (len(labels), DIM))
        start = 0
        for block in features:
            array[start : start + len(block)] = block
            start += len(block)
        np.savez(path, features=array, labels=labels)
        raw.unlink()
        return
    size = len(labels) * DIM * 4
    header = json.dumps(
        {
            "features": {"dtype": "F32", "shape": [len(labels), DIM], "data_offsets": [0, size]},
            "labels": {"dtype": "I64", "shape": [len(labels)], "data_offsets": [size, size + labels.nbytes]},
        }
    ).encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for block in features:
            file.write(block.tobytes())
        file.write(labels.tobytes())


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.benchmark(group="audit of a million rows", timer=cpu_of_children)
def test_cost_of_an_audit(benchmark: BenchmarkFixture, tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=ROWS)
    axes = rng.standard_normal((CLASSES, DIM), dtype=np.float32)
    paths = [tmp_path / f"{name}{suffix}" for name in ("new", "old")]
    for path, spread in zip(paths, (0.9, 1.0), strict=True):
        write(path, labels, blocks(labels, axes, spread, rng))
    environment = os.environ | THREADS
    floors: list[float] = []

    def floor() -> None:
        command = [sys.executable, "-c", FLOOR, *map(str, paths)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        floors.append(float(done.stdout))

    def audit() -> None:
        command = [sys.executable, "-m", "stationary", "audit", *map(str, paths)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode in (0, 1, 3), done.stderr

    floor()  # into the page cache
    floors.clear()
    benchmark.pedantic(audit, setup=floor, rounds=ROUNDS, iterations=1)
    audits = benchmark.stats.stats.data
    command = [sys.executable, "-c", PEAK, sys.executable, "-m", "stationary", "audit", *map(str, paths)]
    peak = int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    benchmark.extra_info |= {
        "read_and_sum_s": [round(value, 2) for value in floors],
        "audit_s": [round(value, 2) for value in audits],
        "ratio": [round(value / least, 2) for value, least in zip(audits, floors, strict=True)],
        "bytes_read": sum(path.stat().st_size for path in paths),
        "GB_per_s": round(sum(path.stat().st_size for path in paths) / 1e9 / float(np.median(audits)), 2),
        "peak_MiB": peak,
    }
    print("\n" + "\n".join(f"{name}: {value}" for name, value in benchmark.extra_info.items()))


@pytest.mark.slow
def test_memory_of_an_audit_of_shards(tmp_path: Path) -> None:
    """Two sets of 600 000 × 128 float32 in shards, with thresholds, page and JSON: below 300 MB at the peak."""
    rng = np.random.default_rng(0)
    rows, dim, classes = 600_000, 128, 1000
    labels = rng.integers(classes, size=rows)
    axes = rng.standard_normal((classes, dim), dtype=np.float32)
    for name, spread in (("new", 0.9), ("old", 1.0)):
        (tmp_path / name).mkdir()
        for start in range(0, rows, 50_000):
            own = axes[labels[start : start + 50_000]]
            features = own + np.float32(spread) * rng.standard_normal(own.shape, dtype=np.float32)
            np.savez(tmp_path / name / f"{start:06}.npz", features=features, labels=labels[start : start + 50_000])
    outputs = ("--far", "1e-3", "--html", str(tmp_path / "r.html"), "--json", str(tmp_path / "r.json"))
    audit = [sys.executable, "-m", "stationary", "audit", str(tmp_path / "new"), str(tmp_path / "old"), *outputs]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *audit], env=os.environ | THREADS, capture_output=True, text=True, check=True
    )
    assert (tmp_path / "r.json").exists()
    peak = int(done.stdout)
    print(f"\npeak {peak} MiB")
    assert peak * 2**20 < 300e6

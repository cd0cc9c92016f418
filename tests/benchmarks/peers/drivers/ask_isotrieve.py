"""isotrieve: a ridge map from the old space to the new fitted on one half, the gate on the other, as in its README."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _draws import Draw, main
from isotrieve.cli_gate import _bootstrap_retention_ci
from isotrieve.mapping.linear import RidgeMapping
from isotrieve.quality.gate import QualityGate
from isotrieve.quality.metrics import topk_retention

COMMAND = [str(Path(sys.executable).parent / "isotrieve")]


def judge(draw: Draw) -> str:
    mapping = RidgeMapping()
    mapping.fit(draw.old[draw.gallery], draw.new[draw.gallery])
    return QualityGate().evaluate(mapping, draw.old[draw.queries], draw.new[draw.queries]).verdict.value


def call(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True)


def look() -> dict[str, str]:
    """The interval of a perfect map and its level, the status of a missing file, and the command of the README."""
    rows = np.random.default_rng(0).standard_normal((400, 32))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder:
        mapping = RidgeMapping(alpha=1e-9)
        mapping.fit(rows, rows)
        mapping.save(f"{folder}/identity.isotrieve")
        np.save(f"{folder}/rows.npy", rows)
        vectors = ["--source-vectors", f"{folder}/rows.npy", "--target-vectors", f"{folder}/rows.npy"]
        gate = ["gate", "--mapping", f"{folder}/identity.isotrieve", "--bootstrap-resamples", "100"]
        call(*gate, *vectors, "--format", "json", "-o", f"{folder}/out.json")
        report = json.loads((Path(folder) / "out.json").read_text())
        table = call(*gate, *vectors).stdout
        missing = call("gate", "--mapping", f"{folder}/nowhere.isotrieve").returncode
        threshold = call(*gate, "--queries", f"{folder}/rows.npy", "--threshold", "0.95")
    low, high = report["confidence_intervals"]["recall_at_1"].values()
    recall = report["top1_retention"]
    found = {
        "resample queries, never the gallery": (
            recall > high,
            f"a map with recall@1 {recall:.3f} gets the interval ({low:.2f}, {high:.2f})",
        ),
        "an interval printed as 90 % must be one": (
            "90% CI" in table and holds_80_percent(mapping, rows),
            "'90% CI' is from the 10th to the 90th percentile of the resamples",
        ),
        "a status that means 'no' must not be that of a bad argument": (
            missing == 1,
            f"a map that is not there ends with status {missing}, WARN and FAIL with 1",
        ),
        "README commands that do not exist": (
            "No such option" in threshold.stderr + threshold.stdout,
            f"`isotrieve gate … --threshold 0.95` ends with status {threshold.returncode}",
        ),
    }
    return {name: f"{'still there' if there else 'gone'}: {text}" for name, (there, text) in found.items()}


def holds_80_percent(mapping: RidgeMapping, rows: np.ndarray) -> bool:
    """Whether the interval ends at the 10th and 90th percentiles of the same resamples."""
    target = rows + 0.2 * np.random.default_rng(1).standard_normal(rows.shape)
    printed = _bootstrap_retention_ci(mapping, rows, target, n_resamples=100, seed=0)["recall_at_1"]
    rng, mapped = np.random.default_rng(0), mapping.transform(rows)
    drawn = [rng.choice(len(rows), size=len(rows), replace=True) for _ in range(100)]
    values = [topk_retention(mapped[some], target[some], k=1) for some in drawn]
    return bool(np.allclose(printed, np.percentile(values, [10, 90])))


main(judge, look)

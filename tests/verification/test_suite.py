"""``pytest verification/`` itself: on features that a user brings it must pass, and it must be able to fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.verification.samples import upgrade
from verification.features import FeatureSet

ROOT = Path(__file__).parent.parent.parent


def suite(new: Path, old: Path | None, checks: str = "verification/") -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", checks, f"--new={new}"]
    done = subprocess.run(
        command + ([f"--old={old}"] if old else []), cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def files(tmp_path):
    paths = tmp_path / "new.npz", tmp_path / "old.safetensors"
    for features, path in zip(upgrade(0.4, 0.6, num_samples=600), paths, strict=True):
        features.save(path)
    return paths


def test_compatible_features_pass(files):
    status, output = suite(*files)
    assert status == 0, output
    assert "passed" in output
    assert "failed" not in output


def test_incompatible_features_fail(files):
    new, old = files
    rotated = FeatureSet.load(new)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((rotated.dim, rotated.dim)))[0]
    FeatureSet(rotated.features @ rotation, rotated.labels).save(new)
    # the laws of test_properties.py speak of Theorem 1 too, and Hypothesis would look for the least example of each
    status, output = suite(new, old, "verification/test_theorem1.py")
    assert status == 1
    for name in ("test_class_means_stay_at_their_vertices", "test_same_class_pairs_come_nearer", "test_theorem_shows"):
        assert f"FAILED verification/test_theorem1.py::{name}[brought]" in output


def test_unusable_features_are_one_sentence(files, tmp_path):
    status, output = suite(tmp_path / "none.npz", files[1])
    assert status == pytest.ExitCode.USAGE_ERROR
    assert "none.npz: no such file." in output
    assert "Traceback" not in output
    status, output = suite(files[0], None)
    assert status == pytest.ExitCode.USAGE_ERROR
    assert "--new and --old belong together" in output
